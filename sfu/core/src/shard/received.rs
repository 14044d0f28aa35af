//! An authentic RTP packet: whose stream, which packet of it, what is in it; then it is kept and forwarded.

use std::time::Instant;

use super::member::Track;
use super::{Drop, Shard};
use crate::forward::{Arrival, Meta, PacketBuffer, inspect};
use crate::rtcp::FEEDBACK_INTERVAL;
use crate::rtp::Header;
use crate::sdp::Extension;
use crate::types::Source;

/// How a packet came that its receiver has called new.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// When it came to the server.
    pub at: Instant,
    /// By how many ticks of the media clock it is older than the newest, when it is a kept one that another shard has sent.
    pub behind: u32,
    /// So much is missing before it that only a key frame helps.
    pub outage: bool,
    /// A layer has begun with it.
    pub grown: bool,
}

impl Shard {
    pub(super) fn receive(&mut self, now: Instant, key: u32, buffer: &mut PacketBuffer, index: u64) {
        let Ok(mut header) = Header::parse(buffer.datagram()) else {
            self.counters.drop(Drop::Malformed);
            return;
        };
        self.note_arrival(now, key, &header, buffer);
        let known = self
            .members
            .get(key as usize)
            .and_then(|m| m.streams.iter().find(|s| s.ssrc == header.ssrc));
        let Some(stream) = known.copied().or_else(|| self.bind_stream(now, key, &header, buffer)) else {
            self.counters.drop(Drop::UnknownStream);
            return;
        };
        let Self {
            members,
            packets,
            counters,
            clock,
            ..
        } = self;
        let Some(member) = members.get_mut(key as usize) else {
            return;
        };
        let extensions = member.extensions;
        let Some(track) = member.tracks.get_mut(usize::from(stream.track)) else {
            return;
        };
        if track.blocked {
            counters.drop(Drop::Blocked);
            return;
        }
        let mut index = index;
        if stream.rtx {
            match unwrap_rtx(&mut header, buffer, track, usize::from(stream.layer)) {
                Some(original) => index = original,
                // Probe padding, or a retransmission of what never came: nothing for anybody.
                None => return,
            }
        }
        let Some(codec) = track
            .codecs
            .iter()
            .find(|c| c.pt == header.payload_type)
            .map(|c| c.kind)
        else {
            counters.drop(Drop::UnknownCodec);
            return;
        };
        let Some(layer) = track.layers.get_mut(usize::from(stream.layer)) else {
            return;
        };
        let receiver = &mut layer.receiver;
        let outage = match receiver.arrive(index, packets, now) {
            Arrival::New { outage } => outage,
            Arrival::Duplicate => return counters.drop(Drop::Duplicate),
            Arrival::Late => return counters.drop(Drop::Late),
        };
        if stream.rtx {
            counters.recovered += 1;
        } else {
            receiver.measure(header.timestamp, clock.ticks(now, receiver.clock_rate));
        }
        let (meta, malformed) = inspect(buffer.datagram(), header, index, codec, &extensions, &mut layer.shape);
        if malformed {
            counters.malformed_payloads += 1;
        }
        let grown = !track.source.is_audio() && layer.shape.note(&meta.frame, now);
        let length = usize::from(header.payload_end);
        let (spatial, temporal) = (meta.frame.spatial, meta.frame.temporal);
        layer
            .rates
            .note(spatial, temporal, length, meta.starts_key_frame(), now);
        let at = (usize::from(stream.track), usize::from(stream.layer));
        let came = Came {
            at: now,
            behind: 0,
            outage,
            grown,
        };
        self.accept(now, key, at, buffer, meta, came);
    }

    /// Keeps and forwards a packet that its receiver has called new.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        key: u32,
        (track_at, layer_at): (usize, usize),
        buffer: &mut PacketBuffer,
        meta: Meta,
        came: Came,
    ) {
        let Self {
            members,
            packets,
            counters,
            ..
        } = self;
        let Some(member) = members.get_mut(key as usize) else {
            return;
        };
        let here = member.is_here();
        let Some(track) = member.tracks.get_mut(track_at) else {
            return;
        };
        let Some(layer) = track.layers.get_mut(layer_at) else {
            return;
        };
        let receiver = &mut layer.receiver;
        let Some(packet) = packets.keep(buffer, meta) else {
            counters.drop(Drop::SlabFull);
            return;
        };
        if here {
            counters.received += 1;
        } else {
            counters.relays_taken += 1;
        }
        let key_frame = meta.starts_key_frame();
        receiver.keep(meta.index, meta.header.timestamp, packet, key_frame, came.at);
        if came.outage && !track.source.is_audio() {
            receiver.want_key_frame();
        }
        // Somebody waits for this layer, and nothing has been asked of it yet (it was silent, or has begun anew).
        let waited = !layer.waiting.is_empty() && !key_frame && receiver.key_frame_deadline().is_none();
        if waited {
            receiver.want_key_frame();
        }
        let deadline = receiver.gaps.next_deadline();
        let news = !layer.live || !track.started || came.grown;
        layer.live = true;
        track.started = true;
        // Of those elsewhere the level comes by itself.
        let onset = here && track.source == Source::Mic && track.level.packet(meta.audio_level, now);
        let room = member.room;
        if news {
            self.mark_room(room);
        }
        if onset {
            self.onset(now, room);
        }
        if came.outage || waited {
            self.ask_for_key_frame(now, key, track_at, layer_at);
        }
        if let Some(deadline) = deadline {
            self.schedule(key, deadline);
        }
        self.relay(now, key, track_at, layer_at, packet);
        self.forward(now, key, (track_at, layer_at), packet, &meta, came.behind);
    }

    /// For transport-wide feedback: every packet counts, padding and retransmissions too.
    fn note_arrival(&mut self, now: Instant, key: u32, header: &Header, buffer: &mut PacketBuffer) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let Some(arrivals) = &mut member.arrivals else { return };
        let Some(wanted) = member.extensions.id(Extension::TransportCc) else {
            return;
        };
        let found = header.extensions(buffer.datagram()).find(|(id, _)| *id == wanted);
        if let Some((_, &[high, low])) = found {
            arrivals.note(u16::from_be_bytes([high, low]), buffer.arrived.unwrap_or(now));
            if member.arrivals_at.is_none() {
                let at = now + FEEDBACK_INTERVAL;
                member.arrivals_at = Some(at);
                self.schedule(key, at);
            }
        }
    }
}

/// Makes the original of a retransmission (RFC 4588 section 4) in place and returns its index.
fn unwrap_rtx(header: &mut Header, buffer: &mut PacketBuffer, track: &Track, layer: usize) -> Option<u64> {
    let pt = track.codecs.iter().find(|c| c.rtx_pt == Some(header.payload_type))?.pt;
    let (start, end) = (usize::from(header.payload_start), usize::from(header.payload_end));
    let number = buffer.bytes.get(start..start + 2)?;
    if end <= start + 2 {
        return None;
    }
    header.sequence = u16::from_be_bytes([number[0], number[1]]);
    header.payload_type = pt;
    buffer.bytes.copy_within(start + 2..end, start);
    header.payload_end -= 2;
    buffer.len = end - 2;
    track.layers.get(layer)?.receiver.extend(header.sequence)
}
