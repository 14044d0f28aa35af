//! What somebody can do to the TURN server who has a credential: any attributes under a valid signature, payloads, floods, and
//! time that passes, from several addresses of two users.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crypto::RTCCryptoProvider;
use crypto::providers::AwsLcRsProvider;
use stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME};
use stun::integrity::MessageIntegrity;
use stun::message::{Message, Setter};
use turn_server::credential::{self, Credentials};
use turn_server::{AllocationId, Client, Config, Family, OpenError, Outcome, Quota, Relay, Server, Time};

use super::{Execute, Kind};

static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();
const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const REALM: &str = "ringhall";
const UNIX: u64 = 1_800_000_000;
/// The one address that may be reached.
const PEER: [u8; 4] = [192, 0, 2, 1];
const CLIENTS: u8 = 6;
const QUOTA: Quota = Quota {
    total: 4,
    per_user: 3,
    per_address: 2,
};
/// Allocate, Refresh, CreatePermission, ChannelBind.
const METHODS: [u8; 4] = [3, 4, 8, 9];

/// Knows what is open.
#[derive(Default)]
struct Rooms {
    open: Vec<AllocationId>,
}

impl Relay for Rooms {
    fn open(&mut self, id: AllocationId, _: &str, family: Family, _: bool) -> Result<SocketAddr, OpenError> {
        if family == Family::V6 {
            return Err(OpenError::Family);
        }
        if !self.open.contains(&id) {
            self.open.push(id);
        }
        Ok(SocketAddr::from((PEER, 50_000)))
    }

    fn close(&mut self, id: AllocationId) {
        assert!(self.open.contains(&id), "closed twice");
        self.open.retain(|open| *open != id);
    }

    fn permits(&self, peer: SocketAddr) -> bool {
        peer.ip() == IpAddr::from(PEER)
    }

    fn knows(&self, user: &str) -> bool {
        user != "gone"
    }
}

struct World {
    server: Server,
    rooms: Rooms,
    start: Instant,
    passed: u64,
    nonces: Vec<Vec<u8>>,
    out: Vec<u8>,
}

fn client(number: u8) -> Client {
    // Pairs share an address; the last two are streams.
    let remote = SocketAddr::from(([10, 0, 0, number / 2], 4_000 + u16::from(number)));
    if number >= 4 {
        let connection = u64::from(number);
        return Client::Stream { connection, remote };
    }
    let local = SocketAddr::from(([192, 0, 2, 1], 3_478));
    Client::Udp { local, remote }
}

fn head(method: u8, length: usize) -> Vec<u8> {
    let mut message = vec![0, method];
    message.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
    message.extend([0x21, 0x12, 0xA4, 0x42]);
    message.extend([7; 12]);
    message
}

impl World {
    fn new() -> Self {
        let config = Config {
            realm: REALM.to_owned(),
            credentials: Credentials {
                secret: SECRET.to_vec(),
                ..Credentials::default()
            },
            nonce_secret: [9; 32],
            quota: QUOTA,
        };
        Self {
            server: Server::new(config),
            rooms: Rooms::default(),
            start: Instant::now(),
            passed: 0,
            nonces: vec![Vec::new(); usize::from(CLIENTS)],
            out: Vec::new(),
        }
    }

    fn time(&self) -> Time {
        Time {
            now: self.start + Duration::from_secs(self.passed),
            unix: UNIX + self.passed,
        }
    }

    fn handle(&mut self, number: u8, datagram: &[u8]) -> Outcome {
        let time = self.time();
        let outcome = self
            .server
            .handle(time, client(number), datagram, &mut self.rooms, &mut self.out);
        match &outcome {
            Outcome::Reply => {
                assert!(self.out.len() < 1_500, "a reply of {} bytes", self.out.len());
                self.learn(number);
            }
            Outcome::Payload {
                peer, data, allocation, ..
            } => {
                assert_eq!(peer.ip(), IpAddr::from(PEER), "somebody else is reached");
                assert!(data.end <= datagram.len());
                assert!(self.rooms.open.contains(allocation));
            }
            Outcome::Dropped(_) => {}
        }
        outcome
    }

