//! A link on virtual time: what it promises, for any traffic and any configuration.

use proptest::prelude::*;

use super::*;
use crate::impair::config::Burst;

/// Offers packets of `size` bytes every `gap`, numbered, and pulls at every deadline. Returns (arrival, number).
fn run(link: &mut Link, start: Instant, count: u32, size: usize, gap: Duration) -> Vec<(Instant, u32)> {
    let mut arrived = Vec::new();
    let mut drain = |link: &mut Link, until: Instant| {
        while let Some(at) = link.next_deadline().filter(|at| *at <= until) {
            while let Some(packet) = link.pull(at) {
                arrived.push((at, u32::from_be_bytes(packet[..4].try_into().unwrap())));
            }
        }
    };
    for number in 0..count {
        let now = start + gap * number;
        drain(link, now);
        let mut packet = vec![0; size.max(4)];
        packet[..4].copy_from_slice(&number.to_be_bytes());
        link.push(now, packet);
    }
    drain(link, start + gap * count + Duration::from_secs(3_600));
    assert_eq!(link.next_deadline(), None, "everything has left");
    arrived
}

fn numbers(arrived: &[(Instant, u32)]) -> Vec<u32> {
    arrived.iter().map(|(_, number)| *number).collect()
}

#[test]
fn a_perfect_link_is_perfect() {
    let start = Instant::now();
    let mut link = Link::new(LinkConfig::default(), 1);
    let arrived = run(&mut link, start, 1_000, 100, Duration::from_millis(1));
    assert_eq!(numbers(&arrived), (0..1_000).collect::<Vec<_>>());
    assert!(
        arrived
            .iter()
            .all(|(at, n)| *at == start + Duration::from_millis(1) * *n)
    );
}

#[test]
fn random_loss_is_what_was_asked_for() {
    let config = LinkConfig {
        loss_percent: 5.0,
        ..Default::default()
    };
    let mut link = Link::new(config, 3);
    let arrived = run(&mut link, Instant::now(), 100_000, 100, Duration::from_millis(1));
    let lost = 100_000 - arrived.len();
    assert!((4_700..5_300).contains(&lost), "{lost}");
    assert_eq!(link.stats().lost, lost as u64);
}

#[test]
fn bursts_have_the_share_and_the_length_that_the_model_says() {
    let burst = Burst {
        enter_percent: 1.0,
        leave_percent: 25.0,
        loss_percent: 100.0,
    };
    let config = LinkConfig {
        burst: Some(burst),
        ..Default::default()
    };
    let mut link = Link::new(config, 5);
    let arrived = numbers(&run(&mut link, Instant::now(), 200_000, 100, Duration::from_millis(1)));
    let lost = 200_000 - arrived.len();
    // Stationary: 1 / (1 + 25) of the packets, in bursts of 1 / 0.25 packets.
    let share = lost as f64 / 200_000.0;
    assert!((0.034..0.043).contains(&share), "{share}");
    let bursts = arrived.windows(2).filter(|pair| pair[1] - pair[0] > 1).count();
    let length = lost as f64 / bursts as f64;
    assert!((3.6..4.4).contains(&length), "{length}");
}

#[test]
fn a_blackout_loses_what_would_have_passed_and_nothing_else() {
    let start = Instant::now();
    let mut link = Link::new(LinkConfig::default(), 1);
    link.black_out(start, start + Duration::from_millis(100));
    let arrived = numbers(&run(&mut link, start, 200, 100, Duration::from_millis(1)));
    assert_eq!(arrived, (100..200).collect::<Vec<_>>());
    assert_eq!(link.stats().blacked_out, 100);
}

#[test]
fn a_higher_rate_drains_the_queue_sooner_and_none_at_all_at_once() {
    let start = Instant::now();
    let config = |rate_kbps| LinkConfig {
        rate_kbps,
        buffer_bytes: rate_kbps.map(|_| 1_000_000),
        ..Default::default()
    };
    let mut link = Link::new(config(Some(8)), 1);
    for _ in 0..10 {
        link.push(start, vec![0; 972]); // a second each at 8 kbit/s
    }
    assert!(link.pull(start + Duration::from_millis(999)).is_none());
    assert!(link.pull(start + Duration::from_secs(1)).is_some());
    link.set(start + Duration::from_secs(1), config(Some(80)));
    // The head was begun at the old rate; the others take a tenth of a second.
    assert!(link.pull(start + Duration::from_secs(2)).is_some());
    assert!(link.pull(start + Duration::from_millis(2_100)).is_some());
    link.set(start + Duration::from_millis(2_100), config(None));
    let rest = std::iter::from_fn(|| link.pull(start + Duration::from_millis(2_100))).count();
    assert_eq!(rest, 7);
}

