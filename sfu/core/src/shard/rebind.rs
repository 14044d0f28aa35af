//! Carries out what [`crate::room`] decides: slots are linked to layers, viewers and publishers are told.

use std::time::Instant;

use super::member::{Bound, Member, Viewer};
use super::{Event, Shard};
use crate::room::{Assigned, Candidate, SlotView, assign, choose_layer};
use crate::types::{ParticipantId, RoomId, Source};

/// What one slot carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The m-line.
    pub mid: String,
    /// Whose media; also the CSRC of its packets.
    pub participant: ParticipantId,
    /// Which of theirs.
    pub source: Source,
    /// Simulcast layer, 0 is the smallest.
    pub layer: u8,
    /// Why nothing is sent, if nothing is.
    pub paused: Option<PauseReason>,
}

/// Why a slot is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// Blocked by a moderator.
    Muted,
    /// The viewer asked for nothing.
    NotVisible,
    /// No packets from the publisher.
    NoMedia,
}

/// A room.
#[derive(Default)]
pub(super) struct Room {
    /// Places of its participants, in the order in which they came.
    pub members: Vec<u32>,
    pub blocked: Vec<(ParticipantId, Source)>,
    dirty: bool,
    pub chosen: Vec<ParticipantId>,
    pub spare: Vec<ParticipantId>,
    pub speakers: Vec<ParticipantId>,
    pub told_at: Option<Instant>,
}

impl Shard {
    pub(super) fn enter_room(&mut self, now: Instant, key: u32, id: RoomId) {
        let fresh = !self.rooms.contains_key(&id);
        self.rooms.entry(id).or_default().members.push(key);
        if fresh {
            self.schedule_room(now, id);
        }
        self.mark_room(id);
    }

    /// Takes a removed participant's name off the room; an empty room goes, unless it remembers somebody muted.
    pub(super) fn leave_room(&mut self, key: u32, member: &Member) {
        if let Some(room) = self.rooms.get_mut(&member.room) {
            room.members.retain(|other| *other != key);
            self.mark_room(member.room);
        }
    }

