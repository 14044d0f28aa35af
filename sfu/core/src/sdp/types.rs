//! What an offer says and what was agreed, as values.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::transport::{Fingerprint, IceCredentials};
use crate::types::Source;

/// What an m-line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `m=audio`.
    Audio,
    /// `m=video`.
    Video,
    /// `m=application`: data channels.
    Application,
}

/// What an m-line is for, seen from the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The peer sends this source.
    Publish(Source),
    /// We send: a slot for sources of this kind.
    Slot(Source),
    /// Nobody sends; also data channels.
    Inactive,
}

/// A codec's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodecKind {
    /// `opus/48000/2`.
    Opus,
    /// `red/48000/2`: RFC 2198 around Opus.
    Red,
    /// `VP8/90000`.
    Vp8,
    /// `VP9/90000`.
    Vp9,
    /// `H264/90000`.
    H264,
    /// `AV1/90000`.
    Av1,
}

/// One codec of an m-line with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Payload type, the offer's.
    pub pt: u8,
    /// Which codec.
    pub kind: CodecKind,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Audio channels; 0 where the offer does not say.
    pub channels: u8,
    /// The text of `a=fmtp`, empty when there is none.
    pub fmtp: String,
    /// Payload type of its retransmissions (RFC 4588), when offered.
    pub rtx_pt: Option<u8>,
    /// `a=rtcp-fb: nack`.
    pub nack: bool,
    /// `a=rtcp-fb: nack pli`.
    pub pli: bool,
    /// `a=rtcp-fb: ccm fir`.
    pub fir: bool,
    /// `a=rtcp-fb: transport-cc`.
    pub transport_cc: bool,
    /// `a=rtcp-fb: goog-remb`.
    pub remb: bool,
}

/// A header extension that we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`.
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`.
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`.
    RepairedRid,
    /// RFC 6464.
    AudioLevel,
    /// Transport-wide sequence number.
    TransportCc,
    /// Absolute send time.
    AbsSendTime,
    /// `urn:3gpp:video-orientation`.
    VideoOrientation,
    /// Playout delay limits.
    PlayoutDelay,
    /// AV1 dependency descriptor, used with any codec.
    DependencyDescriptor,
}

/// The agreed extension ids of an m-line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// By `Extension as usize`; 0: not agreed.
    ids: [u8; Extension::ALL.len()],
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::DependencyDescriptor,
    ];
}

impl ExtensionIds {
    /// The id of an extension, when agreed.
    pub fn id(&self, extension: Extension) -> Option<u8> {
        match self.ids[extension as usize] {
            0 => None,
            id => Some(id),
        }
    }

    /// The extension behind an id, when agreed.
    pub fn extension(&self, id: u8) -> Option<Extension> {
        Extension::ALL
            .into_iter()
            .find(|e| id != 0 && self.ids[*e as usize] == id)
    }

    /// Agrees on an id (1 to 255, not 15).
    pub fn set(&mut self, extension: Extension, id: u8) {
        self.ids[extension as usize] = id;
    }
}

/// SSRCs that a sending m-line declares; empty when it names streams by RID only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredSsrcs {
    /// Streams, lowest simulcast layer first (the order of `ssrc-group:SIM`); each with its RTX SSRC (`ssrc-group:FID`).
    pub streams: Vec<(u32, Option<u32>)>,
    /// `cname`, when declared.
    pub cname: Option<String>,
}

/// One m-line of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedMedia {
    /// `a=mid`.
    pub mid: String,
    /// What it carries.
    pub kind: MediaKind,
    /// What it is for.
    pub role: Role,
    /// The codecs that we know, in the offer's order.
    pub codecs: Vec<Codec>,
    /// Codec names as offered, ours or not: for the error that names them.
    pub codec_names: Vec<String>,
    /// The extensions that we know and that can be used in this line's direction.
    pub extensions: Vec<OfferedExtension>,
    /// `a=rid:x send`, in the order of `a=simulcast` (libwebrtc: lowest layer first).
    pub rids: Vec<String>,
    /// Declared SSRCs.
    pub ssrcs: DeclaredSsrcs,
    /// `a=rtcp-rsize`.
    pub reduced_size: bool,
    /// The transport of the m-line, for the answer: `UDP/TLS/RTP/SAVPF`, `UDP/DTLS/SCTP`.
    pub protocol: String,
    /// The first format of the m-line, for the answer that rejects it.
    pub first_format: String,
    /// Port 0 and not bundled: the offerer has rejected or stopped this line.
    pub rejected: bool,
    /// `a=sctp-port` of an application line.
    pub sctp_port: Option<u16>,
    /// `a=extmap-allow-mixed` in this section (Firefox).
    pub extmap_allow_mixed: bool,
}

