//! The media plane behind signaling's door: the same words on both sides, neither crate knows the other.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use sfu::Handle;
use signaling::ids::{CallId, UserId};
use signaling::media::{IceCredentials, MediaError, MediaEvent, MediaOfferRequest, MediaPlane, MediaSeat, SlotPolicy};
use signaling::protocol::{
    Binding, Intent, MediaSource, MediaWay, PauseReason, QualityReason, StreamQuality, VideoCodec,
};
use tokio::sync::mpsc;

use crate::cli::Failure;
use crate::config::Media;

/// Translated events that may wait; behind it the media plane's own queue fills, which says what overflow means.
const EVENTS: usize = 256;

/// The media plane of this process.
pub(crate) struct Plane {
    handle: Handle,
    candidates: Vec<SocketAddr>,
    video_codecs: Vec<VideoCodec>,
}

/// Starts it.
pub(crate) fn start(
    config: &Media,
    tcp: Option<sfu::TcpListen>,
    tunnel: sfu::MakeTunnel<'_>,
) -> Result<Arc<Plane>, Failure> {
    let settings = sfu::MediaConfig {
        listen: vec![config.listen],
        advertise: config.advertise.clone(),
        tcp,
        shards: config.shards,
        room_members_per_shard: config.room_members_per_shard.into(),
        codecs: codecs(config),
        speakers: config.speakers.into(),
        ..sfu::MediaConfig::default()
    };
    let handle = sfu::start_with_tunnels(&settings, tunnel).map_err(|e| format!("media.listen: {e}"))?;
    tracing::info!(addresses = ?handle.addresses(), "media listens");
    Ok(Arc::new(Plane {
        candidates: handle.candidates(),
        handle,
        video_codecs: config.video_codecs.clone(),
    }))
}

impl Plane {
    /// What each shard has counted.
    pub(crate) async fn snapshot(&self) -> Vec<sfu::ShardSnapshot> {
        self.handle.snapshot().await
    }

    /// Our ICE addresses, as clients know them.
    pub(crate) fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// A line into the shards, for one TCP connection.
    pub(crate) fn line(&self) -> (sfu::Inlet, sfu::Outflow) {
        self.handle.line()
    }

    /// The shard that a connectivity check is for.
    pub(crate) fn shard_of_check(&self, datagram: &[u8]) -> Option<usize> {
        self.handle.shard_of_check(datagram)
    }

    /// The shard that has this ICE address.
    pub(crate) fn shard_at(&self, address: SocketAddr) -> Option<usize> {
        self.handle.shard_at(address)
    }

    /// Whether somebody of this name takes part in a call.
    pub(crate) fn takes_part(&self, user: &str) -> bool {
        self.handle.takes_part(user)
    }

    /// Says goodbye to every peer and ends the threads. Blocks until they have.
    pub(crate) fn stop(&self) {
        self.handle.shutdown();
    }
}

#[async_trait]
impl MediaPlane for Plane {
    async fn offer(&self, request: MediaOfferRequest) -> Result<String, MediaError> {
        let slots = match request.slots {
            SlotPolicy::Intents => sfu::SlotPolicy::Intents,
            SlotPolicy::Fill => sfu::SlotPolicy::Fill,
            SlotPolicy::Publishers(names) => sfu::SlotPolicy::Publishers(names.into_iter().map(|n| n.0).collect()),
        };
        let request = sfu::OfferRequest {
            seat: outside(&request.seat),
            sdp: request.sdp,
            mids: request
                .mids
                .into_iter()
                .map(|(mid, source)| (mid, to_source(source)))
                .collect(),
            publish: request.grants.publish,
            subscribe: request.grants.subscribe,
            slots,
        };
        self.handle.offer(request).await.map_err(refused)
    }

