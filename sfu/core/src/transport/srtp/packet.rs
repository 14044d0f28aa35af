//! The few fields of RTP and RTCP headers that SRTP needs (RFC 3550 §5.1, §5.3.1, §6.4.1).

/// What SRTP needs of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// Fixed header, CSRCs and extension: what is authenticated but not encrypted.
    pub(crate) len: usize,
}

impl RtpHeader {
    /// `None` when the packet ends before its header does, or is not version 2.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed = packet.first_chunk::<12>()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let mut len = 12 + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            let words = packet.get(len + 2..len + 4)?;
            len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        (len <= packet.len()).then_some(Self {
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            len,
        })
    }
}

/// The part of an RTCP packet that stays clear: the first header and the sender's SSRC.
pub(crate) const RTCP_CLEAR: usize = 8;

/// The sender's SSRC of a compound RTCP packet; `None` when it is too short or not version 2.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let clear = packet.first_chunk::<RTCP_CLEAR>()?;
    (clear[0] >> 6 == 2).then(|| u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn csrcs_and_extensions_belong_to_the_header() {
        let mut packet = vec![0x80, 96, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(
            RtpHeader::parse(&packet),
            Some(RtpHeader {
                ssrc: 2,
                sequence: 0x1234,
                len: 12
            })
        );
        packet[0] = 0x92; // an extension and two CSRCs
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 2]);
        packet.extend([0; 8]);
        assert_eq!(RtpHeader::parse(&packet).map(|h| h.len), Some(32));
        packet.pop();
        assert_eq!(RtpHeader::parse(&packet), None);
    }

    #[test]
    fn other_versions_are_not_rtp() {
        assert_eq!(RtpHeader::parse(&[0x40; 20]), None);
        assert_eq!(rtcp_ssrc(&[0xC0; 20]), None);
    }

    proptest! {
        #[test]
        fn a_header_never_reaches_behind_its_packet(packet in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(header) = RtpHeader::parse(&packet) {
                prop_assert!(header.len <= packet.len());
            }
            let _ = rtcp_ssrc(&packet);
        }
    }
}
