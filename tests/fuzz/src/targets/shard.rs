//! The shard as a whole. An input is a play: each byte a step (join, packet, report, leave, time, ...), the bytes behind it
//! what the step needs. Packets come in as opened, since nobody guesses a key; everything behind the cipher is real.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::forward::PacketBuffer;
use sfu_core::room::{Intent, SlotPolicy};
use sfu_core::sdp::{CodecKind, CodecPolicy, Extension};
use sfu_core::shard::{Drop, OfferRequest, Shard, ShardConfig};
use sfu_core::transport::{IceCredentials, Identity};
use sfu_core::types::{ParticipantId, Path, Random, RoomId, Source};

use super::{Execute, Kind};

const CHROMIUM: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/chromium-call.sdp");
const FIREFOX: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/firefox-call.sdp");
const WHIP: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/chromium-whip.sdp");
const WHEP: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/firefox-whep.sdp");

/// The m-lines of a call that are kept: microphone, camera, two slots for sound and two for pictures. All 20 of them would
/// take most of the time.
const KEPT: [usize; 6] = [0, 1, 4, 5, 9, 10];

/// The offers with which people join.
fn offers() -> [String; 4] {
    let short = |sdp: &str| {
        let mut sections = sdp.split("\r\nm=");
        let mut text = sections.next().unwrap_or_default().to_owned();
        for (_, section) in sections.enumerate().filter(|(at, _)| KEPT.contains(at)) {
            text.push_str("\r\nm=");
            text.push_str(section);
        }
        text + "\r\n"
    };
    // Without simulcast Chromium does not offer the descriptor; a publisher may.
    let described = |sdp: &str| {
        sdp.replace(
            "a=mid:1\r\n",
            &format!("a=mid:1\r\na=extmap:12 {}\r\n", DESCRIPTOR.uri()),
        )
    };
    [short(CHROMIUM), short(FIREFOX), described(WHIP), described(WHEP)]
}

const DESCRIPTOR: Extension = Extension::DependencyDescriptor;

/// People of a play, in two rooms.
const PEOPLE: u8 = 6;
/// Steps of one play.
const MAX_STEPS: usize = 200;
/// Bytes that one step may make the shard send, with the reports that were due.
const MAX_OUTPUT: usize = 8 << 20;

struct Seeded(u64);

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

/// The bytes of a play. At the end there is silence.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }
}

struct Stage {
    shard: Shard,
    now: Instant,
    buffer: PacketBuffer,
    offers: [String; 4],
    events: usize,
    sent: usize,
    refused: usize,
}

pub(super) fn start() -> Execute {
    let mut stage = Stage::new();
    Box::new(move |input| stage.play(input))
}

impl Stage {
    #[allow(clippy::expect_used, reason = "without a certificate there is nothing to fuzz")]
    fn new() -> Self {
        let now = Instant::now();
        let config = ShardConfig {
            node: 0,
            shard: 0,
            candidates: vec![SocketAddr::from(([10, 0, 0, 1], 5_000))],
            codecs: CodecPolicy {
                audio: vec![CodecKind::Red, CodecKind::Opus],
                video: vec![CodecKind::Vp9, CodecKind::Av1, CodecKind::H264, CodecKind::Vp8],
            },
            speakers: 2,
        };
        let identity = Identity::generate().expect("a certificate");
        Self {
            shard: Shard::new(config, identity, Box::new(Seeded(0x1357_9bdf)), now),
            now,
            buffer: PacketBuffer::default(),
            offers: offers(),
            events: 0,
            sent: 0,
            refused: 0,
        }
    }

    fn play(&mut self, input: &[u8]) -> u64 {
        let before = self.shard.counters().clone();
        (self.events, self.sent, self.refused) = (0, 0, 0);
        let mut script = Script(input);
        let mut steps = 0;
        while !script.0.is_empty() && steps < MAX_STEPS {
            steps += 1;
            self.step(&mut script);
            self.collect();
        }
        for room in [0, 1] {
            self.shard.close_room(self.now, RoomId(room));
            self.collect();
        }
        assert_eq!(self.shard.participants(), 0, "everybody has left");
        assert_eq!(self.shard.kept(), 0, "every packet was given back");
        let after = self.shard.counters();
        assert_eq!(
            after.dropped(Drop::Seal),
            before.dropped(Drop::Seal),
            "no number is used twice"
        );
        Kind::default()
            .size((after.forwarded - before.forwarded) as usize)
            .size((after.left_out - before.left_out) as usize)
            .size((after.retransmitted - before.retransmitted) as usize)
            .size((after.key_frames_asked - before.key_frames_asked) as usize)
            .is(after.malformed_payloads > before.malformed_payloads)
            .size(self.events)
            .size(self.refused)
            .done()
    }

