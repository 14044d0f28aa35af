//! Error and close codes.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Why a command was refused. Codes are stable; messages are for developers, the page has its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The command or a field of it is not understood.
    BadRequest,
    /// No valid token.
    Unauthenticated,
    /// The token was good once.
    TokenExpired,
    /// Known, but not allowed.
    Forbidden,
    /// No such thing, or none that you may know of.
    NotFound,
    /// It was there and is over.
    Gone,
    /// It is there already.
    Exists,
    /// You hold a seat in another call; leave it first or pass `leave`.
    BusySelf,
    /// Another device of yours holds the seat; pass `takeover` to move it.
    AnsweredElsewhere,
    /// A moderator removed you.
    Kicked,
    /// The call has its most participants.
    RoomFull,
    /// A moderator locked the call.
    RoomLocked,
    /// Too many; `retryAfterMs` says when to try again.
    RateLimited,
    /// The state changed meanwhile; read it and decide again.
    Conflict,
    /// The subprotocol version is not served.
    UnsupportedVersion,
    /// The SDP offer cannot be answered.
    SdpRejected,
    /// More media than the limits allow.
    MediaLimit,
    /// The database or media plane is away; `retryAfterMs` says when to try again.
    Unavailable,
    /// The server is shutting down.
    Draining,
    /// A defect in the server; it was logged.
    Internal,
}

/// The `err` of a `res`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct WireError {
    /// What kind.
    pub code: ErrorCode,
    /// In English, for developers: what was wrong and what to do.
    pub message: String,
    /// Milliseconds to wait before trying again; 0 when waiting does not help.
    #[serde(default)]
    pub retry_after_ms: u32,
}

impl WireError {
    /// Whether this is the answer to a command for good: it is stored, and a repeat of the same id is refused in the same
    /// words. The others say that nothing was decided: the same id may be tried again.
    pub fn lasting(&self) -> bool {
        !matches!(
            self.code,
            ErrorCode::BadRequest
                | ErrorCode::Unauthenticated
                | ErrorCode::TokenExpired
                | ErrorCode::RateLimited
                | ErrorCode::Unavailable
                | ErrorCode::Draining
                | ErrorCode::Internal
        )
    }

    /// An error that waiting does not heal.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: 0,
        }
    }
}

/// WebSocket close codes of this protocol.
pub mod close {
    /// Frame too large, not JSON, first frame not `hello`.
    pub const PROTOCOL: u16 = 4400;
    /// Token missing, wrong or expired.
    pub const AUTH: u16 = 4401;
    /// The account was erased. (Who is kicked from a call keeps the connection, by which they are told and may be invited back.)
    pub const REMOVED: u16 = 4403;
    /// The same device connected again.
    pub const REPLACED: u16 = 4409;
    /// More commands than the limits allow, or a reader too slow to keep.
    pub const FLOOD: u16 = 4429;
    /// The server is going down; come back.
    pub const DRAINING: u16 = 4503;
}
