//! A shard's commands and events: names outside, numbers inside.

use std::time::Instant;

use sfu_core::room;
use sfu_core::shard::{self, Event, OfferError};
use sfu_core::types::ParticipantId;

use crate::messages::{Binding, Command, MediaError, MediaEvent, OfferRequest, Seat, ShardSnapshot, SlotPolicy};
use crate::worker::Worker;

impl Worker {
    pub(crate) fn command(&mut self, command: Command) {
        let now = Instant::now();
        // A receiver of an answer may have gone; nobody needs to know.
        match command {
            Command::Offer(request, reply) => drop(reply.send(self.offer(now, request))),
            Command::RestartIce(seat, remote, reply) => {
                let local = self
                    .names
                    .known(&seat)
                    .and_then(|id| self.shard.restart_ice(now, id, remote));
                drop(reply.send(local.ok_or(MediaError::NotFound)));
            }
            Command::Intents(seat, intents, reply) => drop(reply.send(self.intents(now, &seat, intents))),
            Command::SetBlocked(seat, source, blocked) => {
                if let Some(id) = self.names.participant(&seat.room, &seat.participant) {
                    let room = self.names.room(&seat.room);
                    self.shard.set_blocked(now, room, id, source, blocked);
                }
            }
            Command::Leave(seat) => {
                if let Some(id) = self.names.known(&seat) {
                    self.shard.leave(now, id);
                    self.gone(now, &seat, id);
                }
            }
            Command::CloseRoom(room) => self.close_room(now, &room),
            Command::Snapshot(reply) => {
                drop(reply.send(ShardSnapshot {
                    counters: self.shard.counters().clone(),
                    participants: self.shard.participants(),
                    kept: self.shard.kept(),
                    estimates: self.shard.estimates(),
                    sockets: self.sockets.counters,
                    delays: self.delays,
                }));
            }
            Command::Stop => self.waker.stop(),
            #[cfg(test)]
            Command::Panic(room) => {
                let id = self.names.room(&room);
                #[allow(clippy::panic, reason = "this is the defect that the test is about")]
                self.shard.with_room(id, || panic!("a defect, for the test"));
            }
        }
    }

    fn offer(&mut self, now: Instant, request: OfferRequest) -> Result<String, MediaError> {
        let OfferRequest {
            seat,
            sdp,
            mids,
            publish,
            subscribe,
            slots,
        } = request;
        let full = || MediaError::Limit("the room has seen too many participants".to_owned());
        let id = self.names.participant(&seat.room, &seat.participant).ok_or_else(full)?;
        let slots = match slots {
            SlotPolicy::Intents => room::SlotPolicy::Intents,
            SlotPolicy::Fill => room::SlotPolicy::Fill,
            SlotPolicy::Publishers(named) => {
                let ids: Option<Vec<_>> = named
                    .iter()
                    .take(64)
                    .map(|name| self.names.participant(&seat.room, name))
                    .collect();
                room::SlotPolicy::Publishers(ids.ok_or_else(full)?)
            }
        };
        let room = self.names.room(&seat.room);
        let request = shard::OfferRequest {
            room,
            participant: id,
            sdp,
            mids,
            publish,
            subscribe,
            slots,
        };
        let answer = self.shard.offer(now, request).map_err(|error| match error {
            OfferError::Sdp(error) => MediaError::SdpRejected(error.to_string()),
            OfferError::RoomFull(_) => MediaError::Limit(error.to_string()),
        });
        if answer.is_ok() {
            self.present.entry(seat.room).or_default().insert(id, publish);
        } else if !self.present.contains_key(&seat.room) {
            self.close_room(now, &seat.room);
        }
        answer
    }

    fn intents(&mut self, now: Instant, seat: &Seat, intents: Vec<crate::messages::Intent>) -> Result<(), MediaError> {
        let viewer = self.names.known(seat).ok_or(MediaError::NotFound)?;
        let mut numbered = Vec::with_capacity(intents.len().min(128));
        for intent in intents.into_iter().take(128) {
            let full = || MediaError::Limit("too many participants".to_owned());
            let participant = self
                .names
                .participant(&seat.room, &intent.participant)
                .ok_or_else(full)?;
            numbered.push(room::Intent {
                mid: intent.mid,
                participant,
                source: intent.source,
                height: intent.height,
                fps: intent.fps,
                priority: intent.priority,
            });
        }
        if self.shard.intents(now, viewer, numbered) {
            Ok(())
        } else {
            Err(MediaError::NotFound)
        }
    }

    /// Somebody's transport is gone. The last one takes the room's names along.
    fn gone(&mut self, now: Instant, seat: &Seat, id: ParticipantId) {
        let Some(people) = self.present.get_mut(&seat.room) else {
            return;
        };
        let publisher = people.remove(&id);
        if people.is_empty() {
            self.close_room(now, &seat.room);
        } else if publisher == Some(false) {
            self.names.forget(seat);
        }
    }

    pub(crate) fn close_room(&mut self, now: Instant, name: &str) {
        if let Some(room) = self.names.known_room(name) {
            self.shard.close_room(now, room);
        }
        // Events about it may still wait in the shard; their names are needed until they are handed over.
        self.hand_over_events();
        self.names.forget_room(name);
        self.present.remove(name);
    }

    pub(crate) fn hand_over_events(&mut self) {
        while self.events.capacity() > 0 {
            let Some(event) = self.shard.poll_event() else { break };
            let failed_room = match &event {
                Event::RoomFailed(room) => self.names.room_name(*room).map(str::to_owned),
                _ => None,
            };
            let named = self.named(event);
            if let Some(event) = named {
                // Room was seen just above, and only other shards could have taken it; then this one event is lost with
                // the rest of an overflowing queue.
                if self.events.try_send(event).is_err() {
                    tracing::warn!("the media event queue overflows");
                }
            }
            if let Some(room) = failed_room {
                self.names.forget_room(&room);
                self.present.remove(&room);
            }
        }
    }

    fn named(&self, event: Event) -> Option<MediaEvent> {
        let seat = |id| self.names.seat(id).cloned();
        Some(match event {
            Event::Connected(id) => MediaEvent::Connected(seat(id)?),
            Event::Lost(id) => MediaEvent::Lost(seat(id)?),
            Event::Recovered(id) => MediaEvent::Recovered(seat(id)?),
            Event::Closed(id) => MediaEvent::Closed(seat(id)?),
            Event::Bindings(id, bindings) => {
                let named = bindings.into_iter().filter_map(|binding| {
                    Some(Binding {
                        mid: binding.mid,
                        participant: seat(binding.participant)?.participant,
                        source: binding.source,
                        csrc: binding.participant.0,
                        layer: binding.layer,
                        paused: binding.paused,
                    })
                });
                MediaEvent::Bindings(seat(id)?, named.collect())
            }
            Event::Speakers(room, ids) => {
                let room = self.names.room_name(room)?.to_owned();
                let speakers = ids.into_iter().filter_map(|id| Some(seat(id)?.participant));
                MediaEvent::Speakers(room, speakers.collect())
            }
            Event::Layers {
                participant,
                source,
                active,
                codec,
            } => MediaEvent::Layers(seat(participant)?, source, active, codec),
            Event::Quality(id, score, reason) => MediaEvent::Quality(seat(id)?, score.get(), reason),
            Event::RoomFailed(room) => MediaEvent::RoomFailed(self.names.room_name(room)?.to_owned()),
        })
    }
}
