//! Queues between the shards of a simulation: in order, as between threads.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use sfu_core::forward::PacketBuffer;
use sfu_core::shard::{PacketHead, Post, RelayedPacket, Shard, Word};

/// Packets and words that one queue holds, as in the server.
const CAPACITY: usize = 2_048;

enum Relay {
    Packet(Box<RelayedPacket>),
    Word(Word),
}

#[derive(Default)]
pub(crate) struct Relays {
    queues: BTreeMap<(u8, u8), VecDeque<Relay>>,
}

struct Outlet<'a> {
    from: u8,
    relays: &'a mut Relays,
}

impl Post for Outlet<'_> {
    fn packet(&mut self, to: u8, head: &PacketHead, bytes: &[u8]) -> bool {
        let queue = self.relays.queues.entry((self.from, to)).or_default();
        if queue.len() >= CAPACITY {
            return false;
        }
        let mut buffer = PacketBuffer::default();
        buffer.bytes[..bytes.len()].copy_from_slice(bytes);
        buffer.len = bytes.len();
        queue.push_back(Relay::Packet(Box::new(RelayedPacket { head: *head, buffer })));
        true
    }

    fn word(&mut self, to: u8, word: Word) -> Result<(), Word> {
        let queue = self.relays.queues.entry((self.from, to)).or_default();
        if queue.len() >= CAPACITY {
            return Err(word);
        }
        queue.push_back(Relay::Word(word));
        Ok(())
    }
}

impl Relays {
    /// Posts and takes until nothing moves any more; a shard that stands still does neither.
    pub(crate) fn exchange(&mut self, now: Instant, shards: &mut [Shard], stalled: impl Fn(u8) -> bool) {
        let mut moved = shards.len() > 1;
        while moved {
            moved = false;
            for (from, shard) in shards.iter_mut().enumerate() {
                let from = from as u8;
                if shard.has_relays() && !stalled(from) {
                    shard.post_relays(now, &mut Outlet { from, relays: self });
                }
            }
            for ((from, to), queue) in &mut self.queues {
                if stalled(*to) {
                    continue;
                }
                let shard = &mut shards[usize::from(*to)];
                while let Some(relay) = queue.pop_front() {
                    moved = true;
                    match relay {
                        Relay::Packet(mut packet) => shard.take_packet(now, *from, &mut packet),
                        Relay::Word(word) => shard.take_word(now, *from, word),
                    }
                }
            }
        }
    }
}
