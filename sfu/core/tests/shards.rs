//! A call in three shards: whoever is where, they see and hear each other, and every packet crosses once.

#![allow(clippy::panic, reason = "a helper of a test fails the test")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::sdp::{CodecKind, CodecPolicy};
use sfu_core::shard::{Drop, Event, PauseReason};
use sfu_core::types::{ParticipantId, Source};
use support::{Layer, ROOM, World, assert_decodable};

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

fn layers() -> Vec<Layer> {
    vec![Layer::new("l", 180), Layer::new("m", 360), Layer::new("h", 720)]
}

/// Who `client` has heard since its `from`-th packet.
fn heard(world: &World, client: usize, from: usize) -> BTreeSet<u32> {
    let packets = world.clients[client].received[from..].iter();
    let sound = packets.filter(|p| p.header.ext_vals.audio_level.is_some());
    sound.map(|packet| packet.header.csrc[0]).collect()
}

fn mics(world: &World, id: u32) -> usize {
    let bindings = world.bindings(id);
    bindings.iter().filter(|b| b.source == Source::Mic).count()
}

#[test]
fn a_publisher_is_seen_in_every_shard_and_each_packet_crosses_once() {
    let mut world = one_publisher();
    world.run(5 * SECOND);
    for viewer in 1..4 {
        let video = world.received_from(viewer, 1, false);
        assert!(video.len() > 220, "{} video packets", video.len());
        assert_decodable(&video);
        let audio = world.received_from(viewer, 1, true);
        assert!(audio.len() > 220, "{} audio packets", audio.len());
    }
    let sent = (world.clients[0].next_video + world.clients[0].next_audio) as usize;
    for shard in [1, 2] {
        let crossed = world.relays.packets[&(0, shard)];
        assert!(
            crossed <= sent && crossed * 10 > sent * 9,
            "{crossed} of {sent} to {shard}"
        );
    }
    assert!(
        !world.relays.packets.contains_key(&(1, 2)),
        "only from the publisher's shard"
    );
    assert_eq!(
        world.shard.counters().relayed,
        world.relays.packets.values().sum::<usize>() as u64
    );
    assert_eq!((world.at(1).participants(), world.at(1).stand_ins()), (2, 2));
    let bindings = world.bindings(4);
    let is = |b: &&sfu_core::shard::Binding| b.participant == ParticipantId(1) && b.paused.is_none();
    assert_eq!(bindings.iter().filter(is).count(), 2);
}

#[test]
fn everybody_sees_and_hears_everybody_wherever_they_are() {
    let mut world = World::with_shards(3);
    for id in 1..=4 {
        world.join_at(id as usize % 3, id, true, 4, SlotPolicy::Fill, Vec::new());
    }
    world.connect();
    world.run(4 * SECOND);
    for viewer in 0..4 {
        for publisher in (1..=4).filter(|p| *p != viewer as u32 + 1) {
            let video = world.received_from(viewer, publisher, false);
            assert!(video.len() > 150, "{} of {publisher}", video.len());
            assert_decodable(&video);
            assert!(world.received_from(viewer, publisher, true).len() > 150);
        }
    }
    for number in 0..3 {
        assert_eq!(world.at(number).counters().dropped(Drop::Seal), 0);
        assert_eq!(world.at(number).counters().dropped(Drop::RelayFull), 0);
    }
}

