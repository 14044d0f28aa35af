//! The ways out: a participant leaves, a room is closed, a room has failed.

use std::collections::BTreeMap;
use std::time::Instant;

use super::member::{Member, Peer};
use super::{Event, Shard};
use crate::room::Intent;
use crate::types::{ParticipantId, RoomId};

impl Shard {
    /// Ends the participant's transport.
    pub fn leave(&mut self, now: Instant, participant: ParticipantId) {
        let found = self.by_id.get(&participant).copied();
        let here = |key: &u32| self.members.get(*key as usize).is_some_and(Member::is_here);
        if let Some(key) = found.filter(here) {
            self.working_on = self.members.get(key as usize).map(|m| m.room);
            self.remove(now, key);
            self.settle(now);
            self.working_on = None;
        }
    }

    /// Ends every transport of the room.
    pub fn close_room(&mut self, now: Instant, room: RoomId) {
        self.working_on = Some(room);
        let members = self
            .rooms
            .get(&room)
            .map(|room| room.members.clone())
            .unwrap_or_default();
        for key in members {
            self.remove(now, key);
        }
        self.rooms.remove(&room);
        self.working_on = None;
    }

    /// Destroys a room whose work has panicked: its transports are dropped without another word, since their state is not
    /// known to be whole (a nonce must never repeat).
    pub fn fail_room(&mut self, room: RoomId) {
        self.tell_failed(room);
        self.rooms.remove(&room);
        let keys: Vec<usize> = self
            .members
            .iter()
            .filter(|(_, m)| m.room == room)
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            if let Some(mut member) = self.members.try_remove(key) {
                for track in &mut member.tracks {
                    for layer in &mut track.layers {
                        layer.receiver.drop_cache(&mut self.packets);
                    }
                }
                self.by_id.remove(&member.id);
            }
            self.by_path.retain(|_, owner| *owner as usize != key);
            self.by_ssrc.retain(|_, owner| *owner as usize != key);
        }
        self.dirty_bindings.clear();
        self.dirty_rooms.retain(|dirty| *dirty != room);
        for (key, member) in &mut self.members {
            if member.bindings_dirty {
                self.dirty_bindings.push(key as u32);
            }
        }
        self.working_on = None;
        self.event(Event::RoomFailed(room));
    }

    /// Takes a participant out, with a goodbye. Returns their intents.
    pub(super) fn remove(&mut self, now: Instant, key: u32) -> BTreeMap<String, Intent> {
        for slot in 0..self.members.get(key as usize).map_or(0, |m| m.slots.len()) {
            self.unlink(key, slot as u16);
        }
        self.unlink_viewers(key);
        let Some(mut member) = self.members.try_remove(key as usize) else {
            return BTreeMap::new();
        };
        if let Some(Peer { transport, .. }) = &mut member.peer {
            transport.close(now);
            while let Some((path, datagram)) = transport.poll_transmit() {
                self.arena.push(path, &datagram);
            }
            self.tell_gone(&member);
        }
        for track in &mut member.tracks {
            for layer in &mut track.layers {
                layer.receiver.drop_cache(&mut self.packets);
            }
        }
        if self.by_id.get(&member.id) == Some(&key) {
            self.by_id.remove(&member.id);
        }
        for path in &member.paths {
            if self.by_path.get(path) == Some(&key) {
                self.by_path.remove(path);
            }
        }
        for stream in &member.streams {
            if self.by_ssrc.get(&stream.ssrc) == Some(&key) {
                self.by_ssrc.remove(&stream.ssrc);
            }
        }
        self.leave_room(key, &member);
        member.intents
    }
}
