//! A client, and a relay that remembers what it was asked.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use crypto::RTCCryptoProvider;
use stun::attributes::*;
use stun::error_code::ErrorCodeAttribute;
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::*;
use stun::xoraddr::XorMappedAddress;

use crate::credential::{self, Credential, Credentials};
use crate::server::PROVIDER;
use crate::*;

pub(super) const REALM: &str = "calls.example";
pub(super) const SECRET: &[u8] = b"north";
pub(super) const UNIX: u64 = 1_800_000_000;

/// Permits two peers, an IPv4 one and an IPv6 one.
pub(super) struct TestRelay {
    pub(super) peers: HashSet<IpAddr>,
    pub(super) gone: HashSet<String>,
    pub(super) open: HashMap<AllocationId, u32>,
    pub(super) only_v4: bool,
    next_port: u16,
}

impl Relay for TestRelay {
    fn open(&mut self, id: AllocationId, _: &str, family: Family, even: bool) -> Result<SocketAddr, OpenError> {
        let ip: IpAddr = match family {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
            Family::V6 if self.only_v4 => return Err(OpenError::Family),
            Family::V6 => "2001:db8::1".parse::<Ipv6Addr>().unwrap().into(),
        };
        self.next_port += if even { 2 } else { 1 };
        *self.open.entry(id).or_default() += 1;
        Ok(SocketAddr::new(ip, self.next_port))
    }

    fn close(&mut self, id: AllocationId) {
        assert!(self.open.remove(&id).is_some(), "closed twice");
    }

    fn permits(&self, peer: SocketAddr) -> bool {
        self.peers.contains(&peer.ip())
    }

    fn knows(&self, user: &str) -> bool {
        !self.gone.contains(user)
    }
}

/// A server with its relay and a clock.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) relay: TestRelay,
    pub(super) time: Time,
    pub(super) out: Vec<u8>,
}

pub(super) fn peer() -> SocketAddr {
    "198.51.100.7:7882".parse().unwrap()
}

pub(super) fn peer_v6() -> SocketAddr {
    "[2001:db8::7]:7882".parse().unwrap()
}

