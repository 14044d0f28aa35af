//! TURN over TCP and TLS: a server of its own for each connection, on the connection's task. A relayed client's peers are
//! our own ICE addresses, so what it sends goes to the shard that has the address, and nowhere else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sfu::{Path, Piece};
use turn_server::credential::Credentials;
use turn_server::stream::{FramingError, first_message};
use turn_server::{AllocationId, Client, Config, Family, OpenError, Outcome, Quota, Relay, Server, Time};

use super::talk::{Close, Inward, Talk};
use crate::turn::{FIRST_PORT, after, unix};

/// Longest message: a datagram that the media plane takes, wrapped.
pub(super) const LONGEST: usize = 2_048 + 64;
/// Without an allocation a connection is closed after this.
const PROVE: Duration = Duration::from_secs(15);
/// Allocations by stream, of one user. A browser makes one for each network interface and transport.
const PER_USER: u32 = 24;
/// And in all.
const TOTAL: u32 = 10_000;

/// What all TURN connections share.
pub(crate) struct Relays {
    realm: String,
    secret: Vec<u8>,
    nonce_secret: [u8; 32],
    next_port: AtomicU16,
    /// Allocations in all, and by user.
    held: Mutex<(u32, HashMap<String, u32>)>,
}

impl Relays {
    pub(crate) fn new(realm: &str, secret: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            realm: realm.to_owned(),
            secret: secret.to_vec(),
            nonce_secret: rand::random(),
            next_port: AtomicU16::new(FIRST_PORT),
            held: Mutex::default(),
        })
    }

    fn hold(&self, user: &str) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = held.1.get(user).copied().unwrap_or(0);
        if held.0 >= TOTAL || of_user >= PER_USER {
            return false;
        }
        held.0 += 1;
        held.1.insert(user.to_owned(), of_user + 1);
        true
    }

    fn give_back(&self, user: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.0 = held.0.saturating_sub(1);
        if let Some(of_user) = held.1.get_mut(user) {
            *of_user -= 1;
            if *of_user == 0 {
                held.1.remove(user);
            }
        }
    }

    fn port(&self, even: bool) -> u16 {
        let step = |port: u16| {
            let first = if even && port % 2 == 1 { after(port) } else { port };
            Some(after(first))
        };
        let before = self.next_port.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        let port = before.unwrap_or(FIRST_PORT);
        if even && port % 2 == 1 { after(port) } else { port }
    }
}

/// The media plane, as far as a relay has to know it.
pub(super) trait Media: Send + Sync {
    /// The shard that has this ICE address.
    fn shard_at(&self, address: SocketAddr) -> Option<usize>;
    /// All of our ICE addresses.
    fn addresses(&self) -> &[SocketAddr];
    /// Whether somebody of this name takes part in a call.
    fn takes_part(&self, user: &str) -> bool;
}

impl Media for crate::media::Plane {
    fn shard_at(&self, address: SocketAddr) -> Option<usize> {
        self.shard_at(address)
    }

    fn addresses(&self) -> &[SocketAddr] {
        self.candidates()
    }

    fn takes_part(&self, user: &str) -> bool {
        self.takes_part(user)
    }
}

struct Rooms<'a> {
    relays: &'a Relays,
    media: &'a dyn Media,
    /// The user whose allocation is counted.
    holder: Option<String>,
}

impl Relay for Rooms<'_> {
    fn open(&mut self, _: AllocationId, user: &str, family: Family, even: bool) -> Result<SocketAddr, OpenError> {
        let mut ours = self.media.addresses().iter().map(SocketAddr::ip);
        let ip = ours.find(|ip| Family::of(*ip) == family).ok_or(OpenError::Family)?;
        if self.holder.is_none() {
            if !self.relays.hold(user) {
                return Err(OpenError::Capacity);
            }
            self.holder = Some(user.to_owned());
        }
        Ok(SocketAddr::new(ip, self.relays.port(even)))
    }

    fn close(&mut self, _: AllocationId) {
        if let Some(user) = self.holder.take() {
            self.relays.give_back(&user);
        }
    }

    fn permits(&self, peer: SocketAddr) -> bool {
        self.media.addresses().iter().any(|ours| ours.ip() == peer.ip())
    }

    fn knows(&self, user: &str) -> bool {
        self.media.takes_part(user)
    }
}

