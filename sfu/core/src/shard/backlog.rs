//! Viewers behind a TCP connection: what it has not taken yet stands in a queue of ours, not in somebody's router. Video
//! stays with the pacer while that queue is long, and what the connection takes meanwhile is all that it can: the layers
//! are chosen for that, before the queue grows.

use std::time::{Duration, Instant};

use sfu_bwe::{Bitrate, Estimator};

use super::Shard;
use super::downlink::Downlink;
use crate::types::Path;

/// Longest queue on a connection, in time at the estimated rate; beyond it video waits.
const QUEUE: Duration = Duration::from_millis(50);
/// And in bytes: two full packets always fit, a megabyte never.
const QUEUE_BYTES: (u64, u64) = (3_000, 64 << 10);
/// The connection's own rate is measured over at least this time, all of it with something waiting.
const MEASURE: Duration = Duration::from_millis(100);
/// Part of the measured rate that is used, so that the queue empties.
const USED: f64 = 0.9;

/// What a connection has not taken, and what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes waiting for the socket.
    pub waiting: usize,
    /// Bytes that have left since the connection was made.
    pub left: u64,
}

/// The queue of one viewer's connection, as far as we have been told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    /// Since when it has been too long, and what had left then.
    since: Option<(Instant, u64)>,
}

impl Queue {
    /// Whether video has to wait.
    pub(super) fn is_long(&self) -> bool {
        self.since.is_some()
    }

    /// The rate of the connection, when it could be measured.
    fn note(&mut self, now: Instant, backlog: Backlog, estimate: Bitrate) -> Option<Bitrate> {
        let allowed = estimate.bytes_in(QUEUE).clamp(QUEUE_BYTES.0, QUEUE_BYTES.1);
        if backlog.waiting as u64 <= allowed {
            self.since = None;
            return None;
        }
        let (since, left) = *self.since.get_or_insert((now, backlog.left));
        let passed = now.saturating_duration_since(since);
        if passed < MEASURE {
            return None;
        }
        self.since = Some((now, backlog.left));
        Some(Bitrate::of(backlog.left.saturating_sub(left), passed).scaled(USED))
    }
}

impl Downlink {
    fn note_backlog(&mut self, now: Instant, backlog: Backlog) {
        let estimate = self.estimator().estimate().bitrate;
        if let Some(rate) = self.queue.note(now, backlog, estimate) {
            self.estimator().remb(now, rate);
        }
        let long = self.queue.is_long();
        self.pacer.stop(long);
    }

    /// Packets go another way now: what waits on a connection that was left behind holds nothing up.
    pub(super) fn leave_connection(&mut self) {
        self.queue = Queue::default();
        self.pacer.stop(false);
    }
}

impl Shard {
    /// What the connection of this path has not taken yet; told after each flush that put something on it, until nothing
    /// waits.
    pub fn backlog(&mut self, now: Instant, path: Path, backlog: Backlog) {
        let Some(key) = self.by_path.get(&path).copied() else {
            return;
        };
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        // One that was left behind may be stuck, and says so for as long as it lives.
        if member.peer.as_ref().and_then(|peer| peer.transport.path()) != Some(path) {
            return;
        }
        let Some(downlink) = &mut member.downlink else { return };
        let before = downlink.queue.is_long();
        downlink.note_backlog(now, backlog);
        if before && !downlink.queue.is_long() {
            self.schedule_exactly(key, now);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn a_long_queue_is_noticed_at_once_and_its_rate_after_a_tenth_of_a_second() {
        let (start, ms) = (Instant::now(), Duration::from_millis(1));
        let estimate = Bitrate::kbps(1_000); // 6,250 bytes in 50 ms
        let mut queue = Queue::default();
        let at = |waiting, left| Backlog { waiting, left };
        assert_eq!(queue.note(start, at(6_000, 0), estimate), None);
        assert!(!queue.is_long());
        assert_eq!(queue.note(start, at(7_000, 0), estimate), None);
        assert!(queue.is_long());
        assert_eq!(queue.note(start + 99 * ms, at(7_000, 5_000), estimate), None);
        // 5,000 bytes in 100 ms are 400 kbit/s.
        let rate = queue.note(start + 100 * ms, at(7_000, 5_000), estimate).unwrap();
        assert_eq!(rate, Bitrate::kbps(360));
        // A connection that takes nothing.
        let rate = queue.note(start + 200 * ms, at(7_000, 5_000), estimate).unwrap();
        assert_eq!(rate, Bitrate::ZERO);
        assert_eq!(queue.note(start + 201 * ms, at(0, 12_000), estimate), None);
        assert!(!queue.is_long());
    }

    #[test]
    fn a_slow_path_has_room_for_two_packets_and_a_fast_one_for_no_more_than_64_kib() {
        let now = Instant::now();
        let long = |waiting, kbps| {
            let mut queue = Queue::default();
            queue.note(now, Backlog { waiting, left: 0 }, Bitrate::kbps(kbps));
            queue.is_long()
        };
        assert!(!long(3_000, 50) && long(3_001, 50));
        assert!(!long(64 << 10, 30_000) && long((64 << 10) + 1, 30_000));
    }
}
