//! What changes while a call goes on: layers, slots, addresses, transports.

mod support;

use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::shard::{Drop, Event};
use sfu_core::types::ParticipantId;
use support::{Layer, World, assert_decodable};

const SECOND: Duration = Duration::from_secs(1);

fn three_layers() -> Vec<Layer> {
    vec![Layer::new("l", 180), Layer::new("m", 360), Layer::new("h", 720)]
}

fn layer_of(world: &World, viewer: u32) -> Option<u8> {
    let camera = |b: &&sfu_core::shard::Binding| b.source == sfu_core::types::Source::Camera;
    world.bindings(viewer).iter().find(camera).map(|b| b.layer)
}

#[test]
fn each_viewer_gets_the_layer_that_suits_and_switches_without_a_gap() {
    let mut world = World::new();
    world.join_with(1, true, 1, SlotPolicy::Fill, three_layers());
    let small = world.join(2, false, 1, SlotPolicy::Intents);
    let large = world.join(3, false, 1, SlotPolicy::Intents);
    world.connect();
    world.intents(small, &[(0, 1, 180)]);
    world.intents(large, &[(0, 1, 720)]);
    world.run(2 * SECOND);
    assert_eq!((layer_of(&world, 2), layer_of(&world, 3)), (Some(0), Some(2)));
    for (height, expected) in [(720, Some(2)), (180, Some(0)), (360, Some(1))] {
        world.intents(small, &[(0, 1, height)]);
        world.run(2 * SECOND);
        assert_eq!(layer_of(&world, 2), expected);
    }
    for viewer in [small, large] {
        let video = world.received_from(viewer, 1, false);
        assert!(video.len() > 90, "{}", video.len());
        assert_decodable(&video);
    }
    // The large one's frames never stopped while the small one came and went.
    let frames = world.received_from(large, 1, false).len();
    assert!(frames > 7 * 2 * 25, "{frames}");
}

#[test]
fn a_layer_that_is_no_longer_sent_gives_way_to_one_that_is() {
    let mut world = World::new();
    let publisher = world.join_with(1, true, 1, SlotPolicy::Fill, three_layers());
    let viewer = world.join(2, false, 1, SlotPolicy::Intents);
    world.connect();
    world.intents(viewer, &[(0, 1, 720)]);
    world.run(2 * SECOND);
    assert_eq!(layer_of(&world, 2), Some(2));
    world.clients[publisher].layers[2].sends = false;
    world.run(4 * SECOND);
    assert_eq!(layer_of(&world, 2), Some(1));
    world.clients[publisher].layers[2].sends = true;
    world.run(4 * SECOND);
    assert_eq!(layer_of(&world, 2), Some(2));
    assert_decodable(&world.received_from(viewer, 1, false));
}

#[test]
fn a_replayed_key_frame_is_for_the_slot_that_is_bound_and_not_for_one_that_switches() {
    let mut world = World::new();
    let publisher = world.join_with(1, true, 1, SlotPolicy::Fill, three_layers());
    let first = world.join(2, false, 1, SlotPolicy::Intents);
    let second = world.join(3, false, 1, SlotPolicy::Intents);
    world.connect();
    world.intents(first, &[(0, 1, 180)]);
    world.run(2 * SECOND);
    // A key frame of the large layer goes by that nobody watches; then nobody gets another one for a while.
    let since = world.clients[publisher].layers[2].next;
    world.clients[publisher].layers[2].want_key = true;
    world.run(Duration::from_millis(200));
    world.intents(first, &[(0, 1, 720)]);
    world.intents(second, &[(0, 1, 720)]);
    world.run(2 * SECOND);
    assert_eq!((layer_of(&world, 2), layer_of(&world, 3)), (Some(2), Some(2)));
    for viewer in [first, second] {
        assert_decodable(&world.received_from(viewer, 1, false));
    }
    // What the first one shows has never gone back: of the large layer it got only what is newer than all it had.
    let of = |viewer: usize| {
        let video = world.received_from(viewer, 1, false);
        let number = |p: &&&str0m::rtp::RtpPacket| u64::from_be_bytes(p.payload[14..22].try_into().unwrap());
        let starts =
            |p: &&&str0m::rtp::RtpPacket| p.payload[0] == 0x90 && p.payload[4] == 0x10 && p.payload[12] == 0xd0;
        let of_large = video.iter().filter(starts).map(|p| number(&p));
        of_large.filter(|number| *number >= since).min().unwrap()
    };
    assert!(of(first) > of(second), "{} {}", of(first), of(second));
}

