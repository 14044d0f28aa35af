//! What has brought other servers down, and what must not be answered with yes.

use stun::attributes::*;
use stun::message::*;

use super::support::*;
use crate::*;

#[test]
fn twenty_thousand_strangers_leave_nothing_behind() {
    let mut world = World::new();
    let mut sample = Person::new(&mut world, "ivan", udp(1));
    let request = sample.message(METHOD_ALLOCATE, CLASS_REQUEST, &[transport()], false);
    for stranger in 0..20_000_u32 {
        let remote = std::net::SocketAddr::from((stranger.to_be_bytes(), 4000));
        let client = Client::Udp {
            local: "192.0.2.1:3478".parse().unwrap(),
            remote,
        };
        assert_eq!(world.handle(client, &request), Outcome::Reply);
        // What an address that was forged gets to see is little more than what was sent in its name.
        assert!(
            world.out.len() <= 4 * request.len(),
            "{} for {}",
            world.out.len(),
            request.len()
        );
    }
    assert_eq!(world.server.allocations(), 0);
    assert!(world.server.by_client.is_empty() && world.server.due.is_empty() && world.relay.open.is_empty());
}

#[test]
fn only_the_right_password_the_right_realm_and_our_nonce_count() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.credential.password.push('x');
    assert_eq!(code(&ivan.allocate(&mut world, &[])), Some(401));
    ivan.credential = credential("ivan");
    // Somebody else's name under one's own password.
    ivan.credential.username = ivan.credential.username.replace("ivan", "maria");
    assert_eq!(code(&ivan.allocate(&mut world, &[])), Some(401));
    // A later expiry than was granted.
    ivan.credential = credential("ivan");
    ivan.credential.username = ivan.credential.username.replacen("18", "19", 1);
    assert_eq!(code(&ivan.allocate(&mut world, &[])), Some(401));
    ivan.credential = credential("ivan");
    ivan.nonce = "0".repeat(ivan.nonce.len());
    assert_eq!(code(&ivan.allocate(&mut world, &[])), Some(438));
    let mut elsewhere = Person::new(&mut world, "ivan", udp(4001));
    ivan.nonce = elsewhere.nonce.clone();
    assert_eq!(
        code(&ivan.allocate(&mut world, &[])),
        Some(438),
        "a nonce belongs to an address"
    );
    assert_eq!(code(&elsewhere.allocate(&mut world, &[])), None);
    assert_eq!(world.server.allocations(), 1);
}

#[test]
fn what_is_appended_behind_the_integrity_is_not_believed() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[]);
    let signed = ivan.request(METHOD_REFRESH, &[]);
    // Somebody on the way cuts the FINGERPRINT off and appends LIFETIME 0.
    let mut forged = signed[..signed.len() - 8].to_vec();
    forged.extend([0x00, 0x0D, 0, 4, 0, 0, 0, 0]);
    assert_eq!(forged.len(), signed.len());
    let reply = world.ask(ivan.at, &forged);
    assert_eq!((code(&reply), lifetime_of(&reply)), (None, 600));
    assert_eq!(world.server.allocations(), 1);
}

#[test]
fn another_user_cannot_touch_an_allocation() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[]);
    let mut maria = Person::new(&mut world, "maria", ivan.at);
    assert_eq!(maria.code(&mut world, METHOD_REFRESH, &[lifetime(0)]), Some(441));
    assert_eq!(maria.permit(&mut world, peer()), Some(441));
    assert_eq!(code(&maria.allocate(&mut world, &[])), Some(437));
    assert_eq!(world.server.allocations(), 1);
}

#[test]
fn peers_that_are_not_ours_are_refused_all_or_nothing() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[]);
    for private in [
        "127.0.0.1:22",
        "10.0.0.1:80",
        "169.254.169.254:80",
        "192.168.0.1:1",
        "203.0.113.1:53",
        "0.0.0.0:0",
    ] {
        let private = private.parse().unwrap();
        assert_eq!(ivan.permit(&mut world, private), Some(403), "{private}");
        assert_eq!(ivan.bind(&mut world, 0x4001, private), Some(403), "{private}");
        assert!(matches!(
            ivan.send(&mut world, private, b"x").0,
            Outcome::Dropped(Dropped::NotPermitted)
        ));
    }
    let mixed = [to(peer()), to("10.0.0.1:80".parse().unwrap())];
    assert_eq!(ivan.code(&mut world, METHOD_CREATE_PERMISSION, &mixed), Some(403));
    assert!(matches!(
        ivan.send(&mut world, peer(), b"x").0,
        Outcome::Dropped(Dropped::NotPermitted)
    ));
}

