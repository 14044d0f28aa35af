//! Somebody else's client and peer (`turnutils_uclient` and `turnutils_peer` of the package coturn) through our program,
//! by UDP, TCP and TLS, with real sockets on both sides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

const HINT: &str = "is missing; install it with: sudo apt-get install -y coturn";

/// A process that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Relay {
    plain: SocketAddr,
    tls: SocketAddr,
    _process: Running,
    _folder: tempfile::TempDir,
}

/// Starts the program as an operator does; it says where it listens.
fn relay(extra: &[&str]) -> Relay {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = file("chain.pem", params.self_signed(&key).unwrap().pem());
    let key = file("key.pem", key.serialize_pem());
    let mut process = Command::new(env!("CARGO_BIN_EXE_ringhall-turn"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--tls-listen",
            "127.0.0.1:0",
            "--relay",
            "127.0.0.1",
        ])
        .args([
            "--certificate".as_ref(),
            certificate.as_os_str(),
            "--key".as_ref(),
            key.as_os_str(),
        ])
        .args(["--user", "fixed:word", "--secret", "north"])
        .args(extra)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let process = Running(process);
    let mut address = || {
        let line = lines.next().unwrap().unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (plain, tls) = (address(), address());
    Relay {
        plain,
        tls,
        _process: process,
        _folder: folder,
    }
}

/// The echoing peer, on a free port.
fn peer() -> (Running, u16) {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("turnutils_peer")
        .args(["-L", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|_| panic!("turnutils_peer {HINT}"));
    let running = Running(child);
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe
        .set_read_timeout(Some(std::time::Duration::from_millis(100)))
        .unwrap();
    let mut answer = [0; 8];
    let up = (0..100).any(|_| {
        let _ = probe.send_to(b"up?", ("127.0.0.1", port));
        probe.recv(&mut answer).is_ok()
    });
    assert!(up, "turnutils_peer does not answer");
    (running, port)
}

/// Runs the client; what it said, and whether every message came back.
fn uclient(at: SocketAddr, peer: u16, options: &[&str]) -> (bool, String) {
    let output = Command::new("timeout")
        .args([
            "40",
            "turnutils_uclient",
            "-n",
            "30",
            "-m",
            "2",
            "-l",
            "170",
            "-z",
            "5",
            "-e",
            "127.0.0.1",
        ])
        .args(["-r", &peer.to_string(), "-p", &at.port().to_string()])
        .args(options)
        .arg(at.ip().to_string())
        .output()
        .unwrap_or_else(|_| panic!("turnutils_uclient {HINT}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let number = |name: &str| -> Option<u64> {
        let line = text.lines().rev().find(|line| line.contains(name))?;
        let after = &line[line.find(name)? + name.len()..];
        let digits = after.chars().skip_while(|c| !c.is_ascii_digit());
        digits.take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    let (sent, back, lost) = (
        number("tot_send_msgs"),
        number("tot_recv_msgs"),
        number("Total lost packets"),
    );
    let all = output.status.success() && sent == back && sent >= Some(60) && lost == Some(0);
    (all, text)
}

const FIXED: [&str; 5] = ["-u", "fixed", "-w", "word", "-c"];

#[test]
fn every_transport_by_channel_and_by_indication() {
    let relay = relay(&["--allow-peers", "127.0.0.0/8"]);
    let (_peer, port) = peer();
    for (at, transport) in [
        (relay.plain, &[][..]),
        (relay.plain, &["-t"]),
        (relay.tls, &["-t", "-S"]),
    ] {
        for way in [&[][..], &["-s"]] {
            let options = [&FIXED[..], transport, way].concat();
            let (all, text) = uclient(at, port, &options);
            assert!(all, "{options:?}: {text}");
        }
    }
    let (all, text) = uclient(relay.plain, port, &["-u", "ivan", "-W", "north", "-c"]);
    assert!(all, "a time-limited credential: {text}");
}

#[test]
fn two_clients_reach_each_other_by_their_relayed_addresses() {
    let relay = relay(&["--allow-peers", "127.0.0.0/8"]);
    for (at, transport) in [(relay.plain, &[][..]), (relay.tls, &["-t", "-S"])] {
        let options = [&FIXED[..], transport, &["-y"]].concat();
        let (all, text) = uclient(at, 0, &options);
        assert!(all, "{options:?}: {text}");
    }
}

#[test]
fn long_messages_more_requests_than_needed_and_clients_that_vanish() {
    let relay = relay(&["--allow-peers", "127.0.0.0/8"]);
    let (_peer, port) = peer();
    for ways in [&["-l", "1400", "-G"][..], &["-g", "-D"], &["-B"]] {
        let options = [&FIXED[..], ways].concat();
        let (all, text) = uclient(relay.plain, port, &options);
        assert!(all, "{options:?}: {text}");
    }
}

#[test]
fn without_leave_nobody_reaches_this_machine_by_it() {
    let relay = relay(&[]);
    let (_peer, port) = peer();
    let (all, text) = uclient(relay.plain, port, &FIXED);
    assert!(!all && text.contains("403"), "{text}");
}

#[test]
fn a_wrong_password_gets_nothing() {
    let relay = relay(&["--allow-peers", "127.0.0.0/8"]);
    let (_peer, port) = peer();
    let (all, text) = uclient(relay.plain, port, &["-u", "fixed", "-w", "wrong", "-c"]);
    assert!(!all, "{text}");
}
