//! What the four requests of RFC 8656 do.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Duration;

use crypto::RTCCryptoProvider;
use smallvec::SmallVec;
use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DONT_FRAGMENT, ATTR_EVEN_PORT, ATTR_LIFETIME, ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, AttrType,
};
use stun::error_code::{
    CODE_ADDR_FAMILY_NOT_SUPPORTED, CODE_ALLOC_MISMATCH, CODE_ALLOC_QUOTA_REACHED, CODE_BAD_REQUEST, CODE_FORBIDDEN,
    CODE_INSUFFICIENT_CAPACITY, CODE_PEER_ADDR_FAMILY_MISMATCH, CODE_UNSUPPORTED_TRANS_PROTO, ErrorCode,
};

use crate::allocation::{Allocation, AllocationId, BindError, MAX_PEERS};
use crate::authenticate::{Authentic, Refusal, only};
use crate::quota::Exceeded;
use crate::reply::Reply;
use crate::server::{Client, Family, OpenError, PROVIDER, Relay, Server, Time};
use crate::view::{CHANNEL_BYTES, View, message_type};

/// Lifetime of an allocation that asks for none (RFC 8656 section 3.2).
const DEFAULT_LIFETIME: u32 = 600;
/// Longest lifetime.
const MAX_LIFETIME: u32 = 3600;
/// Protocol number of UDP, in REQUESTED-TRANSPORT.
const UDP: u8 = 17;
/// Additional relayed address (RFC 8656 section 18.6); may be ignored, is not.
const ADDITIONAL_ADDRESS_FAMILY: AttrType = AttrType(0x8000);
/// Why there is no additional one (RFC 8656 section 18.12).
const ADDRESS_ERROR_CODE: AttrType = AttrType(0x8001);

type Answer = Result<Reply, Refusal>;

impl Server {
    /// Answers an Allocate, Refresh, CreatePermission or ChannelBind.
    pub(crate) fn request(
        &mut self,
        time: Time,
        client: Client,
        view: View<'_>,
        relay: &mut dyn Relay,
        out: &mut Vec<u8>,
    ) {
        let (answer, key) = match self.authenticate(time, client, view) {
            Ok(who) => (self.perform(time, client, view, &who, relay), Some(who.key)),
            Err(refusal) => (Err(refusal), None),
        };
        let reply = answer.unwrap_or_else(|refusal| self.refuse(time, client, view, &refusal));
        reply.finish(PROVIDER.crypto(), key.as_ref(), out);
    }

    fn refuse(&mut self, time: Time, client: Client, view: View<'_>, refusal: &Refusal) -> Reply {
        let mut reply = Reply::error(view.message_type(), view.transaction(), refusal.code, refusal.reason);
        if refusal.challenge {
            self.counters.challenged += 1;
            let nonce = self.nonces.make(PROVIDER.crypto(), time.unix, client.remote());
            reply.challenge(&self.config.realm, &nonce);
        } else {
            self.counters.refused += 1;
        }
        if !refusal.unknown.is_empty() {
            reply.unknown(&refusal.unknown);
        }
        reply
    }

    fn perform(
        &mut self,
        time: Time,
        client: Client,
        view: View<'_>,
        who: &Authentic<'_>,
        relay: &mut dyn Relay,
    ) -> Answer {
        if view.message_type() == message_type::ALLOCATE {
            return self.allocate(time, client, view, who, relay);
        }
        let (allocation, id) = self
            .of_client(time.now, client)
            .ok_or_else(|| Refusal::new(CODE_ALLOC_MISMATCH, "There is no allocation"))?;
        if *allocation.username != *who.username {
            return Err(Self::wrong_owner());
        }
        if !relay.knows(who.user) {
            self.end(id, relay);
            return Err(Refusal::new(CODE_FORBIDDEN, "The participant has left"));
        }
        match view.message_type() {
            message_type::REFRESH => self.refresh(time, id, view, relay),
            message_type::CREATE_PERMISSION => self.create_permission(time, id, view, relay),
            _ => self.channel_bind(time, id, view, relay),
        }
    }

