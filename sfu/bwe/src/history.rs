//! What was sent, until its feedback comes.

/// Packets remembered. At 1,000 packets a second two seconds; feedback for older ones counts as for packets never sent.
const REMEMBERED: usize = 2_048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    InFlight,
    /// Reported missing; may still come.
    Missing,
    Arrived,
}

/// Sixteen bytes: each viewer has a ring of them, and each packet that leaves touches the memory that lay longest.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The low bits of its number: the ring is far shorter than their lap.
    number: u32,
    /// The low bits of when it left, us.
    at: u32,
    size: u16,
    probe: u16,
    state: State,
}

/// A packet that the other side says it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Sent when, in us since the start.
    pub sent: i64,
    /// Arrived when, in us of the receiver's clock, unwrapped.
    pub arrival: i64,
    /// Bytes.
    pub size: u32,
    /// Probe cluster it belonged to; 0: none.
    pub probe: u16,
    /// Had been reported missing before.
    pub was_missing: bool,
}

/// What one status in a feedback means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Arrived(Arrived),
    /// The probe cluster it belonged to; 0: none.
    Missing(u16),
    /// Never sent, too old, or said before.
    Nothing,
}

pub(crate) struct History {
    ring: Box<[Entry]>,
    /// The number after the newest sent.
    next: u64,
    /// When the newest left, us.
    at: i64,
}

impl History {
    pub(crate) fn new() -> Self {
        let empty = Entry {
            number: 0,
            at: 0,
            size: 0,
            probe: 0,
            state: State::Empty,
        };
        Self {
            ring: vec![empty; REMEMBERED].into_boxed_slice(),
            // A lap above zero, so that a number from before the first has a place too.
            next: 0x1_0000,
            at: 0,
        }
    }

    pub(crate) fn sent(&mut self, number: u16, at: i64, size: u16, probe: u16) {
        let number = extend(self.next, number);
        self.next = self.next.max(number + 1);
        self.at = self.at.max(at);
        // Written without being read: it is not in any cache.
        self.ring[number as usize % REMEMBERED] = Entry {
            number: number as u32,
            at: at as u32,
            size,
            probe,
            state: State::InFlight,
        };
    }

    /// Takes note of one status: `arrival` in us, or `None` for not received.
    pub(crate) fn report(&mut self, number: u16, arrival: Option<i64>) -> Report {
        let number = extend(self.next, number);
        let newest = self.at;
        let entry = &mut self.ring[number as usize % REMEMBERED];
        if entry.number != number as u32 {
            return Report::Nothing;
        }
        match (entry.state, arrival) {
            (State::InFlight, None) => {
                entry.state = State::Missing;
                Report::Missing(entry.probe)
            }
            (State::InFlight | State::Missing, Some(arrival)) => {
                let was_missing = entry.state == State::Missing;
                entry.state = State::Arrived;
                Report::Arrived(Arrived {
                    sent: newest - i64::from((newest as u32).wrapping_sub(entry.at)),
                    arrival,
                    size: u32::from(entry.size),
                    probe: entry.probe,
                    was_missing,
                })
            }
            _ => Report::Nothing,
        }
    }
}

/// The full number nearest to `near` that ends in `number`.
fn extend(near: u64, number: u16) -> u64 {
    let distance = i64::from(number.wrapping_sub(near as u16) as i16);
    near.saturating_add_signed(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_is_reported_once_and_what_was_never_sent_is_nothing() {
        let mut history = History::new();
        for number in 65_530..65_540_u32 {
            history.sent(number as u16, i64::from(number), 100, 0);
        }
        assert!(matches!(history.report(3, Some(7)), Report::Arrived(a) if a.sent == 65_539 && a.arrival == 7));
        assert_eq!(history.report(3, Some(7)), Report::Nothing, "said before");
        assert_eq!(history.report(4, Some(7)), Report::Nothing, "never sent");
        assert_eq!(history.report(65_529, None), Report::Nothing, "from before the first");
        assert_eq!(history.report(65_535, None), Report::Missing(0));
        assert_eq!(history.report(65_535, None), Report::Nothing);
        assert!(matches!(history.report(65_535, Some(9)), Report::Arrived(a) if a.was_missing));
    }

    #[test]
    fn what_fell_out_of_the_ring_is_forgotten() {
        let mut history = History::new();
        for number in 0..3_000_u16 {
            history.sent(number, 0, 10, 0);
        }
        assert_eq!(history.report(900, Some(1)), Report::Nothing);
        assert!(matches!(history.report(2_900, Some(1)), Report::Arrived(_)));
    }

    #[test]
    fn when_a_packet_left_is_known_beyond_the_lap_of_its_clock() {
        let mut history = History::new();
        let lap = 1_i64 << 32;
        for (number, at) in [(0, lap - 500), (1, lap + 7), (2, 3 * lap + 9)] {
            history.sent(number, at, 100, 0);
            assert!(matches!(history.report(number, Some(1)), Report::Arrived(a) if a.sent == at));
        }
        history.sent(3, 4 * lap - 300, 100, 0);
        history.sent(4, 4 * lap + 300, 100, 0);
        assert!(matches!(history.report(3, Some(1)), Report::Arrived(a) if a.sent == 4 * lap - 300));
        assert_eq!(size_of::<Entry>(), 16);
    }
}
