//! A room behind the cipher: packets are handed to the shard as if they had come sealed, so that they may be anything.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    unreachable_pub,
    reason = "this is for tests, each of which uses its part"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::forward::PacketBuffer;
use sfu_core::room::{Intent, SlotPolicy};
use sfu_core::sdp::{CodecKind, CodecPolicy};
use sfu_core::shard::{Event, OfferRequest, PauseReason, Shard, ShardConfig};
use sfu_core::transport::Identity;
use sfu_core::types::{ParticipantId, Path, Random, RoomId, Source};

pub const WHIP: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/chromium-whip.sdp");
pub const WHEP: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/firefox-whep.sdp");
pub const CALL: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/chromium-call.sdp");
pub const PUBLISHER: ParticipantId = ParticipantId(1);
pub const VIEWER: ParticipantId = ParticipantId(2);
pub const VP8: u8 = 96;

struct Counting(u64);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

pub struct Room {
    pub shard: Shard,
    pub now: Instant,
    pub events: Vec<Event>,
    numbers: BTreeMap<u32, u64>,
    /// Datagrams and bytes that went to each participant.
    pub sent: BTreeMap<ParticipantId, (usize, usize)>,
}

impl Room {
    pub fn new(video: &[CodecKind]) -> Self {
        let now = Instant::now();
        let config = ShardConfig {
            node: 0,
            shard: 0,
            candidates: vec![SocketAddr::from(([10, 0, 0, 1], 5_000))],
            tcp_candidates: Vec::new(),
            codecs: CodecPolicy {
                audio: vec![CodecKind::Opus],
                video: video.to_vec(),
            },
            speakers: 5,
        };
        let identity = Identity::generate().unwrap();
        Self {
            shard: Shard::new(config, identity, Box::new(Counting(7)), now),
            now,
            events: Vec::new(),
            numbers: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    pub fn join(&mut self, id: ParticipantId, sdp: &str, slots: SlotPolicy) {
        let request = OfferRequest {
            room: RoomId(1),
            participant: id,
            name: id.0.to_string(),
            sdp: sdp.to_owned(),
            mids: BTreeMap::new(),
            publish: true,
            subscribe: true,
            slots,
        };
        self.shard.offer(self.now, request).unwrap();
        let path = Path::Udp {
            local: SocketAddr::from(([10, 0, 0, 1], 5_000)),
            remote: SocketAddr::from(([10, 0, 1, 1], 6_000 + id.0 as u16)),
        };
        self.shard.connect_unproven(self.now, id, path);
        self.take();
    }

    pub fn take(&mut self) {
        while let Some(event) = self.shard.poll_event() {
            self.events.push(event);
        }
        for (path, datagram) in self.shard.outgoing().iter() {
            let Path::Udp { remote, .. } = path else { continue };
            let sent = self
                .sent
                .entry(ParticipantId(u32::from(remote.port()) - 6_000))
                .or_default();
            *sent = (sent.0 + 1, sent.1 + datagram.len());
        }
        self.shard.outgoing().clear();
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(5);
            if self.shard.next_deadline().is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.now);
            }
            self.take();
        }
    }

    /// A VP8 frame in one packet; the extensions are mid and RID as the call's offer numbers them.
    pub fn frame(&mut self, ssrc: u32, height: u16, key: bool, rid: Option<&str>) {
        self.frame_of(PUBLISHER, ssrc, height, key, rid, 0);
    }

    /// The same of anybody, with so many bytes on top.
    pub fn frame_of(&mut self, who: ParticipantId, ssrc: u32, height: u16, key: bool, rid: Option<&str>, more: usize) {
        let index = self.numbers.entry(ssrc).or_insert(1_000);
        *index += 1;
        let index = *index;
        let mut packet = vec![if rid.is_some() { 0x90 } else { 0x80 }, VP8 | 0x80];
        packet.extend((index as u16).to_be_bytes());
        packet.extend((index as u32 * 3_000).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        if let Some(rid) = rid {
            let mut elements = vec![4, 1, b'1', 10, rid.len() as u8];
            elements.extend(rid.as_bytes());
            elements.resize(elements.len().next_multiple_of(4), 0);
            packet.extend([0x10, 0, 0, (elements.len() / 4) as u8]);
            packet.extend(elements);
        }
        packet.extend([0x90, 0x80, 0x80 | (index >> 8) as u8, index as u8]);
        packet.push(if key { 0x10 } else { 0x11 });
        packet.extend([0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01]);
        packet.extend(height.to_le_bytes());
        packet.resize(packet.len() + more, 7);
        self.opened(who, &packet, index, false);
    }

    /// Any bytes, as RTP or RTCP.
    pub fn opened(&mut self, who: ParticipantId, packet: &[u8], index: u64, rtcp: bool) {
        let mut buffer = PacketBuffer::default();
        buffer.bytes[..packet.len()].copy_from_slice(packet);
        buffer.len = packet.len();
        self.shard.take_opened(self.now, who, &mut buffer, index, rtcp);
        self.take();
    }

    pub fn watch(&mut self, mid: &str, height: u32) {
        let intent = Intent {
            mid: mid.to_owned(),
            participant: PUBLISHER,
            source: Source::Camera,
            height,
            fps: 0,
            priority: 0,
        };
        assert!(self.shard.intents(self.now, VIEWER, vec![intent]));
        self.take();
    }

    pub fn layer(&self) -> Option<(u8, Option<PauseReason>)> {
        let of = |event: &Event| match event {
            Event::Bindings(VIEWER, slots) => slots
                .iter()
                .find(|s| s.source == Source::Camera)
                .map(|s| (s.layer, s.paused)),
            _ => None,
        };
        self.events.iter().rev().find_map(of)
    }

    pub fn told(&self) -> Option<Vec<bool>> {
        let of = |event: &Event| match event {
            Event::Layers { active, .. } => Some(active.clone()),
            _ => None,
        };
        self.events.iter().rev().find_map(of)
    }
}
