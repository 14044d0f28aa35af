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

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use link_model::Link;
use sfu_core::forward::PacketBuffer;
use sfu_core::sdp::CodecPolicy;
use sfu_core::shard::{Backlog, Event, Shard, ShardConfig};
use sfu_core::transport::Identity;
use sfu_core::types::{ParticipantId, Path, Random, RoomId};
use str0m::format::Codec;
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Input, Output};

mod client;
mod decode;
mod joining;
mod network;
mod relays;

pub use client::{Client, Layer};
pub use decode::{assert_decodable, assert_layers_decodable};
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
    /// Whether those who join have data channels.
    pub data: bool,
    /// Those who join have no transport-wide feedback.
    pub remb_only: bool,
    /// Whether those who join may send.
    pub may_send: bool,
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
    /// Clients that read nothing before this time; what comes meanwhile waits for them.
    pub hold_down: BTreeMap<usize, Instant>,
    /// How long datagrams to the shard take.
    pub delay_up: Duration,
    rising: BTreeMap<(Instant, u64), (Path, Vec<u8>)>,
    /// What is on its way: by arrival.
    in_air: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    start: Instant,
    /// Waits at the bottleneck of each datagram over a link: when, client, how long.
    pub waits: Vec<(Duration, usize, Duration)>,
    /// A counter that is read before and after each datagram that the shard handles.
    pub probe: fn() -> usize,
    /// What it rose by for each media packet.
    pub costs: Vec<usize>,
    /// Time between two looks at the clock.
    pub step: Duration,
    /// Frames of different publishers leave at different times.
    pub staggered: bool,
    /// Publishers do what the server says about layers, so long after it has said so: signaling takes its time.
    pub obedient: Option<Duration>,
    told: VecDeque<(Instant, ParticipantId, Vec<bool>)>,
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
            data: false,
            remb_only: false,
            may_send: true,
            now,
            clients: Vec::new(),
            events: Vec::new(),
            lose_down: Box::new(|_, _| false),
            lose_up: Box::new(|_, _| false),
            down: Vec::new(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            hold_down: BTreeMap::new(),
            delay_up: Duration::ZERO,
            rising: BTreeMap::new(),
            in_air: BTreeMap::new(),
            start: now,
            waits: Vec::new(),
            probe: || 0,
            costs: Vec::new(),
            step: STEP,
            staggered: false,
            obedient: None,
            told: VecDeque::new(),
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

    /// Lets `time` pass: an audio packet every 20 ms and a frame every 40 ms from every publisher.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let sound = (Duration::from_millis(20).as_micros() / self.step.as_micros()) as u64;
        while self.now < end {
            self.now += self.step;
            self.tick += 1;
            for at in 0..self.clients.len() {
                let turn = self.tick + if self.staggered { at as u64 * 7 } else { 0 };
                if self.clients[at].connected {
                    if turn.is_multiple_of(sound) {
                        self.clients[at].write_audio(self.now);
                    }
                    if turn.is_multiple_of(2 * sound) {
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
            self.run(self.step);
        }
    }

    pub fn connect(&mut self) {
        self.run_until(Duration::from_secs(10), |world| {
            world.clients.iter().all(|client| client.connected)
        });
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

    /// What became of each packet that a camera without layers wrote from `from` on: how long it took to `client`, or that it
    /// has not come.
    pub fn fates(&self, publisher: usize, client: usize, from: Duration) -> Vec<(Duration, Option<Duration>)> {
        let sender = &self.clients[publisher];
        let mut arrived = vec![None; sender.written.len()];
        for packet in self.received_from(client, sender.id.0, false) {
            arrived[Client::number(packet) as usize] = Some(packet.timestamp);
        }
        let written = sender.written.iter().zip(arrived).skip(1);
        let fate = |(at, arrived): (&Instant, Option<Instant>)| (*at - self.start, arrived.map(|then| then - *at));
        written.map(fate).filter(|(at, _)| *at >= from).collect()
    }

    /// When each picture of a publisher was whole at `client`, from an instant on.
    pub fn pictures(&self, client: usize, publisher: u32, from: Instant) -> Vec<Instant> {
        let packets = self.received_from(client, publisher, false).into_iter();
        let ends = packets.filter(|packet| packet.header.marker && packet.timestamp >= from);
        ends.map(|packet| packet.timestamp).collect()
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
