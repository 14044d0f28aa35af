//! Watches a round: once a second the crowd's counters, the server's process, this process and the machine; and the figures of
//! the window at its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::http;
use crate::impair::Impairment;
use crate::media::tally::{distribution, samples};
use crate::proc::{self, Sample};
use crate::report::model::{Figures, GeneratorFigures, Point};

use super::progress::Progress;

/// The window is not to be believed when others used more of the machine, percent.
pub(super) const OTHER_LOAD_LIMIT: f64 = 10.0;

/// A share of a core that makes the generator's own limit suspect, percent of one of its threads.
const OWN_LIMIT: f64 = 90.0;

/// A machine that is busier than this makes everything wait, percent of all cores.
const FULL: f64 = 96.0;

/// What tasks of a scenario report while it runs.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Media connections that were to come about.
    pub(super) wanted: AtomicU64,
    /// Those that did.
    pub(super) connected: AtomicU64,
    /// Those that did not.
    pub(super) failed: AtomicU64,
    /// Commands answered.
    pub(super) commands: AtomicU64,
    /// Open WebSockets.
    pub(super) sockets: AtomicU64,
    timings: Mutex<BTreeMap<&'static str, Vec<f64>>>,
    errors: Mutex<BTreeMap<String, u64>>,
    extra: Mutex<BTreeMap<String, f64>>,
}

impl Board {
    /// Notes how long something took; see [`crate::report::model::timing`].
    pub(super) fn took(&self, what: &'static str, time: Duration) {
        let mut timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        timings.entry(what).or_default().push(time.as_secs_f64() * 1e3);
    }

    /// Notes a failure; equal ones are counted.
    pub(super) fn error(&self, error: impl std::fmt::Display) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(error.to_string()).or_default() += 1;
    }

    /// Adds to a figure of this scenario only.
    pub(super) fn extra(&self, name: &str, value: f64) {
        let mut extra = self.extra.lock().unwrap_or_else(PoisonError::into_inner);
        *extra.entry(name.to_owned()).or_default() += value;
    }

    /// Why nobody is there.
    pub(super) fn nobody(&self) -> String {
        let why = self.notes();
        why.first().map_or_else(
            || "nobody could join".to_owned(),
            |first| format!("nobody could join: {first}"),
        )
    }

    fn notes(&self) -> Vec<String> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = errors.iter().collect();
        list.sort_by(|a, b| b.1.cmp(a.1));
        list.into_iter()
            .take(10)
            .map(|(what, count)| format!("{count} times: {what}"))
            .collect()
    }
}

/// Where times stand at one moment.
struct Mark {
    at: Instant,
    server: Option<Sample>,
    own: Duration,
    busy: Duration,
    beside: Duration,
}

/// What is watched beside our own crowd.
#[derive(Clone, Default)]
pub(super) struct Watched {
    /// The server's process.
    pub(super) pid: Option<u32>,
    /// The name of processes that belong to it (a database's).
    pub(super) beside: Option<&'static str>,
    /// Where the server tells its estimates, and the link that they are estimates of.
    pub(super) estimates: Option<(String, Impairment)>,
}

impl Watched {
    fn mark(&self) -> Mark {
        Mark {
            at: Instant::now(),
            server: self.pid.and_then(proc::process),
            own: proc::own_time(),
            busy: proc::machine_busy(),
            beside: self.beside.map(proc::time_of).unwrap_or_default(),
        }
    }

    /// Number and sum of the estimates now.
    async fn estimates(&self) -> (u64, f64) {
        let Some((url, _)) = &self.estimates else {
            return (0, 0.0);
        };
        // Without an answer there is no point in the plot.
        let asked = http::request("GET", url, "", "", "");
        match tokio::time::timeout(Duration::from_millis(500), asked).await {
            Ok(Ok(answer)) => (
                sum(&answer.body, "ringhall_media_downlinks_estimated") as u64,
                sum(&answer.body, "ringhall_media_downlink_estimate_bits_per_second"),
            ),
            _ => (0, 0.0),
        }
    }
}

/// The sum of a metric over its labels, in Prometheus' text format.
fn sum(text: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' '])
            .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    };
    text.lines().filter_map(value).sum()
}

