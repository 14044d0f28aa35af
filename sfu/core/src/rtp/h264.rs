//! H.264 payloads (RFC 6184): where a key frame begins, and how high its picture is.

use super::bits::Bits;
use super::frame::{Frame, Targets};

/// Parameter sets: a decoder begins there, since a key frame without them decodes only for who has them already.
const SEQUENCE_PARAMETERS: u8 = 7;
const AGGREGATE: u8 = 24;
/// Longest parameter set that is looked at; they have 10 to 40 bytes.
const MAX_PARAMETERS: usize = 256;

/// What the payload says of the frame; `None` when it is empty.
pub fn parse(payload: &[u8]) -> Option<Frame> {
    payload.first()?;
    let key = parameters(payload).is_some();
    Some(Frame {
        start: key,
        key,
        switch: if key { Targets::ALL } else { Targets::default() },
        ..Frame::default()
    })
}

/// Height in pixels that the payload's parameter set gives.
pub fn height(payload: &[u8]) -> Option<u32> {
    picture_height(parameters(payload)?)
}

/// The sequence parameter set in a single NAL unit or an aggregate, without its first byte.
fn parameters(payload: &[u8]) -> Option<&[u8]> {
    let (&first, mut rest) = payload.split_first()?;
    match first & 0x1f {
        SEQUENCE_PARAMETERS => Some(rest),
        AGGREGATE => {
            while let Some((size, behind)) = rest.split_first_chunk::<2>() {
                let (unit, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
                if let Some((kind, parameters)) = unit.split_first()
                    && kind & 0x1f == SEQUENCE_PARAMETERS
                {
                    return Some(parameters);
                }
                rest = behind;
            }
            None
        }
        _ => None,
    }
}

/// Section 7.3.2.1.1 as far as the height.
fn picture_height(parameters: &[u8]) -> Option<u32> {
    // Emulation prevention (section 7.4.1): of 0, 0, 3 the 3 is not data.
    let mut data = [0; MAX_PARAMETERS];
    let mut len = 0;
    let mut zeros = 0;
    for byte in parameters.iter().take(MAX_PARAMETERS) {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        data[len] = *byte;
        len += 1;
    }
    let mut bits = Bits::new(data.get(..len)?);
    let profile = bits.read(8)?;
    bits.read(16)?; // constraints and level
    bits.exp_golomb()?; // id
    let mut chroma = 1;
    if matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    ) {
        chroma = bits.exp_golomb()?;
        if chroma == 3 {
            bits.flag()?;
        }
        bits.exp_golomb()?; // bit depths
        bits.exp_golomb()?;
        bits.flag()?;
        if bits.flag()? {
            return None; // scaling lists: no browser sends them
        }
    }
    bits.exp_golomb()?; // frame numbers
    match bits.exp_golomb()? {
        0 => {
            bits.exp_golomb()?;
        }
        1 => {
            bits.flag()?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            let cycle = bits.exp_golomb()?;
            for _ in 0..cycle.min(255) {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    bits.exp_golomb()?; // reference frames
    bits.flag()?;
    bits.exp_golomb()?; // width
    let units = bits.exp_golomb()?.checked_add(1)?;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.flag()?;
    }
    bits.flag()?;
    let mut cut = 0;
    if bits.flag()? {
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        let unit = if chroma == 1 { 2 } else { 1 } * if frames_only { 1 } else { 2 };
        cut = bits.exp_golomb()?.checked_add(bits.exp_golomb()?)?.checked_mul(unit)?;
    }
    let rows = units.checked_mul(16)?.checked_mul(if frames_only { 1 } else { 2 })?;
    rows.checked_sub(cut).filter(|height| (1..=16_384).contains(height))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Constrained baseline, level 3.1, 1280x720, as x264 and OpenH264 write it.
    const SPS_720: [u8; 10] = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdc];

    #[test]
    fn a_parameter_set_begins_a_key_frame_alone_or_in_an_aggregate() {
        assert!(parse(&SPS_720).unwrap().key);
        assert_eq!(height(&SPS_720), Some(720));
        let mut aggregate = vec![0x78, 0, 2, 0x09, 0xf0, 0, SPS_720.len() as u8];
        aggregate.extend(SPS_720);
        assert!(parse(&aggregate).unwrap().key);
        assert_eq!(height(&aggregate), Some(720));
    }

    #[test]
    fn a_picture_without_parameters_is_no_beginning() {
        for first in [0x65_u8, 0x41, 0x7c, 0x68] {
            assert!(!parse(&[first, 0x85, 0, 0]).unwrap().key);
        }
        assert!(
            !parse(&[0x78, 0, 9, 0x67]).unwrap().key,
            "the aggregate ends inside its unit"
        );
        assert_eq!(parse(&[]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_badly(first in prop::sample::select(vec![0x67_u8, 0x78, 0x41]), data in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut payload = vec![first];
            payload.extend(data);
            parse(&payload);
            if let Some(height) = height(&payload) {
                prop_assert!((1..=16_384).contains(&height));
            }
        }
    }
}
