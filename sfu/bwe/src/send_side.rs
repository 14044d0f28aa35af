//! The estimator: what the other modules find, put together.

use std::time::{Duration, Instant};

use crate::aimd::{Aimd, Inputs};
use crate::delivered::Window;
use crate::group::Grouping;
use crate::history::{Arrived, History, Report};
use crate::limited::Limited;
use crate::loss::LossBased;
use crate::minimum::Minimum;
use crate::probe::{Probe, Probing, Wish};
use crate::standing::Standing;
use crate::trendline::{Trendline, Usage};
use crate::{Bitrate, Estimate, Estimator, Received, Sent};

/// Time between two steps, us.
const STEP: i64 = 25_000;
/// A step never stands for more time than this: after a pause of the process nobody knows what the path did.
const LONGEST_STEP: i64 = 100_000;
/// Packets that one feedback may speak of; more than the history holds are lies.
const MOST_PACKETS: usize = 65_536;
/// An arrival clock that moves by more between two packets was set, us.
const CLOCK_JUMP: i64 = 5_000_000;
/// Nothing was heard for so long although packets leave, us: the rate sinks.
const SILENCE: i64 = 600_000;
/// By this factor a second.
const SINKING: f64 = 0.6;
/// A receiver's own estimate holds for so long, us.
const REMB_HOLDS: i64 = 5_000_000;
/// A standing queue from here on is drained after the queue was seen to grow, until it is down to there, us.
const DRAIN_FROM: i64 = 30_000;
const DRAIN_TO: i64 = 15_000;
/// What a probe found holds for so long against the queue that the probe itself left, us.
const PROVEN_HOLDS: i64 = 400_000;
/// With so much jitter, on top of half a packet's own time, a short probe proves little, us.
const JITTERY: i64 = 2_000;
/// With so much standing the link is full, and what the last moments delivered is what it carries.
const FULL: i64 = 60_000;
/// When the quickest packet in the later half of a feedback was no slower than this on top of the quickest of all, the queue
/// was empty at that time, us: that delays rise has other reasons than us, such as a receiver that reads late.
const EMPTY: i64 = 4_000;
/// In so much time, us; for so long at the most, because a queue that others fill does not go away.
const DRAIN_IN: f64 = 300_000.0;
const DRAIN_AT_MOST: i64 = 2_000_000;
/// What remains while draining, at the least.
const DRAIN_LEAVES: f64 = 0.1;

/// Bounds of an estimator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Before anything is known.
    pub start: Bitrate,
    /// Never below: sound must pass.
    pub least: Bitrate,
    /// Never above.
    pub most: Bitrate,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start: Bitrate::kbps(300),
            least: Bitrate::kbps(30),
            most: Bitrate::kbps(50_000),
        }
    }
}

/// The send-side estimator. See the crate's picture.
pub struct SendSide {
    config: Config,
    origin: Instant,
    history: History,
    arrival_clock: Option<(u32, i64)>,
    batch: Vec<Arrived>,
    grouping: Grouping,
    trendline: Trendline,
    delivered: Window,
    offered: Window,
    /// The most that was offered in the last two seconds, negative.
    most_offered: Minimum<8>,
    standing: Standing,
    /// The least delay in the later half of the last feedback, us of two clocks.
    quickest: i64,
    loss: LossBased,
    limited: Limited,
    probing: Probing,
    aimd: Aimd,
    draining: Option<i64>,
    /// What the last probe found, and when.
    proven: Option<(Bitrate, i64)>,
    demand: Bitrate,
    remb: Option<(Bitrate, i64)>,
    round_trip: Duration,
    /// Mean deviation of the spacing, us (RFC 3550 section 6.4.1).
    jitter: i64,
    heard: bool,
    /// Since when packets left without an answer.
    unanswered: Option<i64>,
    stepped: i64,
    next_step: i64,
}

