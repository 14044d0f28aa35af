//! A shard's commands and events, all in numbers; [`crate::registry`] knows the names.

use std::time::Instant;

use sfu_core::shard::OfferError;
use sfu_core::types::{ParticipantId, RoomId};

use crate::messages::{Command, MediaError, Offer, ShardSnapshot, Told};
use crate::worker::Worker;

impl Worker {
    pub(crate) fn command(&mut self, command: Command) {
        let now = Instant::now();
        // A receiver of an answer may have gone; nobody needs to know, except of an offer that was refused.
        match command {
            Command::Offer(offer, reply) => {
                let Offer { request, seat, place } = *offer;
                let answer = self.shard.offer(now, request).map_err(|error| match error {
                    OfferError::Sdp(error) => MediaError::SdpRejected(error.to_string()),
                    OfferError::RoomFull(_) => MediaError::Limit(error.to_string()),
                });
                if answer.is_ok() {
                    self.enter(place.id, place.room, seat.participant.clone());
                }
                if let Err(Err(_)) = reply.send(answer) {
                    // A full queue means that nobody asks for events; then nobody is served either.
                    let _ = self.events.try_send(Told::Refused(seat, place));
                }
            }
            Command::RestartIce(id, remote, reply) => {
                let local = self.shard.restart_ice(now, id, remote);
                drop(reply.send(local.ok_or(MediaError::NotFound)));
            }
            Command::Intents(id, intents, reply) => {
                let known = self.shard.intents(now, id, intents);
                drop(reply.send(known.then_some(()).ok_or(MediaError::NotFound)));
            }
            Command::SetBlocked(room, id, source, blocked) => {
                self.shard.set_blocked(now, room, id, source, blocked);
            }
            Command::SetLimited(id, source, limited) => self.shard.set_limited(id, source, limited),
            Command::Leave(id) => {
                self.shard.leave(now, id);
                if let Some((_, name)) = self.present.remove(&id) {
                    self.roster.leave(&name);
                }
            }
            Command::CloseRoom(room) => self.close_room(now, room),
            Command::Span(room, shards) => {
                if let Some(home) = shards.first() {
                    self.shard.span(now, room, *home, &shards);
                }
            }
            Command::Link(sender, receiver) => self.links.add(*sender, *receiver),
            Command::Snapshot(reply) => {
                drop(reply.send(ShardSnapshot {
                    counters: self.shard.counters().clone(),
                    participants: self.shard.participants(),
                    stand_ins: self.shard.stand_ins(),
                    kept: self.shard.kept(),
                    estimates: self.shard.estimates(),
                    sockets: self.sockets.counters,
                    delays: self.delays,
                }));
            }
            Command::Stop => self.waker.stop(),
            #[cfg(test)]
            Command::Panic(room) => {
                #[allow(clippy::panic, reason = "this is the defect that the test is about")]
                self.shard.with_room(room, || panic!("a defect, for the test"));
            }
        }
    }

    pub(crate) fn close_room(&mut self, now: Instant, room: RoomId) {
        self.shard.close_room(now, room);
        let Self { present, roster, .. } = self;
        present.retain(|_, (of, name)| {
            if *of == room {
                roster.leave(name);
            }
            *of != room
        });
    }

    fn enter(&mut self, id: ParticipantId, room: RoomId, name: String) {
        self.roster.enter(&name);
        if let Some((_, before)) = self.present.insert(id, (room, name)) {
            self.roster.leave(&before);
        }
    }

    pub(crate) fn hand_over_events(&mut self) {
        while self.events.capacity() > 0 {
            let Some(event) = self.shard.poll_event() else { break };
            // Room was seen just above, and only other shards could have taken it; then this one event is lost with the
            // rest of an overflowing queue.
            if self.events.try_send(Told::Event(event)).is_err() {
                tracing::warn!("the media event queue overflows");
            }
        }
    }
}
