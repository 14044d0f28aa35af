use super::*;

use crypto::RTCCryptoProvider;
use crypto::providers::AwsLcRsProvider;
use proptest::prelude::*;
use stun::attributes::*;
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::*;
use stun::xoraddr::XorMappedAddress;
use turn_server::credential;

static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();
const SECRET: &[u8] = b"north";

/// Two shards, one address, and who is in a call.
struct Shards {
    addresses: Vec<SocketAddr>,
    present: Mutex<Vec<String>>,
}

impl Media for Shards {
    fn shard_at(&self, address: SocketAddr) -> Option<usize> {
        self.addresses.iter().position(|ours| *ours == address)
    }

    fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn takes_part(&self, user: &str) -> bool {
        self.present.lock().unwrap().iter().any(|name| name == user)
    }
}

fn shards() -> Shards {
    Shards {
        addresses: vec!["192.0.2.1:7882".parse().unwrap(), "192.0.2.1:7883".parse().unwrap()],
        present: Mutex::new(vec!["ivan".to_owned()]),
    }
}

fn remote() -> SocketAddr {
    "203.0.113.9:4000".parse().unwrap()
}

type Part = (AttrType, Vec<u8>);

fn message(method: Method, class: MessageClass, parts: &[Part], nonce: Option<&str>) -> Vec<u8> {
    let mut message = Message::new();
    message.set_type(MessageType::new(method, class));
    message.transaction_id = TransactionId([parts.len() as u8; 12]);
    message.write_header();
    for (kind, value) in parts {
        message.add(*kind, value);
    }
    if let Some(nonce) = nonce {
        let made = credential::issue(PROVIDER.crypto(), SECRET, "ivan", unix() + 3600).unwrap();
        message.add(ATTR_USERNAME, made.username.as_bytes());
        message.add(ATTR_REALM, b"ringhall");
        message.add(ATTR_NONCE, nonce.as_bytes());
        MessageIntegrity::new_long_term_integrity_with_provider(
            made.username,
            "ringhall".to_owned(),
            made.password,
            PROVIDER.crypto(),
        )
        .unwrap()
        .add_to(&mut message)
        .unwrap();
    }
    FINGERPRINT.add_to(&mut message).unwrap();
    message.raw
}

fn transport() -> Part {
    (ATTR_REQUESTED_TRANSPORT, vec![17, 0, 0, 0])
}

fn peer(address: SocketAddr) -> Part {
    let mut message = Message::new();
    message.write_header();
    let address = XorMappedAddress {
        ip: address.ip(),
        port: address.port(),
    };
    address.add_to_as(&mut message, ATTR_XOR_PEER_ADDRESS).unwrap();
    (ATTR_XOR_PEER_ADDRESS, message.get(ATTR_XOR_PEER_ADDRESS).unwrap())
}

/// A connection that speaks TURN.
struct Caller<'a> {
    talk: Relayed<'a>,
    nonce: String,
    now: Instant,
}

impl<'a> Caller<'a> {
    fn new(relays: &'a Relays, media: &'a dyn Media) -> Self {
        let now = Instant::now();
        let talk = Relayed::new(sfu_line(), remote(), relays, media, now);
        let nonce = String::new();
        let mut caller = Self { talk, nonce, now };
        let challenge = caller.ask(&message(METHOD_ALLOCATE, CLASS_REQUEST, &[transport()], None));
        assert_eq!(code(&challenge), Some(401));
        caller.nonce = String::from_utf8(challenge.get(ATTR_NONCE).unwrap()).unwrap();
        caller
    }

    fn take(&mut self, bytes: &[u8]) -> (Result<usize, Close>, Vec<Inward>, Vec<u8>) {
        let (mut inward, mut out) = (Vec::new(), Vec::new());
        let taken = self.talk.take(self.now, bytes, &mut inward, &mut out);
        (taken, inward, out)
    }

    fn ask(&mut self, bytes: &[u8]) -> Message {
        let (taken, _, out) = self.take(bytes);
        assert_eq!(taken, Ok(bytes.len()));
        let mut reply = Message::default();
        reply.unmarshal_binary(&out).unwrap();
        reply
    }

    fn request(&mut self, method: Method, parts: &[Part]) -> Message {
        let request = message(method, CLASS_REQUEST, parts, Some(&self.nonce.clone()));
        self.ask(&request)
    }

    /// An allocation with a channel to the second shard.
    fn connect(&mut self) {
        assert_eq!(code(&self.request(METHOD_ALLOCATE, &[transport()])), None);
        let bind = [
            (ATTR_CHANNEL_NUMBER, vec![0x40, 1, 0, 0]),
            peer(self.talk.rooms.media.addresses()[1]),
        ];
        assert_eq!(code(&self.request(METHOD_CHANNEL_BIND, &bind)), None);
    }
}

fn sfu_line() -> u64 {
    1 << 63
}

fn code(reply: &Message) -> Option<u16> {
    let value = reply
        .contains(ATTR_ERROR_CODE)
        .then(|| reply.get(ATTR_ERROR_CODE).unwrap())?;
    Some(u16::from(value[2]) * 100 + u16::from(value[3]))
}

