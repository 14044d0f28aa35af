//! What loss says.
//!
//! The draft (rmcat-gcc-02 section 6) takes more than 10 % of loss for congestion, and then a link with 15 % of random loss is
//! left at 6 % of its rate (measured with an estimator that follows it). So every decrease is a question as well: would the
//! link drop what does not fit, then loss would fall with the rate, by a known amount. Loss that stays is the path's own,
//! and only what is above it counts. (Tried first: the least loss of the last four seconds as the path's own. On a link
//! that drops what is too much this creeps up, 10 % at a time, until a third is lost.)

use std::time::Duration;

use crate::Bitrate;

/// An observation covers at least so much time, us, and so many packets.
const COVERS: i64 = 250_000;
const PACKETS: u32 = 20;
/// Or, on a thin stream, so much time.
const COVERS_AT_MOST: i64 = 1_000_000;
/// Time constant of the smoothed loss, seconds.
const SMOOTH: f64 = 0.6;
/// Excess above which less is sent, and below which more may be.
const TOO_MUCH: f64 = 0.10;
const LITTLE: f64 = 0.04;
/// More than this is never taken for the path's own loss: it would mean to push a congested link for ever.
const MOST_INHERENT: f64 = 0.25;
/// A decrease is judged by two times of measurement, us after it began, and only when the rate has fallen to this part.
const BEFORE: i64 = 400_000;
const AFTER: std::ops::Range<i64> = 1_200_000..2_000_000;
const FALLEN: f64 = 0.92;
/// Time constant with which the path's own loss sinks when less is lost, seconds.
const FORGET: f64 = 2.0;
/// Growth of the cap per second once the excess is little.
const GROWTH: f64 = 1.25;

/// Packets of some windows.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    lost: f64,
    total: f64,
    /// Offered rate times packets.
    weighted: f64,
}

impl Count {
    fn add(&mut self, lost: u32, total: u32, offered: f64) {
        self.lost += f64::from(lost);
        self.total += f64::from(total);
        self.weighted += offered * f64::from(total);
    }

    /// Part lost, and mean rate.
    fn means(&self) -> (f64, f64) {
        let total = self.total.max(1.0);
        (self.lost / total, self.weighted / total)
    }
}

/// A decrease, seen as a question.
#[derive(Clone, Copy, Debug)]
struct Question {
    at: i64,
    before: Count,
    after: Count,
}

#[derive(Debug)]
pub(crate) struct LossBased {
    lost: u32,
    arrived: u32,
    since: i64,
    smoothed: f64,
    inherent: f64,
    question: Option<Question>,
    cap: Option<f64>,
}

impl LossBased {
    pub(crate) fn new(now: i64) -> Self {
        Self {
            lost: 0,
            arrived: 0,
            since: now,
            smoothed: 0.0,
            inherent: 0.0,
            question: None,
            cap: None,
        }
    }

