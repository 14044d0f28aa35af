//! What is read from the figures of a round, one row each: the one list behind the page, the tables and the comparison.

use super::model::{Distribution, Figures, ProcessFigures, TargetReport, timing};

pub use super::cells::{ABOVE_FLOOR, Cell, above, cell, number, ratio};

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
        plain(
            "estimate over what the link carries, p50",
            "%",
            Feel,
            Neither,
            false,
            |f| f.estimate_percent.as_ref().filter(|d| d.count > 0).map(|d| d.p50),
        ),
        plain(
            "estimate over what the link carries, worst",
            "%",
            Feel,
            Neither,
            false,
            |f| {
                let d = f.estimate_percent.as_ref().filter(|d| d.count > 0)?;
                Some(if d.max - 100.0 > 100.0 - d.min { d.max } else { d.min })
            },
        ),
        plain("key frames asked for", "/s", Feel, Neither, false, |f| {
            media(f, f.counts.key_frame_requests).map(|n| n / f.window_seconds.max(0.001))
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
