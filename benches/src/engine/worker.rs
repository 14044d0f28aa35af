//! A media thread: many connections, one poll, one heap of deadlines.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use str0m::format::Codec as Format;
use str0m::media::{Mid, Pt, Rid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Event, IceConnectionState, Input, Output, Rtc};
use tokio::sync::{mpsc as channel, oneshot};

use crate::media::flow::{Arrival, News, Viewer};
use crate::media::schedule::{Packet, Schedule};
use crate::media::stamp::now_ns;
use crate::media::tally::Tally;
use crate::scenario::Codec;

use super::connection::Connection;
use super::socket;

/// Datagrams taken from one socket before others get their turn; the rest is taken in the next round.
const TURN: usize = 64;
/// Longest wait without a look at the deadlines.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// The waker's place among the tokens.
const WAKE: Token = Token(usize::MAX);

/// A connection to run.
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) connection: Connection,
    pub(super) schedule: Option<Schedule>,
    pub(super) viewer: Viewer,
    pub(super) events: channel::UnboundedSender<ClientEvent>,
}

/// What a connection says of itself.
#[derive(Clone, Copy, Debug)]
pub enum ClientEvent {
    /// DTLS is up.
    Connected,
    /// Something new is shown or heard; nanoseconds since 1970.
    News(News, u64),
    /// It broke, or could not be made.
    Failed,
}

/// What a thread is told.
pub(super) enum Order {
    Add(Box<Job>),
    Remove(u64),
    Talk(u64, bool),
    Layers(u64, Vec<bool>),
    /// The measuring window begins, or ends and is handed back.
    Open,
    Close(oneshot::Sender<Tally>),
    /// Hands back what came since the last time, and how many connections are up.
    Second(oneshot::Sender<(Tally, u64)>),
    Stop,
}

struct Client {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    audio: Option<(Mid, Pt)>,
    video: Option<(Mid, Pt)>,
    /// Layers' RIDs; empty: no simulcast.
    rids: Vec<Rid>,
    names: (Option<Mid>, Option<Mid>, Codec),
    schedule: Option<Schedule>,
    viewer: Viewer,
    events: channel::UnboundedSender<ClientEvent>,
    connected: bool,
    failed: bool,
    /// More may be in the socket.
    unread: bool,
    drops: u32,
    deadline: Instant,
    /// The earliest entry in the heap.
    scheduled: Option<Instant>,
}

