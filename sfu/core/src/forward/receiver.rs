//! One RTP stream as it is received: duplicates, gaps, cache, reports.

use std::time::{Duration, Instant};

use super::clock::MediaClock;
use super::gaps::Gaps;
use super::slab::{PacketKey, Slab};
use crate::rtcp::ReportBlock;
use crate::rtp::extend;

/// How long a packet stays for retransmission and for viewers that join.
const CACHE_AGE: Duration = Duration::from_millis(1_500);
/// Key-frame requests to one stream are at least this far apart, whoever asks.
pub const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// A key frame that began this long ago is replayed to a new viewer, with all that came since.
const FRESH: Duration = Duration::from_millis(1_000);
/// A stream without a packet for this long is not live.
const LIVE: Duration = Duration::from_millis(2_000);

/// Weight of what one report found in the smoothed loss: reports are 200 ms apart, this is two seconds.
const LOSS_WEIGHT: f64 = 0.1;

/// What to do with a packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Forward it. The flag says that so much is missing before it that only a key frame helps.
    New {
        /// Ask for a key frame.
        outage: bool,
    },
    /// It came before.
    Duplicate,
    /// Too old for the cache, and for anybody.
    Late,
}

/// State of one received stream.
pub struct Receiver {
    /// Media clock ticks per second.
    pub clock_rate: u32,
    /// Whether the sender retransmits what we ask for.
    pub nack: bool,
    /// Where the media clock stands.
    pub clock: MediaClock,
    /// What is missing.
    pub gaps: Gaps,
    ring: Box<[Option<(PacketKey, Instant)>]>,
    started: bool,
    newest: u64,
    oldest: u64,
    last_arrival: Option<Instant>,
    key_frame: Option<(u64, Instant)>,
    key_frame_wanted: bool,
    key_frame_asked: Option<Instant>,
    base: u64,
    received: u64,
    reported: (u64, u64),
    /// Smoothed part that did not come between two reports.
    loss: f64,
    jitter: u64,
    transit: Option<u32>,
}

impl Receiver {
    /// A stream that has not begun. `ring`, a power of two, is how many packets it may keep.
    pub fn new(clock_rate: u32, nack: bool, ring: usize) -> Self {
        Self {
            clock_rate,
            nack,
            clock: MediaClock::default(),
            gaps: Gaps::default(),
            ring: vec![None; ring.next_power_of_two()].into_boxed_slice(),
            started: false,
            newest: 0,
            oldest: 0,
            last_arrival: None,
            key_frame: None,
            key_frame_wanted: false,
            key_frame_asked: None,
            base: 0,
            received: 0,
            reported: (0, 0),
            loss: 0.0,
            jitter: 0,
            transit: None,
        }
    }

    fn place(&self, index: u64) -> usize {
        index as usize & (self.ring.len() - 1)
    }

    /// The extended number of a sequence number that was not authenticated with one (the original of a retransmission).
    pub fn extend(&self, sequence: u16) -> Option<u64> {
        self.started.then(|| extend(self.newest, sequence))
    }

    /// Decides about the packet with this index. Changes what is missing, nothing else; see [`Self::keep`].
    pub fn arrive(&mut self, index: u64, slab: &mut Slab, now: Instant) -> Arrival {
        let mut outage = false;
        if !self.started {
            self.started = true;
            (self.newest, self.oldest, self.base) = (index, index, index);
        } else if index > self.newest {
            if self.nack && index > self.newest + 1 {
                outage = !self.gaps.open(self.newest + 1, index, now);
            }
            if index - self.newest >= self.ring.len() as u64 {
                self.drop_cache(slab);
                self.oldest = index;
            }
            self.newest = index;
        } else {
            // First what is too old goes, and holes with it: what arrives for one of those has no place any more. Kept all the
            // same, it would be overwritten a lap later and never given back.
            self.expire(slab, now);
            if index < self.oldest {
                return Arrival::Late;
            }
            if self.ring[self.place(index)].is_some() {
                return Arrival::Duplicate;
            }
            self.gaps.fill(index);
            return Arrival::New { outage };
        }
        self.expire(slab, now);
        Arrival::New { outage }
    }

    fn expire(&mut self, slab: &mut Slab, now: Instant) {
        while self.oldest < self.newest {
            let place = self.place(self.oldest);
            let full = self.newest - self.oldest >= self.ring.len() as u64;
            match self.ring[place] {
                Some((_, at)) if !full && now.saturating_duration_since(at) < CACHE_AGE => break,
                Some((key, _)) => slab.free(key),
                // A hole is passed over when something behind it is too old as well.
                None if !full && !self.next_is_old(now) => break,
                None => {}
            }
            self.ring[place] = None;
            self.oldest += 1;
        }
        self.gaps.forget_before(self.oldest);
    }

    fn next_is_old(&self, now: Instant) -> bool {
        let next = (self.oldest + 1..=self.newest).find_map(|index| self.ring[self.place(index)]);
        next.is_some_and(|(_, at)| now.saturating_duration_since(at) >= CACHE_AGE)
    }

    /// Keeps a packet that [`Self::arrive`] called new.
    pub fn keep(&mut self, index: u64, timestamp: u32, key: PacketKey, key_frame: bool, now: Instant) {
        let place = self.place(index);
        self.ring[place] = Some((key, now));
        self.received += 1;
        self.last_arrival = Some(now);
        if index == self.newest {
            self.clock.packet(timestamp, now);
        }
        if key_frame && self.key_frame.is_none_or(|(newest, _)| index > newest) {
            self.key_frame = Some((index, now));
            self.key_frame_wanted = false;
        }
    }

