//! Lines: connections over TCP that somebody else holds (the server's TCP port), and that carry datagrams into the shards
//! and out of them. No shard touches a TCP socket: it takes from one bounded queue and puts into others.
//!
//! ```text
//!  connection's reader ─ Inlet::push ─► the shard's queue ─► Shard        a full queue slows the reader, and by TCP its client
//!  connection's writer ◄ Outflow::next ◄ the line's queue ◄─ the flush    a full queue drops, and the drops are counted
//! ```
//!
//! Datagrams go in pieces: each with its length in two bytes before it (RFC 4571), as many together as came together.

mod outside;
mod shard_side;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sfu_core::types::Path;
use tokio::sync::mpsc;

pub use outside::{Inlet, Outflow, Piece, ShardGone};
pub(crate) use shard_side::Lines;

use crate::sys::Waker;

/// Pieces from all lines that may wait for one shard. When it is full the readers wait, and TCP makes their clients wait.
pub(crate) const WAITING_IN: usize = 1_024;
/// Bytes that may wait for one line's writer: two seconds of a large picture. What comes on top is dropped and counted;
/// the pacer holds video back long before.
pub(crate) const MAX_QUEUED: usize = 256 << 10;
/// Pieces that may wait for one line's writer; one flush makes one.
const WAITING_OUT: usize = 512;
/// Below this much in the queue the writer wakes the shards: there is room for what the pacer held.
pub(crate) const ALMOST_EMPTY: usize = 4 << 10;
/// Line numbers begin here, so that they never meet those of a tunnel's allocations.
pub(crate) const FIRST_LINE: u64 = 1 << 63;

/// What lines tell a shard.
pub(crate) enum Inbound {
    /// A line may send from now on, and be sent to.
    Open(u64, End),
    /// Datagrams that came this way.
    Datagrams(Path, Vec<u8>),
    /// The line is gone.
    Closed(u64),
}

/// Where a shard puts what goes out on a line.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) out: mpsc::Sender<Piece>,
    pub(crate) queued: Arc<AtomicUsize>,
}

/// A shard's door for lines.
#[derive(Clone)]
pub(crate) struct LineDoor {
    pub(crate) inbound: mpsc::Sender<Inbound>,
    pub(crate) waker: Waker,
}

/// Makes lines.
pub(crate) struct Exchange {
    doors: Arc<[LineDoor]>,
    next: AtomicU64,
}

impl Exchange {
    pub(crate) fn new(doors: Vec<LineDoor>) -> Self {
        Self {
            doors: doors.into(),
            next: AtomicU64::new(FIRST_LINE),
        }
    }

    pub(crate) fn line(&self) -> (Inlet, Outflow) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (out, pieces) = mpsc::channel(WAITING_OUT);
        let end = End {
            out,
            queued: Arc::default(),
        };
        let wakers = self.doors.iter().map(|door| door.waker.clone()).collect();
        let outflow = Outflow::new(pieces, end.queued.clone(), wakers);
        (Inlet::new(number, self.doors.clone(), end), outflow)
    }
}

/// The datagrams of a piece; what is cut short at its end is left out.
pub fn datagrams(mut piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = piece.split_first_chunk::<2>()?;
        let (datagram, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        piece = rest;
        Some(datagram)
    })
}

/// Appends a datagram to a piece; `false` when it is too long for one.
pub fn append(piece: &mut Vec<u8>, datagram: &[u8]) -> bool {
    let Ok(length) = u16::try_from(datagram.len()) else {
        return false;
    };
    piece.extend_from_slice(&length.to_be_bytes());
    piece.extend_from_slice(datagram);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_of_a_piece_as_they_went_in_and_a_cut_one_is_left_out() {
        let mut piece = Vec::new();
        for datagram in [&b"one"[..], b"", b"three"] {
            assert!(append(&mut piece, datagram));
        }
        assert!(!append(&mut piece, &[0; 70_000]));
        assert_eq!(datagrams(&piece).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        for cut in 0..piece.len() {
            assert!(datagrams(&piece[..cut]).count() < 3);
        }
    }
}
