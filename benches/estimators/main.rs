//! Bandwidth estimators side by side: ours, rtc's and str0m's over the same modelled links. Prints the table of
//! docs/benchmarks.md. Simulated time: nothing else on the machine changes a figure.
//!
//!     cargo bench -p benches --bench estimators
//!
//! rtc's is driven through the trait of `sfu-bwe` like ours, with our sender, pacer and feedback. str0m's cannot be had
//! without the rest of str0m: there two of its clients talk over the link, with str0m's own pacer, padding and feedback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot do its work has to end"
)]

/// The loop of the estimator's own tests.
#[path = "../../sfu/bwe/tests/closed_loop/mod.rs"]
mod closed_loop;
mod gcc;
mod others_client;

use std::time::{Duration, Instant};

use closed_loop::{MS, Outcome, SECOND, Scenario};
use link_model::{LinkConfig, Loss, Schedule};
use sfu_bwe::{Config, SendSide};

const SEEDS: u64 = 5;
/// What every estimator begins with, bit/s.
const START: u64 = 300_000;

/// A name, and what runs a scenario.
type Contender = (&'static str, fn(&Scenario) -> Outcome);

const CONTENDERS: [Contender; 3] = [
    ("Ringhall `sfu-bwe`", ours),
    ("rtc-interceptor `Gcc`", rtcs),
    ("str0m (whole client)", others_client::run),
];

fn ours(scenario: &Scenario) -> Outcome {
    let start = Instant::now();
    closed_loop::run(&mut SendSide::new(Config::default(), start), start, scenario)
}

fn rtcs(scenario: &Scenario) -> Outcome {
    closed_loop::run(&mut gcc::Gcc::new(START), Instant::now(), scenario)
}

fn constant(seed: u64, loss: f64) -> Scenario {
    let mut link = LinkConfig::clean(Schedule::constant(1_000_000), 300 * MS);
    link.loss = Loss::Random(loss);
    Scenario::new(link, 60, seed)
}

/// From one rate to another after 20 s.
fn step(seed: u64, from: u64, to: u64) -> Scenario {
    let schedule = Schedule::steps(&[(Duration::ZERO, from), (20 * SECOND, to)]);
    let mut link = LinkConfig::clean(schedule, 300 * MS);
    link.buffer = (from.max(to) as f64 * 0.3 / 8.0) as usize;
    Scenario::new(link, 40, seed)
}

/// The median of all seeds.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn over_seeds(outcomes: &[Outcome], value: impl Fn(&Outcome) -> f64) -> f64 {
    median(outcomes.iter().map(value).collect())
}

fn seconds(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.1} s")
    } else {
        "never".to_owned()
    }
}

fn row(name: &str, run: fn(&Scenario) -> Outcome) -> String {
    let all = |scenario: &dyn Fn(u64) -> Scenario| -> Vec<Outcome> { (0..SEEDS).map(|s| run(&scenario(s))).collect() };
    let (from, to) = (10 * SECOND, 60 * SECOND);
    let clean = all(&|seed| constant(seed, 0.0));
    let lossy = all(&|seed| constant(seed, 0.15));
    let up = all(&|seed| step(seed, 300_000, 2_500_000));
    let down = all(&|seed| step(seed, 2_000_000, 500_000));
    let queue = |quantile: f64| over_seeds(&clean, |o| o.queue(from, to, quantile).as_secs_f64() * 1e3);
    let reached =
        |o: &Outcome, after: Duration, bits: f64| o.reaches(after, bits).map_or(f64::INFINITY, |t| t.as_secs_f64());
    format!(
        "| {name} | {:.2} | {:.1} % | {:.0} / {:.0} ms | {} | {} | {:.2} | {} |",
        over_seeds(&clean, |o| o.ratio(from, to, 0.5)),
        over_seeds(&clean, |o| o.loss(from, to) * 100.0),
        queue(0.5),
        queue(0.95),
        seconds(over_seeds(&clean, |o| reached(o, Duration::ZERO, 8e5))),
        seconds(over_seeds(&up, |o| reached(o, 20 * SECOND, 2e6))),
        over_seeds(&lossy, |o| o.ratio(from, to, 0.5)),
        seconds(over_seeds(&down, |o| o.settles(20 * SECOND, 60 * MS).as_secs_f64())),
    )
}

fn main() {
    println!(
        "Medians of {SEEDS} seeds; start at {} kbit/s, 25 ms one way.\n",
        START / 1_000
    );
    println!(
        "| estimator | 1 Mbit/s, buffer 300 ms: estimate / capacity | lost | queue p50 / p95 | 80 % after | \
         0.3, then 2.5 Mbit/s: 80 % after | 15 % random loss: estimate / capacity | \
         2, then 0.5 Mbit/s: queue under 60 ms after |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, run) in CONTENDERS {
        println!("{}", row(name, run));
    }
}
