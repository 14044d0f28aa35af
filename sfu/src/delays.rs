//! How long datagrams stay in the server: a histogram that costs one clock reading a flush.

use std::time::Duration;

/// Upper bounds of the buckets in microseconds; what took longer is in one more.
pub const DELAY_BOUNDS: [u64; 11] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000];

/// Datagrams by the time from the reading of the batch that caused them to the return of the system call that sent them.
/// What they waited in the socket's buffer before is not in it: at most the gathering time, unless the thread is overloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// Datagrams in each bucket, those beyond the last bound at the end.
    pub counts: [u64; DELAY_BOUNDS.len() + 1],
    /// All of their delays together, in microseconds.
    pub sum_us: u64,
}

impl Delays {
    pub(crate) fn note(&mut self, delay: Duration, datagrams: u64) {
        let us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let at = DELAY_BOUNDS.partition_point(|bound| *bound < us);
        self.counts[at] += datagrams;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(datagrams));
    }

    /// All datagrams.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_on_a_bound_belongs_to_it_and_a_very_long_one_to_the_end() {
        let mut delays = Delays::default();
        delays.note(Duration::from_micros(50), 3);
        delays.note(Duration::from_micros(51), 4);
        delays.note(Duration::from_secs(1), 5);
        assert_eq!((delays.counts[0], delays.counts[1], delays.counts[11]), (3, 4, 5));
        assert_eq!((delays.count(), delays.sum_us), (12, 3 * 50 + 4 * 51 + 5_000_000));
    }
}
