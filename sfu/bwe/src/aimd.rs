//! Up slowly, down at once (rmcat-gcc-02 section 6), with every step scaled by the time that passed.

use std::time::Duration;

use crate::{Bitrate, Usage};

/// What remains of the delivered rate when the queue grows. The draft allows 0.8 to 0.95; 0.85 is its choice. What stands
/// in the queue is drained apart from this (see `standing`), so less has to be given up here.
const BACK_OFF: f64 = 0.91;
/// Growth per second far from the last known capacity.
const GROWTH: f64 = 1.08;
/// The estimate may not run further ahead of what is delivered: beyond, only a probe says what fits.
const AHEAD: f64 = 1.15;
const AHEAD_BITS: u64 = 10_000;
/// Growth per second near it. The draft adds a packet per response time there, which is 22 % a second at 300 kbit/s
/// (82 ms of queue) and 0.6 % at 10 Mbit/s (80 % of the link used); this is the same for both.
const NEAR: f64 = 1.05;

/// What the link carried when it was full: mean and variance.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    mean: f64,
    /// Normalised by the mean.
    variance: f64,
}

impl Capacity {
    const WEIGHT: f64 = 0.05;

    fn add(known: Option<Self>, sample: f64) -> Self {
        let Some(Self { mean, variance }) = known else {
            return Self {
                mean: sample,
                variance: 0.4,
            };
        };
        let next = mean + Self::WEIGHT * (sample - mean);
        let error = (next - sample) * (next - sample) / next.max(1.0) / 1_000.0;
        Self {
            mean: next,
            variance: ((1.0 - Self::WEIGHT) * variance + Self::WEIGHT * error).clamp(0.4, 2.5),
        }
    }

    /// Three standard deviations around the mean.
    fn bounds(&self) -> (f64, f64) {
        let deviation = 3.0 * (self.variance * 1_000.0 * self.mean).sqrt();
        (self.mean - deviation, self.mean + deviation)
    }
}

#[derive(Debug)]
pub(crate) struct Aimd {
    rate: f64,
    capacity: Option<Capacity>,
    decreased_at: Option<i64>,
}

/// What a step is based on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs {
    pub usage: Usage,
    /// What passes, without what random loss takes; `None`: not known.
    pub delivered: Option<Bitrate>,
    pub round_trip: Duration,
    /// Less is sent than may be: growing would prove nothing.
    pub limited: bool,
}

impl Aimd {
    pub(crate) fn new(start: Bitrate) -> Self {
        Self {
            rate: start.as_bps() as f64,
            capacity: None,
            decreased_at: None,
        }
    }

    pub(crate) fn rate(&self) -> Bitrate {
        Bitrate::bps(self.rate as u64)
    }

    /// Sets the rate from outside: a probe, silence, a bound.
    pub(crate) fn set(&mut self, rate: Bitrate) {
        self.rate = rate.as_bps() as f64;
    }

    /// The queue grows: down, at most once in a round trip. `true` when it went down.
    pub(crate) fn back_off(&mut self, now: i64, inputs: &Inputs) -> bool {
        let pause = inputs
            .round_trip
            .clamp(Duration::from_millis(10), Duration::from_millis(200));
        let delivered = inputs.delivered.map(|d| d.as_bps() as f64);
        let recent = self.decreased_at.is_some_and(|at| now - at < pause.as_micros() as i64);
        if recent && delivered.is_none_or(|d| d >= 0.5 * self.rate) {
            return false;
        }
        self.decreased_at = Some(now);
        if let Some(delivered) = delivered {
            // Far below what the link used to carry: it has changed, the old capacity says nothing.
            if self.capacity.is_some_and(|c| delivered < c.bounds().0) {
                self.capacity = None;
            }
            self.capacity = Some(Capacity::add(self.capacity, delivered));
        }
        let target = BACK_OFF * delivered.unwrap_or(self.rate);
        let lower = target < self.rate;
        if lower {
            self.rate = target;
        }
        lower
    }

    /// Grows by what `elapsed` allows.
    pub(crate) fn grow(&mut self, elapsed: Duration, inputs: &Inputs) {
        let Some(delivered) = inputs.delivered.map(|d| d.as_bps() as f64) else {
            return; // nothing came back that would carry an increase
        };
        if inputs.usage != Usage::Normal || inputs.limited {
            return;
        }
        if self.capacity.is_some_and(|c| delivered > c.bounds().1) {
            self.capacity = None;
        }
        let seconds = elapsed.as_secs_f64();
        let grown = if self.capacity.is_some() {
            self.rate * NEAR.powf(seconds)
        } else {
            self.rate * GROWTH.powf(seconds) + 1_000.0 * seconds
        };
        let limit = delivered * AHEAD + AHEAD_BITS as f64;
        if self.rate < limit {
            self.rate = grown.min(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: Inputs = Inputs {
        usage: Usage::Normal,
        delivered: Some(Bitrate::kbps(1_000)),
        round_trip: Duration::from_millis(50),
        limited: false,
    };

    #[test]
    fn growth_depends_on_time_and_not_on_the_number_of_steps() {
        let run = |steps: u32| {
            let mut aimd = Aimd::new(Bitrate::kbps(500));
            for _ in 0..steps {
                aimd.grow(Duration::from_secs(2) / steps, &INPUTS);
            }
            aimd.rate().as_bps()
        };
        let (few, many) = (run(20), run(20_000));
        assert!(
            few.abs_diff(many) < 500 && (580_000..590_000).contains(&few),
            "{few} {many}"
        );
    }

    #[test]
    fn down_to_a_part_of_what_is_delivered_once_a_round_trip() {
        let mut aimd = Aimd::new(Bitrate::kbps(1_500));
        let over = Inputs {
            usage: Usage::Over,
            ..INPUTS
        };
        assert!(aimd.back_off(0, &over));
        assert_eq!(aimd.rate(), Bitrate::kbps(910));
        assert!(!aimd.back_off(40_000, &over));
        let fallen = Inputs {
            delivered: Some(Bitrate::kbps(300)),
            ..over
        };
        assert!(aimd.back_off(45_000, &fallen), "half is gone: no waiting");
        assert_eq!(aimd.rate(), Bitrate::kbps(273));
    }

    #[test]
    fn it_does_not_run_ahead_of_what_is_delivered_nor_grow_while_limited() {
        let mut aimd = Aimd::new(Bitrate::kbps(1_000));
        aimd.grow(
            Duration::from_secs(3),
            &Inputs {
                limited: true,
                ..INPUTS
            },
        );
        assert_eq!(aimd.rate(), Bitrate::kbps(1_000));
        for _ in 0..100 {
            aimd.grow(Duration::from_secs(1), &INPUTS);
        }
        assert_eq!(aimd.rate(), Bitrate::kbps(1_160));
    }
}