#[test]
fn a_viewer_begins_with_a_key_frame_from_its_own_shard_or_the_publisher_is_asked() {
    let mut world = World::with_shards(2);
    let publisher = world.join_at(0, 1, true, 1, SlotPolicy::Fill, Vec::new());
    let first = world.join_at(1, 2, false, 1, SlotPolicy::Intents, Vec::new());
    let second = world.join_at(1, 3, false, 1, SlotPolicy::Intents, Vec::new());
    world.connect();
    world.run(3 * SECOND);
    let before = world.relays.packets.get(&(0, 1)).copied().unwrap_or_default();
    world.run(SECOND);
    let audio = world.relays.packets[&(0, 1)] - before;
    assert!(
        (45..=55).contains(&audio),
        "nobody watches, so only sound crosses: {audio}"
    );
    let asked = world.clients[publisher].key_frames_asked;
    world.intents(first, &[(0, 1, 360)]);
    world.run(300 * MS);
    assert_eq!(world.clients[publisher].key_frames_asked, asked + 1);
    // The second one is shown the copy of the same key frame.
    world.intents(second, &[(0, 1, 360)]);
    world.run(SECOND);
    assert_eq!(world.clients[publisher].key_frames_asked, asked + 1);
    for viewer in [first, second] {
        let video = world.received_from(viewer, 1, false);
        assert!(video.len() > 40, "{}", video.len());
        assert_decodable(&video);
    }
    // Nobody watches any more: it stops crossing.
    world.intents(first, &[(0, 1, 0)]);
    world.intents(second, &[(0, 1, 0)]);
    let before = world.relays.packets[&(0, 1)];
    world.run(SECOND);
    assert!(world.relays.packets[&(0, 1)] - before <= 55);
}

#[test]
fn only_the_layer_that_is_watched_crosses_and_a_switch_is_seamless() {
    let mut world = World::with_shards(2);
    let publisher = world.join_at(0, 1, true, 0, SlotPolicy::Fill, layers());
    let viewer = world.join_at(1, 2, false, 1, SlotPolicy::Intents, Vec::new());
    world.connect();
    world.intents(viewer, &[(0, 1, 180)]);
    world.run(3 * SECOND);
    let layer = |world: &World| {
        world
            .bindings(2)
            .iter()
            .find(|b| b.source == Source::Camera)
            .unwrap()
            .layer
    };
    assert_eq!(layer(&world), 0);
    let video = world.relays.packets[&(0, 1)];
    world.run(2 * SECOND);
    let crossed = world.relays.packets[&(0, 1)] - video;
    assert!(
        (190..=210).contains(&crossed),
        "sound and one layer of three: {crossed}"
    );
    for (height, expected) in [(720, 2), (360, 1), (720, 2), (180, 0)] {
        world.intents(viewer, &[(0, 1, height)]);
        world.run(2 * SECOND);
        assert_eq!(layer(&world), expected, "{height} pixels");
    }
    let video = world.received_from(viewer, 1, false);
    assert!(video.len() > 500, "{}", video.len());
    assert_decodable(&video);
    assert_eq!(video.iter().map(|p| p.header.ssrc).collect::<BTreeSet<_>>().len(), 1);
    // What nobody watches in any shard the publisher need not send.
    world.run(8 * SECOND);
    let told = world.events.iter().rev().find_map(|event| match event {
        Event::Layers {
            participant, active, ..
        } if participant.0 == 1 => Some(active.clone()),
        _ => None,
    });
    assert_eq!(told, Some(vec![true, false, false]));
    world.clients[publisher].layers[2].sends = false;
    world.clients[publisher].layers[1].sends = false;
    world.run(3 * SECOND);
    // A large tile in the other shard: the best that comes is shown, and the best there is asked for.
    world.intents(viewer, &[(0, 1, 720)]);
    world.run(100 * MS);
    let told = world.events.iter().rev().find_map(|event| match event {
        Event::Layers {
            participant, active, ..
        } if participant.0 == 1 => Some(active[2]),
        _ => None,
    });
    assert_eq!(told, Some(true), "at once");
    world.clients[publisher].layers[2].sends = true;
    world.clients[publisher].layers[2].want_key = true;
    world.run(2 * SECOND);
    assert_eq!(layer(&world), 2);
    assert_decodable(&world.received_from(viewer, 1, false));
}

