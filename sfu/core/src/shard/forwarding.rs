//! From a kept packet to every slot that carries its layer.

use std::time::{Duration, Instant};

use super::downlink::Downlink;
use super::member::Viewer;
use super::pacing::Waiting;
use super::{Counters, Drop, Shard};
use crate::forward::{Admission, Arena, GROWTH, Meta, Outgoing, PacketKey, Route, ShardClock, Slab};
use crate::transport::{MAX_SEAL_OVERHEAD, Transport};
use crate::types::Path;

impl Shard {
    /// Sends a new packet of a layer to its viewers. `age`: media ticks by which it is older than the newest (a kept one that
    /// another shard has sent).
    pub(super) fn forward(
        &mut self,
        now: Instant,
        key: u32,
        (track, layer): (usize, usize),
        packet: PacketKey,
        meta: &Meta,
        age: u32,
    ) {
        let mut behind = None;
        if meta.starts_key_frame() {
            behind = self.begin_waiting(now, key, (track, layer), meta, age);
        }
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let csrc = member.id.0;
        let viewers = std::mem::take(&mut member.tracks[track].layers[layer].viewers);
        let mut needs_key_frame = false;
        for viewer in &viewers {
            needs_key_frame |= self.send(now, *viewer, packet, (key, track as u8, layer as u8), csrc);
        }
        if let Some(member) = self.members.get_mut(key as usize) {
            member.tracks[track].layers[layer].viewers = viewers;
        }
        if needs_key_frame {
            self.want_key_frame(now, key, track, layer);
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
        (track, layer): (usize, usize),
        meta: &Meta,
        age: u32,
    ) -> Option<(Vec<Viewer>, u64)> {
        let state = &self.members.get(key as usize)?.tracks[track].layers[layer];
        let newest = state.receiver.newest();
        let behind = (newest > meta.index && !state.waiting.is_empty()).then(|| (state.waiting.clone(), newest));
        self.switch_waiting(now, key, (track, layer), meta, age);
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
                self.send(now, *viewer, packet, (key, track as u8, layer as u8), csrc);
            }
        }
    }

    /// Sends one packet of a layer to one slot, when it is its turn. The result is that of [`Self::send_now`].
    fn send(&mut self, now: Instant, viewer: Viewer, packet: PacketKey, from: (u32, u8, u8), csrc: u32) -> bool {
        let item = Waiting {
            slot: viewer.slot,
            packet,
            from,
            csrc,
            again: None,
        };
        !self.hold(now, viewer.member, item) && self.send_now(now, viewer, packet, csrc)
    }

    /// Rewrites, seals and queues one packet for one slot. `true`: the layer that its viewer should get cannot be entered
    /// without a key frame.
    pub(super) fn send_now(&mut self, now: Instant, viewer: Viewer, packet: PacketKey, csrc: u32) -> bool {
        let Some(out) = self.way_out(now, viewer) else {
            return false;
        };
        let Some((bytes, meta)) = out.packets.get(packet) else {
            return false;
        };
        if !out.slot.entered() || out.slot.changes_codec(meta) {
            // Sound may begin anywhere; video enters with a key frame, in `switch_waiting`.
            out.slot.enter(meta, 0, csrc, now, out.clock);
        }
        match out.slot.admit(meta) {
            Admission::Send => {}
            Admission::LeftOut { needs_key_frame } => {
                out.counters.left_out += 1;
                return needs_key_frame;
            }
            Admission::Undecodable => {
                out.counters.drop(Drop::UnknownCodec);
                return false;
            }
        }
        let sent = out.emit(bytes.len(), Drop::Late, |slot, room| {
            slot.write(room, bytes, meta, packet)
        });
        self.counters.forwarded += u64::from(sent);
        false
    }

    /// Moves the slots that wait for this layer to it. `first` begins a key frame that was captured `age` media ticks ago: with an
    /// old one only those begin that show nothing, for the others would jump back in time.
    fn switch_waiting(&mut self, now: Instant, key: u32, (track, layer): (usize, usize), first: &Meta, age: u32) {
        let Some(mut waiting) = self
            .layer_mut(key, track, layer)
            .map(|l| std::mem::take(&mut l.waiting))
        else {
            return;
        };
        waiting.retain(|viewer| {
            let bound = self.slot_mut(*viewer).and_then(|slot| slot.bound);
            let stays = age > 0 && bound.is_some_and(|bound| bound.current.is_some());
            if !stays {
                self.switch(now, *viewer, (key, track, layer), first, age);
            }
            stays
        });
        if let Some(layer) = self.layer_mut(key, track, layer) {
            layer.waiting = waiting;
        }
    }

    /// Moves a slot to a layer, with `first` of a key frame that was captured `age` media ticks ago.
    fn switch(
        &mut self,
        now: Instant,
        viewer: Viewer,
        (key, track, layer): (u32, usize, usize),
        first: &Meta,
        age: u32,
    ) {
        let Some(csrc) = self.members.get(key as usize).map(|publisher| publisher.id.0) else {
            return;
        };
        let clock = self.clock;
        let Some(slot) = self.slot_mut(viewer) else { return };
        let Some(bound) = &mut slot.bound else { return };
        let former = bound.current.replace(layer as u8);
        bound.next = None;
        slot.out.enter(first, age, csrc, now, &clock);
        self.bindings_changed(viewer.member);
        if let Some(former) = self.layer_of(key, track, former) {
            former.viewers.retain(|v| *v != viewer);
        }
        if let Some(layer) = self.layer_mut(key, track, layer) {
            layer.viewers.push(viewer);
        }
        self.wants_changed(key);
        self.report_soon(now, viewer.member);
    }

    /// At bind: begins with the cached key frame when it is fresh. Returns whether it did. Only for a slot that shows nothing:
    /// others that wait for the layer show it in a lesser one, and would jump back in time.
    pub(super) fn replay(&mut self, now: Instant, viewer: Viewer, key: u32, track: usize, layer: usize) -> bool {
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
        if let Some(layer) = self.layer_mut(key, track, layer) {
            layer.waiting.retain(|v| *v != viewer);
        }
        self.switch(now, viewer, (key, track, layer), &first_meta, age);
        self.catch_up(now, key, (track, layer), (first, newest), &[viewer]);
        true
    }

    /// Answers one NACKed sequence number of a slot, if it may.
    pub(super) fn retransmit(&mut self, now: Instant, viewer: Viewer, sequence: u16) {
        let Some(out) = self.way_out(now, viewer) else { return };
        let answer = out
            .slot
            .nacked(sequence, out.packets, out.clock.millis(now), out.round_trip);
        let Some((answer, (bytes, _))) = answer.and_then(|a| Some((a, out.packets.get(a.key)?))) else {
            return;
        };
        if *out.retransmission_budget < bytes.len() {
            out.counters.drop(Drop::RetransmissionCap);
            return;
        }
        *out.retransmission_budget -= bytes.len();
        let Some(bound) = self.slot_mut(viewer).and_then(|slot| slot.bound) else {
            return;
        };
        let Some(layer) = bound.current else { return };
        let item = Waiting {
            slot: viewer.slot,
            packet: answer.key,
            from: (bound.member, bound.track, layer),
            csrc: 0,
            again: Some(answer.index),
        };
        self.repeat(now, viewer.member, item);
        if !self.hold(now, viewer.member, item) {
            self.send_again(now, viewer, answer.key, answer.index);
        }
    }

    /// Plans the second copy of a retransmission, where the path is worth it and the allowance has room for it.
    fn repeat(&mut self, now: Instant, key: u32, item: Waiting) {
        let Some(bytes) = self.packets.get(item.packet).map(|(bytes, _)| bytes.len()) else {
            return;
        };
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let Some(downlink) = member.downlink.as_mut().filter(|downlink| downlink.repeats.help(now)) else {
            return;
        };
        if member.retransmission_budget >= bytes && downlink.repeats.add(now, item) {
            member.retransmission_budget -= bytes;
            if let Some(at) = downlink.next_packet() {
                self.schedule_exactly(key, at);
            }
        }
    }

    /// Sends a kept packet again, under the slot's number `index`.
    pub(super) fn send_again(&mut self, now: Instant, viewer: Viewer, packet: PacketKey, index: u64) {
        let Some(out) = self.way_out(now, viewer) else { return };
        let Some((bytes, meta)) = out.packets.get(packet) else {
            return;
        };
        let sent = out.emit(bytes.len(), Drop::UnknownCodec, |slot, room| {
            slot.write_rtx(room, bytes, meta, index)
        });
        self.counters.retransmitted += u64::from(sent);
    }

    /// What it takes to send to a slot; `None` when its participant cannot be sent to.
    fn way_out(&mut self, now: Instant, viewer: Viewer) -> Option<WayOut<'_>> {
        let member = self.members.get_mut(viewer.member as usize)?;
        let path = member.path().filter(|_| member.connected && !member.lost)?;
        Some(WayOut {
            slot: &mut member.slots.get_mut(usize::from(viewer.slot))?.out,
            path,
            route: &mut member.route,
            downlink: member.downlink.as_mut(),
            now,
            transport: &mut member.peer.as_mut()?.transport,
            round_trip: member.round_trip,
            retransmission_budget: &mut member.retransmission_budget,
            packets: &self.packets,
            arena: &mut self.arena,
            counters: &mut self.counters,
            clock: &self.clock,
        })
    }
}

