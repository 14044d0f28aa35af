//! Viewers that have no transport-wide feedback and estimate by themselves: what they say (REMB) is what they get.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::shard::PauseReason;
use str0m::bwe::Bitrate;
use support::World;

const SECOND: Duration = Duration::from_secs(1);

/// The viewer's say so for `time`, five times a second.
fn says(world: &mut World, viewer: usize, bitrate: Bitrate, time: Duration) {
    let slots: Vec<_> = world.clients[viewer].slots.iter().map(|(mid, _)| *mid).collect();
    for _ in 0..time.as_millis() / 200 {
        let mut api = world.clients[viewer].rtc.direct_api();
        let stream = slots.iter().find(|mid| api.stream_rx_by_mid(**mid, None).is_some());
        api.stream_rx_by_mid(*stream.unwrap(), None)
            .unwrap()
            .request_remb(bitrate);
        world.run(SECOND / 5);
    }
}

fn starved(world: &World) -> usize {
    let bindings = world.bindings(9);
    bindings
        .iter()
        .filter(|b| b.paused == Some(PauseReason::Bandwidth))
        .count()
}

#[test]
fn a_viewer_with_remb_alone_gets_what_it_says_and_all_before_it_has_said_anything() {
    let mut world = World::new();
    for id in 1..=3 {
        world.join(id, true, 0, SlotPolicy::Fill);
    }
    world.remb_only = true;
    let viewer = world.join(9, false, 3, SlotPolicy::Fill);
    world.connect();
    world.run(3 * SECOND);
    assert_eq!(starved(&world), 0);
    let video = |world: &World| {
        (1..=3)
            .map(|id| world.received_from(viewer, id, false).len())
            .collect::<Vec<_>>()
    };
    let first = video(&world);
    assert!(first.iter().all(|packets| *packets > 50), "{first:?}");

    // 270 kbit/s each: there is room for one.
    says(&mut world, viewer, Bitrate::kbps(450), 5 * SECOND);
    assert_eq!(starved(&world), 2, "{:?}", world.bindings(9));
    let before = video(&world);
    says(&mut world, viewer, Bitrate::kbps(450), 3 * SECOND);
    let flowing = video(&world)
        .iter()
        .zip(&before)
        .filter(|(now, before)| *now - *before > 50)
        .count();
    assert_eq!(flowing, 1);
    let sound = world.received_from(viewer, 1, true).len();
    assert!(sound > 400, "{sound}: sound is never paused");

    says(&mut world, viewer, Bitrate::mbps(5), 8 * SECOND);
    assert_eq!(starved(&world), 0, "{:?}", world.bindings(9));
}
