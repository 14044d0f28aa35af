//! How much may be sent to somebody: bandwidth estimation from transport-wide feedback. Std only and pure: no clock, no
//! socket, no randomness; the caller says what left, what came back, and when.
//!
//! Written from draft-ietf-rmcat-gcc-02 and from what libwebrtc documents of its successor to it.
//!
//! ```text
//!  sent ──► history ──┐
//!                     │ feedback
//!                     ├─► grouping ─► trendline ─► Over? ──► aimd ──┐
//!                     ├─► delivered rate ──────────────────► aimd   ├─ least ─► drain ─► estimate
//!                     ├─► loss above the path's own ─────────► cap ─┤
//!                     ├─► probe clusters ─► proven rate ──► aimd    │
//!                     └─► standing queue ───────────────────────────┼──────────► drain
//!  REMB (from clients that have nothing else) ──────────────────────┘
//! ```
//!
//! Steps happen when their own deadline is due, and every increment is scaled by the time that passed: the estimate does
//! not depend on how often it is called (a test calls it every 0.1 ms, every 1 ms and on its deadlines).

mod aimd;
mod delivered;
mod group;
mod history;
mod limited;
mod loss;
mod minimum;
mod probe;
mod send_side;
mod standing;
mod trendline;
mod units;

use std::time::{Duration, Instant};

pub use probe::Probe;
pub use send_side::{Config, SendSide};
pub use trendline::Usage;
pub use units::Bitrate;

/// A packet that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its transport-wide number; consecutive.
    pub number: u16,
    /// Bytes on the wire, IP and UDP included.
    pub size: usize,
}

/// What a feedback says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its transport-wide number.
    pub number: u16,
    /// When it arrived, in 250 us of the receiver's clock, modulo 2^32 (the 24 bits of the reference time are its upper
    /// ones); `None`: not.
    pub arrival: Option<u32>,
}

/// What is known of the path to a viewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// What may be sent now, everything included.
    pub bitrate: Bitrate,
    /// What the path carries: more than may be sent while a queue is drained.
    pub carries: Bitrate,
    /// From sending to feedback, smoothed.
    pub round_trip: Duration,
    /// Part of the packets that is lost, smoothed, 0 to 1.
    pub loss: f64,
    /// How much later packets arrive than the earliest of the last 20 s.
    pub queue: Duration,
    /// What the queue does.
    pub usage: Usage,
    /// Less is sent than may be, so the estimate only grows by probes.
    pub limited: bool,
    /// Whether anything was heard that an estimate can be made of; before, it is the start value.
    pub known: bool,
    /// Whether that was a probe's outcome, or the receiver's own estimate: more than that what was begun with arrived.
    pub proven: bool,
}

/// An estimator of one path. The seam at which another can be tried.
pub trait Estimator {
    /// A packet leaves now.
    fn sent(&mut self, now: Instant, packet: Sent);

    /// Transport-wide feedback came. Whatever it says is bounded and harmless.
    fn feedback(&mut self, now: Instant, packets: &mut dyn Iterator<Item = Received>);

    /// The receiver's own estimate (REMB), for clients that have nothing else.
    fn remb(&mut self, now: Instant, bitrate: Bitrate);

    /// What would be sent if there were room: nothing above is probed for.
    fn demand(&mut self, wanted: Bitrate);

    /// When [`Self::handle_timeout`] has something to do.
    fn next_deadline(&self) -> Option<Instant>;

    /// Does what is due; before the deadline nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// The probe that should be sent now. Every packet given to [`Self::sent`] meanwhile belongs to it.
    fn probe(&self) -> Option<Probe>;

    /// What is known.
    fn estimate(&self) -> Estimate;
}
