//! Two reports side by side: before and after a change, or two machines.

use std::fmt::Write;

use maud::{Markup, html};

use super::metrics::{self, Better, Cell, Group, Metric, cell, number};
use super::model::{Report, ScenarioReport, TargetReport};
use super::page::{document, figures, unit};
use super::plots::{self, Line};

/// A change smaller than this is not called one, percent: rounds differ by more.
const NOISE: f64 = 3.0;

/// The comparison as a page.
pub fn html(old: &Report, new: &Report) -> String {
    let pairs = pairs(old, new);
    let body = html! {
        header {
            h1 { "Two load reports" }
            p.soft { "Before: " (old.run.started) ", commit " (old.run.commit) ", " (old.machine.cpu) }
            p.soft { "After: " (new.run.started) ", commit " (new.run.commit) ", " (new.machine.cpu) }
        }
        @if old.machine != new.machine {
            p.notice { "The machines are not the same: times and costs do not compare, only ratios within each report do." }
        }
        @for (before, after) in &pairs { (section(before, after)) }
        (missing("Only before", &old.scenarios, new))
        (missing("Only after", &new.scenarios, old))
    };
    document("Two load reports", &body)
}

/// The comparison for the terminal.
pub fn text(old: &Report, new: &Report) -> String {
    let mut out = String::new();
    for (before, after) in pairs(old, new) {
        for (a, b) in targets(before, after) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "\n{}, {}", after.scenario.title, b.target);
            for (row, before, after) in changes(a, b) {
                let _ = writeln!(
                    out,
                    "  {:<34} {:>12} {:>12} {:>9}",
                    row.name,
                    plain(&before, &row),
                    plain(&after, &row),
                    change(&row, &before, &after).map_or(String::new(), |(percent, _)| signed(percent)),
                );
            }
        }
    }
    out
}

fn pairs<'a>(old: &'a Report, new: &'a Report) -> Vec<(&'a ScenarioReport, &'a ScenarioReport)> {
    let before = |after: &ScenarioReport| old.scenarios.iter().find(|s| s.scenario.name == after.scenario.name);
    new.scenarios
        .iter()
        .filter_map(|after| Some((before(after)?, after)))
        .collect()
}

fn targets<'a>(before: &'a ScenarioReport, after: &'a ScenarioReport) -> Vec<(&'a TargetReport, &'a TargetReport)> {
    let old = |new: &TargetReport| before.targets.iter().find(|target| target.target == new.target);
    after.targets.iter().filter_map(|new| Some((old(new)?, new))).collect()
}

fn changes(before: &TargetReport, after: &TargetReport) -> Vec<(Metric, Cell, Cell)> {
    metrics::rows(&[before.clone(), after.clone()])
        .into_iter()
        .map(|row| {
            let (old, new) = (cell(before, &row), cell(after, &row));
            (row, old, new)
        })
        .collect()
}

/// Percent, and whether that is an improvement; `None` inside the noise or where nothing is better.
fn change(row: &Metric, before: &Cell, after: &Cell) -> Option<(f64, Option<bool>)> {
    let (old, new) = (before.value()?, after.value()?);
    if old == 0.0 && new == 0.0 {
        return None;
    }
    // From nothing to something has no percentage; it is shown as a full one.
    let percent = if old == 0.0 {
        100.0 * new.signum()
    } else {
        (new - old) * 100.0 / old.abs()
    };
    let better = match row.better {
        _ if percent.abs() < NOISE => None,
        Better::Neither => None,
        Better::Lower => Some(percent < 0.0),
        Better::Higher => Some(percent > 0.0),
    };
    Some((percent, better))
}

fn signed(percent: f64) -> String {
    format!("{percent:+.1} %")
}

fn plain(cell: &Cell, row: &Metric) -> String {
    match cell {
        Cell::Value(value, _) => format!("{} {}", number(*value), unit(row.unit)).trim_end().to_owned(),
        Cell::NotMeasured(_) => "not measured".to_owned(),
        Cell::Absent => "-".to_owned(),
    }
}

fn section(before: &ScenarioReport, after: &ScenarioReport) -> Markup {
    html! {
        section.card {
            h2 { (after.scenario.title) }
            @if before.scenario != after.scenario {
                p.notice { "The scenario itself differs between the two reports." }
            }
            @for (old, new) in targets(before, after) {
                h3 { (new.target) " · " (new.description) }
                ul.legend {
                    li { span.key.dashed.c5 {} "before" }
                    li { span.key.c0 {} "after" }
                }
                (table(old, new))
                (figures(&plots::all(&[
                    Line { colour: 5, dashed: true, target: old },
                    Line { colour: 0, dashed: false, target: new },
                ], None)))
            }
        }
    }
}

fn table(old: &TargetReport, new: &TargetReport) -> Markup {
    let rows = changes(old, new);
    html! {
        div.scroll {
            table {
                thead { tr { th {} th { "before" } th { "after" } th { "change" } } }
                @for group in Group::ALL {
                    @let rows: Vec<_> = rows.iter().filter(|(row, ..)| row.group == group).collect();
                    @if !rows.is_empty() {
                        tbody {
                            tr.group { th colspan="4" { (group.title()) } }
                            @for (row, before, after) in rows {
                                tr {
                                    td { (row.name) }
                                    td { (plain(before, row)) }
                                    td { (plain(after, row)) }
                                    @match change(row, before, after) {
                                        Some((percent, Some(true))) => td.better { (signed(percent)) },
                                        Some((percent, Some(false))) => td.worse { (signed(percent)) },
                                        Some((percent, None)) => td.ratio { (signed(percent)) },
                                        None => td.ratio { "–" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn missing(title: &str, scenarios: &[ScenarioReport], other: &Report) -> Markup {
    let alone: Vec<&str> = scenarios
        .iter()
        .map(|s| s.scenario.name.as_str())
        .filter(|name| !other.scenarios.iter().any(|s| s.scenario.name == *name))
        .collect();
    html! { @if !alone.is_empty() { p.soft { (title) ": " (alone.join(", ")) } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn better_and_worse_are_told_apart_and_noise_is_neither() {
        let row = |better| {
            let mut row = metrics::fixed().remove(0);
            row.better = better;
            row
        };
        let cells = |old, new| (Cell::Value(old, 1), Cell::Value(new, 1));
        let judged = |better, old, new| {
            let (before, after) = cells(old, new);
            change(&row(better), &before, &after).and_then(|(_, better)| better)
        };
        assert_eq!(judged(Better::Lower, 10.0, 8.0), Some(true));
        assert_eq!(judged(Better::Lower, 10.0, 12.0), Some(false));
        assert_eq!(judged(Better::Higher, 10.0, 12.0), Some(true));
        assert_eq!(judged(Better::Lower, 10.0, 10.2), None);
        assert_eq!(judged(Better::Lower, 0.0, 3.0), Some(false));
        assert_eq!(judged(Better::Neither, 10.0, 20.0), None);
    }

    #[test]
    fn a_comparison_shows_both_and_the_change() {
        let old = samples::report();
        let mut new = samples::report();
        new.scenarios[0].targets[0] = samples::target("ringhall", &[6.0, 6.0]);
        let page = html(&old, &new);
        assert!(page.contains("+100.0 %") && page.contains("class=\"worse\""), "{page}");
        assert!(page.contains("<svg"));
        assert!(text(&old, &new).contains("+100.0 %"));
    }
}
