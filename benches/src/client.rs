//! One WebRTC connection: str0m in RTP mode on a socket of its own, driven by its own thread.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use str0m::change::SdpAnswer;
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::door::{Door, DoorError};

/// Bytes of a video packet's payload.
const VIDEO_PAYLOAD: usize = 1_050;
/// Bytes of an Opus packet at 32 kbit/s.
const AUDIO_PAYLOAD: usize = 80;

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Sends Opus (50 packets/s) and VP8.
    Publish {
        /// Video bitrate in bit/s.
        bitrate: u32,
        /// Frames per second.
        fps: u32,
    },
    /// Receives.
    View {
        /// Audio slots.
        audio: usize,
        /// Video slots.
        video: usize,
    },
}

/// What happened so far; all clients count into one.
#[derive(Debug, Default)]
pub struct Totals {
    /// Connections that are up.
    pub connected: AtomicU64,
    /// RTP packets sent.
    pub sent: AtomicU64,
    /// RTP packets received.
    pub received: AtomicU64,
    /// Sequence numbers that never came.
    pub lost: AtomicU64,
    /// Set when all should end.
    pub stop: AtomicBool,
}

/// A client failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Its offer.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// Its socket.
    #[error("socket: {0}")]
    Io(#[from] io::Error),
    /// str0m.
    #[error("client: {0}")]
    Rtc(#[from] str0m::RtcError),
    /// The answer, or an address, is not one that str0m takes.
    #[error("negotiation: {0}")]
    Negotiation(String),
}

/// A client before its thread runs.
pub struct Client {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    role: Role,
    audio: Option<Mid>,
    video: Option<Mid>,
}

impl Client {
    /// Offers, and takes the answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn join(door: &Door, number: usize, role: Role, bind: SocketAddr) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::fmt::Display| ClientError::Negotiation(error.to_string());
        let socket = UdpSocket::bind(bind)?;
        let address = socket.local_addr()?;
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtp_mode(true)
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).map_err(|e| wrong(&e))?);
        let mut api = rtc.sdp_api();
        let (mut audio_mid, mut video_mid) = (None, None);
        let publish = matches!(role, Role::Publish { .. });
        match role {
            Role::Publish { .. } => {
                audio_mid = Some(api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None));
                video_mid = Some(api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None));
            }
            Role::View { audio, video } => {
                for _ in 0..audio {
                    api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
                }
                for _ in 0..video {
                    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
                }
            }
        }
        let (offer, pending) = api.apply().ok_or_else(|| wrong(&"nothing to offer"))?;
        let answer = door.offer(number, publish, offer.to_sdp_string()).await?;
        let answer = SdpAnswer::from_sdp_string(&answer).map_err(|e| wrong(&e))?;
        rtc.sdp_api().accept_answer(pending, answer)?;
        Ok(Self {
            rtc,
            socket,
            address,
            role,
            audio: audio_mid,
            video: video_mid,
        })
    }

    /// Runs until `totals.stop`.
    ///
    /// # Errors
    /// [`ClientError`]; the connection is over then.
    pub fn run(mut self, totals: &Arc<Totals>) -> Result<(), ClientError> {
        let mut buffer = vec![0; 2_048];
        let mut streams: HashMap<u32, Stream> = HashMap::new();
        let mut sender: Option<Sender> = None;
        while !totals.stop.load(Ordering::Relaxed) {
            let timeout = loop {
                match self.rtc.poll_output()? {
                    Output::Timeout(at) => break at,
                    // A full socket buffer is a lost packet, as on any network.
                    Output::Transmit(transmit) => drop(self.socket.send_to(&transmit.contents, transmit.destination)),
                    Output::Event(Event::Connected) => {
                        totals.connected.fetch_add(1, Ordering::Relaxed);
                        sender = Sender::new(&self.rtc, self.role);
                    }
                    Output::Event(Event::KeyframeRequest(_)) => {
                        if let Some(sender) = &mut sender {
                            sender.key = true;
                        }
                    }
                    Output::Event(Event::RtpPacket(packet)) => {
                        totals.received.fetch_add(1, Ordering::Relaxed);
                        streams.entry(*packet.header.ssrc).or_default().note(*packet.seq_no);
                    }
                    Output::Event(_) => {}
                }
            };
            let now = Instant::now();
            let mut wake = timeout;
            if let Some(sender) = &mut sender {
                let sent = sender.send_due(&mut self.rtc, self.audio, self.video, now);
                if sent > 0 {
                    totals.sent.fetch_add(sent, Ordering::Relaxed);
                    self.rtc.handle_input(Input::Timeout(now))?;
                    continue;
                }
                wake = wake.min(sender.next());
            }
            let wait = wake
                .saturating_duration_since(now)
                .clamp(Duration::from_micros(200), Duration::from_millis(50));
            self.socket.set_read_timeout(Some(wait))?;
            match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let now = Instant::now();
                    let datagram = &buffer[..length];
                    if let Ok(receive) = Receive::new(Protocol::Udp, source, self.address, datagram) {
                        self.rtc.handle_input(Input::Receive(now, receive))?;
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
            self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        }
        let lost = streams.values().map(Stream::lost).sum();
        totals.lost.fetch_add(lost, Ordering::Relaxed);
        Ok(())
    }
}

