//! One participant's transport: ICE-lite, DTLS and SRTP behind one sans-IO value.
//!
//! ```text
//!  datagram ─ demux ┬ STUN ─ ice ─ path, answer
//!                   ├ DTLS ─ dtls ─ keys, data
//!                   └ SRTP, SRTCP ─ srtp ─ plaintext in place
//! ```
//!
//! The owner (a shard) finds the transport of a datagram by its path, else by [`stun_local_ufrag`] and [`ufrag`], else
//! (SRTP from a new address, after a NAT rebinding) by SSRC; [`Transport::handle`] decides what is believed. After every
//! `handle`, `handle_timeout` or `restart_ice`: drain [`Transport::poll_transmit`] and [`Transport::poll_event`], and ask
//! for [`Transport::next_deadline`].

mod event;
mod fingerprint;
pub mod ufrag;

use std::time::{Duration, Instant};

pub use event::{DropReason, FailReason, Incoming, TransportEvent};
pub use fingerprint::{Fingerprint, FingerprintError};

use crate::types::Path;

/// Room that the seal functions need behind the packet: an AES-GCM tag (16) and the SRTCP index (4).
pub const MAX_SEAL_OVERHEAD: usize = 20;

/// Without an authenticated packet for this long a transport reports [`TransportEvent::Lost`].
pub const LOST_AFTER: Duration = Duration::from_secs(5);

/// An ICE user fragment and password (RFC 8445 §5.3). `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// User fragment; ours are made by [`ufrag`].
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

/// The DTLS certificate and key of this process. Made once; every transport uses it.
pub struct Identity {
    fingerprint: Fingerprint,
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the DTLS certificate could not be made: {0}")]
pub struct IdentityError(String);

/// A transport could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The DTLS library refused the configuration.
    #[error("DTLS cannot be configured: {0}")]
    Dtls(String),
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
    /// The key has protected as many packets as it may (2^31 SRTCP packets, 2^48 SRTP packets of an SSRC).
    #[error("the key is used up")]
    KeyExhausted,
}

/// Streams (SSRCs) that one transport keeps state for, in each direction; 100 bytes each. More are refused: nobody has so many.
pub const MAX_SSRCS: usize = 512;

/// One participant's transport.
pub struct Transport {
    path: Option<Path>,
}

impl Identity {
    /// Makes a P-256 key and a self-signed certificate. The randomness comes from the cryptographic library.
    pub fn generate() -> Result<Self, IdentityError> {
        Err(IdentityError("not yet".to_owned()))
    }

    /// For `a=fingerprint` of the answer.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl Transport {
    /// A transport that waits for the peer's first check.
    pub fn new(_config: TransportConfig, _identity: &Identity, _now: Instant) -> Result<Self, TransportError> {
        Ok(Self { path: None })
    }

    /// Takes one datagram. RTP and RTCP are opened in place: the plaintext is `datagram[..len]`. A datagram that is
    /// dropped is left in an unspecified state.
    pub fn handle(&mut self, _now: Instant, _path: Path, _datagram: &mut [u8]) -> Incoming {
        Incoming::Dropped(DropReason::Dead)
    }

    /// Seals `packet[..len]`, an RTP packet, in place and returns the length to send; `packet` has
    /// [`MAX_SEAL_OVERHEAD`] bytes of room behind `len`. `index` is the extended sequence number: roll-over counter << 16
    /// | the header's sequence number; the caller starts an SSRC at roll-over counter 0. Each (SSRC, index) is sealed at
    /// most once, in any order within the last [`SEAL_WINDOW`] indices: a retransmission goes out as RTX, or not at all.
    pub fn seal_rtp(&mut self, _packet: &mut [u8], _len: usize, _index: u64) -> Result<usize, SealError> {
        Err(SealError::NotConnected)
    }

    /// Seals `packet[..len]`, a compound RTCP packet, in place and returns the length to send; see `seal_rtp`.
    pub fn seal_rtcp(&mut self, _packet: &mut [u8], _len: usize) -> Result<usize, SealError> {
        Err(SealError::NotConnected)
    }

    /// Sends one SCTP packet as DTLS application data.
    pub fn send_data(&mut self, _now: Instant, _data: &[u8]) -> Result<(), SealError> {
        Err(SealError::NotConnected)
    }

    /// The next control packet to send: STUN answers and DTLS. RTP and RTCP are the caller's to send, to [`Self::path`].
    pub fn poll_transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        None
    }

    /// What has happened since the last call.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        None
    }

    /// Where packets to the peer go; `None` before the first authentic check.
    pub fn path(&self) -> Option<Path> {
        self.path
    }

    /// Whether a check has validated this path (and it has not been forgotten since).
    pub fn owns_path(&self, path: &Path) -> bool {
        self.path.as_ref() == Some(path)
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Does what is due at `now`: DTLS retransmissions, loss detection.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// New credentials for both sides (RFC 8445 §9). Paths and keys stay; checks with the old credentials are answered
    /// until the first authentic check with the new ones.
    pub fn restart_ice(&mut self, _local: IceCredentials, _remote: IceCredentials) {}

    /// Ends the association with a close_notify; drain `poll_transmit` once more, then drop the transport.
    pub fn close(&mut self, _now: Instant) {}
}

/// Behind the highest sealed index of an SSRC, how many indices may still be sealed.
pub const SEAL_WINDOW: u64 = 1024;

/// The local user fragment that a Binding request names (the part of USERNAME before the colon), read without believing
/// anything: only good for finding the transport to ask. `None` when it is not such a request.
pub fn stun_local_ufrag(_datagram: &[u8]) -> Option<&str> {
    None
}
