//! What receivers say of a whole path: transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01) and REMB
//! (draft-alvestrand-rmcat-remb-03).

use sfu_bwe::{Bitrate, Received};

/// The packets of a transport-wide feedback, in order. Reads nothing beyond the message, whatever its counts say.
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    /// Statuses of the current chunk: how many are left, and what they are.
    left_in_chunk: u16,
    chunk: Chunk,
    next: u16,
    left: u16,
    ticks: u32,
}

#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run(u16),
    /// Symbols of so many bits, the first in the highest ones.
    Vector(u16, u32),
}

impl<'a> Statuses<'a> {
    /// Reads the body behind the two SSRCs. `None`: it is too short for what it announces.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let &[b0, b1, c0, c1, r0, r1, r2, _] = body.first_chunk::<8>()?;
        let count = u16::from_be_bytes([c0, c1]);
        let rest = &body[8..];
        // The deltas begin where the chunks have covered all packets.
        let (mut covered, mut at) = (0_u32, 0);
        while covered < u32::from(count) {
            let word = u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]);
            covered += match (word >> 15, word >> 14 & 1) {
                (0, _) => u32::from(word & 0x1fff),
                (_, 0) => 14,
                _ => 7,
            };
            at += 2;
        }
        Some(Self {
            chunks: &rest[..at],
            deltas: &rest[at..],
            left_in_chunk: 0,
            chunk: Chunk::Run(0),
            next: u16::from_be_bytes([b0, b1]),
            left: count,
            // 64 ms are 256 ticks of 250 us: the 24 bits become the upper ones of 32.
            ticks: u32::from_be_bytes([0, r0, r1, r2]) << 8,
        })
    }

    fn symbol(&mut self) -> Option<u16> {
        while self.left_in_chunk == 0 {
            let (&[high, low], rest) = self.chunks.split_first_chunk::<2>()?;
            self.chunks = rest;
            let word = u16::from_be_bytes([high, low]);
            (self.chunk, self.left_in_chunk) = match (word >> 15, word >> 14 & 1) {
                (0, _) => (Chunk::Run(word >> 13 & 3), word & 0x1fff),
                (_, 0) => (Chunk::Vector(word << 2, 1), 14),
                _ => (Chunk::Vector(word << 2, 2), 7),
            };
        }
        self.left_in_chunk -= 1;
        Some(match &mut self.chunk {
            Chunk::Run(symbol) => *symbol,
            Chunk::Vector(symbols, bits) => {
                let symbol = *symbols >> (16 - *bits);
                *symbols <<= *bits;
                symbol
            }
        })
    }

    fn delta(&mut self, bytes: usize) -> Option<i32> {
        let (delta, rest) = self.deltas.split_at_checked(bytes)?;
        self.deltas = rest;
        Some(match *delta {
            [small] => i32::from(small),
            [high, low] => i32::from(i16::from_be_bytes([high, low])),
            _ => 0,
        })
    }
}

impl Iterator for Statuses<'_> {
    type Item = Received;

    fn next(&mut self) -> Option<Received> {
        self.left = self.left.checked_sub(1)?;
        let symbol = self.symbol()?;
        let number = self.next;
        self.next = number.wrapping_add(1);
        let bytes = match symbol {
            1 => 1,
            2 => 2,
            _ => return Some(Received { number, arrival: None }),
        };
        let delta = self.delta(bytes)?;
        self.ticks = self.ticks.wrapping_add_signed(delta);
        Some(Received {
            number,
            arrival: Some(self.ticks),
        })
    }
}

