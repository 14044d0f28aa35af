//! Participants who are who they say they are and say anything at all: bounded cost, a counter, and nobody else notices.

mod support;

use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::sdp::CodecKind;
use sfu_core::shard::{Drop, Event};
use sfu_core::types::ParticipantId;
use support::{PUBLISHER, Room, VIEWER, VP8, WHEP, WHIP};

/// An honest publisher, and who watches them.
const HONEST: ParticipantId = ParticipantId(3);
const WATCHING: ParticipantId = ParticipantId(4);
const TICK: Duration = Duration::from_millis(5);
const SSRC: u32 = 500;
const HONEST_SSRC: u32 = 700;

/// Publisher and viewer may be anything; the honest publisher and the one who watches them are beside.
fn room() -> Room {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, WHIP, SlotPolicy::Fill);
    room.join(HONEST, WHIP, SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Publishers(vec![PUBLISHER]));
    room.join(WATCHING, WHEP, SlotPolicy::Publishers(vec![HONEST]));
    room
}

/// Lets time pass in ticks. Every 40 ms the honest publisher sends a frame, and each of them must arrive.
fn beside(room: &mut Room, time: Duration, mut each: impl FnMut(&mut Room, usize)) {
    let before = room.sent.get(&WATCHING).map_or(0, |sent| sent.0);
    let mut frames = 0;
    for tick in 0..(time.as_millis() / TICK.as_millis()) as usize {
        if tick.is_multiple_of(8) {
            room.frame_of(HONEST, HONEST_SSRC, 180, tick == 0, None, 500);
            frames += 1;
        }
        each(room, tick);
        room.pass(TICK);
    }
    // Reports come on top.
    let arrived = room.sent[&WATCHING].0 - before;
    assert!(arrived >= frames, "{arrived} of {frames} frames of somebody else");
}

fn nack(ssrc: u32, first: u16) -> Vec<u8> {
    let mut packet = vec![0x81, 205, 0, 6];
    packet.extend(1_u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    for pair in 0..4_u16 {
        packet.extend((first + pair * 17).to_be_bytes());
        packet.extend([0xff, 0xff]);
    }
    packet
}

#[test]
fn retransmissions_asked_for_without_end_are_bounded_by_the_second() {
    let mut room = room();
    let asked = |room: &mut Room, tick: usize| {
        if tick.is_multiple_of(4) {
            room.frame_of(PUBLISHER, SSRC, 180, tick == 0, None, 1_000);
        }
        let slots = room.shard.slot_numbers(VIEWER);
        for (ssrc, next) in slots {
            room.opened(VIEWER, &nack(ssrc, next.wrapping_sub(68)), 0, true);
        }
    };
    beside(&mut room, Duration::from_secs(2), asked);
    let before = room.sent[&VIEWER].1;
    let counted = room.shard.counters().retransmitted;
    beside(&mut room, Duration::from_secs(2), asked);
    let bytes = room.sent[&VIEWER].1 - before;
    let again = room.shard.counters().retransmitted - counted;
    assert!(again > 0, "what was asked for once is answered");
    // 64 KiB per 200 ms, and the media itself: 100 frames of a kilobyte.
    assert!(bytes < 10 * (64 << 10) + 150_000, "{bytes} bytes in 2 s");
    assert!(
        room.shard.counters().dropped(Drop::RetransmissionCap) > 0,
        "{:?}",
        room.shard.counters()
    );
}

#[test]
fn feedback_that_cannot_be_read_is_counted_and_forgotten() {
    let mut room = room();
    let pieces: [&[u8]; 7] = [
        &[0x81, 205, 0xff, 0xff, 0, 0, 0, 1], // longer than the datagram
        &[0x81, 205, 0, 1, 0, 0, 0, 1],       // a NACK without a stream
        &[0x8f, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0xff, 0xff, 0, 0, 0, 0], // feedback on 65,535 packets without any
        &[0xa0, 201, 0, 1, 0, 0, 0, 255],                                         // more padding than packet
        &[0x41, 201, 0, 1, 0, 0, 0, 1],                                           // another version
        &[0x81, 206],                                                             // a head without its end
        &[0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],                               // a full intra request for nobody
    ];
    let before = room.shard.counters().dropped(Drop::Malformed);
    let mut count = 0;
    beside(&mut room, Duration::from_secs(2), |room, tick| {
        for who in [PUBLISHER, VIEWER] {
            room.opened(who, pieces[tick % pieces.len()], 0, true);
            count += 1;
        }
    });
    assert_eq!(room.shard.counters().dropped(Drop::Malformed) - before, count);
}

#[test]
fn descriptors_that_cannot_be_read_are_counted_and_cost_their_sender_alone() {
    let mut room = room();
    let before = room.shard.counters().clone();
    beside(&mut room, Duration::from_secs(2), |room, tick| {
        let mut packet = vec![0x80, VP8 | 0x80];
        packet.extend((tick as u16).to_be_bytes());
        packet.extend((tick as u32 * 450).to_be_bytes());
        packet.extend(SSRC.to_be_bytes());
        // A descriptor of which every byte announces another, and none comes.
        packet.extend([&[0x90][..], &[0x90, 0xff], &[0x90, 0xff, 0xff]][tick % 3]);
        room.opened(PUBLISHER, &packet, tick as u64, false);
    });
    let after = room.shard.counters();
    assert!(
        after.malformed_payloads - before.malformed_payloads >= 390,
        "{} of 400",
        after.malformed_payloads - before.malformed_payloads
    );
    assert!(after.key_frames_asked - before.key_frames_asked < 20, "{after:?}");
}

#[test]
fn a_layer_that_claims_another_size_with_every_frame_moves_nobody_else() {
    let mut room = room();
    let events = room.events.len();
    beside(&mut room, Duration::from_secs(2), |room, tick| {
        let height = [0, 1, 180, 16_383, 720][tick % 5];
        room.frame_of(PUBLISHER, SSRC, height, true, None, 100);
    });
    let told = |who: ParticipantId| {
        let of = |event: &&Event| matches!(event, Event::Bindings(whom, _) if *whom == who);
        room.events[events..].iter().filter(of).count()
    };
    assert!(told(WATCHING) <= 3, "{}", told(WATCHING));
    assert!(told(VIEWER) <= 8, "{}", told(VIEWER));
}

#[test]
fn who_never_says_what_arrives_gets_less_and_less() {
    let mut room = room();
    let mut seconds = Vec::new();
    for second in 0..4 {
        let before = room.sent.get(&VIEWER).map_or(0, |sent| sent.1);
        beside(&mut room, Duration::from_secs(1), |room, tick| {
            // 1.6 Mbit/s.
            room.frame_of(PUBLISHER, SSRC, 180, second == 0 && tick == 0, None, 1_000);
        });
        seconds.push(room.sent[&VIEWER].1 - before);
    }
    // More than is begun with, and paused as soon as that is known: what is not acknowledged is no reason to send more.
    assert!(seconds[0] < 260_000, "{seconds:?}");
    assert!(seconds[3] < 20_000, "{seconds:?}");
}
