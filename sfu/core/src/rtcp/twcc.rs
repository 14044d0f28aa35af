//! Transport-wide feedback to publishers (draft-holmer-rmcat-transport-wide-cc-extensions-01): when each packet came. Their
//! bandwidth estimation lives from it; without it a browser stays at its start bitrate.

use std::time::{Duration, Instant};

use super::Compound;
use crate::rtp::extend;

/// Packets that one feedback may cover. At one feedback every 50 ms, 10,000 packets a second; more are not reported.
const WINDOW: usize = 512;
/// The clock of the reference time and of the deltas.
const TICK: u128 = 250; // us

/// Arrival times since the last feedback. Allocates once.
pub struct Arrivals {
    start: Instant,
    /// Arrival in 250 us ticks since `start` by number modulo the window; `None`: not yet.
    ticks: Box<[Option<u64>; WINDOW]>,
    /// The first number not yet reported, and the one after the newest.
    first: u64,
    end: u64,
    started: bool,
    count: u8,
}

impl Arrivals {
    /// Nothing has come; `start` is the zero of our reference times.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            ticks: Box::new([None; WINDOW]),
            first: 0,
            end: 0,
            started: false,
            count: 0,
        }
    }

    /// A packet came with this transport-wide number.
    pub fn note(&mut self, number: u16, now: Instant) {
        if !self.started {
            self.started = true;
            // A lap above zero, so that an earlier packet that comes late has a place too.
            self.first = u64::from(number) + 0x1_0000;
            self.end = self.first;
        }
        let index = extend(self.end, number);
        if index < self.first {
            return;
        }
        if index >= self.first + WINDOW as u64 {
            // Far ahead (a jump, or nobody took the feedback): begin again there.
            self.ticks.fill(None);
            self.first = index;
        }
        self.end = self.end.max(index + 1);
        let tick = (now.saturating_duration_since(self.start).as_micros() / TICK) as u64;
        self.ticks[index as usize % WINDOW].get_or_insert(tick);
    }

    /// Whether there is something to report.
    pub fn pending(&self) -> bool {
        self.end > self.first
    }

    /// Writes feedback for what came since the last one, about `media` (any SSRC of the sender).
    pub fn write(&mut self, compound: &mut Compound<'_>, sender: u32, media: u32) -> bool {
        // What comes late after being reported lost is not reported again; the sender has counted it.
        let (first, end) = (self.first, self.end);
        let at = |this: &Self, index: u64| this.ticks[index as usize % WINDOW];
        let Some(earliest) = (first..end).find_map(|index| at(self, index)) else {
            return false;
        };
        let reference = earliest / 256; // 64 ms
        let mut previous = reference * 256;
        let count = (end - first) as usize;
        let chunks = count.div_ceil(7);
        let mut deltas = 0;
        for index in first..end {
            let Some(tick) = at(self, index) else { continue };
            deltas += if (0..256).contains(&(tick as i64 - previous as i64)) {
                1
            } else {
                2
            };
            previous = tick;
        }
        let length = (20 + 2 * chunks + deltas).next_multiple_of(4);
        let Some(body) = compound.part(15, 205, length) else {
            return false;
        };
        body.fill(0);
        body[..4].copy_from_slice(&sender.to_be_bytes());
        body[4..8].copy_from_slice(&media.to_be_bytes());
        body[8..10].copy_from_slice(&(first as u16).to_be_bytes());
        body[10..12].copy_from_slice(&(count as u16).to_be_bytes());
        body[12..16].copy_from_slice(&(((reference as u32) << 8) | u32::from(self.count)).to_be_bytes());
        let mut delta_at = 16 + 2 * chunks;
        let mut previous = reference * 256;
        for chunk in 0..chunks {
            // A status vector of seven two-bit symbols: 0 not received, 1 small delta, 2 large or negative delta.
            let mut word = 0xc000_u16;
            for symbol in 0..7 {
                let index = first + (chunk * 7 + symbol) as u64;
                let Some(tick) = at(self, index).filter(|_| index < end) else {
                    continue;
                };
                let delta = tick as i64 - previous as i64;
                previous = tick;
                if let Ok(small) = u8::try_from(delta) {
                    word |= 1 << (12 - 2 * symbol);
                    body[delta_at] = small;
                    delta_at += 1;
                } else {
                    word |= 2 << (12 - 2 * symbol);
                    let large = delta.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
                    body[delta_at..delta_at + 2].copy_from_slice(&large.to_be_bytes());
                    delta_at += 2;
                }
            }
            body[16 + 2 * chunk..18 + 2 * chunk].copy_from_slice(&word.to_be_bytes());
        }
        for index in first..end {
            self.ticks[index as usize % WINDOW] = None;
        }
        self.first = end;
        self.count = self.count.wrapping_add(1);
        true
    }
}

/// How often feedback goes out while packets come.
pub const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use proptest::prelude::*;
    use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, TransportLayerCc};
    use shared::marshal::Unmarshal;

    use super::*;

    proptest! {
        #[test]
        fn the_rtcp_crate_reads_when_each_packet_came(
            start: u16, packets in proptest::collection::vec((0_u64..200_000, any::<bool>()), 1..100),
        ) {
            let begin = Instant::now();
            let mut arrivals = Arrivals::new(begin);
            let mut now = begin + Duration::from_millis(12_345);
            let mut expected = Vec::new();
            for (n, (gap, came)) in packets.iter().enumerate() {
                now += Duration::from_micros(*gap);
                if *came || n == 0 {
                    arrivals.note(start.wrapping_add(n as u16), now);
                    let ticks = now.duration_since(begin).as_micros() / TICK;
                    expected.push((start.wrapping_add(n as u16), ticks as i64));
                }
            }
            let mut out = [0xff; 1_200];
            let mut compound = Compound::new(&mut out);
            prop_assert!(arrivals.write(&mut compound, 1, 2));
            prop_assert!(!arrivals.pending());
            let len = compound.len();
            let read = TransportLayerCc::unmarshal(&mut &out[..len]).unwrap();
            prop_assert_eq!(read.base_sequence_number, start);
            let mut tick = i64::from(read.reference_time) * 256;
            let mut deltas = read.recv_deltas.iter();
            let mut found = Vec::new();
            let mut number = start;
            let mut left = read.packet_status_count;
            for chunk in &read.packet_chunks {
                let PacketStatusChunk::StatusVectorChunk(vector) = chunk else { panic!("a vector") };
                for symbol in vector.symbol_list.iter().take(usize::from(left.min(7))) {
                    if *symbol as u16 != 0 {
                        tick += deltas.next().unwrap().delta / TICK as i64;
                        found.push((number, tick));
                    }
                    number = number.wrapping_add(1);
                }
                left = left.saturating_sub(7);
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_jump_begins_anew_and_what_was_reported_stays_reported() {
        let begin = Instant::now();
        let mut arrivals = Arrivals::new(begin);
        let mut out = [0; 1_200];
        arrivals.note(65_535, begin);
        arrivals.note(0, begin);
        assert!(arrivals.write(&mut Compound::new(&mut out), 1, 2));
        arrivals.note(65_535, begin);
        assert!(!arrivals.pending());
        arrivals.note(30_000, begin);
        let mut compound = Compound::new(&mut out);
        assert!(arrivals.write(&mut compound, 1, 2));
        assert!(compound.len() < 40);
    }
}