/// A running watch.
pub(super) struct Meter {
    engine: Arc<Engine>,
    board: Arc<Board>,
    watched: Watched,
    series: Arc<Mutex<Vec<Point>>>,
    in_window: watch::Sender<bool>,
    watching: JoinHandle<()>,
}

/// The beginning of the window.
pub(super) struct Window(Mark);

impl Meter {
    /// Begins to watch.
    pub(super) fn start(engine: Arc<Engine>, board: Arc<Board>, watched: Watched, progress: Progress) -> Self {
        let series = Arc::new(Mutex::new(Vec::new()));
        let (in_window, inside) = watch::channel(false);
        let watching = tokio::spawn(each_second(
            engine.clone(),
            board.clone(),
            watched.clone(),
            series.clone(),
            inside,
            progress,
        ));
        Self {
            engine,
            board,
            watched,
            series,
            in_window,
            watching,
        }
    }

    /// The window begins.
    pub(super) fn open(&self) -> Window {
        self.engine.open();
        self.in_window.send_replace(true);
        Window(self.watched.mark())
    }

    /// The window ends.
    pub(super) async fn close(self, window: Window) -> Figures {
        let after = self.watched.mark();
        let tally = self.engine.close().await;
        self.in_window.send_replace(false);
        self.watching.abort();
        let before = window.0;
        let took = (after.at - before.at).as_secs_f64();
        let series = std::mem::take(&mut *self.series.lock().unwrap_or_else(PoisonError::into_inner));
        let mut counts = tally.counts();
        let load = |atomic: &AtomicU64| atomic.load(Ordering::Relaxed);
        counts.wanted = load(&self.board.wanted);
        counts.connected = load(&self.board.connected);
        counts.failed += load(&self.board.failed);
        let memory: Vec<(f64, u64)> = series
            .iter()
            .filter(|p| p.in_window)
            .map(|p| (p.t, p.server_rss_bytes))
            .collect();
        let peak = series.iter().map(|p| p.server_rss_bytes).max().unwrap_or(0);
        let server = before
            .server
            .as_ref()
            .zip(after.server.as_ref())
            .map(|(a, b)| proc::figures(a, b, &memory, peak, counts.received));
        let timings = {
            let timings = self.board.timings.lock().unwrap_or_else(PoisonError::into_inner);
            timings
                .iter()
                .filter_map(|(name, values)| Some(((*name).to_owned(), samples(values, "ms")?)))
                .collect()
        };
        let mut extra = self.board.extra.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(name) = self.watched.beside {
            let spent = after.beside.saturating_sub(before.beside).as_secs_f64();
            extra.insert(format!("{name}_cpu_percent"), 100.0 * spent / took);
        }
        let estimate_percent = self.watched.estimates.as_ref().and_then(|(_, link)| {
            let percent = estimate_percent(&series, link);
            samples(&percent, "percent")
        });
        Figures {
            window_seconds: took,
            counts,
            timings,
            delay: distribution(&tally.delay, "us"),
            jitter: distribution(&tally.jitter, "us"),
            freezes: distribution(&tally.freezes, "ms"),
            estimate_percent,
            server,
            generator: GeneratorFigures {
                cpu_percent: 100.0 * (after.own - before.own).as_secs_f64() / took,
                lateness: distribution(&tally.lateness, "us"),
                socket_drops: tally.counts.socket_drops,
                send_failures: tally.counts.send_failures,
                threads: self.engine.threads(),
            },
            other_load_percent: others(&before, &after),
            extra,
            series,
            findings: Vec::new(),
            notes: self.board.notes(),
        }
    }
}