    async fn restart_ice(&self, seat: &MediaSeat, remote: IceCredentials) -> Result<IceCredentials, MediaError> {
        let remote = sfu::IceCredentials {
            ufrag: remote.ufrag,
            pwd: remote.pwd,
        };
        let ours = self.handle.restart_ice(&outside(seat), remote).await.map_err(refused)?;
        Ok(IceCredentials {
            ufrag: ours.ufrag,
            pwd: ours.pwd,
        })
    }

    async fn intents(&self, seat: &MediaSeat, intents: Vec<Intent>) -> Result<(), MediaError> {
        let intent = |i: Intent| sfu::Intent {
            mid: i.mid,
            participant: i.participant.0,
            source: to_source(i.source),
            height: i.height,
            fps: i.fps,
            priority: i.priority,
        };
        self.handle
            .intents(&outside(seat), intents.into_iter().map(intent).collect())
            .await
            .map_err(refused)
    }

    fn set_blocked(&self, seat: &MediaSeat, source: MediaSource, blocked: bool) {
        self.handle.set_blocked(&outside(seat), to_source(source), blocked);
    }

    fn set_limited(&self, seat: &MediaSeat, source: MediaSource, limited: bool) {
        self.handle.set_limited(&outside(seat), to_source(source), limited);
    }

    fn leave(&self, seat: &MediaSeat) {
        self.handle.leave(&outside(seat));
    }

    fn close_room(&self, room: &CallId) {
        self.handle.close_room(room.as_str());
    }

    fn video_codecs(&self) -> Vec<VideoCodec> {
        self.video_codecs.clone()
    }

    fn alive(&self) -> bool {
        self.handle.alive()
    }

    fn events(&self) -> Option<mpsc::Receiver<MediaEvent>> {
        let mut inner = self.handle.events()?;
        let (sender, receiver) = mpsc::channel(EVENTS);
        tokio::spawn(async move {
            while let Some(event) = inner.recv().await {
                if sender.send(translated(event)).await.is_err() {
                    return;
                }
            }
        });
        Some(receiver)
    }
}

fn translated(event: sfu::MediaEvent) -> MediaEvent {
    match event {
        sfu::MediaEvent::Connected(seat) => MediaEvent::Connected(inside(seat)),
        sfu::MediaEvent::Way(seat, way) => MediaEvent::Way(inside(seat), from_way(way)),
        sfu::MediaEvent::Lost(seat) => MediaEvent::Lost(inside(seat)),
        sfu::MediaEvent::Recovered(seat) => MediaEvent::Recovered(inside(seat)),
        sfu::MediaEvent::Closed(seat) => MediaEvent::Closed(inside(seat)),
        sfu::MediaEvent::Bindings(seat, slots) => {
            MediaEvent::Bindings(inside(seat), slots.into_iter().map(binding).collect())
        }
        sfu::MediaEvent::Speakers(room, people) => {
            MediaEvent::Speakers(CallId(room), people.into_iter().map(UserId).collect())
        }
        sfu::MediaEvent::Layers(seat, source, active, codec) => {
            let codec = codec.and_then(from_codec);
            MediaEvent::Layers(inside(seat), from_source(source), active, codec)
        }
        sfu::MediaEvent::Quality(seat, score, reason, streams) => {
            let streams = streams.into_iter().map(stream_quality).collect();
            MediaEvent::Quality(inside(seat), score, reason.map(quality_reason), streams)
        }
        sfu::MediaEvent::RoomFailed(room) => MediaEvent::RoomFailed(CallId(room)),
    }
}

fn from_way(way: sfu::Way) -> MediaWay {
    match way {
        sfu::Way::Udp => MediaWay::Udp,
        sfu::Way::Tcp => MediaWay::Tcp,
        sfu::Way::Relay => MediaWay::Relay,
    }
}

fn stream_quality(stream: sfu::StreamQuality) -> StreamQuality {
    StreamQuality {
        mid: stream.mid,
        user_id: UserId(stream.participant),
        source: from_source(stream.source),
        score: stream.score,
        reason: quality_reason(stream.reason),
    }
}

