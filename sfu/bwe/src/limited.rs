//! Is less sent than may be? Then delivery says nothing about what would fit (application-limited).

use crate::Bitrate;

/// The part of the estimate that must be used for the link to be tested.
const USED: f64 = 0.85;
/// So much time's worth of unused rate makes it limited, and so little ends that, us.
const BEGINS: f64 = 200_000.0;
const ENDS: f64 = 50_000.0;
/// The account holds at most so much, us.
const MOST: f64 = 400_000.0;

/// An account of unused time at the estimate.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    unused: f64,
    at: i64,
    limited: bool,
}

impl Limited {
    /// Time passes at this estimate.
    pub(crate) fn advance(&mut self, now: i64) {
        let elapsed = (now - self.at).max(0) as f64;
        self.at = self.at.max(now);
        self.unused = (self.unused + elapsed).min(MOST);
        self.decide();
    }

    /// Bytes left at `now`, at this estimate.
    pub(crate) fn sent(&mut self, now: i64, bytes: u32, estimate: Bitrate) {
        self.advance(now);
        let rate = (estimate.as_bps() as f64 * USED).max(1.0);
        self.unused = (self.unused - f64::from(bytes) * 8e6 / rate).max(-MOST);
        self.decide();
    }

    fn decide(&mut self) {
        if self.unused > BEGINS {
            self.limited = true;
        } else if self.unused < ENDS {
            self.limited = false;
        }
    }

    pub(crate) fn get(&self) -> bool {
        self.limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_of_the_estimate_is_limited_and_nine_tenths_is_not() {
        let run = |bytes: u32| {
            let mut limited = Limited::default();
            (0..500).for_each(|n| limited.sent(n * 10_000, bytes, Bitrate::kbps(1_000)));
            limited.get()
        };
        assert!(run(830));
        assert!(!run(1_130));
        let mut limited = Limited::default();
        limited.advance(1_000_000);
        assert!(limited.get(), "nothing sent at all");
    }
}
