//! The media core, sans-IO: every entry point takes `now`, randomness is injected, nothing touches a socket.
//!
//! ```text
//!  datagram ─> shard ─> transport (ICE-lite, DTLS, SRTP opened in place) ─> rtp view ─> room's route table
//!                                                                                        │ per viewer
//!  datagram <─ arena <─ transport (SRTP sealed in place) <─ slot (SSRC, seq, timestamp, picture id rewritten)
//! ```

pub mod allocate;
pub mod audio;
pub mod budget;
pub mod data;
pub mod forward;
pub mod pacer;
pub mod quality;
pub mod room;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod shard;
pub mod transport;
pub mod types;
