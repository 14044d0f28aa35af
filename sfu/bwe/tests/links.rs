//! The estimator on links of many kinds, over twenty seeds, bounded on both sides.

mod closed_loop;

use std::time::{Duration, Instant};

use closed_loop::{Cadence, MS, Media, Outcome, SECOND, Scenario, run};
use link_model::{LinkConfig, Loss, Schedule};
use sfu_bwe::{Bitrate, Config, SendSide};

const SEEDS: u64 = 20;
const START: Duration = Duration::ZERO;

fn go(scenario: &Scenario) -> Outcome {
    #[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
    let start = Instant::now();
    run(&mut SendSide::new(Config::default(), start), start, scenario)
}

/// 1 Mbit/s with a buffer of 300 ms, 60 s.
fn megabit(seed: u64, change: impl FnOnce(&mut LinkConfig)) -> Scenario {
    let mut link = LinkConfig::clean(Schedule::constant(1_000_000), 300 * MS);
    change(&mut link);
    Scenario::new(link, 60, seed)
}

/// From one rate to another after 20 s, with a buffer of 300 ms at the first or the second, whichever is larger.
fn step(seed: u64, from: u64, to: u64) -> Scenario {
    let schedule = Schedule::steps(&[(START, from), (20 * SECOND, to)]);
    let mut link = LinkConfig::clean(schedule, 300 * MS);
    link.buffer = (from.max(to) as f64 * 0.3 / 8.0) as usize;
    Scenario::new(link, 40, seed)
}

/// Checks that a value lies between two bounds, for all seeds; says all that do not.
fn all_seeds(name: &str, bounds: (f64, f64), value: impl Fn(u64) -> f64) {
    let values: Vec<f64> = (0..SEEDS).map(value).collect();
    let (least, most) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    println!("{name}: {least:.3} to {most:.3}, allowed {} to {}", bounds.0, bounds.1);
    assert!(bounds.0 <= least && most <= bounds.1, "{name}: {values:.3?}");
}

#[test]
fn a_megabit_with_a_deep_buffer_is_found_used_and_not_filled() {
    let runs: Vec<Outcome> = (0..SEEDS).map(|seed| go(&megabit(seed, |_| {}))).collect();
    let (from, to) = (5 * SECOND, 60 * SECOND);
    let of = |seed: u64| &runs[seed as usize];
    all_seeds("estimate / capacity, median", (0.85, 1.05), |s| {
        of(s).ratio(from, to, 0.5)
    });
    all_seeds("estimate / capacity, 10 %", (0.84, 1.05), |s| {
        of(s).ratio(from, to, 0.1)
    });
    all_seeds("estimate / capacity, 98 %", (0.85, 1.05), |s| {
        of(s).ratio(from, to, 0.98)
    });
    all_seeds("queue p95, ms", (1.0, 60.0), |s| {
        of(s).queue(from, to, 0.95).as_secs_f64() * 1e3
    });
    all_seeds("loss", (0.0, 0.01), |s| of(s).loss(from, to));
    all_seeds("padding", (0.001, 0.05), |s| of(s).padding(from, to));
    all_seeds("80 % after, s", (0.05, 5.0), |s| {
        of(s).reaches(START, 8e5).map_or(99.0, |t| t.as_secs_f64())
    });
}

/// Missed: short probes fit into the bucket and come out faster than the link is. docs/benchmarks.md says what was tried.
/// `cargo test -p sfu-bwe --test links -- --ignored --nocapture`.
#[test]
#[ignore = "a known miss, to be seen and mended"]
fn a_token_bucket_is_not_taken_for_its_burst() {
    for burst in [3_000, 4_096, 10_000, 20_000] {
        let runs: Vec<Outcome> = (0..SEEDS)
            .map(|seed| go(&megabit(seed, |link| link.burst = burst)))
            .collect();
        let (from, to) = (5 * SECOND, 60 * SECOND);
        let of = |seed: u64| &runs[seed as usize];
        let name = |what: &str| format!("burst of {burst}: {what}");
        all_seeds(&name("median"), (0.85, 1.05), |s| of(s).ratio(from, to, 0.5));
        all_seeds(&name("loss"), (0.0, 0.03), |s| of(s).loss(from, to));
        all_seeds(&name("98 %"), (0.85, 1.4), |s| of(s).ratio(from, to, 0.98));
        all_seeds(&name("queue p95, ms"), (1.0, 220.0), |s| {
            of(s).queue(from, to, 0.95).as_secs_f64() * 1e3
        });
    }
}

#[test]
fn other_rates_are_found_too() {
    for kilobits in [300_u64, 3_000, 10_000] {
        let scenario = |seed| {
            let link = LinkConfig::clean(Schedule::constant(kilobits * 1_000), 300 * MS);
            Scenario::new(link, 40, seed)
        };
        let runs: Vec<Outcome> = (0..SEEDS).map(|seed| go(&scenario(seed))).collect();
        let (from, to) = (10 * SECOND, 40 * SECOND);
        all_seeds(&format!("{kilobits}: median"), (0.8, 1.05), |s| {
            runs[s as usize].ratio(from, to, 0.5)
        });
        let queue = |s: u64| runs[s as usize].queue(from, to, 0.95).as_secs_f64() * 1e3;
        all_seeds(&format!("{kilobits}: queue p95, ms"), (0.1, 90.0), queue);
    }
}