impl SendSide {
    /// Nothing is known yet.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            origin: now,
            history: History::new(),
            arrival_clock: None,
            batch: Vec::with_capacity(256),
            grouping: Grouping::default(),
            trendline: Trendline::new(),
            delivered: Window::default(),
            offered: Window::default(),
            most_offered: Minimum::new(250_000),
            standing: Standing::new(),
            quickest: 0,
            loss: LossBased::new(0),
            limited: Limited::default(),
            probing: Probing::default(),
            aimd: Aimd::new(config.start),
            draining: None,
            proven: None,
            demand: config.most,
            remb: None,
            round_trip: Duration::from_millis(100),
            jitter: 0,
            heard: false,
            unanswered: None,
            stepped: 0,
            next_step: STEP,
        }
    }

    fn us(&self, now: Instant) -> i64 {
        now.saturating_duration_since(self.origin).as_micros().min(1 << 60) as i64
    }

    /// Before draining.
    fn capacity(&self) -> Bitrate {
        let mut rate = self.aimd.rate();
        if let Some(cap) = self.loss.cap() {
            rate = rate.min(cap);
        }
        if let Some((remb, _)) = self.remb {
            rate = if self.heard { rate.min(remb) } else { remb };
        }
        rate.clamp(self.config.least, self.config.most)
    }

    fn bitrate(&self) -> Bitrate {
        let capacity = self.capacity();
        if self.draining.is_none() {
            return capacity;
        }
        let factor = 1.0 - self.standing.queue() as f64 / DRAIN_IN;
        capacity.scaled(factor.clamp(DRAIN_LEAVES, 1.0)).max(self.config.least)
    }

    /// The receiver's clock in us, without its laps; a jump begins the measurement of delay anew.
    fn arrival(&mut self, ticks: u32) -> i64 {
        let Some((last, us)) = self.arrival_clock else {
            self.arrival_clock = Some((ticks, 0));
            return 0;
        };
        let moved = i64::from(ticks.wrapping_sub(last) as i32) * 250;
        if moved.abs() > CLOCK_JUMP {
            self.grouping = Grouping::default();
            self.trendline = Trendline::new();
            self.standing = Standing::new();
            self.delivered = Window::default();
        }
        let now = us.saturating_add(moved);
        self.arrival_clock = Some((ticks, now));
        now
    }

    /// What passes, without what random loss takes; never more than was offered.
    fn passes(&self) -> Option<Bitrate> {
        let mut delivered = self.delivered.rate()?;
        if self.standing.queue() > FULL {
            delivered = self.delivered.recent().unwrap_or(delivered).min(delivered);
        }
        let passes = delivered.scaled(1.0 / (1.0 - self.loss.inherent()));
        // A receiver that lies cannot have got more than was sent; a queue that drains gives what was sent before.
        let offered = self
            .most_offered
            .get()
            .map_or(u64::MAX, |negative| negative.unsigned_abs());
        Some(passes.min(Bitrate::bps(offered).scaled(1.25)))
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            usage: self.trendline.usage(),
            delivered: self.passes(),
            round_trip: self.round_trip,
            limited: self.limited.get(),
        }
    }

    fn take_batch(&mut self, now: i64) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        batch.sort_unstable_by_key(|packet| (packet.arrival, packet.sent));
        let mut over = false;
        let delays = batch[batch.len() / 2..]
            .iter()
            .map(|packet| packet.arrival.saturating_sub(packet.sent));
        self.quickest = delays.min().unwrap_or(self.quickest);
        for packet in &batch {
            self.delivered.add(packet.arrival, packet.size);
            self.standing.add(now, packet.sent, packet.arrival);
            self.probing.arrived(packet);
            if let Some(delta) = self.grouping.add(packet.sent, packet.arrival) {
                self.trendline.add(delta);
                let deviation = (delta.arrival - delta.sent).abs();
                self.jitter += (deviation - self.jitter) / 16;
                over |= self.trendline.usage() == Usage::Over;
            }
        }
        if let Some(newest) = batch.iter().map(|packet| packet.sent).max() {
            let measured = Duration::from_micros((now - newest).clamp(0, 10_000_000) as u64);
            self.round_trip = if self.heard {
                (self.round_trip * 7 + measured) / 8
            } else {
                measured
            };
            self.heard = true;
        }
        batch.clear();
        self.batch = batch;
        over
    }

    fn step(&mut self, now: i64) {
        let passed = (now - self.stepped).clamp(0, LONGEST_STEP);
        let elapsed = Duration::from_micros(passed as u64);
        self.stepped = now;
        self.limited.advance(now);
        if let Some(offered) = self.offered.rate() {
            self.most_offered.add(now, -(offered.as_bps() as i64));
        }
        if self.remb.is_some_and(|(_, at)| now - at > REMB_HOLDS) {
            self.remb = None;
        }
        let silent = self.unanswered.is_some_and(|since| now - since > SILENCE);
        if silent {
            let sunk = self.aimd.rate().scaled(SINKING.powf(elapsed.as_secs_f64()));
            self.aimd.set(sunk.max(self.config.least));
        } else {
            let inputs = self.inputs();
            self.aimd.grow(elapsed, &inputs);
            self.loss.step(elapsed, self.aimd.rate());
        }
        self.aimd
            .set(self.aimd.rate().clamp(self.config.least, self.config.most));
        if let Some(since) = self.draining
            && (self.standing.queue() < DRAIN_TO || now - since > DRAIN_AT_MOST)
        {
            self.draining = None;
        }
        let calm = !silent
            && self.draining.is_none()
            && self.trendline.usage() == Usage::Normal
            && self.loss.quiet()
            && self.remb.is_none();
        let wish = Wish {
            estimate: self.capacity(),
            demand: self.demand.min(self.config.most),
            calm,
            known: self.heard,
            jittery: self.jitter > JITTERY + self.capacity().time_for(600).as_micros() as i64,
        };
        self.probing.step(now, &wish);
    }
}

