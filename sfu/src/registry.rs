//! Text names outside, numbers inside; and in which shard everybody is.
//!
//! Numbers are the same in all shards, because they go out as the CSRC of packets. A participant keeps number and shard
//! while the room lives, so that an intent, or a place in a WHEP query, outlasts a reconnect.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use sfu_core::types::{ParticipantId, RoomId, Source};

use crate::messages::Seat;

/// Names one room may know; more are refused. Viewers that publish nothing give theirs back when they go.
const MAX_NAMES: usize = 10_000;

struct Person {
    id: ParticipantId,
    /// Where their transport is, or was.
    shard: Option<u8>,
    /// Connected or connecting; and whether they may publish.
    present: Option<bool>,
    /// Offers so far: tells who undoes one whether it was the last.
    offers: u64,
}

struct Room {
    id: RoomId,
    /// Where it is. The first decides who speaks.
    shards: Vec<u8>,
    people: HashMap<String, Person>,
    blocked: Vec<(ParticipantId, Source)>,
}

/// A place for a participant's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) room: RoomId,
    pub(crate) id: ParticipantId,
    pub(crate) shard: u8,
    /// For [`Registry::undo`].
    pub(crate) offer: u64,
    /// The room has come to this shard just now.
    pub(crate) spans: bool,
}

/// Who has left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) id: ParticipantId,
    /// Where their transport was; `None`: they never had one.
    pub(crate) shard: Option<u8>,
    /// Nobody is left: the room goes too, in these shards.
    pub(crate) closes: Option<(RoomId, Vec<u8>)>,
}

/// Names, numbers and places.
pub(crate) struct Registry {
    shards: u8,
    members_per_shard: usize,
    rooms: HashMap<String, Room>,
    room_names: HashMap<RoomId, String>,
    people: HashMap<ParticipantId, Seat>,
    next_room: u32,
    next_person: u32,
}

impl Registry {
    /// For so many shards, each of which takes so many participants of a room before the next one does.
    pub(crate) fn new(shards: u8, members_per_shard: usize) -> Self {
        Self {
            shards: shards.max(1),
            members_per_shard: members_per_shard.max(1),
            rooms: HashMap::new(),
            room_names: HashMap::new(),
            people: HashMap::new(),
            next_room: 0,
            next_person: 0,
        }
    }

    fn make_room(&mut self, name: &str) -> &mut Room {
        let Self {
            rooms,
            room_names,
            next_room,
            shards,
            ..
        } = self;
        rooms.entry(name.to_owned()).or_insert_with(|| {
            let id = RoomId(*next_room);
            *next_room += 1;
            room_names.insert(id, name.to_owned());
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            Room {
                id,
                shards: vec![(hasher.finish() % u64::from(*shards)) as u8],
                people: HashMap::new(),
                blocked: Vec::new(),
            }
        })
    }

    /// The number of a participant, a new one if need be; `None` when the room knows too many.
    pub(crate) fn participant(&mut self, room: &str, name: &str) -> Option<ParticipantId> {
        let next = self.next_person + 1;
        let known = &mut self.make_room(room).people;
        if let Some(person) = known.get(name) {
            return Some(person.id);
        }
        if known.len() >= MAX_NAMES {
            return None;
        }
        // From 1: a CSRC of 0 would look like none.
        let id = ParticipantId(next);
        let person = Person {
            id,
            shard: None,
            present: None,
            offers: 0,
        };
        known.insert(name.to_owned(), person);
        self.next_person = next;
        let seat = Seat {
            room: room.to_owned(),
            participant: name.to_owned(),
        };
        self.people.insert(id, seat);
        Some(id)
    }

