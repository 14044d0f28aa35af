//! What a report makes of its figures: the verdicts that a reader needs before believing, or shipping, anything.

use std::time::Duration;

use crate::impair::Impairment;
use crate::report::model::{Figures, Finding, Point, Verdict, timing};
use crate::scenario::Scenario;

/// Loss that a viewer may see without a word, share of packets.
const LOSS_GOOD: f64 = 0.0001;
/// And with one.
const LOSS_BAD: f64 = 0.001;
/// A packet that waits this long, microseconds, while others of its second do not ([`STALL_FACTOR`]), was held up.
const STALL_US: f64 = 30_000.0;
/// How much longer than the median of its second.
const STALL_FACTOR: f64 = 5.0;
/// Share of seconds with a stall from which on it is the server's habit and no accident.
const STALL_SHARE: f64 = 0.5;
/// Growth of memory that is a leak when it goes on, bytes a second.
const LEAK_BYTES_PER_SECOND: f64 = 8_192.0;
/// And bytes per packet that a viewer got: less is no allocation per packet.
const LEAK_BYTES_PER_PACKET: f64 = 2.0;
/// Share of the time that pictures may stand still behind a bad link.
const FROZEN_ON_A_BAD_LINK: f64 = 0.01;
/// Estimates of a link should lie between these, percent of what it carries.
const ESTIMATE: std::ops::RangeInclusive<f64> = 85.0..=105.0;
/// Seconds without which memory says nothing.
const LEAK_SECONDS: usize = 8;

/// Looks at the figures of one round.
pub(super) fn findings(scenario: &Scenario, figures: &Figures) -> Vec<Finding> {
    let mut out = Vec::new();
    if scenario.rooms.is_some() {
        out.push(connected(figures));
        out.push(strangers(figures));
        out.push(leak(figures));
        match &scenario.link {
            // On a bad link loss, duplicates and waiting are the link's; what people see is the server's.
            Some(link) => {
                out.push(freezes(figures, FROZEN_ON_A_BAD_LINK));
                out.extend(estimate(figures, link));
            }
            None => {
                out.push(loss(figures));
                out.push(duplicates(figures));
                out.push(stall(figures));
                out.push(freezes(figures, 0.0));
            }
        }
    }
    out.extend(goals(figures));
    out
}

fn finding(check: &str, verdict: Verdict, text: String) -> Finding {
    Finding {
        check: check.to_owned(),
        verdict,
        text,
    }
}

fn connected(f: &Figures) -> Finding {
    let c = &f.counts;
    let verdict = if c.connected == c.wanted && c.failed == 0 {
        Verdict::Good
    } else {
        Verdict::Bad
    };
    let text = format!(
        "{} of {} connections came about, {} failed or broke",
        c.connected, c.wanted, c.failed
    );
    finding("connected", verdict, text)
}

fn loss(f: &Figures) -> Finding {
    let c = &f.counts;
    let share = c.lost as f64 / (c.received + c.lost).max(1) as f64;
    let mut text = format!(
        "{} of {} packets lost ({:.3} %)",
        c.lost,
        c.received + c.lost,
        100.0 * share
    );
    if c.lost > 10 && c.sequence_gaps * 2 < c.lost {
        text += ", most of them hidden: the sequence numbers have no gap there";
    }
    let own = f.generator.socket_drops + f.generator.send_failures;
    let verdict = if own > 0 && c.lost <= 3 * own {
        text += &format!("; {own} datagrams were lost at the generator's own sockets");
        Verdict::Unknown
    } else if c.received == 0 {
        text = "nothing arrived".into();
        Verdict::Bad
    } else if share <= LOSS_GOOD {
        Verdict::Good
    } else if share < LOSS_BAD {
        Verdict::Warning
    } else {
        Verdict::Bad
    };
    finding("loss", verdict, text)
}

fn duplicates(f: &Figures) -> Finding {
    let share = f.counts.duplicates as f64 / f.counts.received.max(1) as f64;
    let verdict = if share <= LOSS_GOOD {
        Verdict::Good
    } else {
        Verdict::Bad
    };
    let text = format!(
        "{} packets came twice, {} out of order",
        f.counts.duplicates, f.counts.reordered
    );
    finding("duplicates", verdict, text)
}

fn strangers(f: &Figures) -> Finding {
    let count = f.counts.wrong_room;
    let verdict = if count == 0 { Verdict::Good } else { Verdict::Bad };
    finding(
        "wrong_room",
        verdict,
        format!("{count} packets of another room, or of nobody"),
    )
}

