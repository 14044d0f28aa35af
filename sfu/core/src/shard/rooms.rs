//! Rooms: who is in them, what is blocked there, and the lists of what has to be looked at again.

use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Shard;
use super::data::RoomData;
use super::member::Member;
use super::relay::Span;
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
    /// The other shards that it is in, if there are any.
    pub span: Option<Span>,
    /// Video codecs that everybody in those shards decodes.
    pub decodes: SmallVec<[(u8, u8); 4]>,
    pub made: Option<Instant>,
    /// Data messages that all of it together may send.
    pub data: RoomData,
}

/// A room that was heard of from another shard is kept so long for its first participant.
const EXPECTED: Duration = Duration::from_secs(10);

impl Shard {
    pub(super) fn enter_room(&mut self, now: Instant, key: u32, id: RoomId) {
        self.make_room(now, id);
        if let Some(room) = self.rooms.get_mut(&id) {
            room.members.push(key);
        }
        self.mark_room(id);
    }

    /// Makes the room, if it is not there.
    pub(super) fn make_room(&mut self, now: Instant, id: RoomId) {
        if let Entry::Vacant(vacant) = self.rooms.entry(id) {
            vacant.insert(Room {
                made: Some(now),
                ..Room::default()
            });
            self.schedule_room(now, id);
        }
    }

    /// How many of its participants are in this shard.
    pub(super) fn crowd(&self, id: RoomId) -> usize {
        let members = self
            .rooms
            .get(&id)
            .map(|room| room.members.as_slice())
            .unwrap_or_default();
        let here = |key: &&u32| self.members.get(**key as usize).is_some_and(Member::is_here);
        members.iter().filter(here).count()
    }

    /// Whether a room that has nobody may go.
    pub(super) fn is_over(&self, now: Instant, id: RoomId) -> bool {
        self.rooms.get(&id).is_none_or(|room| {
            let expected = room.made.is_some_and(|at| now.saturating_duration_since(at) < EXPECTED);
            room.members.is_empty()
                && room.blocked.is_empty()
                && room.span.is_none()
                && (room.decodes.is_empty() || !expected)
        })
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
            self.tell_room(id, false);
        }
        while let Some(key) = self.dirty_allotments.pop() {
            self.allot_now(now, key);
        }
        self.settle_wants();
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
        self.make_room(now, room);
        let Some(state) = self.rooms.get_mut(&room) else { return };
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
