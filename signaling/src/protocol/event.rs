//! What the server tells.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Bindings, CallActor, CallAlone, CallCreated, CallDevice, CallEnded, CallLocked, CallMissed, CallPerson,
    CallRejected, CallUpdated, CallsSeen, Chat, IncomingCall, Layers, MediaAnswer, Message, Muted, ParticipantJoined,
    ParticipantLeft, Quality, ReactionShown, Roster, Speakers, UserPresence, WaitingList, WaitingStatus,
};

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
    /// To who is on a call's waiting list: what became of it.
    WaitingStatus(WaitingStatus),
    /// A message in a chat.
    Message(Box<Message>),
    /// To all tabs of the reader: missed calls were marked seen.
    CallsSeen(CallsSeen),
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
    /// Publishers: which layers somebody watches, and the codec to send.
    Layers(Layers),
    /// How good your own connection is; sent when it changes, at most every two seconds.
    Quality(Quality),
    /// Presence of people who share a chat.
    Presence(UserPresence),
    /// After a replay: what no event tells, as it is now.
    Resumed(Box<Resumed>),
    /// Muted by a moderator.
    Muted(Muted),
    /// A moderator locked the call, or opened it again.
    CallLocked(CallLocked),
    /// To the moderators in the call: who waits to be let in. All of them, every time; it follows a moderator's roster too.
    WaitingList(WaitingList),
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
    /// Missed calls that the user has not seen.
    #[serde(default)]
    pub missed_calls: u32,
}

/// Fields of `resumed`: what a tab may have missed of the ephemeral events while it had no connection. It follows the last
/// replayed event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// The live calls of the user's chats; a chat that is not named has none.
    pub calls: Vec<CallUpdated>,
    /// Presence of everybody in them.
    pub presence: Vec<UserPresence>,
}

/// Fields of `server_draining`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ServerDraining {
    /// When to come back, milliseconds.
    pub retry_after_ms: u32,
}
