//! The server: which datagram is for whom.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

use crypto::RTCCryptoProvider;
use crypto::providers::AwsLcRsProvider;
use stun::attributes::{ATTR_DATA, ATTR_DONT_FRAGMENT, ATTR_XOR_PEER_ADDRESS};

use crate::allocation::{Allocation, AllocationId};
use crate::credential::Credentials;
use crate::nonce::Nonces;
use crate::quota::{Quota, Usage};
use crate::reply::Reply;
use crate::view::{CHANNEL_BYTES, View, message_type};

/// Stateless.
pub(crate) static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();

/// A request is a few hundred bytes; longer ones are not read. (Send indications carry payloads and may be longer.)
const MAX_REQUEST: usize = 1500;
/// Bytes of a ChannelData header.
const CHANNEL_HEADER: usize = 4;

/// Where a client is: the two ends of RFC 8656's 5-tuple that the server sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// By UDP.
    Udp {
        /// Our address.
        local: SocketAddr,
        /// The client's.
        remote: SocketAddr,
    },
    /// By TCP or TLS.
    Stream {
        /// The number that the owner gave the connection; never used twice.
        connection: u64,
        /// The client's address.
        remote: SocketAddr,
    },
}

impl Client {
    /// The client's address.
    pub fn remote(&self) -> SocketAddr {
        match *self {
            Self::Udp { remote, .. } | Self::Stream { remote, .. } => remote,
        }
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address; IPv4-mapped IPv6 is IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// For lifetimes.
    pub now: Instant,
    /// Seconds since 1970, for credentials and nonces.
    pub unix: u64,
}

/// Why there is no relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// 440.
    #[error("no relayed addresses of this family")]
    Family,
    /// 508.
    #[error("no relayed address is free")]
    Capacity,
}

/// The owner's side: relayed addresses, and who may be reached from them.
pub trait Relay {
    /// Makes a relayed address for `user`. `even`: its port has to be even (EVEN-PORT).
    ///
    /// # Errors
    /// There is none.
    fn open(&mut self, id: AllocationId, user: &str, family: Family, even: bool) -> Result<SocketAddr, OpenError>;

    /// An allocation has ended; its relayed addresses are free again.
    fn close(&mut self, id: AllocationId);

    /// Whether this peer may be reached. Refused ones get 403.
    fn permits(&self, peer: SocketAddr) -> bool;

    /// Whether the user takes part (still): asked at every request that prolongs something or opens a way to a peer. Not
    /// at Allocate, where the expiry of the credential counts: a browser allocates before it joins.
    fn knows(&self, user: &str) -> bool;
}

/// Settings.
#[derive(Clone)]
pub struct Config {
    /// REALM.
    pub realm: String,
    /// Whom to believe.
    pub credentials: Credentials,
    /// Secret of the nonces; random at every start.
    pub nonce_secret: [u8; 32],
    /// Limits.
    pub quota: Quota,
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is in `out`; it goes back to the client.
    Reply,
    /// The client has sent a payload to a peer.
    Payload {
        /// From this allocation.
        allocation: AllocationId,
        /// Its relayed address: the source that the peer sees.
        relayed: SocketAddr,
        /// To this peer.
        peer: SocketAddr,
        /// Where the payload lies in the datagram.
        data: Range<usize>,
    },
    /// Nothing.
    Dropped(Dropped),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Not STUN and not ChannelData, or broken.
    Malformed,
    /// A message that a server has nothing to say to.
    Unexpected,
    /// A payload from a client without an allocation, or to a peer without a permission.
    NotPermitted,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Allocations made.
    pub allocated: u64,
    /// Requests refused with an error code, challenges not counted.
    pub refused: u64,
    /// Requests answered with a challenge: the first one of every honest client, and every stranger's.
    pub challenged: u64,
    /// Datagrams dropped.
    pub dropped: u64,
    /// Payloads from clients.
    pub payloads_in: u64,
    /// Payloads to clients.
    pub payloads_out: u64,
}

/// The server.
pub struct Server {
    pub(crate) config: Config,
    pub(crate) nonces: Nonces,
    pub(crate) usage: Usage,
    pub(crate) by_client: HashMap<Client, AllocationId>,
    /// Boxed: a table is up to twice as large as what is in it.
    pub(crate) allocations: HashMap<AllocationId, Box<Allocation>>,
    /// When to look at an allocation again: at most as late as it ends, one entry each.
    pub(crate) due: BinaryHeap<Reverse<(Instant, AllocationId)>>,
    pub(crate) next_id: u64,
    pub(crate) counters: Counters,
}

impl Server {
    /// A server without allocations.
    pub fn new(config: Config) -> Self {
        Self {
            nonces: Nonces::new(config.nonce_secret),
            config,
            usage: Usage::default(),
            by_client: HashMap::new(),
            allocations: HashMap::new(),
            due: BinaryHeap::new(),
            next_id: 1,
            counters: Counters::default(),
        }
    }

    /// Takes one datagram, or one message of a stream (see [`crate::stream`]). A reply is written over `out`.
    pub fn handle(
        &mut self,
        time: Time,
        client: Client,
        datagram: &[u8],
        relay: &mut dyn Relay,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let outcome = match datagram.first() {
            Some(first) if CHANNEL_BYTES.contains(first) => self.channel_data(time.now, client, datagram),
            Some(0..=3) => self.message(time, client, datagram, relay, out),
            _ => Err(Dropped::Malformed),
        };
        match &outcome {
            Ok(Outcome::Payload { .. }) => self.counters.payloads_in += 1,
            Err(_) => self.counters.dropped += 1,
            _ => {}
        }
        outcome.unwrap_or_else(Outcome::Dropped)
    }

