//! A sender, a link and a receiver around an estimator, in simulated time.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use link_model::{Link, LinkConfig, Seeded};
use sfu_bwe::{Bitrate, Estimator, Received, Sent};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
/// Grain of the simulation.
const TICK: Duration = Duration::from_micros(100);
const AUDIO_BYTES: usize = 120;
const VIDEO_BYTES: usize = 1_200;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Media {
    /// Sound, and video that follows the estimate.
    Elastic,
    /// Sound, and video that follows the estimate up to here (with demand for no more).
    UpTo(Bitrate),
}

/// When the estimator is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cadence {
    Deadline,
    Every(Duration),
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub link: LinkConfig,
    pub media: Media,
    pub lasts: Duration,
    pub cadence: Cadence,
    pub feedback_every: Duration,
    /// Feedback that is lost on the way back.
    pub feedback_loss: f64,
    /// No feedback after this time.
    pub feedback_until: Duration,
    pub seed: u64,
}

impl Scenario {
    pub fn new(link: LinkConfig, seconds: u64, seed: u64) -> Self {
        Self {
            link,
            media: Media::Elastic,
            lasts: seconds as u32 * SECOND,
            cadence: Cadence::Deadline,
            feedback_every: 50 * MS + seed as u32 % 6 * 10 * MS,
            feedback_loss: 0.0,
            feedback_until: Duration::MAX,
            seed,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: Duration,
    pub estimate: f64,
    pub capacity: f64,
    /// True wait at the bottleneck.
    pub queue: Duration,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub samples: Vec<Sample>,
    /// Media and padding bytes sent, and arrived, with the time of sending.
    pub packets: Vec<(Duration, usize, bool, bool)>,
}

impl Outcome {
    fn within(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |s| (from..to).contains(&s.at))
    }

    /// A quantile of estimate / capacity.
    pub fn ratio(&self, from: Duration, to: Duration, quantile: f64) -> f64 {
        let mut ratios: Vec<f64> = self.within(from, to).map(|s| s.estimate / s.capacity).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[((ratios.len() - 1) as f64 * quantile) as usize]
    }

    pub fn queue(&self, from: Duration, to: Duration, quantile: f64) -> Duration {
        let mut queues: Vec<Duration> = self.within(from, to).map(|s| s.queue).collect();
        queues.sort();
        queues[((queues.len() - 1) as f64 * quantile) as usize]
    }

    /// When the estimate first reaches so many bit/s after a time.
    pub fn reaches(&self, from: Duration, bits: f64) -> Option<Duration> {
        let found = self.samples.iter().find(|s| s.at >= from && s.estimate >= bits);
        found.map(|s| s.at - from)
    }

    /// How long after `from` a queue above `limit` was there and then stays below it for half a second.
    pub fn settles(&self, from: Duration, limit: Duration) -> Duration {
        let mut last = from;
        let above = self.samples.iter().filter(|s| s.at >= from && s.queue > limit);
        for sample in above {
            if last > from && sample.at - last > SECOND / 2 {
                break;
            }
            last = sample.at;
        }
        last - from
    }

    pub fn loss(&self, from: Duration, to: Duration) -> f64 {
        let sent: Vec<_> = self.packets.iter().filter(|p| (from..to).contains(&p.0)).collect();
        sent.iter().filter(|p| !p.3).count() as f64 / sent.len().max(1) as f64
    }

    /// Part of the bytes that is padding.
    pub fn padding(&self, from: Duration, to: Duration) -> f64 {
        let bytes = |padding: Option<bool>| -> usize {
            let fits = |p: &&(Duration, usize, bool, bool)| {
                (from..to).contains(&p.0) && padding.is_none_or(|wanted| p.2 == wanted)
            };
            self.packets.iter().filter(fits).map(|p| p.1).sum()
        };
        bytes(Some(true)) as f64 / bytes(None).max(1) as f64
    }
}

/// Runs it. `start` is the zero of the simulated time.
pub fn run<E: Estimator>(estimator: &mut E, start: Instant, scenario: &Scenario) -> Outcome {
    let mut link = Link::new(scenario.link.clone(), scenario.seed);
    let mut random = Seeded::new(scenario.seed ^ 0xfeed);
    let mut out = Outcome::default();
    let mut number = random.bits() as u16;
    let remote_start = random.bits() as u32;
    let mut in_air: BTreeMap<(Duration, u64), u16> = BTreeMap::new();
    let mut received: BTreeMap<u64, (u16, Duration)> = BTreeMap::new();
    let mut reported = u64::from(number);
    let mut count = u64::from(number);
    let mut going_back: VecDeque<(Duration, Vec<Received>)> = VecDeque::new();
    let (mut audio_at, mut frame_at) = (Duration::ZERO, 5 * MS);
    let (mut backlog, mut video_free, mut probe_free) = (0_usize, Duration::ZERO, Duration::ZERO);
    let (mut feedback_at, mut sample_at, mut call_at) = (10 * MS, Duration::ZERO, Duration::ZERO);
    let most = match scenario.media {
        Media::Elastic => Bitrate::kbps(50_000),
        Media::UpTo(most) => most,
    };
    estimator.demand(most);

    let mut now = Duration::ZERO;
    while now < scenario.lasts {
        let instant = start + now;
        let calls = match scenario.cadence {
            Cadence::Deadline => estimator.next_deadline().is_some_and(|at| at <= instant),
            Cadence::Every(_) => call_at <= now,
        };
        if calls {
            estimator.handle_timeout(instant);
            if let Cadence::Every(period) = scenario.cadence {
                call_at = now + period;
            }
        }
        let estimate = estimator.estimate().bitrate;
        let mut departures: [Option<(usize, bool)>; 3] = [None; 3];
        if audio_at <= now {
            audio_at += 20 * MS;
            departures[0] = Some((AUDIO_BYTES, false));
        }
        if frame_at <= now {
            frame_at += 33 * MS;
            let rate = estimate.min(most).minus(Bitrate::kbps(48));
            backlog += (rate.bytes_in(33 * MS) as f64 * (0.8 + 0.4 * random.unit())) as usize;
        }
        if backlog > 0 && video_free <= now {
            let size = backlog.min(VIDEO_BYTES);
            backlog -= size;
            let pace = estimate.scaled(1.5).max(Bitrate::kbps(50));
            video_free = now.max(video_free) + pace.time_for(size as u64);
            departures[1] = Some((size.max(60), false));
        }
        if let Some(probe) = estimator.probe() {
            if probe_free <= now {
                probe_free = now.max(probe_free) + probe.rate.time_for(probe.packet as u64);
                // Media that leaves now is part of the probe: then no padding is needed at this moment.
                let media: usize = departures.iter().flatten().map(|d| d.0).sum();
                if media * 2 < probe.packet {
                    departures[2] = Some((probe.packet, true));
                }
            }
        } else {
            probe_free = now;
        }
        for (size, padding) in departures.into_iter().flatten() {
            estimator.sent(instant, Sent { number, size });
            let passage = link.send(now, size);
            out.packets.push((now, size, padding, passage.arrival.is_some()));
            for arrival in [passage.arrival, passage.double].into_iter().flatten() {
                in_air.insert((arrival, count), number);
            }
            number = number.wrapping_add(1);
            count += 1;
        }
        while let Some(((arrival, at), number)) = in_air.first_key_value().map(|(k, v)| (*k, *v))
            && arrival <= now
        {
            in_air.pop_first();
            if at >= reported {
                received.entry(at).or_insert((number, arrival));
            }
        }
        if feedback_at <= now {
            feedback_at = now + scenario.feedback_every;
            if let Some((last, _)) = received.last_key_value().map(|(k, v)| (*k, *v)) {
                let report = (reported..=last)
                    .map(|at| Received {
                        number: at as u16,
                        arrival: received
                            .get(&at)
                            .map(|(_, arrival)| remote_start.wrapping_add((arrival.as_micros() / 250) as u32)),
                    })
                    .collect();
                reported = last + 1;
                received.clear();
                if now < scenario.feedback_until && !random.chance(scenario.feedback_loss) {
                    going_back.push_back((now + scenario.link.delay, report));
                }
            }
        }
        while going_back.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, report)) = going_back.pop_front()
        {
            estimator.feedback(instant, &mut report.into_iter());
        }
        if sample_at <= now {
            sample_at += 20 * MS;
            out.samples.push(Sample {
                at: now,
                estimate: estimator.estimate().bitrate.as_bps() as f64,
                capacity: link.rate(now) as f64,
                queue: link.queue(now),
            });
        }
        now += TICK;
    }
    out
}
