//! Received streams: what an SSRC is, and what happens to its viewers when it begins anew.

use std::time::{Duration, Instant};

use super::Shard;
use super::member::{Bound, MAX_STREAMS, Stream, Track};
use crate::forward::{PacketBuffer, Shape};
use crate::rtp::Header;
use crate::sdp::Extension;

/// A layer's stream may begin anew (another SSRC) this often. Each time costs a fresh cache, and its viewers a key frame; what
/// a publisher sends under yet another SSRC before that is dropped.
const BEGIN_INTERVAL: Duration = Duration::from_millis(300);

impl Shard {
    /// Finds out what an SSRC is that we have not heard of: by MID and RID, else by payload type (WHIP publishers that use
    /// neither; declared SSRCs are known already).
    pub(super) fn bind_stream(
        &mut self,
        now: Instant,
        key: u32,
        header: &Header,
        buffer: &mut PacketBuffer,
    ) -> Option<Stream> {
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
        let began = track.layers.get(layer)?.began;
        if !rtx && began.is_some_and(|at| now.saturating_duration_since(at) < BEGIN_INTERVAL) {
            return None;
        }
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
            self.begin_stream(now, key, at, layer, header.ssrc);
        }
        Some(stream)
    }

    /// A layer's numbers begin anew: video slots wait for its next key frame, audio slots enter with the next packet.
    fn forsake_viewers(&mut self, key: u32, track: usize, layer: usize) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let audio = member.tracks[track].source.is_audio();
        let mut viewers = std::mem::take(&mut member.tracks[track].layers[layer].viewers);
        let mut waiting = Vec::new();
        for viewer in &viewers {
            let Some(slot) = self.slot_mut(*viewer) else { continue };
            slot.out.leave();
            if let Some(bound) = slot.bound.as_mut().filter(|_| !audio) {
                bound.current = None;
                // Who waits for another layer already goes on waiting for that one.
                if bound.next.is_none() {
                    bound.next = Some(layer as u8);
                    waiting.push(*viewer);
                }
            }
        }
        if let Some(layer) = self.layer_mut(key, track, layer) {
            if !audio {
                viewers.clear();
            }
            layer.viewers = viewers;
            layer.waiting.append(&mut waiting);
        }
        self.wants_changed(key);
    }

    /// What was sent in this layer is of no use to anybody any more (it was blocked, or let through again).
    pub(super) fn restart_layer(&mut self, now: Instant, key: u32, track: usize, layer: usize) {
        self.forsake_viewers(key, track, layer);
        if self.layer_mut(key, track, layer).is_some_and(|l| !l.waiting.is_empty()) {
            self.want_key_frame(now, key, track, layer);
        }
    }

    /// A layer's sender has another SSRC, or its first. Whoever waits is noticed when its next packet is kept.
    pub(super) fn begin_stream(&mut self, now: Instant, key: u32, track: usize, layer: usize, ssrc: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        member.tracks[track].layers[layer].began = Some(now);
        // A stand-in's is what the publisher's home tells.
        if member.is_here() {
            member.tracks[track].layers[layer].shape = Shape::default();
        }
        if member.tracks[track].layers[layer].ssrc.replace(ssrc).is_none() {
            return;
        }
        let mut old = member.tracks[track].reset(layer);
        old.drop_cache(&mut self.packets);
        self.forsake_viewers(key, track, layer);
    }

    /// After an outage the viewer may have lost anything: key frames for all that they see, and all bindings again.
    pub(super) fn refresh_after_restart(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        member.told.clear();
        let bound: Vec<Bound> = member.slots.iter().filter_map(|slot| slot.bound).collect();
        for bound in bound {
            if let Some(layer) = bound.current.or(bound.next) {
                self.want_key_frame(now, bound.member, usize::from(bound.track), usize::from(layer));
            }
        }
        self.bindings_changed(key);
    }
}
