//! A server core and str0m clients in one thread, without sockets and on a clock of our own: what micro benchmarks feed
//! their packets from, and where the bare forwarder is tested.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::forward::{Arena, PacketBuffer};
use sfu_core::types::Path;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcError};

/// A server without its sockets.
pub trait Core {
    /// Takes a datagram.
    fn take(&mut self, now: Instant, path: Path, buffer: &mut PacketBuffer);
    /// What it wants sent.
    fn outgoing(&mut self) -> &mut Arena;
    /// Lets time pass.
    fn tick(&mut self, now: Instant);
}

/// The server's address in the lab.
pub fn server() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5_000))
}

/// It does not come about.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// str0m.
    #[error("client: {0}")]
    Rtc(#[from] RtcError),
    /// An answer that it does not take, or no offer at all.
    #[error("negotiation: {0}")]
    Negotiation(String),
    /// Not connected in ten seconds of the lab's time.
    #[error("{0} of {1} clients connected")]
    NotConnected(usize, usize),
}

/// A client.
pub struct LabClient {
    rtc: Rtc,
    address: SocketAddr,
    audio: Option<Mid>,
    video: Option<Mid>,
    pending: Option<SdpPendingOffer>,
    connected: bool,
    /// The next audio and the next video packet.
    next: [u64; 2],
    /// Media that arrived.
    pub received: Vec<RtpPacket>,
}

/// A server and its clients.
pub struct Lab<S> {
    /// The server.
    pub server: S,
    /// The clock.
    pub now: Instant,
    /// The clients.
    pub clients: Vec<LabClient>,
    buffer: PacketBuffer,
}

impl<S: Core> Lab<S> {
    /// With a server and nobody else.
    pub fn new(server: S, now: Instant) -> Self {
        Self {
            server,
            now,
            clients: Vec::new(),
            buffer: PacketBuffer::default(),
        }
    }

    /// Adds a client that publishes Opus and VP8, or receives into this many audio and video slots. Returns its number and
    /// its offer.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn offer(&mut self, slots: Option<(usize, usize)>) -> Result<(usize, String), LabError> {
        let wrong = |error: &dyn std::fmt::Display| LabError::Negotiation(error.to_string());
        let number = self.clients.len();
        let address = SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 6_000));
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtp_mode(true)
            .build(self.now);
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).map_err(|e| wrong(&e))?);
        let mut api = rtc.sdp_api();
        let mut add = |kind, direction| api.add_media(kind, direction, None, None, None);
        let (mut audio, mut video) = (None, None);
        match slots {
            None => {
                audio = Some(add(MediaKind::Audio, Direction::SendOnly));
                video = Some(add(MediaKind::Video, Direction::SendOnly));
            }
            Some((audio, video)) => {
                for (count, kind) in [(audio, MediaKind::Audio), (video, MediaKind::Video)] {
                    for _ in 0..count {
                        add(kind, Direction::RecvOnly);
                    }
                }
            }
        }
        let (offer, pending) = api.apply().ok_or_else(|| wrong(&"nothing to offer"))?;
        self.clients.push(LabClient {
            rtc,
            address,
            audio,
            video,
            pending: Some(pending),
            connected: false,
            next: [1, 1],
            received: Vec::new(),
        });
        Ok((number, offer.to_sdp_string()))
    }

    /// Hands the server's answer over.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn answer(&mut self, client: usize, answer: &str) -> Result<(), LabError> {
        let client = &mut self.clients[client];
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|e| LabError::Negotiation(e.to_string()))?;
        if let Some(pending) = client.pending.take() {
            client.rtc.sdp_api().accept_answer(pending, answer)?;
        }
        Ok(())
    }

    /// Lets time pass until everybody is connected.
    ///
    /// # Errors
    /// [`LabError::NotConnected`] after ten seconds.
    pub fn connect(&mut self) -> Result<(), LabError> {
        for _ in 0..2_000 {
            if self.clients.iter().all(|client| client.connected) {
                return Ok(());
            }
            self.step(Duration::from_millis(5))?;
        }
        let connected = self.clients.iter().filter(|client| client.connected).count();
        Err(LabError::NotConnected(connected, self.clients.len()))
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// [`LabError::Rtc`].
    pub fn step(&mut self, time: Duration) -> Result<(), LabError> {
        self.now += time;
        for client in 0..self.clients.len() {
            self.clients[client].rtc.handle_input(Input::Timeout(self.now))?;
            for datagram in self.poll(client)? {
                self.deliver(client, &datagram);
            }
        }
        self.server.tick(self.now);
        self.serve()
    }

    /// The next `count` protected media packets of a publisher, without sending them: audio (80 bytes), or of video (a
    /// frame of one packet with this many bytes of payload each).
    ///
    /// # Errors
    /// [`LabError`].
    pub fn packets(&mut self, client: usize, video: Option<usize>, count: usize) -> Result<Vec<Vec<u8>>, LabError> {
        let now = self.now;
        let mut packets = Vec::with_capacity(count);
        for _ in 0..count {
            self.clients[client].write(now, video)?;
            self.clients[client].rtc.handle_input(Input::Timeout(now))?;
            packets.extend(self.poll(client)?.into_iter().filter(|datagram| is_media(datagram)));
        }
        Ok(packets)
    }

    /// Where a client's datagrams come from.
    pub fn path(&self, client: usize) -> Path {
        Path::Udp {
            local: server(),
            remote: self.clients[client].address,
        }
    }

    /// A client's datagram to the server.
    pub fn deliver(&mut self, client: usize, datagram: &[u8]) {
        let length = datagram.len().min(self.buffer.bytes.len());
        self.buffer.bytes[..length].copy_from_slice(&datagram[..length]);
        self.buffer.len = length;
        let path = self.path(client);
        self.server.take(self.now, path, &mut self.buffer);
    }

    /// Carries what the server sends to the clients, and what they answer back.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn serve(&mut self) -> Result<(), LabError> {
        let arena = self.server.outgoing();
        let waiting: Vec<(Path, Vec<u8>)> = arena.iter().map(|(path, bytes)| (path, bytes.to_vec())).collect();
        arena.clear();
        for (path, datagram) in waiting {
            let Path::Udp { remote, .. } = path else { continue };
            let Some(at) = self.clients.iter().position(|client| client.address == remote) else {
                continue;
            };
            let client = &mut self.clients[at];
            if let Ok(receive) = Receive::new(Protocol::Udp, server(), client.address, &datagram) {
                client.rtc.handle_input(Input::Receive(self.now, receive))?;
            }
            for datagram in self.poll(at)? {
                self.deliver(at, &datagram);
            }
        }
        Ok(())
    }

    fn poll(&mut self, client: usize) -> Result<Vec<Vec<u8>>, LabError> {
        let client = &mut self.clients[client];
        let mut out = Vec::new();
        loop {
            match client.rtc.poll_output()? {
                Output::Timeout(_) => return Ok(out),
                Output::Transmit(transmit) => out.push(transmit.contents.to_vec()),
                Output::Event(Event::Connected) => client.connected = true,
                Output::Event(Event::RtpPacket(packet)) => client.received.push(packet),
                Output::Event(_) => {}
            }
        }
    }
}

