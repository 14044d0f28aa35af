//! One run as a page: self-contained, light and dark, wide and narrow.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::glance::{self, FLOOR, REFERENCES, findings, value, verdict};
use super::metrics::{self, ABOVE_FLOOR, COST, Group, Metric, cell, number};
use super::model::{Finding, Outcome, Report, ScenarioReport, TargetReport, Verdict};
use super::plots::{self, Plot};

const STYLE: &str = include_str!("style.css");

/// The page of one run.
pub fn html(report: &Report) -> String {
    let body = html! {
        header {
            h1 { "Ringhall load report" }
            p.soft { (report.run.started) " · " (duration(report.run.took_seconds)) " · " (report.scenarios.len()) @if report.scenarios.len() == 1 { " scenario" } @else { " scenarios" } }
        }
        (glance::headline(report))
        (glance::overview(report))
        (facts(report))
        @for scenario in &report.scenarios { (section(scenario)) }
        (reading())
    };
    document("Ringhall load report", &body)
}

/// A whole document around a body.
pub(super) fn document(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
    .into_string()
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {} s", seconds % 60),
    }
}

fn facts(report: &Report) -> Markup {
    let (run, machine) = (&report.run, &report.machine);
    let commit = if run.commit.is_empty() { "unknown" } else { &run.commit };
    html! {
        section.card {
            h2 { "On what, and how" }
            dl.facts {
                dt { "Machine" }
                dd { (machine.cpu) ", " (machine.cores) " cores, " (number(machine.memory_bytes as f64 / 1e9)) " GB" }
                dt { "System" }
                dd { (machine.os) ", Linux " (machine.kernel) ", socket buffers up to "
                    (number(machine.socket_buffers.0 as f64 / 1024.0)) " and " (number(machine.socket_buffers.1 as f64 / 1024.0)) " KiB" }
                dt { "Harness" }
                dd { (run.version) " (" (run.profile) "), commit " (commit) ", seed " (run.seed) }
                dt { "Again with" }
                dd { code { (run.command) } }
            }
            @if run.profile == "debug" {
                p.notice { "The harness is a debug build: its own limits come early, and nothing here is to be compared with other runs." }
            }
        }
    }
}

fn section(report: &ScenarioReport) -> Markup {
    let scenario = &report.scenario;
    let rows = metrics::rows(&report.targets);
    let ran: Vec<&TargetReport> = report
        .targets
        .iter()
        .filter(|t| t.rounds.iter().any(|round| round.outcome.figures().is_some()))
        .collect();
    html! {
        section.card id=(scenario.name) {
            h2 { (scenario.title) }
            @if !scenario.description.is_empty() { p.soft { (scenario.description) } }
            p.soft { code { (scenario.name) } " · " (number(scenario.duration_seconds)) " s measured a round · seed " (scenario.seed) }
            ul.legend {
                @for (at, target) in report.targets.iter().enumerate() {
                    li { span class=(format!("key c{}", at % super::chart::COLOURS)) {} (target.target) " " small { (target.description) } }
                }
            }
            @for target in &report.targets { (remarks(target)) }
            (table(report, &ran, &rows))
            @for target in &ran { (threads(target)) }
            (figures(&plots::of_scenario(report)))
        }
    }
}

