//! A token bucket for one connection.

use std::time::{Duration, Instant};

/// Holds up to `burst` tokens and gains `per_second`.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket. Zeros are taken as one, so that a mistake in the configuration does not lock everybody out.
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            tokens: burst,
            burst,
            per_second: f64::from(per_second.max(1)),
            filled: now,
        }
    }

    /// Takes a token, or says how long until there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(20, 40, start);
        assert_eq!((0..100).filter(|_| bucket.take(start).is_ok()).count(), 40);
        let wait = bucket.take(start).unwrap_err();
        assert_eq!(wait.as_millis(), 50);
        assert!(bucket.take(start + wait).is_ok());
        let later = start + wait + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| bucket.take(later).is_ok()).count(), 20);
        let much_later = later + Duration::from_secs(1000);
        assert_eq!(
            (0..100).filter(|_| bucket.take(much_later).is_ok()).count(),
            40,
            "it does not overflow"
        );
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut bucket = Bucket::new(1, 1, start);
        assert!(bucket.take(start).is_ok());
        assert!(bucket.take(start - Duration::from_secs(5)).is_err());
        assert!(bucket.take(start).is_err());
    }
}
