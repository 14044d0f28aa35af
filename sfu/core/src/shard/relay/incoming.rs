//! What comes from other shards. They are this process's own, so that their numbers are believed; only what may have crossed
//! a change on the way (a participant who has left, a room that was closed) is looked at.

use std::time::Instant;

use smallvec::SmallVec;

use super::super::member::{Member, Track};
use super::super::received::Came;
use super::super::{Drop, Shard};
use super::{MAX_SHARDS, RelayedPacket, TrackFacts, TrackIntro, Word};
use crate::forward::{Arrival, Rates};
use crate::types::{ParticipantId, RoomId, Source};

/// Tracks of one stand-in, and streams of one track; the homes keep to the same.
const MAX_TRACKS: usize = 16;
const MAX_STREAMS: u8 = 8;

impl Shard {
    /// Takes a packet from shard `from`. It is kept: its buffer then holds other memory.
    pub fn take_packet(&mut self, now: Instant, from: u8, packet: &mut RelayedPacket) {
        let head = packet.head;
        let (at, layer_at) = (usize::from(head.track), usize::from(head.layer));
        let Some(key) = self.stand_in(head.participant, from) else {
            // It has left, or its introduction is on the way.
            self.counters.drop(Drop::UnknownStream);
            return;
        };
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        self.working_on = Some(member.room);
        let Some(track) = member.tracks.get(at).filter(|track| layer_at < track.layers.len()) else {
            self.counters.drop(Drop::UnknownStream);
            self.working_on = None;
            return;
        };
        if track.blocked {
            self.counters.drop(Drop::Blocked);
        } else {
            if track.layers[layer_at].ssrc != Some(head.ssrc) {
                self.begin_stream(now, key, at, layer_at, head.ssrc);
            }
            self.arrive(now, key, at, layer_at, packet);
        }
        self.settle(now);
        self.working_on = None;
    }

    fn arrive(&mut self, now: Instant, key: u32, at: usize, layer_at: usize, packet: &mut RelayedPacket) {
        let Self {
            members,
            packets,
            counters,
            ..
        } = self;
        let Some(member) = members.get_mut(key as usize) else {
            return;
        };
        let track = &mut member.tracks[at];
        let layer = &mut track.layers[layer_at];
        let meta = packet.head.meta;
        match layer.receiver.arrive(meta.index, packets, now) {
            Arrival::New { .. } => {}
            Arrival::Duplicate => return counters.drop(Drop::Duplicate),
            Arrival::Late => return counters.drop(Drop::Late),
        }
        let came = Came {
            at: if packet.head.behind == 0 { now } else { packet.head.at },
            behind: packet.head.behind,
            outage: false,
            grown: !track.source.is_audio() && layer.shape.note(&meta.frame, now),
        };
        self.accept(now, key, (at, layer_at), &mut packet.buffer, meta, came);
    }

    /// The stand-in of a participant whose home is `from`.
    fn stand_in(&self, participant: ParticipantId, from: u8) -> Option<u32> {
        let key = *self.by_id.get(&participant)?;
        let member = self.members.get(key as usize)?;
        (!member.is_here() && member.home == from).then_some(key)
    }

    /// A participant whose transport is in this shard.
    fn here(&self, participant: ParticipantId) -> Option<u32> {
        let key = *self.by_id.get(&participant)?;
        self.members.get(key as usize)?.is_here().then_some(key)
    }

    /// Takes what shard `from` tells.
    pub fn take_word(&mut self, now: Instant, from: u8, word: Word) {
        if from < MAX_SHARDS {
            self.understand(now, from, word);
        }
        self.settle(now);
        self.working_on = None;
    }

