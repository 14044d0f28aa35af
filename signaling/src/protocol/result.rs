//! Results of commands (`res.d`).

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{CallCreated, CallStatus};
use crate::ids::CallId;

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
    /// joined, waiting (with `wait`), or noop when the call is over (`status` says how).
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
    /// On the waiting list: `waiting_status` tells what becomes of it.
    Waiting,
    /// Too late or already so: nothing changed.
    Noop,
}
