//! One RTP stream as it is sent: a viewer's slot, continuous whatever source it carries.

use std::time::{Duration, Instant};

use super::clock::ShardClock;
use super::slab::{Meta, PacketKey, Slab};
use crate::rtp::vp8::{Newest, Offsets};
use crate::rtp::{MAX_HEADER, OutExtensions, OutHeader, extend, write_header};
use crate::sdp::CodecKind;

/// Packets of a slot that can be sent again: 8 bytes each. At 500 packets a second, a second.
const HISTORY: usize = 512;
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

#[derive(Clone, Copy, Debug)]
struct Sent {
    place: u32,
    generation: u16,
    /// When it was last sent again, in units of 4 ms, never 0; 0: not yet.
    resent: u16,
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
    history: Box<[Sent]>,
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
            history: vec![
                Sent {
                    place: u32::MAX,
                    generation: 0,
                    resent: 0
                };
                HISTORY
            ]
            .into_boxed_slice(),
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
        let (place, generation) = key.parts();
        self.history[index as usize % HISTORY] = Sent {
            place,
            generation,
            resent: 0,
        };
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
        let sent = self.history.get_mut(index as usize % HISTORY)?;
        let key = PacketKey::from_parts(sent.place, sent.generation);
        // The place may hold a packet of a former lap, or of a former source: its own number tells.
        let (_, meta) = slab.get(key)?;
        if meta.index.checked_add_signed(segment.offset) != Some(index) {
            return None;
        }
        let tick = (now / 4) as u16 | 1;
        let pause = (round_trip.as_millis() / 4).min(1_000) as u16;
        if sent.resent != 0 && tick.wrapping_sub(sent.resent) < pause {
            return None;
        }
        sent.resent = tick;
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
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::forward::PacketBuffer;
    use crate::rtp::Header;
    use crate::rtp::vp8::Descriptor;

    fn slot() -> Outgoing {
        let config = SlotConfig {
            mid: "7".into(),
            ssrc: 1_000,
            rtx_ssrc: Some(1_001),
            codecs: [(CodecKind::Vp8, 96, Some(97))].into(),
            clock_rate: 90_000,
            extensions: [Some(4), None, None],
        };
        Outgoing::new(config, [0xffff_ffff, 7])
    }

    fn received(slab: &mut Slab, index: u64, timestamp: u32, picture: u16) -> (PacketKey, Meta) {
        let mut buffer = PacketBuffer::default();
        let bytes = [
            0x80,
            120,
            (index >> 8) as u8,
            index as u8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            9, //
            0x90,
            0x80,
            0x80 | (picture >> 8) as u8,
            picture as u8,
            0,
            42,
        ];
        buffer.bytes[..bytes.len()].copy_from_slice(&bytes);
        buffer.bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
        buffer.len = bytes.len();
        let header = Header::parse(&buffer.bytes[..buffer.len]).unwrap();
        let vp8 = Descriptor::parse(&bytes[12..]);
        let meta = Meta {
            header,
            index,
            codec: CodecKind::Vp8,
            audio_level: None,
            orientation: None,
            vp8,
        };
        (slab.keep(&mut buffer, meta).unwrap(), meta)
    }

    fn write(slot: &mut Outgoing, slab: &Slab, key: PacketKey) -> Option<(Vec<u8>, u64)> {
        let (bytes, meta) = slab.get(key).unwrap();
        let mut out = [0; 200];
        slot.write(&mut out, bytes, meta, key)
            .map(|(len, index)| (out[..len].to_vec(), index))
    }

    proptest! {
        #[test]
        fn sequence_timestamp_and_picture_id_continue_over_switches(
            sources in proptest::collection::vec((0_u64..1 << 20, any::<u32>(), 0_u16..0x8000, 1_usize..20), 1..8),
        ) {
            let start = Instant::now();
            let clock = ShardClock::new(start);
            let mut slab = Slab::default();
            let mut slot = slot();
            let mut last: Option<(u64, u32, u16)> = None;
            let mut used = BTreeSet::new();
            for (n, (index, timestamp, picture, count)) in sources.into_iter().enumerate() {
                slot.leave();
                for i in 0..count {
                    let now = start + Duration::from_millis(700 * n as u64 + 33 * i as u64);
                    let at = timestamp.wrapping_add(3_000 * i as u32);
                    let (key, meta) = received(&mut slab, index + i as u64, at, picture.wrapping_add(i as u16) & 0x7fff);
                    if !slot.entered() {
                        slot.enter(&meta, 0, 5, now, &clock);
                    }
                    let (bytes, out) = write(&mut slot, &slab, key).unwrap();
                    prop_assert!(used.insert(out), "an index was used twice");
                    let header = Header::parse(&bytes).unwrap();
                    prop_assert_eq!(header.sequence, out as u16);
                    let sent = Descriptor::parse(header.payload(&bytes)).unwrap().picture;
                    if let Some((index, time, picture)) = last {
                        prop_assert_eq!(out, index + 1);
                        prop_assert!((1..1 << 20).contains(&header.timestamp.wrapping_sub(time)));
                        prop_assert_eq!(sent, (picture + 1) & 0x7fff);
                    }
                    last = Some((out, header.timestamp, sent));
                }
            }
        }
    }

    #[test]
    fn a_packet_from_before_the_switch_is_dropped() {
        let now = Instant::now();
        let mut slab = Slab::default();
        let mut slot = slot();
        let (late, _) = received(&mut slab, 99, 0, 1);
        let (key, meta) = received(&mut slab, 100, 0, 2);
        slot.enter(&meta, 0, 5, now, &ShardClock::new(now));
        assert!(write(&mut slot, &slab, late).is_none());
        assert!(write(&mut slot, &slab, key).is_some());
    }

    #[test]
    fn a_nack_is_answered_once_a_round_trip_with_the_original_number_in_front() {
        let now = Instant::now();
        let rtt = Duration::from_millis(100);
        let mut slab = Slab::default();
        let mut slot = slot();
        let (key, meta) = received(&mut slab, 70_000, 0, 2);
        slot.enter(&meta, 0, 5, now, &ShardClock::new(now));
        let (plain, index) = write(&mut slot, &slab, key).unwrap();
        let answer = slot.nacked(index as u16, &slab, 1_000, rtt).unwrap();
        assert_eq!(answer, Answer { key, index });
        assert_eq!(
            slot.nacked(index as u16, &slab, 1_050, rtt),
            None,
            "within the round trip"
        );
        assert!(slot.nacked(index as u16, &slab, 1_104, rtt).is_some());
        assert_eq!(slot.nacked(index as u16 + 1, &slab, 1_000, rtt), None, "never sent");

        let mut out = [0; 200];
        let (bytes, meta) = slab.get(key).unwrap();
        let (len, first) = slot.write_rtx(&mut out, bytes, meta, index).unwrap();
        let header = Header::parse(&out[..len]).unwrap();
        assert_eq!((header.ssrc, header.payload_type), (1_001, 97));
        let payload = header.payload(&out[..len]);
        assert_eq!(payload[..2], (index as u16).to_be_bytes());
        assert_eq!(&payload[2..], Header::parse(&plain).unwrap().payload(&plain));
        let (bytes, meta) = slab.get(key).unwrap();
        let (_, second) = slot.write_rtx(&mut out, bytes, meta, index).unwrap();
        assert_eq!(second, first + 1);

        slab.free(key);
        assert_eq!(
            slot.nacked(index as u16, &slab, 9_000, rtt),
            None,
            "gone from the cache"
        );
    }
}