    /// Keeps the nonce of a challenge.
    fn learn(&mut self, number: u8) {
        let mut reply = Message::default();
        assert!(reply.unmarshal_binary(&self.out).is_ok(), "no reply of ours is broken");
        if let Ok(nonce) = reply.get(ATTR_NONCE) {
            self.nonces[usize::from(number)] = nonce;
        }
    }

    /// A request with these attributes, whole or not, under a good signature.
    #[allow(clippy::expect_used, reason = "signing our own bytes does not fail")]
    fn sign(&self, number: u8, method: u8, attributes: &[u8]) -> Option<Vec<u8>> {
        let mut padded = attributes.to_vec();
        padded.resize(padded.len().next_multiple_of(4), 0);
        let mut raw = head(method, padded.len());
        raw.extend(padded);
        let mut message = Message {
            raw,
            ..Message::default()
        };
        // What the library cannot read it cannot sign either; that is the target `turn`.
        message.decode().ok()?;
        let user = ["ivan", "maria", "gone"][usize::from(number % 3)];
        let made = credential::issue(PROVIDER.crypto(), SECRET, user, UNIX + 3_600).expect("a credential");
        message.add(ATTR_USERNAME, made.username.as_bytes());
        message.add(ATTR_REALM, REALM.as_bytes());
        message.add(ATTR_NONCE, &self.nonces[usize::from(number)]);
        let (name, realm, password) = (made.username, REALM.to_owned(), made.password);
        MessageIntegrity::new_long_term_integrity_with_provider(name, realm, password, PROVIDER.crypto())
            .expect("a key")
            .add_to(&mut message)
            .ok()?;
        Some(message.raw)
    }

    /// One step of the script.
    fn step(&mut self, what: u8, number: u8, bytes: &[u8]) -> Kind {
        let kind = Kind::default().size(usize::from(what));
        match what {
            0..4 => {
                let method = METHODS[usize::from(what)];
                if self.nonces[usize::from(number)].is_empty() {
                    self.handle(number, &head(method, 0));
                }
                let Some(request) = self.sign(number, method, bytes) else {
                    return kind.text("unsigned");
                };
                let outcome = self.handle(number, &request);
                kind.text(&format!("{outcome:?}"))
                    .size(self.out.len())
                    .is(self.out.get(1) > Some(&0x0F))
            }
            4 => kind.text(named(&self.handle(number, bytes))),
            5 => {
                self.passed += u64::from(bytes.first().copied().unwrap_or(1)) * 4;
                let now = self.time().now;
                self.server.handle_timeout(now, &mut self.rooms);
                assert!(
                    self.server.next_deadline().is_none_or(|next| next > now),
                    "time stands still"
                );
                kind
            }
            6 => {
                let to = AllocationId(u64::from(number) + 1);
                let peer = SocketAddr::from((PEER, u16::from(bytes.first().copied().unwrap_or_default())));
                let now = self.time().now;
                let sent = self.server.wrap(now, to, peer, bytes, &mut self.out).is_some();
                assert!(!sent || self.rooms.open.contains(&to), "to somebody who is gone");
                kind.is(sent)
            }
            _ => {
                self.server.disconnected(client(number), &mut self.rooms);
                kind
            }
        }
    }
}

fn named(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Reply => "reply",
        Outcome::Payload { .. } => "payload",
        Outcome::Dropped(_) => "dropped",
    }
}

/// A script: what, who, how many bytes, the bytes. An input is of a new kind when two steps in a row went as no two have before.
pub(super) fn start() -> Execute {
    let mut known = HashSet::new();
    Box::new(move |input| {
        let mut world = World::new();
        let (mut last, mut fresh, mut rest) = (0, 0, input);
        while let Some(([what, who, length], behind)) = rest.split_first_chunk::<3>() {
            let (bytes, behind) = behind.split_at(usize::from(*length).min(behind.len()));
            rest = behind;
            let kind = world.step(what % 8, who % CLIENTS, bytes).done();
            let pair = kind ^ u64::rotate_left(last, 17);
            if known.insert(pair) {
                fresh = pair;
            }
            last = kind;
            let held = world.server.allocations();
            assert!(held <= QUOTA.total, "{held} allocations");
            assert_eq!(held, world.rooms.open.len(), "the books balance");
        }
        fresh
    })
}
