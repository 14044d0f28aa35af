//! Clients that are who they say they are and behave badly all the same: bounded cost, a counter, no effect on others.

mod support;

use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::shard::{Drop, Event};
use sfu_core::types::ParticipantId;
use str0m::format::Codec;
use str0m::media::KeyframeRequestKind;
use str0m::rtp::RtpWrite;
use support::{World, assert_decodable};

const SECOND: Duration = Duration::from_secs(1);

/// Three people; the first one misbehaves, the third one watches the second one.
fn world() -> World {
    let mut world = World::new();
    for id in 1..=3 {
        world.join(id, true, 2, SlotPolicy::Fill);
    }
    world.connect();
    world.run(2 * SECOND);
    world
}

/// The second one's picture reaches the third one, whole, over the next `time`.
fn others_do_not_notice(world: &mut World, time: Duration, mut each: impl FnMut(&mut World)) {
    let before = world.received_from(2, 2, false).len();
    let end = world.now + time;
    while world.now < end {
        each(world);
        world.run(support::STEP);
    }
    let video = world.received_from(2, 2, false);
    let expected = time.as_millis() as usize / 40 * 2;
    assert!(
        video.len() - before + 10 > expected,
        "{} of {expected}",
        video.len() - before
    );
    assert_decodable(&video);
}

#[test]
fn a_publisher_that_floods_is_cut_to_its_allowance() {
    let mut world = world();
    let before = world.shard.counters().clone();
    others_do_not_notice(&mut world, 2 * SECOND, |world| {
        let now = world.now;
        let client = &mut world.clients[0];
        let (mid, pt) = (client.audio.unwrap(), client.pt(Codec::Opus));
        for _ in 0..100 {
            let number = client.next_audio;
            client.next_audio += 1;
            let packet = RtpWrite::new(pt, number.into(), number as u32 * 960, now, vec![0x78; 40]);
            let mut api = client.rtc.direct_api();
            api.stream_tx_by_mid(mid, None).unwrap().write_rtp(packet);
        }
    });
    let after = world.shard.counters();
    // 40,000 were sent; 2,000 at once and 4,000 a second may pass.
    let passed = after.received - before.received;
    assert!(after.dropped(Drop::Flood) > 20_000, "{}", after.dropped(Drop::Flood));
    assert!(passed < 11_000, "{passed}");
}

#[test]
fn a_hundred_streams_are_not_a_hundred_caches() {
    let mut world = world();
    let (mid, pt) = (world.clients[0].video.unwrap(), world.clients[0].pt(Codec::Vp8));
    for ssrc in 0..100_u32 {
        world.clients[0].rtc.direct_api().declare_stream_tx(
            (5_000 + ssrc).into(),
            None,
            mid,
            Some(format!("r{ssrc}").as_str().into()),
        );
    }
    let asked = world.shard.counters().key_frames_asked;
    let mut number = 1_u64;
    others_do_not_notice(&mut world, SECOND, |world| {
        let now = world.now;
        number += 1;
        for ssrc in 0..100_u32 {
            let packet = RtpWrite::new(pt, number.into(), number as u32 * 3_000, now, vec![0x10; 100]);
            let mut api = world.clients[0].rtc.direct_api();
            api.stream_tx_by_mid(mid, Some(format!("r{ssrc}").as_str().into()))
                .unwrap()
                .write_rtp(packet);
        }
    });
    let counters = world.shard.counters();
    assert!(
        counters.dropped(Drop::UnknownStream) + counters.dropped(Drop::Flood) + counters.dropped(Drop::Transport)
            > 10_000,
        "{counters:?}"
    );
    assert!(
        counters.key_frames_asked - asked < 10,
        "{}",
        counters.key_frames_asked - asked
    );
}

#[test]
fn key_frame_requests_without_end_are_a_few_for_the_publisher() {
    let mut world = world();
    let before = (
        world.clients[1].key_frames_asked,
        world.shard.counters().dropped(Drop::KeyFrameCap),
    );
    others_do_not_notice(&mut world, 10 * SECOND, |world| {
        let slots: Vec<_> = world.clients[0]
            .slots
            .iter()
            .filter(|(_, audio)| !audio)
            .map(|(mid, _)| *mid)
            .collect();
        for mid in slots {
            let mut api = world.clients[0].rtc.direct_api();
            if let Some(stream) = api.stream_rx_by_mid(mid, None) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        }
    });
    let asked = world.clients[1].key_frames_asked - before.0;
    // Five at once, though not faster than the layer's own 500 ms, then one a second.
    assert!((5..=17).contains(&asked), "{asked} in 10 s");
    assert!(world.shard.counters().dropped(Drop::KeyFrameCap) > before.1 + 100);
}

#[test]
fn a_viewer_that_is_silent_gets_no_media_until_it_is_heard_again() {
    let mut world = world();
    let gone = std::rc::Rc::new(std::cell::Cell::new(true));
    let silent = gone.clone();
    world.lose_up = Box::new(move |client, _| client == 0 && silent.get());
    world.run(6 * SECOND);
    assert!(world.events.contains(&Event::Lost(ParticipantId(1))));
    let before = world.received_from(0, 2, false).len();
    others_do_not_notice(&mut world, 3 * SECOND, |_| {});
    assert_eq!(
        world.received_from(0, 2, false).len(),
        before,
        "nobody is known to be there"
    );
    gone.set(false);
    world.run(3 * SECOND);
    assert!(world.events.contains(&Event::Recovered(ParticipantId(1))));
    assert!(world.received_from(0, 2, false).len() > before + 50);
}