/// Seconds of the window in which some packet waited long and most did not.
fn stall(f: &Figures) -> Finding {
    let window: Vec<&Point> = f.series.iter().filter(|p| p.in_window && p.received > 0).collect();
    let stalled = |p: &&&Point| p.delay_max_us >= STALL_US && p.delay_max_us >= STALL_FACTOR * p.delay_p50_us;
    let count = window.iter().filter(stalled).count();
    let worst = window.iter().map(|p| p.delay_max_us).fold(0.0, f64::max) / 1e3;
    let text = format!(
        "in {count} of {} seconds a packet waited over {:.0} ms in the server; the longest {worst:.0} ms",
        window.len(),
        STALL_US / 1e3
    );
    let share = count as f64 / window.len().max(1) as f64;
    let verdict = if window.len() < 3 {
        Verdict::Unknown
    } else if share >= STALL_SHARE {
        Verdict::Bad
    } else if count > 0 {
        Verdict::Warning
    } else {
        Verdict::Good
    };
    finding("stall", verdict, text)
}

fn freezes(f: &Figures, allowed: f64) -> Finding {
    let c = &f.counts;
    let share = c.frozen_ms as f64 / c.flowing_ms.max(1) as f64;
    let verdict = match share {
        s if s <= allowed => Verdict::Good,
        s if s < allowed + 0.001 => Verdict::Warning,
        _ => Verdict::Bad,
    };
    let text = format!(
        "{} pictures stood still for over 200 ms, {:.2} % of the time",
        c.freezes,
        100.0 * share
    );
    finding("freezes", verdict, text)
}

/// Whether the server knows what its viewers' links carry.
fn estimate(f: &Figures, link: &Impairment) -> Option<Finding> {
    link.down_rate_kbps(Duration::ZERO)?;
    let Some(d) = &f.estimate_percent else {
        let text = "the server tells no estimate of its viewers' links".to_owned();
        return Some(finding("estimate", Verdict::Unknown, text));
    };
    let verdict = if ESTIMATE.contains(&d.p50) {
        Verdict::Good
    } else {
        Verdict::Warning
    };
    let text = format!(
        "the estimates were {:.0} % of what the links carry (median over the seconds; from {:.0} to {:.0} %; goal {:.0} to {:.0})",
        d.p50,
        d.min,
        d.max,
        ESTIMATE.start(),
        ESTIMATE.end()
    );
    Some(finding("estimate", verdict, text))
}

/// Memory that grows in both halves of the window, by enough to be one allocation per packet.
fn leak(f: &Figures) -> Finding {
    let points: Vec<(f64, u64)> = f
        .series
        .iter()
        .filter(|p| p.in_window && p.server_rss_bytes > 0)
        .map(|p| (p.t, p.server_rss_bytes))
        .collect();
    if points.len() < LEAK_SECONDS {
        let text = format!("{} seconds of memory are too few for a verdict", points.len());
        return finding("leak", Verdict::Unknown, text);
    }
    let (first, second) = points.split_at(points.len() / 2);
    // The slower half: warming up ends, a leak does not.
    let slope = crate::proc::slope(first).min(crate::proc::slope(second));
    let rate = f.counts.received as f64 / f.window_seconds.max(0.001);
    let per_packet = slope / rate.max(1.0);
    let text = format!(
        "the server's memory grew by {:.0} KiB/s, {per_packet:.1} bytes per forwarded packet",
        slope.max(0.0) / 1_024.0
    );
    let grows = slope > LEAK_BYTES_PER_SECOND && per_packet > LEAK_BYTES_PER_PACKET;
    finding("leak", if grows { Verdict::Bad } else { Verdict::Good }, text)
}

