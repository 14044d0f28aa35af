//! A room that is in several shards: which, and what they are told of it.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::super::Shard;
use super::super::member::{Member, Track};
use super::{LayerFacts, MAX_SHARDS, TrackFacts, TrackIntro, Word};
use crate::rtp::MAX_LAYERS;
use crate::types::{ParticipantId, RoomId, Source};

/// The rates of layers are told this often; whether they are sent, and how large, when it changes.
const RATES_INTERVAL: Duration = Duration::from_millis(500);

/// Who is chosen, who would be next, and who speaks.
pub(in crate::shard) type Voices = (Vec<ParticipantId>, Vec<ParticipantId>, Vec<ParticipantId>);

/// The other shards of a room.
#[derive(Default)]
pub(in crate::shard) struct Span {
    /// The shard that decides who speaks.
    pub home: u8,
    /// All of them but this one.
    pub peers: SmallVec<[u8; 4]>,
    /// Video codecs that everybody here decodes, as the others were told.
    decodes: Option<u8>,
    voices: Voices,
    rates_at: Option<Instant>,
}

impl Shard {
    /// The room is in all of these shards, this one among them; `home` decides who speaks. Said again when there are more.
    pub fn span(&mut self, now: Instant, id: RoomId, home: u8, shards: &[u8]) {
        self.working_on = Some(id);
        let own = self.config.shard;
        self.make_room(now, id);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let span = room.span.get_or_insert_default();
        span.home = home;
        let known = span.peers.clone();
        let others = shards.iter().copied().filter(|s| *s != own && *s < MAX_SHARDS);
        span.peers = others.collect();
        let fresh = span.peers.iter().filter(|peer| !known.contains(peer)).copied();
        let fresh: SmallVec<[u8; 4]> = fresh.collect();
        for peer in fresh {
            self.introduce(id, peer);
        }
        self.mark_room(id);
        self.settle(now);
        self.working_on = None;
    }

    /// The other shards of a room.
    pub(in crate::shard) fn peers(&self, room: RoomId) -> SmallVec<[u8; 4]> {
        let span = self.rooms.get(&room).and_then(|room| room.span.as_ref());
        span.map(|span| span.peers.clone()).unwrap_or_default()
    }

    /// Whether another shard decides who speaks in this room.
    pub(in crate::shard) fn is_led(&self, room: RoomId) -> bool {
        let span = self.rooms.get(&room).and_then(|room| room.span.as_ref());
        span.is_some_and(|span| span.home != self.config.shard)
    }

