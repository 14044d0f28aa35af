//! What a transport tells its owner.

use crate::types::Path;

/// What became of one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Used up inside the transport (ICE, DTLS); look at `poll_transmit` and `poll_event`.
    Nothing,
    /// An authentic RTP packet; `datagram[..len]` is now the plaintext packet, header included.
    Rtp {
        /// Length of the plaintext packet.
        len: usize,
        /// The authenticated packet index of RFC 3711 §3.3.1: roll-over counter << 16 | sequence number.
        index: u64,
    },
    /// An authentic compound RTCP packet; `datagram[..len]` is now the plaintext.
    Rtcp {
        /// Length of the plaintext packet.
        len: usize,
    },
    /// DTLS application data: SCTP packets of the data channels, one or more.
    Data(Vec<Vec<u8>>),
    /// Not believed, or of no use. Nothing has changed but a counter.
    Dropped(DropReason),
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The first byte belongs to no protocol that we speak (RFC 7983).
    Unknown,
    /// It ends before its own header says so, or contradicts itself.
    Malformed,
    /// STUN without, or with wrong, integrity or fingerprint; DTLS records that do not decrypt; SRTP with a wrong tag.
    NotAuthentic,
    /// STUN that an ICE-lite responder has no answer for (an indication, a response, another method).
    Unexpected,
    /// SRTP, SRTCP or data before the DTLS handshake is complete.
    TooEarly,
    /// An index seen before, or too old to tell.
    Replayed,
    /// SRTP from an address that no check has validated, and not newer than what came before or too many of them.
    UnknownPath,
    /// Over a limit that keeps the memory and the work of an unauthenticated peer bounded.
    Limit,
    /// The transport has failed or is closed.
    Dead,
}

/// What happened to a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// DTLS is up and the peer is the one that the SDP named: packets can be sealed and opened.
    Connected,
    /// Packets to the peer go this way now. The first one comes before `Connected`.
    PathChanged(Path),
    /// No authenticated packet for [`LOST_AFTER`](super::LOST_AFTER).
    Lost,
    /// An authenticated packet after `Lost`.
    Recovered,
    /// It will never work again: drop it. A new transport (a new `PeerConnection`) is needed.
    Failed(FailReason),
    /// The peer said goodbye (DTLS close_notify).
    Closed,
}

/// Why a transport failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailReason {
    /// The peer's certificate is not the one that its SDP named.
    WrongFingerprint,
    /// The peer supports neither AEAD_AES_128_GCM nor AES_CM_128_HMAC_SHA1_80.
    NoCommonSrtpProfile,
    /// The handshake broke (no common cipher, bad signature).
    Handshake,
    /// No check came, or the handshake did not end, within [`HANDSHAKE_TIMEOUT`](super::HANDSHAKE_TIMEOUT).
    Timeout,
    /// The peer sent more before the handshake ended than any honest one does.
    Flood,
}
