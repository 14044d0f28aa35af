//! The words of SDP for our enums, both ways.

use super::{CodecKind, Direction, Extension};

const CODECS: [(CodecKind, &str, u32); 6] = [
    (CodecKind::Opus, "opus", 48_000),
    (CodecKind::Red, "red", 48_000),
    (CodecKind::Vp8, "VP8", 90_000),
    (CodecKind::Vp9, "VP9", 90_000),
    (CodecKind::H264, "H264", 90_000),
    (CodecKind::Av1, "AV1", 90_000),
];

const EXTENSIONS: [(Extension, &str); 9] = [
    (Extension::Mid, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    (Extension::Rid, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
    (
        Extension::RepairedRid,
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    ),
    (Extension::AudioLevel, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    (
        Extension::TransportCc,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    ),
    (
        Extension::AbsSendTime,
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    ),
    (Extension::VideoOrientation, "urn:3gpp:video-orientation"),
    (
        Extension::PlayoutDelay,
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    ),
    (
        Extension::DependencyDescriptor,
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    ),
];

impl CodecKind {
    /// The encoding name of `a=rtpmap`.
    pub fn name(self) -> &'static str {
        CODECS
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or("", |(_, name, _)| name)
    }

    /// By encoding name (in any case, RFC 4855) and clock rate.
    pub(super) fn by_name(name: &str, clock_rate: u32) -> Option<Self> {
        CODECS
            .iter()
            .find(|(_, n, c)| n.eq_ignore_ascii_case(name) && *c == clock_rate)
            .map(|(kind, ..)| *kind)
    }
}

impl Extension {
    /// The URI of `a=extmap`.
    pub fn uri(self) -> &'static str {
        EXTENSIONS.iter().find(|(e, _)| *e == self).map_or("", |(_, uri)| uri)
    }

    pub(super) fn by_uri(uri: &str) -> Option<Self> {
        EXTENSIONS.iter().find(|(_, u)| *u == uri).map(|(e, _)| *e)
    }
}

impl Direction {
    /// The attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|d| d.name() == name)
    }

    /// As the other side sees it.
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }
}