/// One `a=extmap` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedExtension {
    /// The offer's id.
    pub id: u8,
    /// What it is.
    pub extension: Extension,
    /// Seen from the offerer; most offers do not say, Firefox does.
    pub direction: Option<Direction>,
}

/// `a=sendrecv` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// From who says it.
    SendOnly,
    /// To who says it.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether who says it may send.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether who says it may receive.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// An offer, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The peer's ICE credentials.
    pub ice: IceCredentials,
    /// The peer's certificate.
    pub fingerprint: Fingerprint,
    /// Its m-lines, in order.
    pub media: Vec<OfferedMedia>,
    /// `a=extmap-allow-mixed` at session level (Chromium).
    pub extmap_allow_mixed: bool,
}

/// How an offer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRules<'a> {
    /// What each mid is for (`protocol::MediaOffer::mids`); may be empty. Where a mid is absent the first audio and video
    /// m-lines of a direction are microphone and camera, and further ones are as `further_lines` says.
    pub mids: &'a BTreeMap<String, Source>,
    /// What m-lines beyond the first of their direction and kind are for, when `mids` does not say.
    pub further_lines: FurtherLines,
    /// The peer may send; else its sending m-lines become slots (if it also receives) or inactive.
    pub publish: bool,
    /// The peer may receive; else its receiving m-lines are inactive.
    pub subscribe: bool,
}

/// What unnamed further m-lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FurtherLines {
    /// Screen and its sound: the room client's rule.
    Screen,
    /// Other people's cameras and microphones: WHEP.
    People,
}

/// Codecs that an answer may take, the best first. Default: Opus and VP8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecPolicy {
    /// For audio.
    pub audio: Vec<CodecKind>,
    /// For video.
    pub video: Vec<CodecKind>,
}

impl Default for CodecPolicy {
    fn default() -> Self {
        Self {
            audio: vec![CodecKind::Opus],
            video: vec![CodecKind::Vp8],
        }
    }
}

/// The SSRCs of one slot; they never change while the transport lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSsrcs {
    /// Media.
    pub ssrc: u32,
    /// Retransmissions and probe padding. Used when the m-line has a codec with RTX.
    pub rtx: u32,
}

/// What the answer says of us.
#[derive(Clone, Debug)]
pub struct AnswerParams<'a> {
    /// Our ICE credentials.
    pub ice: &'a IceCredentials,
    /// Our certificate.
    pub fingerprint: &'a Fingerprint,
    /// Where we listen (UDP), the best first. They are host candidates, written into the answer: nothing trickles.
    pub candidates: &'a [SocketAddr],
    /// Where we take ICE-TCP connections (RFC 6544: passive), the best first.
    pub tcp_candidates: &'a [SocketAddr],
    /// SSRCs for each m-line of role [`Role::Slot`], by mid.
    pub slots: &'a BTreeMap<String, SlotSsrcs>,
    /// `cname` of everything that we send.
    pub cname: &'a str,
    /// Which codecs may be taken.
    pub codecs: &'a CodecPolicy,
    /// `o=` session id and version: the id stays, the version grows with each answer of one transport.
    pub session: (u64, u64),
}

/// One agreed m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedMedia {
    /// `a=mid`.
    pub mid: String,
    /// What it carries.
    pub kind: MediaKind,
    /// What it is for.
    pub role: Role,
    /// The codecs agreed, the one to use first in front; feedback flags are what both sides do.
    pub codecs: Vec<Codec>,
    /// Extension ids agreed.
    pub extensions: ExtensionIds,
    /// RIDs that we receive (simulcast), lowest layer first.
    pub rids: Vec<String>,
    /// SSRCs that the publisher declared.
    pub ssrcs: DeclaredSsrcs,
    /// A slot's SSRCs; `rtx` only when a codec has RTX.
    pub slot: Option<SlotSsrcs>,
    /// A slot's msid: the stream that pairs audio slot k with video slot k, and the track.
    pub msid: Option<(String, String)>,
    /// RTCP may be sent without a report in front (RFC 5506).
    pub reduced_size: bool,
}

/// What offer and answer agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// In the order of the m-lines.
    pub media: Vec<NegotiatedMedia>,
}
