//! A whole shard, real transports and a viewer (str0m: another implementation of the feedback) behind a narrow link.

mod support;

use std::time::Duration;

use link_model::{Link, LinkConfig, Loss, Schedule};
use sfu_core::room::SlotPolicy;
use sfu_core::shard::PauseReason;
use support::{Stream, World};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Three publishers of 50 packets of sound a second and 270 kbit/s of video each, and a viewer of all behind this link.
fn world(link: LinkConfig) -> (World, usize) {
    let mut world = World::new();
    for id in 1..=3 {
        world.join(id, true, 0, SlotPolicy::Fill);
    }
    let viewer = world.join(9, false, 3, SlotPolicy::Fill);
    world.connect();
    world.links.insert(viewer, Link::new(link, 7));
    (world, viewer)
}

fn starved(world: &World) -> usize {
    let bindings = world.bindings(9);
    let is = |b: &&sfu_core::shard::Binding| b.paused == Some(PauseReason::Bandwidth);
    bindings.iter().filter(is).count()
}

/// Queue in ms that so many percent of the datagrams met at most, from a time on.
fn queue(world: &World, from: Duration, percent: usize) -> u128 {
    let mut waits: Vec<Duration> = world.waits.iter().filter(|w| w.0 >= from).map(|w| w.2).collect();
    waits.sort();
    waits[(waits.len() - 1) * percent / 100].as_millis()
}

#[test]
fn a_viewer_without_a_narrow_link_gets_everything() {
    let (mut world, viewer) = world(LinkConfig::clean(Schedule::constant(20_000_000), 300 * MS));
    world.run(10 * SECOND);
    assert_eq!(starved(&world), 0);
    for publisher in 1..=3 {
        let packets = world.received_from(viewer, publisher, false).len();
        assert!((440..520).contains(&packets), "{packets} of 500");
    }
    let padding = world.shard.counters().padding;
    assert!(
        (1..600).contains(&padding),
        "probes at the beginning, and none when nothing more is wanted: {padding}"
    );
}

#[test]
fn on_600_kbit_sound_stays_one_picture_moves_and_the_others_say_why_they_do_not() {
    let (mut world, viewer) = world(LinkConfig::clean(Schedule::constant(600_000), 300 * MS));
    world.run(20 * SECOND);
    assert_eq!(starved(&world), 2, "{:?}", world.bindings(9));
    let before: Vec<usize> = (1..=3).map(|p| world.received_from(viewer, p, false).len()).collect();
    let sound: Vec<usize> = (1..=3).map(|p| world.received_from(viewer, p, true).len()).collect();
    world.run(10 * SECOND);
    let mut moving = 0;
    for publisher in 1..=3 {
        let at = publisher as usize - 1;
        let heard = world.received_from(viewer, publisher, true).len() - sound[at];
        assert!((480..520).contains(&heard), "{heard} of 500 packets of sound");
        let seen = world.received_from(viewer, publisher, false).len() - before[at];
        moving += usize::from((450..550).contains(&seen));
    }
    assert_eq!(moving, 1, "one of three pictures fits beside the sound");
    let p95 = queue(&world, 10 * SECOND, 95);
    assert!(p95 < 100, "{p95} ms of queue");
}

#[test]
fn what_was_paused_comes_back_when_the_link_opens() {
    let schedule = Schedule::steps(&[(Duration::ZERO, 600_000), (20 * SECOND, 5_000_000)]);
    let (mut world, _) = world(LinkConfig::clean(schedule, 300 * MS));
    world.run(19 * SECOND);
    assert_eq!(starved(&world), 2);
    world.run_until(12 * SECOND, |world| starved(world) == 0);
    world.run(5 * SECOND);
    assert_eq!(starved(&world), 0);
}

#[test]
fn random_loss_on_a_wide_link_pauses_nobody() {
    let mut link = LinkConfig::clean(Schedule::constant(5_000_000), 300 * MS);
    link.loss = Loss::Random(0.05);
    let (mut world, viewer) = world(link);
    world.run(20 * SECOND);
    assert_eq!(starved(&world), 0);
    let counters = world.shard.counters();
    assert!(counters.retransmitted > 50, "{counters:?}");
    for publisher in 1..=3 {
        let mut numbers: Vec<u64> = world
            .received_from(viewer, publisher, false)
            .iter()
            .map(|p| *p.seq_no)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert!(numbers.len() > 900, "{} of 1,000", numbers.len());
    }
}

/// The longest queue, in ms at the new rate, when a TCP connection falls from 2 Mbit/s to 300 kbit/s.
#[allow(clippy::unwrap_used, reason = "a test's")]
fn fallen(told: bool) -> u64 {
    let mut world = World::new();
    for id in 1..=3 {
        world.join(id, true, 0, SlotPolicy::Fill);
    }
    let viewer = world.join(9, false, 3, SlotPolicy::Fill);
    world.connect();
    world.streams.insert(viewer, Stream::new(2_000_000, told, world.now));
    world.run(15 * SECOND);
    assert_eq!(starved(&world), 0);
    let stream = world.streams.get_mut(&viewer).unwrap();
    (stream.rate, stream.longest) = (300_000, 0);
    let before: Vec<usize> = (1..=3).map(|p| world.received_from(viewer, p, true).len()).collect();
    world.run(15 * SECOND);
    assert!(starved(&world) >= 2, "{:?}", world.bindings(9));
    for publisher in 1..=3 {
        let heard = world.received_from(viewer, publisher, true).len() - before[publisher as usize - 1];
        assert!(heard > 700, "{heard} of 750 packets of sound");
    }
    world.streams[&viewer].longest as u64 * 8_000 / 300_000
}

#[test]
#[allow(clippy::unwrap_used, reason = "a test's")]
fn who_leaves_a_stuck_tcp_connection_behind_gets_pictures_by_the_new_way() {
    let mut world = World::new();
    for id in 1..=3 {
        world.join(id, true, 0, SlotPolicy::Fill);
    }
    let viewer = world.join(9, false, 3, SlotPolicy::Fill);
    world.connect();
    world.streams.insert(viewer, Stream::new(2_000_000, true, world.now));
    world.run(10 * SECOND);
    world.streams.get_mut(&viewer).unwrap().rate = 1_000;
    world.run(2 * SECOND);
    let pictures = |world: &World| -> usize { (1..=3).map(|p| world.received_from(viewer, p, false).len()).sum() };
    let before = pictures(&world);
    // UDP from another network.
    world.streams.remove(&viewer);
    world.restart_ice(viewer);
    world.run(10 * SECOND);
    let came = pictures(&world) - before;
    assert!(came > 300, "{came} packets of pictures");
}

#[test]
fn by_tcp_pictures_are_thinned_before_the_queue_grows() {
    let (told, untold) = (fallen(true), fallen(false));
    println!("{told} ms with the queue told, {untold} ms without");
    assert!(told < 600, "{told} ms");
    assert!(
        told * 3 < untold * 2,
        "{told} ms with the queue told, {untold} ms without"
    );
}