    /// Where this participant's transport belongs: where it was; else in the first of the room's shards that has not enough
    /// of its members yet; else in one more; else in the one that has the fewest. `None` when the room knows too many.
    pub(crate) fn place(&mut self, seat: &Seat, publish: bool) -> Option<Place> {
        let id = self.participant(&seat.room, &seat.participant)?;
        let (all, enough) = (self.shards, self.members_per_shard);
        let room = self.rooms.get_mut(&seat.room)?;
        let crowd = |shard: u8| {
            let here = |person: &&Person| person.present.is_some() && person.shard == Some(shard);
            room.people.values().filter(here).count()
        };
        let former = room.people.get(&seat.participant).and_then(|person| person.shard);
        let next = (room.shards[0] + room.shards.len() as u8) % all;
        let more = (room.shards.len() < usize::from(all)).then_some(next);
        let open = room
            .shards
            .iter()
            .copied()
            .find(|shard| crowd(*shard) < enough)
            .or(more);
        let emptiest = || room.shards.iter().copied().min_by_key(|shard| crowd(*shard));
        let shard = former.or(open).or_else(emptiest)?;
        let spans = !room.shards.contains(&shard);
        if spans {
            room.shards.push(shard);
        }
        let person = room.people.get_mut(&seat.participant)?;
        person.shard = Some(shard);
        person.present = Some(publish);
        person.offers += 1;
        Some(Place {
            room: room.id,
            id,
            shard,
            offer: person.offers,
            spans,
        })
    }

    /// An offer was refused: without a transport from an earlier one its participant is not there. What is to be closed, if
    /// nobody else is.
    pub(crate) fn undo(&mut self, seat: &Seat, place: &Place) -> Option<(RoomId, Vec<u8>)> {
        let room = self.rooms.get_mut(&seat.room)?;
        let person = room.people.get_mut(&seat.participant)?;
        if person.offers != place.offer || place.offer > 1 {
            return None;
        }
        *person = Person {
            id: person.id,
            shard: None,
            present: None,
            offers: 0,
        };
        self.close_if_empty(&seat.room)
    }

    fn close_if_empty(&mut self, name: &str) -> Option<(RoomId, Vec<u8>)> {
        let room = self.rooms.get(name)?;
        if room.people.values().any(|person| person.present.is_some()) {
            return None;
        }
        self.close(name)
    }

    /// The number and shard of a participant who has been placed.
    pub(crate) fn placed(&self, seat: &Seat) -> Option<(ParticipantId, u8)> {
        let person = self.rooms.get(&seat.room)?.people.get(&seat.participant)?;
        Some((person.id, person.shard?))
    }

    /// Somebody leaves. The last one takes the room's names along. `None`: nobody knows them.
    pub(crate) fn leave(&mut self, seat: &Seat) -> Option<Left> {
        let room = self.rooms.get_mut(&seat.room)?;
        let person = room.people.get_mut(&seat.participant)?;
        let (id, shard) = (person.id, person.shard);
        let publisher = person.present.take();
        person.offers = 0;
        if publisher == Some(false) {
            room.people.remove(&seat.participant);
            self.people.remove(&id);
        }
        let closes = self.close_if_empty(&seat.room);
        Some(Left { id, shard, closes })
    }

    /// Notes that a source is stopped, or let through. Where to say so.
    pub(crate) fn block(
        &mut self,
        seat: &Seat,
        source: Source,
        blocked: bool,
    ) -> Option<(RoomId, ParticipantId, Vec<u8>)> {
        let id = self.participant(&seat.room, &seat.participant)?;
        let room = self.rooms.get_mut(&seat.room)?;
        room.blocked.retain(|entry| *entry != (id, source));
        if blocked {
            room.blocked.push((id, source));
        }
        Some((room.id, id, room.shards.clone()))
    }

    /// What is stopped in a room.
    pub(crate) fn blocked(&self, room: &str) -> Vec<(ParticipantId, Source)> {
        self.rooms
            .get(room)
            .map(|room| room.blocked.clone())
            .unwrap_or_default()
    }

    /// A room's number and shards.
    pub(crate) fn room(&self, name: &str) -> Option<(RoomId, Vec<u8>)> {
        self.rooms.get(name).map(|room| (room.id, room.shards.clone()))
    }

    /// Forgets a room and everybody in it. What it was.
    pub(crate) fn close(&mut self, name: &str) -> Option<(RoomId, Vec<u8>)> {
        let room = self.rooms.remove(name)?;
        self.room_names.remove(&room.id);
        for person in room.people.values() {
            self.people.remove(&person.id);
        }
        Some((room.id, room.shards))
    }

    /// The name of a participant.
    pub(crate) fn seat(&self, id: ParticipantId) -> Option<&Seat> {
        self.people.get(&id)
    }

