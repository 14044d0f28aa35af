//! Groups of packets that left together, and how their spacing changed on the way (rmcat-gcc-02 sections 5.2 and 5.3).

/// Packets sent within so much time are one group: what a pacer or a batch releases together queues behind itself.
const GROUP: i64 = 5_000;
/// Packets that come at once after a pause of the link belong together, up to so long a group.
const LONGEST: i64 = 100_000;
/// An arrival gap beyond this says nothing about a queue.
const SILENCE: i64 = 3_000_000;

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: i64,
    last_sent: i64,
    first_arrival: i64,
    last_arrival: i64,
}

/// The change from one group to the next, in us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delta {
    /// Between their departures.
    pub sent: i64,
    /// Between their arrivals.
    pub arrival: i64,
    /// When the later one arrived.
    pub at: i64,
}

/// Makes groups of packets given in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    previous: Option<Group>,
    current: Option<Group>,
    backwards: u8,
}

impl Grouping {
    /// Adds a packet, all in us. The result is there when it begins a new group and two groups are complete before it.
    pub(crate) fn add(&mut self, sent: i64, arrival: i64) -> Option<Delta> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::of(sent, arrival));
            return None;
        };
        if sent < current.first_sent {
            return None; // overtaken on the way: its group is closed
        }
        let arrived_after = arrival.saturating_sub(current.last_arrival);
        let burst = arrived_after < sent - current.last_sent
            && arrived_after <= GROUP
            && arrival.saturating_sub(current.first_arrival) < LONGEST;
        if sent - current.first_sent <= GROUP || burst {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrival = current.last_arrival.max(arrival);
            return None;
        }
        let finished = *current;
        *current = Group::of(sent, arrival);
        let previous = self.previous.replace(finished)?;
        let delta = Delta {
            sent: finished.last_sent - previous.last_sent,
            arrival: finished.last_arrival.saturating_sub(previous.last_arrival),
            at: finished.last_arrival,
        };
        if delta.arrival < 0 || delta.arrival > SILENCE {
            // A receiver whose clock jumps: three times in a row, and we begin anew.
            self.backwards += 1;
            if self.backwards >= 3 || delta.arrival > SILENCE {
                *self = Self::default();
            }
            return None;
        }
        self.backwards = 0;
        Some(delta)
    }
}

impl Group {
    fn of(sent: i64, arrival: i64) -> Self {
        Self {
            first_sent: sent,
            last_sent: sent,
            first_arrival: arrival,
            last_arrival: arrival,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_compared_by_their_last_packets() {
        let mut grouping = Grouping::default();
        let mut deltas = Vec::new();
        // Two packets every 20 ms; each group takes 1 ms longer than the one before.
        for n in 0..4_i64 {
            for half in 0..2 {
                deltas.extend(grouping.add(20_000 * n + 1_000 * half, 50_000 + 21_000 * n + 2_000 * half));
            }
        }
        let delta = |at| Delta {
            sent: 20_000,
            arrival: 21_000,
            at,
        };
        assert_eq!(deltas, [delta(73_000), delta(94_000)]);
    }

    #[test]
    fn what_arrives_in_one_lump_after_a_pause_is_one_group() {
        let mut grouping = Grouping::default();
        assert_eq!(grouping.add(0, 100_000), None);
        for n in 1..10 {
            assert_eq!(grouping.add(10_000 * n, 100_000 + 100 * n), None);
        }
        assert_eq!(
            grouping.add(120_000, 140_000),
            None,
            "the first group has none before it"
        );
    }

    #[test]
    fn a_clock_that_jumps_gives_no_delta() {
        let mut grouping = Grouping::default();
        for n in 0..50_i64 {
            let jump = if n % 2 == 0 { 10_000_000 } else { -10_000_000 };
            let delta = grouping.add(20_000 * n, 20_000 * n + jump);
            assert!(delta.is_none_or(|d| (0..=SILENCE).contains(&d.arrival)));
        }
    }
}
