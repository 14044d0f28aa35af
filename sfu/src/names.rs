//! Text names outside, numbers inside. A participant keeps their number while the room lives, so that an intent, or a
//! place in a WHEP query, outlasts a reconnect.

use std::collections::HashMap;

use sfu_core::types::{ParticipantId, RoomId};

use crate::messages::Seat;

/// Names one room may know; more are refused. Viewers that publish nothing give theirs back when they go.
const MAX_NAMES: usize = 10_000;

struct Room {
    id: RoomId,
    people: HashMap<String, ParticipantId>,
}

/// The names of one shard.
#[derive(Default)]
pub(crate) struct Names {
    rooms: HashMap<String, Room>,
    room_names: HashMap<RoomId, String>,
    people: HashMap<ParticipantId, Seat>,
    next_room: u32,
    next_person: u32,
}

impl Names {
    /// The number of a room, a new one if need be.
    pub(crate) fn room(&mut self, name: &str) -> RoomId {
        if let Some(room) = self.rooms.get(name) {
            return room.id;
        }
        let id = RoomId(self.next_room);
        self.next_room += 1;
        self.rooms.insert(
            name.to_owned(),
            Room {
                id,
                people: HashMap::new(),
            },
        );
        self.room_names.insert(id, name.to_owned());
        id
    }

    /// The number of a participant, a new one if need be; `None` when the room knows too many.
    pub(crate) fn participant(&mut self, room: &str, name: &str) -> Option<ParticipantId> {
        self.room(room);
        let entry = self.rooms.get_mut(room)?;
        if let Some(id) = entry.people.get(name) {
            return Some(*id);
        }
        if entry.people.len() >= MAX_NAMES {
            return None;
        }
        // From 1: a CSRC of 0 would look like none.
        self.next_person += 1;
        let id = ParticipantId(self.next_person);
        entry.people.insert(name.to_owned(), id);
        self.people.insert(
            id,
            Seat {
                room: room.to_owned(),
                participant: name.to_owned(),
            },
        );
        Some(id)
    }

    /// The number of a participant who is known already.
    pub(crate) fn known(&self, seat: &Seat) -> Option<ParticipantId> {
        self.rooms.get(&seat.room)?.people.get(&seat.participant).copied()
    }

    /// The number of a room that is known already.
    pub(crate) fn known_room(&self, name: &str) -> Option<RoomId> {
        self.rooms.get(name).map(|room| room.id)
    }

    /// The name of a participant.
    pub(crate) fn seat(&self, id: ParticipantId) -> Option<&Seat> {
        self.people.get(&id)
    }

    /// The name of a room.
    pub(crate) fn room_name(&self, id: RoomId) -> Option<&str> {
        self.room_names.get(&id).map(String::as_str)
    }

    /// Forgets one participant.
    pub(crate) fn forget(&mut self, seat: &Seat) {
        if let Some(room) = self.rooms.get_mut(&seat.room)
            && let Some(id) = room.people.remove(&seat.participant)
        {
            self.people.remove(&id);
        }
    }

    /// Forgets a room and everybody in it.
    pub(crate) fn forget_room(&mut self, name: &str) {
        if let Some(room) = self.rooms.remove(name) {
            self.room_names.remove(&room.id);
            for id in room.people.values() {
                self.people.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outlasts_a_reconnect_and_is_never_given_twice() {
        let mut names = Names::default();
        let a = names.participant("r", "a").unwrap();
        assert_eq!(names.participant("r", "a"), Some(a));
        assert_ne!(names.participant("s", "a"), Some(a), "another room");
        assert_eq!(names.seat(a).unwrap().room, "r");
        names.forget_room("r");
        assert_eq!(names.seat(a), None);
        assert_ne!(names.participant("r", "a"), Some(a));
    }

    #[test]
    fn a_room_knows_only_so_many() {
        let mut names = Names::default();
        for n in 0..MAX_NAMES {
            assert!(names.participant("r", &n.to_string()).is_some());
        }
        assert_eq!(names.participant("r", "one more"), None);
        names.forget(&Seat {
            room: "r".into(),
            participant: "7".into(),
        });
        assert!(names.participant("r", "one more").is_some());
    }
}
