//! What goes through the door: requests and commands in, answers and events out.

use std::collections::BTreeMap;

use sfu_core::quality::Reason as QualityReason;
use sfu_core::room;
use sfu_core::sdp::CodecKind;
use sfu_core::shard::{self, Counters, Event, PauseReason};
use sfu_core::transport::IceCredentials;
use sfu_core::types::{ParticipantId, RoomId, Source};
use tokio::sync::oneshot;

use crate::delays::Delays;
use crate::registry::Place;
use crate::relay;
use crate::socket::SocketCounters;

/// A participant's place: room and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// The room.
    pub room: String,
    /// The participant.
    pub participant: String,
}

/// How a participant's receive slots are filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotPolicy {
    /// By intents; audio by loudness.
    Intents,
    /// With the room's publishers as they come; audio by loudness.
    Fill,
    /// One audio and one video slot for each named publisher, in this order.
    Publishers(Vec<String>),
}

/// An SDP offer of one participant.
#[derive(Clone, Debug)]
pub struct OfferRequest {
    /// Who.
    pub seat: Seat,
    /// Session description.
    pub sdp: String,
    /// What each mid is for; may be empty.
    pub mids: BTreeMap<String, Source>,
    /// May send.
    pub publish: bool,
    /// May receive.
    pub subscribe: bool,
    /// How their slots are filled.
    pub slots: SlotPolicy,
}

/// What one slot should show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The slot's m-line.
    pub mid: String,
    /// Whose media.
    pub participant: String,
    /// Which of theirs.
    pub source: Source,
    /// Height of the tile in device pixels; 0: nothing for now.
    pub height: u32,
    /// Frames a second wanted; 0: as sent.
    pub fps: u32,
    /// Higher goes first when there is not room for all.
    pub priority: u32,
}

/// Why the media plane refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The offer cannot be answered; the text says what is missing.
    #[error("the offer cannot be answered: {0}")]
    SdpRejected(String),
    /// More than the limits allow.
    #[error("the media limit is reached: {0}")]
    Limit(String),
    /// No such participant.
    #[error("no media connection for this participant")]
    NotFound,
    /// The media plane does not answer.
    #[error("the media plane is not available")]
    Unavailable,
}

/// What one slot carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The m-line.
    pub mid: String,
    /// Whose media.
    pub participant: String,
    /// Which of theirs.
    pub source: Source,
    /// Their number: the CSRC of every packet in the slot.
    pub csrc: u32,
    /// Simulcast layer, 0 is the smallest.
    pub layer: u8,
    /// Why nothing is sent, if nothing is.
    pub paused: Option<PauseReason>,
}

/// A stream that is not as good as it could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamQuality {
    /// The receive m-line.
    pub mid: String,
    /// Whose.
    pub participant: String,
    /// Which of theirs.
    pub source: Source,
    /// 3 fair to 1 bad.
    pub score: u8,
    /// The first reason why it is not better.
    pub reason: QualityReason,
}

/// How media travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By UDP, directly or through the relay on the same port.
    Udp,
    /// By ICE-TCP.
    Tcp,
    /// Through the relay by TCP or TLS.
    Relay,
}

/// What the media plane tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// DTLS is up.
    Connected(Seat),
    /// Media travels this way now. The first one comes before `Connected`.
    Way(Seat, Way),
    /// No authenticated packet for 5 s.
    Lost(Seat),
    /// Packets again after `Lost`.
    Recovered(Seat),
    /// The transport is gone for good.
    Closed(Seat),
    /// What each slot carries now.
    Bindings(Seat, Vec<Binding>),
    /// Who speaks in the room, loudest first.
    Speakers(String, Vec<String>),
    /// What a publisher should send of a source: by layer, smallest first, whether somebody watches it, and the codec.
    Layers(Seat, Source, Vec<bool>, Option<CodecKind>),
    /// How good the connection to a participant is, 4 good to 1 bad, why it is not better, and the streams to them that are
    /// not good. Only when something of it changed.
    Quality(Seat, u8, Option<QualityReason>, Vec<StreamQuality>),
    /// A defect ended the room; its participants have no transport any more.
    RoomFailed(String),
}

/// What a shard has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSnapshot {
    /// Packets, by what became of them.
    pub counters: Counters,
    /// Participants now.
    pub participants: usize,
    /// Those who stand for participants in other shards, where a call is in several.
    pub stand_ins: usize,
    /// Received packets that are kept for retransmissions and for viewers that join.
    pub kept: usize,
    /// Viewers' links whose rate is known, and the sum of their estimates, bit/s.
    pub estimates: (usize, u64),
    /// What the sockets have done.
    pub sockets: SocketCounters,
    /// How long datagrams stayed.
    pub delays: Delays,
}

/// An offer, numbered and placed.
pub(crate) struct Offer {
    pub(crate) request: shard::OfferRequest,
    pub(crate) seat: Seat,
    pub(crate) place: Place,
}

/// What the handle tells a shard.
pub(crate) enum Command {
    Offer(Box<Offer>, oneshot::Sender<Result<String, MediaError>>),
    RestartIce(
        ParticipantId,
        IceCredentials,
        oneshot::Sender<Result<IceCredentials, MediaError>>,
    ),
    Intents(
        ParticipantId,
        Vec<room::Intent>,
        oneshot::Sender<Result<(), MediaError>>,
    ),
    SetBlocked(RoomId, ParticipantId, Source, bool),
    SetLimited(ParticipantId, Source, bool),
    Leave(ParticipantId),
    CloseRoom(RoomId),
    /// The room is in these shards; the first decides who speaks.
    Span(RoomId, Vec<u8>),
    /// Queues to and from another shard.
    Link(Box<relay::Sender>, Box<relay::Receiver>),
    Snapshot(oneshot::Sender<ShardSnapshot>),
    Stop,
    #[cfg(test)]
    Panic(RoomId),
}

/// What a shard tells the handle.
pub(crate) enum Told {
    Event(Event),
    /// An offer was refused after its caller had gone: its place is free.
    Refused(Seat, Place),
}
