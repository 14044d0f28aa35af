//! One direction of a bad network, sans-IO.
//!
//! A packet waits in the buffer until the bottleneck has sent everything before it and then itself, may be lost there, and
//! travels for the delay and its share of the jitter. Without reordering the order is kept, whatever the jitter.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::config::LinkConfig;

/// Bytes of the IPv4 and UDP headers of a packet, which a real bottleneck sends too.
pub const HEADERS: u64 = 28;

/// Packets that a link holds at most, whatever its configuration: an unlimited link with a long delay is still bounded.
const MAX_PACKETS: usize = 1 << 16;

/// What became of the packets of one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkStats {
    /// Given to the link.
    pub offered: u64,
    /// Delivered, duplicates included.
    pub delivered: u64,
    /// Bytes delivered, headers not counted.
    pub delivered_bytes: u64,
    /// Dropped because the buffer was full.
    pub overflowed: u64,
    /// Lost at random or in a burst.
    pub lost: u64,
    /// Lost in a blackout.
    pub blacked_out: u64,
    /// Held back, so that others overtook them.
    pub reordered: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Longest wait before the bottleneck, milliseconds.
    pub queue_max_ms: f64,
    /// Sum of all waits before the bottleneck, milliseconds: over `offered` less `overflowed` it is the mean.
    pub queue_sum_ms: f64,
}

impl LinkStats {
    /// Adds another link's.
    pub fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.delivered += other.delivered;
        self.delivered_bytes += other.delivered_bytes;
        self.overflowed += other.overflowed;
        self.lost += other.lost;
        self.blacked_out += other.blacked_out;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
        self.queue_max_ms = self.queue_max_ms.max(other.queue_max_ms);
        self.queue_sum_ms += other.queue_sum_ms;
    }
}

struct Waiting {
    packet: Vec<u8>,
    since: Instant,
}

/// On the wire: ordered by arrival, then by number, so that equal times keep their order.
struct Travelling {
    at: Instant,
    number: u64,
    packet: Vec<u8>,
}

impl PartialEq for Travelling {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Travelling {}
impl PartialOrd for Travelling {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Travelling {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// One direction.
pub struct Link {
    config: LinkConfig,
    random: StdRng,
    queue: VecDeque<Waiting>,
    queued_bytes: u64,
    /// When the bottleneck has sent the head of the queue.
    head_sent: Option<Instant>,
    wire: BinaryHeap<Reverse<Travelling>>,
    number: u64,
    /// Arrival of the last packet that was not held back: nothing later arrives before it.
    last_arrival: Option<Instant>,
    in_burst: bool,
    dark_until: Option<Instant>,
    stats: LinkStats,
}

impl Link {
    /// A link that draws its chances from `seed`.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self {
            config,
            random: StdRng::seed_from_u64(seed),
            queue: VecDeque::new(),
            queued_bytes: 0,
            head_sent: None,
            wire: BinaryHeap::new(),
            number: 0,
            last_arrival: None,
            in_burst: false,
            dark_until: None,
            stats: LinkStats::default(),
        }
    }

    /// What became of the packets so far.
    pub fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// Other conditions from now on; what is on its way stays so.
    pub fn set(&mut self, now: Instant, config: LinkConfig) {
        self.advance(now);
        self.config = config;
        if self.config.rate_kbps.is_none() {
            while let Some(waiting) = self.queue.pop_front() {
                self.depart(now, waiting);
            }
            (self.queued_bytes, self.head_sent) = (0, None);
        }
    }

    /// Nothing enters and nothing leaves the bottleneck's wire until then.
    pub fn black_out(&mut self, now: Instant, until: Instant) {
        self.advance(now);
        self.dark_until = Some(self.dark_until.map_or(until, |already| already.max(until)));
    }

    /// A packet to be carried.
    pub fn push(&mut self, now: Instant, packet: Vec<u8>) {
        self.advance(now);
        self.stats.offered += 1;
        if self.is_dark(now) {
            self.stats.blacked_out += 1;
            return;
        }
        let waiting = Waiting { packet, since: now };
        let Some(buffer) = self.config.buffer() else {
            self.depart(now, waiting);
            return;
        };
        let size = size(&waiting.packet);
        // A packet larger than the whole buffer passes when nothing is before it, as through a real interface.
        let full = !self.queue.is_empty() && self.queued_bytes + size > buffer;
        if full || self.queue.len() >= MAX_PACKETS {
            self.stats.overflowed += 1;
            return;
        }
        if self.queue.is_empty() {
            self.head_sent = Some(now + self.sending_time(size));
        }
        self.queued_bytes += size;
        self.queue.push_back(waiting);
    }

