//! One RTP stream as it is sent: a viewer's slot, continuous whatever source it carries.

use std::time::{Duration, Instant};

use super::clock::ShardClock;
use super::history::History;
use super::slab::{Meta, PacketKey, Slab};
use crate::rtp::vp8::{Newest, Offsets};
use crate::rtp::{MAX_HEADER, OutExtensions, OutHeader, extend, write_header};
use crate::sdp::CodecKind;

/// What a rewritten packet may be longer than the received one, with the original number of a retransmission.
pub(crate) const GROWTH: usize = MAX_HEADER + 2;

/// What was negotiated for a slot; never changes while the transport lives.
#[derive(Clone, Debug)]
pub struct SlotConfig {
    /// Its mid, as sent in the header extension.
    pub mid: Box<str>,
    /// Media SSRC.
    pub ssrc: u32,
    /// Retransmission SSRC, when agreed.
    pub rtx_ssrc: Option<u32>,
    /// Codecs with payload type, and that of retransmissions.
    pub codecs: Box<[(CodecKind, u8, Option<u8>)]>,
    /// Media clock ticks per second.
    pub clock_rate: u32,
    /// Ids of mid, audio level and orientation.
    pub extensions: [Option<u8>; 3],
}

/// How one source's numbers become the slot's, from one source switch to the next.
#[derive(Clone, Copy, Debug)]
struct Segment {
    first_in: u64,
    first_out: u64,
    offset: i64,
    timestamp: u32,
    vp8: Offsets,
    csrc: u32,
}

/// A retransmission that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The packet as it was received.
    pub key: PacketKey,
    /// The slot's number for it.
    pub index: u64,
}

/// State of one sent stream.
pub struct Outgoing {
    /// What was negotiated.
    pub config: SlotConfig,
    /// A sender report should go out soon: the slot was rebound.
    pub report_due: bool,
    segment: Option<Segment>,
    next: u64,
    next_rtx: u64,
    base: u32,
    newest_vp8: Newest,
    newest_timestamp: Option<u32>,
    history: History,
    packets: u32,
    octets: u32,
}

impl Outgoing {
    /// A slot that has sent nothing. `seed`: random, for the first sequence numbers, timestamp and picture id.
    pub fn new(config: SlotConfig, seed: [u32; 2]) -> Self {
        Self {
            config,
            report_due: false,
            segment: None,
            // Half of the range, so that no early packet can fall below roll-over 0 (RFC 3711 section 3.3.1).
            next: u64::from(seed[0] as u16 & 0x7fff),
            next_rtx: u64::from((seed[0] >> 16) as u16 & 0x7fff),
            base: seed[1],
            newest_vp8: Newest::new(seed[1] as u16),
            newest_timestamp: None,
            history: History::new(),
            packets: 0,
            octets: 0,
        }
    }

    /// Leaves its source; the next packet needs [`Self::enter`].
    pub fn leave(&mut self) {
        self.segment = None;
    }

    /// Whether it carries a source.
    pub fn entered(&self) -> bool {
        self.segment.is_some()
    }

    /// Continues with a source whose first packet here is `first`, captured `age` media ticks ago. `csrc` is the
    /// publisher's number.
    pub fn enter(&mut self, first: &Meta, age: u32, csrc: u32, now: Instant, clock: &ShardClock) {
        let rate = self.config.clock_rate;
        let mut start = clock.ticks(now, rate).wrapping_add(self.base).wrapping_sub(age);
        if let Some(newest) = self.newest_timestamp {
            // Never backwards, and at least 10 ms on: a decoder takes equal timestamps for one frame.
            let ahead = start.wrapping_sub(newest) as i32;
            if ahead < (rate / 100) as i32 {
                start = newest.wrapping_add(rate / 100);
            }
        }
        self.segment = Some(Segment {
            first_in: first.index,
            first_out: self.next,
            offset: self.next as i64 - first.index as i64,
            timestamp: start.wrapping_sub(first.header.timestamp),
            vp8: first.vp8.map(|d| self.newest_vp8.enter(&d)).unwrap_or_default(),
            csrc,
        });
        self.report_due = true;
    }