    /// Tells another shard all there is to know of a room.
    fn introduce(&mut self, id: RoomId, to: u8) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let leads = room.span.as_ref().is_some_and(|span| span.home == self.config.shard);
        if let Some(codecs) = room.span.as_ref().and_then(|span| span.decodes) {
            self.outbox.word(to, Word::Decodes(id, codecs));
        }
        if leads {
            let voices = Word::Voices {
                room: id,
                chosen: room.chosen.clone(),
                spare: room.spare.clone(),
                speakers: room.speakers.clone(),
            };
            self.outbox.word(to, voices);
        }
        for key in room.members.clone() {
            let Some(member) = self.members.get_mut(key as usize) else {
                continue;
            };
            if member.is_here() {
                self.outbox.word(to, person(member));
                self.outbox.word(to, facts(member));
            } else if member.home == to {
                for track in &mut member.tracks {
                    track.watched.asked = None;
                }
                self.wants_changed(key);
            }
        }
    }

    /// The same of all rooms: it has missed something.
    pub(super) fn introduce_all(&mut self, to: u8) {
        let spans = |(id, room): (&RoomId, &super::super::rooms::Room)| {
            let span = room.span.as_ref()?;
            span.peers.contains(&to).then_some(*id)
        };
        let rooms: Vec<RoomId> = self.rooms.iter().filter_map(spans).collect();
        for room in rooms {
            self.introduce(room, to);
        }
        self.settle_wants();
    }

    /// Somebody has come, or has more to send.
    pub(in crate::shard) fn tell_person(&mut self, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        for peer in self.peers(member.room) {
            self.outbox.word(peer, person(member));
        }
    }

    /// Somebody has gone.
    pub(in crate::shard) fn tell_gone(&mut self, member: &Member) {
        for peer in self.peers(member.room) {
            self.outbox.word(peer, Word::Gone(member.id));
        }
    }

    /// A room has failed.
    pub(in crate::shard) fn tell_failed(&mut self, room: RoomId) {
        for peer in self.peers(room) {
            self.outbox.word(peer, Word::Failed(room));
        }
    }

    /// Tells the others what has changed in a room, as far as it is this shard's to tell.
    /// `rates`: also what each layer takes.
    pub(in crate::shard) fn tell_room(&mut self, id: RoomId, rates: bool) {
        if self.rooms.get(&id).is_none_or(|room| room.span.is_none()) {
            return;
        }
        let own = self.config.shard;
        let codecs = self.decoded_here(id);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let Some(span) = &mut room.span else { return };
        if span.decodes.replace(codecs) != Some(codecs) {
            for peer in &span.peers {
                self.outbox.word(*peer, Word::Decodes(id, codecs));
            }
        }
        let voices = (&room.chosen, &room.spare, &room.speakers);
        if span.home == own && voices != (&span.voices.0, &span.voices.1, &span.voices.2) {
            let (chosen, spare, speakers) = (room.chosen.clone(), room.spare.clone(), room.speakers.clone());
            span.voices = (chosen, spare, speakers);
            for peer in &span.peers {
                let (chosen, spare, speakers) = span.voices.clone();
                let voices = Word::Voices {
                    room: id,
                    chosen,
                    spare,
                    speakers,
                };
                self.outbox.word(*peer, voices);
            }
        }
        for key in room.members.clone() {
            self.tell_facts(key, rates);
        }
    }

    /// What is told ten times a second, or less often.
    pub(in crate::shard) fn tell_regularly(&mut self, now: Instant, id: RoomId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let Some(span) = &mut room.span else { return };
        let early = |at| now.saturating_duration_since(at) < RATES_INTERVAL;
        let rates = !span.rates_at.is_some_and(early);
        if rates {
            span.rates_at = Some(now);
        }
        self.tell_levels(now, id);
        self.tell_room(id, rates);
    }

    fn tell_facts(&mut self, key: u32, rates: bool) {
        let Some(member) = self.members.get_mut(key as usize).filter(|member| member.is_here()) else {
            return;
        };
        let mut news = false;
        for track in &mut member.tracks {
            let facts = track.facts();
            news |= (rates && track.started && !track.source.is_audio()) || track.told != facts;
            track.told = facts;
        }
        if !news {
            return;
        }
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        for peer in self.peers(member.room) {
            self.outbox.word(peer, facts(member));
        }
    }

    /// Tells the room's home how loud it is here.
    pub(in crate::shard) fn tell_levels(&mut self, now: Instant, id: RoomId) {
        let Some(room) = self.rooms.get(&id).filter(|_| self.is_led(id)) else {
            return;
        };
        let Some(home) = room.span.as_ref().map(|span| span.home) else {
            return;
        };
        let here = room.members.iter().filter_map(|key| self.members.get(*key as usize));
        let mics = here.filter(|member| member.is_here()).filter_map(|member| {
            let mic = |track: &&Track| track.source == Source::Mic && track.started;
            let track = member.tracks.iter().find(mic).filter(|track| !track.blocked)?;
            Some((member.id, track.level.at(now)))
        });
        let levels: Vec<_> = mics.collect();
        if !levels.is_empty() {
            self.outbox.word(home, Word::Levels(id, levels));
        }
    }
}

fn person(member: &Member) -> Word {
    let intro = |track: &Track| TrackIntro {
        source: track.source,
        codecs: track.codecs.clone(),
        layers: track.layers.len() as u8,
    };
    Word::Person {
        room: member.room,
        participant: member.id,
        tracks: member.tracks.iter().map(intro).collect(),
    }
}

fn facts(member: &Member) -> Word {
    let of = |track: &Track| {
        let rates = track.layers.iter().map(|layer| layer.rates.clone());
        (track.facts(), rates.collect())
    };
    Word::Facts(member.id, member.tracks.iter().map(of).collect())
}

impl Track {
    fn facts(&self) -> TrackFacts {
        let layers = self.layers.iter().map(|layer| {
            let mut heights = [0; MAX_LAYERS as usize];
            for (spatial, height) in heights.iter_mut().enumerate() {
                *height = layer.shape.height(spatial);
            }
            LayerFacts {
                live: layer.live,
                heights,
            }
        });
        TrackFacts {
            started: self.started,
            limited: self.limited,
            loss: [20, 8, 3]
                .into_iter()
                .find(|step| self.loss() * 100.0 >= f64::from(*step))
                .unwrap_or(0),
            layers: layers.collect(),
        }
    }
}
