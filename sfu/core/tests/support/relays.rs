//! Queues between the shards of a world: bounded, in order, as between threads, but in the test's hands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use sfu_core::forward::PacketBuffer;
use sfu_core::shard::{PacketHead, Post, RelayedPacket, Shard, Word};

enum Relay {
    Packet(RelayedPacket),
    Word(Word),
}

pub struct Relays {
    queues: BTreeMap<(u8, u8), VecDeque<Relay>>,
    spare: Vec<PacketBuffer>,
    /// Packets and words that a queue holds.
    pub capacity: usize,
    /// Shards that do nothing.
    pub stalled: BTreeSet<u8>,
    /// Packets that have crossed: from, to.
    pub packets: BTreeMap<(u8, u8), usize>,
    pub words: usize,
}

impl Default for Relays {
    fn default() -> Self {
        Self {
            queues: BTreeMap::new(),
            spare: Vec::new(),
            capacity: 2_048,
            stalled: BTreeSet::new(),
            packets: BTreeMap::new(),
            words: 0,
        }
    }
}

struct Outlet<'a> {
    from: u8,
    relays: &'a mut Relays,
}

impl Post for Outlet<'_> {
    fn packet(&mut self, to: u8, head: &PacketHead, bytes: &[u8]) -> bool {
        let Relays {
            queues,
            spare,
            capacity,
            ..
        } = self.relays;
        let queue = queues.entry((self.from, to)).or_default();
        if queue.len() >= *capacity {
            return false;
        }
        let mut buffer = spare.pop().unwrap_or_default();
        buffer.bytes[..bytes.len()].copy_from_slice(bytes);
        buffer.len = bytes.len();
        queue.push_back(Relay::Packet(RelayedPacket { head: *head, buffer }));
        *self.relays.packets.entry((self.from, to)).or_default() += 1;
        true
    }

    fn word(&mut self, to: u8, word: Word) -> Result<(), Word> {
        let queue = self.relays.queues.entry((self.from, to)).or_default();
        if queue.len() >= self.relays.capacity {
            return Err(word);
        }
        queue.push_back(Relay::Word(word));
        self.relays.words += 1;
        Ok(())
    }
}

impl Relays {
    /// Posts and takes until nothing moves any more.
    pub fn exchange(&mut self, now: Instant, shards: &mut [&mut Shard]) {
        loop {
            let mut moved = false;
            for (from, shard) in shards.iter_mut().enumerate() {
                let from = from as u8;
                if shard.has_relays() && !self.stalled.contains(&from) {
                    shard.post_relays(now, &mut Outlet { from, relays: self });
                }
            }
            for ((from, to), queue) in &mut self.queues {
                if self.stalled.contains(to) {
                    continue;
                }
                let shard = &mut shards[usize::from(*to)];
                while let Some(relay) = queue.pop_front() {
                    moved = true;
                    match relay {
                        Relay::Packet(mut packet) => {
                            shard.take_packet(now, *from, &mut packet);
                            self.spare.push(packet.buffer);
                        }
                        Relay::Word(word) => shard.take_word(now, *from, word),
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }
}
