//! One connection in its media thread: what it receives, what it sends, and when it wants to be called again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use smallvec::SmallVec;
use str0m::format::Codec as Format;
use str0m::media::{Mid, Pt, Rid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Event, IceConnectionState, Input, Output, Rtc, RtcError};
use tokio::sync::mpsc as channel;

use crate::media::flow::{Arrival, Viewer};
use crate::media::schedule::{Packet, Schedule};
use crate::media::stamp::now_ns;
use crate::media::tally::Tally;
use crate::scenario::Codec;

use super::ClientEvent;
use super::socket::Batch;
use super::worker::Job;

pub(super) struct Client {
    rtc: Rtc,
    pub(super) socket: UdpSocket,
    /// Of the socket, for its drops.
    pub(super) inode: u64,
    address: SocketAddr,
    audio: Option<(Mid, Pt)>,
    video: Option<(Mid, Pt)>,
    /// Layers' RIDs; empty: no simulcast.
    rids: Vec<Rid>,
    names: (Option<Mid>, Option<Mid>, Codec),
    pub(super) schedule: Option<Schedule>,
    pub(super) viewer: Viewer,
    events: channel::UnboundedSender<ClientEvent>,
    pub(super) connected: bool,
    pub(super) failed: bool,
    /// More may be in the socket.
    pub(super) unread: bool,
    pub(super) deadline: Instant,
    /// The earliest entry in the thread's heap.
    pub(super) scheduled: Option<Instant>,
}

/// What [`Client::poll`] waits for; everything else is carried out on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The transport has nothing more, and says when it wants to be called.
    Empty,
    /// A packet was handed over.
    Arrived,
    /// An RTP packet was sent.
    Sent,
}

impl Client {
    pub(super) fn new(job: Job, socket: UdpSocket, now: Instant) -> Self {
        let connection = job.connection;
        Self {
            rtc: connection.rtc,
            inode: super::socket::inode(&socket),
            socket,
            address: connection.address,
            audio: None,
            video: None,
            rids: connection.rids.iter().map(|r| Rid::from(r.as_str())).collect(),
            names: (connection.audio, connection.video, connection.codec),
            schedule: job.schedule,
            viewer: job.viewer,
            events: job.events,
            connected: false,
            failed: false,
            unread: true,
            deadline: now,
            scheduled: None,
        }
    }

    pub(super) fn fail(&mut self, tally: &mut Tally) {
        if !std::mem::replace(&mut self.failed, true) {
            tally.counts.failed += 1;
            let _ = self.events.send(ClientEvent::Failed);
        }
    }

    /// Takes a batch of datagrams. str0m walks over all streams whenever its time goes on, and again to say when it wants to
    /// be called: once a batch is enough. Media is therefore given to it with the time at which the kernel had it, which lies
    /// behind the time that it was told last; its feedback for congestion control is the more exact for that.
    pub(super) fn receive(&mut self, batch: &Batch, tally: &mut Tally) -> Result<(), RtcError> {
        if self.failed {
            return Ok(());
        }
        let (now, wall) = (Instant::now(), now_ns());
        self.rtc.handle_input(Input::Timeout(now))?;
        for (datagram, got) in batch.iter() {
            let Ok(receive) = Receive::new(Protocol::Udp, got.source, self.address, datagram) else {
                continue;
            };
            let at_ns = if got.at_ns == 0 { wall } else { got.at_ns };
            if is_rtp(datagram) {
                let age = Duration::from_nanos(wall.saturating_sub(at_ns).max(1));
                let at = now.checked_sub(age).unwrap_or(now);
                self.rtc.handle_input(Input::Receive(at, receive))?;
                self.poll(Until::Arrived, at_ns, tally)?;
            } else {
                self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
                self.poll(Until::Empty, at_ns, tally)?;
            }
        }
        self.poll(Until::Empty, 0, tally)
    }

    /// Sends what is due and lets the transport act.
    pub(super) fn due(&mut self, now: Instant, tally: &mut Tally) -> Result<(), RtcError> {
        self.send_due(now, tally)?;
        self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        self.poll(Until::Empty, 0, tally)
    }

