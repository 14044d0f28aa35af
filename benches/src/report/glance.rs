//! The top of the page: what a reader wants to know first.

use maud::{Markup, html};

use super::metrics::{self, COST, Cell, Metric, cell, number};
use super::model::{Finding, Outcome, Report, ScenarioReport, TargetReport, Verdict};
use super::page::unit;

/// The target that costs what any server costs at the least.
pub(super) const FLOOR: &str = "floor";
/// Targets that others are set in relation to, and what they are called.
pub(super) const REFERENCES: [(&str, &str); 2] = [(FLOOR, "the floor"), ("janus", "Janus")];

/// Place among the targets, target, cost.
type Bar<'a> = (usize, &'a TargetReport, f64);

/// What a forwarded packet costs in each room at each server, as bars; where servers stand side by side.
pub(super) fn headline(report: &Report) -> Markup {
    let cost = metrics::fixed().into_iter().find(|row| row.name == COST);
    let Some(cost) = cost else { return html! {} };
    let rooms: Vec<(&ScenarioReport, Vec<Bar<'_>>)> = report
        .scenarios
        .iter()
        .map(|scenario| {
            let targets = scenario.targets.iter().enumerate();
            let bars = targets.filter_map(|(at, target)| Some((at, target, cell(target, &cost).value()?)));
            (scenario, bars.collect())
        })
        .filter(|(_, bars): &(_, Vec<Bar<'_>>)| bars.len() > 1)
        .collect();
    let most = rooms
        .iter()
        .flat_map(|(_, bars)| bars)
        .map(|(.., value)| *value)
        .fold(0.0, f64::max);
    html! {
        @if most > 0.0 {
            section.card {
                h2 { "What a forwarded packet costs" }
                p.soft { "CPU time of the whole server process over the packets that viewers received; shorter is cheaper." }
                @for (scenario, bars) in &rooms {
                    h3 { (scenario.scenario.title) }
                    div.bars {
                        @for (at, target, value) in bars {
                            span { (target.target) }
                            span.track { span class=(format!("bar c{}", at % super::chart::COLOURS)) style=(format!("width:{:.1}%", value * 100.0 / most)) {} }
                            span.amount { (number(*value)) small { (unit(cost.unit)) } (times(scenario, target, &cost)) }
                        }
                    }
                }
            }
        }
    }
}

/// "1.24x the floor, 0.2x Janus".
fn times(scenario: &ScenarioReport, target: &TargetReport, row: &Metric) -> Markup {
    let said: Vec<String> = REFERENCES
        .iter()
        .filter_map(|(reference, name)| {
            Some(format!(
                "{}x {name}",
                number(ratio(scenario, target, row, reference)?.0)
            ))
        })
        .collect();
    html! { @if !said.is_empty() { small { (said.join(", ")) } } }
}

fn ratio(scenario: &ScenarioReport, target: &TargetReport, row: &Metric, reference: &str) -> Option<(f64, usize)> {
    let other = scenario.targets.iter().find(|other| other.target == reference)?;
    (other.target != target.target).then(|| metrics::ratio(target, other, row))?
}

/// Every scenario and target in a line.
pub(super) fn overview(report: &Report) -> Markup {
    let wanted = [
        COST,
        "packets lost",
        "delay, p50",
        "delay, p99",
        "join (to connected), p95",
        "memory (RSS) at the end",
    ];
    let rows: Vec<Metric> = metrics::fixed()
        .into_iter()
        .filter(|row| wanted.contains(&row.name.as_str()))
        .collect();
    let heads = ["Join p95", "Delay p50", "Delay p99", "Lost", "CPU a packet", "Memory"];
    html! {
        section.card {
            h2 { "At a glance" }
            div.scroll {
                table {
                    thead { tr {
                        th { "Scenario and server" }
                        @for head in heads { th { (head) } }
                        th { "Verdict" }
                    } }
                    @for scenario in &report.scenarios {
                        tbody {
                            tr.group { th colspan=(heads.len() + 2) { a href=(format!("#{}", scenario.scenario.name)) { (scenario.scenario.title) } } }
                            @for target in &scenario.targets { (glance(target, &rows)) }
                        }
                    }
                }
            }
        }
    }
}

fn glance(target: &TargetReport, rows: &[Metric]) -> Markup {
    let figures: Vec<_> = target
        .rounds
        .iter()
        .filter_map(|round| round.outcome.figures())
        .collect();
    // Without media the row would be empty: what was timed stands there instead.
    let media = figures.iter().any(|f| f.counts.sent > 0 || f.counts.received > 0);
    html! {
        tr {
            td { (target.target) }
            @if media {
                @for row in rows { (value(&cell(target, row), row, false)) }
            } @else if figures.is_empty() {
                td.none.why colspan=(rows.len()) { (why_not(target)) }
            } @else {
                td.why colspan=(rows.len()) { (timings(target)) }
            }
            td { (chip(target)) }
        }
    }
}

/// The most telling times of a scenario without media, in a sentence.
fn timings(target: &TargetReport) -> String {
    let wanted = [
        ("ring (start to incoming), p99", "ring p99"),
        ("resume to last missed event, p99", "resume p99"),
        ("command to result, p99", "command p99"),
        ("hello to welcome, p99", "hello p99"),
        ("memory (RSS) at the end", "memory"),
    ];
    let rows = metrics::fixed();
    let said = wanted.iter().filter_map(|(name, short)| {
        let row = rows.iter().find(|row| row.name == *name)?;
        let text = match cell(target, row) {
            Cell::Value(value, _) => format!("{short} {} {}", number(value), unit(row.unit)),
            Cell::NotMeasured(_) => format!("{short} not measured"),
            Cell::Absent => return None,
        };
        Some(text)
    });
    said.collect::<Vec<_>>().join(" · ")
}

/// The ratio to another target, as a cell.
pub(super) fn ratio_cell(scenario: &ScenarioReport, target: &TargetReport, row: Option<&Metric>, to: &str) -> Markup {
    let ratio = row.and_then(|row| ratio(scenario, target, row, to));
    html! {
        @match ratio {
            Some((ratio, rounds)) => td.ratio title=(format!("median of {rounds} rounds")) { (number(ratio)) "x" },
            None => td.ratio { "–" },
        }
    }
}

fn why_not(target: &TargetReport) -> String {
    let reason = target.rounds.iter().find_map(|round| match &round.outcome {
        Outcome::Skipped { reason } => Some(format!("skipped: {reason}")),
        Outcome::Failed { reason } => Some(format!("failed: {reason}")),
        _ => None,
    });
    reason.unwrap_or_else(|| "not run".to_owned())
}

/// The worst of what was found in all rounds.
pub(super) fn findings(target: &TargetReport) -> Vec<&Finding> {
    let mut worst: Vec<&Finding> = Vec::new();
    for finding in target
        .rounds
        .iter()
        .filter_map(|r| r.outcome.figures())
        .flat_map(|f| &f.findings)
    {
        match worst.iter_mut().find(|known| known.check == finding.check) {
            Some(known) if rank(finding.verdict) > rank(known.verdict) => *known = finding,
            Some(_) => {}
            None => worst.push(finding),
        }
    }
    worst.sort_by_key(|finding| std::cmp::Reverse(rank(finding.verdict)));
    worst
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Good => 0,
        Verdict::Unknown => 1,
        Verdict::Warning => 2,
        Verdict::Bad => 3,
    }
}

pub(super) fn verdict(verdict: Verdict) -> Markup {
    let (class, text) = match verdict {
        Verdict::Good => ("good", "good"),
        Verdict::Warning => ("warning", "look"),
        Verdict::Bad => ("bad", "broken"),
        Verdict::Unknown => ("", "unknown"),
    };
    html! { span class=(format!("chip {class}")) { (text) } }
}

/// How a target's rounds went, in a word.
fn chip(target: &TargetReport) -> Markup {
    let any = |wanted: fn(&Outcome) -> bool| target.rounds.iter().any(|round| wanted(&round.outcome));
    if any(|o| matches!(o, Outcome::Failed { .. })) {
        return html! { span.chip.bad { "failed" } };
    }
    match findings(target).first() {
        Some(worst) if rank(worst.verdict) > 1 => verdict(worst.verdict),
        _ if any(|o| matches!(o, Outcome::Measured { .. })) => html! { span.chip.good { "good" } },
        _ if any(|o| matches!(o, Outcome::NotMeasured { .. })) => html! { span.chip.warning { "not measured" } },
        _ => html! { span.chip { "skipped" } },
    }
}

/// Several values of one unit in one cell.
pub(super) fn values(target: &TargetReport, rows: &[&Metric]) -> Markup {
    let cells: Vec<Cell> = rows.iter().map(|row| cell(target, row)).collect();
    let numbers: Vec<String> = cells.iter().filter_map(Cell::value).map(number).collect();
    let why = cells.iter().find_map(|cell| match cell {
        Cell::NotMeasured(why) => Some(why),
        _ => None,
    });
    html! {
        @if let Some(why) = why {
            td.none title=(why) { "not measured" }
        } @else if numbers.is_empty() {
            td.none { "–" }
        } @else {
            td { (numbers.join(" / ")) @if let Some(row) = rows.first() { small { (unit(row.unit)) } } }
        }
    }
}

/// A value as a cell.
pub(super) fn value(cell: &Cell, row: &Metric, wide: bool) -> Markup {
    html! {
        @match cell {
            Cell::Value(value, rounds) => td title=(format!("{}, {rounds} rounds", row.name)) { (number(*value)) @if !row.unit.is_empty() { small { (unit(row.unit)) } } },
            Cell::NotMeasured(why) => td.none title=(why) { @if wide { "not measured" } @else { "n. m." } },
            Cell::Absent => td.none { "–" },
        }
    }
}
