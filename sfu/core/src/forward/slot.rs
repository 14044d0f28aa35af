//! One RTP stream as it is sent: a viewer's slot, continuous whatever source it carries.

use std::time::{Duration, Instant};

use super::clock::ShardClock;
use super::filter::Filter;
use super::history::History;
use super::runs::Runs;
use super::slab::{Meta, PacketKey, Payload, Slab};
use crate::rtp::{MAX_HEADER, Newest, Numbers, OutExtensions, OutHeader, Target, extend, red, write_header};
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
    /// Ids of mid, audio level, orientation and dependency descriptor.
    pub extensions: [Option<u8>; 4],
    /// Id of the transport-wide sequence number, when its feedback was agreed.
    pub transport_cc: Option<u8>,
}

/// How one source's numbers become the slot's, from one source switch to the next.
#[derive(Clone, Copy, Debug)]
struct Segment {
    first_in: u64,
    first_out: u64,
    timestamp: u32,
    numbers: Numbers,
    codec: CodecKind,
    csrc: u32,
}

/// Whether a slot takes a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes out.
    Send,
    /// It belongs to a layer that the viewer does not get.
    LeftOut {
        /// The layer that the viewer should get cannot be entered without a key frame.
        needs_key_frame: bool,
    },
    /// The viewer has not negotiated its codec.
    Undecodable,
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
    newest_numbers: Newest,
    newest_in: u64,
    filter: Filter,
    runs: Runs,
    /// The picture that was left out last.
    left_out: Option<u16>,
    newest_timestamp: Option<u32>,
    history: History,
    packets: u32,
    octets: u32,
    number: Option<u16>,
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
            newest_numbers: Newest::new(seed[1] as u16),
            newest_in: 0,
            filter: Filter::default(),
            runs: Runs::default(),
            left_out: None,
            newest_timestamp: None,
            history: History::new(),
            packets: 0,
            octets: 0,
            number: None,
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
            timestamp: start.wrapping_sub(first.header.timestamp),
            numbers: self.newest_numbers.enter(first.numbers()),
            codec: first.codec,
            csrc,
        });
        self.newest_in = first.index.saturating_sub(1);
        self.filter.restart();
        self.runs.restart();
        self.left_out = None;
        self.report_due = true;
    }

    /// Which layers of its stream the viewer should get, as soon as a frame allows it.
    pub fn want(&mut self, target: Target) {
        self.filter.want(target);
    }

    /// The layers that the viewer gets.
    pub fn target(&self) -> Target {
        self.filter.now()
    }

    /// Whether this packet begins with another codec than the one that the slot carries: it must be entered anew.
    pub(crate) fn changes_codec(&self, meta: &Meta) -> bool {
        meta.starts_key_frame() && self.segment.is_some_and(|segment| segment.codec != meta.codec)
    }

    /// Decides about a packet of the slot's source. Packets in order are judged by their layer; one that comes late has its
    /// number reserved and fills its place.
    pub(crate) fn admit(&mut self, meta: &Meta) -> Admission {
        let Some(segment) = self.segment else {
            return Admission::Send;
        };
        let audio = matches!(meta.codec, CodecKind::Opus | CodecKind::Red);
        if self.payload_type(meta).is_none() || (segment.codec != meta.codec && !audio) {
            return Admission::Undecodable;
        }
        if audio || meta.index <= self.newest_in || meta.index < segment.first_in {
            return Admission::Send;
        }
        self.newest_in = meta.index;
        let verdict = self.filter.decide(&meta.frame);
        if verdict.pass {
            return Admission::Send;
        }
        // Only VP8's receivers take a hole in the picture ids for a loss.
        let new_picture = match meta.payload {
            Payload::Vp8(descriptor) => self.left_out.replace(descriptor.picture) != Some(descriptor.picture),
            _ => false,
        };
        self.runs.leave_out((meta.index - segment.first_in) as u32, new_picture);
        Admission::LeftOut {
            needs_key_frame: verdict.needs_key_frame,
        }
    }

    /// The slot's index of a packet, and how its numbers are moved.
    fn place(&self, segment: &Segment, meta: &Meta) -> Option<(u64, Numbers)> {
        let packet = meta.index.checked_sub(segment.first_in)?;
        let (left_out, pictures) = self.runs.before(packet as u32)?;
        let mut numbers = segment.numbers;
        numbers.picture = numbers.picture.wrapping_sub(pictures);
        Some((segment.first_out + packet.checked_sub(left_out.into())?, numbers))
    }

    /// Writes the packet as this slot sends it and returns its length and index, or `None` when it does not belong here:
    /// it came late at a switch, or its codec was not negotiated. The caller seals and sends it, once.
    pub fn write(&mut self, out: &mut [u8], packet: &[u8], meta: &Meta, key: PacketKey) -> Option<(usize, u64)> {
        let segment = self.segment?;
        let (index, numbers) = self.place(&segment, meta)?;
        let (pt, _) = self.payload_type(meta)?;
        let stream = (pt, self.config.ssrc, index as u16);
        let len = self.assemble(out, packet, meta, &segment, numbers, stream, None)?;
        if index >= self.next {
            self.next = index + 1;
            self.newest_timestamp = Some(meta.header.timestamp.wrapping_add(segment.timestamp));
        }
        self.newest_numbers.note(meta.numbers().moved(numbers));
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
        let key = self.history.at(index).key();
        // The place may hold a packet of a former lap, or of a former source: its own number tells.
        let (_, meta) = slab.get(key)?;
        if self.place(&segment, meta).map(|(place, _)| place) != Some(index)
            || !self.history.at(index).resend(now, round_trip)
        {
            return None;
        }
        Some(Answer { key, index })
    }

    /// Writes a retransmission (RFC 4588 section 4) and returns its length and its own index.
    pub fn write_rtx(&mut self, out: &mut [u8], packet: &[u8], meta: &Meta, index: u64) -> Option<(usize, u64)> {
        let segment = self.segment?;
        let (_, Some(pt)) = self.payload_type(meta)? else {
            return None;
        };
        let (_, numbers) = self.place(&segment, meta)?;
        let rtx = self.next_rtx;
        let stream = (pt, self.config.rtx_ssrc?, rtx as u16);
        let len = self.assemble(out, packet, meta, &segment, numbers, stream, Some(index as u16))?;
        self.next_rtx += 1;
        Some((len, rtx))
    }

    /// The transport-wide number of the packet that is written next. `true`: it will carry it.
    pub(crate) fn number_next(&mut self, number: Option<u16>) -> bool {
        self.number = number.filter(|_| self.config.transport_cc.is_some());
        self.number.is_some()
    }

    /// Whether [`Self::write_padding`] has a stream to write into.
    pub(crate) fn can_pad(&self) -> bool {
        self.config.rtx_ssrc.is_some() && self.config.transport_cc.is_some()
    }

    /// Whether the slot has sent anything yet.
    pub(crate) fn has_sent(&self) -> bool {
        self.packets > 0
    }

    /// Writes a packet of the retransmission stream that is all padding (RFC 3550 section 5.1), and returns its length and
    /// index. One byte says how much it is, so 255 is the most.
    pub(crate) fn write_padding(&mut self, out: &mut [u8], bytes: usize) -> Option<(usize, u64)> {
        let rtx = self.next_rtx;
        let header = OutHeader {
            marker: false,
            payload_type: self.config.codecs.iter().find_map(|(_, _, rtx)| *rtx)?,
            sequence: rtx as u16,
            timestamp: self.newest_timestamp.unwrap_or(self.base),
            ssrc: self.config.rtx_ssrc?,
            csrc: None,
        };
        let extensions = OutExtensions {
            mid: self.config.extensions[0].map(|id| (id, self.config.mid.as_bytes())),
            transport_cc: self.config.transport_cc.zip(self.number),
            ..OutExtensions::default()
        };
        let at = write_header(out, &header, &extensions)?;
        let count = bytes.clamp(1, 255) as u8;
        let padding = out.get_mut(at..at + usize::from(count))?;
        padding.fill(0);
        *padding.last_mut()? = count;
        out[0] |= 0x20;
        self.next_rtx += 1;
        Some((at + usize::from(count), rtx))
    }

    fn codec(&self, codec: CodecKind) -> Option<(u8, Option<u8>)> {
        self.config
            .codecs
            .iter()
            .find(|(kind, ..)| *kind == codec)
            .map(|(_, pt, rtx)| (*pt, *rtx))
    }

    /// Redundant audio goes to who has not negotiated it as its newest block.
    fn payload_type(&self, meta: &Meta) -> Option<(u8, Option<u8>)> {
        self.codec(meta.codec).or_else(|| match meta.payload {
            Payload::Red(_) => self.codec(CodecKind::Opus),
            _ => None,
        })
    }

    #[allow(clippy::too_many_arguments, reason = "one place builds both kinds of packet")]
    fn assemble(
        &self,
        out: &mut [u8],
        packet: &[u8],
        meta: &Meta,
        segment: &Segment,
        numbers: Numbers,
        (payload_type, ssrc, sequence): (u8, u32, u16),
        original: Option<u16>,
    ) -> Option<usize> {
        let header = OutHeader {
            marker: meta.header.marker || self.filter.ends_picture(&meta.frame),
            payload_type,
            sequence,
            timestamp: meta.header.timestamp.wrapping_add(segment.timestamp),
            ssrc,
            csrc: Some(segment.csrc),
        };
        let [mid, level, orientation, dependency] = self.config.extensions;
        let number = meta.frame.number.map(|number| number.wrapping_add(numbers.frame));
        let descriptor = meta
            .dependency
            .and_then(|(at, len)| packet.get(usize::from(at)..usize::from(at) + usize::from(len)));
        let extensions = OutExtensions {
            mid: mid.map(|id| (id, self.config.mid.as_bytes())),
            audio_level: level.zip(meta.audio_level),
            orientation: orientation.zip(meta.orientation),
            transport_cc: self.config.transport_cc.zip(self.number),
            dependency: dependency
                .zip(descriptor.zip(number))
                .map(|(id, (descriptor, number))| (id, descriptor, number)),
        };
        let mut at = write_header(out, &header, &extensions)?;
        if let Some(original) = original {
            out.get_mut(at..at + 2)?.copy_from_slice(&original.to_be_bytes());
            at += 2;
        }
        let mut payload = meta.header.payload(packet);
        let redundant = self.codec(CodecKind::Red).is_some();
        if let (Payload::Red(newest), false) = (meta.payload, redundant) {
            payload = payload.get(usize::from(newest)..)?;
        }
        let copy = out.get_mut(at..at + payload.len())?;
        copy.copy_from_slice(payload);
        match meta.payload {
            Payload::Vp8(descriptor) => descriptor.rewrite(copy, numbers),
            Payload::Vp9(descriptor) => descriptor.rewrite(copy, numbers),
            // The blocks name their codec by the publisher's payload type.
            Payload::Red(_) if redundant => {
                if let Some((opus, _)) = self.codec(CodecKind::Opus) {
                    red::rewrite(copy, opus);
                }
            }
            Payload::Red(_) | Payload::Plain => {}
        }
        Some(at + payload.len())
    }

    /// For the fuzzer: the number of the next packet.
    #[cfg(feature = "fuzzing")]
    pub fn next_sequence(&self) -> u16 {
        self.next as u16
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
