//! What goes to one viewer: how much may, at what pace, and in which layers.
//!
//! ```text
//!  a packet for a slot ─► pacer ─► numbered (transport-wide), sealed, sent ─► estimator
//!                           ▲ pace                                              ▲ feedback
//!                           └──── estimate ─────────────────────────────────────┘
//!                                     └─► budget of 2.5 s ─► allocate ─► limits of the slots ─► link, bindings
//! ```
//!
//! Here is what is known of a viewer's path; `pacing` has whose turn it is, `allotment` what each slot may carry.

use std::time::{Duration, Instant};

use sfu_bwe::{Bitrate, Config, Estimator, SendSide, Sent};
use smallvec::SmallVec;

use super::Shard;
use super::backlog::Queue;
use super::data::Meter;
use super::pacing::{DATAGRAM, Waiting};
use super::repeats::Repeats;
use super::streams_scored::StreamQuality;
use crate::allocate::{Budget, Recent};
use crate::pacer::Pacer;
use crate::quality::{Facts, Reason, Score, score};

/// How often slots are allotted anew; at once when the estimate has fallen by a fifth since, or has risen by a quarter.
const ALLOCATE_INTERVAL: Duration = Duration::from_millis(100);
const FALLEN: f64 = 0.8;
const RISEN: f64 = 1.25;
/// For so long after the first feedback the estimate of this moment counts alone: it is still being found.
const SETTLING: Duration = Duration::from_secs(3);
/// Nobody gets more than a floor before a probe has said whether there is room, but for no longer than this: who never says what
/// arrives, or wants so little that nothing is probed for, gets what [`START`] allows.
const GUESSED: Duration = Duration::from_secs(1);
/// Before anything is known. Enough for sound and some small pictures: more is not begun. Three times of it is probed for as
/// soon as a picture flows, and each probe that passes is followed by the next: a local network shows 25 Mbit/s after a
/// third of a second.
const START: Bitrate = Bitrate::kbps(1_000);
/// Sound and the smallest picture of one person. Below this it is not worth while to go.
const LEAST: Bitrate = Bitrate::kbps(50);
/// A hundred pictures that are not layered; nothing is probed for that nobody wants, so that this costs nothing.
const MOST: Bitrate = Bitrate::kbps(150_000);
/// While data waits for its share, a quarter, a link is looked for that carries twice as much of it.
const DATA_WISH: f64 = 8.0;
/// The connection is scored, and a change told, at most this often.
const SCORE_INTERVAL: Duration = Duration::from_secs(2);
/// What a slot may carry at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Whatever suits it.
    All,
    /// Up to this layer of the source's list, and this temporal layer of it.
    Layer(u8, u8),
    /// There is no room.
    Nothing,
}

/// See the module.
pub(super) struct Downlink {
    estimator: SendSide,
    /// Packets carry transport-wide numbers; otherwise only the receiver's own estimate (REMB) is there.
    pub numbered: bool,
    number: u16,
    /// Packets and steps that are due within a millisecond are done together.
    pub not_before: Instant,
    pub pacer: Pacer<Waiting>,
    /// Second copies of retransmissions.
    pub(super) repeats: Repeats,
    /// What its connection has not taken, where it is one by TCP.
    pub(super) queue: Queue,
    recent: Recent,
    /// What data channels take of it.
    pub(super) data: Meter,
    /// Messages of data channels wait for their share.
    pub(super) data_waits: bool,
    known_since: Option<Instant>,
    /// When something was first allotted.
    began: Option<Instant>,
    allocated: (Option<Instant>, Bitrate),
    pub limits: SmallVec<[(u16, Allowed); 16]>,
    /// What each slot's picture was thought to take when it was allowed.
    granted: SmallVec<[(u16, Bitrate); 16]>,
    /// Slots wait for an allotment, which comes when the input is dealt with.
    pub undecided: bool,
    used: Bitrate,
    wanted: Bitrate,
    /// When the connection was scored, and what was told.
    scored: (Option<Instant>, (Score, Option<Reason>)),
    /// What was told of single streams.
    pub(super) streams: Vec<StreamQuality>,
}