/// What came of one stream.
#[derive(Default)]
struct Stream {
    first: Option<u64>,
    newest: u64,
    count: u64,
}

impl Stream {
    fn note(&mut self, number: u64) {
        let first = *self.first.get_or_insert(number);
        self.first = Some(first.min(number));
        self.newest = self.newest.max(number);
        self.count += 1;
    }

    fn lost(&self) -> u64 {
        self.first
            .map_or(0, |first| (self.newest - first + 1).saturating_sub(self.count))
    }
}

/// The synthetic media of one publisher.
struct Sender {
    opus: Pt,
    vp8: Pt,
    audio_at: Instant,
    video_at: Instant,
    frame_time: Duration,
    packets_per_frame: usize,
    audio: u64,
    video: u64,
    frames: u32,
    key: bool,
}

impl Sender {
    fn new(rtc: &Rtc, role: Role) -> Option<Self> {
        let Role::Publish { bitrate, fps } = role else {
            return None;
        };
        let pt = |codec| {
            rtc.codec_config()
                .params()
                .iter()
                .find(|p| p.spec().codec == codec)
                .map(|p| p.pt())
        };
        let now = Instant::now();
        let fps = fps.max(1);
        let packets = (bitrate / 8 / fps) as usize / VIDEO_PAYLOAD;
        Some(Self {
            opus: pt(Codec::Opus)?,
            vp8: pt(Codec::Vp8)?,
            audio_at: now,
            video_at: now,
            frame_time: Duration::from_secs(1) / fps,
            packets_per_frame: packets.max(1),
            audio: 1,
            video: 1,
            frames: 0,
            key: true,
        })
    }

    fn next(&self) -> Instant {
        self.audio_at.min(self.video_at)
    }

    fn send_due(&mut self, rtc: &mut Rtc, audio: Option<Mid>, video: Option<Mid>, now: Instant) -> u64 {
        let mut sent = 0;
        let mut api = rtc.direct_api();
        if self.audio_at <= now
            && let Some(stream) = audio.and_then(|mid| api.stream_tx_by_mid(mid, None))
        {
            self.audio_at += Duration::from_millis(20);
            let level = ExtensionValues {
                audio_level: Some(-30),
                voice_activity: Some(true),
                ..Default::default()
            };
            let time = self.audio as u32 * 960;
            let packet = RtpWrite::new(self.opus, self.audio.into(), time, now, vec![0x78; AUDIO_PAYLOAD]);
            stream.write_rtp(packet.ext_vals(level));
            self.audio += 1;
            sent += 1;
        }
        if self.video_at <= now
            && let Some(stream) = video.and_then(|mid| api.stream_tx_by_mid(mid, None))
        {
            self.video_at += self.frame_time;
            self.frames += 1;
            let key = std::mem::take(&mut self.key);
            let count = self.packets_per_frame * if key { 4 } else { 1 };
            let time = (self.frame_time.as_nanos() * 90 / 1_000_000) as u32 * self.frames;
            for part in 0..count {
                let mut payload = vec![if part == 0 { 0x90 } else { 0x80 }, 0x80];
                payload.extend((self.frames as u16 | 0x8000).to_be_bytes());
                if part == 0 {
                    payload.extend([
                        if key { 0x10 } else { 0x11 },
                        0,
                        0,
                        0x9d,
                        0x01,
                        0x2a,
                        0x80,
                        0x02,
                        0x68,
                        0x01,
                    ]);
                }
                payload.resize(VIDEO_PAYLOAD, 0x55);
                let packet = RtpWrite::new(self.vp8, self.video.into(), time, now, payload);
                stream.write_rtp(packet.marker(part + 1 == count).nackable(true));
                self.video += 1;
                sent += 1;
            }
        }
        sent
    }
}
