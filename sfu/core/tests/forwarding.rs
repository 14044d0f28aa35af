//! Real clients through a shard: what one sends, the others can decrypt and decode.

#![allow(clippy::panic, reason = "a helper of a test fails the test")]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::shard::{Drop, Event};
use sfu_core::types::{ParticipantId, Path, Source};
use str0m::rtp::RtpPacket;
use support::{World, assert_decodable};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_people_see_and_hear_each_other() {
    let mut world = World::new();
    let a = world.join(1, true, 2, SlotPolicy::Fill);
    let b = world.join(2, true, 2, SlotPolicy::Fill);
    world.connect();
    world.run(3 * SECOND);
    for (viewer, publisher) in [(a, 2), (b, 1)] {
        let audio = world.received_from(viewer, publisher, true);
        assert!(audio.len() > 120, "{} audio packets", audio.len());
        assert!(
            audio.iter().all(|p| p.header.ext_vals.audio_level == Some(-20)),
            "levels pass through"
        );
        let video = world.received_from(viewer, publisher, false);
        assert!(video.len() > 120, "{} video packets", video.len());
        assert_decodable(&video);
        let own = world.received_from(viewer, world.clients[viewer].id.0, true);
        assert!(own.is_empty(), "nobody hears themself");
    }
    let bindings = world.bindings(1);
    assert_eq!(bindings.len(), 2);
    assert!(
        bindings
            .iter()
            .all(|b| b.participant == ParticipantId(2) && b.paused.is_none())
    );
    assert!(world.events.contains(&Event::Connected(ParticipantId(1))));
    let speakers = |event: &Event| matches!(event, Event::Speakers(_, who) if who.len() == 2);
    assert!(world.events.iter().any(speakers));
    assert_eq!(world.shard.counters().dropped(Drop::Seal), 0);
}

#[test]
fn somebody_who_comes_late_begins_with_a_key_frame() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(5 * SECOND);
    let asked = world.clients[0].key_frames_asked;
    let late = world.join(2, false, 1, SlotPolicy::Fill);
    world.connect();
    world.run(SECOND);
    assert!(world.clients[0].key_frames_asked > asked, "the publisher was asked");
    let video = world.received_from(late, 1, false);
    assert!(video.len() > 30);
    assert_decodable(&video);
}

#[test]
fn a_fresh_key_frame_is_replayed_and_the_publisher_left_in_peace() {
    let mut world = World::new();
    let a = world.join(1, true, 1, SlotPolicy::Fill);
    let b = world.join(2, false, 2, SlotPolicy::Intents);
    world.connect();
    world.run(3 * SECOND);
    world.clients[a].want_key = true;
    world.run(Duration::from_millis(200));
    let asked = world.shard.counters().key_frames_asked;
    world.intents(b, &[(0, 1, 360)]);
    world.run(Duration::from_millis(300));
    assert_eq!(world.shard.counters().key_frames_asked, asked);
    let video = world.received_from(b, 1, false);
    assert!(video.len() > 15, "{}", video.len());
    assert_decodable(&video);
}

#[test]
fn four_people_in_a_room_all_receive_all() {
    let mut world = World::new();
    for id in 1..=4 {
        world.join(id, true, 5, SlotPolicy::Fill);
    }
    world.connect();
    world.run(3 * SECOND);
    for viewer in 0..4 {
        for publisher in (1..=4).filter(|p| *p != viewer as u32 + 1) {
            assert!(world.received_from(viewer, publisher, true).len() > 100);
            assert_decodable(&world.received_from(viewer, publisher, false));
        }
    }
    // One leaves: the others are told, and the rest goes on.
    world.shard.leave(world.now, ParticipantId(4));
    world.run(SECOND);
    assert!(world.bindings(1).iter().all(|b| b.participant != ParticipantId(4)));
    assert_eq!(world.bindings(1).len(), 4);
}

#[test]
fn a_slot_stays_one_stream_when_it_shows_somebody_else() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    world.join(2, true, 1, SlotPolicy::Fill);
    let viewer = world.join(3, false, 1, SlotPolicy::Intents);
    world.connect();
    for round in 0..4 {
        world.intents(viewer, &[(0, 1 + round % 2, 360)]);
        world.run(2 * SECOND);
    }
    let of = |who| world.received_from(viewer, who, false);
    let mut all: Vec<&RtpPacket> = of(1).into_iter().chain(of(2)).collect();
    all.sort_by_key(|packet| *packet.seq_no);
    let switches = all
        .windows(2)
        .filter(|pair| pair[0].header.csrc[0] != pair[1].header.csrc[0])
        .count();
    assert_eq!(switches, 3);
    let streams: HashSet<_> = all.iter().map(|packet| packet.header.ssrc).collect();
    assert_eq!(streams.len(), 1);
    assert_decodable(&all);
}

