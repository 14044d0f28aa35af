//! What the handle and the event queue share: the doors of the shards, who is where, and the order of commands.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use sfu_core::room;
use sfu_core::shard;
use sfu_core::types::RoomId;
use tokio::sync::{mpsc, oneshot};

use crate::lines::Exchange;
use crate::messages::{Command, Intent, MediaError, Offer, OfferRequest, Seat, SlotPolicy, Told};
use crate::registry::{Place, Registry};
use crate::relay;
use crate::roster::Roster;
use crate::sys::Waker;

/// Commands that may wait for one shard. A shard takes them between two packet batches, so a full queue means that it is
/// stuck: offers and intents are then refused with [`MediaError::Unavailable`].
pub(crate) const COMMANDS: usize = 1_024;
/// Places that only the ways out (leave, close, mute, stop) may use, so that they are never lost before a stuck shard.
const RESERVED: usize = 512;
/// Events that may wait for the receiver. When it is full a shard keeps its next 4,096 itself, then drops the oldest and
/// counts it ([`sfu_core::shard::Drop::Event`]).
pub(crate) const EVENTS: usize = 8_192;
/// Intents of one participant that are looked at, and publishers that one viewer may name.
const MAX_INTENTS: usize = 128;
const MAX_NAMED: usize = 64;

/// What comes of an offer.
pub(crate) type Answer = oneshot::Receiver<Result<String, MediaError>>;

/// One shard, from outside.
pub(crate) struct ShardDoor {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) waker: Waker,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) candidates: Vec<SocketAddr>,
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) shards: Vec<ShardDoor>,
    pub(crate) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) events: Mutex<Option<mpsc::Receiver<Told>>>,
    /// Held while a command is numbered and queued, so that all shards get their commands in one order; never on a packet's way.
    pub(crate) registry: Mutex<Registry>,
    /// Makes lines for TCP connections.
    pub(crate) exchange: Exchange,
    /// Who takes part in calls.
    pub(crate) roster: Roster,
    /// Pairs of shards that have queues to each other, the smaller number first.
    pub(crate) linked: Mutex<HashSet<(u8, u8)>>,
}

