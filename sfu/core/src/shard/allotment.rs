//! What each slot of one viewer may carry: decided ten times a second, and at once for slots that show something new.

use std::time::Instant;

use sfu_bwe::Bitrate;
use smallvec::SmallVec;

use super::Shard;
use super::downlink::Allowed;
use crate::allocate::{Budget, Rung, Snapshot, StreamView, allocate};
use crate::room::{Assigned, SlotPolicy};
use crate::rtp::MAX_LAYERS;
use crate::types::Source;

/// What one source of sound may keep from video: Opus at its highest common rate, doubled by RED.
const VOICE: Bitrate = Bitrate::kbps(300);
/// What a slot was granted for one picture, the next one in it may have too, if it takes no more than so much of it.
const SAME: f64 = 1.1;

impl Shard {
    /// A slot shows something new, or wants more of it: until it has been decided about it gets no more than `meanwhile`, so
    /// that nothing is begun for which there is no room. The decision comes when the input is dealt with.
    pub(super) fn undecided(&mut self, key: u32, slot: u16, meanwhile: Allowed) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let Some(downlink) = member.downlink.as_mut().filter(|downlink| downlink.is_limited()) else {
            return;
        };
        downlink.limit(slot, meanwhile);
        self.allot_soon(key);
    }

    /// Its slots are allotted anew when the input is dealt with.
    pub(super) fn allot_soon(&mut self, key: u32) {
        if let Some(member) = self.members.get_mut(key as usize)
            && let Some(downlink) = &mut member.downlink
            && downlink.is_limited()
            && !std::mem::replace(&mut downlink.undecided, true)
        {
            self.dirty_allotments.push(key);
        }
    }

    /// Allots anew now.
    pub(super) fn allot_now(&mut self, now: Instant, key: u32) {
        let downlink = self.members.get_mut(key as usize).and_then(|m| m.downlink.as_mut());
        let Some(downlink) = downlink else { return };
        downlink.undecided = false;
        let budget = downlink.budget(now);
        self.allot(now, key, budget);
    }

    /// Decides what each slot may carry, and carries it out where that changed.
    pub(super) fn allot(&mut self, now: Instant, key: u32, budget: Budget) {
        let Some(snapshot) = self.snapshot(now, key) else {
            return;
        };
        let decisions = allocate(&snapshot, budget);
        let mut limits: SmallVec<[(u16, Allowed); 16]> = SmallVec::new();
        let mut granted: SmallVec<[(u16, Bitrate); 16]> = SmallVec::new();
        for decision in &decisions.streams {
            let Some(stream) = snapshot.streams.iter().find(|s| s.slot == decision.slot) else {
                continue;
            };
            let Some(rung) = decision.rung.and_then(|rung| stream.rungs.get(rung)) else {
                limits.push((decision.slot, Allowed::Nothing));
                continue;
            };
            granted.push((decision.slot, rung.bitrate));
            let best = stream.rungs.last() == Some(rung) && rung.layer >= stream.ideal;
            if !best {
                limits.push((decision.slot, Allowed::Layer(rung.layer, rung.temporal)));
            }
        }
        limits.sort_unstable_by_key(|(slot, _)| *slot);
        let downlink = self.members.get_mut(key as usize).and_then(|m| m.downlink.as_mut());
        let Some(downlink) = downlink else { return };
        downlink.allotted(decisions.used, decisions.wanted, granted);
        let before = std::mem::replace(&mut downlink.limits, limits.clone());
        let of = |limits: &[(u16, Allowed)], slot: u16| {
            let found = limits.iter().find(|(at, _)| *at == slot);
            found.map_or(Allowed::All, |(_, allowed)| *allowed)
        };
        let mut slots: SmallVec<[u16; 16]> = before.iter().chain(&limits).map(|(slot, _)| *slot).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.retain(|slot| of(&before, *slot) != of(&limits, *slot));
        for slot in slots {
            self.relink(now, key, slot);
            self.bindings_changed(key);
        }
    }

    /// Carries out that a slot may have more or less of what it shows.
    fn relink(&mut self, now: Instant, key: u32, slot: u16) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let Some(place) = member.slots.get(usize::from(slot)) else {
            return;
        };
        let Some(bound) = place.bound else { return };
        let intent = match member.policy {
            SlotPolicy::Intents => member.intents.get(&place.mid),
            SlotPolicy::Fill | SlotPolicy::Publishers(_) => None,
        };
        let wanted = Assigned {
            participant: bound.publisher,
            source: bound.source,
            height: bound.height,
            fps: intent.map_or(0, |intent| intent.fps),
            priority: intent.map_or(0, |intent| intent.priority),
        };
        self.link(now, key, slot, wanted);
    }

    /// What there is to decide about.
    fn snapshot(&mut self, now: Instant, key: u32) -> Option<Snapshot> {
        let downlink = self.members.get_mut(key as usize)?.downlink.as_mut()?;
        let data = downlink.data.rate(now);
        let member = self.members.get(key as usize)?;
        let downlink = member.downlink.as_ref()?;
        let room = self.rooms.get(&member.room)?;
        let mut snapshot = Snapshot {
            streams: Vec::new(),
            first: data,
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
            let granted = downlink.granted(at as u16).scaled(SAME);
            let as_dear = |rung: &Rung| rung.bitrate <= granted;
            let flows = bound.current.and_then(|_| rungs.iter().rposition(lower));
            let spoke = room.speakers.iter().position(|speaker| *speaker == bound.publisher);
            let priority = member.intents.get(&slot.mid).map_or(0, |intent| intent.priority);
            snapshot.streams.push(StreamView {
                slot: at as u16,
                pinned: priority > 0 || bound.source == Source::Screen,
                height: bound.height,
                recency: spoke.map_or(u32::MAX, |place| place as u32),
                now: flows.max(rungs.iter().rposition(as_dear)),
                ideal: bound.ideal,
                rungs,
            });
        }
        Some(snapshot)
    }
}