    /// The name of a room.
    pub(crate) fn room_name(&self, id: RoomId) -> Option<&str> {
        self.room_names.get(&id).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(room: &str, participant: impl ToString) -> Seat {
        Seat {
            room: room.to_owned(),
            participant: participant.to_string(),
        }
    }

    #[test]
    fn a_number_outlasts_a_reconnect_and_is_never_given_twice() {
        let mut registry = Registry::new(1, 10);
        let a = registry.participant("r", "a").unwrap();
        assert_eq!(registry.participant("r", "a"), Some(a));
        assert_ne!(registry.participant("s", "a"), Some(a), "another room");
        assert_eq!(registry.seat(a).unwrap().room, "r");
        registry.close("r");
        assert_eq!(registry.seat(a), None);
        assert_ne!(registry.participant("r", "a"), Some(a));
    }

    #[test]
    fn a_room_knows_only_so_many() {
        let mut registry = Registry::new(1, 10);
        for n in 0..MAX_NAMES {
            assert!(registry.participant("r", &n.to_string()).is_some());
        }
        assert_eq!(registry.participant("r", "one more"), None);
        registry.place(&seat("r", 7), false).unwrap();
        registry.place(&seat("r", 8), true).unwrap();
        registry.leave(&seat("r", 7)).unwrap();
        assert!(registry.participant("r", "one more").is_some());
    }

    #[test]
    fn a_room_fills_one_shard_before_it_takes_the_next_and_nobody_moves() {
        let mut registry = Registry::new(3, 2);
        let places: Vec<Place> = (0..9).map(|n| registry.place(&seat("r", n), true).unwrap()).collect();
        let home = places[0].shard;
        let of = |n: u8| (home + n) % 3;
        let shards: Vec<u8> = places.iter().map(|place| place.shard).collect();
        assert_eq!(shards[..6], [of(0), of(0), of(1), of(1), of(2), of(2)]);
        let spans: Vec<usize> = (0..9).filter(|n| places[*n].spans).collect();
        assert_eq!(spans, [2, 4]);
        for shard in 0..3 {
            assert_eq!(shards.iter().filter(|s| **s == shard).count(), 3, "then evenly");
        }
        let left = registry.leave(&seat("r", 2)).unwrap();
        assert_eq!((left.shard, left.closes), (Some(of(1)), None));
        assert_eq!(
            registry.place(&seat("r", 2), true).unwrap().shard,
            of(1),
            "where they were"
        );
        for n in 0..8 {
            assert_eq!(registry.leave(&seat("r", n)).unwrap().closes, None);
        }
        let (room, shards) = registry.leave(&seat("r", 8)).unwrap().closes.unwrap();
        assert_eq!((room, shards), (places[0].room, vec![of(0), of(1), of(2)]));
        assert_eq!(registry.room("r"), None);
    }

    #[test]
    fn a_refused_offer_leaves_nothing_behind_unless_there_was_one_before() {
        let mut registry = Registry::new(1, 2);
        let first = registry.place(&seat("r", "a"), true).unwrap();
        assert_eq!(registry.undo(&seat("r", "a"), &first), Some((first.room, vec![0])));
        let first = registry.place(&seat("r", "a"), true).unwrap();
        let second = registry.place(&seat("r", "a"), true).unwrap();
        assert_eq!(registry.undo(&seat("r", "a"), &second), None, "the first one stands");
        assert_eq!(registry.undo(&seat("r", "a"), &first), None);
        assert_eq!(registry.placed(&seat("r", "a")), Some((first.id, 0)));
    }

    #[test]
    fn what_is_blocked_is_known_before_its_owner_comes() {
        let mut registry = Registry::new(2, 1);
        let (room, id, shards) = registry.block(&seat("r", "a"), Source::Mic, true).unwrap();
        assert_eq!(shards.len(), 1);
        assert_eq!(registry.blocked("r"), [(id, Source::Mic)]);
        registry.place(&seat("r", "b"), true).unwrap();
        let place = registry.place(&seat("r", "a"), true).unwrap();
        assert_eq!((place.room, place.id, place.spans), (room, id, true));
        let (_, _, shards) = registry.block(&seat("r", "a"), Source::Mic, false).unwrap();
        assert_eq!(shards.len(), 2);
        assert!(registry.blocked("r").is_empty());
    }
}
