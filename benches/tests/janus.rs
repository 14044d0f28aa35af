//! Janus really forwards in a run of the harness: in a network namespace of its own, because libnice takes no loopback address.
//! `tools/test-prerequisites` installs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::Path;
use std::process::Command;

use benches::report::model::{Figures, Outcome, Verdict};
use benches::report::read;

const SCENARIO: &str = r#"
name = "small-room"
title = "Two publishers, two viewers"
duration_seconds = 3
settle_seconds = 1

[rooms]
publishers = 2
viewers = 2

[rooms.view]
small_height = 360

[rooms.video]
layers = [{ height = 360, bitrate = 300_000, fps = 25 }]
"#;

fn figures(target: &str) -> (Figures, String) {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("small-room.toml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let run = Command::new(root.join("tools/in-namespace"))
        .arg(env!("CARGO_BIN_EXE_ringhall-load"))
        .args(["run", path(&scenario), "--quiet", "--target", target])
        .args(["--out", path(folder.path())])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let report = read(&folder.path().join("report.json")).unwrap();
    let target = &report.scenarios[0].targets[0];
    match &target.rounds[0].outcome {
        Outcome::Measured { figures } | Outcome::NotMeasured { figures, .. } => {
            ((**figures).clone(), target.description.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn people_join_janus_and_the_stamps_of_what_they_see_are_read() {
    let (figures, description) = figures("janus");
    assert!(description.contains("Janus 1."), "{description}");
    let counts = &figures.counts;
    assert_eq!((counts.connected, counts.failed), (4, 0), "{:?}", figures.notes);
    // Each viewer gets 50 audio packets a second and 50 of video from both publishers.
    let expected = figures.window_seconds * 2.0 * 2.0 * (50.0 + 50.0);
    let received = counts.received as f64;
    assert!(
        (0.8 * expected..1.2 * expected).contains(&received),
        "{received} of {expected}"
    );
    assert_eq!(counts.wrong_room, 0);
    for check in ["connected", "loss", "wrong_room"] {
        let finding = figures.findings.iter().find(|f| f.check == check).unwrap();
        assert_eq!(finding.verdict, Verdict::Good, "{finding:?}");
    }
    let cost = figures.server.and_then(|server| server.us_per_packet).unwrap();
    assert!(cost > 0.0, "the cost of a packet is Janus' own: {cost}");
    let first = &figures.timings["first_frame_ms"];
    assert!(first.count >= 2, "every viewer saw a whole key frame: {first:?}");
}
