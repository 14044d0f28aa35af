//! Reports for tests of what is drawn from them.

use super::model::{
    Counts, Distribution, Figures, Finding, GeneratorFigures, Machine, Outcome, Point, ProcessFigures, Report, Round,
    Run, ScenarioReport, TargetReport, Verdict, timing,
};
use crate::scenario::Scenario;

fn distribution(unit: &str, middle: f64) -> Distribution {
    let buckets: Vec<(f64, u64)> = (1..=40)
        .map(|n| (middle * f64::from(n) / 20.0, 1 + 20_u64.abs_diff(n as u64)))
        .collect();
    Distribution {
        unit: unit.to_owned(),
        count: buckets.iter().map(|(_, count)| count).sum(),
        min: middle / 20.0,
        mean: middle,
        p50: middle,
        p90: middle * 1.6,
        p95: middle * 1.8,
        p99: middle * 1.9,
        p999: middle * 2.0,
        max: middle * 2.0,
        buckets,
    }
}

/// A round at this cost per packet.
pub(crate) fn figures(cost: f64) -> Figures {
    let series = (0..20)
        .map(|second| Point {
            t: f64::from(second),
            in_window: second > 4,
            connected: 20,
            sent: 700,
            received: 7_000 + 100 * (second as u64 % 3),
            received_bytes: 7_000_000,
            delay_p50_us: 300.0,
            delay_p99_us: 900.0 + 40.0 * f64::from(second % 5),
            delay_max_us: 2_000.0,
            server_cpu_percent: cost * 3.0 + f64::from(second % 4),
            server_rss_bytes: (30 << 20) + 10_000 * second as u64,
            generator_cpu_percent: 40.0,
            lateness_max_us: 900.0,
            other_load_percent: 2.0,
            ..Default::default()
        })
        .collect();
    Figures {
        window_seconds: 15.0,
        counts: Counts {
            wanted: 20,
            connected: 20,
            sent: 10_500,
            received: 105_000,
            flowing_ms: 100_000,
            ..Default::default()
        },
        timings: [(timing::JOIN, 60.0), (timing::FIRST_FRAME, 120.0)]
            .map(|(name, middle)| (name.to_owned(), distribution("ms", middle)))
            .into(),
        delay: Some(distribution("us", 300.0 + 20.0 * cost)),
        jitter: Some(distribution("us", 150.0)),
        server: Some(ProcessFigures {
            user_seconds: 1.0,
            system_seconds: 2.0,
            cpu_percent: cost * 3.0,
            us_per_packet: Some(cost),
            rss_end_bytes: 30 << 20,
            threads: 4,
            ..Default::default()
        }),
        generator: GeneratorFigures {
            cpu_percent: 41.0,
            lateness: Some(distribution("us", 80.0)),
            threads: 2,
            ..Default::default()
        },
        other_load_percent: 2.0,
        series,
        findings: vec![Finding {
            check: "loss".to_owned(),
            verdict: Verdict::Good,
            text: "no packet lost".to_owned(),
        }],
        ..Default::default()
    }
}

/// A target with a measured round at each of these costs.
pub(crate) fn target(name: &str, costs: &[f64]) -> TargetReport {
    TargetReport {
        target: name.to_owned(),
        description: format!("{name}, as it comes"),
        rounds: costs
            .iter()
            .map(|cost| Round {
                started: "2026-01-02T03:04:05Z".to_owned(),
                outcome: Outcome::Measured {
                    figures: Box::new(figures(*cost)),
                },
            })
            .collect(),
    }
}

/// Everything that a report can say: measured, broken, not measured, skipped.
pub(crate) fn report() -> Report {
    let scenario = "name = \"ten\"\ntitle = \"ten people\"\ndescription = \"Ten publishers, ten viewers.\"\nduration_seconds = 15\n\
        [rooms]\nmembers = 10\n";
    let scenario = Scenario::parse("sample", scenario).unwrap_or_else(|error| panic!("{error}"));
    let mut ours = target("ringhall", &[3.0, 3.0, 3.0]);
    if let Outcome::Measured { figures } = &mut ours.rounds[1].outcome {
        figures.findings.push(Finding {
            check: "wrong_room".to_owned(),
            verdict: Verdict::Bad,
            text: "3 packets of another room".to_owned(),
        });
    }
    let mut janus = target("janus", &[]);
    janus.rounds.push(Round {
        started: String::new(),
        outcome: Outcome::Skipped {
            reason: "no simulcast in this room".to_owned(),
        },
    });
    let mut busy = target("whip", &[]);
    busy.rounds.push(Round {
        started: String::new(),
        outcome: Outcome::NotMeasured {
            reason: "other load 34 %".to_owned(),
            figures: Box::new(figures(9.0)),
        },
    });
    Report {
        format: super::model::FORMAT,
        run: Run {
            started: "2026-01-02T03:04:05Z".to_owned(),
            took_seconds: 95.0,
            version: "0.1.0".to_owned(),
            commit: "0123abc".to_owned(),
            profile: "release".to_owned(),
            command: "ringhall-load run ten --targets ringhall,floor,janus".to_owned(),
            seed: 1,
        },
        machine: Machine {
            cpu: "Some CPU at 2.5 GHz".to_owned(),
            cores: 2,
            memory_bytes: 8 << 30,
            kernel: "6.1".to_owned(),
            os: "Debian 12".to_owned(),
            socket_buffers: (212_992, 212_992),
        },
        scenarios: vec![ScenarioReport {
            scenario,
            targets: vec![ours, target("floor", &[2.0, 2.0, 2.0]), janus, busy],
        }],
    }
}
