//! Data channels through a shard, with str0m clients (another DTLS, another driver of SCTP): who gets what, what is refused,
//! and what it costs those who receive.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test")]

mod support;

use std::time::Duration;

use link_model::{Link, LinkConfig, Schedule};
use sfu_core::room::SlotPolicy;
use sfu_core::shard::Drop;
use support::World;

const SECOND: Duration = Duration::from_secs(1);
const RELIABLE: usize = 0;
const LOSSY: usize = 1;

fn world(shards: usize, people: u32) -> World {
    let mut world = World::with_shards(shards);
    world.data = true;
    for id in 1..=people {
        world.join_at((id as usize - 1) % shards, id, true, 1, SlotPolicy::Fill, Vec::new());
    }
    world.connect();
    world.run(SECOND);
    world
}

fn send(world: &mut World, client: usize, channel: usize, binary: bool, bytes: &[u8]) {
    let client = &mut world.clients[client];
    let id = client.channels[channel];
    let mut channel = client.rtc.channel(id).expect("the channel is open");
    assert!(channel.write(binary, bytes).unwrap());
}

/// What the server puts in front of somebody's message.
fn from(id: u32, bytes: &[u8]) -> Vec<u8> {
    let name = format!("person {id}");
    let mut out = vec![name.len() as u8];
    out.extend(name.as_bytes());
    out.extend(bytes);
    out
}

fn notices(world: &World, client: usize) -> Vec<String> {
    let texts = world.clients[client].data.iter().filter(|(_, text, _)| *text);
    texts
        .map(|(_, _, bytes)| String::from_utf8(bytes.clone()).unwrap())
        .collect()
}

#[test]
fn what_one_sends_comes_to_all_others_with_their_name_and_not_back() {
    let mut world = world(1, 3);
    send(&mut world, 0, RELIABLE, true, b"hello");
    send(&mut world, 1, LOSSY, true, b"here");
    world.run(SECOND);
    assert_eq!(world.clients[0].data, [(LOSSY, false, from(2, b"here"))]);
    assert_eq!(world.clients[1].data, [(RELIABLE, false, from(1, b"hello"))]);
    let mut third = world.clients[2].data.clone();
    third.sort();
    assert_eq!(
        third,
        [(RELIABLE, false, from(1, b"hello")), (LOSSY, false, from(2, b"here"))]
    );
    let counters = world.shard.counters();
    assert_eq!((counters.data_taken, counters.data_given), (2, 4));
}

#[test]
fn it_crosses_to_the_other_shards_of_a_call() {
    let mut world = world(2, 4);
    send(&mut world, 0, RELIABLE, true, b"everybody");
    send(&mut world, 3, LOSSY, true, b"me too");
    world.run(SECOND);
    for client in 1..4 {
        assert!(
            world.clients[client]
                .data
                .contains(&(RELIABLE, false, from(1, b"everybody"))),
            "{client}"
        );
    }
    for client in 0..3 {
        assert!(
            world.clients[client].data.contains(&(LOSSY, false, from(4, b"me too"))),
            "{client}"
        );
    }
}