pub(super) struct Worker {
    poll: Poll,
    orders: mpsc::Receiver<Order>,
    clients: Slab<Client>,
    keys: std::collections::HashMap<u64, usize>,
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    unread: Vec<usize>,
    second: Tally,
    /// Came before the window opened, in the current second.
    before: Tally,
    window: Option<Tally>,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Worker {
    pub(super) fn new(orders: mpsc::Receiver<Order>) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let worker = Self {
            poll,
            orders,
            clients: Slab::new(),
            keys: std::collections::HashMap::new(),
            heap: BinaryHeap::new(),
            unread: Vec::new(),
            second: Tally::new(),
            before: Tally::new(),
            window: None,
            buffer: vec![0; 2_048],
            control: socket::control_buffer(),
        };
        Ok((worker, waker))
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        loop {
            let wait = self.timers();
            let wait = if self.unread.is_empty() { wait } else { Duration::ZERO };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                eprintln!("a media thread cannot wait: {error}");
                return;
            }
            if !self.orders() {
                return;
            }
            let mut ready = std::mem::take(&mut self.unread);
            for event in &events {
                if event.token() != WAKE
                    && let Some(client) = self.clients.get_mut(event.token().0)
                    && !std::mem::replace(&mut client.unread, true)
                {
                    ready.push(event.token().0);
                }
            }
            for key in ready.drain(..) {
                self.readable(key);
                // Reading must not make sending late.
                if self.heap.peek().is_some_and(|Reverse((at, _))| *at <= Instant::now()) {
                    self.timers();
                }
            }
            self.unread.append(&mut ready);
        }
    }

    fn orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Add(job)) => self.add(*job),
                Ok(Order::Remove(id)) => {
                    if let Some(key) = self.keys.remove(&id) {
                        let mut client = self.clients.remove(key);
                        let _ = self.poll.registry().deregister(&mut client.socket);
                    }
                }
                Ok(Order::Talk(id, on)) => {
                    if let Some(schedule) = self.client(id).and_then(|c| c.schedule.as_mut()) {
                        schedule.talk(on);
                    }
                }
                Ok(Order::Layers(id, active)) => {
                    let now = Instant::now();
                    let Some(&key) = self.keys.get(&id) else { continue };
                    if let Some(schedule) = self.clients[key].schedule.as_mut() {
                        for (layer, active) in active.into_iter().enumerate() {
                            schedule.set_active(layer, active, now);
                        }
                    }
                    self.due(key, now);
                }
                Ok(Order::Open) => {
                    // What the current second holds already does not belong to the window.
                    self.before = self.second.take();
                    self.window = Some(Tally::new());
                }
                Ok(Order::Close(reply)) => {
                    let mut tally = self.window.take().unwrap_or_default();
                    tally.add(&self.second);
                    for (_, client) in &self.clients {
                        for jitter in client.viewer.jitter() {
                            tally.jitter.saturating_record((jitter / 1_000.0) as u64);
                        }
                    }
                    let _ = reply.send(tally);
                }
                Ok(Order::Second(reply)) => {
                    let mut second = self.second.take();
                    if let Some(window) = &mut self.window {
                        window.add(&second);
                    }
                    second.add(&self.before.take());
                    let up = self.clients.iter().filter(|(_, c)| c.connected && !c.failed).count();
                    let _ = reply.send((second, up as u64));
                }
                Ok(Order::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => return true,
            }
        }
    }

    fn client(&mut self, id: u64) -> Option<&mut Client> {
        let key = *self.keys.get(&id)?;
        self.clients.get_mut(key)
    }

    fn add(&mut self, job: Job) {
        let connection = job.connection;
        let entry = self.clients.vacant_entry();
        let key = entry.key();
        let mut socket = UdpSocket::from_std(connection.socket);
        if let Err(error) = self
            .poll
            .registry()
            .register(&mut socket, Token(key), Interest::READABLE)
        {
            eprintln!("a socket cannot be waited for: {error}");
            let _ = job.events.send(ClientEvent::Failed);
            return;
        }
        let now = Instant::now();
        entry.insert(Client {
            rtc: connection.rtc,
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
            drops: 0,
            deadline: now,
            scheduled: None,
        });
        self.keys.insert(job.id, key);
        self.unread.push(key);
        self.due(key, now);
    }

    /// Serves everybody whose time has come; returns how long there is until the next.
    fn timers(&mut self) -> Duration {
        loop {
            let now = Instant::now();
            let Some(Reverse((at, key))) = self.heap.peek().copied() else {
                return LONGEST_WAIT;
            };
            if at > now {
                return (at - now).min(LONGEST_WAIT);
            }
            self.heap.pop();
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if client.scheduled != Some(at) {
                continue;
            }
            client.scheduled = None;
            if client.deadline <= now {
                self.due(key, now);
            } else {
                self.schedule(key);
            }
        }
    }

    fn schedule(&mut self, key: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.scheduled.is_none_or(|at| client.deadline < at) {
            client.scheduled = Some(client.deadline);
            self.heap.push(Reverse((client.deadline, key)));
        }
    }

    /// Sends what is due and lets the transport act.
    fn due(&mut self, key: usize, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let result = client.send_due(now, &mut self.second);
        let result = result.and_then(|()| {
            client.rtc.handle_input(Input::Timeout(Instant::now()))?;
            client.drain(0, &mut self.second)
        });
        self.done(key, result);
    }

    fn readable(&mut self, key: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let mut result = Ok(());
        client.unread = false;
        for turn in 0.. {
            if turn == TURN {
                client.unread = true;
                break;
            }
            match socket::receive(&client.socket, &mut self.buffer, &mut self.control) {
                Ok(Some(got)) => {
                    let dropped = got.drops.wrapping_sub(client.drops);
                    if dropped > 0 && dropped < u32::MAX / 2 {
                        self.second.counts.socket_drops += u64::from(dropped);
                        client.drops = got.drops;
                    }
                    let at_ns = if got.at_ns == 0 { now_ns() } else { got.at_ns };
                    let datagram = &self.buffer[..got.length];
                    result = client.receive(datagram, got.source, at_ns, &mut self.second);
                    if result.is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                // An ICMP error of an earlier send; the next receive works.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
        if client.unread {
            self.unread.push(key);
        }
        self.done(key, result);
    }

    fn done(&mut self, key: usize, result: Result<(), str0m::RtcError>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if result.is_err() && !client.failed {
            client.fail(&mut self.second);
        }
        if client.failed {
            client.deadline = Instant::now() + Duration::from_secs(3_600);
        }
        self.schedule(key);
    }
}

impl Client {
    fn fail(&mut self, tally: &mut Tally) {
        if !std::mem::replace(&mut self.failed, true) {
            tally.counts.failed += 1;
            let _ = self.events.send(ClientEvent::Failed);
        }
    }

    fn receive(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        at_ns: u64,
        tally: &mut Tally,
    ) -> Result<(), str0m::RtcError> {
        if self.failed {
            return Ok(());
        }
        let Ok(receive) = Receive::new(Protocol::Udp, source, self.address, datagram) else {
            return Ok(());
        };
        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
        self.drain(at_ns, tally)
    }

    /// Takes out everything that the transport has for us; `at_ns` is when the datagram came that may have brought it.
    fn drain(&mut self, at_ns: u64, tally: &mut Tally) -> Result<(), str0m::RtcError> {
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
                }
                Output::Event(Event::Connected) => self.connected(),
                Output::Event(Event::KeyframeRequest(request)) => {
                    tally.counts.key_frame_requests += 1;
                    let layer = request
                        .rid
                        .and_then(|rid| self.rids.iter().position(|r| *r == rid))
                        .unwrap_or(0);
                    if let Some(schedule) = &mut self.schedule {
                        schedule.key_frame(layer);
                    }
                }
                Output::Event(Event::IceConnectionStateChange(IceConnectionState::Disconnected)) => self.fail(tally),
                Output::Event(_) => {}
            }
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

    fn send_due(&mut self, now: Instant, tally: &mut Tally) -> Result<(), str0m::RtcError> {
        let Some(mut schedule) = self.schedule.take_if(|_| self.connected && !self.failed) else {
            return Ok(());
        };
        let mut result = Ok(());
        let mut late = Vec::new();
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

    fn send(&mut self, packet: &Packet<'_>, tally: &mut Tally) -> Result<(), str0m::RtcError> {
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
        self.drain(0, tally)
    }
}
