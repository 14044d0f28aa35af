//! Allocations, permissions, channels and payloads, from the first request to the last second.

use stun::attributes::*;
use stun::message::*;

use super::support::*;
use crate::*;

#[test]
fn a_binding_request_is_told_where_it_came_from() {
    let mut world = World::new();
    let mut person = Person::new(&mut world, "ivan", udp(4000));
    let request = person.message(METHOD_BINDING, CLASS_REQUEST, &[], false);
    let reply = world.ask(person.at, &request);
    assert_eq!(reply.typ, BINDING_SUCCESS);
    assert_eq!(address(&reply, ATTR_XORMAPPED_ADDRESS), udp(4000).remote());
}

#[test]
fn an_allocation_has_a_relayed_address_a_lifetime_and_an_end() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    let made = ivan.allocate(&mut world, &[]);
    assert_eq!(code(&made), None);
    assert_eq!(
        address(&made, ATTR_XOR_RELAYED_ADDRESS),
        "192.0.2.1:49153".parse().unwrap()
    );
    assert_eq!(address(&made, ATTR_XORMAPPED_ADDRESS), udp(4000).remote());
    assert_eq!(lifetime_of(&made), 600);

    world.pass(599);
    world.timeout();
    assert_eq!(world.server.allocations(), 1);
    let prolonged = ivan.ask(&mut world, METHOD_REFRESH, &[lifetime(1200)]);
    assert_eq!(lifetime_of(&prolonged), 1200);
    world.pass(1199);
    world.timeout();
    assert_eq!(world.server.allocations(), 1);
    world.pass(1);
    world.timeout();
    assert_eq!(world.server.allocations(), 0);
    assert!(world.relay.open.is_empty() && world.server.next_deadline().is_none());
    assert_eq!(ivan.code(&mut world, METHOD_REFRESH, &[]), Some(437));
}

#[test]
fn a_lifetime_is_at_least_ten_minutes_and_at_most_an_hour() {
    let mut world = World::new();
    for (at, (asked, granted)) in [(1, 600), (0, 600), (3000, 3000), (u32::MAX, 3600)]
        .into_iter()
        .enumerate()
    {
        let mut ivan = Person::new(&mut world, "ivan", udp(4000 + at as u16));
        assert_eq!(lifetime_of(&ivan.allocate(&mut world, &[lifetime(asked)])), granted);
    }
}

#[test]
fn refreshing_with_zero_ends_it_and_the_place_is_free() {
    let quota = Quota {
        total: 1,
        ..Quota::default()
    };
    let mut world = World::with_quota(quota);
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    let mut maria = Person::new(&mut world, "maria", udp(4001));
    assert_eq!(code(&ivan.allocate(&mut world, &[])), None);
    assert_eq!(code(&maria.allocate(&mut world, &[])), Some(508));
    let ended = ivan.ask(&mut world, METHOD_REFRESH, &[lifetime(0)]);
    assert_eq!((code(&ended), lifetime_of(&ended)), (None, 0));
    assert!(world.relay.open.is_empty());
    assert_eq!(code(&maria.allocate(&mut world, &[])), None);
    // What is left in the heap for the first one ends nobody else's.
    world.pass(599);
    world.timeout();
    assert_eq!(world.server.allocations(), 1);
}

#[test]
fn a_repeated_allocate_gets_the_same_answer_and_another_one_437() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    let request = ivan.request(METHOD_ALLOCATE, &[transport()]);
    let first = world.ask(ivan.at, &request);
    let again = world.ask(ivan.at, &request);
    assert_eq!(first.raw, again.raw);
    assert_eq!(world.server.allocations(), 1);
    assert_eq!(code(&ivan.allocate(&mut world, &[])), Some(437));
}

