//! What viewers are told about their slots.

use super::downlink::Allowed;
use super::{Event, Shard};
use crate::types::{ParticipantId, Source};

/// What one slot carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The m-line.
    pub mid: String,
    /// Whose media; also the CSRC of its packets.
    pub participant: ParticipantId,
    /// Which of theirs.
    pub source: Source,
    /// Simulcast or spatial layer, 0 is the smallest.
    pub layer: u8,
    /// Why nothing is sent, if nothing is.
    pub paused: Option<PauseReason>,
}

/// Why a slot is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// Blocked by a moderator.
    Muted,
    /// The viewer asked for nothing.
    NotVisible,
    /// No packets from the publisher.
    NoMedia,
    /// There is no room for it on the viewer's path.
    Bandwidth,
}

impl Shard {
    pub(super) fn bindings_changed(&mut self, key: u32) {
        if let Some(member) = self.members.get_mut(key as usize)
            && !member.bindings_dirty
        {
            member.bindings_dirty = true;
            self.dirty_bindings.push(key);
        }
    }

    pub(super) fn tell_bindings(&mut self, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let starved = |at: usize| {
            let downlink = member.downlink.as_ref();
            downlink.is_some_and(|downlink| downlink.allowed(at as u16) == Allowed::Nothing)
        };
        let mut now = Vec::with_capacity(member.slots.len());
        for (at, slot) in member.slots.iter().enumerate() {
            let Some(bound) = slot.bound else { continue };
            let track = self
                .members
                .get(bound.member as usize)
                .and_then(|m| m.tracks.get(usize::from(bound.track)));
            let live = track.is_some_and(|track| track.layers.iter().any(|layer| layer.live));
            let paused = if track.is_some_and(|track| track.blocked) {
                Some(PauseReason::Muted)
            } else if bound.height == 0 {
                Some(PauseReason::NotVisible)
            } else if !live {
                Some(PauseReason::NoMedia)
            } else if bound.current.is_none() && starved(at) {
                Some(PauseReason::Bandwidth)
            } else {
                None
            };
            now.push(Binding {
                mid: slot.mid.clone(),
                participant: bound.publisher,
                source: bound.source,
                layer: track.map_or(bound.ideal, |track| track.carried(slot)),
                paused,
            });
        }
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        member.bindings_dirty = false;
        if member.told != now {
            member.told.clone_from(&now);
            let id = member.id;
            self.event(Event::Bindings(id, now));
        }
    }
}
