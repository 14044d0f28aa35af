//! Opening: which index a packet has, whether it is authentic, whether it was seen before - in this order.
//!
//! Nothing is remembered of a packet before it is authentic. Checking the replay window first is fine, moving it first is
//! not: one forged packet with a high sequence number would then silence thousands of genuine ones.

use super::cipher::Ciphers;
use super::packet::{RtpHeader, rtcp_ssrc};
use super::streams::Streams;
use super::window::Window;
use crate::transport::DropReason;

/// How much is believed of where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A path that a check has validated.
    Valid,
    /// Anywhere: only what is newer than all before is taken, so that nobody can replay a captured packet from elsewhere
    /// (the window would stop a repeat, but not a packet that was captured and kept from arriving).
    Unknown,
}

/// What was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Length of the plaintext packet.
    pub(crate) len: usize,
    /// The packet's index.
    pub(crate) index: u64,
    /// Whether it is newer than every packet of its SSRC before.
    pub(crate) newer: bool,
}

/// The receiving half.
pub(crate) struct Inbound {
    ciphers: Ciphers,
    rtp: Streams<Window>,
    rtcp: Streams<Window>,
}

impl Inbound {
    /// For the simulator.
    #[cfg(feature = "simulation")]
    pub(crate) fn set_plain(&mut self) {
        self.ciphers.plain = true;
    }

    pub(crate) fn new(ciphers: Ciphers) -> Self {
        Self {
            ciphers,
            rtp: Streams::new(),
            rtcp: Streams::new(),
        }
    }

    /// Opens an SRTP packet in place.
    pub(crate) fn open_rtp(&mut self, packet: &mut [u8], origin: Origin) -> Result<Opened, DropReason> {
        let header = RtpHeader::parse(packet).ok_or(DropReason::Malformed)?;
        let window = self.rtp.get_mut(header.ssrc);
        let index = match &window {
            Some(window) => estimate_index(window.highest(), header.sequence).ok_or(DropReason::Replayed)?,
            None => u64::from(header.sequence),
        };
        let newer = fresh(window.as_deref(), index, origin)?;
        if window.is_none() && self.rtp.is_full() {
            return Err(DropReason::Limit);
        }
        let len = self
            .ciphers
            .open_rtp(packet, header, index)
            .map_err(|_| DropReason::NotAuthentic)?;
        remember(&mut self.rtp, header.ssrc, index)?;
        Ok(Opened { len, index, newer })
    }

    /// Opens an SRTCP packet in place.
    pub(crate) fn open_rtcp(&mut self, packet: &mut [u8], origin: Origin) -> Result<Opened, DropReason> {
        let ssrc = rtcp_ssrc(packet).ok_or(DropReason::Malformed)?;
        let index = self
            .ciphers
            .claimed_rtcp_index(packet)
            .ok_or(DropReason::NotAuthentic)?;
        let window = self.rtcp.get(ssrc);
        let newer = fresh(window, u64::from(index), origin)?;
        if window.is_none() && self.rtcp.is_full() {
            return Err(DropReason::Limit);
        }
        let len = self
            .ciphers
            .open_rtcp(packet, ssrc, index)
            .map_err(|_| DropReason::NotAuthentic)?;
        remember(&mut self.rtcp, ssrc, u64::from(index))?;
        Ok(Opened {
            len,
            index: u64::from(index),
            newer,
        })
    }

    /// How many SSRCs are remembered.
    #[cfg(test)]
    pub(crate) fn streams(&self) -> usize {
        self.rtp.len() + self.rtcp.len()
    }
}

/// Whether the index is newer than all before; an error when it is not to be opened at all.
fn fresh(window: Option<&Window>, index: u64, origin: Origin) -> Result<bool, DropReason> {
    let Some(window) = window else {
        // A first packet from an unknown address proves nothing about being newer.
        return if origin == Origin::Unknown {
            Err(DropReason::UnknownPath)
        } else {
            Ok(true)
        };
    };
    let newer = index > window.highest();
    if origin == Origin::Unknown && !newer {
        return Err(DropReason::UnknownPath);
    }
    if window.is_fresh(index) {
        Ok(newer)
    } else {
        Err(DropReason::Replayed)
    }
}

fn remember(streams: &mut Streams<Window>, ssrc: u32, index: u64) -> Result<(), DropReason> {
    match streams.get_mut(ssrc) {
        Some(window) => {
            window.insert(index);
            Ok(())
        }
        None => streams
            .insert(ssrc, Window::starting_with(index))
            .map_err(|_| DropReason::Limit),
    }
}

/// RFC 3711 §3.3.1 and appendix A: the index nearest to the highest one whose low 16 bits are the sequence number. `None`
/// when that would be before the stream's beginning or behind its end.
fn estimate_index(highest: u64, sequence: u16) -> Option<u64> {
    let roll_over = highest >> 16;
    let last = highest as u16;
    let roll_over = if last < 0x8000 && sequence > last && sequence - last > 0x8000 {
        roll_over.checked_sub(1)?
    } else if last >= 0x8000 && last - 0x8000 > sequence {
        roll_over + 1
    } else {
        roll_over
    };
    (roll_over <= u64::from(u32::MAX)).then_some(roll_over << 16 | u64::from(sequence))
}

#[cfg(test)]
mod tests {
    use super::estimate_index;
    use proptest::prelude::*;

    #[test]
    fn the_roll_over_counter_follows_the_sequence_number_over_both_edges() {
        assert_eq!(estimate_index(0xFFFF, 0), Some(0x1_0000));
        assert_eq!(estimate_index(0x1_0000, 0xFFFF), Some(0xFFFF));
        assert_eq!(estimate_index(5, 0xFFFF), None, "before the beginning");
        assert_eq!(estimate_index(0xFFFF_FFFF_FFFF, 0), None, "behind the end of the key");
    }

    proptest! {
        #[test]
        fn a_packet_within_32767_of_the_highest_gets_its_true_index(
            highest in 40_000u64..1 << 47,
            distance in -32_767i64..32_767,
        ) {
            let index = highest.saturating_add_signed(distance);
            prop_assert_eq!(estimate_index(highest, index as u16), Some(index));
        }
    }
}
