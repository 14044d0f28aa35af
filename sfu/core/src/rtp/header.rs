//! The fixed header and the places of what follows it.

use super::extension::Extensions;

/// Why a packet is not RTP that we can forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than its header says.
    #[error("the packet ends inside its header")]
    Short,
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding count is zero or larger than the payload.
    #[error("the padding does not fit")]
    Padding,
    /// Longer than a 16-bit offset reaches.
    #[error("the packet is too long")]
    Long,
}

/// Header fields and offsets of one packet; 32 bytes, no borrow, so that it can be kept beside a packet in a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Last packet of a frame (video), first of a talk spurt (audio).
    pub marker: bool,
    /// Payload type as the sender negotiated it.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Media clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// The word before the extension data (0xBEDE: one-byte headers); 0 without extensions.
    pub profile: u16,
    /// Extension data, after its four header bytes.
    pub extension_start: u16,
    /// End of the extension data.
    pub extension_end: u16,
    /// First payload byte.
    pub payload_start: u16,
    /// End of the payload, padding excluded.
    pub payload_end: u16,
}

impl Header {
    /// Reads `packet` without believing any of its lengths (RFC 3550 section 5.1, 5.3.1).
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        if packet.len() > usize::from(u16::MAX) {
            return Err(RtpError::Long);
        }
        let [b0, b1, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3, ..] = *packet else {
            return Err(RtpError::Short);
        };
        if b0 >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let mut at = 12 + 4 * usize::from(b0 & 0x0f);
        let (mut profile, mut extension_start, mut extension_end) = (0, at, at);
        if b0 & 0x10 != 0 {
            let Some(&[p0, p1, l0, l1]) = packet.get(at..at + 4) else {
                return Err(RtpError::Short);
            };
            profile = u16::from_be_bytes([p0, p1]);
            extension_start = at + 4;
            extension_end = extension_start + 4 * usize::from(u16::from_be_bytes([l0, l1]));
            at = extension_end;
        }
        if at > packet.len() {
            return Err(RtpError::Short);
        }
        let mut end = packet.len();
        if b0 & 0x20 != 0 {
            let padding = usize::from(packet[end - 1]);
            if padding == 0 || padding > end - at {
                return Err(RtpError::Padding);
            }
            end -= padding;
        }
        Ok(Self {
            marker: b1 & 0x80 != 0,
            payload_type: b1 & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            profile,
            extension_start: extension_start as u16,
            extension_end: extension_end as u16,
            payload_start: at as u16,
            payload_end: end as u16,
        })
    }

    /// The payload of the packet that this header was read from; empty for any other that is too short.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet
            .get(usize::from(self.payload_start)..usize::from(self.payload_end))
            .unwrap_or_default()
    }

    /// The header extensions of the packet that this header was read from.
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        let data = packet.get(usize::from(self.extension_start)..usize::from(self.extension_end));
        Extensions::new(self.profile, data.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use rtp::{Packet, header};
    use shared::marshal::{Marshal, Unmarshal};

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_fail_badly(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(header) = Header::parse(&data) {
                header.payload(&data);
                for (_, value) in header.extensions(&data) {
                    prop_assert!(value.len() <= data.len());
                }
            }
        }

        #[test]
        fn it_reads_what_the_rtp_crate_writes(
            marker: bool, pt in 0_u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            csrc in proptest::collection::vec(any::<u32>(), 0..15),
            extensions in proptest::collection::btree_map(1_u8..15, proptest::collection::vec(any::<u8>(), 1..16), 0..6),
            payload in proptest::collection::vec(any::<u8>(), 1..300),
        ) {
            let mut oracle = header::Header {
                version: 2, marker, payload_type: pt, sequence_number: sequence, timestamp, ssrc, csrc,
                ..Default::default()
            };
            for (id, value) in &extensions {
                oracle.set_extension(*id, Bytes::from(value.clone())).unwrap();
            }
            let packet = Packet { header: oracle, payload: Bytes::from(payload.clone()) };
            let bytes = packet.marshal().unwrap();
            let view = Header::parse(&bytes).unwrap();
            prop_assert_eq!((view.marker, view.payload_type), (marker, pt));
            prop_assert_eq!((view.sequence, view.timestamp, view.ssrc), (sequence, timestamp, ssrc));
            prop_assert_eq!(view.payload(&bytes), &payload[..]);
            let read: std::collections::BTreeMap<u8, Vec<u8>> =
                view.extensions(&bytes).map(|(id, value)| (id, value.to_vec())).collect();
            prop_assert_eq!(read, extensions);
        }

        #[test]
        fn it_refuses_what_the_rtp_crate_refuses(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            // The other way round does not hold: we check the padding, the crate does not always.
            let mut data = data;
            if let Some(first) = data.first_mut() {
                *first = 0x80 | (*first & 0x1f);
            }
            let oracle = Packet::unmarshal(&mut &data[..]);
            if let (Ok(view), Ok(oracle)) = (Header::parse(&data), oracle) {
                prop_assert_eq!(view.ssrc, oracle.header.ssrc);
                prop_assert_eq!(view.payload(&data), &oracle.payload[..]);
            }
        }
    }

    #[test]
    fn padding_is_cut_off_and_checked() {
        let mut packet = vec![0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 0, 0, 3];
        let view = Header::parse(&packet).unwrap();
        assert_eq!(view.payload(&packet), &[1, 2, 3]);
        *packet.last_mut().unwrap() = 7;
        assert_eq!(Header::parse(&packet), Err(RtpError::Padding));
        *packet.last_mut().unwrap() = 0;
        assert_eq!(Header::parse(&packet), Err(RtpError::Padding));
    }
}
