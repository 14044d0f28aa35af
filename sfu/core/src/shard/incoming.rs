//! Datagrams in: whose is it, what is it.

use std::time::Instant;

use super::member::{MAX_PATHS, MAX_STREAMS, Stream, Track};
use super::{Drop, Event, Shard};
use crate::forward::{Arrival, Meta, PacketBuffer};
use crate::rtcp::FEEDBACK_INTERVAL;
use crate::rtp::Header;
use crate::rtp::vp8::{Descriptor, key_frame_height};
use crate::sdp::{CodecKind, Extension};
use crate::transport::ufrag::Ufrag;
use crate::transport::{Incoming, TransportEvent, stun_local_ufrag};
use crate::types::Path;

impl Shard {
    /// Takes one datagram. A media packet is kept: `buffer` then holds other memory.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, buffer: &mut PacketBuffer) {
        let Some(key) = self.owner(&path, buffer.datagram()) else {
            self.counters.drop(Drop::Nobody);
            return;
        };
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        self.working_on = Some(member.room);
        let incoming = member.transport.handle(now, path, buffer.datagram());
        match incoming {
            Incoming::Rtp { len, index } => {
                buffer.len = len;
                self.receive(now, key, buffer, index);
            }
            Incoming::Rtcp { len } => {
                let compound = buffer.bytes.get(..len).unwrap_or_default();
                self.handle_feedback(now, key, compound);
            }
            // Data channels come with a later issue; the transport has authenticated what we drop here.
            Incoming::Nothing | Incoming::Data(_) => {
                self.learn_path(key, path);
                self.reschedule(key);
            }
            Incoming::Dropped(reason) => self.counters.drop_in_transport(reason),
        }
        self.drain_transport(now, key);
        self.settle(now);
        self.working_on = None;
    }

    /// Who may own this datagram: by the user fragment of a check, by a verified path, by SSRC.
    fn owner(&self, path: &Path, datagram: &[u8]) -> Option<u32> {
        let first = *datagram.first()?;
        if first < 4 {
            // STUN: the fragment decides even on a known path, which may have passed to another participant.
            if let Some(place) = stun_local_ufrag(datagram).and_then(Ufrag::decode) {
                let member = self.members.get(place.slot as usize)?;
                let ours = place.node == self.config.node && place.shard == self.config.shard;
                return (ours && member.epoch == place.epoch).then_some(place.slot);
            }
        }
        if let Some(key) = self.by_path.get(path) {
            return Some(*key);
        }
        // RFC 7983: 128 to 191 is RTP or RTCP. A NAT may have given them a new address; the transport limits the attempts.
        if !(128..192).contains(&first) || datagram.len() < 12 {
            return None;
        }
        let at = if (192..224).contains(datagram.get(1)?) { 4 } else { 8 };
        let ssrc = u32::from_be_bytes(datagram.get(at..at + 4)?.try_into().ok()?);
        self.by_ssrc.get(&ssrc).copied()
    }

    fn learn_path(&mut self, key: u32, path: Path) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        if !member.transport.owns_path(&path) || self.by_path.get(&path) == Some(&key) {
            return;
        }
        if member.paths.len() == MAX_PATHS {
            let gone = member.paths.remove(0);
            if self.by_path.get(&gone) == Some(&key) {
                self.by_path.remove(&gone);
            }
        }
        member.paths.push(path);
        self.by_path.insert(path, key);
    }

    /// Takes what the transport wants to send and to say.
    pub(super) fn drain_transport(&mut self, now: Instant, key: u32) {
        while let Some(member) = self.members.get_mut(key as usize) {
            if let Some((path, datagram)) = member.transport.poll_transmit() {
                if !self.arena.push(path, &datagram) {
                    self.counters.drop(Drop::ArenaFull);
                }
                continue;
            }
            let Some(event) = member.transport.poll_event() else {
                break;
            };
            let id = member.id;
            match event {
                TransportEvent::Connected => {
                    member.connected = true;
                    member.report_at = Some(now);
                    let room = member.room;
                    self.event(Event::Connected(id));
                    self.mark_room(room);
                    self.reschedule(key);
                }
                TransportEvent::PathChanged(path) => self.learn_path(key, path),
                TransportEvent::Lost => self.event(Event::Lost(id)),
                TransportEvent::Recovered => {
                    self.event(Event::Recovered(id));
                    self.reschedule(key);
                    self.refresh_after_restart(now, key);
                }
                TransportEvent::Failed(_) | TransportEvent::Closed => {
                    self.remove(now, key);
                    self.event(Event::Closed(id));
                }
            }
        }
    }

    fn receive(&mut self, now: Instant, key: u32, buffer: &mut PacketBuffer, index: u64) {
        let Ok(mut header) = Header::parse(buffer.datagram()) else {
            self.counters.drop(Drop::Malformed);
            return;
        };
        self.note_arrival(now, key, &header, buffer);
        let known = self
            .members
            .get(key as usize)
            .and_then(|m| m.streams.iter().find(|s| s.ssrc == header.ssrc));
        let Some(stream) = known.copied().or_else(|| self.bind_stream(key, &header, buffer)) else {
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
        let datagram = buffer.datagram();
        let mut meta = Meta {
            header,
            index,
            codec,
            audio_level: None,
            orientation: None,
            vp8: None,
        };
        for (id, value) in header.extensions(datagram) {
            match (extensions.extension(id), value.first()) {
                (Some(Extension::AudioLevel), Some(byte)) => meta.audio_level = Some(*byte),
                (Some(Extension::VideoOrientation), Some(byte)) => meta.orientation = Some(*byte),
                _ => {}
            }
        }
        if codec == CodecKind::Vp8 {
            let payload = header.payload(datagram);
            meta.vp8 = Descriptor::parse(payload);
            if meta.starts_key_frame()
                && let Some(height) = key_frame_height(payload)
            {
                layer.height = height;
            }
        }
        let timestamp = header.timestamp;
        let Some(packet) = packets.keep(buffer, meta) else {
            counters.drop(Drop::SlabFull);
            return;
        };
        counters.received += 1;
        receiver.keep(index, timestamp, packet, meta.starts_key_frame(), now);
        if outage && !track.source.is_audio() {
            receiver.want_key_frame();
        }
        // Somebody waits for this layer, and nothing has been asked of it yet (it was silent, or has begun anew).
        let waited = !layer.waiting.is_empty() && !meta.starts_key_frame() && receiver.key_frame_deadline().is_none();
        if waited {
            receiver.want_key_frame();
        }
        let deadline = receiver.gaps.next_deadline();
        let news = !layer.live || !track.started;
        layer.live = true;
        track.started = true;
        let onset = meta.audio_level.is_some_and(|level| track.level.packet(level, now));
        let room = member.room;
        if news {
            self.mark_room(room);
        }
        if onset {
            self.onset(now, room);
        }
        if outage || waited {
            self.ask_for_key_frame(now, key, usize::from(stream.track), usize::from(stream.layer));
        }
        if let Some(deadline) = deadline {
            self.schedule(key, deadline);
        }
        self.forward(
            now,
            key,
            usize::from(stream.track),
            usize::from(stream.layer),
            packet,
            &meta,
        );
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
            arrivals.note(u16::from_be_bytes([high, low]), now);
            if member.arrivals_at.is_none() {
                let at = now + FEEDBACK_INTERVAL;
                member.arrivals_at = Some(at);
                self.schedule(key, at);
            }
        }
    }

    /// Finds out what an SSRC is that we have not heard of: by MID and RID, else by payload type (WHIP publishers that use
    /// neither; declared SSRCs are known already).
    fn bind_stream(&mut self, key: u32, header: &Header, buffer: &mut PacketBuffer) -> Option<Stream> {
        let member = self.members.get_mut(key as usize)?;
        if member.streams.len() >= MAX_STREAMS {
            return None;
        }
        let (mut mid, mut rid, mut repaired) = (None, None, None);
        for (id, value) in header.extensions(buffer.datagram()) {
            match member.extensions.extension(id) {
                Some(Extension::Mid) => mid = Some(value),
                Some(Extension::Rid) => rid = Some(value),
                Some(Extension::RepairedRid) => repaired = Some(value),
                _ => {}
            }
        }
        let pt = header.payload_type;
        let media = |track: &Track| track.codecs.iter().any(|c| c.pt == pt);
        let retransmission = |track: &Track| track.codecs.iter().any(|c| c.rtx_pt == Some(pt));
        let at = match mid {
            Some(mid) => member.tracks.iter().position(|track| track.mid.as_bytes() == mid)?,
            None => {
                let mut fitting = member
                    .tracks
                    .iter()
                    .enumerate()
                    .filter(|(_, t)| media(t) || retransmission(t));
                let first = fitting.next()?.0;
                // Several m-lines share the payload type: an undeclared stream cannot be told apart.
                if fitting.next().is_some() {
                    return None;
                }
                first
            }
        };
        let track = member.tracks.get(at)?;
        let rtx = !media(track);
        if rtx && !retransmission(track) {
            return None;
        }
        let layer = match if rtx { repaired.or(rid) } else { rid } {
            Some(rid) => track.rids.iter().position(|r| r.as_bytes() == rid)?,
            None if track.layers.len() == 1 => 0,
            None => return None,
        };
        let stream = Stream {
            ssrc: header.ssrc,
            track: at as u8,
            layer: layer as u8,
            rtx,
        };
        // A sender that begins anew (another SSRC for the same layer) takes the former one's place.
        let former = member
            .streams
            .iter()
            .position(|s| (s.track, s.layer, s.rtx) == (stream.track, stream.layer, rtx));
        if let Some(former) = former {
            let gone = member.streams.remove(former);
            if self.by_ssrc.get(&gone.ssrc) == Some(&key) {
                self.by_ssrc.remove(&gone.ssrc);
            }
        }
        member.streams.push(stream);
        self.by_ssrc.insert(stream.ssrc, key);
        if !rtx {
            self.begin_stream(key, at, layer, header.ssrc);
        }
        Some(stream)
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
