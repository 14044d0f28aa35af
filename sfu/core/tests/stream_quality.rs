//! What a viewer is told of single streams: paused, smaller than its tile, lossy at its source, limited by its sender's processor.

mod support;

use std::time::Duration;

use link_model::{Link, LinkConfig, Schedule};
use sfu_core::quality::Reason;
use sfu_core::room::SlotPolicy;
use sfu_core::shard::Event;
use sfu_core::types::{ParticipantId, Source};
use support::World;

const SECOND: Duration = Duration::from_secs(1);
const VIEWER: u32 = 9;

/// The streams that the viewer was last told not to be good: whose, which, score, reason.
fn told(world: &World) -> Vec<(u32, Source, u8, Reason)> {
    let last = world.events.iter().rev().find_map(|event| match event {
        Event::Quality(id, _, _, streams) if *id == ParticipantId(VIEWER) => Some(streams),
        _ => None,
    });
    let streams = last.into_iter().flatten();
    streams
        .map(|s| (s.participant.0, s.source, s.score.get(), s.reason))
        .collect()
}

/// Two publishers, and a viewer of both behind a link of so many kbit/s that opens after 20 s.
fn world(kbit: u64) -> World {
    let mut world = World::new();
    for id in 1..=2 {
        world.join(id, true, 0, SlotPolicy::Fill);
    }
    let viewer = world.join(VIEWER, false, 2, SlotPolicy::Fill);
    world.connect();
    let schedule = Schedule::steps(&[(Duration::ZERO, kbit * 1_000), (20 * SECOND, 20_000_000)]);
    let link = LinkConfig::clean(schedule, Duration::from_millis(300));
    world.links.insert(viewer, Link::new(link, 7));
    world
}

#[test]
fn a_stream_for_which_there_is_no_room_is_told_as_paused_until_there_is() {
    let mut world = world(450);
    world.run(15 * SECOND);
    let paused = told(&world);
    assert!(
        matches!(paused[..], [(_, Source::Camera, 1, Reason::Paused)]),
        "one of two: {paused:?}"
    );
    world.run(15 * SECOND);
    assert_eq!(told(&world), []);
}

#[test]
fn a_sender_whose_processor_limits_them_is_told_to_their_viewers_until_it_does_not() {
    let mut world = world(20_000);
    world.run(4 * SECOND);
    assert_eq!(told(&world), []);
    world.shard.set_limited(ParticipantId(2), Source::Camera, true);
    // Of somebody whom nobody knows, and of a source that they do not have.
    world.shard.set_limited(ParticipantId(77), Source::Camera, true);
    world.shard.set_limited(ParticipantId(1), Source::Screen, true);
    world.run(3 * SECOND);
    assert_eq!(told(&world), [(2, Source::Camera, 3, Reason::Cpu)]);
    world.shard.set_limited(ParticipantId(2), Source::Camera, false);
    world.run(3 * SECOND);
    assert_eq!(told(&world), []);
}

#[test]
fn what_is_lost_on_the_way_from_a_sender_is_told_of_their_voice_and_of_nobody_elses() {
    let mut world = world(20_000);
    world.run(4 * SECOND);
    let mut count = 0_u32;
    world.lose_up = Box::new(move |client, datagram| {
        let media = datagram.first().is_some_and(|first| (128..192).contains(first));
        count += u32::from(client == 1 && media);
        client == 1 && media && count.is_multiple_of(8)
    });
    world.run(8 * SECOND);
    let lossy = told(&world);
    assert!(
        lossy
            .iter()
            .any(|(_, source, score, reason)| (*source, *reason) == (Source::Mic, Reason::Loss) && *score <= 2),
        "an eighth is lost, and sound is not sent again: {lossy:?}"
    );
    assert!(lossy.iter().all(|(publisher, ..)| *publisher == 2), "{lossy:?}");
    world.lose_up = Box::new(|_, _| false);
    world.run(10 * SECOND);
    assert_eq!(told(&world), []);
}

#[test]
fn a_viewer_in_another_shard_is_told_the_same() {
    let mut world = World::with_shards(2);
    world.join_at(0, 1, true, 0, SlotPolicy::Fill, Vec::new());
    world.join_at(1, VIEWER, false, 1, SlotPolicy::Fill, Vec::new());
    world.connect();
    world.run(4 * SECOND);
    world.shard.set_limited(ParticipantId(1), Source::Camera, true);
    world.run(4 * SECOND);
    assert_eq!(told(&world), [(1, Source::Camera, 3, Reason::Cpu)]);
}
