//! The shard as a whole. An input is a play: each byte a step (join, packet, report, leave, time, ...), the bytes behind it
//! what the step needs. Packets come in as opened, since nobody guesses a key; everything behind the cipher is real.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu_core::forward::PacketBuffer;
use sfu_core::room::{Intent, SlotPolicy};
use sfu_core::sdp::{CodecKind, CodecPolicy};
use sfu_core::shard::{Drop, OfferRequest, Shard, ShardConfig};
use sfu_core::transport::{IceCredentials, Identity};
use sfu_core::types::{ParticipantId, Path, RoomId, Source};

use super::relays::Relays;
use super::script::{Script, Seeded, offers};
use super::{Execute, Kind};

/// People of a play, in two rooms.
const PEOPLE: u8 = 6;
/// Steps of one play.
const MAX_STEPS: usize = 200;
/// Bytes that one step may make the shard send, with the reports that were due.
const MAX_OUTPUT: usize = 8 << 20;
/// Places in [`Stage::counted`].
const COUNTED: usize = 8;
const MALFORMED: usize = 4;
const TAKEN: usize = 5;
const FULL: usize = 6;
const SEAL: usize = 7;

struct Stage {
    /// One, or two that both rooms are in.
    shards: Vec<Shard>,
    relays: Relays,
    now: Instant,
    buffer: PacketBuffer,
    offers: [String; 4],
    events: usize,
    sent: usize,
    refused: usize,
}

pub(super) fn start() -> Execute {
    let mut stage = Stage::new(1);
    Box::new(move |input| stage.play(input))
}

/// The same plays by people who are in two shards.
pub(super) fn start_spanned() -> Execute {
    let mut stage = Stage::new(2);
    Box::new(move |input| stage.play(input))
}

impl Stage {
    #[allow(clippy::expect_used, reason = "without a certificate there is nothing to fuzz")]
    fn new(shards: u8) -> Self {
        let now = Instant::now();
        let config = |number| ShardConfig {
            node: 0,
            shard: number,
            candidates: vec![SocketAddr::from(([10, 0, 0, 1], 5_000))],
            tcp_candidates: Vec::new(),
            codecs: CodecPolicy {
                audio: vec![CodecKind::Red, CodecKind::Opus],
                video: vec![CodecKind::Vp9, CodecKind::Av1, CodecKind::H264, CodecKind::Vp8],
            },
            speakers: 2,
        };
        let shard = |number| {
            let identity = Identity::generate().expect("a certificate");
            Shard::new(config(number), identity, Box::new(Seeded(0x1357_9bdf)), now)
        };
        Self {
            shards: (0..shards).map(shard).collect(),
            relays: Relays::default(),
            now,
            buffer: PacketBuffer::default(),
            offers: offers(),
            events: 0,
            sent: 0,
            refused: 0,
        }
    }

    fn play(&mut self, input: &[u8]) -> u64 {
        let before = self.counted();
        self.span();
        (self.events, self.sent, self.refused) = (0, 0, 0);
        let mut script = Script(input);
        let mut steps = 0;
        while !script.0.is_empty() && steps < MAX_STEPS {
            steps += 1;
            self.step(&mut script);
            self.collect();
        }
        self.relays.stalled = None;
        self.collect();
        for room in [0, 1] {
            self.close(RoomId(room));
        }
        for shard in &self.shards {
            assert_eq!(shard.participants() + shard.stand_ins(), 0, "everybody has left");
            assert_eq!(shard.kept(), 0, "every packet was given back");
        }
        let after = self.counted();
        assert_eq!(after[SEAL], before[SEAL], "no number is used twice");
        let risen = |at: usize| (after[at] - before[at]) as usize;
        let kind = (0..MALFORMED).fold(Kind::default(), |kind, at| kind.size(risen(at)));
        let kind = kind.is(risen(MALFORMED) > 0).size(self.events).size(self.refused);
        if self.shards.len() > 1 {
            return kind.size(risen(TAKEN)).size(risen(FULL)).done();
        }
        kind.done()
    }

    /// Counters of all shards together, by their place in what a play is judged by.
    fn counted(&self) -> [u64; COUNTED] {
        let mut all = [0; COUNTED];
        for counters in self.shards.iter().map(Shard::counters) {
            let these = [
                counters.forwarded,
                counters.left_out,
                counters.retransmitted,
                counters.key_frames_asked,
                counters.malformed_payloads,
                counters.relays_taken,
                counters.dropped(Drop::RelayFull),
                counters.dropped(Drop::Seal),
            ];
            for (sum, one) in all.iter_mut().zip(these) {
                *sum += one;
            }
        }
        all
    }