#[test]
fn the_same_seed_decides_the_same_and_another_one_does_not() {
    let config = LinkConfig {
        loss_percent: 10.0,
        jitter_ms: 30,
        reorder_percent: 5.0,
        reorder_ms: 50,
        duplicate_percent: 5.0,
        ..Default::default()
    };
    let start = Instant::now();
    let once = |seed| {
        let mut link = Link::new(config.clone(), seed);
        run(&mut link, start, 2_000, 200, Duration::from_millis(2))
    };
    assert_eq!(once(9), once(9));
    assert_ne!(once(9), once(10));
}

proptest! {
    #[test]
    fn the_rate_is_never_exceeded_in_any_window(
        rate in 50_u32..5_000, buffer_ms in 10_u32..500, size in 20_usize..1_300, gap_us in 100_u64..5_000, delay in 0_u32..50,
    ) {
        let config = LinkConfig {
            rate_kbps: Some(rate),
            buffer_ms: Some(buffer_ms),
            delay_ms: delay,
            ..Default::default()
        };
        let mut link = Link::new(config, 1);
        let arrived = run(&mut link, Instant::now(), 500, size, Duration::from_micros(gap_us));
        prop_assert!(!arrived.is_empty());
        let bits = (size.max(4) as f64 + HEADERS as f64) * 8.0;
        // Between the arrivals of packets i and j the bottleneck sent j - i of them.
        for (i, j) in [(0, arrived.len() - 1), (arrived.len() / 3, arrived.len() - 1), (0, arrived.len() / 2)] {
            if j > i {
                let time = (arrived[j].0 - arrived[i].0).as_secs_f64();
                let sent = bits * (j - i) as f64;
                prop_assert!(sent <= time * f64::from(rate) * 1e3 + 1.0, "{sent} bits in {time} s");
            }
        }
        // The buffer bounds the wait: what is before a packet, and the packet itself.
        let longest = f64::from(buffer_ms) + bits / f64::from(rate);
        prop_assert!(link.stats().queue_max_ms <= longest + 0.01, "{} > {longest}", link.stats().queue_max_ms);
        let stats = link.stats();
        prop_assert_eq!(stats.offered, stats.delivered + stats.overflowed);
    }

    #[test]
    fn without_reordering_the_order_is_kept_and_nothing_is_early(
        jitter in 0_u32..100, delay in 0_u32..100, loss in 0.0..20.0_f64, seed: u64, rate in proptest::option::of(200_u32..2_000),
    ) {
        let config = LinkConfig {
            rate_kbps: rate,
            delay_ms: delay,
            jitter_ms: jitter,
            loss_percent: loss,
            ..Default::default()
        };
        let mut link = Link::new(config, seed);
        let start = Instant::now();
        let gap = Duration::from_millis(3);
        let arrived = run(&mut link, start, 400, 150, gap);
        prop_assert!(arrived.windows(2).all(|pair| pair[0].1 < pair[1].1));
        for (at, number) in &arrived {
            let sent = start + gap * *number;
            prop_assert!(*at >= sent + Duration::from_millis(u64::from(delay)));
            if rate.is_none() {
                // In order behind a slower one at the latest; a lost one delays nobody.
                prop_assert!(*at <= sent + Duration::from_millis(u64::from(delay + jitter) + 1));
            }
        }
    }

    #[test]
    fn every_packet_is_accounted_for(
        seed: u64, loss in 0.0..30.0_f64, reorder in 0.0..30.0_f64, duplicate in 0.0..30.0_f64, dark_ms in 0_u64..200,
    ) {
        let config = LinkConfig {
            rate_kbps: Some(500),
            buffer_ms: Some(50),
            loss_percent: loss,
            reorder_percent: reorder,
            reorder_ms: 40,
            duplicate_percent: duplicate,
            ..Default::default()
        };
        let mut link = Link::new(config, seed);
        let start = Instant::now();
        link.black_out(start, start + Duration::from_millis(dark_ms));
        let arrived = run(&mut link, start, 500, 200, Duration::from_millis(2));
        let stats = link.stats();
        prop_assert_eq!(stats.delivered, arrived.len() as u64);
        prop_assert_eq!(
            stats.offered + stats.duplicated,
            stats.delivered + stats.lost + stats.overflowed + stats.blacked_out
        );
    }
}
