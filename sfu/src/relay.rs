//! Queues between shards: what one posts, the other takes. No lock, and no allocation once all buffers are made.
//!
//! A packet is copied once, into a buffer that came back from the other side; the taker keeps it and gives an empty one back.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use sfu_core::forward::PacketBuffer;
use sfu_core::shard::{PacketHead, Post, RelayedPacket, Word};

use crate::sys::Waker;

/// Packets and words that may wait from one shard to another: 40 ms of 50,000 packets/s. When it is full a packet is dropped
/// and counted ([`sfu_core::shard::Drop::RelayFull`]), its publisher asked for a key frame once there is room, and a word kept
/// by its sender.
const RELAYS: usize = 2_048;
/// Places that only words may take: a flood of packets must not keep back who has left.
const RESERVED: usize = 256;

/// What goes from one shard to another.
pub(crate) enum Relay {
    Packet(RelayedPacket),
    Word(Word),
}

/// The two ends of a queue have this in common.
struct Queue {
    relays: ArrayQueue<Relay>,
    /// Buffers on their way back.
    spare: ArrayQueue<PacketBuffer>,
}

/// The end that posts.
pub(crate) struct Sender {
    to: u8,
    queue: Arc<Queue>,
    /// Buffers made so far.
    made: usize,
    waker: Waker,
    posted: bool,
}

/// The end that takes.
pub(crate) struct Receiver {
    from: u8,
    queue: Arc<Queue>,
}

/// A queue from one shard to another, whose thread `waker` wakes.
pub(crate) fn queue(from: u8, to: u8, waker: Waker) -> (Sender, Receiver) {
    let queue = Arc::new(Queue {
        relays: ArrayQueue::new(RELAYS),
        spare: ArrayQueue::new(RELAYS),
    });
    let sender = Sender {
        to,
        queue: queue.clone(),
        made: 0,
        waker,
        posted: false,
    };
    (sender, Receiver { from, queue })
}

impl Sender {
    fn packet(&mut self, head: &PacketHead, bytes: &[u8]) -> bool {
        if self.queue.relays.len() >= RELAYS - RESERVED {
            return false;
        }
        let mut buffer = match self.queue.spare.pop() {
            Some(buffer) => buffer,
            None if self.made < RELAYS => {
                self.made += 1;
                PacketBuffer::default()
            }
            None => return false,
        };
        let Some(room) = buffer.bytes.get_mut(..bytes.len()) else {
            return false;
        };
        room.copy_from_slice(bytes);
        buffer.len = bytes.len();
        let packet = RelayedPacket { head: *head, buffer };
        self.posted = true;
        self.queue.relays.push(Relay::Packet(packet)).is_ok()
    }

    fn word(&mut self, word: Word) -> Result<(), Word> {
        match self.queue.relays.push(Relay::Word(word)) {
            Ok(()) => {
                self.posted = true;
                Ok(())
            }
            Err(Relay::Word(word)) => Err(word),
            Err(Relay::Packet(_)) => Ok(()),
        }
    }
}

/// A shard's queues to and from the others.
#[derive(Default)]
pub(crate) struct Links {
    out: Vec<Sender>,
    back: Vec<Receiver>,
}

impl Links {
    pub(crate) fn add(&mut self, sender: Sender, receiver: Receiver) {
        self.out.retain(|known| known.to != sender.to);
        self.back.retain(|known| known.from != receiver.from);
        self.out.push(sender);
        self.back.push(receiver);
    }

    /// Wakes the shards for which something was posted: one system call each for a batch, or none.
    pub(crate) fn wake(&mut self) {
        for sender in self.out.iter_mut().filter(|sender| sender.posted) {
            sender.posted = false;
            sender.waker.wake();
        }
    }

    /// Gives what has come to `take`, with its shard; what was in a packet's buffer then goes back. Takes what there is now,
    /// so that a shard that floods does not keep the others waiting.
    pub(crate) fn take(&mut self, mut take: impl FnMut(u8, Taken<'_>)) {
        for Receiver { from, queue } in &self.back {
            for _ in 0..queue.relays.len() {
                match queue.relays.pop() {
                    Some(Relay::Packet(mut packet)) => {
                        take(*from, Taken::Packet(&mut packet));
                        // There is room: no more buffers are made than fit.
                        let _ = queue.spare.push(packet.buffer);
                    }
                    Some(Relay::Word(word)) => take(*from, Taken::Word(word)),
                    None => break,
                }
            }
        }
    }

    /// Whether nothing waits to be taken.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.back.iter().all(|receiver| receiver.queue.relays.is_empty())
    }
}