impl Downlink {
    pub(super) fn new(now: Instant) -> Self {
        let config = Config {
            start: START,
            least: LEAST,
            most: MOST,
        };
        let mut estimator = SendSide::new(config, now);
        // Nothing is probed for before padding can be sent: see `may_probe`.
        estimator.demand(Bitrate::ZERO);
        Self {
            estimator,
            numbered: false,
            number: 0,
            not_before: now,
            pacer: Pacer::new(Bitrate::bps(u64::MAX), now),
            repeats: Repeats::new(now),
            queue: Queue::default(),
            recent: Recent::new(START, now),
            data: Meter::default(),
            data_waits: false,
            known_since: None,
            began: None,
            allocated: (None, START),
            limits: SmallVec::new(),
            granted: SmallVec::new(),
            undecided: false,
            used: Bitrate::ZERO,
            wanted: Bitrate::ZERO,
            scored: (None, (Score::GOOD, None)),
            streams: Vec::new(),
        }
    }

    /// The viewer is back after having been away: whatever was known of the path is void. What its slots may carry stays
    /// until the next allotment, which must be asked for.
    pub(super) fn restart(&mut self, now: Instant) {
        let numbered = self.numbered;
        *self = Self {
            number: self.number,
            scored: self.scored,
            streams: std::mem::take(&mut self.streams),
            limits: std::mem::take(&mut self.limits),
            undecided: self.undecided,
            ..Self::new(now)
        };
        if numbered {
            self.number_packets(now);
        }
    }

