//! What the server tells.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    ActiveCall, CallStatus, CallType, Chat, EndReason, MediaSource, Message, ParticipantStatus, RejectReason,
    RosterEntry, User, UserPresence,
};
use crate::ids::{CallId, ChatId, OfferId, UserId};

/// Durable events (`ev`): kept in the user's outbox and replayed on resume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "op", content = "d", rename_all = "snake_case")]
pub enum EventBody {
    /// Everything the page needs, instead of a replay.
    Snapshot(Box<Snapshot>),
    /// To all tabs of the starter: a call of theirs exists, `device` holds the seat.
    CallCreated(CallCreated),
    /// To everybody rung.
    IncomingCall(IncomingCall),
    /// Somebody answered the ring.
    CallAccepted(CallPerson),
    /// To the initiator: somebody did not answer the ring.
    CallRejected(CallRejected),
    /// It is over.
    CallEnded(CallEnded),
    /// To the callee's tabs: the ring ran out or was cancelled before an answer.
    CallMissed(CallMissed),
    /// To the callee's other tabs: stop ringing, `device` answered.
    CallAnsweredElsewhere(CallDevice),
    /// To the tab that held the seat: another tab took it over.
    SeatMoved(CallDevice),
    /// To the person removed: by whom.
    Kicked(CallActor),
    /// A message in a chat.
    Message(Box<Message>),
    /// A chat appeared or changed.
    ChatUpdated(Box<Chat>),
}

/// Ephemeral events (`rt`): the live room and presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "op", content = "d", rename_all = "snake_case")]
pub enum RealtimeBody {
    /// Answer to a `media_offer`.
    MediaAnswer(MediaAnswer),
    /// What each receive slot carries now.
    Bindings(Bindings),
    /// Everybody in the call; follows a join and a reconnect.
    Roster(Roster),
    /// Somebody came in.
    CallParticipantJoined(Box<ParticipantJoined>),
    /// Somebody is out.
    CallParticipantLeft(ParticipantLeft),
    /// Somebody's status, sources or hand changed.
    ParticipantUpdated(Box<ParticipantJoined>),
    /// To the initiator: a device of this callee rings.
    CallRinging(CallPerson),
    /// To chat members outside: the call's count or status changed; at most once a second.
    CallUpdated(CallUpdated),
    /// Who speaks, loudest first; at most four times a second.
    Speakers(Speakers),
    /// Publishers: which simulcast layers somebody watches.
    Layers(Layers),
    /// Presence of people who share a chat.
    Presence(UserPresence),
    /// Muted by a moderator.
    Muted(Muted),
    /// You are alone in the call: it ends in `endsInMs` when nobody comes.
    CallAlone(CallAlone),
    /// A reaction.
    Reaction(ReactionShown),
    /// The server goes down; come back after `retryAfterMs`.
    ServerDraining(ServerDraining),
}

/// State for a page that starts, or that missed too much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// All chats of the user, newest first.
    pub chats: Vec<Chat>,
    /// Presence of everybody in them.
    pub presence: Vec<UserPresence>,
    /// Calls that ring for this user now.
    pub incoming: Vec<IncomingCall>,
}

/// Result of `start_call`, and the event to all tabs of the starter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallCreated {
    /// Which.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// Random and unique; not a permission.
    pub room_name: String,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// The tab that holds the seat.
    pub device: String,
    /// Who is rung.
    pub participants: Vec<UserId>,
    /// RFC 3339.
    pub timestamp: String,
}

/// A ring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct IncomingCall {
    /// Which.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// Random and unique; not a permission.
    pub room_name: String,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// Who rings.
    pub initiator: User,
    /// Who is rung.
    pub participants: Vec<UserId>,
    /// RFC 3339: when the ring began.
    pub timestamp: String,
    /// What is left of the ring, by the server's clock at sending.
    pub ring_ms_left: u32,
    /// Call waiting: the user is in another call, show it without the ringtone.
    pub silent: bool,
}

/// Somebody in a call did something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallPerson {
    /// Which.
    pub call_id: CallId,
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub user_name: String,
    /// RFC 3339.
    pub timestamp: String,
}

/// Fields of `call_rejected`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallRejected {
    /// Which.
    pub call_id: CallId,
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub user_name: String,
    /// declined, busy or timeout.
    pub reason: RejectReason,
    /// RFC 3339.
    pub timestamp: String,
}

/// Fields of `call_ended`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallEnded {
    /// Which.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// Final status.
    pub status: CallStatus,
    /// Why.
    pub reason: EndReason,
    /// Who ended it, if a person did.
    pub ended_by: Option<UserId>,
    /// Their name.
    pub user_name: Option<String>,
    /// Whole seconds of talk; 0 when nobody answered.
    pub duration: u32,
    /// RFC 3339.
    pub timestamp: String,
}