#[test]
fn an_unwanted_tile_costs_nothing_and_comes_back() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    let viewer = world.join(2, false, 1, SlotPolicy::Intents);
    world.connect();
    world.intents(viewer, &[(0, 1, 360)]);
    world.run(SECOND);
    world.intents(viewer, &[(0, 1, 0)]);
    let before = world.received_from(viewer, 1, false).len();
    world.run(SECOND);
    assert_eq!(world.received_from(viewer, 1, false).len(), before);
    assert!(
        world
            .bindings(2)
            .iter()
            .any(|b| b.source == Source::Camera && b.paused.is_some())
    );
    world.intents(viewer, &[(0, 1, 360)]);
    world.run(SECOND);
    let video = world.received_from(viewer, 1, false);
    assert!(video.len() > before + 30);
    assert_decodable(&video);
}

#[test]
fn a_source_that_a_moderator_mutes_is_not_forwarded() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    let viewer = world.join(2, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(SECOND);
    world
        .shard
        .set_blocked(world.now, support::ROOM, ParticipantId(1), Source::Mic, true);
    world.run(Duration::from_millis(50));
    let before = world.received_from(viewer, 1, true).len();
    let video = world.received_from(viewer, 1, false).len();
    world.run(SECOND);
    assert_eq!(world.received_from(viewer, 1, true).len(), before);
    assert!(
        world.received_from(viewer, 1, false).len() > video + 30,
        "the camera goes on"
    );
    assert!(world.shard.counters().dropped(Drop::Blocked) > 30);
    world
        .shard
        .set_blocked(world.now, support::ROOM, ParticipantId(1), Source::Mic, false);
    world.run(SECOND);
    assert!(world.received_from(viewer, 1, true).len() > before + 30);
}

#[test]
fn every_participant_gets_rtcp_at_least_every_250_ms() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    world.join(2, false, 1, SlotPolicy::Fill);
    world.connect();
    world.run(5 * SECOND);
    for client in &world.clients {
        assert!(client.rtcp_datagrams.len() > 15);
        for pair in client.rtcp_datagrams.windows(2) {
            assert!(pair[1] - pair[0] <= Duration::from_millis(250));
        }
    }
}

#[test]
fn garbage_and_strangers_change_nothing_for_others() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    let viewer = world.join(2, false, 1, SlotPolicy::Fill);
    world.connect();
    world.run(SECOND);
    let mut random = support::Seeded(7);
    use sfu_core::types::Random;
    let known = Path::Udp {
        local: support::server(),
        remote: world.clients[0].address,
    };
    for round in 0..3_000_u32 {
        let mut datagram = vec![0; (random.u32() % 1_500) as usize];
        random.fill(&mut datagram);
        if let Some(first) = datagram.first_mut() {
            *first = [0, 20, 22, 0x80, 0x90, 0xb0, 255][round as usize % 7];
        }
        let remote = std::net::SocketAddr::from(([10, 9, (round >> 8) as u8, round as u8], 1_000));
        let stranger = Path::Udp {
            local: support::server(),
            remote,
        };
        world.deliver(if round % 2 == 0 { stranger } else { known }, &datagram);
        if round % 100 == 0 {
            world.run(Duration::from_millis(40));
        }
    }
    world.run(SECOND);
    let video = world.received_from(viewer, 1, false);
    assert!(video.len() > 120);
    assert_decodable(&video);
    assert_eq!(world.shard.participants(), 2);
}

#[test]
fn a_room_that_failed_takes_nobody_else_along() {
    let mut world = World::new();
    let a = world.join(1, true, 1, SlotPolicy::Fill);
    world.connect();
    world.run(SECOND);
    world.shard.fail_room(support::ROOM);
    assert_eq!(world.shard.participants(), 0);
    let sent = world.shard.counters().forwarded;
    world.run(SECOND);
    assert!(world.events.contains(&Event::RoomFailed(support::ROOM)));
    assert_eq!(world.shard.counters().forwarded, sent);
    // The room can be entered again, with a new connection.
    world.clients.remove(a);
    world.join(1, true, 1, SlotPolicy::Fill);
    let b = world.join(2, false, 1, SlotPolicy::Fill);
    world.connect();
    world.run(SECOND);
    assert_decodable(&world.received_from(b, 1, false));
}
