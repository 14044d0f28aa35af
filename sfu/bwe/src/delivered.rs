//! How fast packets come out at the other end.

use std::time::Duration;

use crate::Bitrate;

/// Buckets and how long each is. 400 ms span some frames of 15 a second; shorter windows take a pause between frames for a
/// slow link.
const BUCKETS: usize = 8;
const BUCKET: i64 = 50_000; // us
/// Before so much time is covered there is no rate.
const ENOUGH: i64 = 150_000; // us

/// Bytes per bucket of a clock in us.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: [u64; BUCKETS],
    /// Number of the newest bucket, and when the first packet came.
    newest: i64,
    first: Option<i64>,
    last: i64,
}

impl Window {
    pub(crate) fn add(&mut self, at: i64, bytes: u32) {
        let bucket = at.div_euclid(BUCKET);
        if self.first.is_none() || bucket - self.newest >= BUCKETS as i64 || self.newest - bucket > 200 {
            // The first, after a silence, or a clock that jumped back.
            self.bytes = [0; BUCKETS];
            self.first = Some(at);
            self.newest = bucket;
            self.last = at;
        }
        for skipped in self.newest + 1..=bucket {
            self.bytes[skipped.rem_euclid(BUCKETS as i64) as usize] = 0;
        }
        self.newest = self.newest.max(bucket);
        self.last = self.last.max(at);
        if self.newest - bucket < BUCKETS as i64 {
            self.bytes[bucket.rem_euclid(BUCKETS as i64) as usize] += u64::from(bytes);
        }
    }

    /// Up to the last packet. `None`: too little was seen.
    pub(crate) fn rate(&self) -> Option<Bitrate> {
        self.rate_at(self.last)
    }

    /// Of the last 100 ms or a little more. Only worth something while the link is full: then it never pauses.
    pub(crate) fn recent(&self) -> Option<Bitrate> {
        self.over(self.last, 3)
    }

    /// Up to `now`, which may be after the last packet.
    pub(crate) fn rate_at(&self, now: i64) -> Option<Bitrate> {
        self.over(now, BUCKETS as i64)
    }

    fn over(&self, now: i64, buckets: i64) -> Option<Bitrate> {
        let first = self.first?;
        let newest = now.max(self.last).div_euclid(BUCKET);
        let oldest = newest - (buckets - 1);
        let covered = now.max(self.last) - first.max(oldest * BUCKET);
        if covered < ENOUGH.min((buckets - 1) * BUCKET) {
            return None;
        }
        let kept = (oldest.max(self.newest - (BUCKETS as i64 - 1))..=self.newest)
            .map(|bucket| self.bytes[bucket.rem_euclid(BUCKETS as i64) as usize]);
        Some(Bitrate::of(kept.sum(), Duration::from_micros(covered as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_is_measured_within_a_few_percent_and_a_pause_is_seen() {
        let mut window = Window::default();
        for n in 0..100 {
            window.add(n * 10_000, 1_250);
        }
        let rate = window.rate().unwrap().as_bps();
        assert!((970_000..1_060_000).contains(&rate), "{rate}");
        let later = window.rate_at(990_000 + 300_000).unwrap().as_bps();
        assert!((100_000..400_000).contains(&later), "{later}");
        assert_eq!(window.rate_at(9_000_000).unwrap(), Bitrate::ZERO);
    }

    #[test]
    fn too_little_has_no_rate_and_jumps_begin_anew() {
        let mut window = Window::default();
        assert_eq!(window.rate(), None);
        window.add(0, 1_000);
        window.add(10_000, 1_000);
        assert_eq!(window.rate(), None);
        window.add(i64::MAX / 4, 1_000);
        assert_eq!(window.rate(), None);
        window.add(-5_000_000, 1_000);
        assert_eq!(window.rate(), None);
    }
}
