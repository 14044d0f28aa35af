//! Feedback that lies, and clocks that jump: bounded and harmless.

use std::time::{Duration, Instant};

use link_model::Seeded;
use sfu_bwe::{Bitrate, Config, Estimator, Received, SendSide, Sent};

const CONFIG: Config = Config {
    start: Bitrate::kbps(300),
    least: Bitrate::kbps(30),
    most: Bitrate::kbps(5_000),
};

#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
fn origin() -> Instant {
    Instant::now()
}

/// Steps of the fuzzing run; `BWE_FUZZ_STEPS` for a longer one.
fn steps() -> u64 {
    let asked = std::env::var("BWE_FUZZ_STEPS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(1_000_000)
}

fn check(estimator: &SendSide, now: Instant) {
    let estimate = estimator.estimate();
    assert!((CONFIG.least..=CONFIG.most).contains(&estimate.bitrate), "{estimate:?}");
    assert!((0.0..=1.0).contains(&estimate.loss), "{estimate:?}");
    assert!(estimate.round_trip <= Duration::from_secs(10), "{estimate:?}");
    if let Some(probe) = estimator.probe() {
        assert!(
            probe.rate <= CONFIG.most.scaled(1.21) && probe.left < 100_000 && probe.packet <= 1_200,
            "{probe:?}"
        );
    }
    let deadline = estimator.next_deadline();
    let soon = deadline.is_some_and(|at| at <= now + Duration::from_secs(1));
    assert!(soon, "a deadline that never comes: {deadline:?}");
}

#[test]
fn arbitrary_feedback_keeps_every_bound() {
    let start = origin();
    let mut random = Seeded::new(1);
    let (mut now, mut number) = (start, 0_u16);
    let mut estimator = SendSide::new(CONFIG, now);
    for step in 0..steps() {
        if step % 50_000 == 0 {
            (now, estimator) = (start, SendSide::new(CONFIG, start));
        }
        match random.below(10) {
            0 => now += Duration::from_millis(random.below(3_000)),
            // Time that runs backwards, as a caller with a stale `now` would.
            1 => {
                now = now
                    .checked_sub(Duration::from_millis(random.below(50)))
                    .unwrap_or(now)
                    .max(start)
            }
            2 => {
                let wild = random.chance(0.5);
                let base = if wild {
                    random.bits() as u16
                } else {
                    number.wrapping_sub(random.below(60) as u16)
                };
                let mut tick = random.bits() as u32;
                let mut pick = random.clone();
                random.bits();
                let count = random.below(80);
                estimator.feedback(
                    now,
                    &mut (0..count).map(|n| {
                        tick = if pick.chance(0.1) {
                            pick.bits() as u32
                        } else {
                            tick.wrapping_add(pick.below(200) as u32)
                        };
                        let number = if pick.chance(0.05) {
                            pick.bits() as u16
                        } else {
                            base.wrapping_add(n as u16)
                        };
                        Received {
                            number,
                            arrival: pick.chance(0.8).then_some(tick),
                        }
                    }),
                );
            }
            3 => estimator.remb(now, Bitrate::bps(random.bits() >> random.below(64))),
            4 => estimator.demand(Bitrate::bps(random.bits() >> random.below(64))),
            5 => estimator.handle_timeout(now),
            _ => {
                let size = if random.chance(0.01) {
                    random.bits() as usize
                } else {
                    random.below(1_500) as usize
                };
                estimator.sent(now, Sent { number, size });
                number = if random.chance(0.001) {
                    random.bits() as u16
                } else {
                    number.wrapping_add(1)
                };
                now += Duration::from_micros(random.below(5_000));
            }
        }
        if step % 16 == 0 {
            check(&estimator, now);
        }
    }
}

/// Sends 500 kbit/s for so long and answers every 100 ms with what `answer` makes of the true feedback.
fn talk(seconds: u64, mut answer: impl FnMut(u64, Vec<Received>) -> Vec<Received>) -> SendSide {
    let start = origin();
    let mut estimator = SendSide::new(CONFIG, start);
    let mut pending = Vec::new();
    for n in 0..seconds * 50 {
        let now = start + Duration::from_millis(20 * n);
        estimator.sent(
            now,
            Sent {
                number: n as u16,
                size: 1_250,
            },
        );
        pending.push(Received {
            number: n as u16,
            arrival: Some(4_000_000 + 80 * n as u32),
        });
        if n % 5 == 4 {
            estimator.feedback(now, &mut answer(n, std::mem::take(&mut pending)).into_iter());
        }
        estimator.handle_timeout(now);
    }
    check(&estimator, start + Duration::from_secs(seconds));
    estimator
}

fn kilobits(estimator: &SendSide) -> u64 {
    estimator.estimate().bitrate.as_bps() / 1_000
}

#[test]
fn who_claims_that_everything_arrived_at_once_gains_no_more_than_was_sent() {
    let honest = kilobits(&talk(30, |_, report| report));
    assert!((500..700).contains(&honest), "{honest}");
    let liar = talk(30, |n, mut report| {
        report.iter_mut().for_each(|r| r.arrival = Some(80 * n as u32));
        report
    });
    assert!(kilobits(&liar) < 800, "{}", kilobits(&liar));
}

#[test]
fn doubled_late_and_invented_reports_change_nothing() {
    let honest = kilobits(&talk(30, |_, report| report));
    let doubled = talk(30, |_, report| [report.clone(), report].concat());
    assert_eq!(kilobits(&doubled), honest);
    let invented = talk(30, |n, mut report| {
        let invent = |k: u16| Received {
            number: (n as u16).wrapping_add(1_000 + k),
            arrival: Some(k.into()),
        };
        report.extend((0..500).map(invent));
        report
    });
    let now = kilobits(&invented);
    assert!(now.abs_diff(honest) < honest / 5, "{now} {honest}");
    let mut kept: Vec<Vec<Received>> = Vec::new();
    let late = talk(30, |_, report| {
        kept.push(report);
        if kept.len() > 5 { kept.remove(0) } else { Vec::new() }
    });
    assert!(kilobits(&late).abs_diff(honest) < honest / 5, "{}", kilobits(&late));
}

#[test]
fn a_receiver_whose_clock_is_set_is_measured_again() {
    let jumps = talk(60, |n, mut report| {
        let set = if n > 1_500 { 2_000_000_000_u32 } else { 0 };
        report
            .iter_mut()
            .for_each(|r| r.arrival = r.arrival.map(|a| a.wrapping_add(set)));
        report
    });
    assert!((450..800).contains(&kilobits(&jumps)), "{}", kilobits(&jumps));
}

#[test]
fn who_reports_everything_lost_is_sent_the_least() {
    let lost = talk(60, |_, mut report| {
        report.iter_mut().for_each(|r| r.arrival = None);
        report
    });
    assert!(kilobits(&lost) < 60, "{}", kilobits(&lost));
}

#[test]
fn remb_is_believed_where_nothing_else_comes_until_it_ends() {
    let start = origin();
    let mut estimator = SendSide::new(CONFIG, start);
    let mut number = 0_u16;
    let mut send = |estimator: &mut SendSide, from: u64, to: u64, remb: Option<u64>| {
        for n in from * 50..to * 50 {
            let now = start + Duration::from_millis(20 * n);
            estimator.sent(now, Sent { number, size: 500 });
            number = number.wrapping_add(1);
            if let Some(remb) = remb.filter(|_| n % 50 == 0) {
                estimator.remb(now, Bitrate::kbps(remb));
            }
            estimator.handle_timeout(now);
        }
        kilobits(estimator)
    };
    assert_eq!(send(&mut estimator, 0, 5, Some(1_700)), 1_700);
    assert_eq!(send(&mut estimator, 5, 10, Some(400)), 400);
    let after = send(&mut estimator, 10, 30, None);
    assert!((30..400).contains(&after), "{after}");
}
