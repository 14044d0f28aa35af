//! The budget, and what it was in the last seconds.

use std::time::{Duration, Instant};

use sfu_bwe::Bitrate;

/// What may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Now.
    pub now: Bitrate,
    /// What the path carries: more than `now` while a queue is drained.
    pub carries: Bitrate,
    /// The least of the last 2.5 s.
    pub lowest: Bitrate,
    /// The most of the last 1.5 s.
    pub highest: Bitrate,
    /// Nothing is known of the path yet: a floor for everybody, and no more. A probe that is on its way says within a round trip
    /// whether there is room, and on a narrow link what was begun with is a queue before the first feedback can come.
    pub guessed: bool,
}

impl Budget {
    /// The same all the time.
    pub const fn steady(bitrate: Bitrate) -> Self {
        Self {
            now: bitrate,
            carries: bitrate,
            lowest: bitrate,
            highest: bitrate,
            guessed: false,
        }
    }
}

/// Values kept: one per 100 ms.
const SLOTS: usize = 25;
const SLOT: Duration = Duration::from_millis(100);
/// Of these so many count for the most.
const HIGHEST: usize = 15;

/// Estimates of the last 2.5 s.
#[derive(Clone, Debug)]
pub struct Recent {
    /// Least and most of each 100 ms, the newest last.
    slots: [(Bitrate, Bitrate); SLOTS],
    began: Instant,
}

impl Recent {
    /// As if it had been this all the time.
    pub fn new(bitrate: Bitrate, now: Instant) -> Self {
        Self {
            slots: [(bitrate, bitrate); SLOTS],
            began: now,
        }
    }

    /// An estimate, and the budget that follows.
    pub fn note(&mut self, bitrate: Bitrate, now: Instant) -> Budget {
        let passed = now.saturating_duration_since(self.began).as_millis() / SLOT.as_millis();
        let moved = passed.min(SLOTS as u128) as usize;
        if moved > 0 {
            self.slots.rotate_left(moved);
            self.slots[SLOTS - moved..].fill((bitrate, bitrate));
            self.began = if moved == SLOTS {
                now
            } else {
                self.began + SLOT * moved as u32
            };
        }
        let newest = &mut self.slots[SLOTS - 1];
        *newest = (newest.0.min(bitrate), newest.1.max(bitrate));
        let lowest = self.slots.iter().map(|slot| slot.0).fold(bitrate, Bitrate::min);
        let highest = self.slots[SLOTS - HIGHEST..].iter().map(|slot| slot.1);
        Budget {
            now: bitrate,
            carries: bitrate,
            lowest,
            highest: highest.fold(bitrate, Bitrate::max),
            guessed: false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn a_dip_is_remembered_for_two_and_a_half_seconds_and_a_peak_for_one_and_a_half() {
        let start = Instant::now();
        let mut recent = Recent::new(Bitrate::kbps(500), start);
        let mut at = |ms: u64, kbps| {
            let budget = recent.note(Bitrate::kbps(kbps), start + Duration::from_millis(ms));
            (budget.lowest.as_bps() / 1_000, budget.highest.as_bps() / 1_000)
        };
        assert_eq!(at(10, 100), (100, 500));
        assert_eq!(at(1_000, 500), (100, 500));
        assert_eq!(at(2_300, 500), (100, 500));
        assert_eq!(at(2_600, 900), (500, 900));
        assert_eq!(at(4_000, 400), (400, 900));
        assert_eq!(at(4_300, 400), (400, 400));
        assert_eq!(at(60_000, 700), (700, 700));
    }
}
