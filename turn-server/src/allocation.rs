//! One allocation: whom it belongs to, and which peers it may reach.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use stun::message::TransactionId;

use crate::server::{Client, Family};

/// How long a permission lasts (RFC 8656 section 9).
pub(crate) const PERMISSION: Duration = Duration::from_secs(300);
/// How long a channel lasts (RFC 8656 section 12).
pub(crate) const CHANNEL: Duration = Duration::from_secs(600);
/// Permissions, and channels, of one allocation. A browser in a call makes one for each candidate of the other side.
pub(crate) const MAX_PEERS: usize = 32;

/// Names an allocation; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AllocationId(pub u64);

struct Permission {
    peer: IpAddr,
    until: Instant,
}

#[derive(Clone, Copy)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    until: Instant,
}

/// Why a channel cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindError {
    /// The number has another peer, or the peer another number: 400.
    Taken,
    /// [`MAX_PEERS`]: 508.
    Full,
}

/// One allocation.
pub(crate) struct Allocation {
    pub(crate) client: Client,
    pub(crate) username: Box<str>,
    pub(crate) key: [u8; 16],
    /// The Allocate that made it: a repetition gets the same answer.
    pub(crate) made_by: TransactionId,
    /// Relayed addresses; the second one when both families were asked for.
    pub(crate) relayed: SmallVec<[SocketAddr; 1]>,
    pub(crate) until: Instant,
    permissions: SmallVec<[Permission; 2]>,
    channels: SmallVec<[Channel; 2]>,
}

impl Allocation {
    pub(crate) fn new(
        client: Client,
        username: Box<str>,
        key: [u8; 16],
        made_by: TransactionId,
        relayed: SmallVec<[SocketAddr; 1]>,
        until: Instant,
    ) -> Self {
        Self {
            client,
            username,
            key,
            made_by,
            relayed,
            until,
            permissions: SmallVec::new(),
            channels: SmallVec::new(),
        }
    }

    /// The relayed address of the family of `peer`.
    pub(crate) fn relayed_for(&self, peer: IpAddr) -> Option<SocketAddr> {
        let family = Family::of(peer);
        self.relayed.iter().copied().find(|r| Family::of(r.ip()) == family)
    }

    /// What is left of its time, in whole seconds, rounded up: a repetition a moment later tells the same.
    pub(crate) fn seconds_left(&self, now: Instant) -> u32 {
        self.until.saturating_duration_since(now).as_secs_f64().ceil() as u32
    }

    pub(crate) fn has_family(&self, family: Family) -> bool {
        self.relayed.iter().any(|r| Family::of(r.ip()) == family)
    }

    /// Whether packets may pass between the client and this address now.
    pub(crate) fn permits(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions.iter().any(|p| p.peer == peer && p.until > now)
    }

    /// Whether [`Self::permit`] would find room for all of `peers`.
    pub(crate) fn has_room_for(&mut self, now: Instant, peers: &[SocketAddr]) -> bool {
        self.permissions.retain(|p| p.until > now);
        let mut new: SmallVec<[IpAddr; 4]> = SmallVec::new();
        for peer in peers.iter().map(SocketAddr::ip) {
            if !new.contains(&peer) && !self.permissions.iter().any(|p| p.peer == peer) {
                new.push(peer);
            }
        }
        self.permissions.len() + new.len() <= MAX_PEERS
    }

    pub(crate) fn permit(&mut self, now: Instant, peer: IpAddr) {
        let until = now + PERMISSION;
        match self.permissions.iter_mut().find(|p| p.peer == peer) {
            Some(known) => known.until = until,
            None => self.permissions.push(Permission { peer, until }),
        }
    }

    pub(crate) fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) -> Result<(), BindError> {
        self.channels.retain(|c| c.until > now);
        let until = now + CHANNEL;
        let full = self.channels.len() >= MAX_PEERS;
        let same = |c: &&mut Channel| c.number == number || c.peer == peer;
        match self.channels.iter_mut().find(same) {
            Some(known) if known.number == number && known.peer == peer => known.until = until,
            Some(_) => return Err(BindError::Taken),
            None if full => return Err(BindError::Full),
            None => self.channels.push(Channel { number, peer, until }),
        }
        Ok(())
    }

    /// The peer of a channel.
    pub(crate) fn peer_of(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let live = |c: &&Channel| c.number == number && c.until > now;
        self.channels.iter().find(live).map(|c| c.peer)
    }

    /// The channel of a peer.
    pub(crate) fn channel_to(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let live = |c: &&Channel| c.peer == peer && c.until > now;
        self.channels.iter().find(live).map(|c| c.number)
    }
}