#[test]
fn an_ipv4_mapped_peer_is_an_ipv4_peer() {
    let mut world = World::new();
    world.relay.peers.insert("::ffff:10.0.0.1".parse().unwrap());
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[family(2)]);
    // The library's writer turns it into IPv4, so it is written by hand: family 2, port and address under the cookie and id.
    let request = ivan.request(METHOD_CREATE_PERMISSION, &[to(peer_v6())]);
    let mapped: std::net::Ipv6Addr = "::ffff:10.0.0.1".parse().unwrap();
    let mut ivan_again = ivan;
    let mut value = vec![0, 2, 0, 0];
    value.extend(mapped.octets().iter().zip(&request[4..20]).map(|(a, b)| a ^ b));
    let forged = {
        let mut parts = request.clone();
        parts[24..44].copy_from_slice(&value);
        parts
    };
    // Unsigned it is a stranger's; what matters is that reading it gives an IPv4 address.
    assert_eq!(
        code(&world.ask(ivan_again.at, &without_fingerprint(&forged))),
        Some(401)
    );
    let view = crate::view::View::parse(&without_fingerprint(&forged)).map(|v| v.xor_address(&value));
    assert_eq!(view, Some(Some("10.0.0.1:8466".parse().unwrap())));
    assert_eq!(ivan_again.permit(&mut world, "10.0.0.1:80".parse().unwrap()), Some(443));
}

fn without_fingerprint(message: &[u8]) -> Vec<u8> {
    let mut cut = message[..message.len() - 8].to_vec();
    let length = (cut.len() - 20) as u16;
    cut[2..4].copy_from_slice(&length.to_be_bytes());
    cut
}

#[test]
fn requests_that_make_no_sense_are_told_why() {
    let mut world = World::new();
    let mut at = 4000;
    let mut fresh = |world: &mut World| {
        at += 1;
        Person::new(world, "ivan", udp(at))
    };
    let token = (ATTR_RESERVATION_TOKEN, vec![0; 8]);
    let even = |reserve: bool| (ATTR_EVEN_PORT, vec![if reserve { 0x80 } else { 0 }]);
    let tcp = (ATTR_REQUESTED_TRANSPORT, vec![6, 0, 0, 0]);
    let strange = (AttrType(0x7FFF), vec![1, 2, 3, 4]);
    let additional = |family: u8| (AttrType(0x8000), vec![family, 0, 0, 0]);
    let cases: Vec<(Vec<Part>, u16)> = vec![
        (vec![], 400),
        (vec![(ATTR_REQUESTED_TRANSPORT, vec![17])], 400),
        (vec![tcp], 442),
        (vec![transport(), family(9)], 440),
        (vec![transport(), token.clone()], 508),
        (vec![transport(), token.clone(), even(false)], 400),
        (vec![transport(), token, family(1)], 400),
        (vec![transport(), even(true)], 508),
        (vec![transport(), additional(1)], 400),
        (vec![transport(), additional(2), family(1)], 400),
        (vec![transport(), strange.clone()], 420),
    ];
    for (parts, expected) in cases {
        let mut ivan = fresh(&mut world);
        assert_eq!(
            ivan.code(&mut world, METHOD_ALLOCATE, &parts),
            Some(expected),
            "{parts:?}"
        );
    }
    let mut ivan = fresh(&mut world);
    let refused = ivan.ask(&mut world, METHOD_ALLOCATE, &[transport(), strange]);
    assert_eq!(refused.get(ATTR_UNKNOWN_ATTRIBUTES).unwrap(), [0x7F, 0xFF]);
    assert_eq!(world.server.allocations(), 0);

    for method in [METHOD_REFRESH, METHOD_CREATE_PERMISSION, METHOD_CHANNEL_BIND] {
        assert_eq!(ivan.code(&mut world, method, &[]), Some(437));
    }
    assert_eq!(code(&ivan.allocate(&mut world, &[even(false)])), None);
    assert_eq!(ivan.code(&mut world, METHOD_CREATE_PERMISSION, &[]), Some(400));
    assert_eq!(
        ivan.code(&mut world, METHOD_CHANNEL_BIND, &[channel(0x4001)]),
        Some(400)
    );
    assert_eq!(ivan.code(&mut world, METHOD_CHANNEL_BIND, &[to(peer())]), Some(400));
}

