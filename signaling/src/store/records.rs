//! Rows as the rest of the server sees them.

use crate::ids::UserId;
use crate::protocol::{CallStatus, CallType, EndReason, ParticipantStatus, QualityReason, User};

/// A user with what sign-in needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// As others see them.
    pub user: User,
    /// Who issued the identity: `local`, or a host application's `iss`.
    pub issuer: String,
    /// Id at the issuer.
    pub subject: String,
    /// Came by a guest link.
    pub guest: bool,
    /// Login name of a local account.
    pub login: Option<String>,
    /// PHC string of a local account.
    pub password_hash: Option<String>,
    /// Epoch milliseconds of the last time a tab was connected.
    pub last_seen_ms: Option<i64>,
}

/// A call as the history and the API show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Which.
    pub id: crate::ids::CallId,
    /// Where.
    pub chat: crate::ids::ChatId,
    /// Random and unique.
    pub room_name: String,
    /// audio or video.
    pub call_type: CallType,
    /// Who started it.
    pub initiated_by: UserId,
    /// Now.
    pub status: CallStatus,
    /// Why it is over.
    pub end_reason: Option<EndReason>,
    /// The ring, epoch milliseconds.
    pub created_at_ms: i64,
    /// The first answer, epoch milliseconds.
    pub started_at_ms: Option<i64>,
    /// The end, epoch milliseconds.
    pub ended_at_ms: Option<i64>,
    /// Who ended it, if a person did.
    pub ended_by: Option<UserId>,
}

/// A participant's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantRecord {
    /// Who.
    pub user: UserId,
    /// Now, or in the end.
    pub status: ParticipantStatus,
    /// Last time they took the seat, epoch milliseconds.
    pub joined_at_ms: Option<i64>,
    /// Last time they freed it, epoch milliseconds.
    pub left_at_ms: Option<i64>,
    /// Time in the seat, whole milliseconds, summed over rejoins.
    pub duration_ms: i64,
}

/// One minute, or part of it, of one participant's connection in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualityMinute {
    /// Which call.
    pub call: crate::ids::CallId,
    /// Whose connection.
    pub user: UserId,
    /// The minute's beginning, epoch milliseconds.
    pub minute_ms: i64,
    /// Milliseconds with each score, from 1 (bad) to 4 (good).
    pub ms: [u32; 4],
    /// Why it was not good, for most of that time.
    pub reason: Option<QualityReason>,
}

/// A row of `call_events`.
#[derive(Clone, Debug, PartialEq)]
pub struct CallEventRecord {
    /// Order within the call, from 1.
    pub seq: i64,
    /// `call_initiated` and so on.
    pub event_type: String,
    /// Whom it is about.
    pub user: Option<UserId>,
    /// What else is known.
    pub metadata: serde_json::Value,
    /// Epoch milliseconds.
    pub created_at_ms: i64,
}
