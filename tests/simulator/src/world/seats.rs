//! Who has a transport: in by the word of signaling, out by it.

use std::collections::BTreeMap;

use link_model::LinkConfig;
use sfu_core::room::{Intent, SlotPolicy};
use sfu_core::shard::OfferRequest;
use sfu_core::types::{ParticipantId, RoomId, Source};

use super::{HANDSHAKE, VOICES, What, World};
use crate::plan::Broken;
use crate::shards;
use crate::wire::{groups, offer};

impl World<'_> {
    pub(super) fn admit(&mut self, at: usize) {
        if std::mem::replace(&mut self.clients[at].seated, true) {
            return;
        }
        let person = &self.plan.people[at];
        let id = ParticipantId(at as u32 + 1);
        let request = OfferRequest {
            room: RoomId(person.room),
            participant: id,
            name: id.0.to_string(),
            sdp: offer(VOICES, person.tiles.len()),
            mids: BTreeMap::new(),
            publish: true,
            subscribe: true,
            slots: SlotPolicy::Intents,
        };
        let now = self.instant();
        let shard = &mut self.shards[usize::from(person.shard)];
        let Ok(answer) = shard.offer(now, request) else { return };
        self.clients[at].viewer.answered(groups(&answer));
        let people = self.plan.people.len();
        let others = (at + 1..at + people).map(|other| other % people);
        let others =
            others.filter(|other| self.plan.people[*other].films && self.plan.people[*other].room == person.room);
        let intents = others
            .zip(&person.tiles)
            .enumerate()
            .map(|(slot, (other, height))| Intent {
                mid: (2 + VOICES + slot).to_string(),
                participant: ParticipantId(other as u32 + 1),
                source: Source::Camera,
                height: *height,
                fps: 0,
                priority: 0,
            });
        shard.intents(now, id, intents.collect());
        self.after(HANDSHAKE, What::Handshake(at));
        self.serve(person.shard);
    }

    pub(super) fn handshake(&mut self, at: usize) {
        let person = &self.plan.people[at];
        let dark = |link: &LinkConfig| link.dark.iter().any(|(from, to)| (*from..*to).contains(&self.now));
        if !self.clients[at].seated || (at == 0 && self.plan.broken == Some(Broken::NeverConnected)) {
            return;
        }
        if dark(&person.up) || dark(&person.down) || self.stalled(person.shard).is_some() {
            return self.after(3 * HANDSHAKE, What::Handshake(at));
        }
        let (now, shard) = (self.instant(), person.shard);
        let path = shards::path(shard, at, self.clients[at].place);
        self.shards[usize::from(shard)].connect_plain(now, ParticipantId(at as u32 + 1), path);
        self.clients[at].connected = true;
        self.clients[at].witness.connected = Some(self.now);
        let phase = self.clients[at].publisher.phase();
        if person.films && self.plan.broken != Some(Broken::NoVideo) {
            self.after(phase, What::Frame(at));
        }
        if person.speaks {
            self.after(phase / 2, What::Sound(at));
        }
        self.after(phase, What::Feedback(at));
        self.serve(shard);
    }

    pub(super) fn remove(&mut self, at: usize) {
        let client = &mut self.clients[at];
        (client.seated, client.connected) = (false, false);
        client.witness.until = self.now;
        client.viewer.finish(self.now);
        let (now, shard) = (self.instant(), self.plan.people[at].shard);
        self.shards[usize::from(shard)].leave(now, ParticipantId(at as u32 + 1));
        self.serve(shard);
    }
}
