//! The shard's side of the lines.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use sfu_core::shard::Backlog;
use sfu_core::types::Path;

use super::{End, MAX_QUEUED, Piece, append};

/// Lines known before dead ones are looked for the first time.
const FIRST_SWEEP: usize = 64;

struct Line {
    end: End,
    /// Bytes handed to the line since it was opened.
    handed: u64,
}

/// Lines that a shard can send to.
pub(crate) struct Lines {
    open: HashMap<u64, Line>,
    /// Paths on which something waited when last looked at.
    waiting: Vec<Path>,
    sweep_at: usize,
    /// Datagrams handed over.
    pub(crate) sent: u64,
    /// Datagrams dropped because the client does not read as fast as it is sent to, or has gone.
    pub(crate) dropped: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            open: HashMap::new(),
            waiting: Vec::new(),
            sweep_at: FIRST_SWEEP,
            sent: 0,
            dropped: 0,
        }
    }
}

/// The line of a path.
fn number(path: Path) -> Option<u64> {
    match path {
        Path::Tcp { connection, .. } => Some(connection),
        Path::Turn { allocation, .. } => Some(allocation),
        Path::Udp { .. } => None,
    }
}

impl Lines {
    pub(crate) fn open(&mut self, number: u64, end: End) {
        if self.open.len() >= self.sweep_at {
            self.open.retain(|_, line| !line.end.out.is_closed());
            self.sweep_at = (self.open.len() * 2).max(FIRST_SWEEP);
        }
        self.open.insert(number, Line { end, handed: 0 });
    }

    pub(crate) fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Puts datagrams into the line's queue: one allocation for all of them, none for each.
    pub(crate) fn send<'a>(
        &mut self,
        path: Path,
        local: Option<SocketAddr>,
        datagrams: impl Iterator<Item = &'a [u8]>,
    ) {
        let mut bytes = Vec::new();
        let mut count = 0;
        let line = number(path).and_then(|number| self.open.get_mut(&number));
        let room = match &line {
            Some(line) => MAX_QUEUED.saturating_sub(line.end.queued.load(Ordering::Acquire)),
            None => 0,
        };
        for datagram in datagrams {
            if bytes.len() + 2 + datagram.len() <= room && append(&mut bytes, datagram) {
                count += 1;
            } else {
                self.dropped += 1;
            }
        }
        let Some(line) = line.filter(|_| count > 0) else {
            return;
        };
        let length = bytes.len();
        line.end.queued.fetch_add(length, Ordering::AcqRel);
        if line.end.out.try_send(Piece { local, bytes }).is_err() {
            line.end.queued.fetch_sub(length, Ordering::AcqRel);
            self.dropped += count;
            return;
        }
        self.sent += count;
        line.handed += length as u64;
        if !self.waiting.contains(&path) {
            self.waiting.push(path);
        }
    }

    /// What waits on the lines that something was put on, or waited on when last asked.
    pub(crate) fn each_backlog(&mut self, mut tell: impl FnMut(Path, Backlog)) {
        let open = &self.open;
        self.waiting.retain(|path| {
            let line = number(*path).and_then(|number| open.get(&number));
            let Some(line) = line else { return false };
            let waiting = line.end.queued.load(Ordering::Acquire);
            let left = line.handed.saturating_sub(waiting as u64);
            tell(*path, Backlog { waiting, left });
            waiting > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::{LineDoor, datagrams};
    use crate::sys::Waker;
    use tokio::sync::mpsc;

    fn exchange() -> (super::super::Exchange, mpsc::Receiver<super::super::Inbound>) {
        let (inbound, queue) = mpsc::channel(4);
        let door = LineDoor {
            inbound,
            waker: Waker::new().unwrap(),
        };
        (super::super::Exchange::new(vec![door]), queue)
    }

    fn path(connection: u64) -> Path {
        let remote = "203.0.113.9:4000".parse().unwrap();
        Path::Tcp { connection, remote }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_loses_what_is_too_much_and_nobody_waits() {
        let (exchange, mut queue) = exchange();
        let (mut inlet, mut outflow) = exchange.line();
        let path = path(inlet.number());
        inlet.push(0, path, b"\0\x01a".to_vec()).await.unwrap();
        let Some(super::super::Inbound::Open(number, end)) = queue.recv().await else {
            panic!("the line is opened first");
        };
        let mut lines = Lines::default();
        lines.open(number, end);
        let datagram = [7; 1_200];
        for _ in 0..400 {
            lines.send(path, None, [&datagram[..], &datagram].into_iter());
        }
        assert!(
            lines.dropped > 500 && lines.sent + lines.dropped == 800,
            "{}",
            lines.dropped
        );
        let mut told = Vec::new();
        lines.each_backlog(|_, backlog| told.push(backlog));
        assert!(told[0].waiting <= MAX_QUEUED && told[0].waiting > MAX_QUEUED - 2_500 && told[0].left == 0);

        let mut came = 0;
        while let Some(piece) = outflow.try_next() {
            came += datagrams(&piece.bytes).count() as u64;
            outflow.written(piece.bytes.len());
        }
        assert_eq!(came, lines.sent);
        told.clear();
        lines.each_backlog(|_, backlog| told.push(backlog));
        assert!(told[0].waiting == 0 && told[0].left > 200_000, "{told:?}");
        lines.each_backlog(|_, _| panic!("nothing waits, so nobody is told"));
    }

    #[tokio::test]
    async fn what_goes_to_a_line_that_is_gone_is_dropped_and_counted() {
        let (exchange, mut queue) = exchange();
        let (mut inlet, outflow) = exchange.line();
        let path = path(inlet.number());
        inlet.push(0, path, Vec::new()).await.unwrap();
        let Some(super::super::Inbound::Open(number, end)) = queue.recv().await else {
            panic!("the line is opened first");
        };
        let mut lines = Lines::default();
        lines.open(number, end);
        drop(outflow);
        lines.send(path, None, [&b"a"[..]].into_iter());
        drop(inlet);
        lines.close(number);
        lines.send(path, None, [&b"a"[..]].into_iter());
        assert_eq!((lines.sent, lines.dropped), (0, 2));
    }
}