    /// The slots of this room must be filled anew, once the current input is dealt with.
    pub(super) fn mark_room(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&id)
            && !room.dirty
        {
            room.dirty = true;
            self.dirty_rooms.push(id);
        }
    }

    pub(super) fn bindings_changed(&mut self, key: u32) {
        if let Some(member) = self.members.get_mut(key as usize)
            && !member.bindings_dirty
        {
            member.bindings_dirty = true;
            self.dirty_bindings.push(key);
        }
    }

    /// Does what was put on the dirty lists; every entry point ends here.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(id) = self.dirty_rooms.pop() {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            room.dirty = false;
            self.working_on = Some(id);
            self.choose_speakers(now, id);
            let members = self.rooms.get(&id).map(|room| room.members.clone()).unwrap_or_default();
            for key in members {
                self.assign_viewer(now, key);
            }
        }
        while let Some(key) = self.dirty_bindings.pop() {
            self.tell_bindings(key);
        }
    }

    /// Stops (or lets through) a source, whatever its participant sends, now or after a reconnect.
    pub fn set_blocked(
        &mut self,
        now: Instant,
        room: RoomId,
        participant: ParticipantId,
        source: Source,
        blocked: bool,
    ) {
        self.working_on = Some(room);
        let known = self.rooms.entry(room);
        if let std::collections::hash_map::Entry::Vacant(_) = known {
            self.schedule_room(now, room);
        }
        let state = self.rooms.entry(room).or_default();
        state.blocked.retain(|entry| *entry != (participant, source));
        if blocked {
            state.blocked.push((participant, source));
        }
        if let Some(key) = self.by_id.get(&participant).copied()
            && let Some(member) = self.members.get_mut(key as usize)
            && let Some(at) = member.track_of(source)
            && member.tracks[at].blocked != blocked
        {
            member.tracks[at].blocked = blocked;
            for layer in 0..member.tracks[at].layers.len() {
                self.restart_layer(now, key, at, layer);
            }
            let slots = self
                .rooms
                .get(&room)
                .map(|room| room.members.clone())
                .unwrap_or_default();
            for viewer in slots {
                self.bindings_changed(viewer);
            }
        }
        self.settle(now);
        self.working_on = None;
    }

    /// A layer's numbers begin anew: video slots wait for its next key frame, audio slots enter with the next packet.
    fn restart_layer(&mut self, now: Instant, key: u32, track: usize, layer: usize) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let audio = member.tracks[track].source.is_audio();
        let mut viewers = std::mem::take(&mut member.tracks[track].layers[layer].viewers);
        for viewer in &viewers {
            let Some(slot) = self
                .members
                .get_mut(viewer.member as usize)
                .and_then(|m| m.slots.get_mut(usize::from(viewer.slot)))
            else {
                continue;
            };
            slot.out.leave();
            if audio {
                continue;
            }
            let Some(bound) = &mut slot.bound else { continue };
            bound.current = None;
            if bound.next.is_none() {
                bound.next = Some(layer as u8);
                if let Some(member) = self.members.get_mut(key as usize) {
                    member.tracks[track].layers[layer].waiting.push(*viewer);
                }
            }
        }
        if let Some(member) = self.members.get_mut(key as usize) {
            if !audio {
                viewers.clear();
            }
            member.tracks[track].layers[layer].viewers = viewers;
            if !member.tracks[track].layers[layer].waiting.is_empty() {
                self.want_key_frame(now, key, track, layer);
            }
        }
    }

    /// A layer's sender has another SSRC, or its first.
    pub(super) fn begin_stream(&mut self, key: u32, track: usize, layer: usize, ssrc: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        if member.tracks[track].layers[layer].ssrc.replace(ssrc).is_none() {
            return;
        }
        let mut old = member.tracks[track].reset(layer);
        old.drop_cache(&mut self.packets);
        // Whoever carried the old stream sees the change when the next key frame comes; its packets have new numbers.
        let viewers = std::mem::take(&mut member.tracks[track].layers[layer].viewers);
        let audio = member.tracks[track].source.is_audio();
        for viewer in &viewers {
            if let Some(slot) = self
                .members
                .get_mut(viewer.member as usize)
                .and_then(|m| m.slots.get_mut(usize::from(viewer.slot)))
            {
                slot.out.leave();
                if let Some(bound) = slot.bound.as_mut().filter(|_| !audio) {
                    bound.current = None;
                    bound.next.get_or_insert(layer as u8);
                }
            }
        }
        if let Some(member) = self.members.get_mut(key as usize) {
            let state = &mut member.tracks[track].layers[layer];
            if audio {
                state.viewers = viewers;
            } else {
                for viewer in viewers {
                    if !state.waiting.contains(&viewer) {
                        state.waiting.push(viewer);
                    }
                }
                state.receiver.want_key_frame();
            }
        }
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

    /// Fills one viewer's slots.
    pub(super) fn assign_viewer(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let Some(room) = self.rooms.get(&member.room) else {
            return;
        };
        if !member.connected || member.slots.is_empty() {
            return;
        }
        let among = room.chosen.contains(&member.id);
        let mut candidates = Vec::new();
        for other in room
            .members
            .iter()
            .filter_map(|other| self.members.get(*other as usize))
        {
            for track in other.tracks.iter().filter(|track| track.started) {
                let chosen = room.chosen.contains(&other.id) || (among && room.spare.contains(&other.id));
                candidates.push(Candidate {
                    participant: other.id,
                    source: track.source,
                    chosen,
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
    fn link(&mut self, now: Instant, key: u32, slot: u16, wanted: Assigned) {
        let viewer = Viewer { member: key, slot };
        let Some(publisher_key) = self.by_id.get(&wanted.participant).copied() else {
            return;
        };
        let Some(publisher) = self.members.get_mut(publisher_key as usize) else {
            return;
        };
        let Some(track_at) = publisher.track_of(wanted.source) else {
            return;
        };
        let track = &mut publisher.tracks[track_at];
        let (ideal, best) = choose_layer(&track.layer_views(), wanted.height);
        let audio = wanted.source.is_audio();
        let Some(state) = self
            .members
            .get_mut(key as usize)
            .and_then(|m| m.slots.get_mut(usize::from(slot)))
        else {
            return;
        };
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
        // With nothing live yet, wait for the ideal layer.
        let target = (wanted.height != 0).then_some(best.unwrap_or(ideal) as u8);
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
        self.with_layer(publisher_key, track_at, before.next, |layer| {
            layer.waiting.retain(|v| *v != viewer)
        });
        let mut current = before.current;
        if target.is_none() {
            self.with_layer(publisher_key, track_at, current, |layer| {
                layer.viewers.retain(|v| *v != viewer)
            });
            current = None;
        }
        let mut next = target.filter(|_| target != current);
        if audio {
            self.with_layer(publisher_key, track_at, next, |layer| layer.viewers.push(viewer));
            current = next.take().or(current);
        } else {
            self.with_layer(publisher_key, track_at, next, |layer| layer.waiting.push(viewer));
        }
        if let Some(state) = self
            .members
            .get_mut(key as usize)
            .and_then(|m| m.slots.get_mut(usize::from(slot)))
            && let Some(bound) = &mut state.bound
        {
            bound.current = current;
            bound.next = next;
            if current.is_none() {
                state.out.leave();
            }
        }
        self.bindings_changed(key);
        if let Some(next) = next {
            let replayed = current.is_none() && self.replay(now, publisher_key, track_at, usize::from(next));
            if !replayed {
                self.want_key_frame(now, publisher_key, track_at, usize::from(next));
            }
        }
    }

    fn with_layer(&mut self, key: u32, track: usize, layer: Option<u8>, act: impl FnOnce(&mut super::member::Layer)) {
        if let Some(layer) = layer
            && let Some(member) = self.members.get_mut(key as usize)
            && let Some(layer) = member
                .tracks
                .get_mut(track)
                .and_then(|t| t.layers.get_mut(usize::from(layer)))
        {
            act(layer);
        }
    }

    /// Empties a slot.
    pub(super) fn unlink(&mut self, key: u32, slot: u16) {
        let viewer = Viewer { member: key, slot };
        let Some(state) = self
            .members
            .get_mut(key as usize)
            .and_then(|m| m.slots.get_mut(usize::from(slot)))
        else {
            return;
        };
        let Some(bound) = state.bound.take() else { return };
        state.out.leave();
        let track = usize::from(bound.track);
        self.with_layer(bound.member, track, bound.current, |layer| {
            layer.viewers.retain(|v| *v != viewer)
        });
        self.with_layer(bound.member, track, bound.next, |layer| {
            layer.waiting.retain(|v| *v != viewer)
        });
        self.bindings_changed(key);
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

    fn tell_bindings(&mut self, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let mut now = Vec::with_capacity(member.slots.len());
        for slot in &member.slots {
            let Some(bound) = slot.bound else { continue };
            let track = self
                .members
                .get(bound.member as usize)
                .and_then(|m| m.tracks.get(usize::from(bound.track)));
            let live = track.is_some_and(|track| track.layers.iter().any(|layer| layer.live));
            let paused = if track.is_some_and(|track| track.blocked) {
                Some(PauseReason::Muted)
            } else if bound.height == 0 {
                Some(PauseReason::NotVisible)
            } else if !live {
                Some(PauseReason::NoMedia)
            } else {
                None
            };
            now.push(Binding {
                mid: slot.mid.clone(),
                participant: bound.publisher,
                source: bound.source,
                layer: bound.current.or(bound.next).unwrap_or(bound.ideal),
                paused,
            });
        }
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        member.bindings_dirty = false;
        if member.told != now {
            member.told.clone_from(&now);
            let id = member.id;
            self.event(Event::Bindings(id, now));
        }
    }
}
