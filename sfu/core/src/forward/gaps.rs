//! Which packets of a received stream are missing, and when to ask for them.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

/// How long a packet may be late before we ask for it: more than a Wi-Fi aggregate's reordering, less than a frame.
const REORDER: Duration = Duration::from_millis(15);
/// How often we ask for one packet.
const TRIES: u8 = 6;
/// Packets missing at once. A larger gap is an outage: a key frame heals it, not retransmissions.
const MAX_MISSING: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Missing {
    index: u64,
    due: Instant,
    tries: u8,
}

/// The missing packets of one stream, oldest first.
#[derive(Debug, Default)]
pub struct Gaps {
    missing: Vec<Missing>,
}

impl Gaps {
    /// Packets `from..to` did not come before `to`. `false`: too many, the list was cleared, ask for a key frame.
    pub fn open(&mut self, from: u64, to: u64, now: Instant) -> bool {
        if to - from > (MAX_MISSING - self.missing.len()) as u64 {
            self.missing.clear();
            return false;
        }
        self.missing.reserve(MAX_MISSING - self.missing.len());
        self.missing.extend((from..to).map(|index| Missing {
            index,
            due: now + REORDER,
            tries: 0,
        }));
        true
    }

    /// This packet came.
    pub fn fill(&mut self, index: u64) {
        if let Ok(at) = self.missing.binary_search_by_key(&index, |m| m.index) {
            self.missing.remove(at);
        }
    }

    /// Nothing before `index` is of use any more.
    pub fn forget_before(&mut self, index: u64) {
        if self.missing.first().is_some_and(|m| m.index < index) {
            self.missing.retain(|m| m.index >= index);
        }
    }

    /// When [`Self::due`] has something.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.missing.iter().map(|m| m.due).min()
    }

    /// Sequence numbers to ask for now, oldest first. Each is asked again after a round trip, a few times, then given up;
    /// `true` beside them when one was given up.
    pub fn due(&mut self, now: Instant, round_trip: Duration) -> (SmallVec<[u16; 64]>, bool) {
        let mut ask = SmallVec::new();
        let mut given_up = false;
        let again = round_trip.clamp(Duration::from_millis(20), Duration::from_millis(400)) + REORDER;
        self.missing.retain_mut(|m| {
            if m.due > now || ask.len() == 64 {
                return true;
            }
            if m.tries == TRIES {
                given_up = true;
                return false;
            }
            ask.push(m.index as u16);
            m.tries += 1;
            m.due = now + again;
            true
        });
        (ask, given_up)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.missing.clear();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    #[test]
    fn a_reordered_packet_is_never_asked_for() {
        let start = Instant::now();
        let mut gaps = Gaps::default();
        assert!(gaps.open(10, 12, start));
        gaps.fill(10);
        gaps.fill(11);
        assert!(gaps.due(start + REORDER, RTT).0.is_empty());
        assert_eq!(gaps.next_deadline(), None);
    }

    #[test]
    fn a_lost_packet_is_asked_for_once_a_round_trip_and_then_given_up() {
        let start = Instant::now();
        let mut gaps = Gaps::default();
        assert!(gaps.open(65_536, 65_537, start));
        assert!(gaps.due(start, RTT).0.is_empty());
        let mut asked = 0;
        let mut given_up = false;
        while let Some(due) = gaps.next_deadline() {
            let (ask, end) = gaps.due(due, RTT);
            assert!(gaps.due(due, RTT).0.is_empty(), "not twice in a round trip");
            asked += ask.len();
            given_up |= end;
        }
        assert_eq!((asked, given_up), (usize::from(TRIES), true));
    }

    #[test]
    fn an_outage_is_not_a_list_of_packets() {
        let start = Instant::now();
        let mut gaps = Gaps::default();
        assert!(!gaps.open(0, 10_000, start));
        assert_eq!(gaps.next_deadline(), None);
    }
}