fn channel_data(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x40, 1];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn what_is_sent_to_one_of_our_addresses_goes_to_the_shard_that_has_it_and_back() {
    let (relays, media) = (Relays::new("ringhall", SECRET), shards());
    let mut caller = Caller::new(&relays, &media);
    caller.connect();
    let both = [channel_data(b"one"), channel_data(b"three")].concat();
    let (taken, inward, out) = caller.take(&both);
    assert_eq!((taken, out.len(), inward.len()), (Ok(both.len()), 0, 1));
    assert_eq!(inward[0].shard, 1);
    let datagrams: Vec<&[u8]> = sfu::lines::datagrams(&inward[0].datagrams).collect();
    assert_eq!(datagrams, [&b"one"[..], b"three"]);
    let Path::Turn { allocation, local, .. } = inward[0].path else {
        panic!("{:?}", inward[0].path);
    };
    assert_eq!((allocation, local), (sfu_line(), media.addresses[1]));

    let mut bytes = Vec::new();
    sfu::lines::append(&mut bytes, b"answer");
    let piece = Piece {
        local: Some(local),
        bytes,
    };
    let mut out = Vec::new();
    caller.talk.wrap(caller.now, &piece, &mut out);
    assert_eq!(out, channel_data(b"answer"));
}

#[test]
fn other_peers_are_refused_however_they_are_written() {
    let (relays, media) = (Relays::new("ringhall", SECRET), shards());
    let mut caller = Caller::new(&relays, &media);
    assert_eq!(code(&caller.request(METHOD_ALLOCATE, &[transport()])), None);
    for other in ["127.0.0.1:7882", "10.0.0.1:80", "192.168.1.1:7882", "192.0.2.2:7882"] {
        let refused = caller.request(METHOD_CREATE_PERMISSION, &[peer(other.parse().unwrap())]);
        assert_eq!(code(&refused), Some(403), "{other}");
    }
    // 443: the family of the peer is another one than the allocation's.
    for other in ["[::ffff:10.0.0.1]:80", "[::1]:7882", "[fd00::1]:7882"] {
        let refused = code(&caller.request(METHOD_CREATE_PERMISSION, &[peer(other.parse().unwrap())]));
        assert!(matches!(refused, Some(403 | 443)), "{other}: {refused:?}");
    }
}

#[test]
fn who_has_left_the_call_cannot_go_on_and_gives_the_place_back() {
    let (relays, media) = (Relays::new("ringhall", SECRET), shards());
    let mut caller = Caller::new(&relays, &media);
    caller.connect();
    assert_eq!(relays.held.lock().unwrap().0, 1);
    media.present.lock().unwrap().clear();
    assert_eq!(code(&caller.request(METHOD_REFRESH, &[])), Some(403));
    assert_eq!(relays.held.lock().unwrap().0, 0);

    media.present.lock().unwrap().push("ivan".to_owned());
    let mut other = Caller::new(&relays, &media);
    other.connect();
    drop(other);
    assert!(relays.held.lock().unwrap().1.is_empty(), "the connection has ended");
}

#[test]
fn one_user_has_so_many_and_no_more() {
    let (relays, media) = (Relays::new("ringhall", SECRET), shards());
    let mut callers: Vec<Caller<'_>> = (0..=PER_USER).map(|_| Caller::new(&relays, &media)).collect();
    let last = callers.len() - 1;
    for (at, caller) in callers.iter_mut().enumerate() {
        let refused = code(&caller.request(METHOD_ALLOCATE, &[transport()]));
        assert_eq!(refused, (at == last).then_some(508), "{at}");
    }
}

#[test]
fn who_proves_nothing_is_closed_and_an_allocation_keeps_the_connection() {
    let (relays, media) = (Relays::new("ringhall", SECRET), shards());
    let mut silent = Caller::new(&relays, &media);
    assert_eq!(silent.talk.due(silent.now + PROVE), Err(Close::Unproven));
    let mut caller = Caller::new(&relays, &media);
    caller.connect();
    assert_eq!(caller.talk.due(caller.now + Duration::from_secs(590)), Ok(()));
    let over = caller.now + Duration::from_secs(601);
    assert_eq!(caller.talk.due(over), Ok(()), "it may make another one");
    assert_eq!(caller.talk.due(over + PROVE), Err(Close::Unproven));
}

#[test]
fn what_is_longer_than_a_datagram_ends_the_connection() {
    let (relays, media) = (Relays::new("ringhall", SECRET), shards());
    let mut caller = Caller::new(&relays, &media);
    assert_eq!(caller.take(&[0x40, 1, 0xFF, 0xFF]).0, Err(Close::TooLong));
    assert_eq!(caller.take(b"\x16\x03\x01").0, Err(Close::Nonsense));
}

proptest! {
    #[test]
    fn bent_and_cut_streams_never_panic_and_reach_nobody_else(
        parts in prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let (relays, media) = (Relays::new("ringhall", SECRET), shards());
        let mut caller = Caller::new(&relays, &media);
        caller.connect();
        for (what, at, to) in parts {
            let nonce = caller.nonce.clone();
            let mut bytes = match what % 4 {
                0 => message(METHOD_ALLOCATE, CLASS_REQUEST, &[transport()], Some(&nonce)),
                1 => message(METHOD_REFRESH, CLASS_REQUEST, &[], Some(&nonce)),
                2 => message(METHOD_CREATE_PERMISSION, CLASS_REQUEST, &[peer(media.addresses[0])], Some(&nonce)),
                _ => channel_data(b"payload"),
            };
            let at = at.index(bytes.len());
            bytes[at] ^= to;
            for inward in caller.take(&bytes).1 {
                prop_assert!(inward.shard < 2);
            }
        }
    }
}
