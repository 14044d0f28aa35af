//! Sequence numbers of a stream of which a viewer gets only some frames: what is left out leaves no hole.

/// Runs that are remembered, for late packets and retransmissions. Every second frame left out at 30 frames a second makes 15
/// runs a second; a packet from before the oldest run is late for anybody.
const RUNS: usize = 48;

/// A stretch of packets that the viewer gets.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    first: u32,
    /// The first packet behind it; `u32::MAX` while it goes on.
    end: u32,
    /// Packets left out before it.
    packets: u32,
    /// Pictures left out before it.
    pictures: u16,
}

/// The runs of one source, counted from its first packet in the slot.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    runs: [Run; RUNS],
    newest: usize,
    count: usize,
}

impl Default for Runs {
    fn default() -> Self {
        let mut runs = [Run::default(); RUNS];
        runs[0].end = u32::MAX;
        Self {
            runs,
            newest: 0,
            count: 1,
        }
    }
}

impl Runs {
    /// Another source.
    pub(crate) fn restart(&mut self) {
        (self.newest, self.count) = (0, 1);
        self.runs[0] = Run {
            end: u32::MAX,
            ..Run::default()
        };
    }

    /// How many packets and pictures were left out before this packet; `None` when it is one of them, or too old.
    pub(crate) fn before(&self, packet: u32) -> Option<(u32, u16)> {
        (0..self.count)
            .map(|back| &self.runs[(self.newest + RUNS - back) % RUNS])
            .find(|run| packet >= run.first)
            .filter(|run| packet < run.end)
            .map(|run| (run.packets, run.pictures))
    }

    /// Leaves out `packet`, the newest so far. What did not arrive before it keeps its number: it may still come.
    pub(crate) fn leave_out(&mut self, packet: u32, new_picture: bool) {
        let last = self.runs[self.newest];
        let next = Run {
            first: packet + 1,
            end: u32::MAX,
            packets: last.packets.wrapping_add(1),
            pictures: last.pictures.wrapping_add(u16::from(new_picture)),
        };
        if last.first == packet {
            self.runs[self.newest] = next;
            return;
        }
        self.runs[self.newest].end = packet;
        self.newest = (self.newest + 1) % RUNS;
        self.count = (self.count + 1).min(RUNS);
        self.runs[self.newest] = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lost_packet_keeps_its_place_and_one_left_out_has_none() {
        let mut runs = Runs::default();
        // 0 and 1 are sent, 2 and 3 left out, 4 is lost, 5 left out, 6 sent.
        runs.leave_out(2, true);
        runs.leave_out(3, false);
        runs.leave_out(5, true);
        let read: Vec<_> = (0..7).map(|packet| runs.before(packet)).collect();
        let expected = [Some((0, 0)), Some((0, 0)), None, None, Some((2, 1)), None, Some((3, 2))];
        assert_eq!(read, expected);
    }

    proptest! {
        #[test]
        fn numbers_have_no_holes_and_never_repeat(keep in proptest::collection::vec(any::<bool>(), 1..300)) {
            let mut runs = Runs::default();
            let mut next = 0;
            for (packet, keep) in (0_u32..).zip(&keep) {
                if *keep {
                    let (dropped, _) = runs.before(packet).unwrap();
                    prop_assert_eq!(packet - dropped, next);
                    next += 1;
                } else {
                    runs.leave_out(packet, true);
                    prop_assert_eq!(runs.before(packet), None);
                }
            }
            // And whatever is still remembered agrees with what was given out.
            let mut number = next;
            for (packet, keep) in keep.iter().enumerate().rev().take(RUNS) {
                if *keep {
                    number -= 1;
                    prop_assert_eq!(runs.before(packet as u32).map(|(dropped, _)| packet as u32 - dropped), Some(number));
                }
            }
        }
    }
}
