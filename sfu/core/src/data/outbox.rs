//! Messages that wait for one participant. Somebody on a slow link must not make the server keep a room's whole conversation:
//! of the lossy channel the oldest go, and the reliable one, which may not lose anything, is closed.

use std::collections::VecDeque;

use super::{Channel, Message};

/// Bytes of the lossy channel that wait; beyond them the oldest message goes.
pub const MAX_LOSSY_BYTES: usize = 64 * 1_024;
/// Messages of it, too: a pointer's positions are small, and old ones worth nothing.
pub const MAX_LOSSY_MESSAGES: usize = 128;
/// Bytes of the reliable channel that wait; one more message closes it.
pub const MAX_RELIABLE_BYTES: usize = 512 * 1_024;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits, and so many older ones were dropped for it.
    Taken(u32),
    /// The reliable channel has been closed by it: its participant is too slow.
    Overflowed,
    /// The channel is closed.
    Closed,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    reliable: VecDeque<Message>,
    reliable_bytes: usize,
    lossy: VecDeque<Message>,
    lossy_bytes: usize,
    /// The reliable channel had its turn last.
    turn: bool,
    /// By [`Channel::id`].
    closed: [bool; 2],
}

impl Outbox {
    pub(super) fn push(&mut self, message: Message) -> Pushed {
        if self.closed[usize::from(message.channel.id())] {
            return Pushed::Closed;
        }
        let size = message.bytes.len();
        match message.channel {
            Channel::Reliable if self.reliable_bytes + size > MAX_RELIABLE_BYTES => {
                self.close(Channel::Reliable);
                Pushed::Overflowed
            }
            Channel::Reliable => {
                self.reliable_bytes += size;
                self.reliable.push_back(message);
                Pushed::Taken(0)
            }
            Channel::Lossy => {
                let mut dropped = 0;
                while (self.lossy_bytes + size > MAX_LOSSY_BYTES || self.lossy.len() >= MAX_LOSSY_MESSAGES)
                    && let Some(old) = self.lossy.pop_front()
                {
                    self.lossy_bytes -= old.bytes.len();
                    dropped += 1;
                }
                self.lossy_bytes += size;
                self.lossy.push_back(message);
                Pushed::Taken(dropped)
            }
        }
    }

    /// Nothing more goes there; what waits is dropped.
    pub(super) fn close(&mut self, channel: Channel) {
        self.closed[usize::from(channel.id())] = true;
        match channel {
            Channel::Reliable => (self.reliable, self.reliable_bytes) = (VecDeque::new(), 0),
            Channel::Lossy => (self.lossy, self.lossy_bytes) = (VecDeque::new(), 0),
        }
    }

    /// The next message: the channels take turns, so that neither waits for the other.
    pub(super) fn pop(&mut self) -> Option<Message> {
        self.turn = !self.turn;
        let reliable = self.lossy.is_empty() || (self.turn && !self.reliable.is_empty());
        let message = if reliable {
            self.reliable.pop_front()
        } else {
            self.lossy.pop_front()
        }?;
        match message.channel {
            Channel::Reliable => self.reliable_bytes -= message.bytes.len(),
            Channel::Lossy => self.lossy_bytes -= message.bytes.len(),
        }
        Some(message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reliable.is_empty() && self.lossy.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn message(channel: Channel, size: usize) -> Message {
        Message {
            channel,
            text: false,
            bytes: Bytes::from(vec![1; size]),
        }
    }

    #[test]
    fn of_what_may_be_lost_the_oldest_goes_and_the_newest_stays() {
        let mut outbox = Outbox::default();
        let mut dropped = 0;
        for size in 1..=500 {
            match outbox.push(message(Channel::Lossy, size)) {
                Pushed::Taken(gone) => dropped += gone,
                other => panic!("{other:?}"),
            }
        }
        let kept: Vec<usize> = std::iter::from_fn(|| outbox.pop()).map(|m| m.bytes.len()).collect();
        assert_eq!(kept.len() + dropped as usize, 500);
        assert_eq!(*kept.last().unwrap(), 500);
        assert!(kept.len() == MAX_LOSSY_MESSAGES && kept.iter().sum::<usize>() <= MAX_LOSSY_BYTES);
    }

    #[test]
    fn what_may_not_be_lost_closes_its_channel_and_leaves_the_other_alone() {
        let mut outbox = Outbox::default();
        outbox.push(message(Channel::Lossy, 7));
        let taken = (0..100)
            .map(|_| outbox.push(message(Channel::Reliable, 16_384)))
            .take_while(|pushed| *pushed == Pushed::Taken(0))
            .count();
        assert_eq!(taken, 32);
        assert_eq!(outbox.push(message(Channel::Reliable, 1)), Pushed::Closed);
        assert_eq!(outbox.pop().unwrap().bytes.len(), 7);
        assert!(outbox.pop().is_none() && outbox.is_empty());
    }

    #[test]
    fn the_channels_take_turns() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push(message(Channel::Reliable, 1));
            outbox.push(message(Channel::Lossy, 2));
        }
        let order: Vec<usize> = std::iter::from_fn(|| outbox.pop()).map(|m| m.bytes.len()).collect();
        assert!(order.windows(2).all(|pair| pair[0] != pair[1]), "{order:?}");
    }
}
