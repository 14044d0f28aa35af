//! What goes to one viewer: how much may, at what pace, and in which layers.
//!
//! ```text
//!  a packet for a slot ─► pacer ─► numbered (transport-wide), sealed, sent ─► estimator
//!                           ▲ pace                                              ▲ feedback
//!                           └──── estimate ─────────────────────────────────────┘
//!                                     └─► budget of 2.5 s ─► allocate ─► limits of the slots ─► link, bindings
//! ```

use std::time::{Duration, Instant};

use sfu_bwe::{Bitrate, Config, Estimator, SendSide, Sent};
use smallvec::SmallVec;

use super::backlog::Queue;
use super::member::{Bound, Viewer};
use super::{Drop, Event, Shard};
use crate::allocate::{Budget, Recent, Rung, Snapshot, StreamView, allocate};
use crate::forward::PacketKey;
use crate::pacer::{Class, Pacer, Pass};
use crate::quality::{Facts, Reason, Score, score};
use crate::rtp::MAX_LAYERS;
use crate::transport::MAX_SEAL_OVERHEAD;

/// How often slots are allotted anew; at once when the estimate has fallen by a fifth since.
const ALLOCATE_INTERVAL: Duration = Duration::from_millis(100);
const FALLEN: f64 = 0.8;
/// For so long after the first feedback the estimate of this moment counts alone: it is still being found.
const SETTLING: Duration = Duration::from_secs(3);
/// Before anything is known. Enough for sound and some small pictures; three times of it is probed for at once.
const START: Bitrate = Bitrate::kbps(1_000);
/// Sound and the smallest picture of one person. Below this it is not worth while to go.
const LEAST: Bitrate = Bitrate::kbps(50);
/// A hundred small pictures, a large one and a shared screen.
const MOST: Bitrate = Bitrate::kbps(30_000);
/// The connection is scored, and a change told, at most this often.
const SCORE_INTERVAL: Duration = Duration::from_secs(2);
/// What one source of sound may keep from video: Opus at its highest common rate, doubled by RED.
const VOICE: Bitrate = Bitrate::kbps(300);
/// Timers of one viewer are at least so far apart.
const GRAIN: Duration = Duration::from_millis(1);
/// IP and UDP around a sealed packet.
const DATAGRAM: usize = 28;
/// Room for a packet that is all padding: header with extensions, 255 bytes and the seal.
const PADDING_ROOM: usize = 400 + MAX_SEAL_OVERHEAD;

/// A packet that waits for its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub slot: u16,
    pub packet: PacketKey,
    /// The layer that it belongs to: publisher, track, layer. The slot may carry another one by then.
    pub from: (u32, u8, u8),
    pub csrc: u32,
    /// The slot's own number, when it is sent again.
    pub again: Option<u64>,
}

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
    not_before: Instant,
    pub(super) pacer: Pacer<Waiting>,
    /// What its connection has not taken, where it is one by TCP.
    pub(super) queue: Queue,
    recent: Recent,
    known_since: Option<Instant>,
    allocated: (Option<Instant>, Bitrate),
    limits: SmallVec<[(u16, Allowed); 16]>,
    used: Bitrate,
    wanted: Bitrate,
    /// When the connection was scored, and what was told.
    scored: (Option<Instant>, (Score, Option<Reason>)),
}

impl Downlink {
    pub(super) fn new(now: Instant) -> Self {
        let config = Config {
            start: START,
            least: LEAST,
            most: MOST,
        };
        let mut estimator = SendSide::new(config, now);
        // What is wanted is known when the first feedback has come; nothing is probed for before.
        estimator.demand(Bitrate::ZERO);
        Self {
            estimator,
            numbered: false,
            number: 0,
            not_before: now,
            pacer: Pacer::new(Bitrate::bps(u64::MAX), now),
            queue: Queue::default(),
            recent: Recent::new(START, now),
            known_since: None,
            allocated: (None, START),
            limits: SmallVec::new(),
            used: Bitrate::ZERO,
            wanted: Bitrate::ZERO,
            scored: (None, (Score::GOOD, None)),
        }
    }