/// Why figures of a target are missing or not to be believed, what was found, and notes.
fn remarks(target: &TargetReport) -> Markup {
    let mut reasons: Vec<String> = Vec::new();
    for round in &target.rounds {
        let reason = match &round.outcome {
            Outcome::Measured { .. } => continue,
            Outcome::NotMeasured { reason, .. } => format!("Not measured: {reason}"),
            Outcome::Skipped { reason } => format!("Skipped: {reason}"),
            Outcome::Failed { reason } => format!("Failed: {reason}"),
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let found = findings(target);
    let (good, rest): (Vec<&Finding>, Vec<&Finding>) = found.into_iter().partition(|f| f.verdict == Verdict::Good);
    let mut notes: Vec<&String> = target
        .rounds
        .iter()
        .filter_map(|r| r.outcome.figures())
        .flat_map(|f| &f.notes)
        .collect();
    notes.sort();
    notes.dedup();
    html! {
        @for reason in &reasons { p.notice { b { (target.target) } ": " (reason) } }
        @if !(rest.is_empty() && good.is_empty()) {
            ul.findings {
                @for finding in &rest {
                    li { (verdict(finding.verdict)) span { b { (target.target) ": " } (finding.text) } }
                }
                @if !good.is_empty() {
                    li { (verdict(Verdict::Good)) span { b { (target.target) ": " }
                        (good.iter().map(|f| f.check.replace('_', " ")).collect::<Vec<_>>().join(", ")) } }
                }
            }
        }
        @for note in &notes { p.soft { (target.target) ": " (note) } }
    }
}

fn table(report: &ScenarioReport, ran: &[&TargetReport], rows: &[Metric]) -> Markup {
    if ran.is_empty() {
        return html! {};
    }
    let rounds = ran.iter().map(|target| target.rounds.len()).max().unwrap_or(0);
    let compared = ran.len() > 1;
    html! {
        h3 { @if rounds > 1 { "Medians of " (rounds) " interleaved rounds" } @else { "One round" } }
        div.scroll {
            table {
                thead { tr { th {} @for target in ran { th { (target.target) } } } }
                @for group in Group::ALL {
                    @let rows: Vec<&Metric> = rows.iter().filter(|row| row.group == group).collect();
                    @if !rows.is_empty() {
                        tbody {
                            tr.group { th colspan=(ran.len() + 1) { (group.title()) } }
                            @for (base, percentiles) in together(&rows) {
                                tr {
                                    td { (base) small { "p50 / p95 / p99" } }
                                    @for target in ran { (glance::values(target, percentiles)) }
                                }
                            }
                            @for row in rows.iter().filter(|row| !in_three(row)) {
                                tr {
                                    td { (row.name) }
                                    @for target in ran { (value(&cell(target, row), row, true)) }
                                }
                                @if compared && row.name == COST {
                                    @for (reference, name) in REFERENCES {
                                        @if ran.iter().any(|target| target.target == reference) {
                                            tr.within {
                                                td { "as a ratio to " (name) }
                                                @for target in ran { (glance::ratio_cell(report, target, Some(row), reference)) }
                                            }
                                        }
                                    }
                                }
                                @if compared && ABOVE_FLOOR.contains(&row.name.as_str()) { (above_floor(report, ran, row)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether a row is one of three percentiles that stand in one line of the table.
fn in_three(row: &Metric) -> bool {
    row.group == Group::ComingIn && row.name.contains(", p")
}

/// Rows of three percentiles, by what they are percentiles of.
fn together<'a>(rows: &'a [&'a Metric]) -> Vec<(&'a str, &'a [&'a Metric])> {
    let three = rows.iter().position(|row| in_three(row)).unwrap_or(rows.len());
    let base = |row: &'a Metric| row.name.strip_suffix(", p50");
    let chunks = rows[three..].chunks_exact(3);
    chunks.filter_map(|three| Some((base(three[0])?, three))).collect()
}

/// What a target adds to what any server takes.
fn above_floor(report: &ScenarioReport, ran: &[&TargetReport], row: &Metric) -> Markup {
    let Some(floor) = report.targets.iter().find(|target| target.target == FLOOR) else {
        return html! {};
    };
    let above = |target: &TargetReport| (target.target != FLOOR).then(|| metrics::above(target, floor, row))?;
    html! {
        @if ran.iter().any(|target| above(target).is_some()) {
            tr.within {
                td { "above the floor's" }
                @for target in ran {
                    @match above(target) {
                        Some(more) => td.ratio { (number(more)) small { (unit(row.unit)) } },
                        None => td.ratio { "–" },
                    }
                }
            }
        }
    }
}

/// The threads that took most of a server's CPU, for who wants to know where it went.
fn threads(target: &TargetReport) -> Markup {
    let figures = target.rounds.iter().filter_map(|round| round.outcome.figures()).next();
    let threads = figures.and_then(|f| f.server.as_ref()).map(|s| &s.by_thread[..]);
    let named: Vec<String> = threads
        .unwrap_or_default()
        .iter()
        .take(5)
        .map(|(name, percent)| format!("{name} {} %", number(*percent)))
        .collect();
    html! {
        @if !named.is_empty() { p.soft { (target.target) ", CPU by thread: " (named.join(", ")) } }
    }
}

/// A unit with its proper sign.
pub(super) fn unit(unit: &str) -> &str {
    if unit == "us" { "µs" } else { unit }
}

/// Plots side by side.
pub(super) fn figures(plots: &[Plot]) -> Markup {
    html! {
        @if !plots.is_empty() {
            div.plots {
                @for plot in plots {
                    figure {
                        figcaption { (plot.title) small { (plot.subtitle) } }
                        div role="img" aria-label=(format!("{}, {}", plot.title, plot.subtitle)) { (PreEscaped(&plot.svg)) }
                    }
                }
            }
        }
    }
}

fn reading() -> Markup {
    html! {
        section.card {
            h2 { "How to read this" }
            p { "Loss, duplicates and wrong rooms are counted by stamps inside the payload, so a server that renumbers packets cannot hide them. "
                "Delay runs from a publisher's send to the kernel's receive stamp at the viewer, on one machine and one clock. "
                "A freeze is a gap of more than 200 ms in a stream that should flow." }
            p { "The floor is a bare forwarder that opens each packet once, seals it for each viewer and sends it: what any server must do at the least. "
                "Ratios are between rounds that ran next to each other. " b { "Not measured" }
                " means that other programs used more than a tenth of the machine, or that the generator was at its own limit: counts still hold, times and costs do not." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn the_page_says_what_was_measured_what_was_not_and_why() {
        let page = html(&samples::report());
        for text in [
            "Ringhall load report",
            "ten people",
            "1.5x",
            "no simulcast in this room",
            "other load 34 %",
            "p50 / p95 / p99",
            "not measured",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert!(page.matches("<svg").count() >= 4);
    }

    #[test]
    fn the_page_loads_nothing_and_lets_nothing_in() {
        let mut report = samples::report();
        report.scenarios[0].scenario.title = "<script>alert(1)</script>".to_owned();
        report.scenarios[0].targets[0].description = "\" onload=\"x".to_owned();
        let page = html(&report);
        assert!(!page.contains("<script"), "scripts");
        for outside in ["src=", "@import", "url(", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("&lt;script&gt;"));
        assert!(!page.contains("\" onload="));
    }
}