    /// Takes out what the transport has for us; `at_ns` is when the datagram came that may have brought it.
    fn poll(&mut self, until: Until, at_ns: u64, tally: &mut Tally) -> Result<(), RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    let next = self
                        .schedule
                        .as_ref()
                        .filter(|_| self.connected)
                        .and_then(Schedule::next);
                    self.deadline = next.map_or(at, |next| next.min(at));
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    if self.socket.send_to(&transmit.contents, transmit.destination).is_err() {
                        tally.counts.send_failures += 1;
                    }
                    if until == Until::Sent && is_rtp(&transmit.contents) {
                        return Ok(());
                    }
                }
                Output::Event(Event::RtpPacket(packet)) => {
                    let arrival = Arrival {
                        ssrc: *packet.header.ssrc,
                        sequence: *packet.seq_no,
                        payload: &packet.payload,
                        at_ns: if at_ns == 0 { now_ns() } else { at_ns },
                    };
                    let events = &self.events;
                    self.viewer.note(arrival, tally, |news| {
                        let _ = events.send(ClientEvent::News(news, arrival.at_ns));
                    });
                    if until == Until::Arrived {
                        return Ok(());
                    }
                }
                Output::Event(event) => self.event(event, tally),
            }
        }
    }

    fn event(&mut self, event: Event, tally: &mut Tally) {
        match event {
            Event::Connected => self.connected(),
            Event::KeyframeRequest(request) => {
                tally.counts.key_frame_requests += 1;
                let layer = request
                    .rid
                    .and_then(|rid| self.rids.iter().position(|r| *r == rid))
                    .unwrap_or(0);
                if let Some(schedule) = &mut self.schedule {
                    schedule.key_frame(layer);
                }
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => self.fail(tally),
            _ => {}
        }
    }

    fn connected(&mut self) {
        self.connected = true;
        let (audio, video, codec) = self.names;
        let format = match codec {
            Codec::Vp8 => Format::Vp8,
            Codec::H264 => Format::H264,
            Codec::Vp9 => Format::Vp9,
            Codec::Av1 => Format::Av1,
        };
        let pt = |rtc: &Rtc, mid: Mid, format: Format| {
            let agreed = rtc.media(mid)?.remote_pts().to_vec();
            let params = rtc.codec_config().params();
            let fits = |pt: &Pt| params.iter().any(|p| p.pt() == *pt && p.spec().codec == format);
            let first = agreed.iter().copied().find(fits);
            first.or_else(|| params.iter().find(|p| p.spec().codec == format).map(|p| p.pt()))
        };
        self.audio = audio.and_then(|mid| Some((mid, pt(&self.rtc, mid, Format::Opus)?)));
        self.video = video.and_then(|mid| Some((mid, pt(&self.rtc, mid, format)?)));
        let _ = self.events.send(ClientEvent::Connected);
    }

    fn send_due(&mut self, now: Instant, tally: &mut Tally) -> Result<(), RtcError> {
        let Some(mut schedule) = self.schedule.take_if(|_| self.connected && !self.failed) else {
            return Ok(());
        };
        let mut result = Ok(());
        let mut late: SmallVec<[Duration; 8]> = SmallVec::new();
        schedule.due(
            now,
            |behind| late.push(behind),
            |packet| {
                if result.is_ok() {
                    result = self.send(&packet, tally);
                }
            },
        );
        for behind in late {
            tally.lateness.saturating_record(behind.as_micros() as u64);
        }
        self.schedule = Some(schedule);
        result
    }

    fn send(&mut self, packet: &Packet<'_>, tally: &mut Tally) -> Result<(), RtcError> {
        let line = match packet.layer {
            None => self.audio,
            Some(_) => self.video,
        };
        let Some((mid, pt)) = line else { return Ok(()) };
        let rid = packet.layer.and_then(|layer| self.rids.get(layer).copied());
        let now = Instant::now();
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, rid) else {
            return Ok(());
        };
        let mut values = ExtensionValues::default();
        if let Some((level, voice)) = packet.level {
            values.audio_level = Some(-(level as i8));
            values.voice_activity = Some(voice);
        }
        let write = RtpWrite::new(pt, packet.sequence.into(), packet.timestamp, now, packet.payload)
            .ext_vals(values)
            .marker(packet.marker)
            .nackable(packet.layer.is_some());
        stream.write_rtp(write);
        tally.counts.sent += 1;
        tally.counts.sent_bytes += packet.payload.len() as u64;
        self.rtc.handle_input(Input::Timeout(now))?;
        // At once, so that the stamp says when the packet left.
        self.poll(Until::Sent, 0, tally)
    }
}

/// RFC 7983 and RFC 5761: RTP, not RTCP.
fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, second, ..] if (128..192).contains(first) && !(192..224).contains(second))
}
