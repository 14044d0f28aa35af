//! Checks: what is believed, and what moves the path.

use super::*;
use proptest::prelude::*;
use stun::attributes::{ATTR_DONT_FRAGMENT, ATTR_ERROR_CODE};
use stun::error_code::{CODE_ROLE_CONFLICT, CODE_UNKNOWN_ATTRIBUTE, ErrorCodeAttribute};
use stun::message::{BINDING_ERROR, BINDING_SUCCESS, Getter};
use stun::xoraddr::XorMappedAddress;

fn fresh(now: Instant) -> Transport {
    transport(now, &Identity::generate().unwrap(), Fingerprint([1; 32]))
}

fn answer(server: &mut Transport) -> Message {
    let (_, datagram) = server.poll_transmit().unwrap();
    let mut message = Message::new();
    message.unmarshal_binary(&datagram).unwrap();
    FINGERPRINT.check(&message).unwrap();
    MessageIntegrity::check(&mut message, ours().pwd.as_bytes(), crypto()).unwrap();
    assert_eq!(message.transaction_id, TransactionId([7; 12]));
    assert!(server.poll_transmit().is_none());
    message
}

#[test]
fn a_check_is_answered_with_the_address_it_came_from() {
    let now = start();
    let mut server = fresh(now);
    assert_eq!(stun_local_ufrag(&check()), Some("ours"));
    assert_eq!(server.handle(now, path(77), &mut check()), Incoming::Nothing);
    let message = answer(&mut server);
    assert_eq!(message.typ, BINDING_SUCCESS);
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&message).unwrap();
    assert_eq!((mapped.ip.to_string(), mapped.port), ("192.0.2.7".to_owned(), 77));
    assert!(server.owns_path(&path(77)) && !server.owns_path(&path(78)));
}

#[test]
fn one_bare_stun_packet_flips_nothing() {
    let now = start();
    let mut server = fresh(now);
    server.handle(now, path(1), &mut nomination());
    control(&mut server);
    events(&mut server);
    let mut bare = Message::new();
    bare.write_header();
    BINDING_REQUEST.add_to(&mut bare).unwrap();
    for controlled in [ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING] {
        let mut forged = bare.clone();
        forged.add(controlled, &[0xff; 8]);
        forged.add(ATTR_USE_CANDIDATE, &[]);
        FINGERPRINT.add_to(&mut forged).unwrap();
        assert_eq!(
            server.handle(now, path(2), &mut forged.raw),
            Incoming::Dropped(DropReason::NotAuthentic)
        );
    }
    let wrong = CheckSpec {
        pwd: "guess",
        nominate: true,
        controlled: true,
        ..CheckSpec::default()
    };
    assert_eq!(
        server.handle(now, path(2), &mut wrong.build()),
        Incoming::Dropped(DropReason::NotAuthentic)
    );
    let other = CheckSpec {
        username: "ours:nobody",
        nominate: true,
        ..CheckSpec::default()
    };
    assert_eq!(
        server.handle(now, path(2), &mut other.build()),
        Incoming::Dropped(DropReason::NotAuthentic)
    );
    assert_eq!(
        (server.path(), events(&mut server), control(&mut server)),
        (Some(path(1)), vec![], vec![])
    );
    // The role is still ours: the next authentic check is answered as before.
    server.handle(now, path(1), &mut check());
    assert_eq!(answer(&mut server).typ, BINDING_SUCCESS);
}

#[test]
fn what_is_appended_behind_the_integrity_attribute_is_not_believed() {
    let now = start();
    let mut server = fresh(now);
    server.handle(now, path(1), &mut nomination());
    events(&mut server);
    control(&mut server);
    let mut message = Message::new();
    message.unmarshal_binary(&check()).unwrap();
    message.attributes.0.pop(); // FINGERPRINT
    message.encode();
    message.add(ATTR_USE_CANDIDATE, &[]);
    FINGERPRINT.add_to(&mut message).unwrap();
    server.handle(now, path(2), &mut message.raw);
    assert_eq!(
        server.path(),
        Some(path(1)),
        "a captured check does not become a nomination"
    );
}

#[test]
fn an_authentic_peer_in_our_role_is_told_of_the_conflict_and_validates_nothing() {
    let now = start();
    let mut server = fresh(now);
    server.handle(
        now,
        path(1),
        &mut CheckSpec {
            controlled: true,
            nominate: true,
            ..CheckSpec::default()
        }
        .build(),
    );
    let message = answer(&mut server);
    let mut code = ErrorCodeAttribute::default();
    code.get_from(&message).unwrap();
    assert!(message.typ == BINDING_ERROR && code.code == CODE_ROLE_CONFLICT);
    assert_eq!((server.path(), server.owns_path(&path(1))), (None, false));
}

#[test]
fn an_attribute_that_must_be_understood_and_is_not_is_named_in_the_answer() {
    let now = start();
    let mut server = fresh(now);
    server.handle(
        now,
        path(1),
        &mut CheckSpec {
            extra: Some(ATTR_DONT_FRAGMENT),
            ..CheckSpec::default()
        }
        .build(),
    );
    let message = answer(&mut server);
    assert!(message.contains(ATTR_ERROR_CODE));
    let mut code = ErrorCodeAttribute::default();
    code.get_from(&message).unwrap();
    assert!(code.code == CODE_UNKNOWN_ATTRIBUTE);
    let optional = CheckSpec {
        extra: Some(AttrType(0xC057)),
        ..CheckSpec::default()
    };
    server.handle(now, path(1), &mut optional.build());
    assert_eq!(answer(&mut server).typ, BINDING_SUCCESS);
}

