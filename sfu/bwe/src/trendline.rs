//! Is the queue on the way growing? A line through the last delays, against a threshold that adapts.
//!
//! The filter and the adaptive threshold are those of rmcat-gcc-02 sections 5.4 and 5.5, with the least-squares slope that
//! libwebrtc documents as successor of the Kalman filter. The factor min(deltas, 60) before the comparison is part of it:
//! rtc-interceptor 0.21 leaves it out, and stands with 274 ms of queue on a link where 16 ms are possible.

use crate::group::Delta;

/// Points of the line.
const WINDOW: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// Makes the slope comparable to a threshold in ms.
const GAIN: f64 = 4.0;
const MAX_FACTOR: u32 = 60;
/// Threshold at the start and its bounds, ms.
const START: f64 = 12.5;
const BOUNDS: (f64, f64) = (6.0, 600.0);
/// How fast the threshold follows a larger and a smaller trend, per ms.
const UP: f64 = 0.0087;
const DOWN: f64 = 0.039;
/// A trend so far above the threshold is an outlier and does not move it.
const OUTLIER: f64 = 15.0;
/// The trend must stay above the threshold for so long, ms.
const SUSTAINED: f64 = 10.0;

/// What the queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// Neither grows nor shrinks.
    #[default]
    Normal,
    /// Grows: more is sent than passes.
    Over,
    /// Shrinks.
    Under,
}

#[derive(Debug)]
pub(crate) struct Trendline {
    points: [(f64, f64); WINDOW],
    filled: usize,
    next: usize,
    deltas: u32,
    accumulated: f64,
    smoothed: f64,
    first_arrival: Option<i64>,
    slope: f64,
    threshold: f64,
    threshold_at: Option<i64>,
    over_for: Option<f64>,
    overs: u32,
    usage: Usage,
}

impl Trendline {
    pub(crate) fn new() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            filled: 0,
            next: 0,
            deltas: 0,
            accumulated: 0.0,
            smoothed: 0.0,
            first_arrival: None,
            slope: 0.0,
            threshold: START,
            threshold_at: None,
            over_for: None,
            overs: 0,
            usage: Usage::Normal,
        }
    }

    /// What the queue does, after the last delta.
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn add(&mut self, delta: Delta) {
        let ms = |us: i64| us as f64 / 1_000.0;
        let first = *self.first_arrival.get_or_insert(delta.at);
        self.deltas = (self.deltas + 1).min(1_000);
        self.accumulated += ms(delta.arrival) - ms(delta.sent);
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        self.points[self.next] = (ms(delta.at.saturating_sub(first)), self.smoothed);
        self.next = (self.next + 1) % WINDOW;
        self.filled = (self.filled + 1).min(WINDOW);
        let before = self.slope;
        if self.filled == WINDOW
            && let Some(slope) = slope(&self.points)
        {
            self.slope = slope;
        }
        self.detect(before, ms(delta.sent), delta.at);
    }

    fn detect(&mut self, slope_before: f64, sent_ms: f64, now: i64) {
        if self.deltas < 2 {
            return;
        }
        let trend = f64::from(self.deltas.min(MAX_FACTOR)) * self.slope * GAIN;
        if trend > self.threshold {
            // The first time, only part of the gap was spent above the threshold.
            let over_for = self.over_for.map_or(sent_ms / 2.0, |over| over + sent_ms);
            self.over_for = Some(over_for);
            self.overs += 1;
            if over_for > SUSTAINED && self.overs > 1 && self.slope >= slope_before {
                self.over_for = Some(0.0);
                self.overs = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_for = None;
            self.overs = 0;
            self.usage = if trend < -self.threshold {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.adapt(trend.abs(), now);
    }

    fn adapt(&mut self, trend: f64, now: i64) {
        let before = self.threshold_at.replace(now).unwrap_or(now);
        if trend > self.threshold + OUTLIER {
            return;
        }
        let k = if trend < self.threshold { DOWN } else { UP };
        let elapsed = ((now - before) as f64 / 1_000.0).clamp(0.0, 100.0);
        self.threshold = (self.threshold + k * (trend - self.threshold) * elapsed).clamp(BOUNDS.0, BOUNDS.1);
    }
}

/// Least squares: ms of delay per ms.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    (below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(extra: impl Fn(i64) -> i64) -> Vec<Usage> {
        let mut line = Trendline::new();
        let mut at = 0;
        let step = |n| {
            let arrival = 20_000 + extra(n);
            at += arrival;
            line.add(Delta {
                sent: 20_000,
                arrival,
                at,
            });
            line.usage()
        };
        (0..200).map(step).collect()
    }

    #[test]
    fn a_growing_queue_is_seen_within_half_a_second_and_a_constant_one_is_not() {
        let growing = run(|n| if n > 100 { 2_000 } else { 0 });
        let seen = growing.iter().position(|u| *u == Usage::Over).unwrap();
        assert!((101..126).contains(&seen), "{seen}");
        assert!(run(|_| 0).iter().all(|u| *u == Usage::Normal));
    }

    #[test]
    fn a_shrinking_queue_is_under_use_and_jitter_is_neither() {
        assert!(run(|n| if n > 100 { -2_000 } else { 0 }).contains(&Usage::Under));
        let jitter = run(|n| if n % 2 == 0 { 8_000 } else { -8_000 });
        assert!(!jitter.contains(&Usage::Over));
    }
}
