//! Carries out what [`crate::room`] decides: slots are linked to layers and unlinked from them.

use std::time::Instant;

use super::Shard;
use super::downlink::Allowed;
use super::member::{Bound, Track, Viewer};
use crate::room::{Assigned, Candidate, SlotView, assign, choose_layer};
use crate::rtp::MAX_LAYERS;

impl Shard {
    /// Fills one viewer's slots.
    pub(super) fn assign_viewer(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let Some(room) = self.rooms.get(&member.room) else {
            return;
        };
        if member.slots.is_empty() {
            return;
        }
        let among = room.chosen.contains(&member.id);
        let mut candidates = Vec::new();
        for other in room
            .members
            .iter()
            .filter_map(|other| self.members.get(*other as usize))
        {
            for track in &other.tracks {
                let chosen = room.chosen.contains(&other.id) || (among && room.spare.contains(&other.id));
                candidates.push(Candidate {
                    participant: other.id,
                    source: track.source,
                    chosen,
                    started: track.started,
                });
            }
        }
        let views: Vec<SlotView<'_>> = member
            .slots
            .iter()
            .map(|slot| SlotView {
                mid: &slot.mid,
                kind: slot.kind,
                now: slot.bound.map(|bound| (bound.publisher, bound.source)),
            })
            .collect();
        let assigned = assign(member.id, &views, &member.policy, &member.intents, &candidates);
        // First everybody out whose place changes, then in: a source may move from one slot to another.
        for (slot, wanted) in assigned.iter().enumerate() {
            let same = |bound: &Bound| {
                wanted.is_some_and(|w| (w.participant, w.source) == (bound.publisher, bound.source))
                    && self.by_id.get(&bound.publisher) == Some(&bound.member)
            };
            let bound = self.members.get(key as usize).and_then(|m| m.slots[slot].bound);
            if bound.is_some_and(|bound| !same(&bound)) {
                self.unlink(key, slot as u16);
            }
        }
        for (slot, wanted) in assigned.into_iter().enumerate() {
            if let Some(wanted) = wanted {
                self.link(now, key, slot as u16, wanted);
            }
        }
    }

    /// Binds a slot, or adjusts the layer of one that is bound already.
    pub(super) fn link(&mut self, now: Instant, key: u32, slot: u16, wanted: Assigned) {
        let viewer = Viewer { member: key, slot };
        let Some(publisher_key) = self.by_id.get(&wanted.participant).copied() else {
            return;
        };
        let Some(publisher) = self.members.get(publisher_key as usize) else {
            return;
        };
        let Some(track_at) = publisher.track_of(wanted.source) else {
            return;
        };
        let track = &publisher.tracks[track_at];
        let (ideal, best) = choose_layer(&track.layer_views(now), wanted.height);
        if let Some(meanwhile) = self.meanwhile(key, slot, &wanted, track, ideal as u8) {
            self.undecided(key, slot, meanwhile);
        }
        let downlink = self
            .members
            .get(key as usize)
            .and_then(|member| member.downlink.as_ref());
        let allowed = downlink.map_or(Allowed::All, |downlink| downlink.allowed(slot));
        let Some(track) = self
            .members
            .get(publisher_key as usize)
            .map(|member| &member.tracks[track_at])
        else {
            return;
        };
        // With nothing live yet, wait for the ideal layer.
        let best = best.unwrap_or(ideal);
        let (at, most) = match allowed {
            Allowed::Layer(layer, temporal) => (best.min(usize::from(layer)), temporal),
            Allowed::All | Allowed::Nothing => (best, MAX_LAYERS),
        };
        let (stream, mut layers) = track.place(at, wanted.fps);
        layers.temporal = layers.temporal.min(most);
        let audio = wanted.source.is_audio();
        let Some(state) = self.slot_mut(viewer) else { return };
        state.out.want(layers);
        let fresh = state.bound.is_none();
        let bound = state.bound.get_or_insert(Bound {
            publisher: wanted.participant,
            source: wanted.source,
            height: wanted.height,
            member: publisher_key,
            track: track_at as u8,
            current: None,
            next: None,
            ideal: ideal as u8,
        });
        let told = (bound.height == 0) != (wanted.height == 0);
        bound.height = wanted.height;
        bound.ideal = ideal as u8;
        let before = *bound;
        let target = (wanted.height != 0 && allowed != Allowed::Nothing).then_some(stream);
        if fresh || told {
            self.bindings_changed(key);
        }
        if before.next == target && target.is_some() && before.current != target {
            return;
        }
        if before.current == target && before.next.is_none() {
            return;
        }
        // Leave what is waited for; leave the current layer too when nothing is wanted.
        if let Some(layer) = self.layer_of(publisher_key, track_at, before.next) {
            layer.waiting.retain(|v| *v != viewer);
        }
        let mut current = before.current;
        if target.is_none() {
            if let Some(layer) = self.layer_of(publisher_key, track_at, current) {
                layer.viewers.retain(|v| *v != viewer);
            }
            current = None;
        }
        let mut next = target.filter(|_| target != current);
        if let Some(layer) = self.layer_of(publisher_key, track_at, next) {
            if audio {
                layer.viewers.push(viewer);
            } else {
                layer.waiting.push(viewer);
            }
        }
        if audio {
            current = next.take().or(current);
        }
        if let Some(state) = self.slot_mut(viewer)
            && let Some(bound) = &mut state.bound
        {
            bound.current = current;
            bound.next = next;
            if current.is_none() {
                state.out.leave();
            }
        }
        self.bindings_changed(key);
        self.wants_changed(publisher_key);
        if let Some(next) = next {
            let replayed = current.is_none() && self.replay(now, viewer, publisher_key, track_at, usize::from(next));
            if !replayed {
                self.want_key_frame(now, publisher_key, track_at, usize::from(next));
            }
        }
    }

