//! A participant in the shard: transport, what they publish, what they receive. One whose transport is in another shard is
//! a member too, a stand-in: it has tracks, which that shard fills, and no slots.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Shard;
use super::bindings::Binding;
use super::data::Data;
use super::downlink::Downlink;
use super::relay::TrackFacts;
use crate::audio::Level;
use crate::budget::Budget;
use crate::forward::{Outgoing, Rates, Receiver, Route, Shape};
use crate::room::{Intent, SlotPolicy};
use crate::rtcp::Arrivals;
use crate::sdp::{Codec, CodecKind, ExtensionIds};
use crate::transport::{Fingerprint, IceCredentials, Transport};
use crate::types::{ParticipantId, Path, RoomId, Source};

/// Received streams (SSRCs) of one participant; more are dropped. Four sources with three layers and their RTX are 16.
pub(super) const MAX_STREAMS: usize = 32;
/// Paths remembered for one participant; the oldest is forgotten.
pub(super) const MAX_PATHS: usize = 8;
/// Packets kept of a video layer and of an audio stream.
const VIDEO_RING: usize = 512;
const AUDIO_RING: usize = 64;
/// Authentic packets that one participant may send: 4,000 a second, some four times as many as a camera in three layers and
/// a screen make. Beyond it they are opened and dropped, so that a flood costs nobody but its sender's share of the thread.
const PUBLISHED: Budget = Budget::new(Duration::from_micros(250), 2_000);
/// RTCP datagrams that one participant may send: 1,000 a second. A browser that sees 25 streams and loses packets in all of
/// them sends some hundreds.
const FEEDBACK: Budget = Budget::new(Duration::from_millis(1), 2_000);
/// Key frames that one slot may ask for: each costs every viewer of the layer. Who still cannot decode gets the next one that
/// somebody else asks for, or asks again.
const KEY_FRAMES: Budget = Budget::new(Duration::from_secs(1), 5);

pub(super) struct Member {
    pub id: ParticipantId,
    pub room: RoomId,
    pub epoch: u16,
    /// The shard of their transport.
    pub home: u8,
    /// Their side of the transport, when it is in this shard.
    pub peer: Option<Peer>,
    pub connected: bool,
    /// Nothing authentic has come for a while: media to them waits, because nobody may be there any more (RFC 7675).
    pub lost: bool,
    pub limits: Limits,
    /// Where their packets stand in the arena.
    pub route: Route,
    pub paths: SmallVec<[Path; MAX_PATHS]>,
    /// Our SSRC in reports about what they send.
    pub ssrc: u32,
    /// Extension ids of what they send (the same in every m-line of a bundle).
    pub extensions: ExtensionIds,
    /// Their data channels, when they have asked for any.
    pub data: Option<Box<Data>>,
    pub tracks: Vec<Track>,
    pub streams: SmallVec<[Stream; 8]>,
    pub slots: Vec<Slot>,
    pub policy: SlotPolicy,
    pub intents: BTreeMap<String, Intent>,
    pub told: Vec<Binding>,
    pub bindings_dirty: bool,
    /// Of a stand-in: what is wanted of its layers may have changed.
    pub wants_dirty: bool,
    pub round_trip: Duration,
    /// What may go to them, when their client says what arrives.
    pub downlink: Option<Downlink>,
    /// Bytes of retransmission that may still be sent before the next report.
    pub retransmission_budget: usize,
    /// Arrivals for transport-wide feedback, when that was agreed, and when the next one is due.
    pub arrivals: Option<Arrivals>,
    pub arrivals_at: Option<Instant>,
    pub report_at: Option<Instant>,
    pub report_turn: u32,
    pub wake: Option<Instant>,
}

/// A transport and what was agreed for it.
pub(super) struct Peer {
    pub transport: Transport,
    pub fingerprint: Fingerprint,
    pub local_ice: IceCredentials,
    pub remote_ice: IceCredentials,
    pub session: (u64, u64),
}

/// What a participant may still send.
pub(super) struct Limits {
    pub published: Budget,
    pub feedback: Budget,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            published: PUBLISHED,
            feedback: FEEDBACK,
        }
    }
}

/// A received SSRC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub ssrc: u32,
    pub track: u8,
    pub layer: u8,
    pub rtx: bool,
}

/// One published m-line.
pub(super) struct Track {
    pub mid: String,
    pub source: Source,
    pub codecs: Vec<Codec>,
    pub rids: Vec<String>,
    pub layers: Vec<Layer>,
    pub blocked: bool,
    /// Their processor limits it, they say.
    pub limited: bool,
    pub started: bool,
    pub level: Level,
    pub watched: Watched,
    /// What the room's other shards were told of it.
    pub told: TrackFacts,
}

/// What the publisher was told about its layers.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub told: SmallVec<[bool; 4]>,
    pub last_watched: SmallVec<[Option<Instant>; 4]>,
    pub codec: Option<CodecKind>,
    /// One bit for each layer that somebody watches; only while it is being found out.
    pub wanted: u32,
    /// The same in the room's other shards.
    pub elsewhere: SmallVec<[(u8, u32); 2]>,
    /// Of a stand-in: streams and layers that its home was told to be wanted.
    pub asked: Option<(u8, u32)>,
}

/// One simulcast layer, or all of a source without simulcast.
pub(super) struct Layer {
    pub ssrc: Option<u32>,
    pub receiver: Receiver,
    /// When its stream last began anew.
    pub began: Option<Instant>,
    pub shape: Shape,
    /// What it takes.
    pub rates: Rates,
    pub live: bool,
    /// Slots that carry it.
    pub viewers: Vec<Viewer>,
    /// Slots that will, from the next key frame on.
    pub waiting: Vec<Viewer>,
    /// Other shards that want its packets, one bit each.
    pub relays: u64,
    /// Those of them whose queue was full, so that they need a key frame.
    pub missed: u64,
}

