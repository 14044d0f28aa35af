//! Periods and limits of a call. Every one is configuration; the defaults are those of the design.

use serde::{Deserialize, Serialize};

/// Periods (milliseconds) and limits of calls. See the transition numbers in `docs/architecture.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallConfig {
    /// How long a callee is rung, ms.
    pub ring_ms: u32,
    /// Most people rung by one `start_call`; a larger chat must choose.
    pub ring_max_members: u32,
    /// Most seats in one call.
    pub max_participants: u32,
    /// How long a seat whose socket and media are both gone is kept, ms.
    pub rejoin_ms: u32,
    /// How long after the loss of a ringing caller is noticed the call is cancelled, ms.
    pub caller_lost_ms: u32,
    /// How long a participant may stay without a DTLS-connected transport after the answer, ms.
    pub media_connect_ms: u32,
    /// How long somebody is alone in a group call or room before the page asks, ms.
    pub alone_ask_ms: u32,
    /// How long somebody is alone in a group call or room before it ends, ms.
    pub alone_end_ms: u32,
    /// Longest call, ms.
    pub max_duration_ms: u32,
    /// Least time that is left of any deadline after a restart of the server, an outage of the database, or a jump of its
    /// clock, ms.
    pub restart_ring_ms: u32,
    /// How long somebody stays on a call's waiting list, ms.
    pub wait_ms: u32,
    /// The source plan's rule: a call ends when its initiator's seat is lost for good.
    pub end_when_initiator_lost: bool,
    /// Most `start_call` of one user in a minute; 0: no limit.
    pub starts_per_user_minute: u32,
    /// Most `start_call` in one chat in a minute; 0: no limit.
    pub starts_per_chat_minute: u32,
    /// Most `invite` of one user in a minute; 0: no limit.
    pub invites_per_user_minute: u32,
    /// Most `invite` into one call in a minute; 0: no limit.
    pub invites_per_call_minute: u32,
    /// Longest text message, UTF-8 bytes.
    pub max_message_bytes: u32,
    /// How long a node's claim on its calls and seats lasts without renewal, ms.
    pub lease_ms: u32,
    /// Most events replayed on resume; more means a snapshot.
    pub replay_max: u32,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            ring_ms: 30_000,
            ring_max_members: 50,
            max_participants: 100,
            rejoin_ms: 60_000,
            caller_lost_ms: 5_000,
            media_connect_ms: 20_000,
            alone_ask_ms: 120_000,
            alone_end_ms: 300_000,
            max_duration_ms: 24 * 60 * 60 * 1000,
            restart_ring_ms: 10_000,
            wait_ms: 600_000,
            end_when_initiator_lost: false,
            starts_per_user_minute: 6,
            starts_per_chat_minute: 3,
            invites_per_user_minute: 6,
            invites_per_call_minute: 3,
            max_message_bytes: 16 * 1024,
            lease_ms: 30_000,
            replay_max: 1_000,
        }
    }
}