pub(super) fn udp(port: u16) -> Client {
    Client::Udp {
        local: "192.0.2.1:3478".parse().unwrap(),
        remote: SocketAddr::from(([203, 0, 113, 9], port)),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_quota(Quota::default())
    }

    pub(super) fn with_quota(quota: Quota) -> Self {
        let config = Config {
            realm: REALM.to_owned(),
            credentials: Credentials {
                secret: SECRET.to_vec(),
                users: HashMap::from([("fixed".to_owned(), "word".to_owned())]),
            },
            nonce_secret: [9; 32],
            quota,
        };
        Self {
            server: Server::new(config),
            relay: TestRelay {
                peers: HashSet::from([peer().ip(), peer_v6().ip()]),
                gone: HashSet::new(),
                open: HashMap::new(),
                only_v4: false,
                next_port: 49_152,
            },
            time: Time {
                now: Instant::now(),
                unix: UNIX,
            },
            out: Vec::new(),
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.time.now += Duration::from_secs(seconds);
        self.time.unix += seconds;
    }

    pub(super) fn handle(&mut self, client: Client, bytes: &[u8]) -> Outcome {
        self.server
            .handle(self.time, client, bytes, &mut self.relay, &mut self.out)
    }

    /// Sends a message and reads the reply.
    pub(super) fn ask(&mut self, client: Client, bytes: &[u8]) -> Message {
        assert_eq!(self.handle(client, bytes), Outcome::Reply);
        let mut reply = Message::default();
        reply.unmarshal_binary(&self.out).unwrap();
        FINGERPRINT.check(&reply).unwrap();
        reply
    }

    pub(super) fn timeout(&mut self) {
        self.server.handle_timeout(self.time.now, &mut self.relay);
    }
}

pub(super) fn credential(user: &str) -> Credential {
    credential::issue(PROVIDER.crypto(), SECRET, user, UNIX + 3600).unwrap()
}

/// A person at a 5-tuple.
pub(super) struct Person {
    pub(super) at: Client,
    pub(super) credential: Credential,
    pub(super) nonce: String,
    transaction: u8,
}

pub(super) fn code(reply: &Message) -> Option<u16> {
    reply.contains(ATTR_ERROR_CODE).then(|| {
        let value = reply.get(ATTR_ERROR_CODE).unwrap();
        u16::from(value[2]) * 100 + u16::from(value[3])
    })
}

pub(super) type Part = (AttrType, Vec<u8>);

pub(super) fn transport() -> Part {
    (ATTR_REQUESTED_TRANSPORT, vec![17, 0, 0, 0])
}

pub(super) fn lifetime(seconds: u32) -> Part {
    (ATTR_LIFETIME, seconds.to_be_bytes().to_vec())
}

pub(super) fn family(number: u8) -> Part {
    (ATTR_REQUESTED_ADDRESS_FAMILY, vec![number, 0, 0, 0])
}

impl Person {
    /// Somebody who knows the nonce already.
    pub(super) fn new(world: &mut World, user: &str, at: Client) -> Self {
        let mut person = Self {
            at,
            credential: credential(user),
            nonce: String::new(),
            transaction: 0,
        };
        person.learn(world);
        person
    }

    /// Takes nonce and realm from the challenge.
    pub(super) fn learn(&mut self, world: &mut World) {
        let request = self.message(METHOD_ALLOCATE, CLASS_REQUEST, &[transport()], false);
        let challenge = world.ask(self.at, &request);
        assert_eq!(code(&challenge), Some(401));
        assert_eq!(challenge.get(ATTR_REALM).unwrap(), REALM.as_bytes());
        self.nonce = String::from_utf8(challenge.get(ATTR_NONCE).unwrap()).unwrap();
    }

    /// A message of mine; every call makes a new transaction.
    pub(super) fn message(&mut self, method: Method, class: MessageClass, parts: &[Part], sign: bool) -> Vec<u8> {
        self.transaction = self.transaction.wrapping_add(1);
        let mut message = Message::new();
        message.set_type(MessageType::new(method, class));
        message.transaction_id = TransactionId([self.transaction; 12]);
        message.write_header();
        for (kind, value) in parts {
            if [ATTR_XOR_PEER_ADDRESS].contains(kind) {
                let address: SocketAddr = std::str::from_utf8(value).unwrap().parse().unwrap();
                let address = XorMappedAddress {
                    ip: address.ip(),
                    port: address.port(),
                };
                address.add_to_as(&mut message, *kind).unwrap();
            } else {
                message.add(*kind, value);
            }
        }
        if sign {
            message.add(ATTR_USERNAME, self.credential.username.as_bytes());
            message.add(ATTR_REALM, REALM.as_bytes());
            message.add(ATTR_NONCE, self.nonce.as_bytes());
            let integrity = MessageIntegrity::new_long_term_integrity_with_provider(
                self.credential.username.clone(),
                REALM.to_owned(),
                self.credential.password.clone(),
                PROVIDER.crypto(),
            );
            integrity.unwrap().add_to(&mut message).unwrap();
        }
        FINGERPRINT.add_to(&mut message).unwrap();
        message.raw
    }

    pub(super) fn request(&mut self, method: Method, parts: &[Part]) -> Vec<u8> {
        self.message(method, CLASS_REQUEST, parts, true)
    }

    /// A signed request; the reply is checked for our signature when it is no challenge.
    pub(super) fn ask(&mut self, world: &mut World, method: Method, parts: &[Part]) -> Message {
        let request = self.request(method, parts);
        let mut reply = world.ask(self.at, &request);
        assert_eq!(reply.transaction_id, TransactionId([self.transaction; 12]));
        if reply.contains(ATTR_MESSAGE_INTEGRITY) {
            let Credential { username, password } = &self.credential;
            let key = credential::long_term_key(PROVIDER.crypto(), REALM, username, password).unwrap();
            MessageIntegrity::check(&mut reply, &key, PROVIDER.crypto()).unwrap();
        }
        reply
    }

    pub(super) fn code(&mut self, world: &mut World, method: Method, parts: &[Part]) -> Option<u16> {
        code(&self.ask(world, method, parts))
    }

    pub(super) fn allocate(&mut self, world: &mut World, parts: &[Part]) -> Message {
        let parts: Vec<Part> = [transport()].iter().chain(parts).cloned().collect();
        self.ask(world, METHOD_ALLOCATE, &parts)
    }

    pub(super) fn permit(&mut self, world: &mut World, peer: SocketAddr) -> Option<u16> {
        self.code(world, METHOD_CREATE_PERMISSION, &[to(peer)])
    }

    pub(super) fn bind(&mut self, world: &mut World, number: u16, peer: SocketAddr) -> Option<u16> {
        self.code(world, METHOD_CHANNEL_BIND, &[channel(number), to(peer)])
    }

    /// A Send indication.
    pub(super) fn send(&mut self, world: &mut World, peer: SocketAddr, payload: &[u8]) -> (Outcome, Vec<u8>) {
        let parts = [to(peer), (ATTR_DATA, payload.to_vec())];
        let message = self.message(METHOD_SEND, CLASS_INDICATION, &parts, false);
        let outcome = world.handle(self.at, &message);
        (outcome, message)
    }
}

pub(super) fn to(peer: SocketAddr) -> Part {
    (ATTR_XOR_PEER_ADDRESS, peer.to_string().into_bytes())
}

pub(super) fn channel(number: u16) -> Part {
    let [high, low] = number.to_be_bytes();
    (ATTR_CHANNEL_NUMBER, vec![high, low, 0, 0])
}

pub(super) fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(super) fn address(reply: &Message, kind: AttrType) -> SocketAddr {
    let mut address = XorMappedAddress::default();
    address.get_from_as(reply, kind).unwrap();
    SocketAddr::new(address.ip, address.port)
}

pub(super) fn lifetime_of(reply: &Message) -> u32 {
    u32::from_be_bytes(reply.get(ATTR_LIFETIME).unwrap().try_into().unwrap())
}

/// The reason text of an error.
pub(super) fn reason(reply: &Message) -> String {
    let mut error = ErrorCodeAttribute::default();
    stun::message::Getter::get_from(&mut error, reply).unwrap();
    String::from_utf8(error.reason).unwrap()
}
