//! What strangers send to the real server costs it nothing that lasts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Server {
    process: Child,
    media: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let media = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_ringhall"))
            .args(["serve", "--demo"])
            .env("RINGHALL_DATA_DIR", folder.path())
            .env("RINGHALL_HTTP_LISTEN", http.to_string())
            .env("RINGHALL_MEDIA_LISTEN", media.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ringhall serves")));
        std::thread::spawn(move || lines.for_each(drop));
        let server = Self {
            process,
            media,
            _folder: folder,
        };
        assert!(ready, "the server did not start");
        server
    }

    /// Memory in use, KiB.
    fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends an Allocate without a credential from so many addresses; how many were answered with a challenge.
    fn strangers(&self, first: u32, count: u32) -> u32 {
        let mut request = vec![0, 3, 0, 8, 0x21, 0x12, 0xA4, 0x42];
        request.extend([7; 12]);
        request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
        let mut challenged = 0;
        let mut answer = [0; 512];
        for n in first..first + count {
            // 127.0.0.0/8 is all ours: as many sources as one likes.
            let from = Ipv4Addr::from(0x7F01_0000 + n);
            let socket = UdpSocket::bind((from, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.send_to(&request, self.media).unwrap();
            if let Ok(length) = socket.recv(&mut answer) {
                challenged += u32::from(length > 20 && answer[..2] == [1, 0x13]);
            }
        }
        challenged
    }
}

#[test]
fn twenty_thousand_allocates_from_as_many_addresses_leave_no_trace_in_memory() {
    let server = Server::start();
    let begun = Instant::now();
    assert_eq!(server.strangers(1, 2_000), 2_000);
    let before = server.resident();
    assert_eq!(server.strangers(3_000, 20_000), 20_000);
    let after = server.resident();
    println!("{before} KiB before, {after} KiB after, {:?}", begun.elapsed());
    // 50 bytes of each would be a mebibyte; the server's own background work needs some room too.
    assert!(after < before + 2_048, "{before} KiB before, {after} KiB after");
}