/// A slot, its participant's transport, and the shard's parts that a packet passes on its way out.
struct WayOut<'a> {
    slot: &'a mut Outgoing,
    path: Path,
    route: &'a mut Route,
    downlink: Option<&'a mut Downlink>,
    now: Instant,
    transport: &'a mut Transport,
    round_trip: Duration,
    retransmission_budget: &'a mut usize,
    packets: &'a Slab,
    arena: &'a mut Arena,
    counters: &'a mut Counters,
    clock: &'a ShardClock,
}

impl WayOut<'_> {
    /// Has a packet made from a received one of `length` bytes written into the arena, seals it there and queues it.
    /// `unfit`: why `write` may refuse.
    fn emit(
        self,
        length: usize,
        unfit: Drop,
        write: impl FnOnce(&mut Outgoing, &mut [u8]) -> Option<(usize, u64)>,
    ) -> bool {
        let Some(room) = self.arena.reserve(length + GROWTH + MAX_SEAL_OVERHEAD) else {
            self.counters.drop(Drop::ArenaFull);
            return false;
        };
        let number = self.downlink.as_deref().and_then(Downlink::number);
        let numbered = self.slot.number_next(number);
        let Some((len, index)) = write(self.slot, room) else {
            self.counters.drop(unfit);
            return false;
        };
        match self.transport.seal_rtp(room, len, index) {
            Ok(sealed) => {
                self.arena.commit(self.route, self.path, sealed);
                if let Some(downlink) = self.downlink.filter(|_| numbered) {
                    downlink.sent(self.now, sealed);
                }
                true
            }
            Err(_) => {
                self.counters.drop(Drop::Seal);
                false
            }
        }
    }
}
