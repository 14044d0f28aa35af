//! The VP9 payload descriptor (RFC 9628 section 4.2): read, and its numbers rewritten.

use smallvec::SmallVec;

use super::frame::{Frame, MAX_LAYERS, Targets};
use super::numbers::Numbers;

/// Where the descriptor's numbers lie, relative to the payload; an offset of 0 means "absent".
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
    /// Offset of the scalability structure.
    pub structure_at: u8,
    /// What it says of the frame.
    pub frame: Frame,
}

impl Descriptor {
    /// Reads the descriptor; `None` when the payload ends inside it.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut this = Self::default();
        let first = *payload.first()?;
        let set = |bit: u8| first & bit != 0;
        let (picture, predicted, layers, flexible, start, end, structure) = (
            set(0x80),
            set(0x40),
            set(0x20),
            set(0x10),
            set(0x08),
            set(0x04),
            set(0x02),
        );
        let mut at = 1_usize;
        if picture {
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
        let mut frame = Frame {
            start,
            end,
            ..Frame::default()
        };
        let mut switching_up = false;
        if layers {
            let byte = *payload.get(at)?;
            at += 1;
            frame.temporal = (byte >> 5).min(MAX_LAYERS - 1);
            switching_up = byte & 0x10 != 0;
            frame.spatial = (byte >> 1 & 0x07).min(MAX_LAYERS - 1);
            if !flexible {
                this.tl0_at = at as u8;
                this.tl0 = *payload.get(at)?;
                at += 1;
            }
        }
        if flexible && predicted {
            // Up to three differences, each saying whether another follows.
            for _ in 0..3 {
                let byte = *payload.get(at)?;
                at += 1;
                if byte & 1 == 0 {
                    break;
                }
            }
        }
        if structure {
            payload.get(at)?;
            this.structure_at = at as u8;
        }
        frame.key = start && !predicted && frame.spatial == 0;
        frame.present = Targets::from_layer(frame.spatial, frame.temporal);
        frame.switch = if frame.key {
            Targets::ALL
        } else if switching_up {
            Targets::from_layer(frame.spatial, frame.temporal)
        } else {
            Targets::default()
        };
        this.frame = frame;
        Some(this)
    }

    /// Heights in pixels of the spatial layers, smallest first, when this payload says them.
    pub fn heights(&self, payload: &[u8]) -> SmallVec<[u32; 8]> {
        let mut heights = SmallVec::new();
        let structure = match self.structure_at {
            0 => &[],
            at => payload.get(usize::from(at)..).unwrap_or_default(),
        };
        let Some((&head, sizes)) = structure.split_first() else {
            return heights;
        };
        if head & 0x10 != 0 {
            let sizes = sizes.chunks_exact(4).take(usize::from(head >> 5) + 1);
            heights.extend(sizes.map(|size| u32::from(u16::from_be_bytes([size[2], size[3]]))));
        }
        heights
    }

    /// Its numbers.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            picture: self.picture,
            tl0: self.tl0,
            ..Numbers::default()
        }
    }

    /// Writes the numbers, moved, into a copy of the payload. Pictures that a viewer does not get leave
    /// a hole in its picture ids, as RFC 9628 has it: a receiver finds a picture's place in its group by the id.
    pub fn rewrite(&self, payload: &mut [u8], by: Numbers) {
        let numbers = self.numbers().moved(by);
        super::vp8::rewrite_picture(payload, self.picture_at, self.picture_long, numbers.picture);
        if self.tl0_at != 0
            && let Some(byte) = payload.get_mut(usize::from(self.tl0_at))
        {
            *byte = numbers.tl0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtp::codec::vp9::Vp9Packet;
    use rtp::packetizer::Depacketizer;

    use super::*;
    use crate::rtp::frame::Target;

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_badly(data in proptest::collection::vec(any::<u8>(), 0..40), picture: u16, tl0: u8) {
            if let Some(descriptor) = Descriptor::parse(&data) {
                prop_assert!(descriptor.heights(&data).len() <= 8);
                let mut copy = data.clone();
                descriptor.rewrite(&mut copy, Numbers { picture, tl0, ..Numbers::default() });
                let again = Descriptor::parse(&copy).unwrap();
                prop_assert_eq!(again.frame, descriptor.frame);
                descriptor.rewrite(&mut copy, Numbers::default());
                prop_assert_eq!(copy, data);
            }
        }

        #[test]
        fn it_reads_what_the_rtp_crate_reads(data in proptest::collection::vec(any::<u8>(), 20..40)) {
            let mut oracle = Vp9Packet::default();
            if oracle.depacketize(&bytes::Bytes::from(data.clone())).is_ok() {
                let ours = Descriptor::parse(&data).unwrap();
                prop_assert_eq!(ours.picture, oracle.picture_id);
                prop_assert_eq!((ours.frame.start, ours.frame.end), (oracle.b, oracle.e));
                if oracle.l {
                    prop_assert_eq!(ours.frame.temporal, oracle.tid.min(3));
                    prop_assert_eq!(ours.frame.spatial, oracle.sid.min(3));
                    prop_assert_eq!(ours.tl0, oracle.tl0picidx);
                }
            }
        }
    }

    #[test]
    fn a_key_picture_of_two_layers_says_their_sizes() {
        // I, L, B, V; picture 0x1234; layer 0; TL0PICIDX 9; two layers of 320x180 and 640x360.
        let payload = [0xaa, 0x92, 0x34, 0x00, 9, 0x30, 1, 64, 0, 180, 2, 128, 1, 104, 0xff];
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert!(descriptor.frame.key);
        assert_eq!((descriptor.picture, descriptor.tl0), (0x1234, 9));
        assert_eq!(descriptor.heights(&payload).to_vec(), [180, 360]);
    }

    #[test]
    fn an_upper_layer_of_a_key_picture_is_no_beginning() {
        // L, B; layer 1, inter-layer predicted.
        let descriptor = Descriptor::parse(&[0x28, 0x03, 9, 0]).unwrap();
        assert!(!descriptor.frame.key && descriptor.frame.start);
        let has = |spatial, temporal| descriptor.frame.present.contains(Target { spatial, temporal });
        assert!(has(1, 0) && !has(0, 0));
    }
}
