//! One direction of a network link as a value: what goes in at which time comes out at which times, or not at all.
//!
//! A bottleneck with a schedule of rates and a tail-drop buffer, then delay and jitter, with random or bursty loss,
//! reordering, duplication and times of darkness. No clock and no socket: the caller says when, and one seed gives one
//! outcome. Used by the tests of the estimator, by its benchmark and by the simulator.

mod random;
mod schedule;

use std::collections::VecDeque;
use std::time::Duration;

pub use random::Seeded;
pub use schedule::Schedule;

/// How packets get lost, besides an overflowing buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Each for itself, with this probability.
    Random(f64),
    /// In bursts (Gilbert): `enter` is the probability per packet that a burst begins, `leave` that it ends; within a burst
    /// everything is lost.
    Bursty {
        /// Good to bad.
        enter: f64,
        /// Bad to good.
        leave: f64,
    },
}

/// What a link is like.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Bottleneck rate.
    pub rate: Schedule,
    /// Bytes that may wait before the bottleneck; what comes on top is dropped.
    pub buffer: usize,
    /// Bytes that pass at once after a rest, as through a token bucket; 0: packets leave at the rate and never faster.
    pub burst: usize,
    /// Propagation, one way.
    pub delay: Duration,
    /// Up to so much more, evenly; packets stay in order.
    pub jitter: Duration,
    /// Loss before the bottleneck.
    pub loss: Loss,
    /// Probability that a packet may overtake and be overtaken, by up to `jitter` or 20 ms.
    pub reorder: f64,
    /// Probability that a packet comes twice.
    pub duplicate: f64,
    /// Nothing goes through between these times.
    pub dark: Vec<(Duration, Duration)>,
}

