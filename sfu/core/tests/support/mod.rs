//! A shard and str0m clients (another DTLS, another SRTP) in one simulated network: no socket, no clock but ours.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses its part"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is a test; the helpers are only not marked as one"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use link_model::Link;
use sfu_core::forward::PacketBuffer;
use sfu_core::sdp::CodecPolicy;
use sfu_core::shard::{Backlog, Event, Shard, ShardConfig};
use sfu_core::transport::Identity;
use sfu_core::types::{Path, Random, RoomId};
use str0m::format::Codec;
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Input, Output};

mod client;
mod decode;
mod joining;
mod relays;

pub use client::{Client, Layer};
pub use decode::assert_decodable;
pub use relays::Relays;

pub const ROOM: RoomId = RoomId(1);
pub const STEP: Duration = Duration::from_millis(5);

pub fn server() -> SocketAddr {
    server_at(0)
}

/// Where a shard listens.
pub fn server_at(shard: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5_000 + shard as u16))
}

/// xorshift: repeats from its seed.
pub struct Seeded(pub u64);

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = (self.0 >> 32) as u8;
        }
    }
}

/// Decides which datagrams are lost: (client, datagram).
pub type Lossy = Box<dyn FnMut(usize, &[u8]) -> bool>;

pub struct World {
    pub shard: Shard,
    /// Further shards of the same room.
    pub others: Vec<Shard>,
    pub relays: Relays,
    /// Whether those who join know VP9, too.
    pub vp9: bool,
    pub now: Instant,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    /// Loses a datagram from the server: (client, datagram).
    pub lose_down: Lossy,
    /// Loses a datagram to the server.
    pub lose_up: Lossy,
    pub down: Vec<(usize, Vec<u8>)>,
    /// Links from the server; a client without one is reached at once.
    pub links: BTreeMap<usize, Link>,
    /// Connections by TCP to clients.
    pub streams: BTreeMap<usize, Stream>,
    /// What is on its way: by arrival.
    in_air: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    start: Instant,
    /// Waits at the bottleneck of each datagram over a link: when, client, how long.
    pub waits: Vec<(Duration, usize, Duration)>,
    /// A counter that is read before and after each datagram that the shard handles.
    pub probe: fn() -> usize,
    /// What it rose by for each media packet.
    pub costs: Vec<usize>,
    tick: u64,
    addresses: u16,
    sent: u64,
    buffer: PacketBuffer,
}

/// A connection that loses nothing, takes so many bits a second, and lets the rest wait with us.
pub struct Stream {
    pub rate: u64,
    /// Whether the shard is told what waits.
    pub told: bool,
    handed: u64,
    /// When all that was handed over will have left.
    free: Instant,
    /// The most bytes that have waited.
    pub longest: usize,
}

impl Stream {
    pub fn new(rate: u64, told: bool, now: Instant) -> Self {
        Self {
            rate,
            told,
            handed: 0,
            free: now,
            longest: 0,
        }
    }

    fn send(&mut self, now: Instant, bytes: usize) -> Instant {
        self.handed += bytes as u64;
        self.free = self.free.max(now) + Duration::from_secs_f64(bytes as f64 * 8.0 / self.rate as f64);
        self.free
    }

    fn backlog(&mut self, now: Instant) -> Backlog {
        let left = self.free.saturating_duration_since(now).as_secs_f64();
        let waiting = (left * self.rate as f64 / 8.0) as usize;
        self.longest = self.longest.max(waiting);
        let left = self.handed.saturating_sub(waiting as u64);
        Backlog { waiting, left }
    }
}

impl World {
    pub fn new() -> Self {
        Self::with_speakers(1, 5)
    }

    /// A world of several shards, all of which the room is in.
    pub fn with_shards(count: usize) -> Self {
        Self::with_speakers(count, 5)
    }

    /// The same, with so many microphones that are forwarded.
    pub fn with_speakers(count: usize, speakers: usize) -> Self {
        Self::with(count, speakers, CodecPolicy::default())
    }

    /// The same, with a choice of codecs.
    pub fn with(count: usize, speakers: usize, codecs: CodecPolicy) -> Self {
        let now = Instant::now();
        let shard = |number| shard(number, speakers, codecs.clone(), now);
        let mut world = Self::of(shard(0), now);
        world.others.extend((1..count).map(shard));
        if count > 1 {
            world.span();
        }
        world
    }

