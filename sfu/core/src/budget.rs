//! How often something may be done for somebody who can ask for it without end.

use std::time::{Duration, Instant};

/// A token bucket: so many at once, and one more every interval.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    interval: Duration,
    burst: u32,
    /// The moment up to which its tokens are spent.
    spent_until: Option<Instant>,
}

impl Budget {
    /// A full bucket of `burst` tokens, refilled by one every `interval`.
    pub const fn new(interval: Duration, burst: u32) -> Self {
        Self {
            interval,
            burst,
            spent_until: None,
        }
    }

    /// Takes a token; `false` when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let from = self.spent_until.map_or(now, |spent| spent.max(now));
        // The bucket is empty when what is spent lies a whole burst ahead.
        if from.saturating_duration_since(now) > self.interval * self.burst.saturating_sub(1) {
            return false;
        }
        self.spent_until = Some(from + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test has to begin somewhere")]
    fn a_flood_gets_the_burst_and_then_one_an_interval() {
        let start = Instant::now();
        let mut budget = Budget::new(Duration::from_millis(20), 16);
        let tries = (0..100_000u32)
            .filter(|i| budget.take(start + Duration::from_micros(u64::from(*i) * 100)))
            .count();
        assert_eq!(tries, 16 + 499, "10 s");
        let later = start + Duration::from_secs(100);
        assert_eq!(
            (0..100).filter(|_| budget.take(later)).count(),
            16,
            "it fills up again, not over"
        );
    }
}
