//! Payloads that a depacketizer accepts: the descriptors and first bytes of each format are real, what a decoder would want
//! behind them is filler, and the stamp is last.

use crate::scenario::Codec;

use super::stamp::STAMP_LEN;

/// Bytes of a full video packet's payload: with headers, tag and UDP it stays under a 1,200 byte MTU.
pub const VIDEO_PAYLOAD: usize = 1_050;
/// Largest packet that is made here.
pub const MAX_PAYLOAD: usize = VIDEO_PAYLOAD;

/// Where a packet stands in its stream.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Number of the frame.
    pub frame: u32,
    /// First packet of the frame.
    pub first: bool,
    /// Last packet of the frame.
    pub last: bool,
    /// Belongs to a key frame.
    pub key: bool,
    /// Picture height in pixels; the width is 16:9.
    pub height: u32,
}

/// Writes a video payload into `out` and returns its length, at least what descriptor and stamp need.
pub fn video(codec: Codec, place: Place, length: usize, out: &mut [u8; MAX_PAYLOAD]) -> usize {
    out.fill(0x55);
    let head = match codec {
        Codec::Vp8 => vp8(place, out),
        Codec::Vp9 => vp9(place, out),
        Codec::H264 if place.key && place.first => return h264_aggregate(place.height, length, out),
        Codec::H264 => h264(place, out),
        Codec::Av1 => av1(place, out),
    };
    length.clamp(head + STAMP_LEN, MAX_PAYLOAD)
}

/// Opus: a TOC byte (SILK wideband, 20 ms, one frame; RFC 6716 section 3.1) and filler.
pub fn opus(length: usize, out: &mut [u8; MAX_PAYLOAD]) -> usize {
    out[0] = 0x48;
    let length = length.clamp(1 + STAMP_LEN, MAX_PAYLOAD);
    out[1..length].fill(0x55);
    length
}

/// RFC 7741 section 4.2: X, S, 15 bit picture id; then the payload header (section 4.3), for key frames with start code and
/// dimensions (RFC 6386 section 9.1).
fn vp8(place: Place, out: &mut [u8]) -> usize {
    out[0] = if place.first { 0x90 } else { 0x80 };
    out[1] = 0x80;
    out[2..4].copy_from_slice(&(place.frame as u16 | 0x8000).to_be_bytes());
    if !place.first {
        return 4;
    }
    // Show frame, version 0; the inverse key frame bit is the lowest.
    out[4] = if place.key { 0x10 } else { 0x11 };
    out[5..7].fill(0);
    if !place.key {
        return 7;
    }
    out[7..10].copy_from_slice(&[0x9d, 0x01, 0x2a]);
    let (width, height) = size(place.height);
    out[10..12].copy_from_slice(&width.to_le_bytes());
    out[12..14].copy_from_slice(&height.to_le_bytes());
    14
}

/// RFC 9628 section 4.2: I, (P,) B, E, non-flexible mode, 15 bit picture id; key frames bring a scalability structure of one
/// spatial layer with its size.
fn vp9(place: Place, out: &mut [u8]) -> usize {
    let structure = place.key && place.first;
    out[0] = 0x80
        | if place.key { 0 } else { 0x40 }
        | if place.first { 0x08 } else { 0 }
        | if place.last { 0x04 } else { 0 }
        | if structure { 0x02 } else { 0 };
    out[1..3].copy_from_slice(&(place.frame as u16 | 0x8000).to_be_bytes());
    if !structure {
        return 3;
    }
    // N_S = 0 (one layer), Y = 1 (its size), G = 0.
    out[3] = 0x10;
    let (width, height) = size(place.height);
    out[4..6].copy_from_slice(&width.to_be_bytes());
    out[6..8].copy_from_slice(&height.to_be_bytes());
    8
}

/// RFC 6184 section 5.7.1: a key frame begins with an aggregate (STAP-A) of its parameter sets and its first slice, as encoders
/// send it; nobody could begin to decode without them.
fn h264_aggregate(height: u32, length: usize, out: &mut [u8; MAX_PAYLOAD]) -> usize {
    let mut at = 1;
    out[0] = 0x60 | 24;
    for unit in [&sequence_parameters(height)[..], &[0x68, 0xce, 0x3c, 0x80]] {
        out[at..at + 2].copy_from_slice(&(unit.len() as u16).to_be_bytes());
        out[at + 2..at + 2 + unit.len()].copy_from_slice(unit);
        at += 2 + unit.len();
    }
    let length = length.clamp(at + 3 + STAMP_LEN, MAX_PAYLOAD);
    out[at..at + 2].copy_from_slice(&((length - at - 2) as u16).to_be_bytes());
    out[at + 2] = 0x65;
    length
}

/// H.264 section 7.3.2.1.1 for the constrained baseline profile: as much as says the picture's size, and nothing optional.
fn sequence_parameters(height: u32) -> Vec<u8> {
    let (width, height) = size(height);
    let blocks = |pixels: u16| u32::from(pixels.div_ceil(16)) - 1;
    let mut bits: Vec<bool> = Vec::new();
    let number = |bits: &mut Vec<bool>, value: u32| {
        // Exp-Golomb (section 9.1): as many zeros as the number plus one has digits behind its first.
        let (value, digits) = (value + 1, (value + 1).ilog2());
        bits.extend((0..digits).map(|_| false));
        bits.extend((0..=digits).rev().map(|digit| value >> digit & 1 == 1));
    };
    // Id, frame numbers and order counts of four bits, one reference frame; then no gaps.
    [0, 0, 0, 0, 1].into_iter().for_each(|value| number(&mut bits, value));
    bits.push(false);
    number(&mut bits, blocks(width));
    number(&mut bits, blocks(height));
    // Frames only, direct inference, no cropping, no usability information; the stop bit.
    bits.extend([true, true, false, false, true]);
    let mut out = vec![0x67, 66, 0xc0, 31];
    out.extend(bits.chunks(8).map(|byte| {
        let set = byte.iter().enumerate().filter(|(_, bit)| **bit);
        set.fold(0_u8, |value, (at, _)| value | 0x80 >> at)
    }));
    out
}

