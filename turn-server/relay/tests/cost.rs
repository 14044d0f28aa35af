//! What a relayed packet costs: in our process (where the peer is the media server itself), through our classic relay, and
//! through coturn, in one run. Not part of the tests; it prints:
//!
//! `cargo nextest run --workspace --run-ignored only --no-capture -E 'binary(cost)'`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use turn_server::credential::Credentials;
use turn_server::*;

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
fn answers(port: u16, request: &[u8]) {
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let up = (0..100).any(|_| {
        let _ = probe.send_to(request, ("127.0.0.1", port));
        probe.recv(&mut [0; 200]).is_ok()
    });
    assert!(up, "nothing answers on port {port}");
}

fn binding() -> Vec<u8> {
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    request.extend([7; 12]);
    request
}

/// User and system time of a process so far.
fn cpu(process: &Running) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap();
    let fields: Vec<u64> = text
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|f| f.parse().unwrap())
        .collect();
    Duration::from_millis(10 * (fields[0] + fields[1]))
}

/// CPU per packet of a relay on this port, in nanoseconds, and how many packets.
fn through(relay: &Running, port: u16, peer: u16) -> (u64, u64) {
    let before = cpu(relay);
    let output = Command::new("turnutils_uclient")
        .args([
            "-u",
            "fixed",
            "-w",
            "word",
            "-c",
            "-n",
            "3000",
            "-m",
            "10",
            "-l",
            "1000",
            "-z",
            "2",
            "-e",
            "127.0.0.1",
        ])
        .args(["-r", &peer.to_string(), "-p", &port.to_string(), "127.0.0.1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let number = |name: &str| -> u64 {
        let line = text
            .lines()
            .rev()
            .find(|line| line.contains(name))
            .unwrap_or_else(|| panic!("{text}"));
        let after = &line[line.find(name).unwrap() + name.len()..];
        let digits = after
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit);
        digits.collect::<String>().parse().unwrap()
    };
    let packets = number("tot_send_msgs") + number("tot_recv_msgs");
    let spent = cpu(relay) - before;
    (spent.as_nanos() as u64 / packets, packets)
}

struct Ours;

impl Relay for Ours {
    fn open(&mut self, _: AllocationId, _: &str, _: Family, _: bool) -> Result<SocketAddr, OpenError> {
        Ok("192.0.2.1:50000".parse().unwrap())
    }
    fn close(&mut self, _: AllocationId) {}
    fn permits(&self, _: SocketAddr) -> bool {
        true
    }
    fn knows(&self, _: &str) -> bool {
        true
    }
}

/// What our server does for a packet in each direction, in nanoseconds. The client is coturn's, so that its messages are
/// somebody else's: they are taken from a real exchange over UDP first.
fn in_process() -> u64 {
    let config = Config {
        realm: "ringhall".to_owned(),
        credentials: Credentials {
            secret: Vec::new(),
            users: HashMap::from([("fixed".to_owned(), "word".to_owned())]),
        },
        nonce_secret: [3; 32],
        quota: Quota::default(),
    };
    let mut server = Server::new(config);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = socket.local_addr().unwrap();
    let port = local.port().to_string();
    let mut client = Command::new("turnutils_uclient")
        .args([
            "-u",
            "fixed",
            "-w",
            "word",
            "-c",
            "-n",
            "200",
            "-m",
            "1",
            "-l",
            "1000",
            "-z",
            "2",
            "-e",
            "198.51.100.7",
        ])
        .args(["-r", "3480", "-p", &port, "127.0.0.1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut buffer, mut out) = ([0; 2048], Vec::new());
    let time = || Time {
        now: Instant::now(),
        unix: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    };
    let nanos = loop {
        let (length, remote) = socket.recv_from(&mut buffer).unwrap();
        let at = Client::Udp { local, remote };
        match server.handle(time(), at, &buffer[..length], &mut Ours, &mut out) {
            Outcome::Reply => drop(socket.send_to(&out, remote)),
            Outcome::Payload { allocation, peer, .. } if buffer[0] & 0xC0 == 0x40 => {
                let (rounds, message, now) = (200_000, buffer[..length].to_vec(), time());
                let begun = Instant::now();
                for _ in 0..rounds {
                    let Outcome::Payload { data, .. } = server.handle(now, at, &message, &mut Ours, &mut out) else {
                        panic!("a payload");
                    };
                    let payload = &message[data];
                    server
                        .wrap(now.now, allocation, peer, std::hint::black_box(payload), &mut out)
                        .unwrap();
                }
                break begun.elapsed().as_nanos() as u64 / (2 * rounds);
            }
            _ => {}
        }
    };
    let _ = client.kill();
    let _ = client.wait();
    nanos
}

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn cpu_per_relayed_packet() {
    let ip: IpAddr = [127, 0, 0, 1].into();
    let (peer_port, coturn_port, classic_port) = (free_port(), free_port(), free_port());
    let _peer = running(Command::new("turnutils_peer").args(["-L", "127.0.0.1", "-p", &peer_port.to_string()]));
    answers(peer_port, b"up?");
    let folder = tempfile::tempdir().unwrap();
    let coturn = running(
        Command::new("turnserver")
            .current_dir(folder.path())
            .args([
                "-n",
                "-L",
                "127.0.0.1",
                "-E",
                "127.0.0.1",
                "-p",
                &coturn_port.to_string(),
                "-m",
                "1",
            ])
            .args([
                "--lt-cred-mech",
                "-u",
                "fixed:word",
                "-r",
                "ringhall",
                "--allow-loopback-peers",
            ])
            .args([
                "--no-tls",
                "--no-dtls",
                "--no-cli",
                "--log-file",
                "stdout",
                "--pidfile",
                "turn.pid",
            ])
            .args(["--userdb", "turn.db"]),
    );
    let classic = running(
        Command::new(env!("CARGO_BIN_EXE_ringhall-turn"))
            .args(["--listen", &format!("{ip}:{classic_port}"), "--relay", "127.0.0.1"])
            .args(["--user", "fixed:word", "--allow-peers", "127.0.0.0/8"]),
    );
    answers(coturn_port, &binding());
    answers(classic_port, &binding());
    let (theirs, packets) = through(&coturn, coturn_port, peer_port);
    let (ours, _) = through(&classic, classic_port, peer_port);
    let inside = in_process();
    println!("CPU per relayed packet of 1,000 bytes, {packets} packets:");
    println!("  coturn                 {theirs:>6} ns");
    println!("  ringhall-turn          {ours:>6} ns");
    println!(
        "  in the media process   {inside:>6} ns, {:.3} of coturn's",
        inside as f64 / theirs as f64
    );
}