    /// Writes the packet as this slot sends it and returns its length and index, or `None` when it does not belong here:
    /// it came late at a switch, or its codec was not negotiated. The caller seals and sends it, once.
    pub fn write(&mut self, out: &mut [u8], packet: &[u8], meta: &Meta, key: PacketKey) -> Option<(usize, u64)> {
        let segment = self.segment?;
        if meta.index < segment.first_in {
            return None;
        }
        let index = meta.index.checked_add_signed(segment.offset)?;
        let (pt, _) = self.payload_type(meta.codec)?;
        let len = self.assemble(out, packet, meta, &segment, pt, self.config.ssrc, index as u16, None)?;
        if index >= self.next {
            self.next = index + 1;
            self.newest_timestamp = Some(meta.header.timestamp.wrapping_add(segment.timestamp));
        }
        if let Some(descriptor) = &meta.vp8 {
            self.newest_vp8.note(descriptor, segment.vp8);
        }
        self.history.note(index, key);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self
            .octets
            .wrapping_add(u32::from(meta.header.payload_end - meta.header.payload_start));
        Some((len, index))
    }

    /// The packet that a NACK asks for, unless it was sent again less than `round_trip` ago or is gone.
    pub fn nacked(&mut self, sequence: u16, slab: &Slab, now: u32, round_trip: Duration) -> Option<Answer> {
        let segment = self.segment?;
        self.config.rtx_ssrc?;
        let index = extend(self.next, sequence);
        if index >= self.next || index < segment.first_out {
            return None;
        }
        let sent = self.history.at(index);
        let key = sent.key();
        // The place may hold a packet of a former lap, or of a former source: its own number tells.
        let (_, meta) = slab.get(key)?;
        if meta.index.checked_add_signed(segment.offset) != Some(index) || !sent.resend(now, round_trip) {
            return None;
        }
        Some(Answer { key, index })
    }

    /// Writes a retransmission (RFC 4588 section 4) and returns its length and its own index.
    pub fn write_rtx(&mut self, out: &mut [u8], packet: &[u8], meta: &Meta, index: u64) -> Option<(usize, u64)> {
        let segment = self.segment?;
        let (_, Some(pt)) = self.payload_type(meta.codec)? else {
            return None;
        };
        let rtx = self.next_rtx;
        let ssrc = self.config.rtx_ssrc?;
        let len = self.assemble(out, packet, meta, &segment, pt, ssrc, rtx as u16, Some(index as u16))?;
        self.next_rtx += 1;
        Some((len, rtx))
    }

    fn payload_type(&self, codec: CodecKind) -> Option<(u8, Option<u8>)> {
        self.config
            .codecs
            .iter()
            .find(|(kind, ..)| *kind == codec)
            .map(|(_, pt, rtx)| (*pt, *rtx))
    }

    #[allow(clippy::too_many_arguments, reason = "one place builds both kinds of packet")]
    fn assemble(
        &self,
        out: &mut [u8],
        packet: &[u8],
        meta: &Meta,
        segment: &Segment,
        payload_type: u8,
        ssrc: u32,
        sequence: u16,
        original: Option<u16>,
    ) -> Option<usize> {
        let header = OutHeader {
            marker: meta.header.marker,
            payload_type,
            sequence,
            timestamp: meta.header.timestamp.wrapping_add(segment.timestamp),
            ssrc,
            csrc: Some(segment.csrc),
        };
        let [mid, level, orientation] = self.config.extensions;
        let extensions = OutExtensions {
            mid: mid.map(|id| (id, self.config.mid.as_bytes())),
            audio_level: level.zip(meta.audio_level),
            orientation: orientation.zip(meta.orientation),
            transport_cc: None,
        };
        let mut at = write_header(out, &header, &extensions)?;
        if let Some(original) = original {
            out.get_mut(at..at + 2)?.copy_from_slice(&original.to_be_bytes());
            at += 2;
        }
        let payload = meta.header.payload(packet);
        let copy = out.get_mut(at..at + payload.len())?;
        copy.copy_from_slice(payload);
        if let Some(descriptor) = &meta.vp8 {
            descriptor.rewrite(copy, segment.vp8);
        }
        Some(at + payload.len())
    }

    /// Packets and payload bytes sent, for sender reports.
    pub fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// The slot's timestamp for a timestamp of its source.
    pub fn timestamp(&self, source: u32) -> Option<u32> {
        self.segment.map(|s| source.wrapping_add(s.timestamp))
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