#[test]
fn both_families() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    let made = ivan.allocate(&mut world, &[family(2)]);
    assert!(address(&made, ATTR_XOR_RELAYED_ADDRESS).is_ipv6());
    assert_eq!(ivan.permit(&mut world, peer()), Some(443));
    assert_eq!(ivan.permit(&mut world, peer_v6()), None);
    assert_eq!(ivan.code(&mut world, METHOD_REFRESH, &[family(1)]), Some(443));
    assert_eq!(ivan.code(&mut world, METHOD_REFRESH, &[family(2)]), None);

    // ADDITIONAL-ADDRESS-FAMILY: both in one allocation, and one allocation to close.
    let both = [(AttrType(0x8000), vec![2, 0, 0, 0])];
    let mut maria = Person::new(&mut world, "maria", udp(4001));
    let made = maria.allocate(&mut world, &both);
    let relayed = made.attributes.0.iter().filter(|a| a.typ == ATTR_XOR_RELAYED_ADDRESS);
    assert_eq!(relayed.count(), 2);
    assert_eq!(maria.permit(&mut world, peer()), None);
    assert_eq!(maria.permit(&mut world, peer_v6()), None);
    assert_eq!(maria.code(&mut world, METHOD_REFRESH, &[lifetime(0)]), None);

    // Where there is no IPv6: a partial success that says so.
    world.relay.only_v4 = true;
    let mut anna = Person::new(&mut world, "anna", udp(4002));
    let made = anna.allocate(&mut world, &both);
    assert_eq!(code(&made), None);
    assert_eq!(made.get(AttrType(0x8001)).unwrap(), [2, 0, 4, 40]);
    let mut sergey = Person::new(&mut world, "sergey", udp(4003));
    assert_eq!(code(&sergey.allocate(&mut world, &[family(2)])), Some(440));
    assert_eq!(world.server.allocations(), 2);
}

#[test]
fn payloads_pass_while_there_is_a_permission() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    let made = ivan.allocate(&mut world, &[]);
    let relayed = address(&made, ATTR_XOR_RELAYED_ADDRESS);
    let refused = Outcome::Dropped(Dropped::NotPermitted);
    assert_eq!(ivan.send(&mut world, peer(), b"early").0, refused);
    assert_eq!(ivan.permit(&mut world, peer()), None);

    let (outcome, message) = ivan.send(&mut world, peer(), b"hello");
    let Outcome::Payload {
        allocation,
        relayed: from,
        peer: to,
        data,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!((from, to, &message[data]), (relayed, peer(), &b"hello"[..]));
    // A permission is for the address, whatever the port.
    let other_port = std::net::SocketAddr::new(peer().ip(), 1);
    assert!(matches!(
        ivan.send(&mut world, other_port, b"x").0,
        Outcome::Payload { .. }
    ));

    let mut out = Vec::new();
    let client = world.server.wrap(world.time.now, allocation, peer(), b"back", &mut out);
    assert_eq!(client, Some(ivan.at));
    let mut data = Message::default();
    data.unmarshal_binary(&out).unwrap();
    assert_eq!(data.typ, MessageType::new(METHOD_DATA, CLASS_INDICATION));
    assert_eq!(address(&data, ATTR_XOR_PEER_ADDRESS), peer());
    assert_eq!(data.get(ATTR_DATA).unwrap(), b"back");

    world.pass(300);
    assert_eq!(ivan.send(&mut world, peer(), b"late").0, refused);
    assert_eq!(
        world.server.wrap(world.time.now, allocation, peer(), b"late", &mut out),
        None
    );
}

#[test]
fn a_channel_carries_both_ways_and_its_permission_has_to_be_kept_alive() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    let made = ivan.allocate(&mut world, &[lifetime(3600)]);
    assert_eq!(code(&made), None);
    assert_eq!(ivan.bind(&mut world, 0x4001, peer()), None);
    let outcome = world.handle(ivan.at, &channel_data(0x4001, b"abc"));
    let Outcome::Payload {
        allocation,
        peer: to,
        data,
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!((to, data), (peer(), 4..7));
    let mut out = Vec::new();
    assert_eq!(
        world.server.wrap(world.time.now, allocation, peer(), b"abc", &mut out),
        Some(ivan.at)
    );
    assert_eq!(out, channel_data(0x4001, b"abc"));

    world.pass(301);
    let refused = Outcome::Dropped(Dropped::NotPermitted);
    assert_eq!(world.handle(ivan.at, &channel_data(0x4001, b"abc")), refused);
    assert_eq!(ivan.permit(&mut world, peer()), None);
    assert!(matches!(
        world.handle(ivan.at, &channel_data(0x4001, b"abc")),
        Outcome::Payload { .. }
    ));
    world.pass(299);
    assert_eq!(
        world.handle(ivan.at, &channel_data(0x4001, b"abc")),
        refused,
        "the channel is over"
    );
    // Its permission has a second left: without a channel the peer's payloads come as indications.
    world
        .server
        .wrap(world.time.now, allocation, peer(), b"abc", &mut out)
        .unwrap();
    assert_eq!(out[..2], [0, 0x17]);
}