impl LinkConfig {
    /// A clean link with this schedule, a buffer of `buffer` at its first rate, and 25 ms one way.
    pub fn clean(rate: Schedule, buffer: Duration) -> Self {
        let bytes = (rate.at(Duration::ZERO).min(1 << 40) as f64 * buffer.as_secs_f64() / 8.0) as usize;
        Self {
            rate,
            buffer: bytes,
            burst: 0,
            delay: Duration::from_millis(25),
            jitter: Duration::ZERO,
            loss: Loss::Random(0.0),
            reorder: 0.0,
            duplicate: 0.0,
            dark: Vec::new(),
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// When it arrives.
    pub arrival: Option<Duration>,
    /// When its double arrives.
    pub double: Option<Duration>,
    /// How long it waited behind others at the bottleneck.
    pub queued: Duration,
    /// Dropped because the buffer was full (and not by the loss model).
    pub overflow: bool,
}

/// One direction of a link.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    random: Seeded,
    bad: bool,
    /// Packets at the bottleneck: when each is through, and its bytes.
    waiting: VecDeque<(Duration, usize)>,
    waiting_bytes: usize,
    free_at: Duration,
    last_arrival: Duration,
}

impl Link {
    /// An empty link.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self {
            config,
            random: Seeded::new(seed),
            bad: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            free_at: Duration::ZERO,
            last_arrival: Duration::ZERO,
        }
    }

    /// Sends `bytes` at `now`, which must not go backwards.
    pub fn send(&mut self, now: Duration, bytes: usize) -> Passage {
        let mut passage = Passage {
            arrival: None,
            double: None,
            queued: self.queue(now),
            overflow: false,
        };
        if self.lost() || self.config.dark.iter().any(|(from, to)| (*from..*to).contains(&now)) {
            return passage;
        }
        if self.waiting_bytes > 0 && self.waiting_bytes + bytes > self.config.buffer {
            passage.overflow = true;
            return passage;
        }
        // What rests may take up to a burst later on: as if it had begun so much earlier.
        let rate = self.config.rate.at(now).max(1);
        let rested = Duration::from_secs_f64(self.config.burst as f64 * 8.0 / rate as f64);
        let Some(through) = self
            .config
            .rate
            .finish(self.free_at.max(now.saturating_sub(rested)), bytes)
        else {
            passage.overflow = true;
            return passage;
        };
        self.free_at = through;
        let through = through.max(now);
        self.waiting.push_back((through, bytes));
        self.waiting_bytes += bytes;
        let jitter = self.random.below(self.config.jitter.as_nanos() as u64 + 1);
        let mut arrival = through + self.config.delay + Duration::from_nanos(jitter);
        if self.random.chance(self.config.reorder) {
            let reach = self.config.jitter.max(Duration::from_millis(20));
            arrival += Duration::from_nanos(self.random.below(reach.as_nanos() as u64));
        } else {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        passage.arrival = Some(arrival);
        if self.random.chance(self.config.duplicate) {
            passage.double = Some(arrival + Duration::from_millis(1));
        }
        passage
    }

    /// How long a packet sent at `now` would wait at the bottleneck. Forgets what is through by then.
    pub fn queue(&mut self, now: Duration) -> Duration {
        while let Some((through, bytes)) = self.waiting.front().copied()
            && through <= now
        {
            self.waiting.pop_front();
            self.waiting_bytes -= bytes;
        }
        self.free_at.saturating_sub(now)
    }

    /// Bits per second at this time.
    pub fn rate(&self, now: Duration) -> u64 {
        self.config.rate.at(now)
    }

    fn lost(&mut self) -> bool {
        match self.config.loss {
            Loss::Random(probability) => self.random.chance(probability),
            Loss::Bursty { enter, leave } => {
                self.bad = if self.bad {
                    !self.random.chance(leave)
                } else {
                    self.random.chance(enter)
                };
                self.bad
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn link(change: impl FnOnce(&mut LinkConfig)) -> Link {
        let mut config = LinkConfig::clean(Schedule::constant(1_000_000), 300 * MS);
        change(&mut config);
        Link::new(config, 7)
    }

    #[test]
    fn packets_wait_behind_each_other_and_overflow_when_the_buffer_is_full() {
        let mut link = link(|_| {});
        let first = link.send(Duration::ZERO, 1_250);
        assert_eq!((first.arrival, first.queued), (Some(35 * MS), Duration::ZERO));
        let second = link.send(Duration::ZERO, 1_250);
        assert_eq!((second.arrival, second.queued), (Some(45 * MS), 10 * MS));
        let through = (0..100).filter(|_| link.send(Duration::ZERO, 1_250).arrival.is_some());
        assert_eq!(through.count(), 28, "37,500 bytes fit, 2 packets were in");
        assert!(link.send(Duration::ZERO, 1_250).overflow);
        assert!(link.send(300 * MS, 1_250).arrival.is_some());
    }

    #[test]
    fn after_a_rest_a_burst_passes_at_once_and_what_follows_at_the_rate() {
        let mut link = link(|config| config.burst = 2_500);
        let second = Duration::from_secs(1);
        let late = |link: &mut Link, at| link.send(at, 1_250).arrival.map(|arrival| arrival - at);
        let delays: Vec<_> = (0..4).map(|_| late(&mut link, second)).collect();
        assert_eq!(delays, [25, 25, 35, 45].map(|ms| Some(ms * MS)));
        assert_eq!(
            late(&mut link, second + 30 * MS),
            Some(25 * MS),
            "10 ms of rest hold one packet"
        );
    }

    #[test]
    fn loss_has_the_rate_that_was_asked_for_and_bursts_their_length() {
        let lost = |loss| {
            let mut link = link(|config| {
                config.rate = Schedule::constant(1_000_000_000);
                config.loss = loss;
            });
            let fate: Vec<bool> = (0..100_000).map(|n| link.send(n * MS, 100).arrival.is_none()).collect();
            let bursts = fate.windows(2).filter(|w| !w[0] && w[1]).count();
            let lost = fate.iter().filter(|lost| **lost).count();
            (lost as f64 / 1e5, lost as f64 / bursts as f64)
        };
        let (rate, length) = lost(Loss::Random(0.15));
        assert!(
            (0.14..0.16).contains(&rate) && (1.0..1.4).contains(&length),
            "{rate} {length}"
        );
        let (rate, length) = lost(Loss::Bursty {
            enter: 0.01,
            leave: 0.2,
        });
        assert!(
            (0.04..0.056).contains(&rate) && (4.5..5.5).contains(&length),
            "{rate} {length}"
        );
    }

    #[test]
    fn jitter_keeps_the_order_unless_reordering_was_asked_for() {
        let order = |reorder| {
            let mut link = link(|config| (config.jitter, config.reorder) = (30 * MS, reorder));
            let arrivals: Vec<_> = (0..500).filter_map(|n| link.send(n * 5 * MS, 100).arrival).collect();
            arrivals.windows(2).filter(|w| w[1] < w[0]).count()
        };
        assert_eq!(order(0.0), 0);
        assert!(order(0.2) > 20);
    }

    #[test]
    fn one_seed_has_one_outcome_and_another_seed_another() {
        let run = |seed| {
            let mut config = LinkConfig::clean(Schedule::constant(1_000_000), 300 * MS);
            (config.jitter, config.loss, config.duplicate) = (10 * MS, Loss::Random(0.1), 0.1);
            let mut link = Link::new(config, seed);
            (0..100).map(|n| link.send(n * 10 * MS, 900)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn nothing_passes_in_the_dark() {
        let mut link = link(|config| config.dark = vec![(10 * MS, 20 * MS)]);
        let through = |link: &mut Link, at| link.send(at, 100).arrival.is_some();
        assert_eq!(
            [9, 10, 19, 20].map(|n| through(&mut link, n * MS)),
            [true, false, false, true]
        );
    }
}
