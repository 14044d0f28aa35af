//! What is read from the figures of a round, one row each: the one list behind the page, the tables and the comparison.

use super::model::Outcome;
use super::model::{Distribution, Figures, ProcessFigures, TargetReport, timing};

/// Which direction is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither: it describes the run.
    Neither,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Joining, ringing, coming back.
    ComingIn,
    /// What people feel.
    Feel,
    /// What it costs the server.
    Cost,
    /// What the measurement itself was like.
    Generator,
}

impl Group {
    /// All, in the order of the page.
    pub const ALL: [Self; 4] = [Self::ComingIn, Self::Feel, Self::Cost, Self::Generator];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::ComingIn => "Coming in",
            Self::Feel => "What people feel",
            Self::Cost => "What it costs the server",
            Self::Generator => "The measurement itself",
        }
    }
}

/// One row.
#[derive(Clone)]
pub struct Metric {
    /// In words.
    pub name: String,
    /// Unit, as shown behind the value; empty for a plain count.
    pub unit: &'static str,
    /// Where it stands.
    pub group: Group,
    /// Which direction is good.
    pub better: Better,
    /// A time or a cost: not to be believed when the machine was busy. Counts are.
    pub needs_quiet: bool,
    read: Read,
}

#[derive(Clone)]
enum Read {
    Plain(fn(&Figures) -> Option<f64>),
    Timing(&'static str, fn(&Distribution) -> f64),
    Extra(String),
}

impl Metric {
    /// The value in one round.
    pub fn read(&self, figures: &Figures) -> Option<f64> {
        match &self.read {
            Read::Plain(read) => read(figures),
            Read::Timing(name, read) => figures.timings.get(*name).filter(|d| d.count > 0).map(read),
            Read::Extra(name) => figures.extra.get(name).copied(),
        }
    }
}

fn plain(
    name: &str,
    unit: &'static str,
    group: Group,
    better: Better,
    needs_quiet: bool,
    read: fn(&Figures) -> Option<f64>,
) -> Metric {
    Metric {
        name: name.to_owned(),
        unit,
        group,
        better,
        needs_quiet,
        read: Read::Plain(read),
    }
}

fn timing(name: &str, key: &'static str, read: fn(&Distribution) -> f64) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "ms",
        group: if key == timing::LAYER_SWITCH {
            Group::Feel
        } else {
            Group::ComingIn
        },
        better: Better::Lower,
        needs_quiet: true,
        read: Read::Timing(key, read),
    }
}

/// The name of the row that everything is a ratio of.
pub const COST: &str = "CPU per forwarded packet";

