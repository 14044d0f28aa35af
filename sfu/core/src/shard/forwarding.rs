//! From a kept packet to every slot that carries its layer.

use std::time::Instant;

use super::member::Viewer;
use super::{Drop, Shard};
use crate::forward::{GROWTH, Meta, PacketKey};
use crate::transport::MAX_SEAL_OVERHEAD;

impl Shard {
    /// Sends a new packet of a layer to its viewers.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        key: u32,
        track: usize,
        layer: usize,
        packet: PacketKey,
        meta: &Meta,
    ) {
        let mut behind = None;
        if meta.starts_key_frame() {
            behind = self.begin_waiting(now, key, track, layer, meta);
        }
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let csrc = member.id.0;
        let viewers = std::mem::take(&mut member.tracks[track].layers[layer].viewers);
        for viewer in &viewers {
            self.send(now, *viewer, packet, csrc);
        }
        if let Some(member) = self.members.get_mut(key as usize) {
            member.tracks[track].layers[layer].viewers = viewers;
        }
        if let Some((viewers, newest)) = behind {
            self.catch_up(now, key, (track, layer), (meta.index + 1, newest), &viewers);
        }
    }

    /// A key frame begins: whoever waits for this layer switches to it. When the packet came late (a retransmission), the
    /// rest of the frame has gone by already; then the result says who must be sent it, up to which index.
    fn begin_waiting(
        &mut self,
        now: Instant,
        key: u32,
        track: usize,
        layer: usize,
        meta: &Meta,
    ) -> Option<(Vec<Viewer>, u64)> {
        let state = &self.members.get(key as usize)?.tracks[track].layers[layer];
        let newest = state.receiver.newest();
        let behind = (newest > meta.index && !state.waiting.is_empty()).then(|| (state.waiting.clone(), newest));
        self.switch_waiting(now, key, track, layer, meta, 0);
        behind
    }

    /// Sends the kept packets of a layer from one index to another to some of its viewers.
    fn catch_up(
        &mut self,
        now: Instant,
        key: u32,
        (track, layer): (usize, usize),
        (first, last): (u64, u64),
        viewers: &[Viewer],
    ) {
        for index in first..=last {
            let Some(publisher) = self.members.get(key as usize) else {
                break;
            };
            let csrc = publisher.id.0;
            let Some(packet) = publisher.tracks[track].layers[layer].receiver.cached(index) else {
                continue;
            };
            for viewer in viewers {
                self.send(now, *viewer, packet, csrc);
            }
        }
    }

    /// Rewrites, seals and queues one packet for one slot.
    fn send(&mut self, now: Instant, viewer: Viewer, packet: PacketKey, csrc: u32) {
        let Self {
            members,
            packets,
            arena,
            counters,
            clock,
            ..
        } = self;
        let Some((bytes, meta)) = packets.get(packet) else {
            return;
        };
        let Some(member) = members.get_mut(viewer.member as usize) else {
            return;
        };
        let Some(path) = member.transport.path().filter(|_| member.connected) else {
            return;
        };
        let Some(slot) = member.slots.get_mut(usize::from(viewer.slot)) else {
            return;
        };
        if !slot.out.entered() {
            // Sound may begin anywhere; video enters with a key frame, in `switch_waiting`.
            slot.out.enter(meta, 0, csrc, now, clock);
        }
        let Some(out) = arena.reserve(bytes.len() + GROWTH + MAX_SEAL_OVERHEAD) else {
            counters.drop(Drop::ArenaFull);
            return;
        };
        let Some((len, index)) = slot.out.write(out, bytes, meta, packet) else {
            counters.drop(Drop::Late);
            return;
        };
        match member.transport.seal_rtp(out, len, index) {
            Ok(sealed) => {
                arena.commit(path, sealed);
                counters.forwarded += 1;
            }
            Err(_) => counters.drop(Drop::Seal),
        }
    }

    /// Moves the slots that wait for this layer to it. `first` begins a key frame, `age` media ticks ago.
    fn switch_waiting(&mut self, now: Instant, key: u32, track: usize, layer: usize, first: &Meta, age: u32) {
        let Some(publisher) = self.members.get_mut(key as usize) else {
            return;
        };
        let csrc = publisher.id.0;
        if publisher.tracks[track].layers[layer].waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut publisher.tracks[track].layers[layer].waiting);
        for viewer in waiting.drain(..) {
            let Some(member) = self.members.get_mut(viewer.member as usize) else {
                continue;
            };
            let Some(slot) = member.slots.get_mut(usize::from(viewer.slot)) else {
                continue;
            };
            let Some(bound) = &mut slot.bound else { continue };
            let former = bound.current.replace(layer as u8);
            bound.next = None;
            slot.out.enter(first, age, csrc, now, &self.clock);
            self.bindings_changed(viewer.member);
            if let Some(publisher) = self.members.get_mut(key as usize) {
                let layers = &mut publisher.tracks[track].layers;
                if let Some(former) = former.and_then(|former| layers.get_mut(usize::from(former))) {
                    former.viewers.retain(|v| *v != viewer);
                }
                layers[layer].viewers.push(viewer);
            }
            self.report_soon(now, viewer.member);
        }
        if let Some(publisher) = self.members.get_mut(key as usize) {
            publisher.tracks[track].layers[layer].waiting = waiting;
        }
    }

    /// At bind: begins with the cached key frame when it is fresh. Returns whether it did.
    pub(super) fn replay(&mut self, now: Instant, key: u32, track: usize, layer: usize) -> bool {
        let Some(publisher) = self.members.get(key as usize) else {
            return false;
        };
        let receiver = &publisher.tracks[track].layers[layer].receiver;
        let Some(first) = receiver.fresh_key_frame(now) else {
            return false;
        };
        let newest = receiver.newest();
        let meta = |index| {
            receiver
                .cached(index)
                .and_then(|packet| self.packets.get(packet))
                .map(|(_, meta)| *meta)
        };
        let (Some(first_meta), Some(last_meta)) = (meta(first), meta(newest)) else {
            return false;
        };
        let age = last_meta.header.timestamp.wrapping_sub(first_meta.header.timestamp);
        let waiting = publisher.tracks[track].layers[layer].waiting.clone();
        self.switch_waiting(now, key, track, layer, &first_meta, age);
        self.catch_up(now, key, (track, layer), (first, newest), &waiting);
        true
    }

    /// Answers one NACKed sequence number of a slot, if it may.
    pub(super) fn retransmit(&mut self, now: Instant, viewer: Viewer, sequence: u16) {
        let Self {
            members,
            packets,
            arena,
            counters,
            clock,
            ..
        } = self;
        let Some(member) = members.get_mut(viewer.member as usize) else {
            return;
        };
        let Some(path) = member.transport.path() else { return };
        let Some(slot) = member.slots.get_mut(usize::from(viewer.slot)) else {
            return;
        };
        let Some(answer) = slot.out.nacked(sequence, packets, clock.millis(now), member.round_trip) else {
            return;
        };
        let Some((bytes, meta)) = packets.get(answer.key) else {
            return;
        };
        if member.retransmission_budget < bytes.len() {
            counters.drop(Drop::RetransmissionCap);
            return;
        }
        member.retransmission_budget -= bytes.len();
        let Some(out) = arena.reserve(bytes.len() + GROWTH + MAX_SEAL_OVERHEAD) else {
            counters.drop(Drop::ArenaFull);
            return;
        };
        let Some((len, index)) = slot.out.write_rtx(out, bytes, meta, answer.index) else {
            return;
        };
        match member.transport.seal_rtp(out, len, index) {
            Ok(sealed) => {
                arena.commit(path, sealed);
                counters.retransmitted += 1;
            }
            Err(_) => counters.drop(Drop::Seal),
        }
    }
}