    fn understand(&mut self, now: Instant, from: u8, word: Word) {
        match word {
            Word::Person {
                room,
                participant,
                tracks,
            } => self.take_person(now, from, room, participant, tracks),
            Word::Gone(participant) => {
                if let Some(key) = self.stand_in(participant, from) {
                    self.working_on = self.members.get(key as usize).map(|member| member.room);
                    self.remove(now, key);
                }
            }
            Word::Facts(participant, tracks) => {
                if let Some(key) = self.stand_in(participant, from) {
                    self.take_facts(key, tracks);
                }
            }
            Word::Clock {
                participant,
                track,
                layer,
                ntp,
                rtp,
                at,
            } => {
                if let Some(key) = self.stand_in(participant, from)
                    && let Some(layer) = self.layer_mut(key, usize::from(track), usize::from(layer))
                {
                    layer.receiver.clock.report(ntp, rtp, at);
                }
            }
            Word::Watch {
                participant,
                track,
                streams,
                layers,
            } => {
                if let Some(key) = self.here(participant) {
                    self.take_watch(now, from, (key, track), streams, layers);
                }
            }
            Word::KeyFrame {
                participant,
                track,
                layer,
            } => {
                if let Some(key) = self.here(participant) {
                    self.working_on = self.members.get(key as usize).map(|member| member.room);
                    self.want_key_frame(now, key, usize::from(track), usize::from(layer));
                }
            }
            Word::Decodes(id, codecs) => {
                self.make_room(now, id);
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.decodes.retain(|(shard, _)| *shard != from);
                    room.decodes.push((from, codecs));
                }
                self.mark_room(id);
            }
            Word::Levels(room, levels) => self.take_levels(now, room, &levels),
            Word::Voices {
                room: id,
                chosen,
                spare,
                speakers,
            } => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    (room.chosen, room.spare, room.speakers) = (chosen, spare, speakers);
                }
                self.mark_room(id);
            }
            Word::Data(room, message) => {
                self.working_on = Some(room);
                self.spread_data(now, room, None, &message);
            }
            Word::Failed(room) => self.close_room(now, room),
            Word::Anew => self.forget_shard(now, from),
        }
    }

    fn take_person(&mut self, now: Instant, from: u8, room: RoomId, id: ParticipantId, tracks: Vec<TrackIntro>) {
        self.working_on = Some(room);
        let known = self.stand_in(id, from).filter(|key| {
            let member = self.members.get(*key as usize);
            member.is_some_and(|member| member.room == room)
        });
        let key = match (known, self.by_id.get(&id).copied()) {
            (Some(key), _) => key,
            (None, Some(key)) if self.members.get(key as usize).is_some_and(Member::is_here) => return,
            (None, former) => {
                if let Some(former) = former {
                    self.remove(now, former);
                }
                self.stand(now, from, room, id)
            }
        };
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let known = member.tracks.len();
        for intro in tracks.into_iter().take(MAX_TRACKS).skip(known) {
            let layers = intro.layers.clamp(1, MAX_STREAMS);
            let mut track = Track::stand_in(intro.source, intro.codecs, usize::from(layers));
            let blocked = self.rooms.get(&room).map(|room| &room.blocked);
            track.blocked = blocked.is_some_and(|blocked| blocked.contains(&(id, intro.source)));
            member.tracks.push(track);
        }
        self.wants_changed(key);
        self.mark_room(room);
    }

    /// Makes a stand-in.
    fn stand(&mut self, now: Instant, home: u8, room: RoomId, id: ParticipantId) -> u32 {
        let key = self.members.vacant_key();
        if self.epochs.len() <= key {
            self.epochs.resize(key + 1, 0);
        }
        self.epochs[key] = self.epochs[key].wrapping_add(1);
        self.members.insert(Member {
            home,
            epoch: self.epochs[key],
            ..Member::new(id, room)
        });
        let key = key as u32;
        self.by_id.insert(id, key);
        self.enter_room(now, key, room);
        key
    }

    fn take_facts(&mut self, key: u32, tracks: Vec<(TrackFacts, Vec<Rates>)>) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        self.working_on = Some(member.room);
        let mut news = false;
        for (track, (facts, rates)) in member.tracks.iter_mut().zip(tracks) {
            news |= track.told != facts;
            track.started |= facts.started;
            track.limited = facts.limited;
            for (layer, known) in track.layers.iter_mut().zip(&facts.layers) {
                layer.live = known.live;
                layer.shape.learn(known.heights);
            }
            for (layer, rates) in track.layers.iter_mut().zip(rates) {
                layer.rates = rates;
            }
            track.told = facts;
        }
        if news {
            let room = member.room;
            self.mark_room(room);
            for key in self
                .rooms
                .get(&room)
                .map(|room| room.members.clone())
                .unwrap_or_default()
            {
                self.bindings_changed(key);
            }
        }
    }

    fn take_watch(&mut self, now: Instant, from: u8, (key, at): (u32, u8), streams: u8, layers: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let room = member.room;
        self.working_on = Some(room);
        let Some(track) = member.tracks.get_mut(usize::from(at)) else {
            return;
        };
        let bit = 1_u64 << from;
        let mut begun = SmallVec::<[usize; 3]>::new();
        for (number, layer) in track.layers.iter_mut().enumerate() {
            let wanted = streams & 1 << number != 0;
            if wanted && layer.relays & bit == 0 {
                begun.push(number);
            }
            if wanted {
                layer.relays |= bit;
            } else {
                layer.relays &= !bit;
                layer.missed &= !bit;
            }
        }
        let known = track.watched.elsewhere.iter().find(|(shard, _)| *shard == from);
        let more = layers & !known.map_or(0, |(_, layers)| *layers) != 0;
        track.watched.elsewhere.retain(|(shard, _)| *shard != from);
        if layers != 0 {
            track.watched.elsewhere.push((from, layers));
        }
        let video = !track.source.is_audio();
        if !begun.is_empty() {
            // All clocks of a sender together say how late each is.
            let counts: Vec<usize> = member.tracks.iter().map(|track| track.layers.len()).collect();
            for (track, layers) in counts.into_iter().enumerate() {
                for layer in 0..layers {
                    self.tell_clock(key, track as u8, layer as u8, bit);
                }
            }
        }
        for layer in begun.into_iter().filter(|_| video) {
            self.relay_cached(now, key, usize::from(at), layer, bit);
        }
        // A layer that nobody watched before is asked for at once.
        if more {
            self.tell_layers(now, room);
        }
    }

    fn take_levels(&mut self, now: Instant, id: RoomId, levels: &[(ParticipantId, f32)]) {
        self.working_on = Some(id);
        let mut onset = false;
        for (participant, loud) in levels {
            let key = self.by_id.get(participant).copied();
            let member = key.and_then(|key| self.members.get_mut(key as usize));
            let Some(member) = member.filter(|member| !member.is_here() && member.room == id) else {
                continue;
            };
            if let Some(mic) = member.tracks.iter_mut().find(|track| track.source == Source::Mic) {
                onset |= mic.level.hear(*loud, now);
            }
        }
        if onset {
            self.onset(now, id);
        }
    }

    /// Nothing that a shard has told holds any more.
    fn forget_shard(&mut self, now: Instant, from: u8) {
        let of = |(key, member): (usize, &Member)| (!member.is_here() && member.home == from).then_some(key as u32);
        let stand_ins: Vec<u32> = self.members.iter().filter_map(of).collect();
        for key in stand_ins {
            self.working_on = self.members.get(key as usize).map(|member| member.room);
            self.remove(now, key);
        }
        let bit = 1_u64 << from;
        for (_, member) in &mut self.members {
            for track in &mut member.tracks {
                track.watched.elsewhere.retain(|(shard, _)| *shard != from);
                for layer in &mut track.layers {
                    layer.relays &= !bit;
                    layer.missed &= !bit;
                }
            }
        }
    }
}