fn quality_reason(reason: sfu::QualityReason) -> QualityReason {
    match reason {
        sfu::QualityReason::Lost => QualityReason::Lost,
        sfu::QualityReason::Loss => QualityReason::Loss,
        sfu::QualityReason::Delay => QualityReason::Delay,
        sfu::QualityReason::Bandwidth => QualityReason::Bandwidth,
        sfu::QualityReason::Cpu => QualityReason::Cpu,
        sfu::QualityReason::Paused => QualityReason::Paused,
    }
}

fn binding(b: sfu::Binding) -> Binding {
    Binding {
        mid: b.mid,
        user_id: UserId(b.participant),
        source: from_source(b.source),
        csrc: b.csrc,
        layer: b.layer,
        paused: b.paused.is_some(),
        reason: b.paused.map(|reason| match reason {
            sfu::PauseReason::Muted => PauseReason::Muted,
            sfu::PauseReason::NotVisible => PauseReason::NotVisible,
            sfu::PauseReason::NoMedia => PauseReason::NoMedia,
            sfu::PauseReason::Bandwidth => PauseReason::Bandwidth,
        }),
    }
}

fn outside(seat: &MediaSeat) -> sfu::Seat {
    sfu::Seat {
        room: seat.room.0.clone(),
        participant: seat.participant.0.clone(),
    }
}

fn inside(seat: sfu::Seat) -> MediaSeat {
    MediaSeat {
        room: CallId(seat.room),
        participant: UserId(seat.participant),
    }
}

fn to_source(source: MediaSource) -> sfu::Source {
    match source {
        MediaSource::Mic => sfu::Source::Mic,
        MediaSource::Camera => sfu::Source::Camera,
        MediaSource::Screen => sfu::Source::Screen,
        MediaSource::ScreenAudio => sfu::Source::ScreenAudio,
    }
}

fn from_source(source: sfu::Source) -> MediaSource {
    match source {
        sfu::Source::Mic => MediaSource::Mic,
        sfu::Source::Camera => MediaSource::Camera,
        sfu::Source::Screen => MediaSource::Screen,
        sfu::Source::ScreenAudio => MediaSource::ScreenAudio,
    }
}

/// The policy of the options. What `video_codecs` leaves out nobody uses.
fn codecs(config: &Media) -> sfu::CodecPolicy {
    let mut audio = vec![sfu::CodecKind::Opus];
    if config.audio_redundancy {
        audio.insert(0, sfu::CodecKind::Red);
    }
    let video = config.video_codecs.iter().map(|codec| match codec {
        VideoCodec::Vp8 => sfu::CodecKind::Vp8,
        VideoCodec::Vp9 => sfu::CodecKind::Vp9,
        VideoCodec::H264 => sfu::CodecKind::H264,
        VideoCodec::Av1 => sfu::CodecKind::Av1,
    });
    sfu::CodecPolicy {
        audio,
        video: video.collect(),
    }
}

fn from_codec(codec: sfu::CodecKind) -> Option<VideoCodec> {
    match codec {
        sfu::CodecKind::Vp8 => Some(VideoCodec::Vp8),
        sfu::CodecKind::Vp9 => Some(VideoCodec::Vp9),
        sfu::CodecKind::H264 => Some(VideoCodec::H264),
        sfu::CodecKind::Av1 => Some(VideoCodec::Av1),
        sfu::CodecKind::Opus | sfu::CodecKind::Red => None,
    }
}

fn refused(error: sfu::MediaError) -> MediaError {
    match error {
        sfu::MediaError::SdpRejected(why) => MediaError::SdpRejected(why),
        sfu::MediaError::Limit(why) => MediaError::Limit(why),
        sfu::MediaError::NotFound => MediaError::NotFound,
        sfu::MediaError::Unavailable => MediaError::Unavailable,
    }
}