impl Shared {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        // Every change is made whole or not at all.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a command that is answered.
    pub(crate) fn ask<T>(
        &self,
        shard: u8,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<oneshot::Receiver<T>, MediaError> {
        let door = self.shards.get(usize::from(shard)).ok_or(MediaError::Unavailable)?;
        if door.commands.capacity() <= RESERVED {
            return Err(MediaError::Unavailable);
        }
        let (reply, answer) = oneshot::channel();
        door.commands
            .try_send(command(reply))
            .map_err(|_| MediaError::Unavailable)?;
        door.waker.wake();
        Ok(answer)
    }

    /// Queues a command; whether it was taken.
    pub(crate) fn tell(&self, shard: u8, command: Command) -> bool {
        let Some(door) = self.shards.get(usize::from(shard)) else {
            return false;
        };
        let taken = door.commands.try_send(command).is_ok();
        if !taken {
            tracing::error!(shard, "a media shard takes no commands; one was lost");
        }
        door.waker.wake();
        taken
    }

    pub(crate) fn close(&self, closes: Option<(RoomId, Vec<u8>)>) {
        if let Some((room, shards)) = closes {
            for shard in shards {
                self.tell(shard, Command::CloseRoom(room));
            }
        }
    }

    /// Numbers an offer, and queues it at the shard where its participant belongs.
    pub(crate) fn place(&self, request: OfferRequest) -> Result<(Place, Answer), MediaError> {
        let full = || MediaError::Limit("the room has seen too many participants".to_owned());
        let OfferRequest {
            seat,
            sdp,
            mids,
            publish,
            subscribe,
            slots,
        } = request;
        let mut registry = self.registry();
        let slots = match slots {
            SlotPolicy::Intents => room::SlotPolicy::Intents,
            SlotPolicy::Fill => room::SlotPolicy::Fill,
            SlotPolicy::Publishers(named) => {
                let ids = named.iter().take(MAX_NAMED);
                let ids: Option<Vec<_>> = ids.map(|name| registry.participant(&seat.room, name)).collect();
                room::SlotPolicy::Publishers(ids.ok_or_else(full)?)
            }
        };
        let place = registry.place(&seat, publish).ok_or_else(full)?;
        if place.spans {
            self.span(&registry, &seat.room, place.shard);
        }
        let offer = Offer {
            request: shard::OfferRequest {
                room: place.room,
                participant: place.id,
                name: seat.participant.clone(),
                sdp,
                mids,
                publish,
                subscribe,
                slots,
            },
            seat: seat.clone(),
            place,
        };
        match self.ask(place.shard, |reply| Command::Offer(Box::new(offer), reply)) {
            Ok(answer) => Ok((place, answer)),
            Err(error) => {
                self.close(registry.undo(&seat, &place));
                Err(error)
            }
        }
    }

    /// A room comes to one more shard: it and the others get queues to each other, and hear of it.
    fn span(&self, registry: &Registry, name: &str, fresh: u8) {
        let Some((room, shards)) = registry.room(name) else {
            return;
        };
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        for other in shards.iter().copied().filter(|shard| *shard != fresh) {
            let pair = (other.min(fresh), other.max(fresh));
            if !linked.contains(&pair) && self.link(pair) {
                linked.insert(pair);
            }
        }
        for (id, source) in registry.blocked(name) {
            self.tell(fresh, Command::SetBlocked(room, id, source, true));
        }
        // The newcomer first: the others' words may be quicker than this command.
        self.tell(fresh, Command::Span(room, shards.clone()));
        for other in shards.iter().copied().filter(|shard| *shard != fresh) {
            self.tell(other, Command::Span(room, shards.clone()));
        }
    }

    fn link(&self, (one, other): (u8, u8)) -> bool {
        let waker = |shard: u8| self.shards.get(usize::from(shard)).map(|door| door.waker.clone());
        let (Some(to_one), Some(to_other)) = (waker(one), waker(other)) else {
            return false;
        };
        let (there, from_one) = relay::queue(one, other, to_other);
        let (back, from_other) = relay::queue(other, one, to_one);
        let command = |sender, receiver| Command::Link(Box::new(sender), Box::new(receiver));
        self.tell(one, command(there, from_other)) && self.tell(other, command(back, from_one))
    }

    /// Numbers intents, and queues them.
    pub(crate) fn intend(
        &self,
        seat: &Seat,
        intents: Vec<Intent>,
    ) -> Result<oneshot::Receiver<Result<(), MediaError>>, MediaError> {
        let mut registry = self.registry();
        let (viewer, shard) = registry.placed(seat).ok_or(MediaError::NotFound)?;
        let mut numbered = Vec::with_capacity(intents.len().min(MAX_INTENTS));
        for intent in intents.into_iter().take(MAX_INTENTS) {
            let full = || MediaError::Limit("too many participants".to_owned());
            let participant = registry.participant(&seat.room, &intent.participant).ok_or_else(full)?;
            numbered.push(room::Intent {
                mid: intent.mid,
                participant,
                source: intent.source,
                height: intent.height,
                fps: intent.fps,
                priority: intent.priority,
            });
        }
        self.ask(shard, |reply| Command::Intents(viewer, numbered, reply))
    }

    /// An offer was refused.
    pub(crate) fn undo(&self, seat: &Seat, place: &Place) {
        let mut registry = self.registry();
        self.close(registry.undo(seat, place));
    }

    /// A defect has ended a room in one of its shards: it ends in all of them. Its name.
    pub(crate) fn room_failed(&self, id: RoomId) -> Option<String> {
        let mut registry = self.registry();
        let name = registry.room_name(id)?.to_owned();
        self.close(registry.close(&name));
        Some(name)
    }

    pub(crate) fn stop(&self) {
        for door in &self.shards {
            // A full queue is being emptied by its shard, or the shard is gone and so is the queue.
            let _ = door.commands.try_send(Command::Stop);
            door.waker.stop();
        }
        let threads = self
            .threads
            .lock()
            .map(|mut threads| std::mem::take(&mut *threads))
            .unwrap_or_default();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a media shard had panicked");
            }
        }
    }
}

impl std::ops::Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}
