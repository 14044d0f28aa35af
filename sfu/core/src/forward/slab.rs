//! Received packets, kept where they were opened: the retransmission and key-frame cache of the shard.

use std::time::Instant;

use crate::rtp::{Frame, Header, Numbers, vp8, vp9};
use crate::sdp::CodecKind;

/// Bytes of a receive buffer; larger datagrams are cut by the socket, fail authentication and are dropped.
pub const BUFFER_LEN: usize = 2048;

/// Packets a shard keeps at once: 128 MiB. When all are taken a new packet is dropped and counted; each stream's own ring
/// and age limit ([`super::Receiver`]) keep one publisher from taking them all.
const MAX_PACKETS: usize = 1 << 16;

/// A datagram in memory of its own. Keeping one means swapping it for an empty one, not copying it.
pub struct PacketBuffer {
    /// The memory.
    pub bytes: Box<[u8; BUFFER_LEN]>,
    /// How much of it is used.
    pub len: usize,
    /// When it came to this machine, where that is known better than by when it was read.
    pub arrived: Option<Instant>,
}

impl Default for PacketBuffer {
    fn default() -> Self {
        Self {
            bytes: Box::new([0; BUFFER_LEN]),
            len: 0,
            arrived: None,
        }
    }
}

impl PacketBuffer {
    /// Takes a copy; `false` when it is too long for a packet.
    pub fn fill(&mut self, datagram: &[u8]) -> bool {
        let Some(room) = self.bytes.get_mut(..datagram.len()) else {
            return false;
        };
        room.copy_from_slice(datagram);
        self.len = datagram.len();
        self.arrived = None;
        true
    }

    /// The datagram.
    pub fn datagram(&mut self) -> &mut [u8] {
        let len = self.len.min(BUFFER_LEN);
        &mut self.bytes[..len]
    }
}

/// What was read from a packet, once.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// Header fields and offsets.
    pub header: Header,
    /// Extended sequence number in its stream.
    pub index: u64,
    /// What the payload is.
    pub codec: CodecKind,
    /// RFC 6464 byte, if it came with one.
    pub audio_level: Option<u8>,
    /// Video orientation byte, if it came with one.
    pub orientation: Option<u8>,
    /// What it says of its frame.
    pub frame: Frame,
    /// What of the payload a viewer gets in another form.
    pub payload: Payload,
    /// Where the dependency descriptor lies in the packet, and its length.
    pub dependency: Option<(u16, u8)>,
}

/// What of a payload a viewer gets in another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    Plain,
    /// VP8's numbers.
    Vp8(vp8::Descriptor),
    /// VP9's numbers.
    Vp9(vp9::Descriptor),
    /// Redundant audio, whose newest block begins at this offset.
    Red(u16),
}

impl Meta {
    /// Of a packet of which nothing but the header is known.
    pub fn new(header: Header, index: u64, codec: CodecKind) -> Self {
        Self {
            header,
            index,
            codec,
            audio_level: None,
            orientation: None,
            frame: Frame::default(),
            payload: Payload::Plain,
            dependency: None,
        }
    }

    /// Whether a decoder can begin here.
    pub fn starts_key_frame(&self) -> bool {
        self.frame.key
    }

    /// The numbers that a viewer sees continued.
    pub fn numbers(&self) -> Numbers {
        let numbers = match self.payload {
            Payload::Vp8(descriptor) => descriptor.numbers(),
            Payload::Vp9(descriptor) => descriptor.numbers(),
            Payload::Plain | Payload::Red(_) => Numbers::default(),
        };
        Numbers {
            frame: self.frame.number.unwrap_or(0),
            ..numbers
        }
    }
}

/// A place in the slab, with the generation of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketKey {
    place: u32,
    generation: u16,
}

impl PacketKey {
    /// The key as 48 bits, for histories.
    pub fn parts(self) -> (u32, u16) {
        (self.place, self.generation)
    }

    /// The key from [`Self::parts`].
    pub fn from_parts(place: u32, generation: u16) -> Self {
        Self { place, generation }
    }
}

struct Entry {
    buffer: PacketBuffer,
    meta: Meta,
    generation: u16,
    used: bool,
}

/// All kept packets of a shard.
#[derive(Default)]
pub struct Slab {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

impl Slab {
    /// Keeps the packet in `buffer`, which gets other memory. `None` when the slab is full.
    pub fn keep(&mut self, buffer: &mut PacketBuffer, meta: Meta) -> Option<PacketKey> {
        let Some(place) = self.free.pop() else {
            if self.entries.len() == MAX_PACKETS {
                return None;
            }
            let kept = std::mem::take(buffer);
            self.entries.push(Entry {
                buffer: kept,
                meta,
                generation: 0,
                used: true,
            });
            // Room to give every place back without an allocation later.
            self.free.reserve(self.entries.len());
            return Some(PacketKey {
                place: self.entries.len() as u32 - 1,
                generation: 0,
            });
        };
        let entry = self.entries.get_mut(place as usize)?;
        std::mem::swap(&mut entry.buffer, buffer);
        entry.meta = meta;
        entry.used = true;
        Some(PacketKey {
            place,
            generation: entry.generation,
        })
    }

    /// The packet, if it is still there.
    pub fn get(&self, key: PacketKey) -> Option<(&[u8], &Meta)> {
        let entry = self.entries.get(key.place as usize)?;
        if !entry.used || entry.generation != key.generation {
            return None;
        }
        Some((entry.buffer.bytes.get(..entry.buffer.len)?, &entry.meta))
    }

    /// Gives a place back; keys to it turn stale.
    pub fn free(&mut self, key: PacketKey) {
        if let Some(entry) = self.entries.get_mut(key.place as usize)
            && entry.used
            && entry.generation == key.generation
        {
            entry.used = false;
            entry.generation = entry.generation.wrapping_add(1);
            self.free.push(key.place);
        }
    }

    /// Packets kept now.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let packet = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
        let header = Header::parse(&packet).unwrap();
        Meta::new(header, 1, CodecKind::Vp8)
    }

    #[test]
    fn a_stale_key_finds_nothing_even_when_the_place_is_taken_again() {
        let mut slab = Slab::default();
        let mut buffer = PacketBuffer::default();
        buffer.bytes[0] = 7;
        buffer.len = 1;
        let first = slab.keep(&mut buffer, meta()).unwrap();
        assert_eq!(slab.get(first).unwrap().0, [7]);
        slab.free(first);
        slab.free(first);
        assert!(slab.get(first).is_none());
        buffer.len = 2;
        let second = slab.keep(&mut buffer, meta()).unwrap();
        assert!(slab.get(first).is_none());
        assert_eq!(slab.get(second).unwrap().0.len(), 2);
        assert_eq!(slab.len(), 1);
    }
}
