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
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn sound_is_never_held_and_retransmissions_overtake_video() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(400), start);
        assert_eq!(pacer.offer(start, Class::Video, 0, 1_200, 1), Pass::Now);
        assert_eq!(
            pacer.offer(start, Class::Video, 0, 1_200, 2),
            Pass::Now,
            "the burst of one packet"
        );
        assert_eq!(pacer.offer(start, Class::Video, 0, 1_200, 3), Pass::Later);
        assert_eq!(pacer.offer(start, Class::Retransmission, 0, 1_200, 4), Pass::Later);
        assert_eq!(pacer.offer(start, Class::Audio, 0, 100, 5), Pass::Now);
        assert_eq!(pacer.poll(start), None);
        let at = pacer.next_deadline(false).unwrap();
        assert!((7 * MS..10 * MS).contains(&(at - start)), "{:?}", at - start);
        assert_eq!(pacer.poll(at), Some((Class::Retransmission, 4)));
        assert_eq!(pacer.poll(at), None);
        assert_eq!(pacer.poll(at + 10 * MS), Some((Class::Video, 3)));
        assert_eq!((pacer.waiting(), pacer.next_deadline(false)), (0, None));
    }

    #[test]
    fn while_the_connection_takes_nothing_only_sound_leaves() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(400), start);
        pacer.stop(true);
        assert_eq!(pacer.offer(start, Class::Video, 0, 1_200, 1), Pass::Later);
        assert_eq!(pacer.offer(start, Class::Retransmission, 0, 1_200, 2), Pass::Later);
        assert_eq!(pacer.offer(start, Class::Audio, 0, 100, 3), Pass::Now);
        assert_eq!((pacer.poll(start + 100 * MS), pacer.next_deadline(true)), (None, None));
        pacer.stop(false);
        assert_eq!(pacer.poll(start + 100 * MS), Some((Class::Retransmission, 2)));
    }

    #[test]
    fn what_leaves_keeps_the_pace_whatever_is_offered() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(400), start);
        let mut left = 0_u64;
        let mut dropped = 0;
        for n in 0..10_000_u32 {
            let now = start + n * MS / 10;
            match pacer.offer(now, Class::Video, 0, 1_200, n) {
                Pass::Now => left += 1_200,
                Pass::Dropped => dropped += 1,
                Pass::Later => {}
            }
            while pacer.poll(now).is_some() {
                left += 1_200;
            }
        }
        // 1 Mbit/s for 1 s, and as many as may wait once in the time that they may wait.
        let most = 125_000 + 12 * MAX_OF_STREAM as u64 * 1_200;
        assert!((125_000..most).contains(&left), "{left}");
        assert!(
            dropped > 6_000 && pacer.waiting() <= MAX_OF_STREAM,
            "an application that asks for all is bounded"
        );
    }

    #[test]
    fn nothing_waits_longer_than_a_fifth_of_a_second_and_a_burst_that_is_out_earlier_keeps_the_pace() {
        for (packets, longest) in [(200_u32, 190..=202_u32), (20, 150..=200)] {
            let start = Instant::now();
            let mut pacer = Pacer::new(Bitrate::kbps(400), start);
            (0..packets).for_each(|n| {
                pacer.offer(start, Class::Video, n as u16 % 5, 1_200, n);
            });
            let mut last = 0;
            for n in 0..1_000 {
                while pacer.poll(start + n * MS).is_some() {
                    last = n;
                }
            }
            assert_eq!(pacer.waiting(), 0);
            assert!(longest.contains(&last), "{packets} packets took {last} ms");
        }
    }

    #[test]
    fn what_did_not_leave_takes_nothing_from_what_does() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(400), start);
        (0..100).for_each(|n| {
            pacer.offer(start, Class::Video, 0, 1_200, n);
        });
        let now = start + 10 * MS;
        let mut left = 0;
        while let Some((_, item)) = pacer.poll(now) {
            match item {
                0..98 => pacer.give_back(),
                _ => left += 1,
            }
        }
        assert_eq!(left, 2, "all before them were of slots that show something else");
    }

    #[test]
    fn a_stream_that_floods_delays_no_other() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(400), start);
        (0..100).for_each(|_| {
            pacer.offer(start, Class::Video, 1, 1_200, 1);
        });
        pacer.offer(start, Class::Video, 2, 1_200, 2);
        let left: Vec<i32> = (0..50)
            .filter_map(|n| pacer.poll(start + n * MS))
            .map(|(_, item)| item)
            .collect();
        assert!(left[..2].contains(&2), "{left:?}");
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::bps(u64::MAX), start);
        assert!((0..10_000).all(|n| pacer.offer(start, Class::Video, 0, 1_200, n) == Pass::Now));
    }

    #[test]
    fn padding_keeps_the_rate_of_the_probe() {
        let start = Instant::now();
        let mut pacer = Pacer::<()>::new(Bitrate::kbps(400), start);
        let probe = Probe {
            rate: Bitrate::kbps(800),
            packet: 220,
            left: 1_320,
        };
        let times: Vec<u32> = (0..200)
            .filter(|n| pacer.padding(start + *n * MS / 10, Some(&probe)).is_some())
            .collect();
        assert_eq!(times, [0, 30, 60, 90, 120, 150, 180]);
        assert_eq!(pacer.padding(start + 30 * MS, None), None);
        assert_eq!(pacer.next_deadline(false), None);
    }
}