/// Goals of the project that a scenario happens to measure.
fn goals(f: &Figures) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut at_most = |check: &str, name: &str, what: &str, p: &str, bound: f64| {
        let Some(d) = f.timings.get(name) else { return };
        let value = if p == "p95" { d.p95 } else { d.p99 };
        let verdict = if value < bound { Verdict::Good } else { Verdict::Warning };
        out.push(finding(
            check,
            verdict,
            format!("{what}: {p} {value:.0} ms (goal under {bound:.0})"),
        ));
    };
    at_most("ring", timing::RING, "start_call to incoming_call", "p99", 50.0);
    at_most(
        "resume",
        timing::RESUME,
        "resume with all that was missed",
        "p99",
        100.0,
    );
    at_most(
        "reconnect",
        timing::RECONNECT,
        "media back after the network was",
        "p99",
        5_000.0,
    );
    if let Some(bytes) = f.extra.get("rss_per_socket_bytes") {
        let verdict = if *bytes < 20.0 * 1_024.0 {
            Verdict::Good
        } else {
            Verdict::Warning
        };
        out.push(finding(
            "socket_memory",
            verdict,
            format!("{:.1} KiB per idle socket (goal under 20)", bytes / 1_024.0),
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Counts;

    fn healthy() -> Figures {
        let point = |n: u32| Point {
            t: f64::from(n),
            in_window: true,
            received: 1_000,
            delay_p50_us: 300.0,
            delay_p99_us: 900.0,
            delay_max_us: 4_000.0,
            server_rss_bytes: 50_000_000 + u64::from(n % 2) * 4_096,
            ..Point::default()
        };
        Figures {
            window_seconds: 20.0,
            counts: Counts {
                wanted: 4,
                connected: 4,
                received: 20_000,
                flowing_ms: 100_000,
                ..Counts::default()
            },
            series: (0..20).map(point).collect(),
            ..Figures::default()
        }
    }

    fn verdict(f: &Figures, check: &str) -> Verdict {
        let text = "name='x'\ntitle='x'\nduration_seconds=1\n[rooms]\nmembers=2";
        let scenario = Scenario::parse("test", text).unwrap();
        let all = findings(&scenario, f);
        all.into_iter().find(|f| f.check == check).unwrap().verdict
    }

    #[test]
    fn a_healthy_server_gets_nothing_but_good_verdicts() {
        for check in [
            "connected",
            "loss",
            "duplicates",
            "wrong_room",
            "stall",
            "freezes",
            "leak",
        ] {
            assert_eq!(verdict(&healthy(), check), Verdict::Good, "{check}");
        }
    }

    #[test]
    fn behind_a_bad_link_the_server_answers_for_freezes_and_estimates_only() {
        let text =
            "name='x'\ntitle='x'\nduration_seconds=1\n[rooms]\nmembers=2\n[link.down]\nrate_kbps=1000\nloss_percent=5";
        let scenario = Scenario::parse("test", text).unwrap();
        let mut f = healthy();
        f.counts.lost = 2_000;
        f.counts.frozen_ms = 500;
        f.estimate_percent = crate::media::tally::samples(&[90.0, 95.0, 99.0], "percent");
        let all = findings(&scenario, &f);
        let verdict = |check: &str| all.iter().find(|f| f.check == check).map(|f| f.verdict);
        assert_eq!(verdict("loss"), None);
        assert_eq!(verdict("freezes"), Some(Verdict::Good));
        assert_eq!(verdict("estimate"), Some(Verdict::Good));
        f.estimate_percent = crate::media::tally::samples(&[40.0], "percent");
        let all = findings(&scenario, &f);
        let estimate = all.iter().find(|f| f.check == "estimate").unwrap();
        assert_eq!(estimate.verdict, Verdict::Warning, "{estimate:?}");
    }

    #[test]
    fn each_fault_is_found() {
        let mut f = healthy();
        f.counts.lost = 200;
        assert_eq!(verdict(&f, "loss"), Verdict::Bad);
        f.generator.socket_drops = 150;
        assert_eq!(verdict(&f, "loss"), Verdict::Unknown, "our own sockets dropped as many");

        let mut f = healthy();
        f.series.iter_mut().for_each(|p| p.delay_max_us = 50_000.0);
        assert_eq!(verdict(&f, "stall"), Verdict::Bad);
        f.series.iter_mut().for_each(|p| p.delay_p50_us = 40_000.0);
        assert_eq!(verdict(&f, "stall"), Verdict::Good, "a long way is no stall");

        let mut f = healthy();
        f.series
            .iter_mut()
            .for_each(|p| p.server_rss_bytes += (p.t * 64_000.0) as u64);
        assert_eq!(verdict(&f, "leak"), Verdict::Bad);
        f.series
            .iter_mut()
            .skip(10)
            .for_each(|p| p.server_rss_bytes = 60_000_000);
        assert_eq!(verdict(&f, "leak"), Verdict::Good, "it stopped growing");

        let mut f = healthy();
        f.counts.wrong_room = 1;
        assert_eq!(verdict(&f, "wrong_room"), Verdict::Bad);
        f.counts.connected = 3;
        assert_eq!(verdict(&f, "connected"), Verdict::Bad);
        f.counts.frozen_ms = 2_000;
        assert_eq!(verdict(&f, "freezes"), Verdict::Bad);
        f.counts.duplicates = 100;
        assert_eq!(verdict(&f, "duplicates"), Verdict::Bad);
    }
}
