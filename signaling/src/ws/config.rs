//! Periods and limits of WebSockets.

use serde::{Deserialize, Serialize};

/// Periods (milliseconds) and limits of WebSockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SocketConfig {
    /// A connection that has not said hello by then is closed, ms.
    pub hello_timeout_ms: u32,
    /// Most connections that have not said hello; further ones are refused with 503.
    pub max_unauthenticated: u32,
    /// Commands a second that one connection may send.
    pub commands_per_second: u32,
    /// Commands at once that one connection may send.
    pub commands_burst: u32,
    /// Frames kept for a slow reader; one more closes its connection with 4429, and it resumes later.
    pub queue_frames: u32,
    /// A connection that takes no bytes for this long is closed with 4429, ms; it resumes later.
    pub slow_reader_ms: u32,
    /// Between pings while the tab is in a call, ms. Two missed answers end the connection.
    pub ping_call_ms: u32,
    /// Between pings otherwise, ms.
    pub ping_idle_ms: u32,
    /// A seat whose tab has had no connection for this long counts as lost, ms.
    pub seat_lost_ms: u32,
    /// Between the queries that heal lost outbox hints, ms.
    pub heal_ms: u32,
    /// Presence changes are collected for this long, ms, so that a page reload is not seen by others.
    pub presence_ms: u32,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            hello_timeout_ms: 5_000,
            max_unauthenticated: 512,
            commands_per_second: 20,
            commands_burst: 40,
            queue_frames: 1_024,
            slow_reader_ms: 10_000,
            ping_call_ms: 5_000,
            ping_idle_ms: 30_000,
            seat_lost_ms: 12_000,
            heal_ms: 2_000,
            presence_ms: 1_000,
        }
    }
}
