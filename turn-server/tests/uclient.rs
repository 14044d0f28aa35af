//! `turnutils_uclient` (package coturn), somebody else's client, in every mode that this server has: channels and Send
//! indications, UDP and TCP, IPv4 and IPv6 relayed addresses, time-limited and fixed credentials. Behind the server sits an
//! echo: what is sent to any peer comes back from that peer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn_server::credential::Credentials;
use turn_server::*;

const SECRET: &str = "north";

struct Anyone {
    next_port: u16,
}

impl Relay for Anyone {
    fn open(&mut self, _: AllocationId, _: &str, family: Family, _: bool) -> Result<SocketAddr, OpenError> {
        self.next_port += 2;
        let ip: IpAddr = match family {
            Family::V4 => [192, 0, 2, 1].into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        Ok(SocketAddr::new(ip, self.next_port))
    }

    fn close(&mut self, _: AllocationId) {}

    fn permits(&self, _: SocketAddr) -> bool {
        true
    }

    fn knows(&self, _: &str) -> bool {
        true
    }
}

struct Echo {
    server: Server,
    relay: Anyone,
}

impl Echo {
    /// What goes back to the client for one message of it.
    fn answer(&mut self, client: Client, message: &[u8]) -> Option<Vec<u8>> {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let time = Time {
            now: Instant::now(),
            unix,
        };
        let mut out = Vec::new();
        match self.server.handle(time, client, message, &mut self.relay, &mut out) {
            Outcome::Reply => Some(out),
            Outcome::Payload {
                allocation, peer, data, ..
            } => {
                let payload = message.get(data)?;
                self.server.wrap(time.now, allocation, peer, payload, &mut out)?;
                Some(out)
            }
            Outcome::Dropped(_) => None,
        }
    }
}

/// A server on a free port of 127.0.0.1, UDP and TCP. Its threads end with the test's process.
fn start() -> (SocketAddr, Arc<Mutex<Echo>>) {
    let config = Config {
        realm: "calls.example".to_owned(),
        credentials: Credentials {
            secret: SECRET.as_bytes().to_vec(),
            users: HashMap::from([("fixed".to_owned(), "word".to_owned())]),
        },
        nonce_secret: [3; 32],
        quota: Quota::default(),
    };
    let echo = Arc::new(Mutex::new(Echo {
        server: Server::new(config),
        relay: Anyone { next_port: 49_152 },
    }));
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let at = udp.local_addr().unwrap();
    let on_udp = echo.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, remote)) = udp.recv_from(&mut buffer) {
            let client = Client::Udp { local: at, remote };
            let answer = on_udp.lock().unwrap().answer(client, &buffer[..length]);
            if let Some(answer) = answer {
                let _ = udp.send_to(&answer, remote);
            }
        }
    });
    let on_tcp = echo.clone();
    std::thread::spawn(move || {
        for (connection, stream) in (1..).zip(tcp.incoming().flatten()) {
            let echo = on_tcp.clone();
            std::thread::spawn(move || serve_stream(stream, connection, &echo));
        }
    });
    (at, echo)
}

fn serve_stream(mut stream: TcpStream, connection: u64, echo: &Mutex<Echo>) {
    let remote = stream.peer_addr().unwrap();
    let client = Client::Stream { connection, remote };
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        received.extend_from_slice(&buffer[..length]);
        while let Some(length) = stream::first_message(&received, 2048).unwrap() {
            let answer = echo.lock().unwrap().answer(client, &received[..length]);
            received.drain(..length);
            if let Some(answer) = answer {
                let _ = stream.write_all(&answer);
            }
        }
    }
    let Echo { server, relay } = &mut *echo.lock().unwrap();
    server.disconnected(client, relay);
}

/// Runs the client, and checks what it counted.
fn uclient(at: SocketAddr, options: &[&str]) {
    let messages = 40;
    let output = Command::new("timeout")
        .args([
            "60",
            "turnutils_uclient",
            "-n",
            &messages.to_string(),
            "-m",
            "3",
            "-l",
            "170",
            "-z",
            "5",
        ])
        .args(options)
        .args(["-r", "3480", "-p", &at.port().to_string(), &at.ip().to_string()])
        .output()
        .expect("turnutils_uclient is missing; install it with: sudo apt-get install -y coturn");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?}: {text}");
    let number = |name: &str| -> u64 {
        let line = text
            .lines()
            .rev()
            .find(|l| l.contains(name))
            .unwrap_or_else(|| panic!("no {name:?}: {text}"));
        let after = &line[line.find(name).unwrap() + name.len()..];
        let digits: String = after
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap()
    };
    let sent = number("tot_send_msgs");
    assert_eq!(sent, number("tot_recv_msgs"), "{options:?}: {text}");
    assert!(sent >= 3 * messages, "{options:?}: {text}");
    assert_eq!(number("Total lost packets"), 0, "{options:?}: {text}");
}

/// Waits until the client has taken its allocations down.
fn assert_empty(echo: &Mutex<Echo>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while echo.lock().unwrap().server.allocations() > 0 {
        assert!(Instant::now() < deadline, "allocations are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const FIXED: [&str; 4] = ["-u", "fixed", "-w", "word"];
const V4: [&str; 2] = ["-e", "198.51.100.7"];
const V6: [&str; 3] = ["-x", "-e", "2001:db8::7"];

fn modes(transport: &[&str]) {
    let (at, echo) = start();
    for relayed in [&V4[..], &V6[..]] {
        for way in [&[][..], &["-s"]] {
            let options: Vec<&str> = [&FIXED[..], transport, &["-c"], relayed, way].concat();
            uclient(at, &options);
        }
    }
    assert!(echo.lock().unwrap().server.counters().allocated >= 12);
    if !transport.is_empty() {
        assert_empty(&echo);
    }
}

#[test]
fn udp_by_channel_and_by_indication_to_both_families() {
    modes(&[]);
}

#[test]
fn tcp_by_channel_and_by_indication_to_both_families() {
    modes(&["-t"]);
}

#[test]
fn a_time_limited_credential() {
    let (at, _echo) = start();
    uclient(at, &[&["-u", "ivan", "-W", SECRET, "-c"], &V4[..]].concat());
}

#[test]
fn with_do_not_fragment_and_mandatory_padding() {
    let (at, _echo) = start();
    uclient(at, &[&FIXED[..], &["-c", "-g", "-D"], &V4[..]].concat());
}

// Its dual allocation (-Z) is not here: it asks by the attribute number of a draft, 0x8032. Our own tests ask by RFC 8656's.
#[test]
fn more_requests_than_needed() {
    let (at, _echo) = start();
    uclient(at, &[&FIXED[..], &["-c", "-G"], &V4[..]].concat());
}