/// Why a window must not be believed; `None` when it may.
pub(super) fn doubts(figures: &Figures) -> Option<String> {
    let mut doubts = Vec::new();
    if figures.other_load_percent > OTHER_LOAD_LIMIT {
        doubts.push(format!(
            "others used {:.0} % of the machine (limit {OTHER_LOAD_LIMIT} %)",
            figures.other_load_percent
        ));
    }
    let generator = &figures.generator;
    if generator.cpu_percent > OWN_LIMIT * generator.threads as f64 {
        doubts.push(format!(
            "the generator was at its own limit: {:.0} % of a core with {} media threads",
            generator.cpu_percent, generator.threads
        ));
    }
    if generator.socket_drops > 0 {
        doubts.push(format!(
            "the generator's own sockets dropped {} datagrams",
            generator.socket_drops
        ));
    }
    let server = figures.server.as_ref().map_or(0.0, |s| s.cpu_percent);
    let busy = (server + generator.cpu_percent) / proc::cores() as f64 + figures.other_load_percent;
    if busy > FULL {
        doubts.push(format!(
            "the machine was full ({busy:.0} % busy): server and generator waited for each other"
        ));
    }
    (!doubts.is_empty()).then(|| doubts.join("; "))
}

/// In each second of the window: the estimates over what the links could carry, percent.
fn estimate_percent(series: &[Point], link: &Impairment) -> Vec<f64> {
    let inside = || series.iter().filter(|p| p.in_window);
    let Some(begin) = inside().map(|p| p.t).next() else {
        return Vec::new();
    };
    let percent = |p: &Point| {
        let at = Duration::from_secs_f64((p.t - begin).max(0.0));
        let capacity = f64::from(link.down_rate_kbps(at)?) * 1e3 * p.estimates as f64;
        (capacity > 0.0).then(|| 100.0 * p.estimate_bps / capacity)
    };
    inside().filter_map(percent).collect()
}

/// What others used between two marks, percent of all cores.
fn others(before: &Mark, after: &Mark) -> f64 {
    let time = |m: &Mark| m.server.as_ref().map_or(Duration::ZERO, |s| s.user + s.system);
    let ours = (after.own - before.own)
        + time(after).saturating_sub(time(before))
        + after.beside.saturating_sub(before.beside);
    let busy = after.busy.saturating_sub(before.busy);
    let all = (after.at - before.at).as_secs_f64() * proc::cores() as f64;
    100.0 * busy.saturating_sub(ours).as_secs_f64() / all.max(0.001)
}

async fn each_second(
    engine: Arc<Engine>,
    board: Arc<Board>,
    watched: Watched,
    series: Arc<Mutex<Vec<Point>>>,
    inside: watch::Receiver<bool>,
    mut progress: Progress,
) {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut last = watched.mark();
    let mut commands = board.commands.load(Ordering::Relaxed);
    loop {
        ticks.tick().await;
        let now = watched.mark();
        let (estimates, estimate_bps) = watched.estimates().await;
        let (tally, connected) = engine.second().await;
        let took = (now.at - last.at).as_secs_f64().max(0.001);
        let time = |m: &Mark| m.server.as_ref().map_or(Duration::ZERO, |s| s.user + s.system);
        let percent = |spent: Duration| 100.0 * spent.as_secs_f64() / took;
        let answered = board.commands.load(Ordering::Relaxed);
        let quantile = |share: f64| tally.delay.value_at_quantile(share) as f64;
        let point = Point {
            t: began.elapsed().as_secs_f64(),
            in_window: *inside.borrow(),
            connected,
            sent: tally.counts.sent,
            received: tally.counts.received,
            received_bytes: tally.counts.received_bytes,
            lost: tally.counts.lost.max(0) as u64,
            freezes: tally.counts.freezes,
            delay_p50_us: quantile(0.5),
            delay_p99_us: quantile(0.99),
            delay_max_us: tally.delay.max() as f64,
            server_cpu_percent: percent(time(&now).saturating_sub(time(&last))),
            server_rss_bytes: now.server.as_ref().map_or(0, |s| s.rss),
            generator_cpu_percent: percent(now.own - last.own),
            lateness_max_us: tally.lateness.max() as f64,
            other_load_percent: others(&last, &now),
            commands: answered - commands,
            sockets: board.sockets.load(Ordering::Relaxed),
            estimate_bps,
            estimates,
        };
        commands = answered;
        last = now;
        progress.show(&point);
        series.lock().unwrap_or_else(PoisonError::into_inner).push(point);
    }
}

#[cfg(test)]
mod tests;
