//! What goes into a transition and what comes out of it.

use serde_json::Value;

use super::{At, Call};
use crate::ids::{CallId, DeviceId, UserId};
use crate::protocol::{CallType, ErrorCode, MediaSource, Outcome, RejectReason, WaitingOutcome, WireError};

/// A call that is about to exist. Ids and the room's name are made by the caller: nothing here is random.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// Its id.
    pub id: CallId,
    /// Its room name.
    pub room_name: String,
    /// audio or video.
    pub call_type: CallType,
    /// Who starts it.
    pub user: UserId,
    /// From which tab; none for a WHIP publisher, who makes a room's call without a seat.
    pub device: Option<DeviceId>,
    /// Whom to ring; everybody else in the chat when absent.
    pub invitees: Option<Vec<UserId>>,
}

/// A command or an observation about a call that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A device of the user rings.
    RingAck(UserId),
    /// accept_call, join_call.
    Join {
        /// Who.
        user: UserId,
        /// From which tab.
        device: DeviceId,
        /// It answers a ring: `call_accepted` is sent too.
        accept: bool,
        /// Move the seat here from another tab.
        takeover: bool,
        /// Holds a seat in another call.
        busy: bool,
        /// Get on the waiting list where it may not come in.
        wait: bool,
    },
    /// reject_call.
    Reject(UserId, RejectReason),
    /// end_call.
    End(UserId),
    /// leave_call; without a device from whichever tab.
    Leave(UserId, Option<DeviceId>),
    /// invite.
    Invite {
        /// Who rings.
        by: UserId,
        /// Came by a guest link.
        guest: bool,
        /// Who is rung.
        user: UserId,
    },
    /// kick(by, user).
    Kick(UserId, UserId),
    /// mute and unmute by a moderator.
    Mute {
        /// The moderator.
        by: UserId,
        /// Whose.
        user: UserId,
        /// What.
        source: MediaSource,
        /// false: lift it.
        muted: bool,
    },
    /// lock (true) and unlock.
    Lock(UserId, bool),
    /// admit(by, user).
    Admit(UserId, UserId),
    /// deny(by, user).
    Deny(UserId, UserId),
    /// stay: alone, and going on.
    Stay(UserId),
    /// raise_hand.
    RaiseHand(UserId),
    /// lower_hand(by, whose).
    LowerHand(UserId, UserId),
    /// The seat's socket is gone, or back.
    Socket {
        /// Whose.
        user: UserId,
        /// Which tab; another tab's socket is nothing.
        device: DeviceId,
        /// Gone.
        lost: bool,
    },
    /// DTLS is up, or packets flow again.
    MediaConnected(UserId),
    /// No authenticated packet for 5 s.
    MediaLost(UserId),
    /// The transport is gone for good.
    MediaClosed(UserId),
    /// The media room failed.
    RoomFailed,
    /// An operator or host application ends it.
    Terminate,
    /// A WHIP session came (true) or went; the call's `publishers` counts it already.
    Publishers,
    /// The process that served these seats was restarted.
    Restart(Vec<UserId>),
    /// The database was away, or its clock jumped by this many milliseconds (0: not): what ran out meanwhile gets a little
    /// longer, and nothing runs longer than from now on.
    Resync {
        /// How far the clock was set forward; negative: back.
        jump_ms: i64,
    },
    /// Time has passed.
    Tick,
}

/// Type of a row in `call_events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum EventType {
    Initiated,
    Ringing,
    Accepted,
    Rejected,
    Missed,
    Ended,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantKicked,
    ParticipantMuted,
    ParticipantReconnecting,
    SeatMoved,
    Invited,
    Locked,
}

impl EventType {
    /// As the column holds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initiated => "call_initiated",
            Self::Ringing => "call_ringing",
            Self::Accepted => "call_accepted",
            Self::Rejected => "call_rejected",
            Self::Missed => "call_missed",
            Self::Ended => "call_ended",
            Self::ParticipantJoined => "call_participant_joined",
            Self::ParticipantLeft => "call_participant_left",
            Self::ParticipantKicked => "call_participant_kicked",
            Self::ParticipantMuted => "call_participant_muted",
            Self::ParticipantReconnecting => "call_participant_reconnecting",
            Self::SeatMoved => "call_seat_moved",
            Self::Invited => "call_invited",
            Self::Locked => "call_locked",
        }
    }
}

