//! A room's slow work, ten times a second: loudness, which layers are live, what speakers and publishers are told.

use std::time::{Duration, Instant};

use super::{Event, Shard};
use crate::audio::choose;
use crate::types::{ParticipantId, RoomId, Source};

/// Speakers are told at most this often.
const SPEAKERS_INTERVAL: Duration = Duration::from_millis(250);
/// A simulcast layer that has been silent for so long, while another of its source is not, is not sent any more: its viewers
/// should not look at a frozen picture until the stream counts as dead.
const STALLED: Duration = Duration::from_millis(500);

impl Shard {
    /// A voice begins: it should not wait for the tick.
    pub(super) fn onset(&mut self, now: Instant, room: RoomId) {
        if self.choose_speakers(now, room) {
            self.mark_room(room);
        }
        self.tell_levels(now, room);
    }

    /// Chooses whose microphones are forwarded; `true` when that changed.
    pub(super) fn choose_speakers(&mut self, now: Instant, id: RoomId) -> bool {
        if self.is_led(id) {
            return false;
        }
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
        choose(&levels, self.config.speakers, &mut room.chosen);
        // One more, for those who are among the chosen and do not hear themselves.
        levels.retain(|(id, _)| !room.chosen.contains(id));
        choose(&levels, 1, &mut room.spare);
        before != (room.chosen.clone(), room.spare.clone())
    }

    /// The room's slow work. `false` when the room is gone.
    pub(super) fn room_tick(&mut self, now: Instant, id: RoomId) -> bool {
        if self.is_over(now, id) {
            self.rooms.remove(&id);
            return false;
        }
        let Some(room) = self.rooms.get(&id) else { return false };
        let mut changed = false;
        let mut speaking: Vec<(ParticipantId, f32)> = Vec::new();
        for key in &room.members {
            let Some(member) = self.members.get_mut(*key as usize) else {
                continue;
            };
            let here = member.is_here();
            for track in &mut member.tracks {
                let silent = |layer: &super::member::Layer| layer.receiver.silent_for(now);
                let liveliest = track.layers.iter().filter_map(silent).min();
                // Of what others publish elsewhere only the streams that are wanted come here; their homes tell.
                for layer in track.layers.iter_mut().filter(|_| here) {
                    let stalled = layer.receiver.silent_for(now).is_some_and(|silent| silent > STALLED)
                        && liveliest.is_some_and(|silent| silent < STALLED / 3);
                    let live = layer.receiver.live(now) && !stalled;
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
        if !self.is_led(id) {
            let speaking = self.rooms.get_mut(&id).map(|room| room.dominant.rank(&speaking, now));
            self.tell_speakers(now, id, speaking.unwrap_or_default());
        }
        self.tell_regularly(now, id);
        self.tell_changed_layers(id);
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

    /// Viewers whose stream carries another spatial layer than they were told.
    fn tell_changed_layers(&mut self, id: RoomId) {
        let members = self.rooms.get(&id).map(|room| room.members.clone()).unwrap_or_default();
        for key in members {
            let Some(member) = self.members.get(key as usize) else {
                continue;
            };
            let changed = member.slots.iter().any(|slot| {
                slot.bound.is_some_and(|bound| {
                    let publisher = self.members.get(bound.member as usize);
                    publisher
                        .and_then(|publisher| publisher.tracks.get(usize::from(bound.track)))
                        .is_some_and(|track| {
                            let told = member.told.iter().find(|told| told.mid == slot.mid);
                            track.is_layered() && told.is_some_and(|told| told.layer != track.carried(slot))
                        })
                })
            });
            if changed {
                self.bindings_changed(key);
            }
        }
    }
}
