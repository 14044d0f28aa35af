//! The AV1 aggregation header (AV1 RTP specification, section 4.4). All else is in the dependency descriptor.

use super::frame::{Frame, Targets};

/// What the payload's first byte says: whether a coded video sequence, and with it a key frame, begins here.
pub fn parse(payload: &[u8]) -> Option<Frame> {
    let header = *payload.first()?;
    // Z: continues an OBU of the packet before; N: first packet of a coded video sequence. Both at once is an error.
    let (continues, first) = (header & 0x80 != 0, header & 0x08 != 0);
    if continues && first {
        return None;
    }
    Some(Frame {
        start: first,
        key: first,
        switch: if first { Targets::ALL } else { Targets::default() },
        ..Frame::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_begins_with_a_key_frame() {
        assert!(parse(&[0x18]).unwrap().key);
        assert!(!parse(&[0x10]).unwrap().key);
        assert_eq!(parse(&[0x88]), None);
        assert_eq!(parse(&[]), None);
    }
}
