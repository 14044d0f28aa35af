//! What anybody can send without having proven anything: STUN, DTLS, TURN.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::transport::{
    Fingerprint, IceCredentials, Identity, Incoming, Transport, TransportConfig, stun_local_ufrag,
};
use sfu_core::types::Path;
use turn_server::credential::Credentials;
use turn_server::{AllocationId, Client, Config, Family, OpenError, Outcome, Quota, Relay, Server, Time};

use super::{Execute, Kind};

/// Datagrams before a transport is made anew: what one does to the next is part of what is looked for.
const LIFE: usize = 64;

fn path(port: u16) -> Path {
    Path::Udp {
        local: SocketAddr::from(([10, 0, 0, 1], 5_000)),
        remote: SocketAddr::from(([10, 0, 0, 2], port)),
    }
}

struct Peer {
    identity: Identity,
    transport: Transport,
    now: Instant,
    left: usize,
}

impl Peer {
    #[allow(clippy::expect_used, reason = "without a certificate there is nothing to fuzz")]
    fn new() -> Self {
        let identity = Identity::generate().expect("a certificate");
        let now = Instant::now();
        let transport = Self::transport(&identity, now);
        Self {
            identity,
            transport,
            now,
            left: LIFE,
        }
    }

    fn transport(identity: &Identity, now: Instant) -> Transport {
        let credentials = |name: &str| IceCredentials {
            ufrag: format!("{name}frag"),
            pwd: format!("{name} password that is long enough"),
        };
        let config = TransportConfig {
            local: credentials("ours"),
            remote: credentials("peer"),
            remote_fingerprint: Fingerprint([0; 32]),
        };
        let mut transport = Transport::new(config, identity, now);
        transport.believe(now, path(1));
        transport
    }

    fn take(&mut self, input: &[u8]) -> u64 {
        if self.left == 0 {
            self.transport = Self::transport(&self.identity, self.now);
            self.left = LIFE;
        }
        self.left -= 1;
        self.now += Duration::from_millis(10);
        let mut datagram = input.to_vec();
        let incoming = self.transport.handle(self.now, path(1), &mut datagram);
        let mut answers = 0;
        while let Some((_, answer)) = self.transport.poll_transmit() {
            assert!(answer.len() < 4_096);
            answers += 1;
        }
        let mut events = 0;
        while self.transport.poll_event().is_some() {
            events += 1;
        }
        assert!(!self.transport.is_connected(), "nobody has proven anything");
        self.transport.handle_timeout(self.now);
        let kind = Kind::default().size(answers).size(events);
        match incoming {
            Incoming::Nothing => kind.text("nothing"),
            Incoming::Dropped(reason) => kind.text(&format!("{reason:?}")),
            _ => kind.text("media"),
        }
        .done()
    }
}

pub(super) fn stun() -> Execute {
    let mut peer = Peer::new();
    Box::new(move |input| {
        let named = stun_local_ufrag(input).is_some();
        Kind(peer.take(input)).is(named).done()
    })
}

/// One or several datagrams of one association, each with two bytes of length in front.
pub(super) fn dtls() -> Execute {
    let mut peer = Peer::new();
    Box::new(move |input| {
        let mut kind = Kind::default();
        let mut rest = input;
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
            let (datagram, behind) = behind.split_at(length);
            rest = behind;
            kind = kind.size(peer.take(datagram) as usize & 0xff);
        }
        peer.left = 0;
        kind.done()
    })
}

/// A relay that opens nothing.
struct Closed;

impl Relay for Closed {
    fn open(&mut self, _: AllocationId, _: &str, _: Family, _: bool) -> Result<SocketAddr, OpenError> {
        Ok(SocketAddr::from(([192, 0, 2, 1], 50_000)))
    }

    fn close(&mut self, _: AllocationId) {}

    fn permits(&self, _: SocketAddr) -> bool {
        true
    }

    fn knows(&self, _: &str) -> bool {
        true
    }
}

pub(super) fn turn() -> Execute {
    let config = Config {
        realm: "ringhall".to_owned(),
        credentials: Credentials {
            secret: b"a secret of thirty-two bytes or more".to_vec(),
            ..Credentials::default()
        },
        nonce_secret: [9; 32],
        quota: Quota::default(),
    };
    let mut server = Server::new(config);
    let start = Instant::now();
    let mut out = Vec::new();
    Box::new(move |input| {
        let client = Client::Udp {
            local: SocketAddr::from(([10, 0, 0, 1], 3_478)),
            remote: SocketAddr::from(([10, 0, 0, 2], 7)),
        };
        let time = Time {
            now: start,
            unix: 1_700_000_000,
        };
        out.clear();
        let outcome = server.handle(time, client, input, &mut Closed, &mut out);
        assert_eq!(server.allocations(), 0, "nobody has shown a credential");
        let kind = Kind::default();
        match outcome {
            Outcome::Reply => {
                assert!(out.len() < 1_500);
                kind.text("reply").size(out.len()).done()
            }
            Outcome::Payload { .. } => kind.text("payload").done(),
            Outcome::Dropped(why) => kind.text(&format!("{why:?}")).done(),
        }
    })
}

pub(super) fn turn_stream() -> Execute {
    Box::new(|input| match turn_server::stream::first_message(input, 4_096) {
        Ok(Some(length)) => {
            assert!(length > 0, "a message of nothing would be found for ever");
            Kind::default().text("message").size(length).done()
        }
        Ok(None) => Kind::default().text("more").done(),
        Err(error) => Kind::default()
            .text(&error.to_string().chars().take(12).collect::<String>())
            .done(),
    })
}