    /// Takes events and packets as the thread does.
    fn collect(&mut self) {
        while self.shard.poll_event().is_some() {
            self.events += 1;
        }
        let out = self.shard.outgoing();
        assert!(out.len() <= MAX_OUTPUT, "one step, {} bytes", out.len());
        for (_, datagram) in out.iter() {
            assert!(datagram.len() <= 2_200);
            self.sent += 1;
        }
        out.clear();
    }

    fn path(person: u8) -> Path {
        Path::Udp {
            local: SocketAddr::from(([10, 0, 0, 1], 5_000)),
            remote: SocketAddr::from(([10, 0, 1, person], 6_000)),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let step = script.byte();
        let person = script.byte() % PEOPLE;
        let id = ParticipantId(u32::from(person) + 1);
        let room = RoomId(u32::from(person % 2));
        match step % 16 {
            0 => self.join(script, person),
            1 => self.shard.leave(self.now, id),
            2..=8 => self.packet(script, id),
            9 => self.report(script, id),
            10 => {
                self.now += Duration::from_millis(u64::from(script.word() % 4_000));
                if self.shard.next_deadline().is_some_and(|at| at <= self.now) {
                    self.shard.handle_timeout(self.now);
                }
            }
            11 => self.intents(script, id),
            12 => {
                let source = [Source::Mic, Source::Camera, Source::Screen, Source::ScreenAudio];
                let how = script.byte();
                let source = source[usize::from(how % 4)];
                self.shard.set_blocked(self.now, room, id, source, how & 0x80 != 0);
            }
            13 => self.datagram(script, person),
            14 => {
                let remote = IceCredentials {
                    ufrag: "fuzz".to_owned(),
                    pwd: "a password that is long enough".to_owned(),
                };
                self.shard.restart_ice(self.now, id, remote);
            }
            _ => match script.byte() {
                0 => self.shard.fail_room(room),
                1 => self.shard.close_room(self.now, room),
                _ => {}
            },
        }
    }

    fn join(&mut self, script: &mut Script<'_>, person: u8) {
        let which = script.byte();
        let id = ParticipantId(u32::from(person) + 1);
        let slots = match which >> 2 & 3 {
            0 | 1 => SlotPolicy::Intents,
            2 => SlotPolicy::Fill,
            _ => SlotPolicy::Publishers(vec![ParticipantId(1), ParticipantId(2)]),
        };
        let request = OfferRequest {
            room: RoomId(u32::from(person % 2)),
            participant: id,
            sdp: self.offers[usize::from(which % 4)].clone(),
            mids: BTreeMap::new(),
            publish: which & 0x10 == 0,
            subscribe: which & 0x20 == 0,
            slots,
        };
        match self.shard.offer(self.now, request) {
            Ok(_) if which & 0x40 == 0 => self.shard.connect_unproven(self.now, id, Self::path(person)),
            Ok(_) => {}
            Err(_) => self.refused += 1,
        }
    }

    /// An RTP packet: SSRC and payload type from small sets so that streams go on, extensions and payload as the script says.
    fn packet(&mut self, script: &mut Script<'_>, id: ParticipantId) {
        let (stream, flags) = (script.byte(), script.byte());
        let index = u64::from(script.word());
        let pts: [u8; 12] = [111, 63, 96, 97, 98, 99, 45, 46, 102, 103, 120, 109];
        let payload_type = pts[usize::from(stream >> 4) % pts.len()];
        let mut packet = vec![
            if flags & 1 != 0 { 0x90 } else { 0x80 },
            payload_type | flags & 0x80,
            (index >> 8) as u8,
            index as u8,
        ];
        packet.extend(u32::from(script.word()).wrapping_mul(90).to_be_bytes());
        packet.extend((1_000 + u32::from(stream & 0x0f)).to_be_bytes());
        if flags & 1 != 0 {
            // One to three elements with ids that the offers agree on: level, mid, RIDs, dependency descriptor, ...
            let mut elements = Vec::new();
            for _ in 0..=flags >> 1 & 3 {
                let (element, value) = (script.byte() % 15, script.piece());
                let value = &value[..value.len().min(120)];
                elements.extend([element.max(1), value.len() as u8]);
                elements.extend(value);
            }
            elements.resize(elements.len().next_multiple_of(4), 0);
            packet.extend([0x10, 0x00]);
            packet.extend(((elements.len() / 4) as u16).to_be_bytes());
            packet.extend(elements);
        }
        packet.extend(script.piece());
        self.load(&packet);
        self.shard.take_opened(self.now, id, &mut self.buffer, index, false);
    }

    /// RTCP: a real kind and a real stream of the participant, or the script's own bytes.
    fn report(&mut self, script: &mut Script<'_>, id: ParticipantId) {
        let how = script.byte();
        let body = script.piece();
        let mut compound = Vec::new();
        let slots = self.shard.slot_numbers(id);
        if how & 0x80 != 0 {
            compound.extend(body);
        } else {
            let (count, kind) = [(1, 205), (1, 206), (4, 206), (0, 200), (1, 201), (15, 205)][usize::from(how) % 6];
            let slot = slots.get(usize::from(script.byte()) % slots.len().max(1)).copied();
            let (ssrc, next) = slot.unwrap_or((1_000, 0));
            let mut body = body.to_vec();
            body.resize(body.len().next_multiple_of(4), 0);
            if let (205, Some([high, low])) = (kind, body.first_chunk_mut::<2>()) {
                // What is asked for again counts back from what was sent last.
                let number = next.wrapping_sub(u16::from_be_bytes([*high, *low]));
                [*high, *low] = number.to_be_bytes();
            }
            compound.extend([0x80 | count, kind]);
            compound.extend((2 + (body.len() / 4) as u16).to_be_bytes());
            compound.extend(1_u32.to_be_bytes());
            compound.extend(ssrc.to_be_bytes());
            compound.extend(body);
        }
        self.load(&compound);
        self.shard.take_opened(self.now, id, &mut self.buffer, 0, true);
    }

    fn datagram(&mut self, script: &mut Script<'_>, person: u8) {
        let bytes = script.piece().to_vec();
        self.load(&bytes);
        self.shard
            .handle_datagram(self.now, Self::path(person), &mut self.buffer);
    }

    fn intents(&mut self, script: &mut Script<'_>, id: ParticipantId) {
        let count = script.byte() % 12;
        let intents = (0..count).map(|_| {
            let what = script.byte();
            Intent {
                mid: (script.byte() % 24).to_string(),
                participant: ParticipantId(u32::from(what % (PEOPLE + 2))),
                source: [Source::Camera, Source::Screen, Source::Mic, Source::ScreenAudio][usize::from(what >> 6)],
                height: u32::from(script.byte()) * 8,
                fps: u32::from(script.byte() % 61),
                priority: 0,
            }
        });
        let intents = intents.collect();
        self.shard.intents(self.now, id, intents);
    }

    fn load(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(self.buffer.bytes.len());
        self.buffer.bytes[..length].copy_from_slice(&bytes[..length]);
        self.buffer.len = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a play of the corpus makes the shard do: forwarded, left out, retransmitted, malformed.
    fn play(name: &str) -> [u64; 4] {
        let file = format!("{}/corpus/shard/{name}", env!("CARGO_MANIFEST_DIR"));
        let input = std::fs::read(&file).unwrap();
        let mut stage = Stage::new();
        stage.play(&input);
        assert_eq!(stage.refused, 0, "the offers of {name} are answered");
        let counters = stage.shard.counters();
        [
            counters.forwarded,
            counters.left_out,
            counters.retransmitted,
            counters.malformed_payloads,
        ]
    }

    /// A fuzzer whose plays never get as far as a viewer would be green for ever.
    #[test]
    fn the_plays_of_the_corpus_reach_what_they_are_for() {
        let [forwarded, _, retransmitted, malformed] = play("simulcast");
        assert!(
            forwarded > 0 && retransmitted > 0 && malformed == 0,
            "{forwarded} {retransmitted} {malformed}"
        );
        let [forwarded, left_out, _, malformed] = play("layered");
        assert!(forwarded > 0 && malformed == 0, "{forwarded} {left_out} {malformed}");
        for sound in ["voices", "redundant"] {
            let [forwarded, _, _, malformed] = play(sound);
            assert!(forwarded > 0 && malformed == 0, "{sound}: {forwarded} {malformed}");
        }
    }
}
