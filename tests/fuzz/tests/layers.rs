//! A publisher with layers and its viewers, behind the cipher: what is forwarded, told and counted.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is a test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::forward::PacketBuffer;
use sfu_core::room::{Intent, SlotPolicy};
use sfu_core::sdp::{CodecKind, CodecPolicy};
use sfu_core::shard::{Drop, Event, OfferRequest, PauseReason, Shard, ShardConfig};
use sfu_core::transport::Identity;
use sfu_core::types::{ParticipantId, Path, Random, RoomId, Source};

const WHIP: &str = include_str!("../../../sfu/core/src/sdp/fixtures/chromium-whip.sdp");
const WHEP: &str = include_str!("../../../sfu/core/src/sdp/fixtures/firefox-whep.sdp");
const CALL: &str = include_str!("../../../sfu/core/src/sdp/fixtures/chromium-call.sdp");
const PUBLISHER: ParticipantId = ParticipantId(1);
const VIEWER: ParticipantId = ParticipantId(2);
const VP8: u8 = 96;

struct Counting(u64);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

struct Room {
    shard: Shard,
    now: Instant,
    events: Vec<Event>,
    numbers: BTreeMap<u32, u64>,
}

impl Room {
    fn new(video: &[CodecKind]) -> Self {
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
        }
    }

    fn join(&mut self, id: ParticipantId, sdp: &str, slots: SlotPolicy) {
        let request = OfferRequest {
            room: RoomId(1),
            participant: id,
            sdp: sdp.to_owned(),
            mids: BTreeMap::new(),
            publish: true,
            subscribe: true,
            slots,
        };
        self.shard.offer(self.now, request).unwrap();
        let path = Path::Udp {
            local: SocketAddr::from(([10, 0, 0, 1], 5_000)),
            remote: SocketAddr::from(([10, 0, 1, id.0 as u8], 6_000)),
        };
        self.shard.connect_unproven(self.now, id, path);
        self.take();
    }

    fn take(&mut self) {
        while let Some(event) = self.shard.poll_event() {
            self.events.push(event);
        }
        self.shard.outgoing().clear();
    }

    fn pass(&mut self, time: Duration) {
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
    fn frame(&mut self, ssrc: u32, height: u16, key: bool, rid: Option<&str>) {
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
        let mut buffer = PacketBuffer::default();
        buffer.bytes[..packet.len()].copy_from_slice(&packet);
        buffer.len = packet.len();
        self.shard.take_opened(self.now, PUBLISHER, &mut buffer, index, false);
        self.take();
    }

    fn watch(&mut self, mid: &str, height: u32) {
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

    fn layer(&self) -> Option<(u8, Option<PauseReason>)> {
        let of = |event: &Event| match event {
            Event::Bindings(VIEWER, slots) => slots
                .iter()
                .find(|s| s.source == Source::Camera)
                .map(|s| (s.layer, s.paused)),
            _ => None,
        };
        self.events.iter().rev().find_map(of)
    }

    fn told(&self) -> Option<Vec<bool>> {
        let of = |event: &Event| match event {
            Event::Layers { active, .. } => Some(active.clone()),
            _ => None,
        };
        self.events.iter().rev().find_map(of)
    }
}

/// Three streams named by SSRC, the smallest first, as browsers did before RIDs.
fn by_ssrc() -> String {
    let group = "a=mid:1\r\na=ssrc-group:SIM 11 12 13\r\na=ssrc-group:FID 11 21\r\na=ssrc-group:FID 12 22\r\n\
                 a=ssrc-group:FID 13 23\r\na=ssrc:11 cname:x\r\na=ssrc:12 cname:x\r\na=ssrc:13 cname:x\r\n\
                 a=ssrc:21 cname:x\r\na=ssrc:22 cname:x\r\na=ssrc:23 cname:x\r\n";
    let offered: String = WHIP
        .lines()
        .filter(|line| !line.starts_with("a=ssrc"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    offered.replace("a=mid:1\r\n", group)
}

#[test]
fn simulcast_by_ssrc_a_picture_changes_with_its_key_frame_and_not_before() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    let all = |room: &mut Room, key: bool| {
        for (ssrc, height) in [(11, 180), (12, 360), (13, 720)] {
            room.frame(ssrc, height, key, None);
        }
        room.pass(Duration::from_millis(33));
    };
    room.watch("1", 180);
    for n in 0..10 {
        all(&mut room, n == 0);
    }
    assert_eq!(room.layer(), Some((0, None)));
    let before = room.shard.counters().clone();
    room.watch("1", 720);
    for _ in 0..3 {
        all(&mut room, false);
    }
    assert_eq!(
        room.layer(),
        Some((0, None)),
        "no key frame yet: the small picture goes on"
    );
    let forwarded = room.shard.counters().forwarded - before.forwarded;
    assert_eq!(forwarded, 3, "a frame of the small layer each time");
    assert!(room.shard.counters().key_frames_asked > before.key_frames_asked);
    all(&mut room, true);
    assert_eq!(room.layer(), Some((2, None)));
    // The small layer's key frame, and then the large one's.
    assert_eq!(room.shard.counters().forwarded - before.forwarded, 5);
}

#[test]
fn an_unwatched_layer_is_named_after_a_while_and_a_wanted_one_at_once() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    room.watch("1", 180);
    for n in 0..240 {
        for (ssrc, height) in [(11, 180), (12, 360), (13, 720)] {
            room.frame(ssrc, height, n == 0, None);
        }
        room.pass(Duration::from_millis(33));
        if n == 60 {
            assert_eq!(room.told(), None, "two seconds are not a while");
        }
    }
    assert_eq!(room.told(), Some(vec![true, false, false]));
    room.watch("1", 720);
    assert_eq!(
        room.told(),
        Some(vec![true, false, true]),
        "without waiting for anything"
    );
}

#[test]
fn a_source_named_before_its_first_packet_is_shown_from_its_first_key_frame() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    room.watch("1", 180);
    assert_eq!(room.layer().map(|(_, paused)| paused), Some(Some(PauseReason::NoMedia)));
    room.frame(11, 180, true, None);
    assert_eq!(room.shard.counters().forwarded, 1);
    assert_eq!(room.layer(), Some((0, None)));
}

