//! A call in several shards: what they tell each other, as values.
//!
//! ```text
//!  home of the publisher                                     a shard with viewers
//!
//!  kept packet ── wanted there? ── PacketHead, bytes ──────► stand-in's layer ─► its viewers, as ever
//!  what is published, live, loud ─ Word ───────────────────► stand-in
//!  PLI, dynacast ◄──────────────── Word ───────────────────  key frames and layers that viewers want
//! ```
//!
//! In every shard of the room each publisher of another one has a stand-in: a member without transport, whose tracks the
//! packets of its home fill. Viewers are bound to it as to anybody. A packet crosses once to each shard that carries or
//! awaits its layer; what is lost to a viewer is sent again from that viewer's shard, which has a copy.
//!
//! Who speaks is decided by one shard, the room's home, from the levels of all; the others are told.

mod incoming;
mod outbox;
mod outgoing;
mod span;

use std::time::Instant;

use smallvec::SmallVec;

pub(super) use outbox::Outbox;
pub(super) use span::Span;

use crate::data::{Channel, Message};
use crate::forward::{Meta, PacketBuffer, Rates};
use crate::rtp::MAX_LAYERS;
use crate::sdp::Codec;
use crate::types::{ParticipantId, RoomId, Source};

/// Shards that a call may span: each is one bit of a layer's list of who wants it.
pub const MAX_SHARDS: u8 = 64;

/// Where a relayed packet belongs.
#[derive(Clone, Copy, Debug)]
pub struct PacketHead {
    /// Whose.
    pub participant: ParticipantId,
    /// Which of their tracks, in the order of [`Word::Person`].
    pub track: u8,
    /// Which of its layers.
    pub layer: u8,
    /// The stream at the publisher: another one begins anew.
    pub ssrc: u32,
    /// When it came to the server.
    pub at: Instant,
    /// By how many ticks of the media clock it is older than the newest, when it is the kept copy that a shard is sent with
    /// which it begins to watch; 0: it has just come.
    pub behind: u32,
    /// What was read from it.
    pub meta: Meta,
}

/// A packet on its way to another shard.
pub struct RelayedPacket {
    /// Where it belongs.
    pub head: PacketHead,
    /// The packet as it was opened.
    pub buffer: PacketBuffer,
}

/// A track of a publisher.
#[derive(Clone, Debug)]
pub struct TrackIntro {
    /// What it is.
    pub source: Source,
    /// Its codecs; the first one's clock is the track's.
    pub codecs: Vec<Codec>,
    /// How many simulcast streams it has.
    pub layers: u8,
}

/// What a publisher's home knows of a track without anybody watching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackFacts {
    /// Packets have come.
    pub started: bool,
    /// The publisher's processor limits it, they say.
    pub limited: bool,
    /// Percent of its packets that are lost on the way to the home, rounded down to a step of the score, so that it is told
    /// only when that changes.
    pub loss: u8,
    /// Of each simulcast stream.
    pub layers: SmallVec<[LayerFacts; 3]>,
}

/// What a publisher's home knows of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// Packets come.
    pub live: bool,
    /// Height of each spatial layer in pixels; 0: not known.
    pub heights: [u32; MAX_LAYERS as usize],
}

/// What one shard tells another.
#[derive(Debug)]
pub enum Word {
    /// Somebody's transport is in the sender, with these tracks; said again when there are more.
    Person {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// What they may send.
        tracks: Vec<TrackIntro>,
    },
    /// Their transport is gone.
    Gone(ParticipantId),
    /// What is known of their tracks, and what each stream takes.
    Facts(ParticipantId, Vec<(TrackFacts, Vec<Rates>)>),
    /// A sender report of theirs.
    Clock {
        /// Whose.
        participant: ParticipantId,
        /// Which track.
        track: u8,
        /// Which stream of it.
        layer: u8,
        /// The sender's NTP time.
        ntp: u64,
        /// And its RTP timestamp then.
        rtp: u32,
        /// When it came.
        at: Instant,
    },
    /// What the sender's viewers want of a track.
    Watch {
        /// Whose.
        participant: ParticipantId,
        /// Which track.
        track: u8,
        /// Streams whose packets should cross, one bit each.
        streams: u8,
        /// Layers that the publisher should send (dynacast), one bit each.
        layers: u32,
    },
    /// A viewer cannot decode a stream.
    KeyFrame {
        /// Whose.
        participant: ParticipantId,
        /// Which track.
        track: u8,
        /// Which stream of it.
        layer: u8,
    },
    /// Video codecs that everybody of the room in the sender decodes, one bit for each kind.
    Decodes(RoomId, u8),
    /// How loud the sender's microphones are, dBov; to the room's home.
    Levels(RoomId, Vec<(ParticipantId, f32)>),
    /// What the room's home has decided.
    Voices {
        /// Where.
        room: RoomId,
        /// Microphones that are forwarded.
        chosen: Vec<ParticipantId>,
        /// The next one, for those who are among them.
        spare: Vec<ParticipantId>,
        /// Who speaks, the dominant one first.
        speakers: Vec<ParticipantId>,
    },
    /// A data message, with its sender's name in front.
    Data(RoomId, Message),
    /// A defect ended the room in the sender.
    Failed(RoomId),
    /// Words were lost: everything that the sender has told is void, and is told again.
    Anew,
}

impl Word {
    /// Whether it may be lost: it is said again soon, or asked for again.
    fn is_passing(&self) -> bool {
        match self {
            Self::Data(_, message) => message.channel == Channel::Lossy,
            _ => matches!(self, Self::Clock { .. } | Self::KeyFrame { .. } | Self::Levels(..)),
        }
    }
}

/// Queues to the other shards: the thread's, or a test's.
pub trait Post {
    /// Takes a copy of a packet for shard `to`; `false`: there is no room.
    fn packet(&mut self, to: u8, head: &PacketHead, bytes: &[u8]) -> bool;

    /// Takes a word for shard `to`.
    ///
    /// # Errors
    /// There is no room; the word comes back and is kept until there is.
    fn word(&mut self, to: u8, word: Word) -> Result<(), Word>;
}