/// Fields of `call_missed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallMissed {
    /// Which.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// Who rang.
    pub initiator: User,
    /// RFC 3339.
    pub timestamp: String,
}

/// A call and the device it is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallDevice {
    /// Which.
    pub call_id: CallId,
    /// The tab that has it now.
    pub device: String,
}

/// A call and who acted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallActor {
    /// Which.
    pub call_id: CallId,
    /// Who did it.
    pub by: User,
}

/// Fields of `media_answer`: `sdp` for an offer, `ufrag` and `pwd` for an ICE restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MediaAnswer {
    /// Which call.
    pub call_id: CallId,
    /// The offer it answers.
    pub offer_id: OfferId,
    /// RFC 8866 session description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sdp: Option<String>,
    /// Server's ICE user fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub ufrag: Option<String>,
    /// Server's ICE password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub pwd: Option<String>,
}

/// Fields of `bindings`: all slots, every time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Bindings {
    /// Which call.
    pub call_id: CallId,
    /// The slots that carry something.
    pub slots: Vec<Binding>,
}

/// What one receive slot carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The receive m-line.
    pub mid: String,
    /// Whose media.
    pub user_id: UserId,
    /// Which of theirs.
    pub source: MediaSource,
    /// Their number: the CSRC of every packet in the slot.
    pub csrc: u32,
    /// Simulcast layer, 0 is the smallest.
    pub layer: u8,
    /// Nothing is sent now.
    pub paused: bool,
    /// Why it is paused.
    pub reason: Option<PauseReason>,
}

/// Why a slot is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum PauseReason {
    /// The publisher muted it.
    Muted,
    /// The viewer asked for nothing.
    NotVisible,
    /// The viewer's downlink has no room.
    Bandwidth,
    /// No packets from the publisher.
    NoMedia,
}

/// Fields of `roster`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Roster {
    /// Which call.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// ringing or ongoing.
    pub status: CallStatus,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// RFC 3339: the first answer.
    pub started_at: Option<String>,
    /// Everybody, those still rung included.
    pub participants: Vec<RosterEntry>,
}

/// Fields of `call_participant_joined` and `participant_updated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantJoined {
    /// Which call.
    pub call_id: CallId,
    /// Who, as the plan names it.
    pub user_id: UserId,
    /// Their name, as the plan names it.
    pub user_name: String,
    /// RFC 3339.
    pub timestamp: String,
    /// Their place in the roster.
    pub participant: RosterEntry,
}

/// Fields of `call_participant_left`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantLeft {
    /// Which call.
    pub call_id: CallId,
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub user_name: String,
    /// left, kicked, declined, busy or missed.
    pub status: ParticipantStatus,
    /// RFC 3339.
    pub timestamp: String,
}

/// Fields of `call_updated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallUpdated {
    /// Where.
    pub chat_id: ChatId,
    /// The call, or null when none is live any more.
    pub active_call: Option<ActiveCall>,
}

/// Fields of `speakers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Speakers {
    /// Which call.
    pub call_id: CallId,
    /// Loudest first; empty when nobody speaks.
    pub users: Vec<UserId>,
}

/// Fields of `layers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Layers {
    /// Which call.
    pub call_id: CallId,
    /// Which source.
    pub source: MediaSource,
    /// By layer, smallest first: whether to encode it.
    pub active: Vec<bool>,
}

/// Fields of `muted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Muted {
    /// Which call.
    pub call_id: CallId,
    /// What.
    pub source: MediaSource,
    /// false: lifted.
    pub muted: bool,
    /// The moderator.
    pub by: User,
}

/// Fields of `call_alone`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallAlone {
    /// Which call.
    pub call_id: CallId,
    /// What is left of it, milliseconds.
    pub ends_in_ms: u32,
}

/// A reaction as shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ReactionShown {
    /// Which call.
    pub call_id: CallId,
    /// Whose.
    pub user_id: UserId,
    /// One emoji.
    pub emoji: String,
}

/// Fields of `server_draining`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ServerDraining {
    /// When to come back, milliseconds.
    pub retry_after_ms: u32,
}

/// Result of `start_call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum StartCallResult {
    /// A new call; you are in it.
    Created(CallCreated),
    /// The chat has a live call already.
    #[serde(rename_all = "camelCase")]
    Exists {
        /// Which.
        call_id: CallId,
        /// ringing or ongoing.
        status: CallStatus,
    },
}

/// Result of `accept_call` and `join_call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct JoinCallResult {
    /// joined, or noop when the call is over (`status` says how).
    pub outcome: Outcome,
    /// Which.
    pub call_id: CallId,
    /// The call's status now.
    pub status: CallStatus,
}

/// Result of the other call commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Whether anything changed.
    pub outcome: Outcome,
}

/// Whether a command changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Carried out.
    Done,
    /// You are in the call now.
    Joined,
    /// Too late or already so: nothing changed.
    Noop,
}
