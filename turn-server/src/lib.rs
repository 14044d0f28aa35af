//! TURN (RFC 8656) and STUN (RFC 8489), without sockets, threads or a clock of its own.
//!
//! ```text
//!  client's datagram ─ Server::handle ┬ a reply, to send back to the client
//!                                     └ a payload, for the peer: the owner hands it on
//!  peer's payload ──── Server::wrap ──── ChannelData or a Data indication, to send to the client
//! ```
//!
//! Where a payload goes is the owner's affair: it says through [`Relay`] which relayed addresses exist and which peers may
//! be reached. Ringhall's media server gives every allocation a synthetic address and takes the payloads itself, so that
//! no port is opened and nobody else can be reached; a relay with real sockets fits behind the same trait.
//!
//! What comes from a stranger costs no state: nonces are computed, not kept ([`nonce`]), and a request is read where it
//! lies ([`view`]). State begins with an Allocate that proves a credential ([`credential`]), and is limited by [`Quota`].

mod allocation;
mod authenticate;
pub mod credential;
mod nonce;
mod quota;
mod reply;
mod requests;
mod server;
pub mod stream;
#[cfg(test)]
mod tests;
mod view;

pub use allocation::AllocationId;
pub use quota::Quota;
pub use server::{Client, Config, Counters, Dropped, Family, OpenError, Outcome, Relay, Server, Time};
pub use view::claims;
