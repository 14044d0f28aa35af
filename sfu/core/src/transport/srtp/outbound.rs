//! Sealing: each (SSRC, index) at most once. AES-GCM under a repeated nonce gives its authentication key away, so the
//! refusal is here, below everything that could make a mistake.

use super::cipher::Ciphers;
use super::packet::{RtpHeader, rtcp_ssrc};
use super::streams::Streams;
use super::window::Window;
use crate::transport::{MAX_SEAL_OVERHEAD, SealError};

/// SRTCP packets that one key may protect (RFC 3711 §9.2).
const MAX_RTCP_PACKETS: u32 = 1 << 31;

/// The sending half.
pub(crate) struct Outbound {
    ciphers: Ciphers,
    sealed: Streams<Window>,
    /// One counter for all senders of reports: unique per SSRC because it is unique at all.
    next_rtcp_index: u32,
}

impl Outbound {
    /// For the simulator.
    #[cfg(feature = "simulation")]
    pub(crate) fn set_plain(&mut self) {
        self.ciphers.plain = true;
    }

    pub(crate) fn new(ciphers: Ciphers) -> Self {
        Self {
            ciphers,
            sealed: Streams::new(),
            next_rtcp_index: 0,
        }
    }

    /// Seals `packet[..len]` in place.
    pub(crate) fn seal_rtp(&mut self, packet: &mut [u8], len: usize, index: u64) -> Result<usize, SealError> {
        let header = packet
            .get(..len)
            .and_then(RtpHeader::parse)
            .ok_or(SealError::Malformed)?;
        check_room(packet, len)?;
        if index >> 48 != 0 || index as u16 != header.sequence {
            return Err(SealError::IndexMismatch);
        }
        // The index is used up before the cipher runs: whatever happens from here on, it is never sealed again.
        match self.sealed.get_mut(header.ssrc) {
            Some(window) if window.is_fresh(index) => window.insert(index),
            Some(_) => return Err(SealError::IndexUsed),
            None => self
                .sealed
                .insert(header.ssrc, Window::starting_with(index))
                .map_err(|_| SealError::TooManyStreams)?,
        }
        self.ciphers
            .seal_rtp(packet, len, header, index)
            .map_err(|_| SealError::Malformed)
    }

    /// Seals `packet[..len]` in place.
    pub(crate) fn seal_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, SealError> {
        let ssrc = packet.get(..len).and_then(rtcp_ssrc).ok_or(SealError::Malformed)?;
        check_room(packet, len)?;
        if self.next_rtcp_index >= MAX_RTCP_PACKETS {
            return Err(SealError::KeyExhausted);
        }
        let index = self.next_rtcp_index;
        self.next_rtcp_index += 1;
        self.ciphers
            .seal_rtcp(packet, len, ssrc, index)
            .map_err(|_| SealError::Malformed)
    }
}

fn check_room(packet: &[u8], len: usize) -> Result<(), SealError> {
    if packet.len() - len < MAX_SEAL_OVERHEAD {
        Err(SealError::NoRoom)
    } else {
        Ok(())
    }
}