    /// Takes events and packets as the threads do.
    fn collect(&mut self) {
        if self.shards.len() > 1 {
            self.relays.exchange(self.now, &mut self.shards);
        }
        for shard in &mut self.shards {
            while shard.poll_event().is_some() {
                self.events += 1;
            }
            let out = shard.outgoing();
            assert!(out.len() <= MAX_OUTPUT, "one step, {} bytes", out.len());
            for (_, datagram) in out.iter() {
                assert!(datagram.len() <= 2_200);
                self.sent += 1;
            }
            out.clear();
        }
    }

    /// Both rooms are in both shards.
    fn span(&mut self) {
        if self.shards.len() > 1 {
            for (shard, room) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                self.shards[shard].span(self.now, RoomId(room), room as u8, &[0, 1]);
            }
        }
    }

    /// The shard of a person: of three in a room the first is in another one than the others.
    fn shard(&mut self, person: u8) -> &mut Shard {
        let at = usize::from(person >= 2) % self.shards.len();
        &mut self.shards[at]
    }

    fn shard_of(&mut self, id: ParticipantId) -> &mut Shard {
        self.shard(id.0 as u8 - 1)
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
            1 => {
                let now = self.now;
                self.shard(person).leave(now, id);
            }
            2..=8 => self.packet(script, id),
            9 => self.report(script, id),
            10 => {
                self.now += Duration::from_millis(u64::from(script.word() % 4_000));
                self.pass();
            }
            11 => self.intents(script, id),
            12 => {
                let source = [Source::Mic, Source::Camera, Source::Screen, Source::ScreenAudio];
                let how = script.byte();
                let source = source[usize::from(how % 4)];
                for shard in &mut self.shards {
                    shard.set_blocked(self.now, room, id, source, how & 0x80 != 0);
                }
            }
            13 => self.datagram(script, person),
            14 => {
                let remote = IceCredentials {
                    ufrag: "fuzz".to_owned(),
                    pwd: "a password that is long enough".to_owned(),
                };
                let now = self.now;
                self.shard(person).restart_ice(now, id, remote);
            }
            _ => match script.byte() {
                0 => {
                    self.shard(person).fail_room(room);
                    self.reopen(room);
                }
                1 => self.reopen(room),
                2 => self.relays.stalled = self.relays.stalled.xor(Some(person % 2)),
                _ => {}
            },
        }
    }

    /// Closes a room everywhere, as the handle does, and lets it be anew.
    fn reopen(&mut self, room: RoomId) {
        self.relays.stalled = None;
        self.collect();
        self.close(room);
        self.span();
    }

    /// Closes a room, and waits for the end of its timers: the server never opens one of the same number again.
    fn close(&mut self, room: RoomId) {
        for shard in &mut self.shards {
            shard.close_room(self.now, room);
        }
        self.collect();
        self.now += Duration::from_millis(200);
        self.pass();
    }

    fn pass(&mut self) {
        for shard in &mut self.shards {
            if shard.next_deadline().is_some_and(|at| at <= self.now) {
                shard.handle_timeout(self.now);
            }
        }
        self.collect();
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
            name: id.0.to_string(),
            sdp: self.offers[usize::from(which % 4)].clone(),
            mids: BTreeMap::new(),
            publish: which & 0x10 == 0,
            subscribe: which & 0x20 == 0,
            slots,
        };
        let now = self.now;
        match self.shard(person).offer(now, request) {
            Ok(_) if which & 0x40 == 0 => self.shard(person).connect_unproven(now, id, Self::path(person)),
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
        self.take_opened(id, index, false);
    }

    /// RTCP: a real kind and a real stream of the participant, or the script's own bytes.
    fn report(&mut self, script: &mut Script<'_>, id: ParticipantId) {
        let how = script.byte();
        let body = script.piece();
        let mut compound = Vec::new();
        let slots = self.shard_of(id).slot_numbers(id);
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
        self.take_opened(id, 0, true);
    }

    fn take_opened(&mut self, id: ParticipantId, index: u64, rtcp: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let now = self.now;
        self.shard_of(id).take_opened(now, id, &mut buffer, index, rtcp);
        self.buffer = buffer;
    }

    fn datagram(&mut self, script: &mut Script<'_>, person: u8) {
        let bytes = script.piece().to_vec();
        self.load(&bytes);
        let mut buffer = std::mem::take(&mut self.buffer);
        let now = self.now;
        self.shard(person).handle_datagram(now, Self::path(person), &mut buffer);
        self.buffer = buffer;
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
        let now = self.now;
        self.shard_of(id).intents(now, id, intents);
    }

    fn load(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(self.buffer.bytes.len());
        self.buffer.bytes[..length].copy_from_slice(&bytes[..length]);
        self.buffer.len = length;
    }
}

#[cfg(test)]
#[path = "shard_tests.rs"]
mod tests;
