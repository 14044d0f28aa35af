//! The door for asynchronous code: commands in, events out, both by bounded queues.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sfu_core::transport::IceCredentials;
use sfu_core::types::Source;
use tokio::sync::{mpsc, oneshot};

use crate::config::{MediaConfig, StartError};
use crate::messages::{Command, Intent, MediaError, MediaEvent, OfferRequest, Seat, ShardSnapshot};
use crate::sys::Waker;
use crate::tunnel::MakeTunnel;
use crate::worker;

/// Commands that may wait for one shard. A shard takes them between two packet batches, so a full queue means that it is
/// stuck: offers and intents are then refused with [`MediaError::Unavailable`].
const COMMANDS: usize = 1_024;
/// Places that only the ways out (leave, close, mute, stop) may use, so that they are never lost before a stuck shard.
const RESERVED: usize = 512;
/// Events that may wait for the receiver. When it is full a shard keeps its next 4,096 itself, then drops the oldest and
/// counts it ([`sfu_core::shard::Drop::Event`]).
const EVENTS: usize = 8_192;

struct ShardDoor {
    commands: mpsc::Sender<Command>,
    waker: Waker,
    addresses: Vec<SocketAddr>,
    candidates: Vec<SocketAddr>,
}

struct Shared {
    shards: Vec<ShardDoor>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    events: Mutex<Option<mpsc::Receiver<MediaEvent>>>,
}

/// The media plane, seen from asynchronous code. Clones share it. Dropping the last clone stops it.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// Starts the shards.
///
/// # Errors
/// [`StartError`] names the address that is taken, or what the system refused.
pub fn start(config: &MediaConfig) -> Result<Handle, StartError> {
    start_with_tunnels(config, &|_| None)
}

/// Starts the shards, each with the tunnel that `tunnel` makes for it on its port.
///
/// # Errors
/// As [`start`].
pub fn start_with_tunnels(config: &MediaConfig, tunnel: MakeTunnel<'_>) -> Result<Handle, StartError> {
    if config.listen.is_empty() || config.shards == 0 {
        return Err(StartError::Nothing);
    }
    let (events, receiver) = mpsc::channel(EVENTS);
    let mut shards = Vec::new();
    let mut threads = Vec::new();
    for number in 0..config.shards {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let started = worker::start(config, number, queue, events.clone(), tunnel)?;
        shards.push(ShardDoor {
            commands,
            waker: started.waker,
            addresses: started.addresses,
            candidates: started.candidates,
        });
        threads.push(started.thread);
    }
    let shared = Shared {
        shards,
        threads: Mutex::new(threads),
        events: Mutex::new(Some(receiver)),
    };
    Ok(Handle {
        shared: Arc::new(shared),
    })
}

impl Handle {
    fn door(&self, room: &str) -> &ShardDoor {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        let shards = &self.shared.shards;
        &shards[(hasher.finish() % shards.len() as u64) as usize]
    }

    async fn ask<T>(
        &self,
        room: &str,
        command: impl FnOnce(oneshot::Sender<Result<T, MediaError>>) -> Command,
    ) -> Result<T, MediaError> {
        let door = self.door(room);
        if door.commands.capacity() <= RESERVED {
            return Err(MediaError::Unavailable);
        }
        let (reply, answer) = oneshot::channel();
        door.commands
            .try_send(command(reply))
            .map_err(|_| MediaError::Unavailable)?;
        door.waker.wake();
        answer.await.map_err(|_| MediaError::Unavailable)?
    }

    fn tell(&self, room: &str, command: Command) {
        let door = self.door(room);
        if door.commands.try_send(command).is_err() {
            tracing::error!(room, "a media shard takes no commands; one was lost");
        }
        door.waker.wake();
    }

