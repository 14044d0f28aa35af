//! How good each stream is that a viewer gets, beside the score of their whole connection: what of it is paused or smaller than the
//! tile for want of room, and what its publisher's side makes of it, their uplink's loss and their processor.

use super::downlink::Allowed;
use super::member::{Member, Slot, Track};
use super::{Event, Shard};
use crate::quality::{Reason, Score, StreamFacts, score_stream};
use crate::types::{ParticipantId, Source};

/// A stream that is not as good as it could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamQuality {
    /// The slot that carries it.
    pub mid: String,
    /// Whose.
    pub participant: ParticipantId,
    /// Which of theirs.
    pub source: Source,
    /// 3 fair to 1 bad.
    pub score: Score,
    /// The first reason why it is not better.
    pub reason: Reason,
}

impl Track {
    /// Part of the publisher's packets that never came to us, of the stream that lost most.
    pub(super) fn loss(&self) -> f64 {
        let losses = self.layers.iter().filter(|layer| layer.live);
        losses.map(|layer| layer.receiver.loss()).fold(0.0, f64::max)
    }
}

impl Shard {
    /// A publisher says whether their processor limits what they send of a source.
    pub fn set_limited(&mut self, participant: ParticipantId, source: Source, limited: bool) {
        let key = self.by_id.get(&participant).copied();
        if let Some(member) = key.and_then(|key| self.members.get_mut(key as usize))
            && let Some(at) = member.track_of(source)
        {
            // Viewers, and other shards, see it when they are looked at next.
            member.tracks[at].limited = limited;
        }
    }

    /// The connection of a viewer was looked at: tells what has changed, of it or of their streams.
    pub(super) fn tell_quality(&mut self, key: u32, (score, reason, changed): (Score, Option<Reason>, bool)) {
        self.counters.score(score, reason);
        let streams = self.scored_streams(key);
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let Some(downlink) = &mut member.downlink else { return };
        if changed || downlink.streams != streams {
            downlink.streams.clone_from(&streams);
            let id = member.id;
            self.event(Event::Quality(id, score, reason, streams));
        }
    }

    /// The streams of a viewer that are not good, in the order of their slots.
    fn scored_streams(&self, key: u32) -> Vec<StreamQuality> {
        let Some(member) = self.members.get(key as usize) else {
            return Vec::new();
        };
        let slots = member.slots.iter().enumerate();
        slots
            .filter_map(|(at, slot)| {
                let bound = slot.bound?;
                let publisher = self.members.get(bound.member as usize)?;
                let track = publisher.tracks.get(usize::from(bound.track))?;
                let seen = bound.source.is_audio() || bound.height != 0;
                if track.blocked || !seen || !track.layers.iter().any(|layer| layer.live) {
                    return None;
                }
                let (score, reason) = score_stream(&facts(member, at as u16, slot, publisher, track));
                Some(StreamQuality {
                    mid: slot.mid.clone(),
                    participant: bound.publisher,
                    source: bound.source,
                    score,
                    reason: reason?,
                })
            })
            .collect()
    }
}

/// What is known of one stream on its way to a viewer.
fn facts(viewer: &Member, at: u16, slot: &Slot, publisher: &Member, track: &Track) -> StreamFacts {
    let allowed = viewer
        .downlink
        .as_ref()
        .map_or(Allowed::All, |downlink| downlink.allowed(at));
    let below = match (slot.bound, allowed) {
        (Some(bound), Allowed::Layer(layer, _)) => bound.ideal.saturating_sub(layer),
        _ => 0,
    };
    StreamFacts {
        paused: allowed == Allowed::Nothing && slot.bound.is_some_and(|bound| bound.current.is_none()),
        below,
        // What another shard's publisher loses on their way is told with the facts of their tracks.
        loss: if publisher.is_here() {
            track.loss()
        } else {
            f64::from(track.told.loss) / 100.0
        },
        cpu: track.limited,
    }
}
