//! The same in plain text: for the terminal, and as a table to paste into documentation.

use std::fmt::Write;

use super::glance::{FLOOR, REFERENCES, findings};
use super::metrics::{self, ABOVE_FLOOR, COST, Cell, Group, Metric, cell, number};
use super::model::{Outcome, Report, ScenarioReport, TargetReport, Verdict};
use super::page::unit;

/// The terminal summary.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    for scenario in &report.scenarios {
        // Writing to a String cannot fail.
        let _ = one(&mut out, scenario);
    }
    out
}

fn one(out: &mut String, scenario: &ScenarioReport) -> std::fmt::Result {
    writeln!(out, "\n{} ({})", scenario.scenario.title, scenario.scenario.name)?;
    let rows = metrics::rows(&scenario.targets);
    let ran: Vec<&TargetReport> = scenario.targets.iter().filter(|target| has_figures(target)).collect();
    for target in &scenario.targets {
        for reason in reasons(target) {
            writeln!(out, "  {}: {reason}", target.target)?;
        }
    }
    if ran.is_empty() {
        return Ok(());
    }
    let mut table = vec![vec![String::new()]];
    table[0].extend(ran.iter().map(|target| target.target.clone()));
    for group in Group::ALL {
        for row in rows.iter().filter(|row| row.group == group) {
            let mut line = vec![row.name.clone()];
            line.extend(ran.iter().map(|target| shown(&cell(target, row), row)));
            table.push(line);
            if row.name == COST && ran.len() > 1 {
                table.extend(REFERENCES.iter().filter_map(|(to, name)| ratios(&ran, row, to, name)));
            }
            if ABOVE_FLOOR.contains(&row.name.as_str()) {
                table.extend(above_floor(&ran, row));
            }
        }
    }
    let columns = table[0].len();
    let width = |column: usize| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in &table {
        write!(out, "  {:<width$}", line[0], width = widths[0])?;
        for (text, width) in line.iter().zip(&widths).skip(1) {
            write!(out, "  {text:>width$}")?;
        }
        writeln!(out)?;
    }
    for target in &ran {
        for finding in findings(target) {
            let word = match finding.verdict {
                Verdict::Good => continue,
                Verdict::Warning => "look",
                Verdict::Bad => "BROKEN",
                Verdict::Unknown => "unknown",
            };
            writeln!(out, "  {word}: {}: {}", target.target, finding.text)?;
        }
    }
    Ok(())
}

fn ratios(ran: &[&TargetReport], row: &Metric, to: &str, name: &str) -> Option<Vec<String>> {
    let other = ran.iter().find(|target| target.target == to)?;
    let mut line = vec![format!("  ratio to {name}")];
    line.extend(ran.iter().map(|target| match metrics::ratio(target, other, row) {
        Some((ratio, _)) if target.target != to => format!("{}x", number(ratio)),
        _ => "-".to_owned(),
    }));
    Some(line)
}

fn above_floor(ran: &[&TargetReport], row: &Metric) -> Option<Vec<String>> {
    let floor = ran
        .iter()
        .find(|target| target.target == FLOOR)
        .filter(|_| ran.len() > 1)?;
    let mut line = vec!["  above the floor's".to_owned()];
    line.extend(ran.iter().map(|target| match metrics::above(target, floor, row) {
        Some(more) if target.target != FLOOR => format!("{} {}", number(more), unit(row.unit)),
        _ => "-".to_owned(),
    }));
    Some(line)
}

fn shown(cell: &Cell, row: &Metric) -> String {
    match cell {
        Cell::Value(value, _) if row.unit.is_empty() => number(*value),
        Cell::Value(value, _) => format!("{} {}", number(*value), unit(row.unit)),
        Cell::NotMeasured(_) => "not measured".to_owned(),
        Cell::Absent => "-".to_owned(),
    }
}

fn has_figures(target: &TargetReport) -> bool {
    target.rounds.iter().any(|round| round.outcome.figures().is_some())
}

fn reasons(target: &TargetReport) -> Vec<String> {
    let mut reasons: Vec<String> = target
        .rounds
        .iter()
        .filter_map(|round| match &round.outcome {
            Outcome::Measured { .. } => None,
            Outcome::NotMeasured { reason, .. } => Some(format!("not measured: {reason}")),
            Outcome::Skipped { reason } => Some(format!("skipped: {reason}")),
            Outcome::Failed { reason } => Some(format!("failed: {reason}")),
        })
        .collect();
    reasons.dedup();
    reasons
}

/// A Markdown table of the rows that matter most: a line for each scenario and target.
pub fn markdown(report: &Report) -> String {
    let wanted = [
        "packets forwarded",
        "packets lost",
        "delay, p50",
        "delay, p99",
        "join (to connected), p95",
        COST,
        "memory (RSS) at the end",
    ];
    let rows: Vec<Metric> = metrics::fixed()
        .into_iter()
        .filter(|row| wanted.contains(&row.name.as_str()))
        .collect();
    let cost = rows.iter().find(|row| row.name == COST);
    let mut out = String::from("| scenario | server |");
    for row in &rows {
        out.push_str(&format!(" {} |", row.name));
    }
    for (_, name) in REFERENCES {
        out.push_str(&format!(" ratio to {name} |"));
    }
    out.push_str("\n|---|---|");
    out.push_str(&"---|".repeat(rows.len() + REFERENCES.len()));
    out.push('\n');
    for scenario in &report.scenarios {
        for target in &scenario.targets {
            out.push_str(&format!("| {} | {} |", scenario.scenario.name, target.target));
            if !has_figures(target) {
                let why = reasons(target).join("; ");
                let rest = " |".repeat(rows.len() + REFERENCES.len() - 1);
                out.push_str(&format!(" {why} |{rest}\n"));
                continue;
            }
            for row in &rows {
                out.push_str(&format!(" {} |", shown(&cell(target, row), row)));
            }
            for (to, _) in REFERENCES {
                let other = scenario
                    .targets
                    .iter()
                    .find(|other| other.target == to && to != target.target);
                let ratio = other.and_then(|other| metrics::ratio(target, other, cost?));
                let ratio = ratio.map_or("-".to_owned(), |(ratio, _)| format!("{}x", number(ratio)));
                out.push_str(&format!(" {ratio} |"));
            }
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn the_terminal_shows_values_ratios_and_reasons() {
        let text = summary(&samples::report());
        for wanted in [
            "ten people (ten)",
            "1.5x",
            "skipped: no simulcast in this room",
            "not measured",
            "BROKEN: ringhall: 3 packets",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }

    #[test]
    fn the_table_has_as_many_cells_in_every_line() {
        let table = markdown(&samples::report());
        let cells: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
        assert!(
            cells.len() > 3 && cells.windows(2).all(|pair| pair[0] == pair[1]),
            "{table}"
        );
    }
}
