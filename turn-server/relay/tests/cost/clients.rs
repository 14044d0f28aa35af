//! The load: clients that send a datagram each and wait for all of them to come back, directly or by a channel of a TURN server.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crypto::providers::AwsLcRsProvider;
use stun::attributes::*;
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::*;
use stun::xoraddr::XorMappedAddress;

/// How many there are.
pub(super) const LOAD: usize = 50;
/// Bytes of a payload.
pub(super) const BYTES: usize = 1_000;

/// Whose they are: a user may have so many allocations and no more.
pub(super) const USERS: [&str; 4] = ["fixed0", "fixed1", "fixed2", "fixed3"];
/// The password of all of them.
pub(super) const WORD: &str = "word";

const CHANNEL: [u8; 2] = [0x40, 0x01];

static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();

pub(super) struct Clients {
    sockets: Vec<UdpSocket>,
    message: Vec<u8>,
}

impl Clients {
    /// Without a relay.
    pub(super) fn direct(server: SocketAddr) -> Self {
        Self {
            sockets: (0..LOAD).map(|_| socket(server)).collect(),
            // Like RTP: a first byte that is not TURN's.
            message: vec![0x80; BYTES],
        }
    }

    /// Each with an allocation and a channel to `peer`.
    pub(super) fn relayed(server: SocketAddr, peer: SocketAddr) -> Self {
        let sockets: Vec<UdpSocket> = (0..LOAD).map(|_| socket(server)).collect();
        for (socket, user) in sockets.iter().zip(USERS.into_iter().cycle()) {
            allocate(socket, user, peer);
        }
        let mut message = CHANNEL.to_vec();
        message.extend((BYTES as u16).to_be_bytes());
        message.resize(4 + BYTES, 0x80);
        Self { sockets, message }
    }

    /// A datagram of each goes out, then all are awaited; so many times.
    pub(super) fn there_and_back(&self, turns: usize) {
        let mut back = [0; 2048];
        for turn in 0..turns {
            for socket in &self.sockets {
                socket.send(&self.message).unwrap();
            }
            for socket in &self.sockets {
                let length = socket
                    .recv(&mut back)
                    .unwrap_or_else(|e| panic!("lost in turn {turn}: {e}"));
                assert_eq!(&back[..length], self.message);
            }
        }
    }
}

fn socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn allocate(socket: &UdpSocket, user: &str, peer: SocketAddr) {
    let transport: (AttrType, &[u8]) = (ATTR_REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let challenge = ask(socket, &request(METHOD_ALLOCATE, 1, &[transport], None, None));
    let nonce = challenge.get(ATTR_NONCE).unwrap();
    let channel: (AttrType, &[u8]) = (ATTR_CHANNEL_NUMBER, &[CHANNEL[0], CHANNEL[1], 0, 0]);
    for (id, method, part, peer) in [
        (2, METHOD_ALLOCATE, transport, None),
        (3, METHOD_CHANNEL_BIND, channel, Some(peer)),
    ] {
        let reply = ask(socket, &request(method, id, &[part], peer, Some((user, &nonce))));
        assert!(!reply.contains(ATTR_ERROR_CODE), "{reply}");
    }
}

fn ask(socket: &UdpSocket, request: &[u8]) -> Message {
    let mut buffer = [0; 2048];
    socket.send(request).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    let mut reply = Message::default();
    reply.unmarshal_binary(&buffer[..length]).unwrap();
    reply
}

fn request(
    method: Method,
    id: u8,
    parts: &[(AttrType, &[u8])],
    peer: Option<SocketAddr>,
    proof: Option<(&str, &[u8])>,
) -> Vec<u8> {
    let mut message = Message::new();
    message.set_type(MessageType::new(method, CLASS_REQUEST));
    message.transaction_id = TransactionId([id; 12]);
    message.write_header();
    for (kind, value) in parts {
        message.add(*kind, value);
    }
    if let Some(peer) = peer {
        let (ip, port) = (peer.ip(), peer.port());
        let address = XorMappedAddress { ip, port };
        address.add_to_as(&mut message, ATTR_XOR_PEER_ADDRESS).unwrap();
    }
    if let Some((user, nonce)) = proof {
        message.add(ATTR_USERNAME, user.as_bytes());
        message.add(ATTR_REALM, b"ringhall");
        message.add(ATTR_NONCE, nonce);
        let [name, realm, password] = [user, "ringhall", WORD].map(str::to_owned);
        MessageIntegrity::new_long_term_integrity_with_provider(
            name,
            realm,
            password,
            crypto::RTCCryptoProvider::crypto(&PROVIDER),
        )
        .unwrap()
        .add_to(&mut message)
        .unwrap();
    }
    FINGERPRINT.add_to(&mut message).unwrap();
    message.raw
}
