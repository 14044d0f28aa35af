//! Units in types.

use std::fmt;
use std::time::Duration;

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u64);

impl Bitrate {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From bits per second.
    pub const fn bps(bits: u64) -> Self {
        Self(bits)
    }

    /// From 1,000 bits per second.
    pub const fn kbps(kilobits: u64) -> Self {
        Self(kilobits.saturating_mul(1_000))
    }

    /// The rate of `bytes` within `time`; zero for no time.
    pub fn of(bytes: u64, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        if seconds > 0.0 {
            Self((bytes as f64 * 8.0 / seconds) as u64)
        } else {
            Self::ZERO
        }
    }

    /// Bits per second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// Times a factor; a negative or senseless factor gives zero.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor) as u64)
    }

    /// Together; the largest there is instead of an overflow.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Without the other; zero instead of less.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whole bytes that pass in this time.
    pub fn bytes_in(self, time: Duration) -> u64 {
        (self.0 as f64 * time.as_secs_f64() / 8.0) as u64
    }

    /// How long `bytes` take; at most an hour, also at rate zero.
    pub fn time_for(self, bytes: u64) -> Duration {
        const HOUR: Duration = Duration::from_secs(3_600);
        if self.0 == 0 {
            return HOUR;
        }
        Duration::try_from_secs_f64(bytes as f64 * 8.0 / self.0 as f64).map_or(HOUR, |time| time.min(HOUR))
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.0 / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_times_are_each_others_inverse() {
        let rate = Bitrate::kbps(800);
        assert_eq!(rate.bytes_in(Duration::from_millis(20)), 2_000);
        assert_eq!(rate.time_for(2_000), Duration::from_millis(20));
        assert_eq!(Bitrate::of(2_000, Duration::from_millis(20)), rate);
        assert_eq!(Bitrate::ZERO.time_for(1), Duration::from_secs(3_600));
        assert_eq!(rate.scaled(-1.0), Bitrate::ZERO);
    }
}
