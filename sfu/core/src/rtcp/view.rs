//! Reads a compound packet part by part. Whatever does not fit the compound ends the reading.

use sfu_bwe::Bitrate;

use super::feedback::Statuses;

/// A reception report block (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the start; 24 bits, signed.
    pub lost: i32,
    /// Roll-over count and highest sequence number.
    pub highest: u32,
    /// Interarrival jitter, in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0: none yet.
    pub last_report: u32,
    /// Since that report, in 1/65536 s.
    pub delay: u32,
}

/// One packet of a compound.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    /// Sender report.
    SenderReport {
        /// Who sends.
        ssrc: u32,
        /// NTP time, 32.32 fixed point seconds.
        ntp: u64,
        /// The same instant on the media clock.
        rtp: u32,
        /// What they report on others.
        blocks: Blocks<'a>,
    },
    /// Receiver report.
    ReceiverReport {
        /// What they report.
        blocks: Blocks<'a>,
    },
    /// Generic NACK (RFC 4585 section 6.2.1).
    Nack {
        /// The stream that has gaps.
        ssrc: u32,
        /// Sequence numbers asked for.
        lost: NackIter<'a>,
    },
    /// Picture loss (RFC 4585 section 6.3.1) or a full intra request (RFC 5104 section 4.3.1) for one stream.
    KeyFrameRequest {
        /// The stream.
        ssrc: u32,
    },
    /// A stream ended.
    Bye {
        /// The first one named.
        ssrc: u32,
    },
    /// When packets arrived, by transport-wide number.
    Feedback(Statuses<'a>),
    /// The receiver's own estimate.
    Remb(Bitrate),
    /// Anything else: nobody here uses it.
    Other,
    /// It does not fit its own length, or that of the compound; of the compound nothing more can be read then.
    Malformed,
}

/// The report blocks of a packet.
#[derive(Clone, Debug)]
pub struct Blocks<'a>(&'a [u8]);

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_first_chunk::<24>()?;
        self.0 = rest;
        let word = |at: usize| u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        let lost = word(4);
        Some(ReportBlock {
            ssrc: word(0),
            fraction_lost: (lost >> 24) as u8,
            lost: ((lost << 8) as i32) >> 8,
            highest: word(8),
            jitter: word(12),
            last_report: word(16),
            delay: word(20),
        })
    }
}

/// The sequence numbers of a NACK.
#[derive(Clone, Debug)]
pub struct NackIter<'a> {
    pairs: &'a [u8],
    first: u16,
    mask: u32,
}

impl Iterator for NackIter<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.mask == 0 {
            let (&[p0, p1, b0, b1], rest) = self.pairs.split_first_chunk::<4>()?;
            self.pairs = rest;
            self.first = u16::from_be_bytes([p0, p1]);
            self.mask = u32::from(u16::from_be_bytes([b0, b1])) << 1 | 1;
        }
        let bit = self.mask.trailing_zeros();
        self.mask &= self.mask - 1;
        Some(self.first.wrapping_add(bit as u16))
    }
}

/// The packets of a compound.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    data: &'a [u8],
    /// Further entries of a full intra request, eight bytes each.
    intra: &'a [u8],
}

impl<'a> Packets<'a> {
    /// Reads `compound`, already decrypted.
    pub fn new(compound: &'a [u8]) -> Self {
        Self {
            data: compound,
            intra: &[],
        }
    }
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        if let Some((entry, rest)) = self.intra.split_first_chunk::<8>() {
            self.intra = rest;
            return Some(Packet::KeyFrameRequest {
                ssrc: u32_at(entry, 0)?,
            });
        }
        if self.data.is_empty() {
            return None;
        }
        let Some((first, kind, packet)) = self.split() else {
            self.data = &[];
            return Some(Packet::Malformed);
        };
        let mut body = &packet[4..];
        if first & 0x20 != 0 {
            let padding = usize::from(*packet.last()?);
            let Some(whole) = body.len().checked_sub(padding).and_then(|end| body.get(..end)) else {
                return Some(Packet::Malformed);
            };
            body = whole;
        }
        let count = usize::from(first & 0x1f);
        let blocks = |from: usize| {
            let end = (from + 24 * count).min(body.len());
            Blocks(body.get(from..end).unwrap_or_default())
        };
        Some(self.read(kind, count, body, blocks).unwrap_or(Packet::Malformed))
    }
}