#[test]
fn a_mute_holds_in_every_shard_and_says_so() {
    let mut world = one_publisher();
    world.run(2 * SECOND);
    let block = |world: &mut World, on| {
        let now = world.now;
        for number in 0..3 {
            world
                .at(number)
                .set_blocked(now, ROOM, ParticipantId(1), Source::Camera, on);
        }
    };
    block(&mut world, true);
    world.run(50 * MS);
    let before: Vec<usize> = (1..4).map(|v| world.received_from(v, 1, false).len()).collect();
    world.run(SECOND);
    for viewer in 1..4 {
        assert_eq!(world.received_from(viewer, 1, false).len(), before[viewer - 1]);
        let bindings = world.bindings(viewer as u32 + 1);
        let camera = bindings.iter().find(|b| b.source == Source::Camera).unwrap();
        assert_eq!(camera.paused, Some(PauseReason::Muted));
    }
    block(&mut world, false);
    world.run(SECOND);
    for viewer in 1..4 {
        let video = world.received_from(viewer, 1, false);
        assert!(video.len() > before[viewer - 1] + 30);
        assert_decodable(&video);
    }
}

#[test]
fn the_loudest_are_the_same_in_every_shard_and_one_shard_tells_who_speaks() {
    let mut world = World::with_speakers(3, 2);
    for id in 1..=6 {
        let client = world.join_at(id as usize % 3, id, true, 3, SlotPolicy::Fill, Vec::new());
        world.clients[client].level = if id <= 2 { -25 } else { -60 };
    }
    world.connect();
    world.run(3 * SECOND);
    let from: Vec<usize> = world.clients.iter().map(|c| c.received.len()).collect();
    world.run(SECOND);
    for (client, from) in from.into_iter().enumerate().skip(2) {
        assert_eq!(heard(&world, client, from), BTreeSet::from([1, 2]), "client {client}");
    }
    // Two others, in other shards, are louder now.
    for (client, level) in [(0, -60), (1, -60), (3, -25), (5, -25)] {
        world.clients[client].level = level;
    }
    world.run(4 * SECOND);
    let from: Vec<usize> = world.clients.iter().map(|c| c.received.len()).collect();
    let events = world.events.len();
    world.run(SECOND);
    for client in [0, 1, 2, 4] {
        assert_eq!(
            heard(&world, client, from[client]),
            BTreeSet::from([4, 6]),
            "client {client}"
        );
    }
    let last = world.events.iter().rev().find_map(|event| match event {
        Event::Speakers(_, who) => Some(who.clone()),
        _ => None,
    });
    let last: BTreeSet<u32> = last.unwrap().iter().map(|who| who.0).collect();
    assert_eq!(last, BTreeSet::from([4, 6]));
    // At most four times a second, from all shards together.
    let told = world.events[events..]
        .iter()
        .filter(|e| matches!(e, Event::Speakers(..)))
        .count();
    assert!(told <= 5, "{told}");
}

#[test]
fn a_voice_that_begins_in_one_shard_is_heard_in_the_others_within_a_tick() {
    let mut world = World::with_speakers(2, 1);
    for id in 1..=3 {
        let client = world.join_at(id as usize % 2, id, true, 2, SlotPolicy::Fill, Vec::new());
        world.clients[client].level = -90;
    }
    world.connect();
    world.run(3 * SECOND);
    for speaker in [1_usize, 0] {
        let from: Vec<usize> = world.clients.iter().map(|c| c.received.len()).collect();
        world.clients[speaker].level = -20;
        world.run(400 * MS);
        for client in (0..3).filter(|c| *c != speaker) {
            let who = heard(&world, client, from[client]);
            assert!(who.contains(&(speaker as u32 + 1)), "{client} heard {who:?}");
        }
        world.clients[speaker].level = -90;
        world.run(6 * SECOND);
    }
}

