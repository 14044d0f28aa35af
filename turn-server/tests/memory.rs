//! What an allocation costs in memory, counted by the allocator itself, with a permission and a channel as a browser in a call
//! has them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(unsafe_code, reason = "an allocator is unsafe by nature; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Instant;

use crypto::RTCCryptoProvider;
use crypto::providers::AwsLcRsProvider;
use stun::attributes::*;
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::*;
use stun::xoraddr::XorMappedAddress;
use turn_server::credential::{self, Credentials};
use turn_server::*;

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();
const UNIX: u64 = 1_800_000_000;

struct Ours;

impl Relay for Ours {
    fn open(&mut self, _: AllocationId, _: &str, _: Family, _: bool) -> Result<SocketAddr, OpenError> {
        Ok("192.0.2.1:50000".parse().unwrap())
    }
    fn close(&mut self, _: AllocationId) {}
    fn permits(&self, _: SocketAddr) -> bool {
        true
    }
    fn knows(&self, _: &str) -> bool {
        true
    }
}

fn request(method: Method, user: &str, nonce: Option<&str>, parts: &[(AttrType, &[u8])]) -> Vec<u8> {
    let mut message = Message::new();
    message.set_type(MessageType::new(method, CLASS_REQUEST));
    message.transaction_id = TransactionId([7; 12]);
    message.write_header();
    for (kind, value) in parts {
        message.add(*kind, value);
    }
    if method != METHOD_ALLOCATE {
        let peer = XorMappedAddress {
            ip: [198, 51, 100, 7].into(),
            port: 7882,
        };
        peer.add_to_as(&mut message, ATTR_XOR_PEER_ADDRESS).unwrap();
    }
    if let Some(nonce) = nonce {
        let made = credential::issue(PROVIDER.crypto(), b"north", user, UNIX + 3600).unwrap();
        message.add(ATTR_USERNAME, made.username.as_bytes());
        message.add(ATTR_REALM, b"calls.example");
        message.add(ATTR_NONCE, nonce.as_bytes());
        let (name, realm, password) = (made.username, "calls.example".to_owned(), made.password);
        MessageIntegrity::new_long_term_integrity_with_provider(name, realm, password, PROVIDER.crypto())
            .unwrap()
            .add_to(&mut message)
            .unwrap();
    }
    FINGERPRINT.add_to(&mut message).unwrap();
    message.raw
}

#[test]
fn an_allocation_with_a_channel_costs_less_than_a_kilobyte() {
    const COUNT: u16 = 2_000;
    let mut server = Server::new(Config {
        realm: "calls.example".to_owned(),
        credentials: Credentials {
            secret: b"north".to_vec(),
            ..Credentials::default()
        },
        nonce_secret: [9; 32],
        quota: Quota::default(),
    });
    let time = Time {
        now: Instant::now(),
        unix: UNIX,
    };
    let transport: (AttrType, &[u8]) = (ATTR_REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let channel: (AttrType, &[u8]) = (ATTR_CHANNEL_NUMBER, &[0x40, 1, 0, 0]);
    let before = HELD.load(Ordering::Relaxed);
    for n in 0..COUNT {
        let user = format!("0198c0de-0000-7000-8000-{n:012}");
        let client = Client::Udp {
            local: "192.0.2.1:7882".parse().unwrap(),
            remote: SocketAddr::from(([203, 0, (n >> 8) as u8, n as u8], 4_000)),
        };
        let mut out = Vec::new();
        let mut ask = |server: &mut Server, bytes: &[u8]| {
            assert_eq!(server.handle(time, client, bytes, &mut Ours, &mut out), Outcome::Reply);
            let mut reply = Message::default();
            reply.unmarshal_binary(&out).unwrap();
            reply
        };
        let challenge = ask(&mut server, &request(METHOD_ALLOCATE, &user, None, &[transport]));
        let nonce = String::from_utf8(challenge.get(ATTR_NONCE).unwrap()).unwrap();
        for (method, part) in [(METHOD_ALLOCATE, transport), (METHOD_CHANNEL_BIND, channel)] {
            let reply = ask(&mut server, &request(method, &user, Some(&nonce), &[part]));
            assert!(!reply.contains(ATTR_ERROR_CODE), "{reply:?}");
        }
    }
    assert_eq!(server.allocations(), usize::from(COUNT));
    let each = (HELD.load(Ordering::Relaxed) - before) / isize::from(COUNT as i16);
    println!("{each} bytes for each allocation");
    assert!((100..1_024).contains(&each), "{each} bytes");
}
