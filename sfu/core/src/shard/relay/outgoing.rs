//! From a publisher's home to where viewers are, packets and clocks; and back, what those viewers want.

use std::time::Instant;

use super::super::{Drop, Shard};
use super::Word;
use super::outbox::Crossing;
use crate::forward::PacketKey;
use crate::types::ParticipantId;

impl Shard {
    /// Lets a kept packet cross to the shards that want its layer.
    pub(in crate::shard) fn relay(&mut self, now: Instant, key: u32, track: usize, layer: usize, packet: PacketKey) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let to = member.tracks[track].layers[layer].relays;
        if to == 0 {
            return;
        }
        let crossing = crossing(member.id, (key, track, layer), packet, now, to);
        if !self.outbox.packet(crossing) {
            self.counters.drop(Drop::RelayFull);
        }
    }

    /// A shard, the bit `to`, begins to watch a stream: it is sent the cached key frame when that is fresh, and all that came
    /// since, so that its viewers need not wait for the publisher to make another.
    pub(in crate::shard) fn relay_cached(&mut self, now: Instant, key: u32, track: usize, layer: usize, to: u64) {
        let Self {
            members,
            packets,
            outbox,
            counters,
            ..
        } = self;
        let Some(member) = members.get(key as usize) else {
            return;
        };
        let receiver = &member.tracks[track].layers[layer].receiver;
        let Some(first) = receiver.fresh_key_frame(now) else {
            return;
        };
        let newest = receiver.newest();
        let timestamp = |packet| packets.get(packet).map(|(_, meta)| meta.header.timestamp);
        let Some(last) = receiver.cached(newest).and_then(timestamp) else {
            return;
        };
        for index in first..=newest {
            let Some((packet, at)) = receiver.cached_since(index) else {
                continue;
            };
            let crossing = Crossing {
                behind: timestamp(packet).map_or(0, |timestamp| last.wrapping_sub(timestamp)),
                ..crossing(member.id, (key, track, layer), packet, at, to)
            };
            if !outbox.packet(crossing) {
                return counters.drop(Drop::RelayFull);
            }
        }
    }

    /// Tells the shards that want a stream what its sender report said; `to`: one bit for each.
    pub(in crate::shard) fn tell_clock(&mut self, key: u32, track: u8, layer: u8, to: u64) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let state = member.tracks.get(usize::from(track));
        let state = state.and_then(|track| track.layers.get(usize::from(layer)));
        let Some((ntp, rtp, at)) = state.and_then(|layer| layer.receiver.clock.newest_report()) else {
            return;
        };
        let mut to = to;
        while to != 0 {
            let shard = to.trailing_zeros() as u8;
            to &= to - 1;
            let clock = Word::Clock {
                participant: member.id,
                track,
                layer,
                ntp,
                rtp,
                at,
            };
            self.outbox.word(shard, clock);
        }
    }

    /// A key frame is wanted of a stand-in's stream: its home asks the publisher.
    pub(in crate::shard) fn pass_key_frame_request(&mut self, now: Instant, key: u32, track: usize, layer: usize) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let state = &mut member.tracks[track].layers[layer];
        if !state.live {
            state.receiver.drop_key_frame_request();
            return;
        }
        let ask = state.receiver.ask_for_key_frame(now);
        let later = state.receiver.key_frame_deadline();
        if ask {
            let word = Word::KeyFrame {
                participant: member.id,
                track: track as u8,
                layer: layer as u8,
            };
            self.outbox.word(member.home, word);
        }
        if let Some(later) = later {
            self.schedule(key, later);
        }
    }

    /// Slots have been linked to a publisher's layers, or unlinked. Only a stand-in's home must hear of it.
    pub(in crate::shard) fn wants_changed(&mut self, key: u32) {
        if let Some(member) = self.members.get_mut(key as usize)
            && !member.is_here()
            && !member.wants_dirty
        {
            member.wants_dirty = true;
            self.dirty_wants.push(key);
        }
    }

    /// Tells homes what is wanted now of their publishers' streams.
    pub(in crate::shard) fn settle_wants(&mut self) {
        while let Some(key) = self.dirty_wants.pop() {
            let Some(member) = self.members.get_mut(key as usize).filter(|member| !member.is_here()) else {
                continue;
            };
            member.wants_dirty = false;
            for at in 0..self.members.get(key as usize).map_or(0, |member| member.tracks.len()) {
                self.tell_wants(key, at, None);
            }
        }
    }

    /// Tells the home what is wanted of a stand-in's track, if that changed. `layers`: for dynacast, when it was found out.
    pub(in crate::shard) fn tell_wants(&mut self, key: u32, at: usize, layers: Option<u32>) {
        let Self {
            members,
            packets,
            outbox,
            ..
        } = self;
        let Some(member) = members.get_mut(key as usize) else {
            return;
        };
        let Some(track) = member.tracks.get_mut(at) else { return };
        let mut streams = 0_u8;
        for (bit, layer) in track.layers.iter().enumerate() {
            let wanted = !(layer.viewers.is_empty() && layer.waiting.is_empty());
            streams |= u8::from(wanted) << bit;
        }
        let (before, known) = track.watched.asked.unwrap_or_default();
        let layers = layers.unwrap_or(known);
        if track.watched.asked.replace((streams, layers)) == Some((streams, layers)) {
            return;
        }
        for (bit, layer) in track.layers.iter_mut().enumerate() {
            // What no longer comes would never grow old.
            if before & !streams & 1 << bit != 0 {
                layer.receiver.drop_cache(packets);
            }
        }
        let word = Word::Watch {
            participant: member.id,
            track: at as u8,
            streams,
            layers,
        };
        outbox.word(member.home, word);
    }
}

/// A packet of a stream (publisher, track, layer) on its way to the shards `to`, as one that has just come.
fn crossing(
    participant: ParticipantId,
    (member, track, layer): (u32, usize, usize),
    packet: PacketKey,
    at: Instant,
    to: u64,
) -> Crossing {
    Crossing {
        participant,
        member,
        track: track as u8,
        layer: layer as u8,
        packet,
        to,
        at,
        behind: 0,
    }
}