    fn allocate(
        &mut self,
        time: Time,
        client: Client,
        view: View<'_>,
        who: &Authentic<'_>,
        relay: &mut dyn Relay,
    ) -> Answer {
        if let Some((allocation, _)) = self.of_client(time.now, client) {
            return if allocation.made_by == view.transaction() && *allocation.username == *who.username {
                Ok(allocated(time, client, view, allocation, None))
            } else {
                Err(Refusal::new(CODE_ALLOC_MISMATCH, "There is an allocation already"))
            };
        }
        only(
            view,
            &[
                ATTR_REQUESTED_TRANSPORT,
                ATTR_LIFETIME,
                ATTR_DONT_FRAGMENT,
                ATTR_EVEN_PORT,
                ATTR_RESERVATION_TOKEN,
                ATTR_REQUESTED_ADDRESS_FAMILY,
            ],
        )?;
        let wish = Wish::of(view)?;
        // An allocation that is over but not yet swept is in the way of its 5-tuple.
        self.disconnected(client, relay);
        let address = client.remote().ip();
        self.usage
            .take(&self.config.quota, who.user, address)
            .map_err(|exceeded| match exceeded {
                Exceeded::Total => no_capacity(),
                Exceeded::Own => Refusal::new(CODE_ALLOC_QUOTA_REACHED, "Allocation Quota Reached"),
            })?;
        let id = AllocationId(self.next_id);
        let first = match relay.open(id, who.user, wish.family, wish.even) {
            Ok(relayed) => relayed,
            Err(error) => {
                self.usage.give_back(who.user, address);
                return Err(open_error(error));
            }
        };
        let mut relayed = SmallVec::from_elem(first, 1);
        let mut missing = None;
        if let Some(additional) = wish.additional {
            match relay.open(id, who.user, additional, false) {
                Ok(second) => relayed.push(second),
                Err(error) => missing = Some((additional, open_error(error).code)),
            }
        }
        self.next_id += 1;
        let until = time.now + Duration::from_secs(lifetime(view).unwrap_or(DEFAULT_LIFETIME).into());
        let allocation = Allocation::new(client, who.username.into(), who.key, view.transaction(), relayed, until);
        let reply = allocated(time, client, view, &allocation, missing);
        self.due.push(Reverse((until, id)));
        self.by_client.insert(client, id);
        self.allocations.insert(id, Box::new(allocation));
        self.counters.allocated += 1;
        Ok(reply)
    }

    fn refresh(&mut self, time: Time, id: AllocationId, view: View<'_>, relay: &mut dyn Relay) -> Answer {
        only(view, &[ATTR_LIFETIME, ATTR_REQUESTED_ADDRESS_FAMILY])?;
        let allocation = self.allocations.get_mut(&id).ok_or_else(no_capacity)?;
        if let Some(value) = view.get(ATTR_REQUESTED_ADDRESS_FAMILY)
            && !family(value).is_some_and(|family| allocation.has_family(family))
        {
            return Err(family_mismatch());
        }
        let mut reply = success(view);
        match lifetime(view) {
            Some(0) => {
                self.end(id, relay);
                reply.lifetime(0);
            }
            wanted => {
                // Never shorter than it was: the entry in `due` stays the only one.
                let until = time.now + Duration::from_secs(wanted.unwrap_or(DEFAULT_LIFETIME).into());
                allocation.until = allocation.until.max(until);
                reply.lifetime(allocation.seconds_left(time.now));
            }
        }
        Ok(reply)
    }

    fn create_permission(&mut self, time: Time, id: AllocationId, view: View<'_>, relay: &dyn Relay) -> Answer {
        only(view, &[ATTR_XOR_PEER_ADDRESS])?;
        let allocation = self.allocations.get_mut(&id).ok_or_else(no_capacity)?;
        let mut peers: SmallVec<[SocketAddr; 4]> = SmallVec::new();
        for attribute in view.attributes().filter(|a| a.kind == ATTR_XOR_PEER_ADDRESS) {
            peers.push(reachable(view, attribute.value, allocation, relay)?);
            if peers.len() > MAX_PEERS {
                return Err(no_capacity());
            }
        }
        if peers.is_empty() {
            return Err(Refusal::new(CODE_BAD_REQUEST, "XOR-PEER-ADDRESS is missing"));
        }
        if !allocation.has_room_for(time.now, &peers) {
            return Err(no_capacity());
        }
        for peer in peers {
            allocation.permit(time.now, peer.ip());
        }
        Ok(success(view))
    }

    fn channel_bind(&mut self, time: Time, id: AllocationId, view: View<'_>, relay: &dyn Relay) -> Answer {
        only(view, &[ATTR_CHANNEL_NUMBER, ATTR_XOR_PEER_ADDRESS])?;
        let allocation = self.allocations.get_mut(&id).ok_or_else(no_capacity)?;
        let number = match view.get(ATTR_CHANNEL_NUMBER) {
            Some(&[high, low, _, _]) if CHANNEL_BYTES.contains(&high) => u16::from_be_bytes([high, low]),
            _ => {
                let reason = "CHANNEL-NUMBER has to be 0x4000 to 0x7FFF";
                return Err(Refusal::new(CODE_BAD_REQUEST, reason));
            }
        };
        let peer = view
            .get(ATTR_XOR_PEER_ADDRESS)
            .ok_or_else(|| Refusal::new(CODE_BAD_REQUEST, "XOR-PEER-ADDRESS is missing"))?;
        let peer = reachable(view, peer, allocation, relay)?;
        if !allocation.has_room_for(time.now, &[peer]) {
            return Err(no_capacity());
        }
        allocation.bind(time.now, number, peer).map_err(|error| match error {
            BindError::Taken => Refusal::new(CODE_BAD_REQUEST, "The channel or the peer is bound otherwise"),
            BindError::Full => no_capacity(),
        })?;
        allocation.permit(time.now, peer.ip());
        Ok(success(view))
    }
}