    /// The viewer is back after having been away: whatever was known of the path is void.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self {
            numbered: self.numbered,
            number: self.number,
            scored: self.scored,
            ..Self::new(now)
        };
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

    /// The score, when it is another one than was told.
    fn score(&mut self, now: Instant) -> Option<(Score, Option<Reason>)> {
        let early = self
            .scored
            .0
            .is_some_and(|at| now.saturating_duration_since(at) < SCORE_INTERVAL);
        if early || self.known_since.is_none() {
            return None;
        }
        let found = score(&self.facts());
        self.scored.0 = Some(now);
        if found == self.scored.1 {
            return None;
        }
        self.scored.1 = found;
        Some(found)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self
            .pacer
            .next_deadline(self.numbered && self.estimator.probe().is_some());
        let next = [self.estimator.next_deadline(), waiting].into_iter().flatten().min();
        next.map(|at| at.max(self.not_before))
    }

    /// The budget, when slots should be allotted anew now.
    fn due(&mut self, now: Instant) -> Option<Budget> {
        let estimate = self.estimator.estimate();
        if !estimate.known {
            return None;
        }
        self.pacer.set_estimate(estimate.bitrate, now);
        let since = *self.known_since.get_or_insert(now);
        let mut budget = self.recent.note(estimate.bitrate, now);
        if now.saturating_duration_since(since) < SETTLING {
            budget.lowest = budget.now;
        }
        let (at, before) = self.allocated;
        let early = at.is_some_and(|at| now.saturating_duration_since(at) < ALLOCATE_INTERVAL);
        if early && estimate.bitrate >= before.scaled(FALLEN) {
            return None;
        }
        self.allocated = (Some(now), estimate.bitrate);
        Some(budget)
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

    /// Keeps a packet back when it is not its turn yet. `true`: it is not to be sent now.
    pub(super) fn hold(&mut self, now: Instant, viewer: u32, item: Waiting) -> bool {
        let Some(member) = self.members.get_mut(viewer as usize) else {
            return false;
        };
        let (Some(downlink), Some(slot)) = (&mut member.downlink, member.slots.get(usize::from(item.slot))) else {
            return false;
        };
        let Some((bytes, _)) = self.packets.get(item.packet) else {
            return false;
        };
        let class = match item.again {
            Some(_) => Class::Retransmission,
            None if slot.kind.is_audio() => Class::Audio,
            None => Class::Video,
        };
        match downlink
            .pacer
            .offer(now, class, item.slot, bytes.len() + DATAGRAM, item)
        {
            Pass::Now => false,
            Pass::Later => {
                if let Some(at) = downlink.next_deadline() {
                    self.schedule(viewer, at);
                }
                true
            }
            Pass::Dropped => {
                self.counters.drop(Drop::PacerFull);
                true
            }
        }
    }

    /// Does what is due for a viewer: the estimator's step, packets whose turn it is, padding of a probe, a new allotment.
    pub(super) fn drive_downlink(&mut self, now: Instant, key: u32) {
        let Some(downlink) = self.downlink(key) else { return };
        downlink.not_before = now + GRAIN;
        downlink.estimator.handle_timeout(now);
        let budget = downlink.due(now);
        let scored = downlink.score(now);
        while let Some((_, item)) = self.downlink(key).and_then(|downlink| downlink.pacer.poll(now)) {
            self.release(now, key, item);
        }
        self.pad(now, key);
        if let Some(budget) = budget {
            self.allot(now, key, budget);
        }
        if let (Some((score, reason)), Some(member)) = (scored, self.members.get(key as usize)) {
            let id = member.id;
            self.event(Event::Quality(id, score, reason));
        }
    }

    fn downlink(&mut self, key: u32) -> Option<&mut Downlink> {
        let member = self.members.get_mut(key as usize).filter(|member| member.connected)?;
        member.downlink.as_mut()
    }

    /// Sends a packet that has waited, unless its slot carries something else by now.
    fn release(&mut self, now: Instant, key: u32, item: Waiting) {
        let viewer = Viewer {
            member: key,
            slot: item.slot,
        };
        let (publisher, track, layer) = item.from;
        let still = |bound: &Bound| (bound.member, bound.track) == (publisher, track) && bound.current == Some(layer);
        if !self
            .slot_mut(viewer)
            .is_some_and(|slot| slot.bound.as_ref().is_some_and(still))
        {
            return;
        }
        match item.again {
            Some(index) => self.send_again(now, viewer, item.packet, index),
            None => {
                if self.send_now(now, viewer, item.packet, item.csrc) {
                    self.want_key_frame(now, publisher, usize::from(track), usize::from(layer));
                }
            }
        }
    }

    /// Padding for a probe, as retransmission packets without content of a slot that has declared them.
    fn pad(&mut self, now: Instant, key: u32) {
        loop {
            let Self {
                members,
                arena,
                counters,
                ..
            } = self;
            let Some(member) = members.get_mut(key as usize).filter(|m| m.connected) else {
                return;
            };
            let (Some(path), Some(peer)) = (member.path(), &mut member.peer) else {
                return;
            };
            let Some(downlink) = &mut member.downlink else {
                return;
            };
            let probe = downlink.estimator.probe().filter(|_| downlink.numbered);
            let Some(bytes) = downlink.pacer.padding(now, probe.as_ref()) else {
                return;
            };
            let Some(slot) = member.slots.iter_mut().find(|slot| slot.out.can_pad()) else {
                return;
            };
            let Some(room) = arena.reserve(PADDING_ROOM) else {
                counters.drop(Drop::ArenaFull);
                return;
            };
            slot.out.number_next(downlink.number());
            let Some((len, index)) = slot.out.write_padding(room, bytes) else {
                return;
            };
            match peer.transport.seal_rtp(room, len, index) {
                Ok(sealed) => {
                    arena.commit(&mut member.route, path, sealed);
                    downlink.sent(now, sealed);
                    counters.padding += 1;
                }
                Err(_) => return counters.drop(Drop::Seal),
            }
        }
    }

    /// Decides what each slot may carry, and carries it out where that changed.
    fn allot(&mut self, now: Instant, key: u32, budget: Budget) {
        let Some(snapshot) = self.snapshot(now, key) else {
            return;
        };
        let decisions = allocate(&snapshot, budget);
        let mut limits: SmallVec<[(u16, Allowed); 16]> = SmallVec::new();
        for decision in &decisions.streams {
            let Some(stream) = snapshot.streams.iter().find(|s| s.slot == decision.slot) else {
                continue;
            };
            let allowed = match decision.rung {
                None => Allowed::Nothing,
                Some(rung) if rung + 1 == stream.rungs.len() => continue,
                Some(rung) => Allowed::Layer(stream.rungs[rung].layer, stream.rungs[rung].temporal),
            };
            limits.push((decision.slot, allowed));
        }
        limits.sort_unstable_by_key(|(slot, _)| *slot);
        let Some(downlink) = self.downlink(key) else { return };
        downlink.used = decisions.used;
        downlink.wanted = decisions.wanted;
        downlink.estimator.demand(decisions.wanted);
        if downlink.limits != limits {
            downlink.limits = limits;
            self.bindings_changed(key);
            self.assign_viewer(now, key);
        }
    }

    /// What there is to decide about.
    fn snapshot(&self, now: Instant, key: u32) -> Option<Snapshot> {
        let member = self.members.get(key as usize)?;
        let room = self.rooms.get(&member.room)?;
        let mut snapshot = Snapshot {
            streams: Vec::new(),
            first: Bitrate::ZERO,
        };
        for (at, slot) in member.slots.iter().enumerate() {
            let Some(bound) = &slot.bound else { continue };
            let publisher = self.members.get(bound.member as usize);
            let Some(track) = publisher.and_then(|publisher| publisher.tracks.get(usize::from(bound.track))) else {
                continue;
            };
            if track.blocked || bound.height == 0 {
                continue;
            }
            if bound.source.is_audio() {
                let rates = track.layers.first().map(|layer| &layer.rates);
                let rate = rates.map_or(Bitrate::ZERO, |rates| rates.up_to(MAX_LAYERS, MAX_LAYERS, now));
                snapshot.first = snapshot.first.plus(rate.min(VOICE));
                continue;
            }
            let rungs = track.rungs(now, bound.ideal);
            let carried = track.carried(slot);
            let temporal = slot.out.target().temporal;
            let lower = |rung: &Rung| (rung.layer, rung.temporal) <= (carried, temporal);
            let spoke = room.speakers.iter().position(|speaker| *speaker == bound.publisher);
            let priority = member.intents.get(&slot.mid).map_or(0, |intent| intent.priority);
            snapshot.streams.push(StreamView {
                slot: at as u16,
                pinned: priority > 0 || bound.source == crate::types::Source::Screen,
                height: bound.height,
                recency: spoke.map_or(u32::MAX, |place| place as u32),
                now: bound.current.and_then(|_| rungs.iter().rposition(lower)),
                rungs,
            });
        }
        Some(snapshot)
    }
}
