//! Which plots a scenario gets, and from which rounds.

use super::chart::{self, ChartError, Series};
use super::metrics;
use super::model::{Distribution, Figures, Outcome, Point, ScenarioReport, TargetReport, timing};

/// A finished plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub subtitle: String,
    /// SVG, or a sentence when it could not be drawn.
    pub svg: String,
}

/// A line of every plot: a target of one report.
pub(super) struct Line<'a> {
    /// Its colour.
    pub colour: usize,
    /// The older one of two reports.
    pub dashed: bool,
    /// Its rounds.
    pub target: &'a TargetReport,
}

/// The plots of a scenario in one report.
pub(super) fn of_scenario(report: &ScenarioReport) -> Vec<Plot> {
    let lines: Vec<Line<'_>> = report
        .targets
        .iter()
        .enumerate()
        .map(|(colour, target)| Line {
            colour,
            dashed: false,
            target,
        })
        .collect();
    all(&lines, Some(report))
}

/// The plots of several lines. `scenario`: whose link is the reference for estimates.
pub(super) fn all(lines: &[Line<'_>], scenario: Option<&ScenarioReport>) -> Vec<Plot> {
    let mut plots = Vec::new();
    let mut spread = |title: &str, unit: &str, scale: f64, read: &dyn Fn(&Figures) -> Option<&Distribution>| {
        let series: Vec<Series> = lines
            .iter()
            .filter_map(|line| Some(cumulative(line, read(typical(line.target)?)?, scale)))
            .filter(|series| series.points.len() > 1)
            .collect();
        if !series.is_empty() {
            let drawn = chart::distribution(&series, unit);
            plots.push(plot(title, "share of the samples that took at most so long", drawn));
        }
    };
    spread("Delay of packets", "ms", 1e-3, &|f| f.delay.as_ref());
    for (title, name) in [
        ("Join to connected", timing::JOIN),
        ("Join to first whole frame", timing::FIRST_FRAME),
        ("Ring", timing::RING),
        ("Reconnect to media", timing::RECONNECT),
        ("Layer switch", timing::LAYER_SWITCH),
        ("Command to result", timing::COMMAND),
    ] {
        spread(title, "ms", 1.0, &move |f| f.timings.get(name));
    }
    let mut course = |title: &str, subtitle: &str, read: &dyn Fn(&Point) -> f64| {
        let series = courses(lines, read);
        if series.iter().flat_map(|s| &s.points).any(|(_, y)| *y > 0.0) {
            let window = lines.iter().find_map(|line| window(typical(line.target)?));
            plots.push(plot(title, subtitle, chart::over_time(&series, window, None)));
        }
    };
    course("Delay, 99th percentile", "ms in each second", &|p| p.delay_p99_us / 1e3);
    course("Packets that reached viewers", "a second", &|p| p.received as f64);
    course("Lost packets", "a second", &|p| p.lost as f64);
    course("Freezes", "that ended in each second", &|p| p.freezes as f64);
    course("Commands answered", "a second", &|p| p.commands as f64);
    course("Open WebSockets", "at each second", &|p| p.sockets as f64);
    course("Server CPU", "% of one core", &|p| p.server_cpu_percent);
    course("Server memory", "MiB resident", &|p| {
        p.server_rss_bytes as f64 / f64::from(1 << 20)
    });
    course("Generator: worst lateness of a send", "ms in each second", &|p| {
        p.lateness_max_us / 1e3
    });
    course("Other load on the machine", "% of all cores", &|p| p.other_load_percent);
    plots.extend(scenario.and_then(|scenario| estimates(lines, scenario)));
    plots
}

/// Estimates beside what the link could carry.
fn estimates(lines: &[Line<'_>], scenario: &ScenarioReport) -> Option<Plot> {
    let link = scenario.scenario.link.as_ref()?;
    let series = courses(lines, &|p| p.estimate_bps / 1e6);
    if !series.iter().flat_map(|s| &s.points).any(|(_, y)| *y > 0.0) {
        return None;
    }
    let figures = lines.iter().find_map(|line| typical(line.target))?;
    let (begin, _) = window(figures)?;
    let viewers = scenario
        .scenario
        .rooms
        .as_ref()
        .map_or(1, |rooms| rooms.count * (rooms.viewers + rooms.members));
    let capacity = Series {
        colour: 0,
        dashed: true,
        points: figures
            .series
            .iter()
            .filter_map(|point| {
                let at = std::time::Duration::from_secs_f64((point.t - begin).max(0.0));
                let rate = f64::from(link.down_rate_kbps(at)?) / 1e3;
                Some((point.t, rate * viewers as f64))
            })
            .collect(),
    };
    let drawn = chart::over_time(&series, window(figures), Some(&capacity));
    Some(plot(
        "Bandwidth estimate",
        "Mbit/s, all viewers together; dashed: what the links carry",
        drawn,
    ))
}

fn plot(title: &str, subtitle: &str, drawn: Result<String, ChartError>) -> Plot {
    Plot {
        title: title.to_owned(),
        subtitle: subtitle.to_owned(),
        // The sentence has no markup of anybody's: it is plotters' own.
        svg: drawn.unwrap_or_else(|error| maud::html! { p { (error.to_string()) } }.into_string()),
    }
}

/// The round to draw: of those with the most credit the one whose cost is in the middle.
fn typical(target: &TargetReport) -> Option<&Figures> {
    let cost = metrics::fixed().into_iter().find(|row| row.name == metrics::COST)?;
    let believed = |outcome: &Outcome| matches!(outcome, Outcome::Measured { .. });
    let any = target.rounds.iter().any(|round| believed(&round.outcome));
    let mut rounds: Vec<&Figures> = target
        .rounds
        .iter()
        .filter(|round| !any || believed(&round.outcome))
        .filter_map(|round| round.outcome.figures())
        .collect();
    let order = |f: &Figures| cost.read(f).unwrap_or_default();
    rounds.sort_by(|a, b| order(a).total_cmp(&order(b)));
    rounds.get(rounds.len().saturating_sub(1) / 2).copied()
}

fn cumulative(line: &Line<'_>, distribution: &Distribution, scale: f64) -> Series {
    let whole: u64 = distribution.buckets.iter().map(|(_, count)| count).sum();
    let mut points = Vec::new();
    let mut sum = 0;
    if distribution.count > 0 && whole > 0 {
        points.push(((distribution.min * scale).max(1e-3), 0.0));
        for (bound, count) in &distribution.buckets {
            sum += count;
            points.push(((bound * scale).max(1e-3), sum as f64 * 100.0 / whole as f64));
        }
    }
    Series {
        colour: line.colour,
        dashed: line.dashed,
        points,
    }
}

fn courses(lines: &[Line<'_>], read: &dyn Fn(&Point) -> f64) -> Vec<Series> {
    lines
        .iter()
        .filter_map(|line| {
            let figures = typical(line.target)?;
            Some(Series {
                colour: line.colour,
                dashed: line.dashed,
                points: figures.series.iter().map(|point| (point.t, read(point))).collect(),
            })
        })
        .collect()
}

fn window(figures: &Figures) -> Option<(f64, f64)> {
    let mut inside = figures
        .series
        .iter()
        .filter(|point| point.in_window)
        .map(|point| point.t);
    let first = inside.next()?;
    Some((first, inside.next_back().unwrap_or(first)))
}
