//! A tile grows and shrinks on a path of 50 ms there and back: its picture never stands still.

mod support;

use std::time::Duration;

use link_model::{Link, LinkConfig, Schedule};
use sfu_core::room::SlotPolicy;
use sfu_core::sdp::{CodecKind, CodecPolicy};
use support::{Layer, World, assert_decodable, assert_layers_decodable};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// The longest that a picture may stand still.
const FROZEN: Duration = Duration::from_millis(200);
const PUBLISHER: u32 = 1;

/// A publisher and a viewer, 25 ms away from the server each way, and signaling that takes as long.
fn world(codec: CodecKind, layers: Vec<Layer>, spatial: u8) -> (World, usize) {
    let codecs = CodecPolicy {
        video: vec![codec],
        ..CodecPolicy::default()
    };
    let mut world = World::with(1, 5, codecs);
    world.vp9 = codec == CodecKind::Vp9;
    world.delay_up = 25 * MS;
    world.obedient = Some(25 * MS);
    let publisher = world.join_with(PUBLISHER, true, 0, SlotPolicy::Fill, layers);
    world.clients[publisher].spatial = spatial;
    let viewer = world.join(2, false, 1, SlotPolicy::Intents);
    for client in [publisher, viewer] {
        let link = LinkConfig::clean(Schedule::constant(100_000_000), SECOND);
        world.links.insert(client, Link::new(link, 3));
    }
    world.connect();
    (world, viewer)
}

/// Looks at the publisher in this height until it is shown as layer `layer`, and for a while longer; returns the longest
/// time without a new picture, and how long the change took.
fn look(world: &mut World, viewer: usize, height: u32, layer: u8) -> (Duration, Duration) {
    let from = world.now;
    world.intents(viewer, &[(0, PUBLISHER, height)]);
    let shows = |world: &World| {
        let bindings = world.bindings(2);
        bindings.iter().any(|b| b.layer == layer && b.paused.is_none())
            && !world.pictures(viewer, PUBLISHER, world.now - 100 * MS).is_empty()
    };
    world.run_until(5 * SECOND, shows);
    let took = world.now - from;
    world.run(4 * SECOND);
    let mut at = from;
    let mut longest = Duration::ZERO;
    for picture in world.pictures(viewer, PUBLISHER, from) {
        longest = longest.max(picture - at);
        at = picture;
    }
    (longest.max(world.now - at), took)
}

/// Small, large, medium, small and large again.
fn changes(world: &mut World, viewer: usize) {
    look(world, viewer, 180, 0);
    for (height, layer) in [(720, 2), (180, 0), (720, 2), (360, 1), (720, 2), (360, 1), (180, 0)] {
        let (longest, took) = look(world, viewer, height, layer);
        println!("to {height} lines: longest without a picture {longest:?}, there after {took:?}");
        assert!(longest <= FROZEN, "to {height}: {longest:?}");
        assert!(took <= 1_500 * MS, "to {height}: {took:?}");
    }
}

#[test]
fn a_simulcast_picture_changes_its_size_and_does_not_stand_still() {
    let layers = vec![Layer::new("q", 180), Layer::new("h", 360), Layer::new("f", 720)];
    let (mut world, viewer) = world(CodecKind::Vp8, layers, 0);
    changes(&mut world, viewer);
    assert_decodable(&world.received_from(viewer, PUBLISHER, false));
}

#[test]
fn spatial_layers_of_one_stream_come_and_go_and_the_picture_does_not_stand_still() {
    let (mut world, viewer) = world(CodecKind::Vp9, Vec::new(), 3);
    changes(&mut world, viewer);
    let highest = assert_layers_decodable(&world.received_from(viewer, PUBLISHER, false));
    assert!((0..3).all(|layer| highest.contains(&layer)));
}
