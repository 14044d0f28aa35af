//! The VP8 payload descriptor (RFC 7741 section 4.2): read, and rewritten so that the viewer sees one stream.

use super::frame::{Frame, Targets};
use super::numbers::Numbers;

/// Where the descriptor's numbers lie, relative to the payload, and what they were. An offset of 0 means "absent": byte 0
/// is the mandatory one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Offset of the picture id.
    pub picture_at: u8,
    /// Two bytes (15 bits) instead of one (7 bits).
    pub picture_long: bool,
    /// Picture id.
    pub picture: u16,
    /// Offset of TL0PICIDX.
    pub tl0_at: u8,
    /// TL0PICIDX.
    pub tl0: u8,
    /// Offset of the byte with TID, Y and KEYIDX, when K is set.
    pub key_at: u8,
    /// KEYIDX, 5 bits.
    pub key: u8,
    /// First packet of a frame.
    pub start: bool,
    /// First packet of a key frame (section 4.3: the P bit of the first partition is clear).
    pub key_frame: bool,
    /// Temporal layer.
    pub temporal: u8,
    /// The frame refers to nothing above the base layer: from here on a viewer can take this temporal layer too.
    pub synchronised: bool,
}

impl Descriptor {
    /// Reads the descriptor; `None` when the payload ends inside it.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut this = Self::default();
        let first = *payload.first()?;
        let mut at = 1_usize;
        if first & 0x80 != 0 {
            let flags = *payload.get(at)?;
            at += 1;
            if flags & 0x80 != 0 {
                let high = *payload.get(at)?;
                this.picture_at = at as u8;
                if high & 0x80 != 0 {
                    this.picture_long = true;
                    this.picture = u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?]);
                    at += 2;
                } else {
                    this.picture = u16::from(high);
                    at += 1;
                }
            }
            if flags & 0x40 != 0 {
                this.tl0_at = at as u8;
                this.tl0 = *payload.get(at)?;
                at += 1;
            }
            if flags & 0x30 != 0 {
                let byte = *payload.get(at)?;
                if flags & 0x20 != 0 {
                    this.temporal = byte >> 6;
                    this.synchronised = byte & 0x20 != 0;
                }
                if flags & 0x10 != 0 {
                    this.key_at = at as u8;
                    this.key = byte & 0x1f;
                }
                at += 1;
            }
        }
        // S = 1 and partition 0: here the frame begins.
        if first & 0x10 != 0 && first & 0x07 == 0 {
            let frame = *payload.get(at)?;
            this.start = true;
            this.key_frame = frame & 0x01 == 0;
        }
        Some(this)
    }

    /// What it says of the frame. Where a frame ends only the marker says.
    pub fn frame(&self) -> Frame {
        Frame {
            start: self.start,
            key: self.key_frame,
            temporal: self.temporal,
            present: Targets::from_layer(0, self.temporal),
            switch: if self.key_frame {
                Targets::ALL
            } else if self.synchronised {
                Targets::from_layer(0, self.temporal)
            } else {
                Targets::default()
            },
            ..Frame::default()
        }
    }

    /// Its numbers.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            picture: self.picture,
            tl0: self.tl0,
            key: self.key,
            frame: 0,
        }
    }

    /// Writes the numbers, moved, into a copy of the payload.
    pub fn rewrite(&self, payload: &mut [u8], by: Numbers) {
        let numbers = self.numbers().moved(by);
        rewrite_picture(payload, self.picture_at, self.picture_long, numbers.picture);
        if self.tl0_at != 0
            && let Some(byte) = payload.get_mut(usize::from(self.tl0_at))
        {
            *byte = numbers.tl0;
        }
        if self.key_at != 0
            && let Some(byte) = payload.get_mut(usize::from(self.key_at))
        {
            *byte = *byte & 0xe0 | numbers.key;
        }
    }
}

/// Writes a picture id over the one at `at`, in as many bytes as it had; VP9 has the same form.
pub(super) fn rewrite_picture(payload: &mut [u8], at: u8, long: bool, picture: u16) {
    let at = usize::from(at);
    if at == 0 {
        return;
    }
    if long {
        if let Some(bytes) = payload.get_mut(at..at + 2) {
            bytes.copy_from_slice(&(picture & 0x7fff | 0x8000).to_be_bytes());
        }
    } else if let Some(byte) = payload.get_mut(at) {
        *byte = (picture & 0x7f) as u8;
    }
}

/// Height in pixels of the key frame that `payload` begins (RFC 6386 section 9.1); these ten bytes stay clear under
/// end-to-end encryption too.
pub fn key_frame_height(payload: &[u8]) -> Option<u32> {
    let mut at = 1;
    let first = *payload.first()?;
    if first & 0x80 != 0 {
        let flags = *payload.get(1)?;
        at = 2;
        if flags & 0x80 != 0 {
            at += if payload.get(2)? & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(flags & 0x40 != 0) + usize::from(flags & 0x30 != 0);
    }
    let frame = payload.get(at..at + 10)?;
    if frame[0] & 1 != 0 || frame[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    Some(u32::from(u16::from_le_bytes([frame[8], frame[9]]) & 0x3fff)).filter(|height| *height > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtp::codec::vp8::Vp8Packet;
    use rtp::packetizer::Depacketizer;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_badly(data in proptest::collection::vec(any::<u8>(), 0..16), picture: u16, tl0: u8, key: u8) {
            if let Some(descriptor) = Descriptor::parse(&data) {
                let mut copy = data.clone();
                descriptor.rewrite(&mut copy, Numbers { picture, tl0, key, frame: 0 });
                let again = Descriptor::parse(&copy).unwrap();
                prop_assert_eq!(again.start, descriptor.start);
                prop_assert_eq!(again.key_frame, descriptor.key_frame);
                prop_assert_eq!(again.picture_at, descriptor.picture_at);
                let mask = if descriptor.picture_long { 0x7fff } else { 0x7f };
                if descriptor.picture_at != 0 {
                    prop_assert_eq!(again.picture, descriptor.picture.wrapping_add(picture) & mask);
                }
                descriptor.rewrite(&mut copy, Numbers::default());
                prop_assert_eq!(copy, data);
            }
        }

        #[test]
        fn it_reads_what_the_rtp_crate_reads(data in proptest::collection::vec(any::<u8>(), 8..16)) {
            let mut oracle = Vp8Packet::default();
            if oracle.depacketize(&bytes::Bytes::from(data.clone())).is_ok() {
                let ours = Descriptor::parse(&data).unwrap();
                prop_assert_eq!(ours.picture, oracle.picture_id);
                prop_assert_eq!(ours.tl0, oracle.tl0_pic_idx);
                prop_assert_eq!(ours.start, oracle.s == 1 && oracle.pid == 0);
                prop_assert_eq!((ours.temporal, ours.synchronised), (oracle.tid, oracle.y == 1));
            }
        }
    }
}
