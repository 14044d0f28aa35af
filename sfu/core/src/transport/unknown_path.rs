//! How many packets from addresses that no check has validated are tried: each costs a decryption that a forger gets for
//! nothing.

use std::time::{Duration, Instant};

/// Tries per second: a rebound NAT is heard within 20 ms, and 50 decryptions are 0.01 ms of a second.
const INTERVAL: Duration = Duration::from_millis(20);

/// Tries in a row, so that the beginning of a burst is heard whole.
const BURST: u32 = 16;

/// A token bucket: the moment up to which its tokens are spent.
#[derive(Debug)]
pub(crate) struct Budget {
    spent_until: Instant,
}

impl Budget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { spent_until: now }
    }

    /// Whether one more packet may be tried.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let from = self.spent_until.max(now);
        if from.saturating_duration_since(now) >= INTERVAL * BURST {
            return false;
        }
        self.spent_until = from + INTERVAL;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // a test has to begin somewhere
    fn a_flood_gets_the_burst_and_then_fifty_tries_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let tries = (0..100_000u32)
            .filter(|i| budget.take(start + Duration::from_micros(u64::from(*i) * 100)))
            .count();
        assert_eq!(tries, 16 + 500, "10 s");
    }
}