/// What has come.
pub(crate) enum Taken<'a> {
    Packet(&'a mut RelayedPacket),
    Word(Word),
}

impl Post for Links {
    fn packet(&mut self, to: u8, head: &PacketHead, bytes: &[u8]) -> bool {
        let sender = self.out.iter_mut().find(|sender| sender.to == to);
        sender.is_some_and(|sender| sender.packet(head, bytes))
    }

    fn word(&mut self, to: u8, word: Word) -> Result<(), Word> {
        match self.out.iter_mut().find(|sender| sender.to == to) {
            Some(sender) => sender.word(word),
            None => Err(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use sfu_core::forward::Meta;
    use sfu_core::rtp::Header;
    use sfu_core::sdp::CodecKind;
    use sfu_core::types::{ParticipantId, RoomId};

    use super::*;

    fn head() -> PacketHead {
        let header = Header::parse(&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]).unwrap();
        PacketHead {
            participant: ParticipantId(1),
            track: 0,
            layer: 0,
            ssrc: 9,
            at: Instant::now(),
            behind: 0,
            meta: Meta::new(header, 1, CodecKind::Vp8),
        }
    }

    fn linked() -> (Links, Links) {
        let (mut one, mut other) = (Links::default(), Links::default());
        let (sender, receiver) = queue(0, 1, Waker::new().unwrap());
        let (back, forth) = queue(1, 0, Waker::new().unwrap());
        one.add(sender, forth);
        other.add(back, receiver);
        (one, other)
    }

    #[test]
    fn what_is_posted_comes_in_its_order_and_the_buffers_go_round() {
        let (mut one, mut other) = linked();
        for round in 0..5 {
            for n in 0..1_000_u32 {
                assert!(one.packet(1, &head(), &n.to_be_bytes()));
            }
            assert!(one.word(1, Word::Failed(RoomId(7))).is_ok());
            assert!(!other.is_empty());
            let (mut packets, mut words) = (0_u32, 0);
            other.take(|from, taken| {
                assert_eq!(from, 0);
                match taken {
                    Taken::Packet(packet) => {
                        assert_eq!(packet.buffer.datagram(), packets.to_be_bytes());
                        packets += 1;
                    }
                    Taken::Word(word) => {
                        assert!(matches!(word, Word::Failed(RoomId(7))) && packets == 1_000);
                        words += 1;
                    }
                }
            });
            assert_eq!((packets, words, other.is_empty()), (1_000, 1, true), "round {round}");
        }
        assert_eq!(one.out[0].made, 1_000, "no more than were under way at once");
    }

    #[test]
    fn a_full_queue_refuses_packets_before_words() {
        let (mut one, mut other) = linked();
        let taken = (0..RELAYS).filter(|_| one.packet(1, &head(), b"packet")).count();
        assert_eq!(taken, RELAYS - RESERVED);
        let words = (0..RELAYS).filter(|_| one.word(1, Word::Anew).is_ok()).count();
        assert_eq!(words, RESERVED);
        assert!(!one.packet(2, &head(), b"nobody") && one.word(2, Word::Anew).is_err());
        other.take(|_, _| {});
        assert!(one.packet(1, &head(), b"packet"));
    }

    #[test]
    fn two_threads_lose_nothing_while_there_is_room() {
        let (mut one, mut other) = linked();
        const COUNT: u32 = 50_000;
        let taker = std::thread::spawn(move || {
            let mut next = 0_u32;
            while next < COUNT {
                other.take(|_, taken| {
                    if let Taken::Packet(packet) = taken {
                        assert_eq!(packet.buffer.datagram(), next.to_be_bytes());
                        next += 1;
                    }
                });
                std::thread::yield_now();
            }
        });
        for n in 0..COUNT {
            while !one.packet(1, &head(), &n.to_be_bytes()) {
                std::thread::yield_now();
            }
            one.wake();
        }
        taker.join().unwrap();
    }
}
