//! What a slot has sent, for retransmissions.

use std::time::Duration;

use super::slab::PacketKey;

/// Packets of a slot that can be sent again: 8 bytes each. At 500 packets a second, a second.
const PACKETS: usize = 512;

/// One sent packet: where it is kept, and when it was last sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    place: u32,
    generation: u16,
    /// In units of 4 ms, never 0; 0: not yet.
    resent: u16,
}

impl Sent {
    /// Where it was kept. The place may hold another packet by now, or this one belong to a former lap of the ring.
    pub(crate) fn key(&self) -> PacketKey {
        PacketKey::from_parts(self.place, self.generation)
    }

    /// Whether it may be sent again at `now` (milliseconds); counts as sent. At most once in a round trip.
    pub(crate) fn resend(&mut self, now: u32, round_trip: Duration) -> bool {
        let tick = (now / 4) as u16 | 1;
        let pause = (round_trip.as_millis() / 4).min(1_000) as u16;
        if self.resent != 0 && tick.wrapping_sub(self.resent) < pause {
            return false;
        }
        self.resent = tick;
        true
    }
}

/// The last packets of one slot by their index.
pub(crate) struct History(Box<[Sent]>);

impl History {
    pub(crate) fn new() -> Self {
        let nothing = Sent {
            place: u32::MAX,
            generation: 0,
            resent: 0,
        };
        Self(vec![nothing; PACKETS].into_boxed_slice())
    }

    /// Notes that a packet went out under this index.
    pub(crate) fn note(&mut self, index: u64, key: PacketKey) {
        let (place, generation) = key.parts();
        self.0[index as usize % PACKETS] = Sent {
            place,
            generation,
            resent: 0,
        };
    }

    /// What went out under this index, or a lap later or earlier.
    pub(crate) fn at(&mut self, index: u64) -> &mut Sent {
        &mut self.0[index as usize % PACKETS]
    }
}
