//! Writes a compound packet into a buffer that the caller owns.

use super::ReportBlock;

/// A compound packet being written. Every method returns whether the part found room; a part that does not is left out.
pub struct Compound<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Compound<'a> {
    /// Starts writing at the beginning of `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn part(&mut self, count: u8, kind: u8, length: usize) -> Option<&mut [u8]> {
        let part = self.out.get_mut(self.len..self.len + length)?;
        self.len += length;
        part[0] = 0x80 | count;
        part[1] = kind;
        part[2..4].copy_from_slice(&((length / 4 - 1) as u16).to_be_bytes());
        Some(&mut part[4..])
    }

    /// Sender report without blocks (RFC 3550 section 6.4.1). `ntp` is 32.32 fixed point.
    pub fn sender_report(&mut self, ssrc: u32, ntp: u64, rtp: u32, packets: u32, octets: u32) -> bool {
        let Some(body) = self.part(0, 200, 28) else {
            return false;
        };
        body[..4].copy_from_slice(&ssrc.to_be_bytes());
        body[4..12].copy_from_slice(&ntp.to_be_bytes());
        body[12..16].copy_from_slice(&rtp.to_be_bytes());
        body[16..20].copy_from_slice(&packets.to_be_bytes());
        body[20..24].copy_from_slice(&octets.to_be_bytes());
        true
    }

    /// Receiver report; further ones after 31 blocks are the caller's to write.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> bool {
        let blocks = &blocks[..blocks.len().min(31)];
        let Some(body) = self.part(blocks.len() as u8, 201, 8 + 24 * blocks.len()) else {
            return false;
        };
        body[..4].copy_from_slice(&ssrc.to_be_bytes());
        for (out, block) in body[4..].chunks_exact_mut(24).zip(blocks) {
            let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
            let words = [
                block.ssrc,
                u32::from(block.fraction_lost) << 24 | lost,
                block.highest,
                block.jitter,
                block.last_report,
                block.delay,
            ];
            for (bytes, word) in out.chunks_exact_mut(4).zip(words) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
        }
        true
    }

    /// Generic NACK for sequence numbers in rising order.
    pub fn nack(&mut self, sender: u32, media: u32, lost: &[u16]) -> bool {
        let mut pairs = 0;
        let mut base: Option<u16> = None;
        for seq in lost {
            if base.is_none_or(|b| !(1..=16).contains(&seq.wrapping_sub(b))) {
                base = Some(*seq);
                pairs += 1;
            }
        }
        let Some(body) = self.part(1, 205, 12 + 4 * pairs) else {
            return false;
        };
        body[..4].copy_from_slice(&sender.to_be_bytes());
        body[4..8].copy_from_slice(&media.to_be_bytes());
        let mut chunks = body[8..].chunks_exact_mut(4);
        let mut current: Option<(u16, &mut [u8])> = None;
        for seq in lost {
            match &mut current {
                Some((base, chunk)) if (1..=16).contains(&seq.wrapping_sub(*base)) => {
                    let bit = seq.wrapping_sub(*base) - 1;
                    let mask = u16::from_be_bytes([chunk[2], chunk[3]]) | 1 << bit;
                    chunk[2..4].copy_from_slice(&mask.to_be_bytes());
                }
                _ => {
                    let Some(chunk) = chunks.next() else { break };
                    chunk[..2].copy_from_slice(&seq.to_be_bytes());
                    chunk[2..4].fill(0);
                    current = Some((*seq, chunk));
                }
            }
        }
        true
    }

    /// Picture loss indication.
    pub fn picture_loss(&mut self, sender: u32, media: u32) -> bool {
        let Some(body) = self.part(1, 206, 12) else {
            return false;
        };
        body[..4].copy_from_slice(&sender.to_be_bytes());
        body[4..8].copy_from_slice(&media.to_be_bytes());
        true
    }

    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03) in bit/s for up to 255 streams.
    pub fn remb(&mut self, sender: u32, bitrate: u64, ssrcs: &[u32]) -> bool {
        let ssrcs = &ssrcs[..ssrcs.len().min(255)];
        let Some(body) = self.part(15, 206, 20 + 4 * ssrcs.len()) else {
            return false;
        };
        let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
        let mantissa = (bitrate >> exponent) as u32;
        body[..4].copy_from_slice(&sender.to_be_bytes());
        body[4..8].fill(0);
        body[8..12].copy_from_slice(b"REMB");
        let word = (ssrcs.len() as u32) << 24 | exponent << 18 | mantissa;
        body[12..16].copy_from_slice(&word.to_be_bytes());
        for (bytes, ssrc) in body[16..].chunks_exact_mut(4).zip(ssrcs) {
            bytes.copy_from_slice(&ssrc.to_be_bytes());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
    use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
    use rtcp::receiver_report::ReceiverReport;
    use rtcp::sender_report::SenderReport;
    use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
    use shared::marshal::Unmarshal;

    use super::*;
    use crate::rtcp::{Packet, Packets};

    proptest! {
        #[test]
        fn a_nack_carries_exactly_what_was_lost(start: u16, gaps in proptest::collection::vec(1_u16..40, 1..30)) {
            let mut lost = vec![start];
            for gap in gaps {
                lost.push(lost.last().unwrap().wrapping_add(gap));
            }
            let mut out = [0xff; 400];
            let mut compound = Compound::new(&mut out);
            prop_assert!(compound.nack(1, 2, &lost));
            let len = compound.len();
            let read = TransportLayerNack::unmarshal(&mut &out[..len]).unwrap();
            let named: Vec<u16> = read.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
            prop_assert_eq!(&named, &lost);
            let Some(Packet::Nack { ssrc: 2, lost: ours }) = Packets::new(&out[..len]).next() else { panic!("a NACK") };
            prop_assert_eq!(ours.collect::<Vec<_>>(), lost);
        }
    }

    #[test]
    fn the_rtcp_crate_reads_our_reports() {
        let mut out = [0xff; 300];
        let mut compound = Compound::new(&mut out);
        let block = ReportBlock {
            ssrc: 9,
            fraction_lost: 3,
            lost: 70,
            highest: 80_000,
            jitter: 5,
            last_report: 6,
            delay: 7,
        };
        assert!(compound.receiver_report(1, &[block]));
        assert!(compound.sender_report(2, 0x1111_2222_3333_4444, 5, 6, 7));
        assert!(compound.picture_loss(1, 9));
        assert!(compound.remb(1, 2_500_000, &[9]));
        let len = compound.len();
        let rr = ReceiverReport::unmarshal(&mut &out[..32]).unwrap();
        assert_eq!((rr.ssrc, rr.reports[0].ssrc, rr.reports[0].total_lost), (1, 9, 70));
        let sr = SenderReport::unmarshal(&mut &out[32..60]).unwrap();
        assert_eq!((sr.ssrc, sr.ntp_time, sr.rtp_time), (2, 0x1111_2222_3333_4444, 5));
        assert_eq!((sr.packet_count, sr.octet_count), (6, 7));
        let pli = PictureLossIndication::unmarshal(&mut &out[60..72]).unwrap();
        assert_eq!(pli.media_ssrc, 9);
        let remb = ReceiverEstimatedMaximumBitrate::unmarshal(&mut &out[72..len]).unwrap();
        assert!((remb.bitrate - 2_500_000.0).abs() < 20.0);
        let Some(Packet::ReceiverReport { mut blocks }) = Packets::new(&out[..len]).next() else {
            panic!("a report")
        };
        assert_eq!(blocks.next(), Some(block));
        assert_eq!(Packets::new(&out[..len]).count(), 4);
    }

    #[test]
    fn a_negative_loss_survives_and_a_full_buffer_refuses() {
        let mut out = [0; 40];
        let mut compound = Compound::new(&mut out);
        assert!(compound.receiver_report(
            1,
            &[ReportBlock {
                lost: -2,
                ..Default::default()
            }]
        ));
        assert!(!compound.picture_loss(1, 2));
        let len = compound.len();
        let Some(Packet::ReceiverReport { mut blocks }) = Packets::new(&out[..len]).next() else {
            panic!("a report")
        };
        assert_eq!(blocks.next().unwrap().lost, -2);
    }
}
