//! A room's slow work, ten times a second: loudness, which layers are live, what speakers and publishers are told.

use std::time::{Duration, Instant};

use super::{Event, Shard};
use crate::audio::choose;
use crate::types::{ParticipantId, RoomId, Source};

/// Audio slots that the design gives a viewer; so many microphones are chosen, and one more for those who are among them.
const CHOSEN: usize = 5;
/// Speakers are told at most this often.
const SPEAKERS_INTERVAL: Duration = Duration::from_millis(250);
/// A layer is reported unwatched after nobody has watched it for so long.
const UNWATCHED: Duration = Duration::from_secs(5);

impl Shard {
    /// A voice begins: it should not wait for the tick.
    pub(super) fn onset(&mut self, now: Instant, room: RoomId) {
        if self.choose_speakers(now, room) {
            self.mark_room(room);
        }
    }

    /// Chooses whose microphones are forwarded; `true` when that changed.
    pub(super) fn choose_speakers(&mut self, now: Instant, id: RoomId) -> bool {
        let Some(room) = self.rooms.get_mut(&id) else {
            return false;
        };
        let mut levels: Vec<(ParticipantId, f32)> = Vec::with_capacity(room.members.len());
        for member in room.members.iter().filter_map(|key| self.members.get(*key as usize)) {
            let mic = member
                .tracks
                .iter()
                .find(|track| track.source == Source::Mic && track.started && !track.blocked);
            levels.extend(mic.map(|track| (member.id, track.level.at(now))));
        }
        let before = (room.chosen.clone(), room.spare.clone());
        choose(&levels, CHOSEN, &mut room.chosen);
        levels.retain(|(id, _)| !room.chosen.contains(id));
        choose(&levels, 1, &mut room.spare);
        before != (room.chosen.clone(), room.spare.clone())
    }

    /// The room's slow work. `false` when the room is gone.
    pub(super) fn room_tick(&mut self, now: Instant, id: RoomId) -> bool {
        let Some(room) = self.rooms.get(&id) else { return false };
        if room.members.is_empty() && room.blocked.is_empty() {
            self.rooms.remove(&id);
            return false;
        }
        let mut changed = false;
        let mut speaking: Vec<(ParticipantId, f32)> = Vec::new();
        for key in &room.members {
            let Some(member) = self.members.get_mut(*key as usize) else {
                continue;
            };
            for track in &mut member.tracks {
                for layer in &mut track.layers {
                    let live = layer.receiver.live(now);
                    if layer.live != live {
                        layer.live = live;
                        changed = true;
                    }
                }
                if track.source == Source::Mic && !track.blocked && track.level.speaks(now) {
                    speaking.push((member.id, track.level.at(now)));
                }
            }
        }
        changed |= self.choose_speakers(now, id);
        if changed {
            self.mark_room(id);
            let members = self.rooms.get(&id).map(|room| room.members.clone()).unwrap_or_default();
            for key in members {
                self.bindings_changed(key);
            }
        }
        speaking.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.tell_speakers(now, id, speaking.into_iter().map(|(id, _)| id).collect());
        self.tell_layers(now, id);
        true
    }

    fn tell_speakers(&mut self, now: Instant, id: RoomId, speaking: Vec<ParticipantId>) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let early = room
            .told_at
            .is_some_and(|at| now.saturating_duration_since(at) < SPEAKERS_INTERVAL);
        if early || room.speakers == speaking {
            return;
        }
        room.told_at = Some(now);
        room.speakers.clone_from(&speaking);
        self.event(Event::Speakers(id, speaking));
    }

    /// Tells publishers which layers are watched, when that changed.
    fn tell_layers(&mut self, now: Instant, id: RoomId) {
        let Some(room) = self.rooms.get(&id) else { return };
        let mut wanted: Vec<(u32, u8, u8)> = Vec::new();
        for member in room.members.iter().filter_map(|key| self.members.get(*key as usize)) {
            for bound in member.slots.iter().filter_map(|slot| slot.bound) {
                if bound.height != 0 && !bound.source.is_audio() {
                    let layers = [Some(bound.ideal), bound.current, bound.next];
                    wanted.extend(
                        layers
                            .into_iter()
                            .flatten()
                            .map(|layer| (bound.member, bound.track, layer)),
                    );
                }
            }
        }
        let mut events = Vec::new();
        for key in &room.members {
            let Some(member) = self.members.get_mut(*key as usize) else {
                continue;
            };
            for (at, track) in member.tracks.iter_mut().enumerate() {
                let count = track.layers.len();
                if count < 2 || !track.started {
                    continue;
                }
                track.watched.last_watched.resize(count, Some(now));
                let mut state = smallvec::SmallVec::<[bool; 4]>::new();
                for (layer, last) in track.watched.last_watched.iter_mut().enumerate() {
                    if layer == 0 || wanted.contains(&(*key, at as u8, layer as u8)) {
                        *last = Some(now);
                    }
                    state.push(last.is_some_and(|last| now.saturating_duration_since(last) < UNWATCHED));
                }
                if track.watched.told != state {
                    let first = track.watched.told.is_empty() && state.iter().all(|on| *on);
                    track.watched.told = state.clone();
                    if !first {
                        events.push(Event::Layers(member.id, track.source, state.to_vec()));
                    }
                }
            }
        }
        for event in events {
            self.event(event);
        }
    }
}