    /// What a slot may carry until it has been decided about, when it shows something that nobody has decided about yet, or
    /// would suit a better layer than before.
    fn meanwhile(&self, key: u32, slot: u16, wanted: &Assigned, track: &Track, ideal: u8) -> Option<Allowed> {
        let place = self.members.get(key as usize)?.slots.get(usize::from(slot))?;
        if wanted.source.is_audio() || wanted.height == 0 || !track.layers.iter().any(|layer| layer.live) {
            return None;
        }
        match &place.bound {
            Some(bound) if bound.height != 0 && bound.current.is_some() => {
                (ideal > bound.ideal).then(|| Allowed::Layer(track.carried(place), MAX_LAYERS - 1))
            }
            Some(bound) if bound.height != 0 => None,
            _ => Some(Allowed::Nothing),
        }
    }

    /// Empties a slot.
    pub(super) fn unlink(&mut self, key: u32, slot: u16) {
        let viewer = Viewer { member: key, slot };
        self.detach(viewer);
        if self.slot_mut(viewer).is_some_and(|slot| slot.bound.take().is_some()) {
            self.bindings_changed(key);
        }
    }

    /// Takes a slot off the layers that it carries or waits for; what it is bound to stays.
    fn detach(&mut self, viewer: Viewer) {
        let Some(slot) = self.slot_mut(viewer) else { return };
        slot.out.leave();
        let Some(bound) = &mut slot.bound else { return };
        let (of, track) = (bound.member, usize::from(bound.track));
        let (current, next) = (bound.current.take(), bound.next.take());
        if let Some(layer) = self.layer_of(of, track, current) {
            layer.viewers.retain(|v| *v != viewer);
        }
        if let Some(layer) = self.layer_of(of, track, next) {
            layer.waiting.retain(|v| *v != viewer);
        }
        self.wants_changed(of);
    }

    /// The handshake is done. Slots were bound while it went on, so that key frames were asked for, layers switched on and the
    /// viewer told; what has gone by meanwhile did not reach them: each begins now, with the cached key frame where it can.
    pub(super) fn begin_slots(&mut self, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let room = member.room;
        for slot in 0..member.slots.len() {
            self.detach(Viewer {
                member: key,
                slot: slot as u16,
            });
        }
        self.mark_room(room);
        self.allot_soon(key);
    }

    /// Empties every slot that carries something of this participant.
    pub(super) fn unlink_viewers(&mut self, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let layers = member.tracks.iter().flat_map(|track| &track.layers);
        let viewers: Vec<Viewer> = layers
            .flat_map(|layer| layer.viewers.iter().chain(&layer.waiting))
            .copied()
            .collect();
        let room = member.room;
        for viewer in viewers {
            self.unlink(viewer.member, viewer.slot);
        }
        // Slots that are bound but paused are in no list.
        let others = self
            .rooms
            .get(&room)
            .map(|room| room.members.clone())
            .unwrap_or_default();
        for other in others {
            let count = self.members.get(other as usize).map_or(0, |m| m.slots.len());
            for slot in 0..count {
                let bound = self.members.get(other as usize).and_then(|m| m.slots[slot].bound);
                if bound.is_some_and(|bound| bound.member == key) {
                    self.unlink(other, slot as u16);
                }
            }
        }
    }
}
