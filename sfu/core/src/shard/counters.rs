//! What a shard counts.

use crate::quality::{Reason, Score};
use crate::transport::DropReason;

/// Why a packet, or an event, was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// It belongs to no participant.
    Nobody,
    /// The transport did not believe it, or had no use for it.
    Transport,
    /// Authentic, but not RTP, or a part of RTCP that cannot be read.
    Malformed,
    /// A stream that was not negotiated, or one too many.
    UnknownStream,
    /// A payload type that was not negotiated.
    UnknownCodec,
    /// It came before.
    Duplicate,
    /// Too late for anybody.
    Late,
    /// The packet slab is full.
    SlabFull,
    /// The transmit arena is full.
    ArenaFull,
    /// A moderator muted the source.
    Blocked,
    /// The transport refused to seal.
    Seal,
    /// A retransmission beyond a viewer's allowance.
    RetransmissionCap,
    /// Authentic packets beyond what one publisher may send.
    Flood,
    /// RTCP beyond what one participant may send.
    FeedbackFlood,
    /// A key-frame request beyond what one slot may ask for.
    KeyFrameCap,
    /// Too much waits for one viewer.
    PacerFull,
    /// Another shard does not keep up, and its queue is full.
    RelayFull,
    /// SCTP of a data channel that is malformed, or comes without one.
    DataMalformed,
    /// Data beyond what one participant, or one room, may send.
    DataFlood,
    /// A data message that is too large.
    DataTooLarge,
    /// A data message that is text, or of somebody who may not send.
    DataRefused,
    /// Data messages that waited too long for a slow viewer, oldest first.
    DataSlow,
    /// A reliable channel that was closed because its viewer is too slow, with what waited for them.
    DataClosed,
    /// Data channels that a peer's flood, or a defect of the library, has ended.
    DataEnded,
    /// An event that nobody took.
    Event,
}

impl Drop {
    /// All reasons, in the order of their numbers, with their names in metrics.
    pub const ALL: [(Self, &'static str); 25] = [
        (Self::Nobody, "nobody"),
        (Self::Transport, "transport"),
        (Self::Malformed, "malformed"),
        (Self::UnknownStream, "unknown_stream"),
        (Self::UnknownCodec, "unknown_codec"),
        (Self::Duplicate, "duplicate"),
        (Self::Late, "late"),
        (Self::SlabFull, "slab_full"),
        (Self::ArenaFull, "arena_full"),
        (Self::Blocked, "blocked"),
        (Self::Seal, "seal"),
        (Self::RetransmissionCap, "retransmission_cap"),
        (Self::Flood, "flood"),
        (Self::FeedbackFlood, "feedback_flood"),
        (Self::KeyFrameCap, "key_frame_cap"),
        (Self::PacerFull, "pacer_full"),
        (Self::RelayFull, "relay_full"),
        (Self::DataMalformed, "data_malformed"),
        (Self::DataFlood, "data_flood"),
        (Self::DataTooLarge, "data_too_large"),
        (Self::DataRefused, "data_refused"),
        (Self::DataSlow, "data_slow"),
        (Self::DataClosed, "data_closed"),
        (Self::DataEnded, "data_ended"),
        (Self::Event, "event"),
    ];
}

/// Counters since the start of the shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// RTP packets received and kept.
    pub received: u64,
    /// RTP packets sent to viewers, retransmissions excluded.
    pub forwarded: u64,
    /// Retransmissions sent to viewers.
    pub retransmitted: u64,
    /// Packets that publishers sent again.
    pub recovered: u64,
    /// Sequence numbers that publishers were asked to send again.
    pub nacked: u64,
    /// Key frames asked for.
    pub key_frames_asked: u64,
    /// Packets whose payload header or dependency descriptor is malformed, or comes without its structure; they are
    /// forwarded, as packets of which less is known.
    pub malformed_payloads: u64,
    /// Packets of layers that a viewer does not get.
    pub left_out: u64,
    /// Packets of padding that probes took.
    pub padding: u64,
    /// Copies of received packets that were given to other shards.
    pub relayed: u64,
    /// Packets that came from other shards.
    pub relays_taken: u64,
    /// Data messages that were taken from participants.
    pub data_taken: u64,
    /// Data messages that were put into viewers' queues.
    pub data_given: u64,
    dropped: [u64; Drop::ALL.len()],
    /// By score from 1 on, and by reason; the last place is that of no reason.
    scored: [[u64; Reason::ALL.len() + 1]; 4],
}

impl Counters {
    /// Dropped for this reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.dropped[reason as usize]
    }

    /// How often a viewer's connection had this score (1 to 4) for this reason when it was looked at, every two seconds.
    pub fn scored(&self, score: u8, reason: Option<Reason>) -> u64 {
        let place = reason.map_or(Reason::ALL.len(), |reason| reason as usize);
        let scores = usize::from(score).checked_sub(1).and_then(|at| self.scored.get(at));
        scores.map_or(0, |reasons| reasons[place])
    }

    pub(super) fn score(&mut self, score: Score, reason: Option<Reason>) {
        let place = reason.map_or(Reason::ALL.len(), |reason| reason as usize);
        self.scored[usize::from(score.get() - 1)][place] += 1;
    }

    pub(super) fn drop(&mut self, reason: Drop) {
        self.dropped[reason as usize] += 1;
    }

    pub(super) fn drop_in_transport(&mut self, reason: DropReason) {
        let reason = match reason {
            DropReason::Replayed => Drop::Duplicate,
            _ => Drop::Transport,
        };
        self.drop(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_counted_in_its_own_place() {
        let mut counters = Counters::default();
        counters.score(Score::GOOD, None);
        counters.score(Score::BAD, Some(Reason::Cpu));
        counters.score(Score::BAD, Some(Reason::Cpu));
        assert_eq!(
            (counters.scored(4, None), counters.scored(1, Some(Reason::Cpu))),
            (1, 2)
        );
        assert_eq!(
            (
                counters.scored(0, None),
                counters.scored(5, None),
                counters.scored(1, None)
            ),
            (0, 0, 0)
        );
        for (at, (reason, _)) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at);
        }
    }

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        let names: std::collections::BTreeSet<_> = Drop::ALL.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), Drop::ALL.len());
        for (at, (reason, _)) in Drop::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at);
        }
        assert_eq!(Drop::Event as usize, Drop::ALL.len() - 1, "the last one");
    }
}
