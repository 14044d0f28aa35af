//! Time on three clocks: the shard's, a publisher's wall clock in its sender reports, and media clocks.

use std::time::{Duration, Instant};

/// The NTP seconds at the shard's start. Any value serves: receivers only compare our reports with each other.
const NTP_BASE: u64 = 3_900_000_000;

/// The shard's clock as NTP time.
#[derive(Clone, Copy, Debug)]
pub struct ShardClock {
    start: Instant,
}

impl ShardClock {
    /// Starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self { start: now }
    }

    /// 32.32 fixed point seconds.
    pub fn ntp(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        ((NTP_BASE + since.as_secs()) << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
    }

    /// Milliseconds since the start; wraps after 49 days.
    pub fn millis(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_millis() as u32
    }

    /// The same, for a clock with `rate` ticks a second.
    pub fn ticks(&self, now: Instant, rate: u32) -> u32 {
        let since = now.saturating_duration_since(self.start);
        (since.as_nanos() * u128::from(rate) / 1_000_000_000) as u32
    }
}

/// Where one received stream's media clock stands: from its newest packet, and better from its sender reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaClock {
    /// RTP timestamp and arrival of the newest packet.
    newest: Option<(u32, Instant)>,
    /// NTP time and RTP timestamp of the last sender report, and its arrival.
    report: Option<(u64, u32, Instant)>,
}

impl MediaClock {
    /// Notes a packet in order.
    pub fn packet(&mut self, timestamp: u32, now: Instant) {
        // The first packet of a frame says best when it was captured; the rest of a burst comes later.
        if self
            .newest
            .is_none_or(|(newest, _)| timestamp != newest && timestamp.wrapping_sub(newest) < 1 << 31)
        {
            self.newest = Some((timestamp, now));
        }
    }

    /// Notes a sender report.
    pub fn report(&mut self, ntp: u64, rtp: u32, now: Instant) {
        self.report = Some((ntp, rtp, now));
    }

    /// The last sender report: its NTP time and RTP timestamp, and when it came.
    pub fn newest_report(&self) -> Option<(u64, u32, Instant)> {
        self.report
    }

    /// The middle 32 bits of the last report's NTP time, and how long ago it came; for reception reports.
    pub fn last_report(&self, now: Instant) -> Option<(u32, Duration)> {
        self.report
            .map(|(ntp, _, at)| ((ntp >> 16) as u32, now.saturating_duration_since(at)))
    }

    /// How far the sender's wall clock is behind the shard's arrival time, in nanoseconds modulo an arbitrary base that is
    /// the same for all streams of one sender: the smaller, the less the report was delayed.
    pub fn delay(&self, clock: &ShardClock) -> Option<i128> {
        self.report.map(|(ntp, _, at)| nanos(clock.ntp(at)) - nanos(ntp))
    }

    /// The media timestamp that is captured at the shard's `now`. With sender reports, and `offset` the smallest
    /// [`Self::delay`] of the sender's streams, all streams of a sender agree; without, arrival has to serve.
    pub fn at(&self, now: Instant, rate: u32, offset: Option<i128>, clock: &ShardClock) -> Option<u32> {
        if let (Some((ntp, rtp, _)), Some(offset)) = (self.report, offset) {
            let elapsed = nanos(clock.ntp(now)) - offset - nanos(ntp);
            let ticks = elapsed * i128::from(rate) / 1_000_000_000;
            return Some(rtp.wrapping_add(ticks as u32));
        }
        self.newest.map(|(timestamp, arrival)| {
            let ticks = now.saturating_duration_since(arrival).as_nanos() * u128::from(rate) / 1_000_000_000;
            timestamp.wrapping_add(ticks as u32)
        })
    }
}

fn nanos(ntp: u64) -> i128 {
    (i128::from(ntp) * 1_000_000_000) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_streams_of_one_sender_agree_on_the_moment_of_capture() {
        let start = Instant::now_for_tests();
        let clock = ShardClock::new(start);
        let ms = Duration::from_millis;
        let (mut audio, mut video) = (MediaClock::default(), MediaClock::default());
        // The sender's clock says 1,000 s; both streams were at these timestamps then. Video's report travels 80 ms longer.
        let ntp = 1_000_u64 << 32;
        audio.report(ntp, 48_000, start + ms(20));
        video.report(ntp, 90_000, start + ms(100));
        let offset = audio.delay(&clock).min(video.delay(&clock));
        let now = start + ms(1_020);
        assert!(audio.at(now, 48_000, offset, &clock).unwrap().abs_diff(96_000) <= 1);
        assert!(video.at(now, 90_000, offset, &clock).unwrap().abs_diff(180_000) <= 1);
    }

    #[test]
    fn without_reports_arrival_serves() {
        let start = Instant::now_for_tests();
        let clock = ShardClock::new(start);
        let mut media = MediaClock::default();
        media.packet(u32::MAX, start);
        let at = media.at(start + Duration::from_millis(500), 90_000, None, &clock);
        assert_eq!(at, Some(44_999));
    }

    trait ForTests {
        fn now_for_tests() -> Self;
    }

    impl ForTests for Instant {
        #[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
        fn now_for_tests() -> Self {
            Self::now()
        }
    }
}