    /// Makes or updates the participant's transport and returns the SDP answer. The first offer makes the participant; one
    /// with the same certificate grows their slots; one with another certificate replaces their transport.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn offer(&self, request: OfferRequest) -> Result<String, MediaError> {
        let room = request.seat.room.clone();
        self.ask(&room, |reply| Command::Offer(request, reply)).await
    }

    /// ICE restart: takes the client's credentials and returns the server's.
    ///
    /// # Errors
    /// [`MediaError::NotFound`] or [`MediaError::Unavailable`].
    pub async fn restart_ice(&self, seat: &Seat, remote: IceCredentials) -> Result<IceCredentials, MediaError> {
        self.ask(&seat.room, |reply| Command::RestartIce(seat.clone(), remote, reply))
            .await
    }

    /// Replaces what the participant wants to see.
    ///
    /// # Errors
    /// [`MediaError::NotFound`] or [`MediaError::Unavailable`].
    pub async fn intents(&self, seat: &Seat, intents: Vec<Intent>) -> Result<(), MediaError> {
        self.ask(&seat.room, |reply| Command::Intents(seat.clone(), intents, reply))
            .await
    }

    /// Stops (or lets through) a source of this participant, whatever they send.
    pub fn set_blocked(&self, seat: &Seat, source: Source, blocked: bool) {
        self.tell(&seat.room, Command::SetBlocked(seat.clone(), source, blocked));
    }

    /// Ends the participant's transport.
    pub fn leave(&self, seat: &Seat) {
        self.tell(&seat.room, Command::Leave(seat.clone()));
    }

    /// Ends the room and every transport in it.
    pub fn close_room(&self, room: &str) {
        self.tell(room, Command::CloseRoom(room.to_owned()));
    }

    /// The event queue; only the first call gets it.
    pub fn events(&self) -> Option<mpsc::Receiver<MediaEvent>> {
        self.shared.events.lock().ok()?.take()
    }

    /// What each shard has counted.
    pub async fn snapshot(&self) -> Vec<ShardSnapshot> {
        let mut all = Vec::new();
        for door in &self.shared.shards {
            let (reply, answer) = oneshot::channel();
            if door.commands.try_send(Command::Snapshot(reply)).is_ok() {
                door.waker.wake();
                all.push(answer.await.unwrap_or_default());
            }
        }
        all
    }

    /// Where the shards listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.shared
            .shards
            .iter()
            .flat_map(|door| door.addresses.iter().copied())
            .collect()
    }

    /// Our ICE addresses, as clients know them.
    pub fn candidates(&self) -> Vec<SocketAddr> {
        let doors = self.shared.shards.iter();
        doors.flat_map(|door| door.candidates.iter().copied()).collect()
    }

    /// Whether every shard's thread runs.
    pub fn alive(&self) -> bool {
        let threads = self.shared.threads.lock();
        threads.is_ok_and(|threads| !threads.is_empty() && threads.iter().all(|thread| !thread.is_finished()))
    }

    /// Ends every transport with a goodbye and waits for the threads.
    pub fn shutdown(&self) {
        self.shared.stop();
    }

    #[cfg(test)]
    pub(crate) fn make_room_panic(&self, room: &str) {
        self.tell(room, Command::Panic(room.to_owned()));
    }
}

impl Shared {
    fn stop(&self) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::messages::SlotPolicy;

    fn local() -> Handle {
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        start(&MediaConfig {
            listen,
            ..Default::default()
        })
        .unwrap()
    }

    fn seat() -> Seat {
        Seat {
            room: "r".to_owned(),
            participant: "a".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_defect_in_one_room_ends_that_room_and_not_the_shard() {
        let handle = local();
        let mut events = handle.events().unwrap();
        assert!(handle.events().is_none(), "only the first call gets them");
        handle.make_room_panic("r");
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv())
            .await
            .unwrap();
        assert_eq!(event, Some(MediaEvent::RoomFailed("r".to_owned())));
        assert_eq!(handle.snapshot().await.len(), 1, "the shard still answers");
        handle.shutdown();
    }

    #[tokio::test]
    async fn nobody_is_not_found_and_a_bad_offer_is_refused_with_words() {
        let handle = local();
        let remote = IceCredentials {
            ufrag: "abcd".to_owned(),
            pwd: "x".repeat(24),
        };
        assert_eq!(handle.restart_ice(&seat(), remote).await, Err(MediaError::NotFound));
        assert_eq!(handle.intents(&seat(), Vec::new()).await, Err(MediaError::NotFound));
        let request = OfferRequest {
            seat: seat(),
            sdp: "v=0".to_owned(),
            mids: BTreeMap::new(),
            publish: true,
            subscribe: true,
            slots: SlotPolicy::Intents,
        };
        let refused = handle.offer(request).await;
        assert!(
            matches!(&refused, Err(MediaError::SdpRejected(words)) if !words.is_empty()),
            "{refused:?}"
        );
        handle.shutdown();
    }

    #[tokio::test]
    async fn after_the_shutdown_it_is_unavailable() {
        let handle = local();
        let address = handle.addresses()[0];
        handle.shutdown();
        assert_eq!(handle.intents(&seat(), Vec::new()).await, Err(MediaError::Unavailable));
        assert!(std::net::UdpSocket::bind(address).is_ok(), "the port is free again");
    }
}