    /// The next packet that has arrived by now.
    pub fn pull(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.advance(now);
        if self.wire.peek().is_some_and(|Reverse(first)| first.at <= now) {
            let Reverse(arrived) = self.wire.pop()?;
            self.stats.delivered += 1;
            self.stats.delivered_bytes += arrived.packet.len() as u64;
            return Some(arrived.packet);
        }
        None
    }

    /// When [`Self::pull`] may have something.
    pub fn next_deadline(&self) -> Option<Instant> {
        let arrival = self.wire.peek().map(|Reverse(first)| first.at);
        [self.head_sent, arrival].into_iter().flatten().min()
    }

    /// Moves what the bottleneck has sent by now onto the wire.
    fn advance(&mut self, now: Instant) {
        while let Some(sent) = self.head_sent.filter(|sent| *sent <= now) {
            let Some(head) = self.queue.pop_front() else {
                self.head_sent = None;
                return;
            };
            self.queued_bytes = self.queued_bytes.saturating_sub(size(&head.packet));
            self.head_sent = self
                .queue
                .front()
                .map(|next| sent + self.sending_time(size(&next.packet)));
            if self.is_dark(sent) {
                self.stats.blacked_out += 1;
            } else {
                self.depart(sent, head);
            }
        }
    }

    /// Behind the bottleneck: loss, delay, jitter, reordering, duplication.
    fn depart(&mut self, sent: Instant, waiting: Waiting) {
        let waited = sent.saturating_duration_since(waiting.since).as_secs_f64() * 1e3;
        self.stats.queue_max_ms = self.stats.queue_max_ms.max(waited);
        self.stats.queue_sum_ms += waited;
        if self.is_lost() || self.wire.len() >= MAX_PACKETS {
            self.stats.lost += 1;
            return;
        }
        let jitter = f64::from(self.config.jitter_ms) * self.random.random::<f64>();
        let travel = Duration::from_secs_f64((f64::from(self.config.delay_ms) + jitter) / 1e3);
        let mut at = self.last_arrival.map_or(sent + travel, |last| last.max(sent + travel));
        if self.happens(self.config.reorder_percent) {
            at += Duration::from_millis(u64::from(self.config.reorder_ms));
            self.stats.reordered += 1;
        } else {
            self.last_arrival = Some(at);
        }
        let copy = self
            .happens(self.config.duplicate_percent)
            .then(|| waiting.packet.clone());
        self.travel(at, waiting.packet);
        if let Some(copy) = copy {
            self.stats.duplicated += 1;
            self.travel(at, copy);
        }
    }

    fn travel(&mut self, at: Instant, packet: Vec<u8>) {
        let number = self.number;
        self.number += 1;
        self.wire.push(Reverse(Travelling { at, number, packet }));
    }

    fn is_lost(&mut self) -> bool {
        let alone = self.happens(self.config.loss_percent);
        let Some(burst) = self.config.burst.clone() else {
            return alone;
        };
        let change = if self.in_burst {
            burst.leave_percent
        } else {
            burst.enter_percent
        };
        if self.happens(change) {
            self.in_burst = !self.in_burst;
        }
        (self.in_burst && self.happens(burst.loss_percent)) || alone
    }

    /// Draws even when the chance is 0, so that one option does not shift the decisions of another.
    fn happens(&mut self, percent: f64) -> bool {
        self.random.random::<f64>() * 100.0 < percent
    }

    fn is_dark(&self, at: Instant) -> bool {
        self.dark_until.is_some_and(|until| at < until)
    }

    fn sending_time(&self, size: u64) -> Duration {
        // kbit/s are bits per millisecond: bits * 10^6 / rate are nanoseconds.
        let rate = u64::from(self.config.rate_kbps.unwrap_or(u32::MAX)).max(1);
        Duration::from_nanos((size * 8 * 1_000_000).div_ceil(rate))
    }
}

/// Bytes that the bottleneck sends for a packet.
fn size(packet: &[u8]) -> u64 {
    packet.len() as u64 + HEADERS
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