    fn message(
        &mut self,
        time: Time,
        client: Client,
        datagram: &[u8],
        relay: &mut dyn Relay,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Dropped> {
        let view = View::parse(datagram).ok_or(Dropped::Malformed)?;
        match view.message_type() {
            message_type::SEND_INDICATION => self.send_indication(time.now, client, view),
            _ if datagram.len() > MAX_REQUEST => Err(Dropped::Malformed),
            message_type::BINDING => {
                let reply = Reply::success(message_type::BINDING, view.transaction()).mapped(client.remote());
                reply.finish(PROVIDER.crypto(), None, out);
                Ok(Outcome::Reply)
            }
            message_type::ALLOCATE
            | message_type::REFRESH
            | message_type::CREATE_PERMISSION
            | message_type::CHANNEL_BIND => {
                self.request(time, client, view, relay, out);
                Ok(Outcome::Reply)
            }
            _ => Err(Dropped::Unexpected),
        }
    }

    fn channel_data(&self, now: Instant, client: Client, datagram: &[u8]) -> Result<Outcome, Dropped> {
        let (header, rest) = datagram
            .split_first_chunk::<CHANNEL_HEADER>()
            .ok_or(Dropped::Malformed)?;
        let number = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if length > rest.len() {
            return Err(Dropped::Malformed);
        }
        let (allocation, id) = self.of_client(now, client).ok_or(Dropped::NotPermitted)?;
        let peer = allocation.peer_of(now, number).ok_or(Dropped::NotPermitted)?;
        // The permission that the channel made lasts half as long as the channel (RFC 8656 section 12).
        if !allocation.permits(now, peer.ip()) {
            return Err(Dropped::NotPermitted);
        }
        Ok(Outcome::Payload {
            allocation: id,
            relayed: allocation.relayed_for(peer.ip()).ok_or(Dropped::NotPermitted)?,
            peer,
            data: CHANNEL_HEADER..CHANNEL_HEADER + length,
        })
    }

    fn send_indication(&self, now: Instant, client: Client, view: View<'_>) -> Result<Outcome, Dropped> {
        let known = [ATTR_XOR_PEER_ADDRESS, ATTR_DATA, ATTR_DONT_FRAGMENT];
        if view.attributes().any(|a| a.kind.required() && !known.contains(&a.kind)) {
            return Err(Dropped::Unexpected);
        }
        let peer = view.get(ATTR_XOR_PEER_ADDRESS).and_then(|v| view.xor_address(v));
        let (peer, data) = peer.zip(view.get(ATTR_DATA)).ok_or(Dropped::Malformed)?;
        let (allocation, id) = self.of_client(now, client).ok_or(Dropped::NotPermitted)?;
        if !allocation.permits(now, peer.ip()) {
            return Err(Dropped::NotPermitted);
        }
        Ok(Outcome::Payload {
            allocation: id,
            relayed: allocation.relayed_for(peer.ip()).ok_or(Dropped::NotPermitted)?,
            peer,
            data: view.range_of(data),
        })
    }

    pub(crate) fn of_client(&self, now: Instant, client: Client) -> Option<(&Allocation, AllocationId)> {
        let id = *self.by_client.get(&client)?;
        let allocation = self.allocations.get(&id).filter(|a| a.until > now)?;
        Some((allocation, id))
    }

    /// Frames a payload from `peer` for the client of an allocation, over `out`, and says where to send it. `None`: the
    /// allocation is gone or does not permit the peer, and the payload is dropped (RFC 8656 section 11.3).
    pub fn wrap(
        &mut self,
        now: Instant,
        allocation: AllocationId,
        peer: SocketAddr,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Client> {
        let of = self.allocations.get(&allocation).filter(|a| a.until > now)?;
        if !of.permits(now, peer.ip()) {
            return None;
        }
        let length = u16::try_from(payload.len()).ok()?;
        out.clear();
        match of.channel_to(now, peer) {
            Some(number) => {
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(payload);
                if matches!(of.client, Client::Stream { .. }) {
                    out.resize(out.len().next_multiple_of(4), 0);
                }
            }
            None => crate::stream::data_indication(self.next_transaction(), peer, payload, out)?,
        }
        self.counters.payloads_out += 1;
        self.allocations.get(&allocation).map(|a| a.client)
    }

    /// Indications are not answered, so their transaction id only has to differ from the last one's.
    fn next_transaction(&self) -> [u8; 12] {
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.counters.payloads_out.to_be_bytes());
        id
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Ends the allocations whose time is over.
    pub fn handle_timeout(&mut self, now: Instant, relay: &mut dyn Relay) {
        while let Some(&Reverse((at, id))) = self.due.peek() {
            if at > now {
                return;
            }
            self.due.pop();
            match self.allocations.get(&id).map(|a| a.until) {
                Some(until) if until > now => self.due.push(Reverse((until, id))),
                Some(_) => self.end(id, relay),
                None => {}
            }
        }
    }

    /// A stream has ended, and with it its client's allocation.
    pub fn disconnected(&mut self, client: Client, relay: &mut dyn Relay) {
        if let Some(id) = self.by_client.get(&client).copied() {
            self.end(id, relay);
        }
    }

    pub(crate) fn end(&mut self, id: AllocationId, relay: &mut dyn Relay) {
        let Some(allocation) = self.allocations.remove(&id) else {
            return;
        };
        self.by_client.remove(&allocation.client);
        if let Some(claim) = self.config.credentials.claim(&allocation.username) {
            self.usage.give_back(claim.user, allocation.client.remote().ip());
        }
        relay.close(id);
    }

    /// Allocations that live.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
