//! What these clients offer: one codec for video, Opus, and the header extensions and feedback of a browser.

use rand::RngExt;
use rtc::interceptor::Slot;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_AV1, MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_VP8, MIME_TYPE_VP9,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use webrtc::peer_connection::{MediaEngine, Registry, configure_twcc_sender_only, register_default_interceptors};

use crate::scenario::Codec;

use super::requests;

/// Payload types that we offer.
pub(super) const OPUS: u8 = 111;
pub(super) const VIDEO: u8 = 96;
/// RFC 6464.
pub(super) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// RFC 9143 and RFC 8852.
pub(super) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(super) const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub(super) fn codec_of(codec: Codec) -> RTCRtpCodec {
    let (mime, fmtp) = match codec {
        Codec::Vp8 => (MIME_TYPE_VP8, ""),
        Codec::Vp9 => (MIME_TYPE_VP9, "profile-id=0"),
        Codec::H264 => (
            MIME_TYPE_H264,
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        ),
        Codec::Av1 => (MIME_TYPE_AV1, "profile=0"),
    };
    let feedback = |typ: &str, parameter: &str| RTCPFeedback {
        typ: typ.to_owned(),
        parameter: parameter.to_owned(),
    };
    RTCRtpCodec {
        mime_type: mime.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback: vec![feedback("nack", ""), feedback("nack", "pli"), feedback("ccm", "fir")],
    }
}

pub(super) fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: Vec::new(),
    }
}

/// Codecs, header extensions and feedback: what a browser offers, of one codec.
pub(super) fn media(codec: Codec) -> Result<(MediaEngine, Registry), webrtc::error::Error> {
    let mut media = MediaEngine::default();
    let mut register = |rtp_codec, payload_type, kind| {
        let parameters = RTCRtpCodecParameters {
            rtp_codec,
            payload_type,
        };
        media.register_codec(parameters, kind)
    };
    register(opus(), OPUS, RtpCodecKind::Audio)?;
    register(codec_of(codec), VIDEO, RtpCodecKind::Video)?;
    let repair = RTCRtpCodec {
        mime_type: "video/rtx".to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: format!("apt={VIDEO}"),
        ..RTCRtpCodec::default()
    };
    register(repair, VIDEO + 1, RtpCodecKind::Video)?;
    for uri in [AUDIO_LEVEL, MID] {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        media.register_header_extension(extension, RtpCodecKind::Audio, None)?;
    }
    let registry = register_default_interceptors(Registry::new(), &mut media)?;
    let registry = configure_twcc_sender_only(registry, &mut media)?;
    // Behind everything that acts on RTCP.
    let registry = registry.with(Slot::from(14_000), requests::KeyFrameRequests::default());
    Ok((media, registry))
}

pub(super) fn encodings(codec: &RTCRtpCodec, rids: &[String]) -> Vec<RTCRtpEncodingParameters> {
    let one = |rid: &str| RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            rid: rid.to_owned(),
            ssrc: Some(rand::rng().random_range(1..u32::MAX)),
            ..Default::default()
        },
        active: true,
        codec: codec.clone(),
        ..Default::default()
    };
    match rids {
        [] => vec![one("")],
        rids => rids.iter().map(|rid| one(rid)).collect(),
    }
}
