//! One WebRTC connection before its thread runs it: the offer and the answer.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::Instant;

use signaling::protocol::IceServer;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::DtlsCert;
use str0m::media::{Direction, MediaKind, Mid, Simulcast, SimulcastLayer};
use str0m::net::Protocol;
use str0m::{Candidate, Rtc};

use crate::impair::sdp::redirect;
use crate::scenario::{ClientKind, Codec, Route, Video};

use super::socket;

/// A connection did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Its socket.
    #[error("socket: {0}")]
    Io(#[from] io::Error),
    /// str0m.
    #[error("client: {0}")]
    Rtc(#[from] str0m::RtcError),
    /// The `webrtc` crate.
    #[error("client: {0}")]
    Webrtc(String),
    /// The answer, or an address, is not one that str0m takes.
    #[error("negotiation: {0}")]
    Negotiation(String),
    /// The answer leaves out what the scenario needs.
    #[error("the server's answer takes no {0}")]
    Lacks(String),
}

fn wrong(error: &dyn std::fmt::Display) -> ConnectionError {
    ConnectionError::Negotiation(error.to_string())
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Sends a microphone.
    pub audio: bool,
    /// Sends a camera.
    pub video: Option<&'a Video>,
    /// Receive slots for audio.
    pub audio_slots: usize,
    /// Receive slots for video.
    pub video_slots: usize,
    /// Codec of the video that is received.
    pub codec: Codec,
    /// Whose WebRTC.
    pub client: ClientKind,
    /// The way to the server.
    pub route: Route,
    /// Relays that the server offers.
    pub ice: &'a [IceServer],
    /// Comes back with a connection of its own, as a page that was loaded again: under the former certificate a server takes an
    /// offer for an ICE restart of the former connection, and goes on with its keys.
    pub again: bool,
}

/// The mids of a connection's m-lines.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Sends the microphone.
    pub audio: Option<String>,
    /// Sends the camera.
    pub video: Option<String>,
    /// Receive audio.
    pub audio_slots: Vec<String>,
    /// Receive video.
    pub video_slots: Vec<String>,
}

/// A connection with its m-lines.
pub struct Connection {
    pub(super) rtc: Rtc,
    /// Taken out by the thread that runs it.
    pub(super) socket: Option<UdpSocket>,
    pub(super) address: SocketAddr,
    /// Sends the microphone.
    pub audio: Option<Mid>,
    /// Sends the camera.
    pub video: Option<Mid>,
    /// Codec of the camera.
    pub(super) codec: Codec,
    /// RIDs of the camera's layers; empty: no simulcast.
    pub(super) rids: Vec<String>,
}

/// A connection that has offered.
pub struct Offered {
    connection: Connection,
    lines: Lines,
    pending: SdpPendingOffer,
    video_name: Option<&'static str>,
}

/// All clients of this process show one certificate: making one takes longer than everything else of a join. Who comes back
/// gets one of its own.
fn certificate(again: bool) -> Option<DtlsCert> {
    static CERTIFICATE: OnceLock<Option<DtlsCert>> = OnceLock::new();
    let make = || str0m::crypto::from_feature_flags().dtls_provider.generate_certificate();
    if again {
        make()
    } else {
        CERTIFICATE.get_or_init(make).clone()
    }
}

pub(super) fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Vp8 => "VP8",
        Codec::H264 => "H264",
        Codec::Vp9 => "VP9",
        Codec::Av1 => "AV1",
    }
}

fn build(bind: IpAddr, codec: Codec, again: bool) -> Result<(Rtc, UdpSocket, SocketAddr), ConnectionError> {
    let socket = socket::open(bind)?;
    let address = socket.local_addr()?;
    let mut config = Rtc::builder()
        .clear_codecs()
        .enable_opus(true, false)
        .set_rtp_mode(true);
    config = match codec {
        Codec::Vp8 => config.enable_vp8(true),
        Codec::H264 => config.enable_h264(true),
        Codec::Vp9 => config.enable_vp9(true),
        Codec::Av1 => config.enable_av1(true),
    };
    if let Some(certificate) = certificate(again) {
        config = config.set_dtls_cert(certificate);
    }
    let mut rtc = config.build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).map_err(|e| wrong(&e))?);
    Ok((rtc, socket, address))
}