#[test]
fn a_participant_without_channels_gets_nothing_and_costs_nothing() {
    let mut world = World::new();
    world.data = true;
    world.join(1, true, 1, SlotPolicy::Fill);
    world.data = false;
    world.join(2, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(SECOND);
    send(&mut world, 0, RELIABLE, true, b"nobody hears this");
    world.run(SECOND);
    let counters = world.shard.counters();
    assert_eq!((counters.data_taken, counters.data_given), (1, 0));
}

#[test]
fn what_is_refused_is_counted_and_its_sender_is_told_why() {
    let mut world = world(1, 2);
    world.may_send = false;
    world.join(3, false, 1, SlotPolicy::Fill);
    world.connect();
    world.run(SECOND);
    send(&mut world, 0, RELIABLE, false, b"text is the server's");
    send(&mut world, 2, RELIABLE, true, b"a guest who may only watch");
    world.run(SECOND);
    assert!(world.clients[1].data.is_empty());
    let told = notices(&world, 0);
    assert!(told.iter().any(|text| text.contains("binary")), "{told:?}");
    assert!(notices(&world, 2)[0].contains("FORBIDDEN"));
    let counters = world.shard.counters();
    assert_eq!(counters.dropped(Drop::DataRefused), 2);
    send(&mut world, 0, RELIABLE, true, b"and this one comes");
    world.run(SECOND);
    assert_eq!(world.clients[1].data.len(), 1);
}

#[test]
fn a_flood_is_cut_to_its_senders_share_and_takes_nothing_from_the_others() {
    let mut world = world(1, 3);
    for n in 0..400_u32 {
        for _ in 0..4 {
            send(&mut world, 0, LOSSY, true, &[n as u8; 40]);
        }
        if n % 40 == 0 {
            send(&mut world, 1, RELIABLE, true, b"a word");
        }
        world.run(Duration::from_millis(10));
    }
    world.run(SECOND);
    let of = |sender: u32| {
        let name = from(sender, b"");
        world.clients[2]
            .data
            .iter()
            .filter(|(_, _, bytes)| bytes.starts_with(&name))
            .count()
    };
    // 100 at once, then 50 a second for 4 s.
    assert!((200..=330).contains(&of(1)), "{}", of(1));
    assert_eq!(of(2), 10);
    assert!(world.shard.counters().dropped(Drop::DataFlood) > 1_000);
    assert!(notices(&world, 0)[0].contains("RATE_LIMITED"));
}

#[test]
fn somebody_on_a_slow_link_keeps_their_picture_loses_old_positions_and_in_the_end_the_reliable_channel() {
    let mut world = world(1, 4);
    // Three send as much as they may to one who has 600 kbit/s.
    let link = LinkConfig::clean(Schedule::constant(600_000), Duration::from_millis(300));
    world.links.insert(3, Link::new(link, 7));
    world.run(5 * SECOND);
    let before = world.clients[3].received.len();
    for n in 0..1_500_u32 {
        for sender in 0..3 {
            if n % 20 == 0 {
                send(&mut world, sender, RELIABLE, true, &[1; 12_000]);
                send(&mut world, sender, LOSSY, true, &n.to_be_bytes());
            }
        }
        world.run(Duration::from_millis(10));
    }
    let sound = world.clients[3].received.len() - before;
    assert!(sound > 1_200, "{sound} packets of sound and pictures in 15 s");
    let counters = world.shard.counters();
    assert_eq!(counters.dropped(Drop::DataClosed), 1, "one viewer, once");
    world.run(20 * SECOND);
    assert_eq!(world.clients[3].closed, [RELIABLE], "they see it closed");
    assert!(
        notices(&world, 3).iter().any(|text| text.contains("GONE")),
        "and are told why"
    );
    assert!(world.clients[0].closed.is_empty() && world.clients[1].closed.is_empty());
    send(&mut world, 0, LOSSY, true, b"the other channel lives");
    world.run(5 * SECOND);
    assert_eq!(
        world.clients[3].data.last().unwrap().2,
        from(1, b"the other channel lives")
    );
    let heard: usize = world.clients[3]
        .data
        .iter()
        .filter(|(at, ..)| *at == RELIABLE)
        .map(|(_, _, b)| b.len())
        .sum();
    assert!(heard > 30_000, "{heard}: what fitted has come");
}

#[test]
fn after_a_silence_of_twenty_seconds_what_waited_comes_at_once() {
    let mut world = world(1, 2);
    world.lose_down = Box::new(|client, _| client == 1);
    world.lose_up = Box::new(|client, _| client == 1);
    send(&mut world, 0, RELIABLE, true, b"first");
    world.run(Duration::from_secs(2));
    send(&mut world, 0, RELIABLE, true, b"second");
    world.run(18 * SECOND);
    assert!(world.clients[1].data.is_empty());
    world.lose_down = Box::new(|_, _| false);
    world.lose_up = Box::new(|_, _| false);
    world.run(3 * SECOND);
    let said: Vec<&[u8]> = world.clients[1]
        .data
        .iter()
        .map(|(_, _, bytes)| bytes.as_slice())
        .collect();
    assert_eq!(said, [from(1, b"first"), from(1, b"second")]);
}