impl<'a> Packets<'a> {
    /// Takes the next packet off: its first byte, its kind, and all of it.
    fn split(&mut self) -> Option<(u8, u8, &'a [u8])> {
        let &[first, kind, l0, l1] = self.data.first_chunk::<4>()?;
        let length = 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
        if first >> 6 != 2 || length > self.data.len() {
            return None;
        }
        let (packet, rest) = self.data.split_at(length);
        self.data = rest;
        Some((first, kind, packet))
    }

    fn read(
        &mut self,
        kind: u8,
        count: usize,
        body: &'a [u8],
        blocks: impl Fn(usize) -> Blocks<'a>,
    ) -> Option<Packet<'a>> {
        Some(match (kind, count) {
            (200, _) => Packet::SenderReport {
                ssrc: u32_at(body, 0)?,
                ntp: u64::from(u32_at(body, 4)?) << 32 | u64::from(u32_at(body, 8)?),
                rtp: u32_at(body, 12)?,
                blocks: blocks(24),
            },
            (201, _) => Packet::ReceiverReport { blocks: blocks(4) },
            (203, 1..) => Packet::Bye { ssrc: u32_at(body, 0)? },
            (205, 1) => Packet::Nack {
                ssrc: u32_at(body, 4)?,
                lost: NackIter {
                    pairs: body.get(8..)?,
                    first: 0,
                    mask: 0,
                },
            },
            (205, 15) => Packet::Feedback(Statuses::parse(body.get(8..)?)?),
            // Applications may put anything else into this kind.
            (206, 15) => super::feedback::remb(body.get(8..)?).map_or(Packet::Other, Packet::Remb),
            (206, 1) => Packet::KeyFrameRequest { ssrc: u32_at(body, 4)? },
            (206, 4) => {
                let (entry, rest) = body.get(8..)?.split_first_chunk::<8>()?;
                self.intra = rest;
                Packet::KeyFrameRequest {
                    ssrc: u32_at(entry, 0)?,
                }
            }
            _ => Packet::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
    use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
    use shared::marshal::Marshal;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_badly_or_run_for_ever(
            data in proptest::collection::vec(any::<u8>(), 0..300), kind in 198_u8..208, first in 0x80_u8..0xc0,
        ) {
            let mut data = data;
            if data.len() > 4 {
                (data[0], data[1], data[2]) = (first, kind, 0);
            }
            let mut parts = 0;
            for packet in Packets::new(&data) {
                parts += 1;
                match packet {
                    Packet::Nack { lost, .. } => prop_assert!(lost.count() <= 17 * data.len() / 4),
                    Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks } => {
                        prop_assert!(blocks.count() <= 31);
                    }
                    _ => {}
                }
            }
            prop_assert!(parts <= data.len());
        }

        #[test]
        fn a_nack_names_what_the_rtcp_crate_put_in(first: u16, mask: u16, second: u16) {
            let nack = TransportLayerNack {
                sender_ssrc: 1,
                media_ssrc: 77,
                nacks: vec![
                    NackPair { packet_id: first, lost_packets: mask },
                    NackPair { packet_id: second, lost_packets: 0 },
                ],
            };
            let expected: Vec<u16> = nack.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
            let bytes = nack.marshal().unwrap();
            let mut packets = Packets::new(&bytes);
            let Some(Packet::Nack { ssrc: 77, lost }) = packets.next() else { panic!("a NACK") };
            prop_assert_eq!(lost.collect::<Vec<_>>(), expected);
            prop_assert!(packets.next().is_none());
        }
    }

    #[test]
    fn each_entry_of_a_full_intra_request_counts() {
        let entry = |ssrc| FirEntry {
            ssrc,
            sequence_number: 1,
        };
        let fir = FullIntraRequest {
            sender_ssrc: 1,
            media_ssrc: 0,
            fir: vec![entry(5), entry(6)],
        };
        let bytes = fir.marshal().unwrap();
        let read: Vec<u32> = Packets::new(&bytes)
            .map(|packet| match packet {
                Packet::KeyFrameRequest { ssrc } => ssrc,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read, [5, 6]);
    }
}
