//! A step of the estimator: 25 packets leave within 50 ms, and a feedback tells of them.

use std::time::{Duration, Instant};

use sfu_bwe::{Bitrate, Config, Estimator, Received, SendSide, Sent};

use super::{Watch, Work};

const PACKETS: u16 = 25;
const GAP: Duration = Duration::from_millis(2);
/// One way.
const DELAY: Duration = Duration::from_millis(25);

pub(crate) struct Step {
    estimator: SendSide,
    start: Instant,
    now: Instant,
    number: u16,
}

impl Step {
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        let mut estimator = SendSide::new(Config::default(), start);
        estimator.demand(Bitrate::kbps(10_000));
        Self {
            estimator,
            start,
            now: start,
            number: 0,
        }
    }
}

impl Work for Step {
    fn run(&mut self, count: u64) -> Duration {
        let mut watch = Watch::default();
        for _ in 0..count {
            let Self {
                estimator,
                start,
                now,
                number,
            } = self;
            watch.time(|| {
                let first = *number;
                let began = *now;
                for _ in 0..PACKETS {
                    let size = 1_200;
                    estimator.sent(*now, Sent { number: *number, size });
                    *number = number.wrapping_add(1);
                    *now += GAP;
                }
                let arrival = |at: u32| ((began + GAP * at + DELAY).duration_since(*start).as_micros() / 250) as u32;
                let mut report = (0..PACKETS).map(|at| Received {
                    number: first.wrapping_add(at),
                    arrival: Some(arrival(u32::from(at))),
                });
                estimator.feedback(*now + DELAY, &mut report);
                estimator.handle_timeout(*now + DELAY);
            });
            assert!(self.estimator.estimate().known);
        }
        watch.total()
    }
}