    /// Packets carry transport-wide numbers from now on.
    pub(super) fn number_packets(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.numbered, true) {
            self.pacer.set_estimate(START, now);
        }
    }

    /// The number of the packet that leaves next.
    pub(super) fn number(&self) -> Option<u16> {
        self.numbered.then_some(self.number)
    }

    /// A packet of this size left with [`Self::number`].
    pub(super) fn sent(&mut self, now: Instant, sealed: usize) {
        let number = self.number;
        self.number = number.wrapping_add(1);
        let size = sealed + DATAGRAM;
        self.estimator.sent(now, Sent { number, size });
    }

    pub(super) fn estimator(&mut self) -> &mut SendSide {
        &mut self.estimator
    }

    pub(super) fn allowed(&self, slot: u16) -> Allowed {
        let found = self.limits.iter().find(|(at, _)| *at == slot);
        found.map_or(Allowed::All, |(_, allowed)| *allowed)
    }

    /// Until the next allotment this slot gets no more than this.
    pub(super) fn limit(&mut self, slot: u16, allowed: Allowed) {
        match self.limits.binary_search_by_key(&slot, |(at, _)| *at) {
            Ok(at) => self.limits[at].1 = allowed,
            Err(at) => self.limits.insert(at, (slot, allowed)),
        }
    }

    /// What this slot's picture was thought to take when it was allowed.
    pub(super) fn granted(&self, slot: u16) -> Bitrate {
        let found = self.granted.iter().find(|(at, _)| *at == slot);
        found.map_or(Bitrate::ZERO, |(_, bitrate)| *bitrate)
    }

    /// What was decided, besides the limits.
    pub(super) fn allotted(&mut self, used: Bitrate, wanted: Bitrate, granted: SmallVec<[(u16, Bitrate); 16]>) {
        (self.used, self.wanted, self.granted) = (used, wanted, granted);
    }

    /// Whether padding can be sent now. A probe that is begun before would come to nothing, and the next one late.
    pub(super) fn may_probe(&mut self, now: Instant, able: bool) {
        let data = if self.data_waits {
            self.data.rate(now).scaled(DATA_WISH)
        } else {
            Bitrate::ZERO
        };
        let wanted = self.wanted.plus(data);
        self.estimator.demand(if able { wanted } else { Bitrate::ZERO });
    }

    /// What the score of the connection is made of.
    fn facts(&self) -> Facts {
        let estimate = self.estimator.estimate();
        Facts {
            loss: estimate.loss,
            round_trip: if estimate.known {
                estimate.round_trip
            } else {
                Duration::ZERO
            },
            queue: estimate.queue,
            used: self.used,
            wanted: self.wanted,
            paused: self
                .limits
                .iter()
                .filter(|(_, allowed)| *allowed == Allowed::Nothing)
                .count(),
            ..Facts::default()
        }
    }

    /// The score, when it is time to look; and whether it is another one than was told.
    pub(super) fn score(&mut self, now: Instant) -> Option<(Score, Option<Reason>, bool)> {
        let early = self
            .scored
            .0
            .is_some_and(|at| now.saturating_duration_since(at) < SCORE_INTERVAL);
        if early || self.known_since.is_none() {
            return None;
        }
        let found = score(&self.facts());
        self.scored.0 = Some(now);
        let told = std::mem::replace(&mut self.scored.1, found);
        Some((found.0, found.1, found != told))
    }

    /// When the next packet that waits, or padding, may go.
    pub(super) fn next_packet(&self) -> Option<Instant> {
        let probing = self.numbered && self.estimator.probe().is_some();
        let next = [self.pacer.next_deadline(probing), self.repeats.next_deadline()];
        next.into_iter().flatten().min().map(|at| at.max(self.not_before))
    }

    /// When the estimator wants to be called.
    pub(super) fn next_step(&self) -> Option<Instant> {
        self.estimator.next_deadline().map(|at| at.max(self.not_before))
    }

    /// Whether anything is ever said of its link. It is not limited otherwise: nothing would ever lift a limit.
    pub(super) fn is_limited(&self) -> bool {
        self.numbered || self.estimator.estimate().known
    }

    /// What may be spent now.
    pub(super) fn budget(&mut self, now: Instant) -> Budget {
        let estimate = self.estimator.estimate();
        if !self.is_limited() {
            // It may send its own estimate, and may not.
            return Budget::steady(Bitrate::bps(u64::MAX));
        }
        let mut budget = self.recent.note(estimate.bitrate, now);
        budget.carries = estimate.carries;
        let began = *self.began.get_or_insert(now);
        budget.guessed = !estimate.proven && now.saturating_duration_since(began) < GUESSED;
        let known = self.known_since.filter(|_| estimate.known);
        if known.is_none_or(|since| now.saturating_duration_since(since) < SETTLING) {
            budget.lowest = budget.now;
        }
        self.allocated = (Some(now), estimate.bitrate);
        budget
    }

    /// The budget, when slots should be allotted anew now.
    pub(super) fn due(&mut self, now: Instant) -> Option<Budget> {
        let estimate = self.estimator.estimate();
        self.repeats.note(now, estimate.loss, estimate.queue);
        let (at, before) = self.allocated;
        let early = at.is_some_and(|at| now.saturating_duration_since(at) < ALLOCATE_INTERVAL);
        // Who never says what arrives gets what was begun with, and then less and less.
        let silent = self.numbered && estimate.bitrate < START;
        if !estimate.known && !silent {
            // Nothing is known yet, and the budget is the same; a picture that had not begun at the last allotment may flow now.
            return (!early && !self.limits.is_empty()).then(|| self.budget(now));
        }
        self.pacer.set_estimate(estimate.bitrate, now);
        self.known_since.get_or_insert(now);
        self.recent.note(estimate.bitrate, now);
        let fallen = estimate.bitrate < before.scaled(FALLEN);
        let risen = estimate.bitrate > before.scaled(RISEN) && self.used < self.wanted;
        (!early || fallen || risen).then(|| self.budget(now))
    }
}

impl Shard {
    /// How many viewers' links have been estimated, and the sum of the estimates, bit/s.
    pub fn estimates(&self) -> (usize, u64) {
        let downlinks = self.members.iter().filter_map(|(_, member)| member.downlink.as_ref());
        let known = downlinks
            .map(|downlink| downlink.estimator.estimate())
            .filter(|e| e.known);
        known.fold((0, 0), |(count, sum), estimate| {
            (count + 1, sum + estimate.bitrate.as_bps())
        })
    }
}
