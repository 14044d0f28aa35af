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
use sfu_core::room::{Intent, SlotPolicy};
use sfu_core::sdp::CodecPolicy;
use sfu_core::shard::{Event, OfferRequest, Shard, ShardConfig};
use sfu_core::transport::Identity;
use sfu_core::types::{ParticipantId, Path, Random, RoomId, Source};
use str0m::change::{SdpAnswer, SdpApi};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Input, Output, Rtc};

mod client;
mod decode;

pub use client::{Client, Layer};
pub use decode::assert_decodable;

pub const ROOM: RoomId = RoomId(1);
pub const STEP: Duration = Duration::from_millis(5);

pub fn server() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5_000))
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

impl World {
    pub fn new() -> Self {
        let now = Instant::now();
        let config = ShardConfig {
            node: 0,
            shard: 0,
            candidates: vec![server()],
            codecs: CodecPolicy::default(),
            speakers: 5,
        };
        let shard = Shard::new(
            config,
            Identity::generate().unwrap(),
            Box::new(Seeded(0x1234_5678_9abc)),
            now,
        );
        Self {
            shard,
            now,
            clients: Vec::new(),
            events: Vec::new(),
            lose_down: Box::new(|_, _| false),
            lose_up: Box::new(|_, _| false),
            down: Vec::new(),
            links: BTreeMap::new(),
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

    /// Adds a client with `slots` audio and video slots; `publish`: sends both.
    pub fn join(&mut self, id: u32, publish: bool, slots: usize, policy: SlotPolicy) -> usize {
        self.join_with(id, publish, slots, policy, Vec::new())
    }

    /// The same, its camera in simulcast layers.
    pub fn join_with(&mut self, id: u32, publish: bool, slots: usize, policy: SlotPolicy, layers: Vec<Layer>) -> usize {
        self.addresses += 1;
        let address = SocketAddr::from(([10, 0, 1, id as u8], 6_000 + self.addresses));
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtp_mode(true)
            .build(self.now);
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap())
            .unwrap();
        let id = ParticipantId(id);
        self.clients.push(Client {
            id,
            rtc,
            address,
            audio: None,
            video: None,
            slots: Vec::new(),
            received: Vec::new(),
            key_frames_asked: 0,
            next_audio: 1,
            next_video: 1,
            picture: id.0 as u16 * 1_000,
            time: id.0 * 100_000,
            send_audio: publish,
            send_video: publish,
            want_key: true,
            layers,
            connected: false,
            rtcp_datagrams: Vec::new(),
        });
        let at = self.clients.len() - 1;
        let mut simulcast = Simulcast::new();
        for layer in &self.clients[at].layers {
            simulcast.add_send_layer(SimulcastLayer::new(&layer.rid.unwrap()));
        }
        let simulcast = (!simulcast.send.is_empty()).then_some(simulcast);
        let (mut audio, mut video) = (None, None);
        self.offer(at, policy, |api| {
            if publish {
                audio = Some(api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None));
                video = Some(api.add_media(MediaKind::Video, Direction::SendOnly, None, None, simulcast));
            }
            add_slots(api, slots)
        });
        (self.clients[at].audio, self.clients[at].video) = (audio, video);
        at
    }

    /// Offers again, with so many more slots of each kind.
    pub fn grow(&mut self, client: usize, slots: usize) {
        self.offer(client, SlotPolicy::Fill, |api| add_slots(api, slots));
    }

    /// Restarts ICE by an offer; from then on the client is at another address.
    pub fn restart_ice(&mut self, client: usize) {
        self.offer(client, SlotPolicy::Fill, |api| {
            api.ice_restart(false);
            Vec::new()
        });
        self.addresses += 1;
        let id = self.clients[client].id;
        let address = SocketAddr::from(([10, 0, 2, id.0 as u8], 6_000 + self.addresses));
        let client = &mut self.clients[client];
        client.address = address;
        client
            .rtc
            .add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap())
            .unwrap();
    }

    fn offer(&mut self, client: usize, slots: SlotPolicy, change: impl FnOnce(&mut SdpApi<'_>) -> Vec<(Mid, bool)>) {
        let client = &mut self.clients[client];
        let mut api = client.rtc.sdp_api();
        client.slots.extend(change(&mut api));
        let (offer, pending) = api.apply().unwrap();
        let source = |audio| if audio { Source::Mic } else { Source::Camera };
        let mids = client
            .slots
            .iter()
            .map(|(mid, audio)| (mid.to_string(), source(*audio)));
        let request = OfferRequest {
            room: ROOM,
            participant: client.id,
            sdp: offer.to_sdp_string(),
            mids: mids.collect::<BTreeMap<_, _>>(),
            publish: true,
            subscribe: true,
            slots,
        };
        let answer = self.shard.offer(self.now, request).unwrap();
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        client.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    pub fn intents(&mut self, client: usize, wanted: &[(usize, u32, u32)]) {
        let client = &self.clients[client];
        let video: Vec<Mid> = client
            .slots
            .iter()
            .filter(|(_, audio)| !audio)
            .map(|(mid, _)| *mid)
            .collect();
        let intents = wanted.iter().map(|(slot, who, height)| Intent {
            mid: video[*slot].to_string(),
            participant: ParticipantId(*who),
            source: Source::Camera,
            height: *height,
            fps: 0,
            priority: 0,
        });
        let (id, intents) = (client.id, intents.collect());
        assert!(self.shard.intents(self.now, id, intents));
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
                            local: server(),
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
        let before = (self.probe)();
        self.shard.handle_datagram(self.now, path, &mut self.buffer);
        if media {
            self.costs.push((self.probe)() - before);
        }
    }

    fn serve(&mut self) {
        if self.shard.next_deadline().is_some_and(|at| at <= self.now) {
            self.shard.handle_timeout(self.now);
        }
        while let Some(event) = self.shard.poll_event() {
            self.events.push(event);
        }
        let arena = self.shard.outgoing();
        for (path, datagram) in arena.iter() {
            let Path::Udp { remote, .. } = path else { continue };
            if let Some(at) = self.clients.iter().position(|client| client.address == remote) {
                self.down.push((at, datagram.to_vec()));
            }
        }
        arena.clear();
        for (at, datagram) in std::mem::take(&mut self.down) {
            if (200..=207).contains(&datagram.get(1).copied().unwrap_or_default()) && datagram[0] >> 6 == 2 {
                let now = self.now;
                self.clients[at].rtcp_datagrams.push(now);
            }
            if (self.lose_down)(at, &datagram) {
                continue;
            }
            let mut arrival = self.now;
            if let Some(link) = self.links.get_mut(&at) {
                let passage = link.send(self.now - self.start, datagram.len() + 28);
                self.waits.push((self.now - self.start, at, passage.queued));
                let Some(through) = passage.arrival else { continue };
                arrival = self.start + through;
            }
            self.in_air.insert((arrival, self.sent), (at, datagram));
            self.sent += 1;
        }
        while let Some(entry) = self.in_air.first_entry()
            && entry.key().0 <= self.now
        {
            let (at, datagram) = entry.remove();
            let client = &mut self.clients[at];
            let receive = Receive::new(Protocol::Udp, server(), client.address, &datagram).unwrap();
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

fn add_slots(api: &mut SdpApi<'_>, count: usize) -> Vec<(Mid, bool)> {
    let mut slots = Vec::new();
    for kind in [MediaKind::Audio, MediaKind::Video] {
        for _ in 0..count {
            let mid = api.add_media(kind, Direction::RecvOnly, None, None, None);
            slots.push((mid, kind == MediaKind::Audio));
        }
    }
    slots
}
