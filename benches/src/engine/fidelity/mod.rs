//! Connections of the `webrtc` crate: another ICE, DTLS, SRTP and congestion feedback than str0m's, relays (TURN) and ICE over
//! TCP. One task and several locks a connection: for fidelity, not for volume.
//!
//! There are no kernel receive stamps here: delay includes the client's own way from its socket to its reader.

mod codecs;
mod requests;
mod run;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::RTCRtpTransceiverInit;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RtpCodecKind};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceCandidateInit,
    RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionState, RTCSessionDescription,
    SettingEngineBuilder,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RtpTransceiver};

use crate::scenario::Route;

use super::connection::{ConnectionError, Lines, Wanted, name, redirected, takes};

use codecs::{AUDIO_LEVEL, MID, OPUS, RID, VIDEO, codec_of, encodings, media, opus};
pub(super) use run::Crowd;

/// How long candidates may take to gather, an allocation at a relay included.
const GATHER_WITHIN: Duration = Duration::from_secs(15);

/// What the library says, in the order in which it says it.
pub(super) enum Happening {
    Gathered,
    State(RTCPeerConnectionState),
    Track(Arc<dyn TrackRemote>),
}

/// A connection that has offered, or is negotiated.
pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    inbox: mpsc::UnboundedReceiver<Happening>,
    lines: Lines,
    audio: Option<Sending>,
    video: Option<Sending>,
    codec: Option<&'static str>,
    route: Route,
}

/// A track that is sent.
struct Sending {
    track: Arc<TrackLocalStaticRTP>,
    payload_type: u8,
    /// By layer.
    ssrcs: Vec<u32>,
    /// By layer; empty: no simulcast.
    rids: Vec<String>,
    mid: String,
    /// Numbers of the header extensions that were agreed on.
    level: Option<u8>,
    mid_extension: Option<u8>,
    rid_extension: Option<u8>,
}

struct Handler(mpsc::UnboundedSender<Happening>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            // Nobody listens any more once the connection is given up.
            let _ = self.0.send(Happening::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.0.send(Happening::State(state));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.0.send(Happening::Track(track));
    }
}

fn failed(error: &dyn std::fmt::Display) -> ConnectionError {
    ConnectionError::Webrtc(error.to_string())
}