#[test]
fn the_first_check_makes_a_path_and_a_nomination_moves_it() {
    let now = start();
    let mut server = fresh(now);
    server.handle(now, path(1), &mut check());
    server.handle(now, path(2), &mut nomination());
    assert_eq!(
        events(&mut server),
        [
            TransportEvent::PathChanged(path(1)),
            TransportEvent::PathChanged(path(2))
        ]
    );
    server.handle(now, path(2), &mut nomination());
    assert_eq!(events(&mut server), []);
}

#[test]
fn a_bare_check_moves_the_path_only_when_the_current_one_is_silent() {
    let now = start();
    let mut server = fresh(now);
    server.handle(now, path(1), &mut nomination());
    server.handle(now + ms(499), path(2), &mut check());
    assert_eq!(server.path(), Some(path(1)));
    server.handle(now + ms(500), path(1), &mut check()); // a sign of life
    server.handle(now + ms(999), path(2), &mut check());
    assert_eq!(server.path(), Some(path(1)));
    server.handle(now + ms(1000), path(2), &mut check());
    assert_eq!(server.path(), Some(path(2)));
}

#[test]
fn the_number_of_valid_paths_is_bounded_and_the_current_one_is_kept() {
    let now = start();
    let mut server = fresh(now);
    server.handle(now, path(1), &mut nomination());
    for port in 2..2_000 {
        server.handle(now + ms(1), path(port), &mut check());
        control(&mut server);
    }
    assert_eq!(server.valid_paths().count(), 16);
    assert!(server.owns_path(&path(1)) && server.path() == Some(path(1)));
}

#[test]
fn after_an_ice_restart_old_checks_are_answered_until_a_new_one_comes() {
    let now = start();
    let mut server = fresh(now);
    server.handle(now, path(1), &mut nomination());
    server.restart_ice(
        IceCredentials {
            ufrag: "new".into(),
            pwd: "new password".into(),
        },
        IceCredentials {
            ufrag: "peer".into(),
            pwd: "unused".into(),
        },
    );
    let new = CheckSpec {
        username: "new:peer",
        pwd: "new password",
        nominate: true,
        ..CheckSpec::default()
    };
    assert_eq!(server.handle(now, path(1), &mut check()), Incoming::Nothing);
    assert_eq!(server.handle(now, path(2), &mut new.build()), Incoming::Nothing);
    assert_eq!(server.path(), Some(path(2)));
    assert_eq!(
        server.handle(now, path(1), &mut check()),
        Incoming::Dropped(DropReason::NotAuthentic)
    );
}

#[test]
fn checks_of_a_second_component_are_harmless() {
    // Firefox offers RTCP candidates of component 2 even with rtcp-mux; a check from such a port is just another path.
    let now = start();
    let mut server = fresh(now);
    server.handle(now, path(1), &mut nomination());
    server.handle(now, path(2), &mut check());
    assert_eq!(server.path(), Some(path(1)));
}

#[test]
fn truncated_checks_and_other_stun_are_dropped() {
    let now = start();
    let mut server = fresh(now);
    let whole = check();
    for len in 0..whole.len() {
        assert!(matches!(
            server.handle(now, path(1), &mut whole[..len].to_vec()),
            Incoming::Dropped(_)
        ));
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert_eq!(
        server.handle(now, path(1), &mut longer),
        Incoming::Dropped(DropReason::Malformed)
    );
    let mut indication = whole;
    indication[1] = 0x11;
    assert_eq!(
        server.handle(now, path(1), &mut indication),
        Incoming::Dropped(DropReason::Unexpected)
    );
    assert_eq!((server.path(), control(&mut server)), (None, vec![]));
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_panic_and_are_never_answered(
        mut datagram in prop::collection::vec(any::<u8>(), 0..200), first in prop::sample::select(vec![0u8, 1, 20, 22, 23, 128, 129]),
    ) {
        let now = start();
        let mut server = shared_transport(now);
        if let Some(byte) = datagram.first_mut() {
            *byte = first;
        }
        server.handle(now, path(9), &mut datagram.clone());
        server.handle(now, path(1), &mut datagram);
        prop_assert!(server.poll_transmit().is_none());
    }

    #[test]
    fn a_check_with_any_flipped_bit_is_not_believed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let now = start();
        let mut server = shared_transport(now);
        let mut datagram = nomination();
        let at = at.index(datagram.len());
        datagram[at] ^= 1 << bit;
        server.handle(now, path(2), &mut datagram);
        prop_assert_eq!(server.path(), Some(path(1)));
        prop_assert!(server.poll_transmit().is_none());
    }
}

/// A transport with one valid path; the identity is made once, key generation is slow.
fn shared_transport(now: Instant) -> Transport {
    static IDENTITY: std::sync::OnceLock<Identity> = std::sync::OnceLock::new();
    let identity = IDENTITY.get_or_init(|| Identity::generate().unwrap());
    let mut server = transport(now, identity, Fingerprint([1; 32]));
    server.handle(now, path(1), &mut nomination());
    control(&mut server);
    events(&mut server);
    server
}