/// All rows but those of one scenario only.
pub fn fixed() -> Vec<Metric> {
    use Better::{Higher, Lower, Neither};
    use Group::{ComingIn, Cost, Feel, Generator};
    let mut rows = vec![plain(
        "connections that came about",
        "%",
        ComingIn,
        Higher,
        false,
        |f| share(f.counts.connected, f.counts.wanted),
    )];
    for (name, key) in [
        ("offer to answer", timing::SETUP),
        ("join (to connected)", timing::JOIN),
        ("join to first whole frame", timing::FIRST_FRAME),
        ("join to first sound", timing::FIRST_AUDIO),
        ("ring (start to incoming)", timing::RING),
        ("accept (to the caller)", timing::ACCEPT),
        ("command to result", timing::COMMAND),
        ("hello to welcome", timing::HELLO),
        ("reconnect to media", timing::RECONNECT),
        ("resume to last missed event", timing::RESUME),
        ("layer switch", timing::LAYER_SWITCH),
    ] {
        rows.push(timing(&format!("{name}, p50"), key, |d| d.p50));
        rows.push(timing(&format!("{name}, p95"), key, |d| d.p95));
        rows.push(timing(&format!("{name}, p99"), key, |d| d.p99));
    }
    fn server(f: &Figures, read: fn(&ProcessFigures) -> f64) -> Option<f64> {
        f.server.as_ref().map(read)
    }
    fn milliseconds(d: &Option<Distribution>, read: fn(&Distribution) -> f64) -> Option<f64> {
        d.as_ref().filter(|d| d.count > 0).map(|d| read(d) / 1e3)
    }
    fn media(f: &Figures, count: u64) -> Option<f64> {
        (f.counts.received > 0 || f.counts.sent > 0).then_some(count as f64)
    }
    rows.extend([
        plain("delay, p50", "ms", Feel, Lower, true, |f| {
            milliseconds(&f.delay, |d| d.p50)
        }),
        plain("delay, p99", "ms", Feel, Lower, true, |f| {
            milliseconds(&f.delay, |d| d.p99)
        }),
        plain("delay, worst", "ms", Feel, Lower, true, |f| {
            milliseconds(&f.delay, |d| d.max)
        }),
        plain("jitter, p50 of the streams", "ms", Feel, Lower, true, |f| {
            milliseconds(&f.jitter, |d| d.p50)
        }),
        plain("jitter, p95 of the streams", "ms", Feel, Lower, true, |f| {
            milliseconds(&f.jitter, |d| d.p95)
        }),
        plain("packets lost", "%", Feel, Lower, false, |f| {
            share(f.counts.lost, f.counts.received + f.counts.lost)
        }),
        plain("duplicates", "", Feel, Lower, false, |f| media(f, f.counts.duplicates)),
        plain("out of order", "", Feel, Lower, false, |f| media(f, f.counts.reordered)),
        plain("from a wrong room", "", Feel, Lower, false, |f| {
            media(f, f.counts.wrong_room)
        }),
        plain("freezes (gaps over 200 ms)", "", Feel, Lower, false, |f| {
            media(f, f.counts.freezes)
        }),
        plain("time frozen", "%", Feel, Lower, false, |f| {
            share(f.counts.frozen_ms, f.counts.flowing_ms)
        }),
        plain("layer switches", "", Feel, Neither, false, |f| {
            media(f, f.counts.layer_switches).filter(|n| *n > 0.0)
        }),
        plain("estimate of the real rate, p50", "%", Feel, Neither, false, |f| {
            f.estimate_percent.as_ref().filter(|d| d.count > 0).map(|d| d.p50)
        }),
        plain(COST, "us", Cost, Lower, true, |f| f.server.as_ref()?.us_per_packet),
        plain("CPU", "% of a core", Cost, Lower, true, |f| {
            server(f, |s| s.cpu_percent)
        }),
        plain("packets forwarded", "/s", Cost, Neither, false, |f| {
            (f.counts.received > 0 && f.window_seconds > 0.0).then(|| f.counts.received as f64 / f.window_seconds)
        }),
        plain("memory (RSS) at the end", "MiB", Cost, Lower, false, |f| {
            server(f, |s| mib(s.rss_end_bytes))
        }),
        plain("memory growth", "KiB/s", Cost, Lower, false, |f| {
            server(f, |s| s.rss_slope / 1024.0)
        }),
        plain("context switches, own will", "/s", Cost, Lower, true, |f| {
            server(f, |s| s.voluntary_switches)
        }),
        plain("context switches, forced", "/s", Cost, Lower, true, |f| {
            server(f, |s| s.involuntary_switches)
        }),
        plain("threads", "", Cost, Neither, false, |f| server(f, |s| s.threads as f64)),
        plain("generator CPU", "% of a core", Generator, Neither, false, |f| {
            Some(f.generator.cpu_percent)
        }),
        plain("packets sent late, p99", "ms", Generator, Lower, false, |f| {
            milliseconds(&f.generator.lateness, |d| d.p99)
        }),
        plain("packets dropped at our sockets", "", Generator, Lower, false, |f| {
            Some(f.generator.socket_drops as f64)
        }),
        plain("packets we could not send", "", Generator, Lower, false, |f| {
            Some(f.generator.send_failures as f64)
        }),
        plain("other load on the machine", "%", Generator, Lower, false, |f| {
            Some(f.other_load_percent)
        }),
    ]);
    rows
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

/// The rows that these targets have something to say about.
pub fn rows(targets: &[TargetReport]) -> Vec<Metric> {
    let figures: Vec<&Figures> = targets
        .iter()
        .flat_map(|target| &target.rounds)
        .filter_map(|round| round.outcome.figures())
        .collect();
    let mut rows = fixed();
    let mut extra: Vec<&String> = figures.iter().flat_map(|f| f.extra.keys()).collect();
    extra.sort();
    extra.dedup();
    rows.extend(extra.into_iter().map(|name| Metric {
        name: name.replace('_', " "),
        unit: "",
        group: Group::Feel,
        better: Better::Neither,
        needs_quiet: false,
        read: Read::Extra(name.clone()),
    }));
    rows.retain(|row| figures.iter().any(|f| row.read(f).is_some()));
    rows
}

/// A value over the rounds of one target.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Median, and the number of rounds behind it.
    Value(f64, usize),
    /// The rounds were run, but this must not be believed.
    NotMeasured(String),
    /// The target has no such figure.
    Absent,
}

