//! A shard: rooms, participants, packets and timers of one thread, sans-IO.
//!
//! ```text
//!  handle_datagram ─ incoming ─┬ feedback (RTCP)
//!                              └ received ─ forwarding ─> arena ─> the thread sends
//!  offer, intents, leave, ... ─ negotiate ─> rebind (who is in which slot) ─> events
//!  handle_timeout ─ timers ─ report (RTCP out)
//!  span, take_packet, take_word ─ relay ─> post_relays (a call in several shards)
//! ```
//!
//! Nothing walks all participants per packet: a publisher's layer lists its viewers, a dirty list names the rooms whose
//! slots must be filled anew, one heap holds the next deadline of each participant and room.

mod allotment;
mod backlog;
mod bindings;
mod counters;
mod data;
mod downlink;
mod dynacast;
mod feedback;
mod forwarding;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod incoming;
mod layers;
mod leave;
mod member;
mod negotiate;
mod negotiated;
mod pacing;
mod rebind;
mod received;
mod relay;
mod repeats;
mod report;
mod rooms;
mod streams;
mod streams_scored;
mod tick;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

pub use backlog::Backlog;
pub use bindings::{Binding, PauseReason};
pub use counters::{Counters, Drop};
pub use negotiate::{OfferError, OfferRequest};
pub use relay::{LayerFacts, MAX_SHARDS, PacketHead, Post, RelayedPacket, TrackFacts, TrackIntro, Word};
pub use streams_scored::StreamQuality;

use crate::forward::{Arena, ShardClock, Slab};
use crate::quality::{Reason, Score};
use crate::sdp::{CodecKind, CodecPolicy};
use crate::transport::Identity;
use crate::types::{ParticipantId, Path, Random, RoomId, Source};
use member::Member;
use relay::Outbox;
use rooms::Room;
use timers::Timers;

/// Events that may wait for [`Shard::poll_event`]. The thread takes them after every batch; beyond this the oldest
/// `Speakers` and `Bindings` are superseded anyway, so the oldest event is dropped and counted.
const MAX_EVENTS: usize = 4_096;

/// Participants of one room whose transports are in one shard; more are refused.
pub const MAX_ROOM: usize = 300;

/// What a shard is told at its birth.
pub struct ShardConfig {
    /// Node number in user fragments.
    pub node: u16,
    /// Shard number in user fragments.
    pub shard: u8,
    /// Addresses in the answers, the best first.
    pub candidates: Vec<SocketAddr>,
    /// Addresses in the answers at which ICE-TCP connections are taken.
    pub tcp_candidates: Vec<SocketAddr>,
    /// Which codecs rooms use.
    pub codecs: CodecPolicy,
    /// How many microphones each room forwards.
    pub speakers: usize,
}

/// What a shard tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// DTLS is up.
    Connected(ParticipantId),
    /// Packets to the participant go this way now. The first one comes before `Connected`.
    Path(ParticipantId, Path),
    /// No authenticated packet for 5 s.
    Lost(ParticipantId),
    /// Packets again after `Lost`.
    Recovered(ParticipantId),
    /// The transport is gone for good; the participant has left.
    Closed(ParticipantId),
    /// What each slot of this participant carries now; slots that carry nothing are not named.
    Bindings(ParticipantId, Vec<Binding>),
    /// Who speaks in the room, loudest first.
    Speakers(RoomId, Vec<ParticipantId>),
    /// What a publisher should send of a source.
    Layers {
        /// Whose.
        participant: ParticipantId,
        /// Which of theirs.
        source: Source,
        /// Which layers somebody watches, smallest first: simulcast streams, or spatial layers of one stream. A layer is
        /// called unwatched only when it has been for a while; the smallest never is.
        active: Vec<bool>,
        /// The room's codec, among those that this publisher has negotiated.
        codec: Option<CodecKind>,
    },
    /// How good the connection to this participant is now, the first reason why it is not better, and which of the streams
    /// that they get are not good. Only when something of it changed.
    Quality(ParticipantId, Score, Option<Reason>, Vec<StreamQuality>),
    /// A defect ended the room; all of its transports are gone.
    RoomFailed(RoomId),
}

/// A media shard. See the module's picture.
pub struct Shard {
    config: ShardConfig,
    identity: Identity,
    clock: ShardClock,
    random: Box<dyn Random + Send>,
    members: slab::Slab<Member>,
    epochs: Vec<u16>,
    by_id: HashMap<ParticipantId, u32>,
    by_path: HashMap<Path, u32>,
    by_ssrc: HashMap<u32, u32>,
    rooms: HashMap<RoomId, Room>,
    dirty_rooms: Vec<RoomId>,
    dirty_allotments: Vec<u32>,
    dirty_bindings: Vec<u32>,
    dirty_wants: Vec<u32>,
    outbox: Outbox,
    packets: Slab,
    arena: Arena,
    timers: Timers,
    events: VecDeque<Event>,
    counters: Counters,
    session: u64,
    working_on: Option<RoomId>,
}

impl Shard {
    /// An empty shard.
    pub fn new(config: ShardConfig, identity: Identity, random: Box<dyn Random + Send>, now: Instant) -> Self {
        Self {
            config,
            identity,
            clock: ShardClock::new(now),
            random,
            members: slab::Slab::new(),
            epochs: Vec::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            by_ssrc: HashMap::new(),
            rooms: HashMap::new(),
            dirty_rooms: Vec::new(),
            dirty_allotments: Vec::new(),
            dirty_bindings: Vec::new(),
            dirty_wants: Vec::new(),
            outbox: Outbox::default(),
            packets: Slab::default(),
            arena: Arena::default(),
            timers: Timers::new(now),
            events: VecDeque::new(),
            counters: Counters::default(),
            session: 0,
            working_on: None,
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Datagrams to send; the thread sends them and calls [`Arena::clear`].
    pub fn outgoing(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Participants whose transports are in this shard.
    pub fn participants(&self) -> usize {
        self.members.iter().filter(|(_, member)| member.is_here()).count()
    }

    /// Those who stand for participants of other shards.
    pub fn stand_ins(&self) -> usize {
        self.members.len() - self.participants()
    }

    /// Received packets that are kept.
    pub fn kept(&self) -> usize {
        self.packets.len()
    }

    /// The room whose work is being done; after a caught panic the one to give to [`Self::fail_room`].
    pub fn working_on(&self) -> Option<RoomId> {
        self.working_on
    }

    /// Runs `work` as work of this room: a panic in it is the room's.
    pub fn with_room<T>(&mut self, room: RoomId, work: impl FnOnce() -> T) -> T {
        self.working_on = Some(room);
        let result = work();
        self.working_on = None;
        result
    }

    fn event(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
            self.counters.drop(Drop::Event);
        }
        self.events.push_back(event);
    }
}
