//! A publisher with layers and its viewers, behind the cipher: what is forwarded, told and counted.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::sdp::CodecKind;
use sfu_core::shard::{Drop, Event, PauseReason};
use sfu_core::types::RoomId;
use support::{CALL, PUBLISHER, Room, VIEWER, WHEP, WHIP};

/// Three streams named by SSRC, the smallest first, as browsers did before RIDs.
fn by_ssrc() -> String {
    let group = "a=mid:1\r\na=ssrc-group:SIM 11 12 13\r\na=ssrc-group:FID 11 21\r\na=ssrc-group:FID 12 22\r\n\
                 a=ssrc-group:FID 13 23\r\na=ssrc:11 cname:x\r\na=ssrc:12 cname:x\r\na=ssrc:13 cname:x\r\n\
                 a=ssrc:21 cname:x\r\na=ssrc:22 cname:x\r\na=ssrc:23 cname:x\r\n";
    let offered: String = WHIP
        .lines()
        .filter(|line| !line.starts_with("a=ssrc"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    offered.replace("a=mid:1\r\n", group)
}

#[test]
fn simulcast_by_ssrc_a_picture_changes_with_its_key_frame_and_not_before() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    let all = |room: &mut Room, key: bool| {
        for (ssrc, height) in [(11, 180), (12, 360), (13, 720)] {
            room.frame(ssrc, height, key, None);
        }
        room.pass(Duration::from_millis(33));
    };
    room.watch("1", 180);
    // Longer than a second: until then a viewer of whose path nothing is known gets the smallest.
    for n in 0..40 {
        all(&mut room, n == 0);
    }
    assert_eq!(room.layer(), Some((0, None)));
    let before = room.shard.counters().clone();
    room.watch("1", 720);
    for _ in 0..3 {
        all(&mut room, false);
    }
    assert_eq!(
        room.layer(),
        Some((0, None)),
        "no key frame yet: the small picture goes on"
    );
    let forwarded = room.shard.counters().forwarded - before.forwarded;
    assert_eq!(forwarded, 3, "a frame of the small layer each time");
    assert!(room.shard.counters().key_frames_asked > before.key_frames_asked);
    all(&mut room, true);
    assert_eq!(room.layer(), Some((2, None)));
    // The small layer's key frame, and then the large one's.
    assert_eq!(room.shard.counters().forwarded - before.forwarded, 5);
}

#[test]
fn an_unwatched_layer_is_named_after_a_while_and_a_wanted_one_at_once() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    room.watch("1", 180);
    for n in 0..240 {
        for (ssrc, height) in [(11, 180), (12, 360), (13, 720)] {
            room.frame(ssrc, height, n == 0, None);
        }
        room.pass(Duration::from_millis(33));
        if n == 60 {
            assert_eq!(room.told(), None, "two seconds are not a while");
        }
    }
    assert_eq!(room.told(), Some(vec![true, false, false]));
    room.watch("1", 720);
    // They have never said what arrives, so that there is no room for the large one: the middle one is on the way to it.
    assert_eq!(
        room.told(),
        Some(vec![true, true, true]),
        "without waiting for anything"
    );
}

#[test]
fn a_source_named_before_its_first_packet_is_shown_from_its_first_key_frame() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    room.watch("1", 180);
    assert_eq!(room.layer().map(|(_, paused)| paused), Some(Some(PauseReason::NoMedia)));
    room.frame(11, 180, true, None);
    assert_eq!(room.shard.counters().forwarded, 1);
    assert_eq!(room.layer(), Some((0, None)));
}

#[test]
fn a_layer_that_stalls_is_left_before_it_counts_as_dead() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    room.watch("1", 720);
    for n in 0..30 {
        for (ssrc, height) in [(11, 180), (13, 720)] {
            room.frame(ssrc, height, n == 0 || n == 5, None);
        }
        room.pass(Duration::from_millis(33));
    }
    assert_eq!(room.layer(), Some((2, None)));
    for n in 0..30 {
        room.frame(11, 180, n == 25, None);
        room.pass(Duration::from_millis(33));
    }
    assert_eq!(
        room.layer(),
        Some((0, None)),
        "within a second, with the small layer's key frame"
    );
}

#[test]
fn a_hundred_streams_of_one_publisher_are_bounded_and_nobody_elses_trouble() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, CALL, SlotPolicy::Intents);
    room.join(VIEWER, CALL, SlotPolicy::Intents);
    room.watch("9", 180);
    room.frame(500, 180, true, Some("q"));
    for n in 0..100 {
        room.frame(1_000 + n, 180, true, Some(&format!("r{n}")));
    }
    assert_eq!(room.shard.counters().dropped(Drop::UnknownStream), 100);
    // A hundred streams that all claim to be the same layer: one of them is, until it may begin anew.
    let asked = room.shard.counters().key_frames_asked;
    for n in 0..100 {
        room.frame(2_000 + n, 180, false, Some("q"));
    }
    assert_eq!(room.shard.counters().dropped(Drop::UnknownStream), 200);
    assert!(room.shard.counters().key_frames_asked - asked <= 1);
    let before = room.shard.counters().forwarded;
    for _ in 0..10 {
        room.frame(500, 180, false, Some("q"));
        room.pass(Duration::from_millis(33));
    }
    assert_eq!(room.shard.counters().forwarded - before, 10, "the picture goes on");
    room.shard.close_room(room.now, RoomId(1));
    assert_eq!(room.shard.kept(), 0);
}

#[test]
fn a_room_falls_back_to_a_codec_that_everybody_decodes_and_returns() {
    let mut room = Room::new(&[CodecKind::Vp9, CodecKind::Vp8]);
    room.join(PUBLISHER, WHIP, SlotPolicy::Fill);
    let frame = |room: &mut Room| {
        room.frame(77, 360, true, None);
        room.pass(Duration::from_millis(150));
    };
    frame(&mut room);
    let codec = |room: &Room| {
        let of = |event: &Event| match event {
            Event::Layers { codec, .. } => *codec,
            _ => None,
        };
        room.events.iter().rev().find_map(of)
    };
    assert_eq!(codec(&room), None, "it sends what its answer put first");
    // The call's offer knows VP8 alone.
    room.join(VIEWER, CALL, SlotPolicy::Intents);
    frame(&mut room);
    assert_eq!(codec(&room), Some(CodecKind::Vp8));
    room.shard.leave(room.now, VIEWER);
    frame(&mut room);
    assert_eq!(codec(&room), Some(CodecKind::Vp9));
}
