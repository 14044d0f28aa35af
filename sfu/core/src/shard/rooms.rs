//! Rooms: who is in them, what is blocked there, and the lists of what has to be looked at again.

use std::time::Instant;

use super::Shard;
use super::member::Member;
use crate::audio::Dominant;
use crate::sdp::CodecKind;
use crate::types::{ParticipantId, RoomId, Source};

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
    pub dominant: Dominant<ParticipantId>,
    /// What its publishers should send.
    pub codec: Option<CodecKind>,
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

    /// Does what was put on the dirty lists; every entry point ends here.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(id) = self.dirty_rooms.pop() {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            room.dirty = false;
            self.working_on = Some(id);
            self.choose_speakers(now, id);
            let codec = self.room_codec(id);
            if let Some(room) = self.rooms.get_mut(&id) {
                room.codec = codec;
            }
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
}