/// RFC 6184 section 5.8: FU-A fragments of a non-IDR slice (1); a frame of one packet, and every further slice of a key frame (5),
/// is a single NAL unit.
fn h264(place: Place, out: &mut [u8]) -> usize {
    if place.key || place.first && place.last {
        out[0] = 0x60 | if place.key { 5 } else { 1 };
        return 1;
    }
    out[0] = 0x60 | 28;
    out[1] = 1 | if place.first { 0x80 } else { 0 } | if place.last { 0x40 } else { 0 };
    2
}

/// AV1 RTP specification section 4.4: aggregation header with one OBU element; Z and Y chain its fragments, N marks a new
/// coded video sequence. The OBU header says frame (type 6), without a size field.
fn av1(place: Place, out: &mut [u8]) -> usize {
    out[0] = if place.first { 0 } else { 0x80 }
        | if place.last { 0 } else { 0x40 }
        | 0x10
        | if place.key && place.first { 0x08 } else { 0 };
    if !place.first {
        return 1;
    }
    out[1] = 6 << 3;
    2
}

fn size(height: u32) -> (u16, u16) {
    let height = height.clamp(16, 4_320);
    ((height * 16 / 9) as u16, height as u16)
}

#[cfg(test)]
mod tests {
    use rtp::codec::{h264::H264Packet, vp8::Vp8Packet, vp9::Vp9Packet};
    use rtp::packetizer::Depacketizer;

    use super::*;

    fn frame(codec: Codec, key: bool, packets: usize) -> Vec<Vec<u8>> {
        (0..packets)
            .map(|n| {
                let place = Place {
                    frame: 300,
                    first: n == 0,
                    last: n + 1 == packets,
                    key,
                    height: 360,
                };
                let mut out = [0; MAX_PAYLOAD];
                let length = video(codec, place, 400, &mut out);
                out[..length].to_vec()
            })
            .collect()
    }

    #[test]
    fn vp8_is_what_an_independent_depacketizer_reads() {
        for key in [true, false] {
            for (n, payload) in frame(Codec::Vp8, key, 3).into_iter().enumerate() {
                let mut packet = Vp8Packet::default();
                let inside = packet.depacketize(&payload.into()).unwrap();
                assert_eq!((packet.x, packet.i, packet.picture_id), (1, 1, 300));
                assert_eq!(packet.s, u8::from(n == 0));
                if n == 0 {
                    assert_eq!(inside[0] & 1, u8::from(!key), "the inverse key frame bit");
                    assert_eq!(inside.starts_with(&[0x10, 0, 0, 0x9d, 0x01, 0x2a]), key);
                }
            }
        }
    }

    #[test]
    fn vp9_is_what_an_independent_depacketizer_reads() {
        for key in [true, false] {
            for (n, payload) in frame(Codec::Vp9, key, 3).into_iter().enumerate() {
                let mut packet = Vp9Packet::default();
                packet.depacketize(&payload.into()).unwrap();
                assert_eq!((packet.i, packet.picture_id, packet.p), (true, 300, !key));
                assert_eq!((packet.b, packet.e), (n == 0, n == 2));
                if key && n == 0 {
                    assert_eq!((packet.width[0], packet.height[0]), (640, 360));
                }
            }
        }
    }

    #[test]
    fn h264_fragments_make_one_slice_again_and_key_frames_bring_their_parameters() {
        let units = |key: bool| -> Vec<(u8, usize)> {
            let mut packet = H264Packet::default();
            let mut whole = Vec::new();
            for payload in frame(Codec::H264, key, 3) {
                whole.extend_from_slice(&packet.depacketize(&payload.into()).unwrap());
            }
            let starts: Vec<usize> = (0..whole.len() - 4)
                .filter(|at| whole[*at..*at + 4] == [0, 0, 0, 1])
                .collect();
            let ends = starts.iter().skip(1).copied().chain([whole.len()]);
            let unit = |(start, end): (&usize, usize)| (whole[start + 4] & 0x1f, end - start - 4);
            starts.iter().zip(ends).map(unit).collect()
        };
        assert_eq!(units(false), [(1, 1 + 3 * (400 - 2))]);
        let key: Vec<u8> = units(true).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(key, [7, 8, 5, 5, 5]);
        let first = frame(Codec::H264, true, 3).remove(0);
        assert_eq!(
            sfu_core::rtp::h264::height(&first),
            Some(368),
            "360 in whole macroblocks"
        );
    }

    #[test]
    fn av1_fragments_are_chained() {
        let bits: Vec<u8> = frame(Codec::Av1, true, 3).iter().map(|p| p[0]).collect();
        assert_eq!(bits, [0x58, 0xd0, 0x90], "Z, Y, W = 1, N on the first of a key frame");
        assert_eq!(frame(Codec::Av1, false, 1)[0][0], 0x10);
    }

    #[test]
    fn no_length_breaks_descriptor_or_stamp() {
        for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            let place = Place {
                frame: 1,
                first: true,
                last: true,
                key: true,
                height: 4_000_000,
            };
            let mut out = [0; MAX_PAYLOAD];
            assert!(video(codec, place, 0, &mut out) > STAMP_LEN);
            assert_eq!(video(codec, place, usize::MAX, &mut out), MAX_PAYLOAD);
        }
    }
}
