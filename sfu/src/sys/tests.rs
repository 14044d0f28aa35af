//! The kernel's own answers: local addresses, runs that are sent as one and come as one, runs that it refuses.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn bound(address: &str) -> socket2::Socket {
    let address: SocketAddr = address.parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(false).unwrap();
    }
    socket.bind(&address.into()).unwrap();
    ask_for_local_addresses(&socket, address.is_ipv6()).unwrap();
    socket
}

fn address(socket: &socket2::Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}

type Came = Vec<(SocketAddr, Option<IpAddr>, Vec<u8>)>;

/// Receives until `count` datagrams have come.
fn receive(socket: &socket2::Socket, count: usize) -> (Came, usize) {
    let (mut inbox, mut came, mut messages) = (Inbox::new(), Vec::new(), 0);
    while came.len() < count {
        let mut waits = [readable(socket.as_raw_fd())];
        wait(&mut waits, LIMIT);
        assert_ne!(waits[0].revents, 0, "only {} of {count} came", came.len());
        messages += inbox.fill(socket).unwrap();
        // Whoever keeps a packet takes the memory and leaves other memory: the next datagram must not be written to it.
        inbox.each(|from, local, buffer| {
            came.push((from, local, buffer.datagram().to_vec()));
            std::mem::take(buffer);
        });
    }
    (came, messages)
}

fn run(local: IpAddr, remote: SocketAddr, datagrams: std::ops::Range<usize>) -> Run {
    Run {
        local,
        remote,
        datagrams,
    }
}

fn answered_from_the_address_that_was_asked(listen: &str, ask: IpAddr) {
    let server = bound(listen);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = address(&server).port();
    client.send_to(b"one", (ask, port)).unwrap();
    client.send_to(b"three", (ask, port)).unwrap();
    let (came, _) = receive(&server, 2);
    assert_eq!(came[0], (client.local_addr().unwrap(), Some(ask), b"one".to_vec()));
    assert_eq!(came[1].2, b"three");
    let datagrams = [IoSlice::new(b"back"), IoSlice::new(b"more"), IoSlice::new(b"end")];
    let runs = [run(ask, came[0].0, 0..1), run(ask, came[0].0, 1..3)];
    assert_eq!(send(&server, listen.starts_with('['), &runs, &datagrams).unwrap(), 2);
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let mut out = [0; 10];
    for expected in [&b"back"[..], b"more", b"end"] {
        let (length, from) = client.recv_from(&mut out).unwrap();
        assert_eq!((&out[..length], from), (expected, SocketAddr::new(ask, port)));
    }
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    // 127.0.0.2 is an address of the loopback interface without being configured.
    answered_from_the_address_that_was_asked("0.0.0.0:0", IpAddr::from([127, 0, 0, 2]));
}

#[test]
fn a_socket_for_both_families_answers_v4_as_v4() {
    answered_from_the_address_that_was_asked("[::]:0", IpAddr::from([127, 0, 0, 2]));
}

#[test]
fn a_run_comes_as_the_datagrams_that_were_sent_whether_the_kernel_hands_it_over_whole_or_not() {
    // 5 * 900 bytes reach over the end of the first buffer; the last datagram is shorter.
    let payloads: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; if n == 5 { 333 } else { 900 }]).collect();
    let datagrams: Vec<IoSlice<'_>> = payloads.iter().map(|p| IoSlice::new(p)).collect();
    for merged in [false, true] {
        let (from, to) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        if merged {
            allow_merged(&to).unwrap();
        }
        let runs = [run(address(&from).ip(), address(&to), 0..6)];
        assert_eq!(send(&from, false, &runs, &datagrams).unwrap(), 1);
        let (came, messages) = receive(&to, 6);
        let bytes: Vec<&Vec<u8>> = came.iter().map(|(.., bytes)| bytes).collect();
        assert_eq!(bytes, payloads.iter().collect::<Vec<_>>());
        assert!(came.iter().all(|(sender, ..)| *sender == address(&from)));
        assert_eq!(messages, if merged { 1 } else { 6 });
    }
}

#[test]
fn the_kernel_says_so_when_it_cannot_cut_a_run() {
    let (from, to) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
    refuse_runs(&from);
    let datagrams = [IoSlice::new(b"one"), IoSlice::new(b"two")];
    let runs = [run(address(&from).ip(), address(&to), 0..2)];
    let refused = send(&from, false, &runs, &datagrams).unwrap_err();
    assert!(
        matches!(refused.raw_os_error(), Some(libc::EINVAL | libc::EIO)),
        "{refused}"
    );
}

#[test]
fn a_datagram_that_is_longer_than_a_buffer_is_cut_and_takes_no_other_along() {
    let (from, to) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
    allow_merged(&to).unwrap();
    let from = UdpSocket::from(from);
    from.send_to(&[7; 5_000], address(&to)).unwrap();
    from.send_to(b"after", address(&to)).unwrap();
    let (came, _) = receive(&to, 2);
    assert_eq!(came[0].2, vec![7; sfu_core::forward::BUFFER_LEN]);
    assert_eq!(came[1].2, b"after");
}

#[test]
fn datagrams_that_are_read_together_keep_the_times_at_which_they_came() {
    let server = bound("127.0.0.1:0");
    ask_for_times(&server).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = address(&server);
    let before = Instant::now();
    client.send_to(b"one", to).unwrap();
    std::thread::sleep(Duration::from_millis(30)); // the time between them is what is measured
    client.send_to(b"two", to).unwrap();
    std::thread::sleep(Duration::from_millis(30)); // as a thread that is woken late
    let (mut inbox, mut times) = (Inbox::new(), Vec::new());
    while times.len() < 2 {
        let mut waits = [readable(server.as_raw_fd())];
        wait(&mut waits, LIMIT);
        inbox.fill(&server).unwrap();
        inbox.each(|_, _, buffer| times.push(buffer.arrived.unwrap()));
    }
    let apart = times[1].saturating_duration_since(times[0]);
    assert!(
        (Duration::from_millis(29)..before.elapsed()).contains(&apart),
        "{apart:?}"
    );
    assert!(
        before.elapsed() >= apart + Duration::from_millis(29),
        "both were read later than they came"
    );
}
