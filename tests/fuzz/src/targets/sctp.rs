//! SCTP packets of somebody whose association is up. Each has a byte of its kind and two of its length in front; header,
//! checksum and, where the kind says so, the TSN are made right, or nothing would get past them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sfu_core::data::{Channel, DataLink, MAX_MESSAGE, MAX_RELIABLE_BYTES, Message};

use super::{Execute, Kind};

/// Packets of one play.
const MAX_PACKETS: usize = 300;
/// Bytes that the link may send for one packet: what waited, and an answer.
const MAX_OUTPUT: usize = 128 << 10;

/// Our tag and first TSN.
const TAG: u32 = 77;
const TSN: u32 = 1_000;

struct Peer {
    link: DataLink,
    now: Instant,
    /// The link's tag.
    tag: u32,
    next: u32,
    sent: usize,
}

fn packet(tag: u32, chunks: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(12 + chunks.len());
    out.extend(5_000_u16.to_be_bytes());
    out.extend(5_000_u16.to_be_bytes());
    out.extend(tag.to_be_bytes());
    out.extend([0; 4]);
    out.extend(chunks);
    let sum = crc32c::crc32c(&out);
    out[8..12].copy_from_slice(&sum.to_le_bytes());
    out.into()
}

fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, flags];
    out.extend((value.len() as u16 + 4).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

impl Peer {
    /// After the handshake.
    fn new(start: Instant) -> Self {
        let mut peer = Self {
            link: DataLink::default(),
            now: start,
            tag: 0,
            next: TSN,
            sent: 0,
        };
        let mut init = TAG.to_be_bytes().to_vec();
        init.extend((1_u32 << 20).to_be_bytes());
        init.extend([0, 16, 0, 16]);
        init.extend(TSN.to_be_bytes());
        // Supported extensions: RE-CONFIG and FORWARD-TSN.
        init.extend([0x80, 8, 0, 6, 130, 192, 0, 0]);
        let answers = peer.take(packet(0, &chunk(1, 0, &init)));
        let answer = &answers[0];
        peer.tag = u32::from_be_bytes([answer[16], answer[17], answer[18], answer[19]]);
        let mut at = 32;
        let cookie = loop {
            let length = usize::from(u16::from_be_bytes([answer[at + 2], answer[at + 3]]));
            if answer[at..at + 2] == [0, 7] {
                break answer[at + 4..at + length].to_vec();
            }
            at += length.next_multiple_of(4);
        };
        peer.take(packet(peer.tag, &chunk(10, 0, &cookie)));
        assert!(peer.link.is_established());
        peer
    }

    fn take(&mut self, packet: Bytes) -> Vec<Bytes> {
        self.now += Duration::from_millis(7);
        let _ = self.link.handle(self.now, packet);
        self.link.handle_timeout(self.now);
        let mut out = Vec::new();
        loop {
            while let Some(packet) = self.link.poll_transmit(self.now) {
                assert!(
                    packet.len() < 1_300 || packet[12] != 0,
                    "{} bytes in one packet of data",
                    packet.len()
                );
                out.push(packet);
            }
            if !self.link.advance(self.now) {
                break;
            }
        }
        let bytes: usize = out.iter().map(Bytes::len).sum();
        assert!(bytes < MAX_OUTPUT, "{bytes} bytes for one packet");
        self.sent += out.len();
        out
    }

    fn step(&mut self, kind: u8, bytes: &[u8]) {
        let chunks = match kind % 8 {
            // Whatever it is.
            0 => bytes.to_vec(),
            // Data in sequence, with the script's flags, stream and content.
            1..=3 => {
                let [flags, stream, rest @ ..] = bytes else { return };
                let mut value = self.next.to_be_bytes().to_vec();
                self.next = self.next.wrapping_add(1 + u32::from(kind >> 7));
                value.extend([0, stream % 4, 0, stream >> 4, 0, 0, 0, 50 + (flags >> 4) % 8]);
                value.extend(rest);
                chunk(0, flags & 0x0f, &value)
            }
            // A kind of chunk, and the script's content.
            4 => {
                let [which, flags, rest @ ..] = bytes else { return };
                chunk([3, 4, 6, 9, 130, 192, 7, 10][usize::from(which % 8)], *flags, rest)
            }
            // Time passes.
            5 => {
                let ms = bytes.first().copied().unwrap_or(1);
                self.now += Duration::from_millis(u64::from(ms) * 16);
                self.link.handle_timeout(self.now);
                return;
            }
            // Others have something to say.
            6 => {
                let size = usize::from(bytes.first().copied().unwrap_or(0)) * 64;
                let channel = Channel::ALL[usize::from(kind >> 3) % 2];
                self.link.push(Message {
                    channel,
                    text: false,
                    bytes: vec![1; size].into(),
                });
                return;
            }
            // What was sent is given up, up to a TSN nearby.
            _ => {
                let ahead = bytes.first().copied().unwrap_or(0);
                self.next = self.next.wrapping_add(u32::from(ahead));
                let mut value = self.next.wrapping_sub(1).to_be_bytes().to_vec();
                value.extend(bytes.get(1..).unwrap_or_default());
                chunk(192, 0, &value)
            }
        };
        let tag = self.tag;
        self.take(packet(tag, &chunks));
    }
}

pub(super) fn start() -> Execute {
    let start = Instant::now();
    Box::new(move |input| {
        let mut peer = Peer::new(start);
        let (mut received, mut large) = (0, 0);
        let mut rest = input;
        for _ in 0..MAX_PACKETS {
            let [kind, high, low, behind @ ..] = rest else { break };
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
            let (bytes, behind) = behind.split_at(length);
            rest = behind;
            peer.step(*kind, bytes);
            while let Some(message) = peer.link.poll_received() {
                assert!(message.bytes.len() <= MAX_MESSAGE);
                received += 1;
            }
            large += peer.link.take_oversized() as usize;
        }
        const { assert!(MAX_RELIABLE_BYTES < 1 << 20) };
        assert!(!peer.link.has_panicked(), "the library has panicked");
        Kind::default()
            .size(received)
            .size(large)
            .size(peer.sent)
            .is(peer.link.is_established())
            .is(peer.link.is_ended())
            .done()
    })
}