    /// One more shard, into which the room grows.
    pub fn add_shard(&mut self) {
        let number = self.others.len() + 1;
        let fresh = shard(number, 5, CodecPolicy::default(), self.now);
        self.others.push(fresh);
        self.span();
    }

    fn span(&mut self) {
        let now = self.now;
        let all: Vec<u8> = (0..=self.others.len() as u8).collect();
        // The newest first, as the server does it.
        for number in all.iter().rev() {
            self.at(usize::from(*number)).span(now, ROOM, 0, &all);
        }
    }

    fn of(shard: Shard, now: Instant) -> Self {
        Self {
            shard,
            others: Vec::new(),
            relays: Relays::default(),
            vp9: false,
            now,
            clients: Vec::new(),
            events: Vec::new(),
            lose_down: Box::new(|_, _| false),
            lose_up: Box::new(|_, _| false),
            down: Vec::new(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            in_air: BTreeMap::new(),
            start: now,
            waits: Vec::new(),
            probe: || 0,
            costs: Vec::new(),
            tick: 0,
            addresses: 0,
            sent: 0,
            buffer: PacketBuffer::default(),
        }
    }

    /// A shard.
    pub fn at(&mut self, shard: usize) -> &mut Shard {
        match shard.checked_sub(1) {
            None => &mut self.shard,
            Some(other) => &mut self.others[other],
        }
    }

    /// What is said and sent between shards gets there.
    pub fn exchange(&mut self) {
        if !self.others.is_empty() {
            let mut shards = vec![&mut self.shard];
            shards.extend(&mut self.others);
            self.relays.exchange(self.now, &mut shards);
        }
    }

    /// Lets `time` pass: an audio packet every 20 ms and a frame of two packets every 40 ms from every publisher.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.tick += 1;
            for at in 0..self.clients.len() {
                if self.clients[at].connected {
                    if self.tick.is_multiple_of(4) {
                        self.clients[at].write_audio(self.now);
                    }
                    if self.tick.is_multiple_of(8) {
                        self.clients[at].write_frame(self.now);
                    }
                }
                self.clients[at].rtc.handle_input(Input::Timeout(self.now)).unwrap();
                self.poll(at);
            }
            self.serve();
        }
    }

    /// Runs until `done`, at most `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(
                self.now < end,
                "it did not happen within {limit:?}; events: {:?}",
                self.events
            );
            self.run(STEP);
        }
    }

    pub fn connect(&mut self) {
        self.run_until(Duration::from_secs(10), |world| {
            world.clients.iter().all(|client| client.connected)
        });
    }

    fn poll(&mut self, at: usize) {
        loop {
            let client = &mut self.clients[at];
            match client.rtc.poll_output().unwrap() {
                Output::Timeout(_) => break,
                Output::Transmit(transmit) => {
                    let datagram: Vec<u8> = transmit.contents.to_vec();
                    if !(self.lose_up)(at, &datagram) {
                        let path = Path::Udp {
                            local: server_at(client.shard),
                            remote: client.address,
                        };
                        self.deliver(path, &datagram);
                    }
                }
                Output::Event(event) => match event {
                    str0m::Event::Connected => client.connected = true,
                    str0m::Event::RtpPacket(packet) => client.received.push(packet),
                    str0m::Event::KeyframeRequest(asked) => client.key_frame_asked(asked.rid),
                    _ => {}
                },
            }
        }
    }

    /// A datagram from anywhere to the shard.
    pub fn deliver(&mut self, path: Path, datagram: &[u8]) {
        let length = datagram.len().min(self.buffer.bytes.len());
        self.buffer.bytes[..length].copy_from_slice(&datagram[..length]);
        self.buffer.len = length;
        let media = length > 12 && datagram[0] >> 6 == 2 && !(192..224).contains(&datagram[1]);
        let Path::Udp { local, .. } = path else { return };
        let number = usize::from(local.port() - server().port());
        if self.relays.stalled.contains(&(number as u8)) {
            return;
        }
        let now = self.now;
        let before = (self.probe)();
        let shard = match number.checked_sub(1) {
            None => &mut self.shard,
            Some(other) => &mut self.others[other],
        };
        shard.handle_datagram(now, path, &mut self.buffer);
        if !self.others.is_empty() {
            match self.others.as_mut_slice() {
                [other] => self.relays.exchange(now, &mut [&mut self.shard, other]),
                _ => self.exchange(),
            }
        }
        if media {
            self.costs.push((self.probe)() - before);
        }
    }

    fn serve(&mut self) {
        let now = self.now;
        for number in 0..=self.others.len() {
            if self.relays.stalled.contains(&(number as u8)) {
                continue;
            }
            let shard = self.at(number);
            if shard.next_deadline().is_some_and(|at| at <= now) {
                shard.handle_timeout(now);
            }
        }
        self.exchange();
        let Self {
            shard,
            others,
            events,
            clients,
            down,
            ..
        } = self;
        for shard in std::iter::once(shard).chain(others) {
            while let Some(event) = shard.poll_event() {
                events.push(event);
            }
            let arena = shard.outgoing();
            for (path, datagram) in arena.iter() {
                let Path::Udp { remote, .. } = path else { continue };
                if let Some(at) = clients.iter().position(|client| client.address == remote) {
                    down.push((at, datagram.to_vec()));
                }
            }
            arena.clear();
        }
        for (at, datagram) in std::mem::take(&mut self.down) {
            if (200..=207).contains(&datagram.get(1).copied().unwrap_or_default()) && datagram[0] >> 6 == 2 {
                let now = self.now;
                self.clients[at].rtcp_datagrams.push(now);
            }
            if (self.lose_down)(at, &datagram) {
                continue;
            }
            let mut arrival = self.now;
            if let Some(stream) = self.streams.get_mut(&at) {
                arrival = stream.send(self.now, datagram.len() + 2);
            }
            if let Some(link) = self.links.get_mut(&at) {
                let passage = link.send(self.now - self.start, datagram.len() + 28);
                self.waits.push((self.now - self.start, at, passage.queued));
                let Some(through) = passage.arrival else { continue };
                arrival = self.start + through;
            }
            self.in_air.insert((arrival, self.sent), (at, datagram));
            self.sent += 1;
        }
        for (at, stream) in &mut self.streams {
            let backlog = stream.backlog(self.now);
            if stream.told {
                let remote = self.clients[*at].address;
                let local = server();
                self.shard.backlog(self.now, Path::Udp { local, remote }, backlog);
            }
        }
        while let Some(entry) = self.in_air.first_entry()
            && entry.key().0 <= self.now
        {
            let (at, datagram) = entry.remove();
            let client = &mut self.clients[at];
            let receive = Receive::new(Protocol::Udp, server_at(client.shard), client.address, &datagram).unwrap();
            client.rtc.handle_input(Input::Receive(self.now, receive)).unwrap();
            self.poll(at);
        }
    }

    /// Packets that `client` received with this publisher's number, in one kind of slot.
    pub fn received_from(&self, client: usize, publisher: u32, audio: bool) -> Vec<&RtpPacket> {
        let opus = self.clients[client].pt(Codec::Opus);
        let of = |packet: &&RtpPacket| {
            packet.header.csrc_count == 1
                && packet.header.csrc[0] == publisher
                && (packet.header.payload_type == opus) == audio
        };
        self.clients[client].received.iter().filter(of).collect()
    }

    /// Simulated time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The newest bindings told to a participant.
    pub fn bindings(&self, id: u32) -> Vec<sfu_core::shard::Binding> {
        let of = |event: &Event| match event {
            Event::Bindings(who, bindings) if who.0 == id => Some(bindings.clone()),
            _ => None,
        };
        self.events.iter().rev().find_map(of).unwrap_or_default()
    }
}

fn shard(number: usize, speakers: usize, codecs: CodecPolicy, now: Instant) -> Shard {
    let config = ShardConfig {
        node: 0,
        shard: number as u8,
        candidates: vec![server_at(number)],
        tcp_candidates: Vec::new(),
        codecs,
        speakers,
    };
    let random = Box::new(Seeded(0x1234_5678_9abc + number as u64));
    Shard::new(config, Identity::generate().unwrap(), random, now)
}
