#![allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]

use super::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn sound_is_never_held_and_retransmissions_overtake_video() {
    let start = Instant::now();
    let mut pacer = Pacer::new(Bitrate::kbps(400), start);
    assert_eq!(pacer.offer(start, Class::Video, 0, 1_200, 1), Pass::Now);
    assert_eq!(
        pacer.offer(start, Class::Video, 0, 1_200, 2),
        Pass::Now,
        "the burst of one packet"
    );
    assert_eq!(pacer.offer(start, Class::Video, 0, 1_200, 3), Pass::Later);
    assert_eq!(pacer.offer(start, Class::Retransmission, 0, 1_200, 4), Pass::Later);
    assert_eq!(pacer.offer(start, Class::Audio, 0, 100, 5), Pass::Now);
    assert_eq!(pacer.poll(start), None);
    let at = pacer.next_deadline(false).unwrap();
    assert!((7 * MS..10 * MS).contains(&(at - start)), "{:?}", at - start);
    assert_eq!(pacer.poll(at), Some((Class::Retransmission, 4)));
    assert_eq!(pacer.poll(at), None);
    assert_eq!(pacer.poll(at + 10 * MS), Some((Class::Video, 3)));
    assert_eq!((pacer.waiting(), pacer.next_deadline(false)), (0, None));
}

#[test]
fn data_goes_before_video_keeps_its_share_and_waits_for_what_is_sent_again() {
    let start = Instant::now();
    let mut pacer = Pacer::new(Bitrate::kbps(800), start);
    let (mut data, mut video) = (0, 0);
    for n in 0..20_000_u32 {
        let now = start + n * MS / 10;
        if n % 10 == 0 && pacer.waiting() < 200 {
            pacer.offer(now, Class::Video, (n % 7) as u16, 1_200, n);
        }
        if pacer.lets_data(now) {
            pacer.data_left(now, 1_000);
            data += 1_000;
        }
        while pacer.poll(now).is_some() {
            video += 1_200;
        }
    }
    // 200 kbit/s for 2 s, and what was kept before: once as much.
    assert!((50_000..=102_000).contains(&data), "{data}");
    assert!(video > 300_000, "{video}: data must not starve pictures");
    let now = start + 2_000 * MS;
    pacer.offer(now, Class::Video, 0, 1_200, 0);
    pacer.offer(now, Class::Retransmission, 0, 1_200, 0);
    assert!(!pacer.lets_data(now));
    assert!(pacer.data_deadline() >= now + 5 * MS);
}

#[test]
fn while_the_connection_takes_nothing_only_sound_leaves() {
    let start = Instant::now();
    let mut pacer = Pacer::new(Bitrate::kbps(400), start);
    pacer.stop(true);
    assert_eq!(pacer.offer(start, Class::Video, 0, 1_200, 1), Pass::Later);
    assert_eq!(pacer.offer(start, Class::Retransmission, 0, 1_200, 2), Pass::Later);
    assert_eq!(pacer.offer(start, Class::Audio, 0, 100, 3), Pass::Now);
    assert_eq!((pacer.poll(start + 100 * MS), pacer.next_deadline(true)), (None, None));
    pacer.stop(false);
    assert_eq!(pacer.poll(start + 100 * MS), Some((Class::Retransmission, 2)));
}

#[test]
fn what_leaves_keeps_the_pace_whatever_is_offered() {
    let start = Instant::now();
    let mut pacer = Pacer::new(Bitrate::kbps(400), start);
    let mut left = 0_u64;
    let mut dropped = 0;
    for n in 0..10_000_u32 {
        let now = start + n * MS / 10;
        match pacer.offer(now, Class::Video, 0, 1_200, n) {
            Pass::Now => left += 1_200,
            Pass::Dropped => dropped += 1,
            Pass::Later => {}
        }
        while pacer.poll(now).is_some() {
            left += 1_200;
        }
    }
    // 1 Mbit/s for 1 s, and as many as may wait once in the time that they may wait.
    let most = 125_000 + 12 * MAX_OF_STREAM as u64 * 1_200;
    assert!((125_000..most).contains(&left), "{left}");
    assert!(
        dropped > 6_000 && pacer.waiting() <= MAX_OF_STREAM,
        "an application that asks for all is bounded"
    );
}

#[test]
fn nothing_waits_longer_than_a_fifth_of_a_second_and_a_burst_that_is_out_earlier_keeps_the_pace() {
    for (packets, longest) in [(200_u32, 190..=202_u32), (20, 150..=200)] {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(400), start);
        (0..packets).for_each(|n| {
            pacer.offer(start, Class::Video, n as u16 % 5, 1_200, n);
        });
        let mut last = 0;
        for n in 0..1_000 {
            while pacer.poll(start + n * MS).is_some() {
                last = n;
            }
        }
        assert_eq!(pacer.waiting(), 0);
        assert!(longest.contains(&last), "{packets} packets took {last} ms");
    }
}

#[test]
fn what_did_not_leave_takes_nothing_from_what_does() {
    let start = Instant::now();
    let mut pacer = Pacer::new(Bitrate::kbps(400), start);
    (0..100).for_each(|n| {
        pacer.offer(start, Class::Video, 0, 1_200, n);
    });
    let now = start + 10 * MS;
    let mut left = 0;
    while let Some((_, item)) = pacer.poll(now) {
        match item {
            0..98 => pacer.give_back(),
            _ => left += 1,
        }
    }
    assert_eq!(left, 2, "all before them were of slots that show something else");
}

#[test]
fn a_stream_that_floods_delays_no_other() {
    let start = Instant::now();
    let mut pacer = Pacer::new(Bitrate::kbps(400), start);
    (0..100).for_each(|_| {
        pacer.offer(start, Class::Video, 1, 1_200, 1);
    });
    pacer.offer(start, Class::Video, 2, 1_200, 2);
    let left: Vec<i32> = (0..50)
        .filter_map(|n| pacer.poll(start + n * MS))
        .map(|(_, item)| item)
        .collect();
    assert!(left[..2].contains(&2), "{left:?}");
}

#[test]
fn without_a_limit_nothing_waits() {
    let start = Instant::now();
    let mut pacer = Pacer::new(Bitrate::bps(u64::MAX), start);
    assert!((0..10_000).all(|n| pacer.offer(start, Class::Video, 0, 1_200, n) == Pass::Now));
}

#[test]
fn padding_keeps_the_rate_of_the_probe() {
    let start = Instant::now();
    let mut pacer = Pacer::<()>::new(Bitrate::kbps(400), start);
    let probe = Probe {
        rate: Bitrate::kbps(800),
        packet: 220,
        left: 1_320,
    };
    let times: Vec<u32> = (0..200)
        .filter(|n| pacer.padding(start + *n * MS / 10, Some(&probe)).is_some())
        .collect();
    assert_eq!(times, [0, 30, 60, 90, 120, 150, 180]);
    assert_eq!(pacer.padding(start + 30 * MS, None), None);
    assert_eq!(pacer.next_deadline(false), None);
}