/// Reads the body behind the two SSRCs of an application layer feedback; `None`: it is no REMB.
pub(super) fn remb(body: &[u8]) -> Option<Bitrate> {
    let &[b'R', b'E', b'M', b'B', _, high, middle, low] = body.first_chunk::<8>()? else {
        return None;
    };
    let mantissa = u64::from(u32::from_be_bytes([0, high & 3, middle, low]));
    let exponent = u32::from(high >> 2);
    // 18 bits of mantissa and an exponent up to 63: more than 64 bits is as much as there is.
    let bits = u128::from(mantissa) << exponent;
    Some(Bitrate::bps(u64::try_from(bits).unwrap_or(u64::MAX)))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
    use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc};
    use rtcp::transport_feedbacks::transport_layer_cc::{RecvDelta, RunLengthChunk, TransportLayerCc};
    use shared::marshal::Marshal;

    use super::*;
    use crate::rtcp::{Arrivals, Compound, Packet, Packets};

    fn read(compound: &[u8]) -> Vec<Received> {
        let found = Packets::new(compound).find_map(|packet| match packet {
            Packet::Feedback(statuses) => Some(statuses.collect()),
            _ => None,
        });
        found.unwrap_or_default()
    }

    proptest! {
        #[test]
        fn what_we_write_ourselves_is_read_again(
            start: u16, packets in proptest::collection::vec((0_u64..200_000, any::<bool>()), 1..100),
        ) {
            let begin = Instant::now();
            let mut arrivals = Arrivals::new(begin);
            let mut now = begin + Duration::from_millis(12_345);
            let mut expected = Vec::new();
            for (n, (gap, came)) in packets.iter().enumerate() {
                now += Duration::from_micros(*gap);
                let number = start.wrapping_add(n as u16);
                let came = *came || n == 0;
                if came {
                    arrivals.note(number, now);
                }
                let arrival = came.then(|| (now.duration_since(begin).as_micros() / 250) as u32);
                expected.push(Received { number, arrival });
            }
            while expected.last().is_some_and(|last| last.arrival.is_none()) {
                expected.pop();
            }
            let mut out = [0; 1_200];
            let mut compound = Compound::new(&mut out);
            prop_assert!(arrivals.write(&mut compound, 1, 2));
            let len = compound.len();
            prop_assert_eq!(read(&out[..len]), expected);
        }

        #[test]
        fn remb_is_read_as_the_rtcp_crate_writes_it(bits in 1_000_u64..1_000_000_000) {
            let packet = ReceiverEstimatedMaximumBitrate { sender_ssrc: 1, bitrate: bits as f32, ssrcs: vec![7] };
            let bytes = packet.marshal().unwrap();
            let Some(Packet::Remb(found)) = Packets::new(&bytes).next() else { panic!("no REMB") };
            let error = found.as_bps().abs_diff(bits) as f64 / bits as f64;
            prop_assert!(error < 1e-4, "{bits} {found}");
        }

        #[test]
        fn no_bytes_make_it_fail_badly_or_say_more_than_they_can(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(statuses) = Statuses::parse(&data) {
                prop_assert!(statuses.count() <= 65_535);
            }
            remb(&data);
        }
    }

    #[test]
    fn runs_are_read_as_the_rtcp_crate_writes_them() {
        let run = |symbol, length| {
            let chunk = RunLengthChunk {
                type_tcc: rtcp::transport_feedbacks::transport_layer_cc::StatusChunkTypeTcc::RunLengthChunk,
                packet_status_symbol: symbol,
                run_length: length,
            };
            PacketStatusChunk::RunLengthChunk(chunk)
        };
        let delta = |ticks: i64, type_tcc_packet| RecvDelta {
            type_tcc_packet,
            delta: ticks * 250,
        };
        let (small, large) = (
            SymbolTypeTcc::PacketReceivedSmallDelta,
            SymbolTypeTcc::PacketReceivedLargeDelta,
        );
        let packet = TransportLayerCc {
            sender_ssrc: 1,
            media_ssrc: 2,
            base_sequence_number: 65_534,
            packet_status_count: 5,
            reference_time: 0xff_ffff,
            fb_pkt_count: 0,
            packet_chunks: vec![run(small, 2), run(SymbolTypeTcc::PacketNotReceived, 2), run(large, 1)],
            recv_deltas: vec![delta(200, small), delta(100, small), delta(-30, large)],
        };
        let bytes = packet.marshal().unwrap();
        let base = 0xffff_ff00_u32;
        let received = |number, arrival| Received { number, arrival };
        assert_eq!(
            read(&bytes),
            [
                received(65_534, Some(base + 200)),
                received(65_535, Some(base.wrapping_add(300))),
                received(0, None),
                received(1, None),
                received(2, Some(base.wrapping_add(270))),
            ]
        );
    }
}
