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

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u64,
    at: i64,
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
    /// Bytes sent and not yet reported on.
    in_flight: u64,
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
            in_flight: 0,
        }
    }

    pub(crate) fn sent(&mut self, number: u16, at: i64, size: u16, probe: u16) {
        let number = extend(self.next, number);
        self.next = self.next.max(number + 1);
        let entry = &mut self.ring[number as usize % REMEMBERED];
        if entry.state == State::InFlight {
            self.in_flight = self.in_flight.saturating_sub(u64::from(entry.size));
        }
        *entry = Entry {
            number,
            at,
            size,
            probe,
            state: State::InFlight,
        };
        self.in_flight += u64::from(size);
    }

    /// Takes note of one status: `arrival` in us, or `None` for not received.
    pub(crate) fn report(&mut self, number: u16, arrival: Option<i64>) -> Report {
        let number = extend(self.next, number);
        let entry = &mut self.ring[number as usize % REMEMBERED];
        if entry.number != number {
            return Report::Nothing;
        }
        match (entry.state, arrival) {
            (State::InFlight, None) => {
                entry.state = State::Missing;
                self.in_flight = self.in_flight.saturating_sub(u64::from(entry.size));
                Report::Missing(entry.probe)
            }
            (State::InFlight | State::Missing, Some(arrival)) => {
                let was_missing = entry.state == State::Missing;
                if !was_missing {
                    self.in_flight = self.in_flight.saturating_sub(u64::from(entry.size));
                }
                entry.state = State::Arrived;
                Report::Arrived(Arrived {
                    sent: entry.at,
                    arrival,
                    size: u32::from(entry.size),
                    probe: entry.probe,
                    was_missing,
                })
            }
            _ => Report::Nothing,
        }
    }

    #[cfg(test)]
    fn in_flight(&self) -> u64 {
        self.in_flight
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
        assert_eq!(history.in_flight(), 1_000);
        assert!(matches!(history.report(3, Some(7)), Report::Arrived(a) if a.sent == 65_539 && a.arrival == 7));
        assert_eq!(history.report(3, Some(7)), Report::Nothing, "said before");
        assert_eq!(history.report(4, Some(7)), Report::Nothing, "never sent");
        assert_eq!(history.report(65_529, None), Report::Nothing, "from before the first");
        assert_eq!(history.report(65_535, None), Report::Missing(0));
        assert_eq!(history.report(65_535, None), Report::Nothing);
        assert!(matches!(history.report(65_535, Some(9)), Report::Arrived(a) if a.was_missing));
        assert_eq!(history.in_flight(), 800);
    }

    #[test]
    fn what_fell_out_of_the_ring_is_forgotten() {
        let mut history = History::new();
        for number in 0..3_000_u16 {
            history.sent(number, 0, 10, 0);
        }
        assert_eq!(history.report(900, Some(1)), Report::Nothing);
        assert!(matches!(history.report(2_900, Some(1)), Report::Arrived(_)));
        assert_eq!(history.in_flight(), 20_470);
    }
}