    /// Interarrival jitter (RFC 3550 section 6.4.1); `arrival` in ticks of the media clock. Not for retransmissions.
    pub fn measure(&mut self, timestamp: u32, arrival: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            let difference = u64::from((transit.wrapping_sub(last) as i32).unsigned_abs());
            // Kept times 16, as the RFC's sample code does. A jump of a second is a new source, not jitter.
            if difference < u64::from(self.clock_rate) {
                self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            }
        }
    }

    /// Whether packets come.
    pub fn live(&self, now: Instant) -> bool {
        self.last_arrival
            .is_some_and(|at| now.saturating_duration_since(at) < LIVE)
    }

    /// How long ago the last packet came.
    pub fn silent_for(&self, now: Instant) -> Option<Duration> {
        self.last_arrival.map(|at| now.saturating_duration_since(at))
    }

    /// Whether a packet ever came.
    pub fn started(&self) -> bool {
        self.started
    }

    /// Newest index.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// A kept packet.
    pub fn cached(&self, index: u64) -> Option<PacketKey> {
        self.cached_since(index).map(|(key, _)| key)
    }

    /// A kept packet, and when it came.
    pub fn cached_since(&self, index: u64) -> Option<(PacketKey, Instant)> {
        if !self.started || index < self.oldest || index > self.newest {
            return None;
        }
        self.ring[self.place(index)]
    }

    /// The first index of a key frame young enough to begin with, if everything since is still there.
    pub fn fresh_key_frame(&self, now: Instant) -> Option<u64> {
        let (index, at) = self.key_frame?;
        let fresh = index >= self.oldest && now.saturating_duration_since(at) < FRESH;
        (fresh && (index..=self.newest).all(|i| self.cached(i).is_some())).then_some(index)
    }

    /// Somebody needs a key frame.
    pub fn want_key_frame(&mut self) {
        self.key_frame_wanted = true;
    }

    /// Nobody needs one any more.
    pub fn drop_key_frame_request(&mut self) {
        self.key_frame_wanted = false;
    }

    /// Whether to ask the sender for a key frame now; counts as asked.
    pub fn ask_for_key_frame(&mut self, now: Instant) -> bool {
        let due = self.key_frame_deadline().is_some_and(|at| at <= now)
            || (self.key_frame_wanted && self.key_frame_asked.is_none());
        if due {
            self.key_frame_asked = Some(now);
        }
        due
    }

    /// When [`Self::ask_for_key_frame`] may say yes again, while a key frame is wanted.
    pub fn key_frame_deadline(&self) -> Option<Instant> {
        self.key_frame_asked
            .filter(|_| self.key_frame_wanted)
            .map(|at| at + KEY_FRAME_INTERVAL)
    }

    /// The report block about this stream since the last one.
    pub fn report(&mut self, ssrc: u32, now: Instant) -> Option<ReportBlock> {
        if !self.started {
            return None;
        }
        let expected = self.newest - self.base + 1;
        let (expected_before, received_before) = std::mem::replace(&mut self.reported, (expected, self.received));
        let expected_now = expected - expected_before;
        let lost_now = expected_now.saturating_sub(self.received.saturating_sub(received_before));
        if expected_now > 0 {
            self.loss += LOSS_WEIGHT * (lost_now as f64 / expected_now as f64 - self.loss);
        }
        let (last_report, since) = self.clock.last_report(now).unwrap_or_default();
        Some(ReportBlock {
            ssrc,
            fraction_lost: (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255) as u8,
            lost: (expected as i64 - self.received as i64).clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest: self.newest as u32,
            jitter: (self.jitter >> 4) as u32,
            last_report,
            delay: (since.as_nanos() * 65_536 / 1_000_000_000) as u32,
        })
    }

    /// Part of the packets of the last seconds that did not come, not even late, 0 to 1.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Gives every kept packet back.
    pub fn drop_cache(&mut self, slab: &mut Slab) {
        for kept in &mut self.ring {
            if let Some((key, _)) = kept.take() {
                slab.free(key);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;
    use crate::forward::{Meta, PacketBuffer};
    use crate::rtp::Header;
    use crate::sdp::CodecKind;

    #[test]
    fn what_comes_for_a_hole_that_was_passed_over_is_late_and_nothing_is_kept_for_ever() {
        let start = Instant::now();
        let (mut slab, mut receiver) = (Slab::default(), Receiver::new(90_000, true, 8));
        let mut arrive = |index: u64, ms: u64| {
            let now = start + Duration::from_millis(ms);
            let arrival = receiver.arrive(index, &mut slab, now);
            if let Arrival::New { .. } = arrival {
                let packet = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
                let meta = Meta::new(Header::parse(&packet).unwrap(), index, CodecKind::Vp8);
                let mut buffer = PacketBuffer {
                    len: packet.len(),
                    ..PacketBuffer::default()
                };
                let key = slab.keep(&mut buffer, meta).unwrap();
                receiver.keep(index, 0, key, false, now);
            }
            arrival
        };
        let new = Arrival::New { outage: false };
        assert_eq!([arrive(100, 0), arrive(102, 10), arrive(103, 1_000)], [new, new, new]);
        // 102 is too old by now, and 101 before it.
        assert_eq!(arrive(101, 1_600), Arrival::Late);
        assert_eq!(
            (104..=130)
                .map(|index| arrive(index, 1_700))
                .filter(|a| *a == new)
                .count(),
            27
        );
        receiver.drop_cache(&mut slab);
        assert_eq!(slab.len(), 0);
    }
}