impl LabClient {
    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn write(&mut self, now: Instant, video: Option<usize>) -> Result<(), LabError> {
        let codec = if video.is_some() { Codec::Vp8 } else { Codec::Opus };
        let mid = if video.is_some() { self.video } else { self.audio };
        let known = self
            .rtc
            .codec_config()
            .params()
            .iter()
            .find(|p| p.spec().codec == codec);
        let (Some(mid), Some(pt)) = (mid, known.map(|p| p.pt())) else {
            return Err(LabError::Negotiation("not a publisher".to_owned()));
        };
        let next = &mut self.next[usize::from(video.is_some())];
        let number = *next;
        *next += 1;
        let (payload, time) = match video {
            None => (vec![0x78; 80], (number as u32).wrapping_mul(960)),
            Some(length) => {
                let mut payload = vec![0x90, 0x80];
                payload.extend((number as u16 | 0x8000).to_be_bytes());
                // RFC 6386 section 9.1: the first packet is a key frame of 640 x 360.
                payload.push(if number == 1 { 0x10 } else { 0x11 });
                payload.extend([0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
                payload.resize(length.max(payload.len()), 0x55);
                (payload, (number as u32).wrapping_mul(3_000))
            }
        };
        let values = ExtensionValues {
            audio_level: video.is_none().then_some(-30),
            voice_activity: video.is_none().then_some(true),
            ..Default::default()
        };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else {
            return Err(LabError::Negotiation("the stream is not open".to_owned()));
        };
        let write = RtpWrite::new(pt, number.into(), time, now, payload);
        stream.write_rtp(write.ext_vals(values).marker(true).nackable(video.is_some()));
        Ok(())
    }
}

/// RFC 7983 and RFC 5761: RTP, not RTCP.
fn is_media(datagram: &[u8]) -> bool {
    matches!(datagram, [first, second, ..] if (128..192).contains(first) && !(192..224).contains(second))
}