#[test]
fn who_leaves_is_gone_everywhere_and_who_comes_back_is_seen_again() {
    let mut world = one_publisher();
    world.run(2 * SECOND);
    assert_eq!(mics(&world, 4), 1);
    let now = world.now;
    world.shard.leave(now, ParticipantId(1));
    world.clients[0].connected = false;
    world.run(SECOND);
    for id in [2, 3, 4] {
        assert!(world.bindings(id).is_empty(), "{:?}", world.bindings(id));
    }
    assert_eq!(world.at(2).stand_ins(), 2);
    assert_eq!(world.at(1).kept() + world.at(2).kept(), 0, "nothing of it is kept");
    // The same person with a new connection, as after a reload.
    world.clients.remove(0);
    world.join_at(0, 1, true, 1, SlotPolicy::Fill, Vec::new());
    world.connect();
    world.run(2 * SECOND);
    for viewer in 0..3 {
        assert!(world.received_from(viewer, 1, false).len() > 100);
        assert_eq!(world.bindings(viewer as u32 + 2).len(), 2);
    }
    for number in 0..3 {
        let now = world.now;
        world.at(number).close_room(now, ROOM);
    }
    world.exchange();
    for number in 0..3 {
        let shard = world.at(number);
        assert_eq!((shard.participants(), shard.stand_ins(), shard.kept()), (0, 0, 0));
    }
}

#[test]
fn a_publisher_that_replaces_their_connection_is_seen_again_in_every_shard() {
    let mut world = one_publisher();
    world.run(2 * SECOND);
    world.clients.remove(0);
    world.join_at(0, 1, true, 1, SlotPolicy::Fill, Vec::new());
    let before: Vec<usize> = (0..3).map(|v| world.received_from(v, 1, false).len()).collect();
    world.connect();
    world.run(2 * SECOND);
    for (viewer, before) in before.into_iter().enumerate() {
        let video = world.received_from(viewer, 1, false);
        assert!(video.len() > before + 80, "{} {before}", video.len());
        assert_decodable(&video);
    }
}

#[test]
fn a_call_that_grows_into_another_shard_takes_along_who_is_there() {
    let mut world = World::new();
    world.join(1, true, 2, SlotPolicy::Fill);
    world.connect();
    world.run(2 * SECOND);
    assert!(
        !world.shard.has_relays() && world.relays.words == 0,
        "one shard alone says nothing"
    );
    world.add_shard();
    let late = world.join_at(1, 2, true, 2, SlotPolicy::Fill, Vec::new());
    world.connect();
    world.run(2 * SECOND);
    for (viewer, publisher) in [(late, 1), (0, 2)] {
        let video = world.received_from(viewer, publisher, false);
        assert!(video.len() > 70, "{}", video.len());
        assert_decodable(&video);
        assert!(world.received_from(viewer, publisher, true).len() > 70);
    }
}

#[test]
fn a_codec_is_used_only_if_the_viewers_of_all_shards_can_decode_it() {
    let codecs = CodecPolicy {
        audio: vec![CodecKind::Opus],
        video: vec![CodecKind::Vp9, CodecKind::Vp8],
    };
    let mut world = World::with(3, 5, codecs);
    world.vp9 = true;
    world.join_at(0, 1, true, 1, SlotPolicy::Fill, Vec::new());
    world.join_at(1, 2, false, 1, SlotPolicy::Fill, Vec::new());
    world.connect();
    world.run(SECOND);
    let codec = |world: &World| {
        let of = |event: &Event| match event {
            Event::Layers { participant, codec, .. } if participant.0 == 1 => *codec,
            _ => None,
        };
        world.events.iter().rev().find_map(of)
    };
    assert_ne!(codec(&world), Some(CodecKind::Vp8), "everybody knows VP9");
    world.vp9 = false;
    world.join_at(2, 3, false, 1, SlotPolicy::Fill, Vec::new());
    world.connect();
    world.run(SECOND);
    assert_eq!(codec(&world), Some(CodecKind::Vp8));
    let now = world.now;
    world.at(2).leave(now, ParticipantId(3));
    world.run(SECOND);
    assert_eq!(codec(&world), Some(CodecKind::Vp9));
}
