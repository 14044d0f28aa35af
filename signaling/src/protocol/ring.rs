//! Fields of durable events of a call: rings, answers, ends.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{CallStatus, CallType, EndReason, RejectReason, User};
use crate::ids::{CallId, ChatId, UserId};

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
    /// Who started it.
    pub initiator: User,
    /// Who rings this person into a call that runs already; null: the initiator, from the start.
    #[serde(default)]
    pub invited_by: Option<User>,
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

/// Fields of `waiting_status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct WaitingStatus {
    /// Which call.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// What became of it.
    pub status: WaitingOutcome,
    /// The tab that waits; an admitted one sends `join_call` now.
    pub device: String,
    /// The moderator who decided, if one did.
    pub by: Option<User>,
    /// RFC 3339.
    pub timestamp: String,
}

/// What became of somebody's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum WaitingOutcome {
    /// On the list.
    Waiting,
    /// Let in: join within the ring period.
    Admitted,
    /// Turned away by a moderator.
    Denied,
    /// Nobody let them in in time, or they did not come in when they were let in.
    Expired,
    /// The call is over.
    Ended,
}