#[test]
fn from_300_kbit_to_two_and_a_half_megabit_in_under_5_s() {
    all_seeds("80 % of 2.5 Mbit/s after, s", (0.1, 5.0), |seed| {
        let out = go(&step(seed, 300_000, 2_500_000));
        out.reaches(20 * SECOND, 2e6).map_or(99.0, |t| t.as_secs_f64())
    });
}

#[test]
fn after_a_drop_from_2_megabit_to_a_half_the_queue_is_gone_within_2_s() {
    let runs: Vec<Outcome> = (0..SEEDS).map(|seed| go(&step(seed, 2_000_000, 500_000))).collect();
    let settles = |s: u64| runs[s as usize].settles(20 * SECOND, 60 * MS).as_secs_f64();
    all_seeds("queue under 60 ms after, s", (0.1, 2.0), settles);
    let queue = |s: u64| runs[s as usize].queue(22 * SECOND, 40 * SECOND, 0.95).as_secs_f64() * 1e3;
    all_seeds("queue p95 from then on, ms", (1.0, 60.0), queue);
    let after = |s: u64| runs[s as usize].ratio(26 * SECOND, 40 * SECOND, 0.5);
    all_seeds("estimate / capacity afterwards", (0.8, 1.08), after);
}

#[test]
fn random_loss_leaves_the_link_usable() {
    for (loss, least) in [(0.01, 0.85), (0.05, 0.85), (0.10, 0.8), (0.15, 0.8)] {
        let runs: Vec<Outcome> = (0..SEEDS)
            .map(|seed| go(&megabit(seed, |link| link.loss = Loss::Random(loss))))
            .collect();
        let (from, to) = (10 * SECOND, 60 * SECOND);
        all_seeds(&format!("{loss}: median"), (least, 1.08), |s| {
            runs[s as usize].ratio(from, to, 0.5)
        });
        let queue = |s: u64| runs[s as usize].queue(from, to, 0.95).as_secs_f64() * 1e3;
        all_seeds(&format!("{loss}: queue p95, ms"), (1.0, 60.0), queue);
    }
}

#[test]
fn bursts_of_loss_jitter_and_a_shallow_buffer_leave_it_usable_and_the_queue_short() {
    type Change = fn(&mut LinkConfig);
    let cases: [(&str, Change); 4] = [
        ("bursts of five packets, 5 %", |link| {
            link.loss = Loss::Bursty {
                enter: 0.01,
                leave: 0.2,
            }
        }),
        ("30 ms of jitter", |link| link.jitter = 30 * MS),
        ("40 ms of buffer", |link| link.buffer = 5_000),
        ("reordering and doubles", |link| {
            (link.reorder, link.duplicate) = (0.02, 0.02)
        }),
    ];
    for (name, change) in cases {
        let runs: Vec<Outcome> = (0..SEEDS).map(|seed| go(&megabit(seed, change))).collect();
        let (from, to) = (10 * SECOND, 60 * SECOND);
        all_seeds(&format!("{name}: median"), (0.7, 1.08), |s| {
            runs[s as usize].ratio(from, to, 0.5)
        });
        let queue = |s: u64| runs[s as usize].queue(from, to, 0.95).as_secs_f64() * 1e3;
        all_seeds(&format!("{name}: queue p95, ms"), (1.0, 150.0), queue);
    }
}

#[test]
fn the_estimate_does_not_depend_on_how_often_it_is_called() {
    let cadences = [Cadence::Deadline, Cadence::Every(MS), Cadence::Every(MS / 10)];
    for seed in 0..SEEDS {
        let median = |cadence| {
            let mut scenario = megabit(seed, |_| {});
            scenario.cadence = cadence;
            go(&scenario).ratio(5 * SECOND, 60 * SECOND, 0.5)
        };
        let [deadline, ms, tenth] = cadences.map(median);
        assert!(
            (ms / deadline - 1.0).abs() < 0.05 && (tenth / deadline - 1.0).abs() < 0.05,
            "{deadline} {ms} {tenth}"
        );
    }
}

#[test]
fn a_stream_that_needs_little_is_not_probed_and_not_thought_to_be_all_there_is() {
    all_seeds("estimate, kbit/s", (700.0, 1_500.0), |seed| {
        let link = LinkConfig::clean(Schedule::constant(5_000_000), 300 * MS);
        let mut scenario = Scenario::new(link, 40, seed);
        scenario.media = Media::UpTo(Bitrate::kbps(700));
        let out = go(&scenario);
        assert!(out.padding(5 * SECOND, 40 * SECOND) < 0.01);
        out.ratio(5 * SECOND, 40 * SECOND, 0.5) * 5_000.0
    });
}

#[test]
fn when_feedback_stops_the_rate_sinks_and_lost_feedback_does_little() {
    all_seeds("kbit/s 10 s after the last feedback", (30.0, 60.0), |seed| {
        let mut scenario = megabit(seed, |_| {});
        scenario.feedback_until = 20 * SECOND;
        go(&scenario).ratio(30 * SECOND, 31 * SECOND, 0.5) * 1_000.0
    });
    all_seeds("median with 20 % of the feedback lost", (0.65, 1.08), |seed| {
        let mut scenario = megabit(seed, |_| {});
        scenario.feedback_loss = 0.2;
        go(&scenario).ratio(10 * SECOND, 60 * SECOND, 0.5)
    });
}

#[test]
fn a_dark_second_is_survived() {
    all_seeds("estimate / capacity from 5 s after", (0.75, 1.08), |seed| {
        let scenario = megabit(seed, |link| link.dark = vec![(20 * SECOND, 23 * SECOND)]);
        go(&scenario).ratio(28 * SECOND, 60 * SECOND, 0.5)
    });
}
