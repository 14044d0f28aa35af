//! A call in three shards when something goes wrong: packets, words and whole shards are lost.

#![allow(clippy::panic, reason = "a helper of a test fails the test")]

mod support;

use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::rtp::vp8::Descriptor;
use sfu_core::shard::{Drop, Event};
use support::{ROOM, World, assert_decodable};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A publisher (1) in shard 0, two viewers (2, 3) in shard 1, one (4) in shard 2.
fn one_publisher() -> World {
    let mut world = World::with_shards(3);
    world.join_at(0, 1, true, 1, SlotPolicy::Fill, Vec::new());
    for (shard, id) in [(1, 2), (1, 3), (2, 4)] {
        world.join_at(shard, id, false, 1, SlotPolicy::Fill, Vec::new());
    }
    world.connect();
    world
}

#[test]
fn what_a_viewer_lost_is_sent_again_from_its_own_shard() {
    let mut world = one_publisher();
    world.run(2 * SECOND);
    let mut count = 0;
    world.lose_down = Box::new(move |client, datagram| {
        let media = client == 3 && datagram.len() > 500 && datagram[0] >> 6 == 2;
        count += usize::from(media);
        media && count % 10 == 0
    });
    world.run(4 * SECOND);
    world.lose_down = Box::new(|_, _| false);
    world.run(SECOND);
    assert!(world.at(2).counters().retransmitted >= 15);
    assert_eq!(world.at(0).counters().retransmitted, 0);
    let mut numbers: Vec<u64> = world.received_from(3, 1, false).iter().map(|p| *p.seq_no).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let expected = numbers.last().unwrap() - numbers.first().unwrap() + 1;
    let missing = expected - numbers.len() as u64;
    assert!(missing * 100 <= expected, "{missing} of {expected} never came");
}

#[test]
fn what_a_publisher_lost_is_mended_for_all_shards() {
    let mut world = one_publisher();
    world.run(2 * SECOND);
    let mut count = 0;
    world.lose_up = Box::new(move |client, datagram| {
        let media = client == 0 && datagram.len() > 500 && datagram[0] >> 6 == 2;
        count += usize::from(media);
        media && count % 10 == 0
    });
    world.run(4 * SECOND);
    world.lose_up = Box::new(|_, _| false);
    world.run(SECOND);
    assert!(world.shard.counters().recovered >= 15);
    for viewer in 1..4 {
        let mut numbers: Vec<u64> = world
            .received_from(viewer, 1, false)
            .iter()
            .map(|p| *p.seq_no)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let expected = numbers.last().unwrap() - numbers.first().unwrap() + 1;
        let missing = expected - numbers.len() as u64;
        assert!(missing * 100 <= expected, "{missing} of {expected} never came");
    }
}

#[test]
fn a_shard_that_stands_still_loses_packets_of_its_own_viewers_alone_and_a_key_frame_heals_it() {
    let mut world = one_publisher();
    world.relays.capacity = 40;
    world.run(3 * SECOND);
    world.relays.stalled.insert(1);
    world.run(2 * SECOND);
    let lost = world.shard.counters().dropped(Drop::RelayFull);
    assert!(lost > 100, "{lost} of some 200 found no room");
    let asked = world.clients[0].key_frames_asked;
    let before = world.clients[1].received.len();
    world.relays.stalled.clear();
    world.run(SECOND);
    assert_eq!(
        world.shard.counters().dropped(Drop::RelayFull),
        lost,
        "it keeps up again"
    );
    assert_eq!(
        world.clients[0].key_frames_asked,
        asked + 1,
        "one key frame, not one for each lost packet"
    );
    let since: Vec<_> = world.clients[1].received[before..].iter().collect();
    let begins =
        |packet: &&str0m::rtp::RtpPacket| Descriptor::parse(&packet.payload).is_some_and(|d| d.key_frame && d.start);
    let video: Vec<_> = since.into_iter().filter(|p| p.payload.len() > 500).collect();
    let key_frame = video.iter().rposition(begins).unwrap();
    assert!(video.len() - key_frame > 20, "soon after");
    assert_decodable(&video[key_frame..]);
    // The others have not noticed.
    let other = world.received_from(3, 1, false);
    assert!(other.len() > 250);
    assert_decodable(&other);
}

#[test]
fn words_that_were_lost_are_all_said_again() {
    let mut world = World::with_shards(2);
    world.join_at(0, 1, true, 1, SlotPolicy::Fill, Vec::new());
    let viewer = world.join_at(1, 2, true, 1, SlotPolicy::Intents, Vec::new());
    world.connect();
    world.relays.capacity = 16;
    world.relays.stalled.insert(0);
    // More than are kept for a shard that stands still.
    for round in 0..4_500 {
        world.intents(viewer, &[(0, 1, if round % 2 == 0 { 360 } else { 0 })]);
        world.exchange();
    }
    world.intents(viewer, &[(0, 1, 360)]);
    world.run(100 * MS);
    world.relays.stalled.clear();
    world.run(2 * SECOND);
    let before = world.received_from(viewer, 1, false).len();
    let own = world.received_from(0, 2, false).len();
    world.run(SECOND);
    assert!(world.received_from(viewer, 1, false).len() > before + 40);
    assert!(
        world.received_from(0, 2, false).len() > own + 40,
        "and the other way round"
    );
    assert_eq!((world.shard.stand_ins(), world.others[0].stand_ins()), (1, 1));
}

#[test]
fn a_room_that_fails_in_one_shard_ends_in_all_of_them() {
    let mut world = one_publisher();
    world.run(SECOND);
    world.at(1).fail_room(ROOM);
    world.exchange();
    for number in 0..3 {
        let shard = world.at(number);
        assert_eq!(
            (shard.participants(), shard.stand_ins(), shard.kept()),
            (0, 0, 0),
            "{number}"
        );
    }
    world.run(100 * MS);
    let failed = world.events.iter().filter(|e| **e == Event::RoomFailed(ROOM)).count();
    assert_eq!(failed, 1, "said once");
}

#[test]
fn the_first_viewer_in_another_shard_begins_with_what_the_publishers_shard_has_kept() {
    let mut world = World::with_shards(2);
    let publisher = world.join_at(0, 1, true, 0, SlotPolicy::Fill, Vec::new());
    let near = world.join_at(0, 2, false, 1, SlotPolicy::Intents, Vec::new());
    let far = world.join_at(1, 3, false, 1, SlotPolicy::Intents, Vec::new());
    world.connect();
    world.run(3 * SECOND);
    world.intents(near, &[(0, 1, 360)]);
    world.run(400 * MS);
    // No key frame can come any more, whoever asks for it.
    world.clients[publisher].send_video = false;
    world.intents(far, &[(0, 1, 360)]);
    world.run(100 * MS);
    let kept = world.received_from(far, 1, false).len();
    assert!(kept > 10, "{kept} kept packets");
    world.clients[publisher].send_video = true;
    world.run(SECOND);
    for viewer in [near, far] {
        let video = world.received_from(viewer, 1, false);
        assert!(video.len() > 50, "{}", video.len());
        assert_decodable(&video);
    }
}