#[test]
fn a_channel_has_one_peer_and_a_peer_one_channel() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[]);
    let other = std::net::SocketAddr::new(peer().ip(), 1);
    assert_eq!(ivan.bind(&mut world, 0x4001, peer()), None);
    assert_eq!(ivan.bind(&mut world, 0x4001, peer()), None, "prolonged");
    assert_eq!(ivan.bind(&mut world, 0x4001, other), Some(400));
    assert_eq!(ivan.bind(&mut world, 0x4002, peer()), Some(400));
    for number in [0x3FFF, 0x8000, 0xFFFF] {
        assert_eq!(ivan.bind(&mut world, number, other), Some(400), "{number:#x}");
    }
    assert_eq!(ivan.bind(&mut world, 0x7FFF, other), None);
}

#[test]
fn on_a_stream_channel_data_is_padded_and_the_allocation_ends_with_it() {
    let mut world = World::new();
    let at = Client::Stream {
        connection: 7,
        remote: udp(4000).remote(),
    };
    let mut ivan = Person::new(&mut world, "ivan", at);
    ivan.allocate(&mut world, &[]);
    ivan.bind(&mut world, 0x4001, peer());
    let mut padded = channel_data(0x4001, b"abcde");
    padded.extend([0; 3]);
    assert_eq!(stream::first_message(&padded, 1500), Ok(Some(12)));
    let outcome = world.handle(at, &padded);
    let Outcome::Payload { allocation, data, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(data, 4..9);
    let mut out = Vec::new();
    world
        .server
        .wrap(world.time.now, allocation, peer(), b"abcde", &mut out)
        .unwrap();
    assert_eq!(out, padded);
    world.server.disconnected(at, &mut world.relay);
    assert!(world.relay.open.is_empty() && world.server.allocations() == 0);
}

#[test]
fn who_has_left_the_call_loses_the_relay() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[]);
    assert_eq!(ivan.permit(&mut world, peer()), None);
    world.relay.gone.insert("ivan".to_owned());
    assert_eq!(ivan.permit(&mut world, peer()), Some(403));
    assert_eq!(world.server.allocations(), 0);
    // Allocating comes before joining, so it is possible, and leads nowhere.
    assert_eq!(code(&ivan.allocate(&mut world, &[])), None);
    assert_eq!(ivan.bind(&mut world, 0x4001, peer()), Some(403));
    assert_eq!(world.server.allocations(), 0);
}

#[test]
fn a_credential_that_expires_in_a_call_ends_nothing_but_makes_nothing_new() {
    let mut world = World::new();
    let mut ivan = Person::new(&mut world, "ivan", udp(4000));
    ivan.allocate(&mut world, &[lifetime(3600)]);
    world.pass(3599);
    assert_eq!(ivan.code(&mut world, METHOD_REFRESH, &[lifetime(3600)]), None);
    world.pass(2);
    // The nonce is an hour old as well.
    assert_eq!(ivan.code(&mut world, METHOD_REFRESH, &[]), Some(438));
    ivan.learn_stale(&mut world);
    assert_eq!(ivan.code(&mut world, METHOD_REFRESH, &[]), None);
    assert_eq!(ivan.permit(&mut world, peer()), None);
    ivan.at = udp(4001);
    ivan.learn(&mut world);
    let refused = ivan.allocate(&mut world, &[]);
    assert_eq!(
        (code(&refused), reason(&refused).as_str()),
        (Some(401), "The credential has expired")
    );
}

#[test]
fn a_user_with_a_fixed_password() {
    let mut world = World::new();
    let mut person = Person::new(&mut world, "ivan", udp(4000));
    person.credential = credential::Credential {
        username: "fixed".to_owned(),
        password: "word".to_owned(),
    };
    assert_eq!(code(&person.allocate(&mut world, &[])), None);
    world.pass(601);
    world.timeout();
    assert_eq!(world.server.allocations(), 0);
}

#[test]
fn quotas_for_a_user_and_an_address() {
    let quota = Quota {
        total: 10,
        per_user: 2,
        per_address: 3,
    };
    let mut world = World::with_quota(quota);
    let mut codes = Vec::new();
    for (at, user) in ["ivan", "ivan", "ivan", "maria", "maria"].into_iter().enumerate() {
        let mut person = Person::new(&mut world, user, udp(4000 + at as u16));
        codes.push(code(&person.allocate(&mut world, &[])));
    }
    assert_eq!(codes, [None, None, Some(486), None, Some(486)]);
    assert_eq!(world.relay.open.len(), 3);
}

impl Person {
    /// The nonce of a 438.
    fn learn_stale(&mut self, world: &mut World) {
        let reply = self.ask(world, METHOD_REFRESH, &[]);
        self.nonce = String::from_utf8(reply.get(ATTR_NONCE).unwrap()).unwrap();
    }
}