/// A durable event; names and pictures are added when it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// `call_created`.
    Created,
    /// `incoming_call`, until then.
    Incoming(At),
    /// `call_accepted` by.
    Accepted(UserId),
    /// `call_rejected` by.
    Rejected(UserId, RejectReason),
    /// `call_missed`.
    Missed,
    /// `call_answered_elsewhere`: on this device.
    AnsweredElsewhere(DeviceId),
    /// `seat_moved`: to this device.
    SeatMoved(DeviceId),
    /// `kicked` by.
    Kicked(UserId),
    /// `waiting_status`: what became of it, on which tab, by whom.
    Waiting(WaitingOutcome, DeviceId, Option<UserId>),
    /// `call_ended`.
    Ended,
}

/// What a transition causes besides the new state.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A row in `call_events`. Holds ids, never names.
    Log(EventType, Option<UserId>, Value),
    /// A durable event in these users' outboxes.
    Tell(Vec<UserId>, Note),
    /// The call is over: a message of kind `call` goes into the chat.
    CallMessage,
    /// Ephemeral: somebody is in.
    Joined(UserId),
    /// Ephemeral: somebody is out, by a moderator's hand if one is named.
    Left(UserId, Option<UserId>),
    /// A moderator removed somebody: what they send and watch besides a seat must end too.
    Removed(UserId),
    /// Ephemeral, to the moderators in the call: the waiting list changed.
    Waiters,
    /// Ephemeral: locked (true) or opened by.
    Locked(bool, UserId),
    /// Ephemeral: somebody's status, mute or hand changed.
    Updated(UserId),
    /// Ephemeral, to the initiator: a device of this callee rings.
    Ringing(UserId),
    /// Ephemeral, to the user: muted (true) or let speak by a moderator.
    Muted {
        /// Whose.
        user: UserId,
        /// What.
        source: MediaSource,
        /// false: lifted.
        muted: bool,
        /// The moderator.
        by: UserId,
    },
    /// The media plane must drop (or let through) this source.
    Blocked(UserId, MediaSource, bool),
    /// This tab does not hold the seat any more.
    SeatFreed(UserId, DeviceId),
    /// Ephemeral, to the only one left: the call ends when nobody comes.
    Alone(UserId),
    /// The media room must be closed.
    Over,
}

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The call afterwards.
    pub call: Call,
    /// What else must happen, in order.
    pub effects: Vec<Effect>,
    /// For the answer.
    pub outcome: Outcome,
    /// When it happened, for the record: `now`, or a little later where the clock was set back.
    pub at: At,
    /// The clock that deadlines run by.
    pub now: At,
}

/// Why a command is refused. Nothing changes then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not in the chat, not in the call: as if there were none.
    #[error("no such call")]
    NotFound,
    /// Known, but not theirs to do.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The command makes no sense.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Holds a seat in another call.
    #[error("you are in another call; leave it, or pass its id as `leave`")]
    BusySelf,
    /// Another tab holds the seat.
    #[error("another device of yours holds the seat; pass `takeover` to move it")]
    AnsweredElsewhere,
    /// Removed by a moderator.
    #[error("a moderator removed you from this call")]
    Kicked,
    /// Most participants reached.
    #[error("the call is full; `limits.maxParticipants` says how many it takes")]
    Full,
    /// A moderator locked it.
    #[error("a moderator must let you in: join with `wait`")]
    Locked,
}

impl From<Refusal> for WireError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::NotFound => ErrorCode::NotFound,
            Refusal::Forbidden(_) => ErrorCode::Forbidden,
            Refusal::BadRequest(_) => ErrorCode::BadRequest,
            Refusal::BusySelf => ErrorCode::BusySelf,
            Refusal::AnsweredElsewhere => ErrorCode::AnsweredElsewhere,
            Refusal::Kicked => ErrorCode::Kicked,
            Refusal::Full => ErrorCode::RoomFull,
            Refusal::Locked => ErrorCode::RoomLocked,
        };
        Self::new(code, refusal.to_string())
    }
}
