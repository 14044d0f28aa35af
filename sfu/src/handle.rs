//! The door for asynchronous code: commands in, events out, both by bounded queues.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sfu_core::shard::MAX_SHARDS;
use sfu_core::transport::ufrag::Ufrag;
use sfu_core::transport::{IceCredentials, stun_local_ufrag};
use sfu_core::types::Source;
use tokio::sync::{mpsc, oneshot};

use crate::config::{MediaConfig, StartError};
use crate::doors::{COMMANDS, EVENTS, ShardDoor, Shared};
use crate::events::Events;
use crate::lines::{self, Exchange, Inlet, LineDoor, Outflow};
use crate::messages::{Command, Intent, MediaError, OfferRequest, Seat, ShardSnapshot};
use crate::registry::Registry;
use crate::roster::Roster;
use crate::tunnel::MakeTunnel;
use crate::worker;

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
    if config.shards > MAX_SHARDS {
        return Err(StartError::TooMany(config.shards));
    }
    let (events, receiver) = mpsc::channel(EVENTS);
    let mut shards = Vec::new();
    let mut threads = Vec::new();
    let mut line_doors = Vec::new();
    let roster = Roster::default();
    for number in 0..config.shards {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let (inbound, from_lines) = mpsc::channel(lines::WAITING_IN);
        let outside = worker::Outside {
            commands: queue,
            events: events.clone(),
            lines: from_lines,
            roster: roster.clone(),
        };
        let started = worker::start(config, number, outside, tunnel)?;
        line_doors.push(LineDoor {
            inbound,
            waker: started.waker.clone(),
        });
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
        registry: Mutex::new(Registry::new(config.shards, config.room_members_per_shard)),
        exchange: Exchange::new(line_doors),
        roster,
        linked: Mutex::default(),
    };
    Ok(Handle {
        shared: Arc::new(shared),
    })
}

