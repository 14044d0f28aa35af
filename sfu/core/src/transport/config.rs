//! What a transport is made from, and the limits it keeps.

use std::time::Duration;

use super::Fingerprint;
use crate::types::Random;

/// Room that the seal functions need behind the packet: an AES-GCM tag (16) and the SRTCP index (4).
pub const MAX_SEAL_OVERHEAD: usize = 20;

/// Behind the highest sealed index of an SSRC, how many indices may still be sealed.
pub const SEAL_WINDOW: u64 = 1024;

/// Streams (SSRCs) that one transport keeps state for, in each direction, 150 bytes each; media from or to more is refused.
pub const MAX_SSRCS: usize = 512;

/// Without an authenticated packet for this long a transport reports [`TransportEvent::Lost`](super::TransportEvent::Lost).
pub const LOST_AFTER: Duration = Duration::from_secs(5);

/// A transport that is not connected this long after it was made has failed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// An ICE user fragment and password (RFC 8445 §5.3). `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// User fragment; ours are made by [`ufrag`](super::ufrag).
    pub ufrag: String,
    /// Password: the key of MESSAGE-INTEGRITY.
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

impl IceCredentials {
    /// With a fresh password of 192 random bits.
    pub fn with_random_pwd(ufrag: String, random: &mut dyn Random) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self {
            ufrag,
            pwd: bytes
                .iter()
                .map(|b| char::from(ALPHABET[usize::from(b & 63)]))
                .collect(),
        }
    }
}

/// What a transport must know of the two sides, from offer and answer.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Ours, as the answer says them.
    pub local: IceCredentials,
    /// The peer's, from its offer.
    pub remote: IceCredentials,
    /// The certificate that the peer must show, from its offer.
    pub remote_fingerprint: Fingerprint,
}

/// Why a packet was not sealed. It must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SealError {
    /// There are no keys yet, or no longer.
    #[error("the transport is not connected")]
    NotConnected,
    /// This (SSRC, index) was sealed before, or is too old to tell. Sealing it again would repeat an AES-GCM nonce, which
    /// gives the authentication key away.
    #[error("this packet index was sealed before or is too old")]
    IndexUsed,
    /// The low 16 bits of the index are not the packet's sequence number, or it has more than 48 bits.
    #[error("the index does not belong to the packet")]
    IndexMismatch,
    /// Less than [`MAX_SEAL_OVERHEAD`] bytes behind the packet.
    #[error("no room for the authentication tag")]
    NoRoom,
    /// Not an RTP or RTCP packet.
    #[error("not a whole packet")]
    Malformed,
    /// More SSRCs than a transport may send ([`MAX_SSRCS`]).
    #[error("too many streams")]
    TooManyStreams,
    /// The key has protected as many packets as it may (2^31 SRTCP packets).
    #[error("the key is used up")]
    KeyExhausted,
}
