//! What a relayed packet costs beyond a direct one: in our process (where the peer is the media server itself), through our
//! classic relay, and through coturn, in one run and under one load. Not part of the tests; it prints:
//!
//! `cargo nextest run --release --workspace --run-ignored only --no-capture -E 'binary(cost)'`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

mod clients;
mod echo;

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clients::{Clients, LOAD, USERS, WORD};

/// Interleaved, so that what the machine does besides falls on all of them; the medians are compared.
const ROUNDS: usize = 7;
/// There and back of each client in one round.
const TURNS: usize = 400;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn running(command: &mut Command) -> Running {
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something answers a Binding request there.
fn answers(port: u16) {
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    request.extend([7; 12]);
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let up = (0..100).any(|_| {
        let _ = probe.send_to(&request, ("127.0.0.1", port));
        probe.recv(&mut [0; 200]).is_ok()
    });
    assert!(up, "nothing answers on port {port}");
}

/// Time on a processor of all threads below a folder of /proc, in nanoseconds.
fn on_cpu(tasks: &str) -> u64 {
    let of = |task: std::io::Result<std::fs::DirEntry>| -> u64 {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    };
    std::fs::read_dir(tasks).unwrap().map(of).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn coturn(folder: &std::path::Path, port: u16) -> Running {
    running(
        Command::new("turnserver")
            .current_dir(folder)
            .args(["-n", "-L", "127.0.0.1", "-E", "127.0.0.1", "-m", "1"])
            .args(["-p", &port.to_string()])
            .args(["--lt-cred-mech", "-r", "ringhall"])
            .args(
                USERS
                    .iter()
                    .flat_map(|user| ["-u".to_owned(), format!("{user}:{WORD}")]),
            )
            .args(["--allow-loopback-peers", "--no-tls", "--no-dtls", "--no-cli"])
            .args(["--log-file", "stdout", "--pidfile", "turn.pid", "--userdb", "turn.db"]),
    )
}

fn classic(port: u16) -> Running {
    running(
        Command::new(env!("CARGO_BIN_EXE_ringhall-turn"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--relay", "127.0.0.1"])
            .args(["--allow-peers", "127.0.0.0/8"])
            .args(
                USERS
                    .iter()
                    .flat_map(|user| ["--user".to_owned(), format!("{user}:{WORD}")]),
            ),
    )
}

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn cpu_per_relayed_packet() {
    let folder = tempfile::tempdir().unwrap();
    let (coturn_port, classic_port) = (free_port(), free_port());
    let (coturn, classic) = (coturn(folder.path(), coturn_port), classic(classic_port));
    answers(coturn_port);
    answers(classic_port);
    // The peer of the two relays, and what stands for the media server: it answers those who come directly as well.
    let peer = echo::start();
    let media = echo::start();
    let tasks = |process: &Running| format!("/proc/{}/task", process.0.id());
    let of_media = format!("/proc/self/task/{}", media.thread);
    let media_cpu = || {
        let text = std::fs::read_to_string(format!("{of_media}/schedstat")).unwrap();
        text.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };

    let direct = Clients::direct(media.address);
    let inside = Clients::relayed(media.address, media.address);
    let by_coturn = Clients::relayed(([127, 0, 0, 1], coturn_port).into(), peer.address);
    let by_classic = Clients::relayed(([127, 0, 0, 1], classic_port).into(), peer.address);
    let packets = (2 * LOAD * TURNS) as f64;
    let spent = |clients: &Clients, cpu: &dyn Fn() -> u64| {
        let before = cpu();
        clients.there_and_back(TURNS);
        (cpu() - before) as f64 / packets
    };
    let (mut to_direct, mut extra, mut theirs, mut ours) = (vec![], vec![], vec![], vec![]);
    for round in 0..=ROUNDS {
        let bare = spent(&direct, &media_cpu);
        let relayed = spent(&inside, &media_cpu);
        let through_coturn = spent(&by_coturn, &|| on_cpu(&tasks(&coturn)));
        let through_classic = spent(&by_classic, &|| on_cpu(&tasks(&classic)));
        // The first one warms caches.
        if round > 0 {
            to_direct.push(bare);
            extra.push(relayed - bare);
            theirs.push(through_coturn);
            ours.push(through_classic);
        }
    }
    let (to_direct, extra, theirs, ours) = (median(to_direct), median(extra), median(theirs), median(ours));
    println!(
        "CPU per relayed packet of {} bytes, {LOAD} clients, median of {ROUNDS} rounds of {packets} packets:",
        clients::BYTES
    );
    println!("  direct, for comparison  {to_direct:>6.0} ns (receive and send, half each)");
    println!("  extra by coturn         {theirs:>6.0} ns");
    println!(
        "  extra by ringhall-turn  {ours:>6.0} ns, {:.3} of coturn's",
        ours / theirs
    );
    println!(
        "  extra in the process    {extra:>6.0} ns, {:.3} of coturn's",
        extra / theirs
    );
    assert!(extra < theirs / 4.0, "the goal of docs/benchmarks.md is missed");
}