/// Makes a connection and its offer, with all candidates in it.
///
/// # Errors
/// [`ConnectionError`].
pub(super) async fn offer(bind: IpAddr, wanted: Wanted<'_>) -> Result<(Peer, String), ConnectionError> {
    let codec = wanted.video.map_or(wanted.codec, |v| v.codec);
    let (media, registry) = media(codec).map_err(|e| failed(&e))?;
    let mut configuration = RTCConfigurationBuilder::new();
    if wanted.route == Route::Turn {
        let relays = relays(wanted.ice);
        if relays.is_empty() {
            return Err(ConnectionError::Lacks(
                "TURN over UDP: it offers no such server".to_owned(),
            ));
        }
        configuration = configuration
            .with_ice_servers(relays)
            .with_ice_transport_policy(RTCIceTransportPolicy::Relay);
    }
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let settings = SettingEngineBuilder::new().with_multicast_dns_mode(MulticastDnsMode::Disabled);
    let mut builder = PeerConnectionBuilder::new()
        .with_configuration(configuration.build())
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_setting_engine(settings.build())
        .with_handler(Arc::new(Handler(sender)));
    builder = match wanted.route {
        Route::Tcp => builder.with_tcp_addrs(vec![SocketAddr::new(bind, 0)]),
        Route::Direct | Route::Turn => builder.with_udp_addrs(vec![SocketAddr::new(bind, 0)]),
    };
    let connection: Arc<dyn PeerConnection> = Arc::new(builder.build().await.map_err(|e| failed(&e))?);
    let mut audio = match wanted.audio {
        true => Some(sending(&connection, RtpCodecKind::Audio, &opus(), OPUS, &[]).await?),
        false => None,
    };
    let mut video = None;
    if let Some(camera) = wanted.video {
        let rids: Vec<String> = match camera.layers.len() {
            0 | 1 => Vec::new(),
            _ => camera.layers.iter().map(|l| l.rid.clone()).collect(),
        };
        let codec = codec_of(camera.codec);
        video = Some(sending(&connection, RtpCodecKind::Video, &codec, VIDEO, &rids).await?);
    }
    let mut slots = Vec::new();
    for (kind, count) in [
        (RtpCodecKind::Audio, wanted.audio_slots),
        (RtpCodecKind::Video, wanted.video_slots),
    ] {
        for _ in 0..count {
            let init = direction(RTCRtpTransceiverDirection::Recvonly);
            let slot = connection.add_transceiver_from_kind(kind, Some(init)).await;
            slots.push((kind, slot.map_err(|e| failed(&e))?));
        }
    }
    let offer = connection.create_offer(None).await.map_err(|e| failed(&e))?;
    connection.set_local_description(offer).await.map_err(|e| failed(&e))?;
    gathered(&mut inbox).await?;
    let offer = connection
        .local_description()
        .await
        .ok_or_else(|| failed(&"it has no description of itself"))?;
    let mut lines = Lines::default();
    for (sending, line) in [(&mut audio, &mut lines.audio), (&mut video, &mut lines.video)] {
        if let Some((sending, transceiver)) = sending {
            sending.mid = mid(transceiver.as_ref()).await?;
            *line = Some(sending.mid.clone());
        }
    }
    for (kind, slot) in slots {
        let mid = mid(slot.as_ref()).await?;
        match kind {
            RtpCodecKind::Audio => lines.audio_slots.push(mid),
            _ => lines.video_slots.push(mid),
        }
    }
    let peer = Peer {
        connection,
        inbox,
        lines,
        audio: audio.map(|(sending, _)| sending),
        video: video.map(|(sending, _)| sending),
        codec: (wanted.video.is_some() || wanted.video_slots > 0).then(|| name(codec)),
        route: wanted.route,
    };
    Ok((peer, offer.sdp))
}

/// The relays over UDP among what the server offers.
fn relays(offered: &[signaling::protocol::IceServer]) -> Vec<RTCIceServer> {
    let udp = |url: &&String| url.starts_with("turn:") && !url.contains("transport=tcp");
    let relay = |server: &signaling::protocol::IceServer| RTCIceServer {
        urls: server.urls.iter().filter(udp).cloned().collect(),
        username: server.username.clone().unwrap_or_default(),
        credential: server.credential.clone().unwrap_or_default(),
    };
    offered
        .iter()
        .map(relay)
        .filter(|relay| !relay.urls.is_empty())
        .collect()
}

fn direction(direction: RTCRtpTransceiverDirection) -> RTCRtpTransceiverInit {
    RTCRtpTransceiverInit {
        direction,
        streams: Vec::new(),
        send_encodings: Vec::new(),
    }
}

async fn sending(
    connection: &Arc<dyn PeerConnection>,
    kind: RtpCodecKind,
    codec: &RTCRtpCodec,
    payload_type: u8,
    rids: &[String],
) -> Result<(Sending, Arc<dyn RtpTransceiver>), ConnectionError> {
    let encodings = encodings(codec, rids);
    let ssrcs = encodings.iter().filter_map(|e| e.rtp_coding_parameters.ssrc).collect();
    let label = if kind == RtpCodecKind::Audio {
        "microphone"
    } else {
        "camera"
    };
    let track = MediaStreamTrack::new(label.to_owned(), label.to_owned(), label.to_owned(), kind, encodings);
    let track = Arc::new(TrackLocalStaticRTP::new(track));
    let local: Arc<dyn TrackLocal> = track.clone();
    let init = direction(RTCRtpTransceiverDirection::Sendonly);
    let transceiver = connection.add_transceiver_from_track(local, Some(init)).await;
    let sending = Sending {
        track,
        payload_type,
        ssrcs,
        rids: rids.to_vec(),
        mid: String::new(),
        level: None,
        mid_extension: None,
        rid_extension: None,
    };
    Ok((sending, transceiver.map_err(|e| failed(&e))?))
}