impl Drop for Rooms<'_> {
    fn drop(&mut self) {
        self.close(AllocationId(0));
    }
}

/// One TURN connection.
pub(super) struct Relayed<'a> {
    server: Server,
    rooms: Rooms<'a>,
    line: u64,
    client: Client,
    /// The allocation's number inside `server`; there is one at most.
    allocation: Option<AllocationId>,
    heard: Instant,
    reply: Vec<u8>,
}

impl<'a> Relayed<'a> {
    pub(super) fn new(line: u64, remote: SocketAddr, relays: &'a Relays, media: &'a dyn Media, now: Instant) -> Self {
        let config = Config {
            realm: relays.realm.clone(),
            credentials: Credentials {
                secret: relays.secret.clone(),
                ..Credentials::default()
            },
            nonce_secret: relays.nonce_secret,
            quota: Quota::default(),
        };
        let client = Client::Stream {
            connection: line,
            remote,
        };
        Self {
            server: Server::new(config),
            rooms: Rooms {
                relays,
                media,
                holder: None,
            },
            line,
            client,
            allocation: None,
            heard: now,
            reply: Vec::new(),
        }
    }

    fn has_allocation(&self) -> bool {
        self.server.allocations() > 0
    }
}

impl Talk for Relayed<'_> {
    fn take(
        &mut self,
        now: Instant,
        received: &[u8],
        inward: &mut Vec<Inward>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Close> {
        let time = Time { now, unix: unix() };
        let mut taken = 0;
        loop {
            let rest = &received[taken..];
            let length = match first_message(rest, LONGEST) {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(FramingError::TooLong(_)) => return Err(Close::TooLong),
                Err(FramingError::NotTurn) => return Err(Close::Nonsense),
            };
            let message = &rest[..length];
            taken += length;
            match self
                .server
                .handle(time, self.client, message, &mut self.rooms, &mut self.reply)
            {
                Outcome::Reply => out.extend_from_slice(&self.reply),
                Outcome::Payload {
                    allocation,
                    relayed,
                    peer,
                    data,
                } => {
                    self.allocation = Some(allocation);
                    let (Some(shard), Some(payload)) = (self.rooms.media.shard_at(peer), message.get(data)) else {
                        continue;
                    };
                    let path = Path::Turn {
                        allocation: self.line,
                        local: peer,
                        remote: relayed,
                    };
                    match inward.iter_mut().find(|piece| piece.path == path) {
                        Some(piece) => drop(sfu::lines::append(&mut piece.datagrams, payload)),
                        None => {
                            let mut datagrams = Vec::with_capacity(received.len());
                            sfu::lines::append(&mut datagrams, payload);
                            inward.push(Inward { shard, path, datagrams });
                        }
                    }
                }
                Outcome::Dropped(_) => {}
            }
        }
        if taken > 0 && self.has_allocation() {
            self.heard = now;
        }
        Ok(taken)
    }

    fn wrap(&mut self, now: Instant, piece: &Piece, out: &mut Vec<u8>) {
        let (Some(allocation), Some(local)) = (self.allocation, piece.local) else {
            return;
        };
        for datagram in sfu::lines::datagrams(&piece.bytes) {
            let wrapped = self.server.wrap(now, allocation, local, datagram, &mut self.reply);
            if wrapped.is_some() {
                out.extend_from_slice(&self.reply);
            }
        }
    }

    /// An allocation ends by itself when it is not refreshed; until then a browser may keep it for bad times.
    fn deadline(&self) -> Instant {
        let allocation = self.server.next_deadline().filter(|_| self.has_allocation());
        allocation.unwrap_or(self.heard + PROVE)
    }

    fn due(&mut self, now: Instant) -> Result<(), Close> {
        let had = self.has_allocation();
        self.server.handle_timeout(now, &mut self.rooms);
        if had && !self.has_allocation() {
            // A client whose allocation has run out may make another one.
            self.heard = now;
        }
        if now >= self.deadline() {
            return Err(Close::Unproven);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
