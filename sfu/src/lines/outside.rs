//! The connection's side of a line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sfu_core::types::Path;
use tokio::sync::mpsc;

use super::{ALMOST_EMPTY, End, Inbound, LineDoor};
use crate::sys::Waker;

/// The shard has ended: the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the media shard has ended")]
pub struct ShardGone;

/// Datagrams for the client at the other end of a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// For [`Path::Turn`]: the address of ours that they come from.
    pub local: Option<SocketAddr>,
    /// Each with its length before it; [`super::datagrams`] takes them apart.
    pub bytes: Vec<u8>,
}

/// The way in. Dropping it closes the line.
pub struct Inlet {
    number: u64,
    doors: Arc<[LineDoor]>,
    end: End,
    opened: Vec<bool>,
}

impl Inlet {
    pub(super) fn new(number: u64, doors: Arc<[LineDoor]>, end: End) -> Self {
        let opened = vec![false; doors.len()];
        Self {
            number,
            doors,
            end,
            opened,
        }
    }

    /// The line's number: `connection` of a [`Path::Tcp`], `allocation` of a [`Path::Turn`].
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Hands datagrams to a shard as if they had come by `path`, whose number is this line's. Waits while the shard has too
    /// many of them before it.
    ///
    /// # Errors
    /// [`ShardGone`]; also for a shard that does not exist.
    pub async fn push(&mut self, shard: usize, path: Path, datagrams: Vec<u8>) -> Result<(), ShardGone> {
        let (door, opened) = self.doors.get(shard).zip(self.opened.get_mut(shard)).ok_or(ShardGone)?;
        let send = async |what| door.inbound.send(what).await.map_err(|_| ShardGone);
        if !*opened {
            send(Inbound::Open(self.number, self.end.clone())).await?;
            *opened = true;
        }
        send(Inbound::Datagrams(path, datagrams)).await?;
        door.waker.wake();
        Ok(())
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        for (door, opened) in self.doors.iter().zip(&self.opened) {
            // A full queue: the shard finds the line dead when it looks for dead lines.
            if *opened && door.inbound.try_send(Inbound::Closed(self.number)).is_ok() {
                door.waker.wake();
            }
        }
    }
}

/// The way out.
pub struct Outflow {
    pieces: mpsc::Receiver<Piece>,
    queued: Arc<AtomicUsize>,
    wakers: Vec<Waker>,
}

impl Outflow {
    pub(super) fn new(pieces: mpsc::Receiver<Piece>, queued: Arc<AtomicUsize>, wakers: Vec<Waker>) -> Self {
        Self { pieces, queued, wakers }
    }

    /// What is to be sent next; `None` when every shard has closed the line.
    pub async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    /// What waits behind it, if anything does.
    pub fn try_next(&mut self) -> Option<Piece> {
        self.pieces.try_recv().ok()
    }

    /// So many bytes of a piece have left for the socket.
    pub fn written(&self, bytes: usize) {
        let before = self.queued.fetch_sub(bytes, Ordering::AcqRel);
        if before > ALMOST_EMPTY && before.saturating_sub(bytes) <= ALMOST_EMPTY {
            self.wakers.iter().for_each(Waker::wake);
        }
    }
}