async fn mid(transceiver: &dyn RtpTransceiver) -> Result<String, ConnectionError> {
    let mid = transceiver.mid().await.map_err(|e| failed(&e))?;
    mid.ok_or_else(|| failed(&"an m-line has no mid"))
}

async fn gathered(inbox: &mut mpsc::UnboundedReceiver<Happening>) -> Result<(), ConnectionError> {
    let wait = async {
        while let Some(happening) = inbox.recv().await {
            if matches!(happening, Happening::Gathered) {
                return Ok(());
            }
        }
        Err(failed(&"it ended while it gathered candidates"))
    };
    tokio::time::timeout(GATHER_WITHIN, wait)
        .await
        .unwrap_or_else(|_| Err(failed(&"no candidates within 15 s")))
}

impl Peer {
    /// The m-lines, to name them to the server.
    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Takes the server's answer.
    ///
    /// # Errors
    /// [`ConnectionError::Lacks`] when the server does not do what is wanted, else another.
    pub(super) async fn answered(mut self, answer: &str, through: Option<SocketAddr>) -> Result<Self, ConnectionError> {
        if let Some(name) = self.codec.filter(|name| !takes(answer, name)) {
            return Err(ConnectionError::Lacks(name.to_owned()));
        }
        let over_tcp = |line: &str| line.starts_with("a=candidate:") && line.to_ascii_lowercase().contains(" tcp ");
        if self.route == Route::Tcp && !answer.lines().any(over_tcp) {
            return Err(ConnectionError::Lacks("candidate over TCP".to_owned()));
        }
        for sending in [&mut self.audio, &mut self.video].into_iter().flatten() {
            let section = section(answer, &sending.mid);
            sending.level = extension(section, AUDIO_LEVEL);
            sending.mid_extension = extension(section, MID);
            sending.rid_extension = extension(section, RID);
        }
        let answer = match self.route {
            // What goes through a relay cannot be sent to a proxy as well.
            Route::Turn => answer.to_owned(),
            Route::Direct | Route::Tcp => redirected(answer, through),
        };
        // The crate dials only the candidates that it is given one by one, not those in a description.
        let dialled: Vec<String> = match self.route {
            Route::Tcp => answer
                .lines()
                .filter(|line| over_tcp(line))
                .map(str::to_owned)
                .collect(),
            Route::Direct | Route::Turn => Vec::new(),
        };
        let answer = RTCSessionDescription::answer(answer).map_err(|e| failed(&e))?;
        self.connection
            .set_remote_description(answer)
            .await
            .map_err(|e| failed(&e))?;
        for line in dialled {
            let candidate = RTCIceCandidateInit {
                candidate: line.trim_start_matches("a=").trim_end().to_owned(),
                sdp_mline_index: Some(0),
                ..RTCIceCandidateInit::default()
            };
            self.connection
                .add_ice_candidate(candidate)
                .await
                .map_err(|e| failed(&e))?;
        }
        Ok(self)
    }
}

/// The part of a description about one m-line.
fn section<'a>(sdp: &'a str, mid: &str) -> &'a str {
    let wanted = format!("a=mid:{mid}");
    let is = |section: &&str| section.lines().any(|line| line.trim_end() == wanted);
    sdp.split("\nm=").find(is).unwrap_or_default()
}

/// The number of a header extension (RFC 8285 section 5).
fn extension(section: &str, uri: &str) -> Option<u8> {
    section.lines().find_map(|line| {
        let mut fields = line.trim().strip_prefix("a=extmap:")?.split(' ');
        let number = fields.next()?.split('/').next()?.parse().ok()?;
        (fields.next()? == uri).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_those_of_their_line() {
        let sdp = "v=0\r\nm=audio 9 X 111\r\na=mid:0\r\na=extmap:3 urn:x\r\n\
            m=video 9 X 96\r\na=mid:10\r\na=extmap:5/sendonly urn:x\r\n";
        assert_eq!(extension(section(sdp, "0"), "urn:x"), Some(3));
        assert_eq!(extension(section(sdp, "10"), "urn:x"), Some(5));
        assert_eq!(extension(section(sdp, "1"), "urn:x"), None);
    }
}