#[test]
fn floods_of_permissions_and_channels_end_at_a_limit() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[]);
    let peers: Vec<std::net::SocketAddr> = (0..40)
        .map(|n| std::net::SocketAddr::from(([198, 51, 100, n], 1)))
        .collect();
    world.relay.peers.extend(peers.iter().map(|p| p.ip()));
    let codes: Vec<_> = peers.iter().map(|p| ivan.permit(&mut world, *p)).collect();
    assert_eq!(codes.iter().filter(|c| c.is_none()).count(), 32);
    assert!(codes.iter().flatten().all(|c| *c == 508));
    let ports: Vec<_> = (0..40)
        .map(|n| std::net::SocketAddr::new(peers[0].ip(), 1000 + n))
        .collect();
    let bound = ports
        .iter()
        .zip(0x4000..)
        .filter(|(p, n)| ivan.bind(&mut world, *n, **p).is_none())
        .count();
    assert_eq!(bound, 32);
    // In time they make room.
    world.pass(301);
    assert_eq!(ivan.permit(&mut world, peers[39]), None);
}

#[test]
fn channel_data_that_lies_about_its_length_is_dropped() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[]);
    ivan.bind(&mut world, 0x4001, peer());
    let dropped = Outcome::Dropped(Dropped::Malformed);
    for lie in [
        &[0x40, 0x01][..],
        &[0x40, 0x01, 0],
        &[0x40, 0x01, 0, 5, 1, 2, 3, 4],
        &[0x40, 0x01, 0xFF, 0xFF, 1],
    ] {
        assert_eq!(world.handle(ivan.at, lie), dropped, "{lie:?}");
    }
    // 25 bytes: a length of 20 in the header and one byte of padding too many are no reason to fall over.
    let mut padded = channel_data(0x4001, &[7; 20]);
    padded.push(0);
    assert!(matches!(world.handle(ivan.at, &padded), Outcome::Payload { data, .. } if data == (4..24)));
    assert_eq!(world.handle(udp(9), &padded), Outcome::Dropped(Dropped::NotPermitted));
}

#[test]
fn a_stream_that_is_no_turn_or_wants_too_much_is_told_apart() {
    use stream::{FramingError, first_message};
    assert_eq!(first_message(b"", 1500), Ok(None));
    assert_eq!(first_message(b"\x00", 1500), Ok(None));
    assert_eq!(first_message(b"\x80\x60", 1500), Err(FramingError::NotTurn));
    assert_eq!(first_message(b"\x16", 1500), Err(FramingError::NotTurn), "TLS in TLS");
    assert_eq!(first_message(&[0, 3, 0, 8, 0x21, 0x12], 1500), Ok(None));
    assert_eq!(
        first_message(&[0, 3, 0, 8, 0x21, 0x13], 1500),
        Err(FramingError::NotTurn)
    );
    assert_eq!(
        first_message(&[0, 3, 0, 7, 0x21, 0x12], 1500),
        Err(FramingError::NotTurn)
    );
    assert_eq!(
        first_message(&[0x40, 0, 0xFF, 0xFF], 1500),
        Err(FramingError::TooLong(65_540))
    );
    assert_eq!(
        first_message(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5], 1500),
        Ok(None),
        "padding is yet to come"
    );
    assert_eq!(first_message(&[0x40, 0, 0, 0, 9], 1500), Ok(Some(4)));
}

#[test]
fn what_is_ours_on_the_shared_port() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    assert!(claims(&channel_data(0x4001, b"x")));
    assert!(claims(&ivan.request(METHOD_ALLOCATE, &[transport()])));
    assert!(claims(&ivan.message(METHOD_BINDING, CLASS_REQUEST, &[], false)));
    let check = ivan.message(
        METHOD_BINDING,
        CLASS_REQUEST,
        &[(ATTR_USERNAME, b"a:b".to_vec())],
        false,
    );
    assert!(!claims(&check), "a connectivity check");
    assert!(!claims(&ivan.message(
        METHOD_BINDING,
        CLASS_SUCCESS_RESPONSE,
        &[],
        false
    )));
    for other in [&[][..], &[22, 254, 253], &[0x80, 96], &[0; 20]] {
        assert!(!claims(other), "{other:?}");
    }
}