#[test]
fn a_layer_that_stalls_is_left_before_it_counts_as_dead() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, &by_ssrc(), SlotPolicy::Fill);
    room.join(VIEWER, WHEP, SlotPolicy::Intents);
    room.watch("1", 720);
    for n in 0..30 {
        for (ssrc, height) in [(11, 180), (13, 720)] {
            room.frame(ssrc, height, n == 0 || n == 5, None);
        }
        room.pass(Duration::from_millis(33));
    }
    assert_eq!(room.layer(), Some((2, None)));
    for n in 0..30 {
        room.frame(11, 180, n == 25, None);
        room.pass(Duration::from_millis(33));
    }
    assert_eq!(
        room.layer(),
        Some((0, None)),
        "within a second, with the small layer's key frame"
    );
}

#[test]
fn a_hundred_streams_of_one_publisher_are_bounded_and_nobody_elses_trouble() {
    let mut room = Room::new(&[CodecKind::Vp8]);
    room.join(PUBLISHER, CALL, SlotPolicy::Intents);
    room.join(VIEWER, CALL, SlotPolicy::Intents);
    room.watch("9", 180);
    room.frame(500, 180, true, Some("q"));
    for n in 0..100 {
        room.frame(1_000 + n, 180, true, Some(&format!("r{n}")));
    }
    assert_eq!(room.shard.counters().dropped(Drop::UnknownStream), 100);
    // A hundred streams that all claim to be the same layer: one of them is, until it may begin anew.
    let asked = room.shard.counters().key_frames_asked;
    for n in 0..100 {
        room.frame(2_000 + n, 180, false, Some("q"));
    }
    assert_eq!(room.shard.counters().dropped(Drop::UnknownStream), 200);
    assert!(room.shard.counters().key_frames_asked - asked <= 1);
    let before = room.shard.counters().forwarded;
    for _ in 0..10 {
        room.frame(500, 180, false, Some("q"));
        room.pass(Duration::from_millis(33));
    }
    assert_eq!(room.shard.counters().forwarded - before, 10, "the picture goes on");
    room.shard.close_room(room.now, RoomId(1));
    assert_eq!(room.shard.kept(), 0);
}

#[test]
fn a_room_falls_back_to_a_codec_that_everybody_decodes_and_returns() {
    let mut room = Room::new(&[CodecKind::Vp9, CodecKind::Vp8]);
    room.join(PUBLISHER, WHIP, SlotPolicy::Fill);
    let frame = |room: &mut Room| {
        room.frame(77, 360, true, None);
        room.pass(Duration::from_millis(150));
    };
    frame(&mut room);
    let codec = |room: &Room| {
        let of = |event: &Event| match event {
            Event::Layers { codec, .. } => *codec,
            _ => None,
        };
        room.events.iter().rev().find_map(of)
    };
    assert_eq!(codec(&room), None, "it sends what its answer put first");
    // The call's offer knows VP8 alone.
    room.join(VIEWER, CALL, SlotPolicy::Intents);
    frame(&mut room);
    assert_eq!(codec(&room), Some(CodecKind::Vp8));
    room.shard.leave(room.now, VIEWER);
    frame(&mut room);
    assert_eq!(codec(&room), Some(CodecKind::Vp9));
}
