//! What was lost once on a path that loses packets is lost again now and then: there a retransmission is sent twice.
//!
//! A receiver that misses the first copy asks again only after a round trip; by then the picture has stood still for more than
//! 200 ms. At 5 % of loss this was 3.8 % of the time in the simulator. The second copy costs as much of the rate as is lost, and it
//! leaves a little later, because losses come in bursts. On a path that loses because too much is sent nothing is repeated.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::pacing::Waiting;

/// From so much loss on. Below, one in 2,500 packets would be lost twice.
const LOSSY: f64 = 0.02;
/// With so much standing at the bottleneck, loss may be its buffer's, and what is repeated makes it worse; so it may until so long
/// after. (Without that time, twice as much overflowed at the beginning on 300 kbit/s.)
const QUEUE: Duration = Duration::from_millis(30);
const SINCE_QUEUE: Duration = Duration::from_secs(3);
/// The second copy leaves so much later.
const LATER: Duration = Duration::from_millis(20);
/// Copies that wait for one viewer. What is more is not repeated; the receiver asks again.
const MAX_REPEATS: usize = 64;

/// Second copies of one viewer that wait for their time.
#[derive(Debug)]
pub(super) struct Repeats {
    waiting: VecDeque<(Instant, Waiting)>,
    loss: f64,
    /// When a queue was last seen, or the path began.
    queued: Instant,
}

impl Repeats {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            loss: 0.0,
            queued: now,
        }
    }

    /// What is known of the path now: the part of the packets that it loses, and how much stands before it.
    pub(super) fn note(&mut self, now: Instant, loss: f64, queue: Duration) {
        self.loss = loss;
        if queue >= QUEUE {
            self.queued = now;
        }
    }

    /// Whether what is sent again now should be sent twice.
    pub(super) fn help(&self, now: Instant) -> bool {
        self.loss >= LOSSY && now.saturating_duration_since(self.queued) >= SINCE_QUEUE
    }

    /// A retransmission leaves now; this is its second copy. `false`: too many wait.
    pub(super) fn add(&mut self, now: Instant, copy: Waiting) -> bool {
        let room = self.waiting.len() < MAX_REPEATS;
        if room {
            self.waiting.push_back((now + LATER, copy));
        }
        room
    }

    /// The next copy whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<Waiting> {
        self.next_deadline().filter(|at| *at <= now)?;
        self.waiting.pop_front().map(|(_, copy)| copy)
    }

    /// When [`Self::due`] has something.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;
    use crate::forward::PacketKey;

    fn copy(index: u64) -> Waiting {
        Waiting {
            slot: 0,
            packet: PacketKey::from_parts(0, 0),
            from: (0, 0, 0),
            csrc: 0,
            again: Some(index),
        }
    }

    #[test]
    fn a_copy_is_due_after_its_time_and_only_so_many_wait() {
        let (start, ms) = (Instant::now(), Duration::from_millis(1));
        let mut repeats = Repeats::new(start);
        assert!(repeats.add(start, copy(1)) && repeats.add(start + 5 * ms, copy(2)));
        assert_eq!(repeats.next_deadline(), Some(start + LATER));
        assert!(repeats.due(start + 19 * ms).is_none());
        assert_eq!(repeats.due(start + 20 * ms).and_then(|copy| copy.again), Some(1));
        assert!(repeats.due(start + 20 * ms).is_none());
        assert_eq!(repeats.due(start + 25 * ms).and_then(|copy| copy.again), Some(2));
        assert_eq!(repeats.next_deadline(), None);
        assert!((0..MAX_REPEATS as u64).all(|index| repeats.add(start, copy(index))));
        assert!(!repeats.add(start, copy(0)));
    }

    #[test]
    fn only_a_lossy_path_without_a_queue_is_helped() {
        let (start, second, ms) = (Instant::now(), Duration::from_secs(1), Duration::from_millis(1));
        let mut repeats = Repeats::new(start);
        repeats.note(start + second, 0.05, 5 * ms);
        assert!(!repeats.help(start + second), "it has only begun");
        assert!(repeats.help(start + 4 * second));
        repeats.note(start + 4 * second, 0.01, 5 * ms);
        assert!(!repeats.help(start + 4 * second), "little is lost twice");
        repeats.note(start + 5 * second, 0.05, 40 * ms);
        repeats.note(start + 6 * second, 0.05, 5 * ms);
        assert!(!repeats.help(start + 7 * second), "the buffer was full a moment ago");
        assert!(repeats.help(start + 8 * second));
    }
}