impl Handle {
    /// Makes or updates the participant's transport and returns the SDP answer. The first offer makes the participant; one
    /// with the same certificate grows their slots; one with another certificate replaces their transport.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn offer(&self, request: OfferRequest) -> Result<String, MediaError> {
        let seat = request.seat.clone();
        let (place, answer) = self.shared.place(request)?;
        let result = answer.await.unwrap_or(Err(MediaError::Unavailable));
        if result.is_err() {
            self.shared.undo(&seat, &place);
        }
        result
    }

    /// ICE restart: takes the client's credentials and returns the server's.
    ///
    /// # Errors
    /// [`MediaError::NotFound`] or [`MediaError::Unavailable`].
    pub async fn restart_ice(&self, seat: &Seat, remote: IceCredentials) -> Result<IceCredentials, MediaError> {
        let (id, shard) = self.shared.registry().placed(seat).ok_or(MediaError::NotFound)?;
        let answer = self.shared.ask(shard, |reply| Command::RestartIce(id, remote, reply))?;
        answer.await.map_err(|_| MediaError::Unavailable)?
    }

    /// Replaces what the participant wants to see.
    ///
    /// # Errors
    /// [`MediaError::NotFound`] or [`MediaError::Unavailable`].
    pub async fn intents(&self, seat: &Seat, intents: Vec<Intent>) -> Result<(), MediaError> {
        let answer = self.shared.intend(seat, intents)?;
        answer.await.map_err(|_| MediaError::Unavailable)?
    }

    /// Stops (or lets through) a source of this participant, whatever they send.
    pub fn set_blocked(&self, seat: &Seat, source: Source, blocked: bool) {
        let mut registry = self.shared.registry();
        if let Some((room, id, shards)) = registry.block(seat, source, blocked) {
            for shard in shards {
                self.shared.tell(shard, Command::SetBlocked(room, id, source, blocked));
            }
        }
    }

    /// The participant says whether their processor limits what they send of a source. Viewers are told.
    pub fn set_limited(&self, seat: &Seat, source: Source, limited: bool) {
        if let Some((id, shard)) = self.shared.registry().placed(seat) {
            self.shared.tell(shard, Command::SetLimited(id, source, limited));
        }
    }

    /// Ends the participant's transport.
    pub fn leave(&self, seat: &Seat) {
        let mut registry = self.shared.registry();
        let Some(left) = registry.leave(seat) else { return };
        if let Some(shard) = left.shard {
            self.shared.tell(shard, Command::Leave(left.id));
        }
        self.shared.close(left.closes);
    }

    /// Ends the room and every transport in it.
    pub fn close_room(&self, room: &str) {
        let closes = self.shared.registry().close(room);
        self.shared.close(closes);
    }

    /// The event queue; only the first call gets it.
    pub fn events(&self) -> Option<Events> {
        let receiver = self.shared.events.lock().ok()?.take()?;
        Some(Events::new(receiver, Arc::downgrade(&self.shared)))
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

    /// Makes a line for a TCP connection.
    pub fn line(&self) -> (Inlet, Outflow) {
        self.shared.exchange.line()
    }

    /// The shard that a connectivity check is for, by the user fragment that it names. Nothing is proven by it.
    pub fn shard_of_check(&self, datagram: &[u8]) -> Option<usize> {
        let place = stun_local_ufrag(datagram).and_then(Ufrag::decode)?;
        let shard = usize::from(place.shard);
        (shard < self.shared.shards.len()).then_some(shard)
    }

    /// The shard that has this address among its ICE candidates.
    pub fn shard_at(&self, address: SocketAddr) -> Option<usize> {
        let mut doors = self.shared.shards.iter();
        doors.position(|door| door.candidates.contains(&address))
    }

    /// Whether somebody of this name takes part in a call now.
    pub fn takes_part(&self, name: &str) -> bool {
        self.shared.roster.has(name)
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
        let mut registry = self.shared.registry();
        registry.participant(room, "somebody");
        if let Some((room, shards)) = registry.room(room) {
            self.shared.tell(shards[0], Command::Panic(room));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::messages::{MediaEvent, SlotPolicy};

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

    const OFFER: &str = include_str!("../core/src/sdp/fixtures/chromium-call.sdp");

    async fn joins(handle: &Handle, name: &str) -> Result<String, MediaError> {
        let request = OfferRequest {
            seat: Seat {
                room: "r".to_owned(),
                participant: name.to_owned(),
            },
            sdp: OFFER.to_owned(),
            mids: BTreeMap::new(),
            publish: true,
            subscribe: true,
            slots: SlotPolicy::Intents,
        };
        handle.offer(request).await
    }

    /// Asks until participants and stand-ins of each shard are these.
    async fn become_so(handle: &Handle, expected: &[(usize, usize)]) {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let all = handle.snapshot().await;
            let now: Vec<_> = all.iter().map(|s| (s.participants, s.stand_ins)).collect();
            if now == expected {
                return;
            }
            assert!(std::time::Instant::now() < end, "{now:?} instead of {expected:?}");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_room_that_outgrows_a_shard_goes_on_in_the_next_and_a_defect_ends_it_in_both() {
        let config = MediaConfig {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            shards: 2,
            room_members_per_shard: 2,
            ..Default::default()
        };
        let handle = start(&config).unwrap();
        let mut events = handle.events().unwrap();
        let mut ports = Vec::new();
        for name in ["a", "b", "c"] {
            let answer = joins(&handle, name).await.unwrap();
            let candidate = answer.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
            ports.push(candidate.split(' ').nth(5).unwrap().to_owned());
        }
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[0], ports[2], "the third is told another port");
        let home = handle.addresses().iter().position(|a| a.port().to_string() == ports[0]);
        let both = |here: (usize, usize), there: (usize, usize)| {
            if home == Some(0) { [here, there] } else { [there, here] }
        };
        become_so(&handle, &both((2, 1), (1, 2))).await;
        handle.leave(&Seat {
            room: "r".to_owned(),
            participant: "b".to_owned(),
        });
        become_so(&handle, &both((1, 1), (1, 1))).await;
        handle.make_room_panic("r");
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv())
            .await
            .unwrap();
        assert_eq!(event, Some(MediaEvent::RoomFailed("r".to_owned())));
        become_so(&handle, &[(0, 0), (0, 0)]).await;
        // It can be entered again.
        joins(&handle, "a").await.unwrap();
        become_so(&handle, &both((1, 0), (0, 0))).await;
        handle.close_room("r");
        become_so(&handle, &[(0, 0), (0, 0)]).await;
        handle.shutdown();
    }

    #[tokio::test]
    async fn a_refused_offer_takes_no_place_even_if_nobody_waits_for_the_answer() {
        let handle = local();
        let mut events = handle.events().unwrap();
        let request = OfferRequest {
            seat: seat(),
            sdp: "v=0".to_owned(),
            mids: BTreeMap::new(),
            publish: true,
            subscribe: true,
            slots: SlotPolicy::Intents,
        };
        let (place, answer) = handle.shared.place(request).unwrap();
        drop(answer);
        let undone = async {
            while handle.shared.registry().room("r").is_some() {
                // Nothing to tell; but who waits for events deals with what was left undone.
                let _ = tokio::time::timeout(Duration::from_millis(1), events.recv()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), undone).await.unwrap();
        assert_eq!(handle.shared.registry().seat(place.id), None);
        handle.shutdown();
    }

    #[tokio::test]
    async fn after_the_shutdown_it_is_unavailable() {
        let handle = local();
        let address = handle.addresses()[0];
        joins(&handle, "a").await.unwrap();
        handle.shutdown();
        assert_eq!(handle.intents(&seat(), Vec::new()).await, Err(MediaError::Unavailable));
        assert!(std::net::UdpSocket::bind(address).is_ok(), "the port is free again");
    }
}
