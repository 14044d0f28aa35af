//! Queues between the shards of a play: short, so that they overflow, and in the hands of the script.

use std::collections::VecDeque;
use std::time::Instant;

use sfu_core::shard::{PacketHead, Post, RelayedPacket, Shard, Word};

/// Packets and words in one queue. Words have a little more room, as between threads.
const CAPACITY: usize = 24;
const RESERVED: usize = 8;

enum Relay {
    Packet(Box<RelayedPacket>),
    Word(Word),
}

/// What is on its way to each of two shards.
#[derive(Default)]
pub(super) struct Relays {
    to: [VecDeque<Relay>; 2],
    /// A shard that takes nothing.
    pub(super) stalled: Option<u8>,
}

impl Post for Relays {
    fn packet(&mut self, to: u8, head: &PacketHead, bytes: &[u8]) -> bool {
        let queue = &mut self.to[usize::from(to)];
        let fits = queue.len() < CAPACITY;
        if fits {
            let mut packet = RelayedPacket {
                head: *head,
                buffer: Default::default(),
            };
            packet.buffer.bytes[..bytes.len()].copy_from_slice(bytes);
            packet.buffer.len = bytes.len();
            queue.push_back(Relay::Packet(Box::new(packet)));
        }
        fits
    }

    fn word(&mut self, to: u8, word: Word) -> Result<(), Word> {
        let queue = &mut self.to[usize::from(to)];
        if queue.len() >= CAPACITY + RESERVED {
            return Err(word);
        }
        queue.push_back(Relay::Word(word));
        Ok(())
    }
}

impl Relays {
    /// Posts and takes until nothing moves.
    pub(super) fn exchange(&mut self, now: Instant, shards: &mut [Shard]) {
        loop {
            let mut moved = false;
            for shard in shards.iter_mut().filter(|shard| shard.has_relays()) {
                shard.post_relays(now, self);
            }
            for (to, shard) in shards.iter_mut().enumerate() {
                if self.stalled == Some(to as u8) {
                    continue;
                }
                let from = 1 - to as u8;
                while let Some(relay) = self.to[to].pop_front() {
                    moved = true;
                    match relay {
                        Relay::Packet(mut packet) => shard.take_packet(now, from, &mut packet),
                        Relay::Word(word) => shard.take_word(now, from, word),
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }
}
