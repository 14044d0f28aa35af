//! A server that is broken on purpose must not get a good report. Whole runs: `ringhall-load` with the bare forwarder, its
//! defects switched on one by one, two rooms of real clients over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::Path;
use std::process::Command;

use benches::report::model::{Finding, Verdict};
use benches::report::read;

const SCENARIO: &str = r#"
name = "two-rooms"
title = "Two rooms of two publishers and two viewers"
duration_seconds = 12
settle_seconds = 2

[rooms]
count = 2
publishers = 2
viewers = 2

[rooms.video]
layers = [{ height = 360, bitrate = 500_000, fps = 25 }]
"#;

fn findings(target: &str) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("two-rooms.toml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ringhall-load"))
        .args([
            "run",
            path(&scenario),
            "--quiet",
            "--target",
            target,
            "--out",
            path(folder.path()),
        ])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let report = read(&folder.path().join("report.json")).unwrap();
    let outcome = &report.scenarios[0].targets[0].rounds[0].outcome;
    let figures = outcome.figures().unwrap_or_else(|| panic!("{outcome:?}"));
    assert!(figures.counts.received > 1_000, "{:?}", figures.counts);
    figures.findings.clone()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn verdict(findings: &[Finding], check: &str) -> Verdict {
    findings.iter().find(|f| f.check == check).unwrap().verdict
}

#[test]
fn a_forwarder_without_defects_is_not_blamed_for_any() {
    let all = findings("floor");
    for check in ["connected", "loss", "duplicates", "wrong_room", "leak"] {
        assert_eq!(verdict(&all, check), Verdict::Good, "{check}: {all:?}");
    }
}

#[test]
fn one_percent_of_dropped_packets_is_seen() {
    let all = findings("floor:drop=1%");
    assert_eq!(verdict(&all, "loss"), Verdict::Bad, "{all:?}");
    assert_eq!(verdict(&all, "wrong_room"), Verdict::Good, "{all:?}");
}

#[test]
fn a_stall_of_fifty_milliseconds_in_each_second_is_seen() {
    let all = findings("floor:stall=50ms");
    assert_eq!(verdict(&all, "stall"), Verdict::Bad, "{all:?}");
    assert_eq!(verdict(&all, "loss"), Verdict::Good, "a stall loses nothing: {all:?}");
}

#[test]
fn an_allocation_that_leaks_with_each_packet_is_seen() {
    let all = findings("floor:leak=64");
    assert_eq!(verdict(&all, "leak"), Verdict::Bad, "{all:?}");
}

#[test]
fn packets_of_another_room_are_seen() {
    let all = findings("floor:wrong-room=0.1%");
    assert_eq!(verdict(&all, "wrong_room"), Verdict::Bad, "{all:?}");
}
