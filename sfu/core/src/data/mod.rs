//! Data channels of one participant: SCTP inside DTLS, two channels with fixed numbers, sans-IO.
//!
//! ```text
//!  SCTP packet ─ guard ─ library ─ message ─► the shard: limits, room
//!                                                 │ each other participant
//!  SCTP packet ◄─ library ◄─ 32 KiB at most ◄─ outbox (bounded) ◄┘
//! ```
//!
//! Both channels are negotiated outside (`negotiated: true` with the ids of [`Channel::id`]), so that there is no message that
//! opens one and they work from the first round trip on. The library is used as it is, but nothing reaches it unseen
//! ([`guard`]), and a panic in it ends this participant's channels only: data is no hot path, and a defect in a library must
//! not cost a call.

mod guard;
mod link;
mod outbox;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use guard::Refused;
pub use link::DataLink;
pub use outbox::{MAX_LOSSY_BYTES, MAX_LOSSY_MESSAGES, MAX_RELIABLE_BYTES, Pushed};

/// The largest message that is taken from a participant, in bytes; also what the answer's `a=max-message-size` says, so that a
/// browser refuses a larger one by itself. Every browser carries this much in one piece.
pub const MAX_MESSAGE: usize = 16 * 1_024;

/// What the server puts in front of a message, at most: one byte of length and the name of who sent it.
pub const MAX_NAME: usize = 255;

/// The two channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// All of it, in order.
    Reliable,
    /// What is lost stays lost, and nothing waits for it.
    Lossy,
}

impl Channel {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Reliable, Self::Lossy];

    /// The id of the data channel, which is the number of its SCTP stream.
    pub const fn id(self) -> u16 {
        match self {
            Self::Reliable => 0,
            Self::Lossy => 1,
        }
    }

    fn of(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.id() == id)
    }
}

/// A message of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which.
    pub channel: Channel,
    /// Sent as text (RFC 8831 calls it a string); otherwise binary.
    pub text: bool,
    /// What it says.
    pub bytes: Bytes,
}