/// What an Allocate asks for.
struct Wish {
    family: Family,
    additional: Option<Family>,
    even: bool,
}

impl Wish {
    fn of(view: View<'_>) -> Result<Self, Refusal> {
        let bad = |reason| Refusal::new(CODE_BAD_REQUEST, reason);
        match view.get(ATTR_REQUESTED_TRANSPORT) {
            Some(&[UDP, _, _, _]) => {}
            Some(&[_, _, _, _]) => {
                return Err(Refusal::new(CODE_UNSUPPORTED_TRANS_PROTO, "Only UDP is relayed"));
            }
            _ => return Err(bad("REQUESTED-TRANSPORT is missing")),
        }
        let requested = view.get(ATTR_REQUESTED_ADDRESS_FAMILY);
        let additional = view.get(ADDITIONAL_ADDRESS_FAMILY);
        let even = view.get(ATTR_EVEN_PORT);
        if view.get(ATTR_RESERVATION_TOKEN).is_some() {
            return Err(if requested.is_some() || additional.is_some() || even.is_some() {
                bad("RESERVATION-TOKEN stands alone")
            } else {
                no_capacity() // No port is ever reserved.
            });
        }
        if additional.is_some() && (requested.is_some() || even.is_some_and(reserves)) {
            return Err(bad("ADDITIONAL-ADDRESS-FAMILY does not go with the other attributes"));
        }
        if even.is_some_and(reserves) {
            return Err(no_capacity()); // Pairs of ports are of no use to clients that multiplex RTP and RTCP.
        }
        let unsupported = || Refusal::new(CODE_ADDR_FAMILY_NOT_SUPPORTED, "Address Family not Supported");
        let family = match requested {
            Some(value) => family(value).ok_or_else(unsupported)?,
            None => Family::V4,
        };
        let additional = match additional.map(self::family) {
            None => None,
            Some(Some(Family::V6)) => Some(Family::V6),
            Some(_) => return Err(bad("ADDITIONAL-ADDRESS-FAMILY can only be IPv6")),
        };
        Ok(Self {
            family,
            additional,
            even: even.is_some(),
        })
    }
}

/// The R bit of EVEN-PORT.
fn reserves(even_port: &[u8]) -> bool {
    even_port.first().is_some_and(|bits| bits & 0x80 != 0)
}

fn family(value: &[u8]) -> Option<Family> {
    match value {
        [1, _, _, _] => Some(Family::V4),
        [2, _, _, _] => Some(Family::V6),
        _ => None,
    }
}

/// The lifetime that is granted, in seconds; `Some(0)` is asked for to end an allocation.
fn lifetime(view: View<'_>) -> Option<u32> {
    let wanted = u32::from_be_bytes(view.get(ATTR_LIFETIME)?.try_into().ok()?);
    Some(match wanted {
        0 if view.message_type() == message_type::REFRESH => 0,
        wanted => wanted.clamp(DEFAULT_LIFETIME, MAX_LIFETIME),
    })
}

/// The peer of a request, when this allocation may reach it.
fn reachable(view: View<'_>, value: &[u8], from: &Allocation, relay: &dyn Relay) -> Result<SocketAddr, Refusal> {
    let peer = view
        .xor_address(value)
        .ok_or_else(|| Refusal::new(CODE_BAD_REQUEST, "XOR-PEER-ADDRESS is malformed"))?;
    if from.relayed_for(peer.ip()).is_none() {
        return Err(family_mismatch());
    }
    if !relay.permits(peer) {
        return Err(Refusal::new(CODE_FORBIDDEN, "This peer may not be reached"));
    }
    Ok(peer)
}

fn allocated(
    time: Time,
    client: Client,
    view: View<'_>,
    allocation: &Allocation,
    missing: Option<(Family, ErrorCode)>,
) -> Reply {
    let mut reply = success(view);
    for relayed in &allocation.relayed {
        reply.xor_address(ATTR_XOR_RELAYED_ADDRESS, *relayed);
    }
    if let Some((family, code)) = missing {
        let family = if family == Family::V4 { 1 } else { 2 };
        reply.raw(
            ADDRESS_ERROR_CODE,
            &[family, 0, (code.0 / 100) as u8, (code.0 % 100) as u8],
        );
    }
    reply.lifetime(allocation.seconds_left(time.now));
    reply.mapped(client.remote())
}

fn success(view: View<'_>) -> Reply {
    Reply::success(view.message_type(), view.transaction())
}

fn no_capacity() -> Refusal {
    Refusal::new(CODE_INSUFFICIENT_CAPACITY, "Insufficient Capacity")
}

fn family_mismatch() -> Refusal {
    Refusal::new(CODE_PEER_ADDR_FAMILY_MISMATCH, "Peer Address Family Mismatch")
}

fn open_error(error: OpenError) -> Refusal {
    match error {
        OpenError::Family => Refusal::new(CODE_ADDR_FAMILY_NOT_SUPPORTED, "Address Family not Supported"),
        OpenError::Capacity => no_capacity(),
    }
}