/// A slot of another participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Viewer {
    pub member: u32,
    pub slot: u16,
}

/// A receive m-line.
pub(super) struct Slot {
    pub mid: String,
    pub kind: Source,
    pub out: Outgoing,
    pub bound: Option<Bound>,
    pub key_frames: Budget,
}

impl Slot {
    pub(super) fn new(mid: String, kind: Source, out: Outgoing) -> Self {
        Self {
            mid,
            kind,
            out,
            bound: None,
            key_frames: KEY_FRAMES,
        }
    }
}

/// What a slot carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub publisher: ParticipantId,
    pub source: Source,
    pub height: u32,
    pub member: u32,
    pub track: u8,
    /// Stream whose packets are forwarded.
    pub current: Option<u8>,
    /// Stream that is waited for.
    pub next: Option<u8>,
    /// Layer of the track's list that would suit best, whether it is sent or not.
    pub ideal: u8,
}

impl Track {
    pub(super) fn new(mid: String, source: Source, codecs: Vec<Codec>, rids: Vec<String>, declared: usize) -> Self {
        let count = if rids.is_empty() { declared.max(1) } else { rids.len() }.min(8);
        let (rate, nack) = codecs.first().map_or((90_000, false), |c| (c.clock_rate, c.nack));
        let ring = if source.is_audio() { AUDIO_RING } else { VIDEO_RING };
        let layers = (0..count).map(|_| Layer {
            ssrc: None,
            receiver: Receiver::new(rate, nack, ring),
            began: None,
            shape: Shape::default(),
            rates: Rates::default(),
            live: false,
            viewers: Vec::new(),
            waiting: Vec::new(),
            relays: 0,
            missed: 0,
        });
        Self {
            mid,
            source,
            layers: layers.collect(),
            codecs,
            rids,
            blocked: false,
            limited: false,
            started: false,
            level: Level::default(),
            watched: Watched::default(),
            told: TrackFacts::default(),
        }
    }

    /// The same track where only its packets come, from the publisher's shard: what is missing is asked for over there.
    pub(super) fn stand_in(source: Source, codecs: Vec<Codec>, layers: usize) -> Self {
        let mut track = Self::new(String::new(), source, codecs, Vec::new(), layers);
        for layer in &mut track.layers {
            layer.receiver.nack = false;
        }
        track
    }

    /// A fresh receiver for a layer whose sender began a new stream.
    pub(super) fn reset(&mut self, layer: usize) -> Receiver {
        let ring = if self.source.is_audio() { AUDIO_RING } else { VIDEO_RING };
        let old = &mut self.layers[layer].receiver;
        let fresh = Receiver::new(old.clock_rate, old.nack, ring);
        std::mem::replace(old, fresh)
    }
}

impl Peer {
    pub(super) fn restart_ice(&mut self, local: IceCredentials, remote: IceCredentials) {
        self.transport.restart_ice(local.clone(), remote.clone());
        (self.local_ice, self.remote_ice) = (local, remote);
    }
}

impl Member {
    /// Somebody without a transport, who publishes and receives nothing yet.
    pub(super) fn new(id: ParticipantId, room: RoomId) -> Self {
        Self {
            id,
            room,
            epoch: 0,
            home: 0,
            peer: None,
            connected: false,
            lost: false,
            limits: Limits::default(),
            route: Route::default(),
            paths: SmallVec::new(),
            ssrc: 0,
            extensions: ExtensionIds::default(),
            data: None,
            tracks: Vec::new(),
            streams: SmallVec::new(),
            slots: Vec::new(),
            policy: SlotPolicy::Intents,
            intents: BTreeMap::new(),
            told: Vec::new(),
            bindings_dirty: false,
            wants_dirty: false,
            round_trip: Duration::from_millis(100),
            downlink: None,
            retransmission_budget: 0,
            arrivals: None,
            arrivals_at: None,
            report_at: None,
            report_turn: 0,
            wake: None,
        }
    }

    /// Whether their transport is in this shard.
    pub(super) fn is_here(&self) -> bool {
        self.peer.is_some()
    }

    /// Where packets to them go.
    pub(super) fn path(&self) -> Option<Path> {
        self.peer.as_ref()?.transport.path()
    }

    /// The smallest delay of their sender reports: what ties their media clocks together.
    pub(super) fn clock_offset(&self, clock: &crate::forward::ShardClock) -> Option<i128> {
        let layers = self.tracks.iter().flat_map(|track| &track.layers);
        layers.filter_map(|layer| layer.receiver.clock.delay(clock)).min()
    }

    pub(super) fn track_of(&self, source: Source) -> Option<usize> {
        self.tracks.iter().position(|track| track.source == source)
    }
}

impl Shard {
    pub(super) fn slot_mut(&mut self, at: Viewer) -> Option<&mut Slot> {
        self.members
            .get_mut(at.member as usize)?
            .slots
            .get_mut(usize::from(at.slot))
    }

    pub(super) fn layer_mut(&mut self, key: u32, track: usize, layer: usize) -> Option<&mut Layer> {
        self.members
            .get_mut(key as usize)?
            .tracks
            .get_mut(track)?
            .layers
            .get_mut(layer)
    }

    /// The same for a layer that a slot names, or does not.
    pub(super) fn layer_of(&mut self, key: u32, track: usize, layer: Option<u8>) -> Option<&mut Layer> {
        self.layer_mut(key, track, usize::from(layer?))
    }
}
