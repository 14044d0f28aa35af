//! Counters and histograms that a media thread fills: one for the current second, one for the measuring window.

use hdrhistogram::Histogram;

use crate::report::model::{Counts, Distribution};

/// Largest value that a histogram keeps apart: a minute in microseconds.
const MOST: u64 = 60_000_000;

/// Counters; those that a late packet corrects may fall below zero within a second.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// See [`Counts`].
    pub sent: u64,
    /// See [`Counts`].
    pub sent_bytes: u64,
    /// See [`Counts`].
    pub received: u64,
    /// See [`Counts`].
    pub received_bytes: u64,
    /// See [`Counts`].
    pub lost: i64,
    /// See [`Counts`].
    pub sequence_gaps: i64,
    /// See [`Counts`].
    pub duplicates: u64,
    /// See [`Counts`].
    pub reordered: u64,
    /// See [`Counts`].
    pub wrong_room: u64,
    /// See [`Counts`].
    pub freezes: u64,
    /// See [`Counts`].
    pub frozen_ns: u64,
    /// See [`Counts`].
    pub flowing_ns: u64,
    /// See [`Counts`].
    pub layer_switches: u64,
    /// See [`Counts`].
    pub rebinds: u64,
    /// See [`Counts`].
    pub key_frame_requests: u64,
    /// Datagrams that the kernel dropped at our sockets.
    pub socket_drops: u64,
    /// Datagrams that could not be sent.
    pub send_failures: u64,
    /// Connections that failed or broke.
    pub failed: u64,
}

/// Counters and histograms of one thread and one span of time.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Counters.
    pub counts: Counters,
    /// Delay, microseconds.
    pub delay: Histogram<u64>,
    /// Freezes, milliseconds.
    pub freezes: Histogram<u64>,
    /// Lateness of sends, microseconds.
    pub lateness: Histogram<u64>,
    /// Jitter of streams, microseconds; filled at the end of the window.
    pub jitter: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

/// An empty histogram from 1 to [`MOST`] with two significant digits (errors under 1 %).
pub fn histogram() -> Histogram<u64> {
    // The bounds are constant and valid, so this cannot fail; an unbounded histogram takes its place if it ever did.
    Histogram::new_with_bounds(1, MOST, 2).unwrap_or_else(|_| {
        #[allow(
            clippy::expect_used,
            reason = "two significant digits are valid by the library's contract"
        )]
        Histogram::new(2).expect("two digits")
    })
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            counts: Counters::default(),
            delay: histogram(),
            freezes: histogram(),
            lateness: histogram(),
            jitter: histogram(),
        }
    }

    /// Notes a delay in nanoseconds.
    pub fn delay(&mut self, ns: u64) {
        self.delay.saturating_record(ns / 1_000);
    }

    /// Notes a freeze in nanoseconds.
    pub fn freeze(&mut self, ns: u64) {
        self.counts.freezes += 1;
        self.counts.frozen_ns += ns;
        self.freezes.saturating_record(ns / 1_000_000);
    }

    /// Adds another thread's, or another second's.
    pub fn add(&mut self, other: &Self) {
        let (a, b) = (&mut self.counts, &other.counts);
        a.sent += b.sent;
        a.sent_bytes += b.sent_bytes;
        a.received += b.received;
        a.received_bytes += b.received_bytes;
        a.lost += b.lost;
        a.sequence_gaps += b.sequence_gaps;
        a.duplicates += b.duplicates;
        a.reordered += b.reordered;
        a.wrong_room += b.wrong_room;
        a.freezes += b.freezes;
        a.frozen_ns += b.frozen_ns;
        a.flowing_ns += b.flowing_ns;
        a.layer_switches += b.layer_switches;
        a.rebinds += b.rebinds;
        a.key_frame_requests += b.key_frame_requests;
        a.socket_drops += b.socket_drops;
        a.send_failures += b.send_failures;
        a.failed += b.failed;
        // All histograms have the same bounds, so adding cannot fail.
        let _ = self.delay.add(&other.delay);
        let _ = self.freezes.add(&other.freezes);
        let _ = self.lateness.add(&other.lateness);
        let _ = self.jitter.add(&other.jitter);
    }

    /// Empties it and returns what was in it.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// For the report; people are counted elsewhere.
    pub fn counts(&self) -> Counts {
        let c = &self.counts;
        Counts {
            sent: c.sent,
            sent_bytes: c.sent_bytes,
            received: c.received,
            received_bytes: c.received_bytes,
            lost: c.lost.max(0) as u64,
            sequence_gaps: c.sequence_gaps.max(0) as u64,
            duplicates: c.duplicates,
            reordered: c.reordered,
            wrong_room: c.wrong_room,
            freezes: c.freezes,
            frozen_ms: c.frozen_ns / 1_000_000,
            flowing_ms: c.flowing_ns / 1_000_000,
            layer_switches: c.layer_switches,
            rebinds: c.rebinds,
            key_frame_requests: c.key_frame_requests,
            failed: c.failed,
            ..Counts::default()
        }
    }
}

/// For the report; `None` when nothing was recorded.
pub fn distribution(histogram: &Histogram<u64>, unit: &str) -> Option<Distribution> {
    if histogram.is_empty() {
        return None;
    }
    let at = |share: f64| histogram.value_at_quantile(share) as f64;
    Some(Distribution {
        unit: unit.to_owned(),
        count: histogram.len(),
        min: histogram.min() as f64,
        mean: histogram.mean(),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: histogram.max() as f64,
        buckets: histogram
            .iter_log(1, 1.25)
            .filter(|step| step.count_since_last_iteration() > 0)
            .map(|step| (step.value_iterated_to() as f64, step.count_since_last_iteration()))
            .collect(),
    })
}

/// The distribution of a few samples, exactly; `None` when there are none.
pub fn samples(values: &[f64], unit: &str) -> Option<Distribution> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let at = |share: f64| {
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(last)
    };
    let mut buckets: Vec<(f64, u64)> = Vec::new();
    for value in &sorted {
        // A quarter of a doubling wide.
        let bound = if *value <= 0.0 {
            0.0
        } else {
            2_f64.powf((value.log2() * 4.0).ceil() / 4.0)
        };
        match buckets.last_mut() {
            Some((at, count)) if *at == bound => *count += 1,
            _ => buckets.push((bound, 1)),
        }
    }
    Some(Distribution {
        unit: unit.to_owned(),
        count: sorted.len() as u64,
        min: first,
        mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: last,
        buckets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_samples_are_samples() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let d = samples(&values, "ms").unwrap();
        assert_eq!((d.p50, d.p90, d.p95, d.p99, d.max), (50.0, 90.0, 95.0, 99.0, 100.0));
        assert_eq!(d.buckets.iter().map(|b| b.1).sum::<u64>(), 100);
        assert_eq!(samples(&[7.0], "ms").unwrap().p99, 7.0);
        assert!(samples(&[], "ms").is_none());
    }

    #[test]
    fn a_histogram_keeps_what_it_was_told() {
        let mut tally = Tally::new();
        for us in 1..=1_000_u64 {
            tally.delay(us * 1_000);
        }
        tally.delay(u64::MAX);
        let d = distribution(&tally.delay, "us").unwrap();
        assert_eq!(d.count, 1_001);
        assert!((495.0..=505.0).contains(&d.p50), "{}", d.p50);
        assert_eq!(d.buckets.iter().map(|b| b.1).sum::<u64>(), 1_001);
        let before = tally.take();
        assert!(tally.delay.is_empty() && before.delay.len() == 1_001);
    }
}
