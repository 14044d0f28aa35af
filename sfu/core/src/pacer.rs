//! Evens out what goes to one viewer: a key frame of fifty packets must not stand as a queue in somebody's router.
//!
//! Sound is never held. Retransmissions go before video, video before padding. Most of the time nothing waits at all: the
//! pace is well above the estimate, and a packet that fits passes at once. What waits is a reference, not a packet; numbers
//! and keys are given when it leaves.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sfu_bwe::{Bitrate, Probe};

/// Pace as a multiple of the estimate: a frame of three times the mean size is out before the next one comes.
const PACE: f64 = 2.5;
/// What may leave at once, in time at the pace. One batch of received packets.
const BURST: Duration = Duration::from_millis(5);
/// No packet waits longer, whatever the estimate says: by then the pace is what it takes to have all of it out. Held any
/// longer it would come too late to be of use; what the link does with it shows in the feedback, and is decided about there.
const LONGEST: Duration = Duration::from_millis(200);
/// Sound and bursts may put the account so far below zero; more is forgotten, or video would never be sent again.
const DEBT: Duration = Duration::from_millis(100);
/// Headers, tag, UDP and IP around padding, bytes.
const AROUND: u64 = 80;
/// Sound takes up to half of the pace, and always so much: five voices at 100 kbit/s, and then some. What comes on top is
/// dropped: a flood, not a voice.
const SOUND: Bitrate = Bitrate::kbps(768);
/// Data channels take up to a quarter of what the link is thought to carry, and always so much: the rest is for pictures.
const DATA: Bitrate = Bitrate::kbps(64);
/// What they have not taken is kept for so long: some messages of the largest size.
const DATA_KEPT: Duration = Duration::from_secs(2);
/// Packets that wait for one viewer. Video beyond that is dropped and counted; its gap asks for a retransmission or a key
/// frame. At 25 Mbit/s this is [`LONGEST`].
pub const MAX_WAITING: usize = 512;
/// Of these so many of one stream.
const MAX_OF_STREAM: usize = 256;

/// What a packet is, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Never held back.
    Audio,
    /// Sent again because it was lost.
    Retransmission,
    /// The rest.
    Video,
}

/// What to do with an offered packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Send it.
    Now,
    /// It waits; [`Pacer::poll`] gives it back.
    Later,
    /// There is no room: it is dropped.
    Dropped,
}

#[derive(Debug)]
struct Held<T> {
    item: T,
    stream: u16,
    bytes: u32,
    since: Instant,
}

/// One viewer's pacer; `T` says which packet.
#[derive(Debug)]
pub struct Pacer<T> {
    rate: Bitrate,
    /// Bytes that may leave; negative: debt.
    account: f64,
    /// Bytes of sound that may leave.
    sound: f64,
    /// Bytes of data channels that may leave; negative: debt.
    data: f64,
    at: Instant,
    retransmissions: VecDeque<Held<T>>,
    video: VecDeque<Held<T>>,
    /// Bytes of both.
    held: u64,
    /// Bytes of the packet that [`Self::poll`] gave last.
    taken: f64,
    /// Stream whose video left last.
    last: u16,
    /// When the next padding of a probe may leave.
    padding_at: Option<Instant>,
    /// Nothing but sound may leave: the connection has not taken what it was given.
    stopped: bool,
}

impl<T> Pacer<T> {
    /// Nothing waits.
    pub fn new(estimate: Bitrate, now: Instant) -> Self {
        let mut pacer = Self {
            rate: Bitrate::ZERO,
            account: 0.0,
            sound: f64::MAX,
            data: f64::MAX,
            at: now,
            retransmissions: VecDeque::new(),
            video: VecDeque::new(),
            held: 0,
            taken: 0.0,
            last: u16::MAX,
            padding_at: None,
            stopped: false,
        };
        pacer.set_estimate(estimate, now);
        pacer.account = f64::MAX;
        pacer.advance(now); // as if it had rested
        pacer
    }

    /// What may be sent has changed. `Bitrate::bps(u64::MAX)`: no limit is known, and nothing is held.
    pub fn set_estimate(&mut self, estimate: Bitrate, now: Instant) {
        self.advance(now);
        self.rate = estimate.scaled(PACE).max(Bitrate::kbps(50));
    }

