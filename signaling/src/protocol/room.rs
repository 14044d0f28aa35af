//! Fields of the live room's ephemeral events.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{ActiveCall, CallStatus, CallType, MediaSource, ParticipantStatus, RosterEntry, User};
use crate::ids::{CallId, ChatId, UserId};

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
    /// A moderator lets nobody new in.
    #[serde(default)]
    pub locked: bool,
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
    /// The moderator who removed them, if one did.
    #[serde(default)]
    pub by: Option<UserId>,
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
    /// The dominant speaker first; empty when nobody speaks.
    pub users: Vec<UserId>,
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

/// Fields of `call_locked`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallLocked {
    /// Which call.
    pub call_id: CallId,
    /// false: open again.
    pub locked: bool,
    /// The moderator.
    pub by: User,
}

/// Fields of `waiting_list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct WaitingList {
    /// Which call.
    pub call_id: CallId,
    /// Longest wait first; empty when nobody waits any more.
    pub waiting: Vec<Waiter>,
}

/// Somebody on the waiting list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Waiter {
    /// The person.
    #[serde(flatten)]
    pub user: User,
    /// Came by a guest link.
    pub guest: bool,
    /// RFC 3339: since when.
    pub since: String,
}
