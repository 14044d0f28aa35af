//! What the media plane is told at its start.

use std::net::{IpAddr, SocketAddr};

use sfu_core::sdp::{CodecKind, CodecPolicy};
use sfu_core::shard::MAX_SHARDS;
use sfu_core::transport::IdentityError;

/// Configuration of the media plane.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// UDP addresses to listen on. Shard n takes port + n; port 0 takes a free one (tests). An unspecified address
    /// (`0.0.0.0`, `[::]`, the latter for both families) is answered from the address that was asked.
    pub listen: Vec<SocketAddr>,
    /// Addresses named in SDP answers, the best first. Empty: those of `listen`, or of all interfaces where unspecified.
    pub advertise: Vec<IpAddr>,
    /// Number of shards: threads and ports; 64 at the most.
    pub shards: u8,
    /// Participants of one room in one shard; further ones are placed in the next shard.
    pub room_members_per_shard: usize,
    /// Node number in user fragments.
    pub node: u16,
    /// Codecs that rooms use, the preferred first.
    pub codecs: CodecPolicy,
    /// How many microphones each room forwards: the loudest.
    pub speakers: usize,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 0))],
            advertise: Vec::new(),
            shards: 1,
            room_members_per_shard: 200,
            node: 0,
            codecs: CodecPolicy {
                // Redundant audio where both sides know it: Chromium does, Firefox gets it without the redundancy.
                audio: vec![CodecKind::Red, CodecKind::Opus],
                video: vec![CodecKind::Vp8],
            },
            speakers: 5,
        }
    }
}

/// The media plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No listening address, or no shard.
    #[error("the media plane needs at least one listening address and one shard")]
    Nothing,
    /// More shards than a call can span.
    #[error("the media plane has at most {MAX_SHARDS} shards, not {0}")]
    TooMany(u8),
    /// A socket.
    #[error("cannot listen for media on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A system resource.
    #[error("cannot start a media shard: {0}")]
    System(#[from] std::io::Error),
    /// The DTLS certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}
