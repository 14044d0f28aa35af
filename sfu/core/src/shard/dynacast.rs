//! What publishers are told: which of their layers somebody watches, and which codec the room has agreed on.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::downlink::Allowed;
use super::{Event, Shard};
use crate::sdp::CodecKind;
use crate::types::RoomId;

/// A layer is reported unwatched after nobody has watched it for so long; a watched one is reported at once.
const UNWATCHED: Duration = Duration::from_secs(5);

impl Shard {
    /// The codec for video in this room: the first of the policy that everybody with video slots can decode; without one,
    /// the policy's last, which every client has.
    pub(super) fn room_codec(&self, id: RoomId) -> Option<CodecKind> {
        let room = self.rooms.get(&id)?;
        let policy = &self.config.codecs.video;
        let decodes = |codec: &&CodecKind| {
            let members = room.members.iter().filter_map(|key| self.members.get(*key as usize));
            let mut slots = members
                .flat_map(|member| &member.slots)
                .filter(|slot| !slot.kind.is_audio());
            slots.all(|slot| slot.out.config.codecs.iter().any(|(kind, ..)| kind == *codec))
        };
        let elsewhere = |codec: &&CodecKind| room.decodes.iter().all(|(_, codecs)| codecs & bit(**codec) != 0);
        let everywhere = |codec: &&CodecKind| decodes(codec) && elsewhere(codec);
        policy.iter().find(everywhere).or(policy.last()).copied()
    }

    /// Video codecs that everybody in this shard decodes, one bit for each kind.
    pub(super) fn decoded_here(&self, id: RoomId) -> u8 {
        let Some(room) = self.rooms.get(&id) else {
            return u8::MAX;
        };
        let members = room.members.iter().filter_map(|key| self.members.get(*key as usize));
        let slots = members
            .flat_map(|member| &member.slots)
            .filter(|slot| !slot.kind.is_audio());
        slots.fold(u8::MAX, |all, slot| {
            let codecs = slot.out.config.codecs.iter();
            all & codecs.fold(0, |set, (kind, ..)| set | bit(*kind))
        })
    }

    /// Tells publishers which layers are watched and which codec to send, when that changed.
    pub(super) fn tell_layers(&mut self, now: Instant, id: RoomId) {
        let Some(room) = self.rooms.get(&id) else { return };
        let codec = room.codec;
        let members = room.members.clone();
        let mut wanted: Vec<(u32, u8, u8)> = Vec::new();
        for member in members.iter().filter_map(|key| self.members.get(*key as usize)) {
            for (at, slot) in member.slots.iter().enumerate() {
                let Some(bound) = slot.bound.filter(|b| b.height != 0 && !b.source.is_audio()) else {
                    continue;
                };
                let Some(track) = self
                    .members
                    .get(bound.member as usize)
                    .and_then(|m| m.tracks.get(usize::from(bound.track)))
                else {
                    continue;
                };
                let current = bound
                    .current
                    .map(|stream| track.flat(stream, slot.out.target().spatial));
                let next = bound.next.map(|stream| track.flat(stream, 0));
                let mut want = |layer| wanted.push((bound.member, bound.track, layer));
                [Some(bound.ideal), current, next]
                    .into_iter()
                    .flatten()
                    .for_each(&mut want);
                // Who has no room for what suits climbs by the layers between; were they switched off, as nobody carries them,
                // somebody whose network has become narrow would stay at the smallest for ever.
                let lowest = match member.downlink.as_ref().map(|downlink| downlink.allowed(at as u16)) {
                    _ if track.is_layered() => 0,
                    Some(Allowed::Layer(layer, _)) => layer,
                    _ => bound.ideal,
                };
                (lowest..bound.ideal).for_each(want);
            }
        }
        // Marked on the track rather than looked for in the list: a hundred people see some thousand tiles.
        for (member, track, layer) in wanted {
            let track = self
                .members
                .get_mut(member as usize)
                .and_then(|m| m.tracks.get_mut(usize::from(track)));
            if let Some(track) = track {
                track.watched.wanted |= 1 << layer.min(31);
            }
        }
        let mut events = Vec::new();
        let mut asked = Vec::new();
        for key in &members {
            let Some(member) = self.members.get_mut(*key as usize) else {
                continue;
            };
            let here = member.is_here();
            for (at, track) in member.tracks.iter_mut().enumerate() {
                let mut wanted = std::mem::take(&mut track.watched.wanted);
                if !here {
                    asked.push((*key, at, wanted));
                    continue;
                }
                wanted |= track.watched.elsewhere.iter().fold(0, |set, (_, layers)| set | layers);
                if track.source.is_audio() || !track.started {
                    continue;
                }
                let count: usize = track.layers.iter().map(|layer| layer.shape.spatial_layers()).sum();
                let sends = codec.filter(|codec| track.codecs.iter().any(|known| known.kind == *codec));
                let first = track.codecs.first().map(|codec| codec.kind);
                let watched = &mut track.watched;
                watched.last_watched.resize(count, Some(now));
                let mut state = SmallVec::<[bool; 4]>::new();
                for (layer, last) in watched.last_watched.iter_mut().enumerate() {
                    if layer == 0 || wanted & (1 << layer.min(31)) != 0 {
                        *last = Some(now);
                    }
                    state.push(last.is_some_and(|last| now.saturating_duration_since(last) < UNWATCHED));
                }
                let same_codec = sends.is_none() || watched.codec.or(first) == sends;
                if watched.told == state && same_codec {
                    continue;
                }
                // What a publisher does unasked needs no telling.
                let unasked = watched.told.is_empty() && state.iter().all(|on| *on) && same_codec;
                watched.told = state.clone();
                watched.codec = sends;
                if !unasked {
                    events.push(Event::Layers {
                        participant: member.id,
                        source: track.source,
                        active: state.to_vec(),
                        codec: sends,
                    });
                }
            }
        }
        for event in events {
            self.event(event);
        }
        for (key, at, wanted) in asked {
            self.tell_wants(key, at, Some(wanted));
        }
    }
}

fn bit(codec: CodecKind) -> u8 {
    1 << codec as u8
}