impl Estimator for SendSide {
    fn sent(&mut self, now: Instant, packet: Sent) {
        let now = self.us(now);
        let size = packet.size.min(usize::from(u16::MAX));
        let probe = self.probing.current();
        self.history.sent(packet.number, now, size as u16, probe);
        self.probing.sent(now, size as u32);
        self.offered.add(now, size as u32);
        self.limited.sent(now, size as u32, self.bitrate());
        self.unanswered.get_or_insert(now);
    }

    fn feedback(&mut self, now: Instant, packets: &mut dyn Iterator<Item = Received>) {
        let now = self.us(now);
        let (mut missing, mut recovered, mut reported) = (0, 0, 0);
        for packet in packets.take(MOST_PACKETS) {
            let arrival = packet.arrival.map(|ticks| self.arrival(ticks));
            match self.history.report(packet.number, arrival) {
                Report::Arrived(arrived) => {
                    recovered += u32::from(arrived.was_missing);
                    reported += 1;
                    self.batch.push(arrived);
                }
                Report::Missing(probe) => {
                    missing += 1;
                    self.probing.missing(probe);
                }
                Report::Nothing => {}
            }
        }
        if reported + missing == 0 {
            return; // about nothing that was sent: as if it had not come
        }
        self.unanswered = None;
        let over = self.take_batch(now);
        let before = self.bitrate();
        let offered = self.offered.rate().unwrap_or(before);
        self.loss.observe(now, missing, reported, recovered, before, offered);
        if over && self.standing.above(self.quickest) > EMPTY {
            let mut inputs = self.inputs();
            // A probe leaves a queue behind it, which is no reason to fall below what it has just measured.
            if let Some((proven, at)) = self.proven
                && now - at < PROVEN_HOLDS
                && self.standing.queue() < FULL
            {
                inputs.delivered = inputs.delivered.map(|delivered| delivered.max(proven));
            }
            self.aimd.back_off(now, &inputs);
            if self.standing.queue() > DRAIN_FROM {
                self.draining.get_or_insert(now);
            }
        }
        if let Some(proven) = self.probing.outcome(now) {
            let first = self.proven.is_none();
            self.proven = Some((proven, now));
            if first && proven < self.capacity() {
                // What was begun with was a guess, and this is the first that anybody knows of the path.
                self.aimd.set(proven.max(self.config.least));
                return;
            }
            if self.trendline.usage() == Usage::Over || proven <= self.capacity() {
                return;
            }
            self.aimd.set(proven.min(self.config.most).max(self.aimd.rate()));
            self.loss.proven(proven);
        }
    }

    fn remb(&mut self, now: Instant, bitrate: Bitrate) {
        self.remb = Some((bitrate.clamp(self.config.least, self.config.most), self.us(now)));
        if !self.heard {
            // Who estimates for us gives no feedback to wait for.
            self.unanswered = None;
        }
    }

    fn demand(&mut self, wanted: Bitrate) {
        if wanted > self.demand.scaled(1.2) {
            let now = self.stepped;
            self.probing.soon(now);
        }
        self.demand = wanted;
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.origin.checked_add(Duration::from_micros(self.next_step as u64))
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.us(now);
        if now < self.next_step {
            return;
        }
        self.step(now);
        self.next_step += STEP;
        if self.next_step <= now {
            self.next_step = now + STEP;
        }
    }

    fn probe(&self) -> Option<Probe> {
        self.probing.due()
    }

    fn estimate(&self) -> Estimate {
        Estimate {
            bitrate: self.bitrate(),
            carries: self.capacity(),
            round_trip: self.round_trip,
            loss: self.loss.loss(),
            queue: Duration::from_micros(self.standing.queue().max(0) as u64),
            usage: self.trendline.usage(),
            limited: self.limited.get(),
            known: self.heard || self.remb.is_some(),
            proven: self.proven.is_some() || self.remb.is_some(),
        }
    }
}
