//! Servers that run already and clients of another implementation: Ringhall measured as a stranger by WHIP and WHEP, and joined
//! by the `webrtc` crate, directly and through its own TURN server. Needs the server's program: `cargo build --workspace`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use benches::report::model::{Figures, Outcome};
use benches::report::read;
use benches::ringhall::{Server, ServerConfig};
use benches::scenario::Scenario;

fn server() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_ringhall-load")).with_file_name("ringhall");
    assert!(
        program.exists(),
        "{} is missing: cargo build --workspace",
        program.display()
    );
    program
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a scenario at a target and returns its figures.
fn run(scenario: &str, target: &str, further: &[&str]) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, scenario).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ringhall-load"))
        .args(["run", path(&file), "--quiet", "--target", target])
        .args(["--server", path(&server()), "--out", path(folder.path())])
        .args(further)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let report = read(&folder.path().join("report.json")).unwrap();
    match &report.scenarios[0].targets[0].rounds[0].outcome {
        Outcome::Measured { figures } | Outcome::NotMeasured { figures, .. } => (**figures).clone(),
        other => panic!("{other:?}"),
    }
}

/// What must hold whatever else the machine does; `streams` flow at 50 packets a second each.
fn arrived(figures: &Figures, connections: u64, streams: f64) {
    let counts = &figures.counts;
    assert_eq!(
        (counts.connected, counts.failed),
        (connections, 0),
        "{:?}",
        figures.notes
    );
    let expected = figures.window_seconds * streams * 50.0;
    let received = counts.received as f64;
    assert!(
        (0.7 * expected..1.3 * expected).contains(&received),
        "{received} of {expected}: {counts:?}"
    );
    assert_eq!(
        counts.wrong_room, 0,
        "every payload is a stamped one of this run: {counts:?}"
    );
    assert!(counts.duplicates * 1_000 <= counts.received, "{counts:?}");
}

const BY_WHIP: &str = r#"
name = "by-whip"
title = "Two publishers, two viewers"
duration_seconds = 3
settle_seconds = 2

[rooms]
publishers = 2
viewers = 2
CLIENT

[rooms.video]
layers = [{ height = 360, bitrate = 300_000, fps = 25 }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs_already_is_measured_by_whip_and_whep_with_its_tokens() {
    let text = BY_WHIP.replace("CLIENT", "");
    let scenario = Scenario::parse("test", &text).unwrap();
    let config = ServerConfig {
        program: server(),
        ..ServerConfig::beside_us()
    };
    let server = Server::start(&config, &scenario).await.unwrap();
    let room = server.people().room_name(0);
    let tokens: Vec<String> = (0..4)
        .map(|n| server.people().room_token(&room, &format!("somebody-{n}")).unwrap())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, tokens.join("\n")).unwrap();
    let target = format!("whip:{}/whip/{room}", server.url());
    let (token, pid) = (format!("@{}", file.display()), server.pid().to_string());
    let options = ["--token".to_owned(), token, "--server-pid".to_owned(), pid];
    let figures = tokio::task::spawn_blocking(move || {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        run(&text, &target, &options)
    });
    let figures = figures.await.unwrap();
    server.stop().await;
    // Two viewers see and hear two publishers: audio of 50 packets a second, video of 25 frames of two packets.
    arrived(&figures, 4, 2.0 * 2.0 * 2.0);
    assert!(
        figures.server.unwrap().us_per_packet.unwrap() > 0.0,
        "the process that was named"
    );
}

#[test]
fn clients_of_another_implementation_publish_and_watch_by_whip_and_whep() {
    // Both pictures fit into what a viewer begins with: this client has no retransmission stream to be probed with. It may also lose
    // the key frame that comes with the handshake, and does not ask for another, so its first frame says nothing of the server.
    let text = BY_WHIP
        .replace("CLIENT", "client = \"webrtc\"")
        .replace("300_000", "150_000");
    let figures = run(&text, "ringhall", &[]);
    // Frames of one packet.
    arrived(&figures, 4, 2.0 * 2.0 * 1.5);
    assert_eq!(figures.timings["first_audio_ms"].count, 2, "{:?}", figures.timings);
}

const CALL: &str = r#"
name = "call"
title = "Three people in a call"
duration_seconds = 4
settle_seconds = 3

[rooms]
members = 3
door = "websocket"
client = "webrtc"
route = "ROUTE"

[rooms.view]
small_height = 180

[rooms.video]
layers = [
    { rid = "q", height = 180, bitrate = 300_000, fps = 25 },
    { rid = "h", height = 360, bitrate = 600_000, fps = 25 },
]
"#;

#[test]
fn clients_of_another_implementation_send_layers_and_see_the_small_one() {
    let figures = run(&CALL.replace("ROUTE", "direct"), "ringhall", &[]);
    // Three people see and hear two others each, the layer of 25 frames of two packets.
    arrived(&figures, 3, 3.0 * 2.0 * 2.0);
    assert_eq!(figures.timings["first_frame_ms"].count, 3, "{:?}", figures.timings);
}

#[test]
fn a_call_goes_through_the_relay_alone() {
    let figures = run(&CALL.replace("ROUTE", "turn"), "ringhall", &[]);
    arrived(&figures, 3, 3.0 * 2.0 * 2.0);
}