    /// Smoothed part of the packets that is lost, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.smoothed
    }

    /// The part that is the path's own.
    pub(crate) fn inherent(&self) -> f64 {
        self.inherent
    }

    /// The part that is ours.
    pub(crate) fn excess(&self) -> f64 {
        (self.smoothed - self.inherent()).max(0.0)
    }

    /// What loss allows; `None`: anything.
    pub(crate) fn cap(&self) -> Option<Bitrate> {
        self.cap.map(|cap| Bitrate::bps(cap as u64))
    }

    /// Whether more may be tried.
    pub(crate) fn quiet(&self) -> bool {
        self.excess() < TOO_MUCH
    }

    /// A feedback said this of packets: missing, arrived, and arrived after having been called missing. `estimate` is what
    /// is allowed now, `offered` what was sent lately.
    pub(crate) fn observe(
        &mut self,
        now: i64,
        missing: u32,
        arrived: u32,
        recovered: u32,
        estimate: Bitrate,
        offered: Bitrate,
    ) {
        self.lost = (self.lost + missing).saturating_sub(recovered);
        self.arrived += arrived;
        let total = self.lost + self.arrived;
        let covers = now - self.since;
        if total == 0 || covers < COVERS || (total < PACKETS && covers < COVERS_AT_MOST) {
            return;
        }
        let loss = f64::from(self.lost) / f64::from(total);
        let seconds = (covers as f64 / 1e6).min(2.0);
        self.smoothed += (loss - self.smoothed) * (1.0 - (-seconds / SMOOTH).exp());
        if self.smoothed < self.inherent {
            self.inherent += (self.smoothed - self.inherent) * (1.0 - (-seconds / FORGET).exp());
        }
        let (lost, offered) = (self.lost, offered.as_bps() as f64);
        self.judge(now, lost, total, offered);
        (self.lost, self.arrived, self.since) = (0, 0, now);
        let excess = self.excess();
        if excess > TOO_MUCH && loss - self.inherent() > TOO_MUCH {
            if self.question.is_none() {
                let mut before = Count::default();
                before.add(lost, total, offered);
                let after = Count::default();
                self.question = Some(Question { at: now, before, after });
            }
            let rate = self.cap.unwrap_or(f64::MAX).min(estimate.as_bps() as f64);
            self.cap = Some(rate * (1.0 - 0.5 * excess));
        }
    }

    /// Did loss fall with the rate, as it does where what is too much is dropped?
    fn judge(&mut self, now: i64, lost: u32, total: u32, offered: f64) {
        let Some(question) = &mut self.question else { return };
        let passed = now - question.at;
        if passed <= BEFORE {
            question.before.add(lost, total, offered);
        } else if AFTER.contains(&passed) {
            question.after.add(lost, total, offered);
        } else if passed >= AFTER.end {
            let ((lost, rate), (still, lower)) = (question.before.means(), question.after.means());
            let asked = question.after.total >= f64::from(PACKETS) && lower < rate * FALLEN;
            self.question = None;
            if asked {
                let expected = (1.0 - (1.0 - lost) * rate / lower.max(1.0)).max(0.0);
                if still > (lost + expected) / 2.0 {
                    self.inherent = self.inherent.max(still.min(MOST_INHERENT) * 0.95);
                }
            }
        }
    }

    /// Time passes; `delay_based` is what delay allows.
    pub(crate) fn step(&mut self, elapsed: Duration, delay_based: Bitrate) {
        let Some(cap) = self.cap.filter(|_| self.excess() < LITTLE) else {
            return;
        };
        let grown = cap * GROWTH.powf(elapsed.as_secs_f64());
        self.cap = (grown < 1.2 * delay_based.as_bps() as f64).then_some(grown);
    }

    /// A probe went through at this rate.
    pub(crate) fn proven(&mut self, rate: Bitrate) {
        self.cap = self.cap.map(|cap| cap.max(rate.as_bps() as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs windows of 300 ms with a loss that may depend on the rate; returns the last cap in kbit/s, or the full rate.
    fn run(seconds: i64, loss: impl Fn(f64) -> f64) -> f64 {
        let full = Bitrate::kbps(1_000);
        let mut based = LossBased::new(0);
        for n in 1..seconds * 10 / 3 {
            let rate = based.cap().unwrap_or(full).min(full);
            let lost = (loss(rate.as_bps() as f64 / 1e3) * 100.0).round() as u32;
            based.observe(n * 300_000, lost, 100 - lost, 0, rate, rate);
            based.step(Duration::from_millis(300), full);
        }
        based.cap().unwrap_or(full).min(full).as_bps() as f64 / 1e3
    }

    #[test]
    fn table_of_cases() {
        assert_eq!(run(20, |_| 0.0), 1_000.0);
        assert_eq!(run(20, |_| 0.05), 1_000.0, "a little loss is none of ours");
        let policed = run(20, |rate| (1.0 - 500.0 / rate).max(0.0));
        assert!((450.0..620.0).contains(&policed), "what a policer lets pass: {policed}");
        let random = run(30, |_| 0.15);
        assert!(
            random > 900.0,
            "loss that stays when less is sent is the path's: {random}"
        );
        let hopeless = run(30, |_| 0.6);
        assert!(
            hopeless < 100.0,
            "more than a quarter is never taken for that: {hopeless}"
        );
    }

    #[test]
    fn what_comes_late_was_not_lost() {
        let mut based = LossBased::new(0);
        based.observe(100_000, 40, 60, 0, Bitrate::kbps(1_000), Bitrate::kbps(1_000));
        based.observe(300_000, 0, 0, 40, Bitrate::kbps(1_000), Bitrate::kbps(1_000));
        assert_eq!(based.loss(), 0.0);
    }
}
