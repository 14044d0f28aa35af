//! The queue that stands: how much later packets arrive than the earliest ones did.

use crate::minimum::Minimum;

/// One-way delays, whose zero nobody knows; only differences are used.
///
/// The least of the last 200 ms against the least of the last 20 s: least, because jitter only adds. Clocks that drift by
/// 100 ppm move the difference by 2 ms in that time.
#[derive(Debug)]
pub(crate) struct Standing {
    base: Minimum<20>,
    recent: Minimum<4>,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            base: Minimum::new(1_000_000),
            recent: Minimum::new(50_000),
        }
    }

    /// A packet that was sent and arrived then, us of two clocks; `now` on ours.
    pub(crate) fn add(&mut self, now: i64, sent: i64, arrival: i64) {
        let delay = arrival.saturating_sub(sent);
        self.base.add(now, delay);
        self.recent.add(now, delay);
    }

    /// How far above the earliest arrivals this delay is, us.
    pub(crate) fn above(&self, delay: i64) -> i64 {
        self.base.get().map_or(0, |base| delay.saturating_sub(base).max(0))
    }

    /// The standing queue in us.
    pub(crate) fn queue(&self) -> i64 {
        match (self.recent.get(), self.base.get()) {
            (Some(recent), Some(base)) => recent.saturating_sub(base).max(0),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_no_queue_and_a_queue_is() {
        let mut standing = Standing::new();
        for n in 0..500_i64 {
            standing.add(n * 10_000, n * 10_000, n * 10_000 - 77_000 + n % 7 * 5_000);
        }
        assert_eq!(standing.queue(), 0);
        for n in 500..530_i64 {
            standing.add(n * 10_000, n * 10_000, n * 10_000 - 77_000 + 150_000 + n % 7 * 5_000);
        }
        assert_eq!(standing.queue(), 150_000);
        for n in 530..4_000_i64 {
            standing.add(n * 10_000, n * 10_000, n * 10_000 + 73_000);
        }
        assert_eq!(standing.queue(), 0, "a delay that stays is the path's");
    }
}