impl Cell {
    /// The median, when there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value, _) => Some(*value),
            _ => None,
        }
    }
}

/// The median of a row over the rounds of a target that may be believed.
pub fn cell(target: &TargetReport, row: &Metric) -> Cell {
    let mut values = Vec::new();
    let mut why = None;
    for round in &target.rounds {
        match &round.outcome {
            Outcome::Measured { figures } => values.extend(row.read(figures)),
            Outcome::NotMeasured { figures, reason } => match row.read(figures) {
                Some(value) if !row.needs_quiet => values.push(value),
                Some(_) => why = Some(reason.clone()),
                None => {}
            },
            Outcome::Skipped { .. } | Outcome::Failed { .. } => {}
        }
    }
    match (median(&mut values), why) {
        (Some(value), _) => Cell::Value(value, values.len()),
        (None, Some(why)) => Cell::NotMeasured(why),
        (None, None) => Cell::Absent,
    }
}

/// How two targets compare in a row: (median of the ratios of rounds that ran next to each other, how many). The rounds of
/// a scenario are interleaved, so that a ratio is between neighbours in time.
pub fn ratio(target: &TargetReport, to: &TargetReport, row: &Metric) -> Option<(f64, usize)> {
    let believed = |outcome: &Outcome| match outcome {
        Outcome::Measured { figures } => row.read(figures),
        _ => None,
    };
    let mut ratios: Vec<f64> = target
        .rounds
        .iter()
        .zip(&to.rounds)
        .filter_map(|(a, b)| Some((believed(&a.outcome)?, believed(&b.outcome)?)))
        .filter(|(_, b)| *b > 0.0)
        .map(|(a, b)| a / b)
        .collect();
    median(&mut ratios).map(|ratio| (ratio, ratios.len()))
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => values.get(middle).copied(),
        _ => Some((values.get(middle - 1)? + values.get(middle)?) / 2.0),
    }
}

/// A number for people: three digits that matter, thousands apart.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && size < 0.001 {
        return format!("{value:.1e}");
    }
    let digits = match size {
        0.0 => 0,
        s if s < 0.1 => 3,
        s if s < 10.0 => 2,
        s if s < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && whole.len() > 4 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn numbers_are_short_and_say_what_matters() {
        let cases = [
            (0.0, "0"),
            (0.012_34, "0.012"),
            (2.0, "2"),
            (2.345, "2.35"),
            (12.34, "12.3"),
            (1_234.0, "1234"),
            (98_765.4, "98,765"),
            (-1_234_567.0, "-1,234,567"),
            (0.000_012, "1.2e-5"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_busy_round_counts_for_counts_and_not_for_costs() {
        let mut target = samples::target("ringhall", &[3.0, 5.0]);
        let row = |name: &str| fixed().into_iter().find(|row| row.name == name).unwrap();
        assert_eq!(cell(&target, &row(COST)), Cell::Value(4.0, 2));
        for round in &mut target.rounds {
            let figures = Box::new(round.outcome.figures().unwrap().clone());
            let reason = "other load 40 %".to_owned();
            round.outcome = Outcome::NotMeasured { reason, figures };
        }
        assert_eq!(
            cell(&target, &row(COST)),
            Cell::NotMeasured("other load 40 %".to_owned())
        );
        assert_eq!(cell(&target, &row("packets lost")), Cell::Value(0.0, 2));
        assert_eq!(cell(&target, &row("ring (start to incoming), p50")), Cell::Absent);
    }

    #[test]
    fn a_ratio_is_the_median_of_neighbouring_rounds() {
        let (ours, floor) = (
            samples::target("ringhall", &[3.0, 6.0, 40.0]),
            samples::target("floor", &[2.0, 3.0, 4.0]),
        );
        let cost = fixed().into_iter().find(|row| row.name == COST).unwrap();
        assert_eq!(ratio(&ours, &floor, &cost), Some((2.0, 3)));
    }
}