    /// Holds everything but sound, or lets it go on.
    pub fn stop(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// The pace, or more when something would wait for too long at it.
    fn pace(&self) -> Bitrate {
        let oldest = [self.retransmissions.front(), self.video.front()];
        let Some(since) = oldest.into_iter().flatten().map(|held| held.since).min() else {
            return self.rate;
        };
        let left = LONGEST.saturating_sub(self.at.saturating_duration_since(since));
        let debt = (-self.account).max(0.0) as u64;
        self.rate
            .max(Bitrate::of(self.held + debt, left.max(Duration::from_millis(1))))
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let pace = self.pace();
        self.at = self.at.max(now);
        let bytes = |time: Duration| pace.as_bps() as f64 * time.as_secs_f64() / 8.0;
        // A whole packet is always allowed, however slow the pace.
        let most = bytes(BURST).max(1_500.0);
        self.account = (self.account + bytes(passed)).clamp(-bytes(DEBT), most);
        let sound = (self.rate.as_bps() as f64 / 2.0).max(SOUND.as_bps() as f64) / 8.0;
        self.sound = (self.sound + sound * passed.as_secs_f64()).min(sound * DEBT.as_secs_f64() * 2.0);
        let data = self.data_rate();
        let kept = data * DATA_KEPT.as_secs_f64();
        self.data = (self.data + data * passed.as_secs_f64()).clamp(-kept, kept);
    }

    /// What data channels may take, in bytes a second.
    fn data_rate(&self) -> f64 {
        (self.rate.as_bps() as f64 / PACE / 4.0).max(DATA.as_bps() as f64) / 8.0
    }

    /// Whether one more message of a data channel may leave now: after what is sent again, before video, within its share.
    pub fn lets_data(&mut self, now: Instant) -> bool {
        self.advance(now);
        !self.stopped && self.retransmissions.is_empty() && self.account > 0.0 && self.data > 0.0
    }

    /// Packets of data channels have left.
    pub fn data_left(&mut self, now: Instant, bytes: usize) {
        self.advance(now);
        self.account -= bytes as f64;
        self.data -= bytes as f64;
    }

    /// When [`Self::lets_data`] is worth asking again.
    pub fn data_deadline(&self) -> Instant {
        let time = |missing: f64, rate: f64| Duration::from_secs_f64(((1.0 - missing).max(0.0) / rate).min(1.0));
        let data = time(self.data, self.data_rate());
        let account = time(self.account, self.pace().as_bps() as f64 / 8.0);
        self.at + data.max(account).max(Duration::from_millis(5))
    }

    /// A packet of so many bytes wants to leave. `item` is kept when it has to wait.
    pub fn offer(&mut self, now: Instant, class: Class, stream: u16, bytes: usize, item: T) -> Pass {
        self.advance(now);
        let free = self.account > 0.0 && self.retransmissions.is_empty() && !self.stopped;
        if class == Class::Audio {
            if self.sound < bytes as f64 {
                return Pass::Dropped;
            }
            self.sound -= bytes as f64;
        }
        let now = match class {
            Class::Audio => true,
            Class::Retransmission => free,
            Class::Video => free && self.video.is_empty(),
        };
        if now {
            self.account -= bytes as f64;
            return Pass::Now;
        }
        if class == Class::Retransmission {
            if self.retransmissions.len() >= MAX_WAITING {
                return Pass::Dropped;
            }
        } else {
            let of_stream = self.video.iter().filter(|held| held.stream == stream).count();
            if self.video.len() >= MAX_WAITING || of_stream >= MAX_OF_STREAM {
                return Pass::Dropped;
            }
        }
        let held = Held {
            item,
            stream,
            bytes: bytes as u32,
            since: self.at,
        };
        self.held += bytes as u64;
        match class {
            Class::Retransmission => self.retransmissions.push_back(held),
            Class::Audio | Class::Video => self.video.push_back(held),
        }
        Pass::Later
    }

    /// The next packet that may leave now.
    pub fn poll(&mut self, now: Instant) -> Option<(Class, T)> {
        self.advance(now);
        if self.account <= 0.0 || self.stopped {
            return None;
        }
        let (class, held) = match self.retransmissions.pop_front() {
            Some(first) => (Class::Retransmission, first),
            None => {
                // Another stream than the last one, where one waits: a publisher that floods delays nobody but itself.
                let other = self.video.iter().position(|held| held.stream != self.last);
                let held = self.video.remove(other.unwrap_or(0))?;
                self.last = held.stream;
                (Class::Video, held)
            }
        };
        self.held -= u64::from(held.bytes);
        self.taken = f64::from(held.bytes);
        self.account -= self.taken;
        Some((class, held.item))
    }

    /// What [`Self::poll`] gave last did not leave after all: its slot shows something else by now.
    pub fn give_back(&mut self) {
        self.account += std::mem::take(&mut self.taken);
    }

    /// Bytes of padding to send now for a probe; at most 255, which is what one packet can say.
    pub fn padding(&mut self, now: Instant, probe: Option<&Probe>) -> Option<usize> {
        const MOST: usize = 255;
        let Some(probe) = probe.filter(|_| !self.stopped) else {
            self.padding_at = None;
            return None;
        };
        let due = self.padding_at.unwrap_or(now);
        if due > now {
            return None;
        }
        // A late timer is made up for, but never by more than 10 ms of padding at once.
        let from = due.max(now.checked_sub(Duration::from_millis(10)).unwrap_or(now));
        let bytes = probe.packet.min(MOST);
        // What is around the padding counts too.
        self.padding_at = Some(from + probe.rate.time_for(bytes as u64 + AROUND));
        Some(bytes)
    }

    /// When [`Self::poll`] or [`Self::padding`] has something again.
    pub fn next_deadline(&self, probing: bool) -> Option<Instant> {
        if self.stopped {
            return None; // whoever lets it go on asks again
        }
        let waits = !self.retransmissions.is_empty() || !self.video.is_empty();
        let media = waits.then(|| {
            let missing = (1.0 - self.account).max(0.0) as u64;
            self.at + self.pace().time_for(missing + 1)
        });
        let padding = probing.then(|| self.padding_at.unwrap_or(self.at));
        [media, padding].into_iter().flatten().min()
    }

    /// Packets that wait.
    pub fn waiting(&self) -> usize {
        self.retransmissions.len() + self.video.len()
    }
}

#[cfg(test)]
mod tests;
