//! How fast a link is, and when.

use std::time::Duration;

/// Rate over time: steps, each valid from its time on. Before the first step the link has the first step's rate.
#[derive(Clone, Debug)]
pub struct Schedule(Vec<(Duration, u64)>);

impl Schedule {
    /// One rate for ever, in bits per second.
    pub fn constant(bits: u64) -> Self {
        Self(vec![(Duration::ZERO, bits)])
    }

    /// Steps of (from when on, bits per second), in order of time. Rate 0: nothing moves.
    pub fn steps(steps: &[(Duration, u64)]) -> Self {
        Self(steps.to_vec())
    }

    /// Bits per second at this time.
    pub fn at(&self, time: Duration) -> u64 {
        let step = self.0.iter().rev().find(|(from, _)| *from <= time);
        step.or(self.0.first()).map_or(u64::MAX, |(_, bits)| *bits)
    }

    /// When `bytes` that begin to be sent at `start` are through, or `None` when the link stands still for ever.
    pub fn finish(&self, start: Duration, bytes: usize) -> Option<Duration> {
        let mut left = bytes as f64 * 8.0;
        let mut time = start;
        loop {
            let rate = self.at(time);
            let until = self.0.iter().map(|(from, _)| *from).find(|from| *from > time);
            if rate > 0 {
                let needed = Duration::from_secs_f64(left / rate as f64);
                if until.is_none_or(|until| time + needed <= until) {
                    return Some(time + needed);
                }
            }
            let until = until?;
            left -= (until - time).as_secs_f64() * rate as f64;
            time = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_is_being_sent_when_the_rate_changes_takes_both_rates() {
        let second = Duration::from_secs(1);
        let schedule = Schedule::steps(&[(Duration::ZERO, 8_000), (second, 16_000), (2 * second, 0)]);
        assert_eq!(schedule.finish(Duration::ZERO, 2_000), Some(second * 3 / 2));
        assert_eq!(schedule.finish(second, 2_000), Some(second * 2));
        assert_eq!(schedule.finish(second * 2, 1), None);
        assert_eq!(schedule.at(second / 2), 8_000);
    }
}
