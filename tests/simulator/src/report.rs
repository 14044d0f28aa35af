//! What came of a plan.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::viewer::Seen;

/// What one participant went through.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// When they opened the link.
    pub joined: Duration,
    /// When their transport was up.
    pub connected: Option<Duration>,
    /// How long they were there.
    pub until: Duration,
    /// What they saw, by publisher.
    pub seen: BTreeMap<u32, Seen>,
    /// Packets of sound, by publisher.
    pub sound: BTreeMap<u32, u64>,
    /// Video packets from another room.
    pub foreign: u64,
    /// Bytes received by 100 ms since the beginning, everything.
    pub bytes: Vec<u64>,
    /// Of these padding in all.
    pub padding: u64,
    /// When each datagram to them was sent, how long it waited at the bottleneck, and whether the buffer was full.
    pub waits: Vec<(Duration, Duration, bool)>,
    /// How many tiles they have.
    pub tiles: usize,
}

/// What came of a plan.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Hash of all decisions: what signaling and the shards told, with the time.
    pub decisions: u64,
    /// By participant, in the plan's order.
    pub people: Vec<Witness>,
    /// Participants, stand-ins and kept packets in all shards, and seats in all calls, after everybody has left.
    pub left_behind: [usize; 4],
    /// Datagrams that reached a client.
    pub delivered: u64,
    /// Key frames that publishers were asked for.
    pub key_frames: u64,
}

impl Witness {
    /// Bits per second received between two times.
    pub fn rate(&self, from: Duration, to: Duration) -> f64 {
        let slot = |at: Duration| (at.as_millis() / 100) as usize;
        let bytes: u64 = self.bytes.iter().skip(slot(from)).take(slot(to) - slot(from)).sum();
        bytes as f64 * 8.0 / (to - from).as_secs_f64()
    }

    /// From when on, since `from`, at least so many bits per second came over a second.
    pub fn reaches(&self, bits: f64, from: Duration) -> Option<Duration> {
        let second = Duration::from_secs(1);
        let mut at = from;
        while at + second <= self.until {
            if self.rate(at, at + second) >= bits {
                return Some(at + second - from);
            }
            at += Duration::from_millis(100);
        }
        None
    }

    /// The queue that so many percent of the datagrams sent between two times met at most.
    pub fn queue(&self, from: Duration, to: Duration, percent: usize) -> Duration {
        let waits = self.waits.iter().filter(|wait| (from..to).contains(&wait.0));
        let mut waits: Vec<Duration> = waits.map(|wait| wait.1).collect();
        waits.sort_unstable();
        let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
        waits.get(at).copied().unwrap_or_default()
    }

    /// Part of the datagrams between two times that found the buffer full.
    pub fn overflow(&self, from: Duration, to: Duration) -> f64 {
        let waits = self.waits.iter().filter(|wait| (from..to).contains(&wait.0));
        let (all, lost) = waits.fold((0, 0), |(all, lost), wait| (all + 1, lost + u32::from(wait.2)));
        f64::from(lost) / f64::from(all.max(1))
    }

    /// Part of the time from `from` on in which pictures stood still or were paused, over all tiles.
    pub fn without_picture(&self, from: Duration, paused: bool) -> f64 {
        let part = |(a, b): &(Duration, Duration)| b.saturating_sub((*a).max(from)).as_secs_f64();
        let of = |seen: &Seen| {
            let frozen: f64 = seen.frozen.iter().map(part).sum();
            frozen
                + if paused {
                    seen.paused.iter().map(part).sum::<f64>()
                } else {
                    0.0
                }
        };
        let all: f64 = self.seen.values().map(of).sum();
        all / ((self.until - from).as_secs_f64() * self.tiles.max(1) as f64)
    }

    /// When the first picture was whole, since they joined.
    pub fn first_picture(&self) -> Option<Duration> {
        let first = self.seen.values().filter_map(|seen| seen.pictures.first()).min();
        first.map(|at| at.saturating_sub(self.joined))
    }
}