/// Makes a connection and its offer.
///
/// # Errors
/// [`ConnectionError`].
pub fn offer(bind: IpAddr, wanted: Wanted<'_>) -> Result<(Offered, String), ConnectionError> {
    let codec = wanted.video.map_or(wanted.codec, |v| v.codec);
    let (mut rtc, socket, address) = build(bind, codec, wanted.again)?;
    let mut api = rtc.sdp_api();
    let audio = wanted
        .audio
        .then(|| api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None));
    let rids: Vec<String> = match wanted.video {
        Some(video) if video.layers.len() > 1 => video.layers.iter().map(|l| l.rid.clone()).collect(),
        _ => Vec::new(),
    };
    let video = wanted.video.map(|_| {
        let simulcast = (!rids.is_empty()).then(|| {
            let mut simulcast = Simulcast::new();
            for rid in &rids {
                simulcast.add_send_layer(SimulcastLayer::new(rid));
            }
            simulcast
        });
        api.add_media(MediaKind::Video, Direction::SendOnly, None, None, simulcast)
    });
    let mut slots = |kind: MediaKind, count: usize| -> Vec<String> {
        (0..count)
            .map(|_| api.add_media(kind, Direction::RecvOnly, None, None, None).to_string())
            .collect()
    };
    let audio_slots = slots(MediaKind::Audio, wanted.audio_slots);
    let video_slots = slots(MediaKind::Video, wanted.video_slots);
    let (offer, pending) = api.apply().ok_or_else(|| wrong(&"nothing to offer"))?;
    let sdp = offer.to_sdp_string();
    let offered = Offered {
        connection: Connection {
            rtc,
            socket: Some(socket),
            address,
            audio,
            video,
            codec,
            rids,
        },
        lines: Lines {
            audio: audio.as_ref().map(ToString::to_string),
            video: video.as_ref().map(ToString::to_string),
            audio_slots,
            video_slots,
        },
        pending,
        video_name: (wanted.video.is_some() || wanted.video_slots > 0).then(|| name(codec)),
    };
    Ok((offered, sdp))
}

impl Offered {
    /// The m-lines, to name them to the server.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Takes the server's answer; with `through`, the server is reached by that address instead of its own.
    ///
    /// # Errors
    /// [`ConnectionError::Lacks`] when the server does not do what is wanted, else another.
    pub fn answered(mut self, answer: &str, through: Option<SocketAddr>) -> Result<Connection, ConnectionError> {
        if let Some(name) = self.video_name
            && !takes(answer, name)
        {
            return Err(ConnectionError::Lacks(name.to_owned()));
        }
        if !self.connection.rids.is_empty() && !answer.contains("a=simulcast:recv") {
            return Err(ConnectionError::Lacks("simulcast by RID".to_owned()));
        }
        let answer = redirected(answer, through);
        let answer = SdpAnswer::from_sdp_string(&answer).map_err(|e| wrong(&e))?;
        self.connection.rtc.sdp_api().accept_answer(self.pending, answer)?;
        Ok(self.connection)
    }
}

/// Answers a server's offer to a viewer.
///
/// # Errors
/// [`ConnectionError`].
pub fn answer(
    bind: IpAddr,
    offer: &str,
    codec: Codec,
    through: Option<SocketAddr>,
) -> Result<(Connection, String), ConnectionError> {
    let (mut rtc, socket, address) = build(bind, codec, false)?;
    let offer = SdpOffer::from_sdp_string(&redirected(offer, through)).map_err(|e| wrong(&e))?;
    let answer = rtc.sdp_api().accept_offer(offer)?;
    let connection = Connection {
        rtc,
        socket: Some(socket),
        address,
        audio: None,
        video: None,
        codec,
        rids: Vec::new(),
    };
    Ok((connection, answer.to_sdp_string()))
}

pub(super) fn redirected(sdp: &str, through: Option<SocketAddr>) -> String {
    through.map_or_else(|| sdp.to_owned(), |proxy| redirect(sdp, proxy))
}

/// Whether an SDP has a payload type for a codec in an m-line that is not rejected.
pub(super) fn takes(sdp: &str, codec: &str) -> bool {
    let wanted = format!("{codec}/90000").to_ascii_lowercase();
    sdp.split("\nm=").skip(1).any(|section| {
        let rejected = section.split_ascii_whitespace().nth(1) == Some("0") && !section.contains("a=bundle-only");
        !rejected
            && section
                .lines()
                .any(|l| l.starts_with("a=rtpmap:") && l.to_ascii_lowercase().contains(&wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=rtpmap:97 vp8/90000\r\n";

    #[test]
    fn a_codec_counts_only_where_its_line_was_taken() {
        assert!(takes(ANSWER, "VP8"));
        assert!(!takes(ANSWER, "H264"), "its line was rejected");
        assert!(!takes(ANSWER, "AV1"));
    }

    #[test]
    fn every_codec_is_offered_with_its_layers() {
        let layer = |rid: &str| crate::scenario::Layer {
            rid: rid.into(),
            height: 180,
            bitrate: 100_000,
            fps: 15,
        };
        for codec in [Codec::Vp8, Codec::H264, Codec::Vp9, Codec::Av1] {
            let video = Video {
                codec,
                layers: vec![layer("q"), layer("h"), layer("f")],
                key_frame_seconds: 0.0,
            };
            let wanted = Wanted {
                audio: true,
                video: Some(&video),
                audio_slots: 2,
                video_slots: 3,
                ..Wanted::default()
            };
            let (_, sdp) = offer([127, 0, 0, 1].into(), wanted).unwrap();
            assert!(takes(&sdp, name(codec)), "{sdp}");
            assert!(sdp.contains("a=simulcast:send q;h;f"), "{sdp}");
            assert_eq!(sdp.matches("a=recvonly").count(), 5);
        }
    }
}