#[test]
fn an_ice_restart_moves_the_call_to_another_address() {
    let mut world = World::new();
    let a = world.join(1, true, 1, SlotPolicy::Fill);
    let b = world.join(2, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(2 * SECOND);
    world.restart_ice(a);
    world.run(3 * SECOND);
    let (up, down) = (
        world.received_from(b, 1, false).len(),
        world.received_from(a, 2, false).len(),
    );
    world.run(2 * SECOND);
    let (later_up, later_down) = (
        world.received_from(b, 1, false).len(),
        world.received_from(a, 2, false).len(),
    );
    assert!(later_up > up + 80, "{up} {later_up}");
    assert!(later_down > down + 80, "{down} {later_down}");
    assert_eq!(world.shard.participants(), 2);
    let lost = |event: &Event| matches!(event, Event::Lost(_) | Event::Closed(_));
    assert!(!world.events.iter().any(lost), "{:?}", world.events);
}

#[test]
fn slots_that_are_added_later_are_filled() {
    let mut world = World::new();
    for id in 1..=3 {
        world.join(id, true, 1, SlotPolicy::Fill);
    }
    world.connect();
    world.run(2 * SECOND);
    let seen = |world: &World| {
        (2..=3)
            .filter(|p| !world.received_from(0, *p, false).is_empty())
            .count()
    };
    assert_eq!(seen(&world), 1, "one slot");
    let kept = world.bindings(1);
    world.grow(0, 1);
    world.run(3 * SECOND);
    assert_eq!(seen(&world), 2);
    assert!(kept.iter().all(|b| {
        world
            .bindings(1)
            .iter()
            .any(|n| (&n.mid, n.participant) == (&b.mid, b.participant))
    }));
    for publisher in 2..=3 {
        assert_decodable(&world.received_from(0, publisher, false));
    }
}

#[test]
fn a_new_connection_takes_the_place_of_the_former_one() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    let viewer = world.join(2, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(2 * SECOND);
    // The page was loaded again: the same person with another certificate. The old client goes on as if nothing were.
    let again = world.join(1, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(3 * SECOND);
    assert_eq!(world.shard.participants(), 2);
    let before = world.received_from(viewer, 1, false).len();
    world.run(2 * SECOND);
    assert!(world.received_from(viewer, 1, false).len() > before + 80);
    assert!(world.received_from(again, 2, false).len() > 80);
    assert!(
        world.shard.counters().dropped(Drop::Nobody) > 0,
        "the former one's packets are nobody's"
    );
    let closed = world.events.contains(&Event::Closed(ParticipantId(1)));
    assert!(!closed, "they have not left");
}

#[test]
fn whoever_says_what_they_want_during_their_handshake_finds_the_key_frame_there() {
    let mut world = World::new();
    let publisher = world.join(1, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(5 * SECOND);
    let asked = world.clients[publisher].key_frames_asked;
    let viewer = world.join(2, false, 1, SlotPolicy::Intents);
    // The first connectivity checks are lost: what the viewer wants arrives before the handshake begins.
    world.lose_up = Box::new(move |client, _| client == viewer);
    world.intents(viewer, &[(0, 1, 360)]);
    world.run(Duration::from_millis(150));
    assert_eq!(world.clients[publisher].key_frames_asked, asked + 1);
    // Saying it again and again asks for nothing that is there already.
    for _ in 0..20 {
        world.intents(viewer, &[(0, 1, 360)]);
    }
    world.lose_up = Box::new(|_, _| false);
    world.connect();
    assert_eq!(world.clients[publisher].key_frames_asked, asked + 1);
    world.run(Duration::from_millis(20));
    let video = world.received_from(viewer, 1, false);
    assert!(!video.is_empty(), "at once, not after another key frame");
    assert_decodable(&video);
}
