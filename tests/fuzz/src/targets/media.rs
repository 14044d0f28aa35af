//! What an authenticated peer sends in packets: headers, reports, descriptors.

use sfu_core::rtcp::{Packet, Packets};
use sfu_core::rtp::{self, Header, Numbers, dependency};

use super::{Execute, Kind};

pub(super) fn rtp() -> Execute {
    Box::new(|input| {
        let Ok(header) = Header::parse(input) else {
            return 0;
        };
        let payload = header.payload(input).len();
        assert!(payload <= input.len());
        let elements: usize = header.extensions(input).map(|(_, value)| value.len() + 1).sum();
        assert!(elements <= input.len());
        Kind::default()
            .size(payload)
            .size(elements)
            .size(header.extensions(input).count())
            .is(header.marker)
            .done()
    })
}

pub(super) fn rtcp() -> Execute {
    Box::new(|input| {
        let mut kind = Kind::default();
        let mut parts = 0;
        for packet in Packets::new(input) {
            parts += 1;
            kind = match packet {
                Packet::SenderReport { blocks, .. } => kind.text("sr").size(blocks.count()),
                Packet::ReceiverReport { blocks } => kind.text("rr").size(blocks.count()),
                Packet::Nack { lost, .. } => {
                    let lost = lost.count();
                    assert!(lost <= 17 * input.len() / 4);
                    kind.text("nack").size(lost)
                }
                Packet::KeyFrameRequest { .. } => kind.text("pli"),
                Packet::Bye { .. } => kind.text("bye"),
                _ => kind.text("other"),
            };
        }
        assert!(parts <= input.len());
        kind.done()
    })
}

/// Several descriptors of one stream, each with a byte of length in front.
pub(super) fn dependency() -> Execute {
    Box::new(|input| {
        let mut structure = None;
        let mut kind = Kind::default();
        let mut rest = input;
        while let Some((length, behind)) = rest.split_first() {
            let (descriptor, behind) = behind.split_at(usize::from(*length).min(behind.len()));
            rest = behind;
            kind = match dependency::parse(descriptor, &mut structure) {
                Some(frame) => {
                    assert!(frame.spatial < rtp::MAX_LAYERS && frame.temporal < rtp::MAX_LAYERS);
                    kind.is(frame.key)
                        .size(frame.references.iter().count())
                        .size(frame.spatial.into())
                        .size(frame.temporal.into())
                }
                None => kind.text("none"),
            };
        }
        kind.is(structure.is_some()).done()
    })
}

const MOVED: Numbers = Numbers {
    picture: 77,
    tl0: 5,
    key: 3,
    frame: 9,
};

pub(super) fn vp8() -> Execute {
    Box::new(|input| {
        let height = rtp::vp8::key_frame_height(input);
        let Some(descriptor) = rtp::vp8::Descriptor::parse(input) else {
            return 0;
        };
        let mut copy = input.to_vec();
        descriptor.rewrite(&mut copy, MOVED);
        let again = rtp::vp8::Descriptor::parse(&copy).map(|d| d.frame());
        assert_eq!(again, Some(descriptor.frame()), "rewriting changes numbers only");
        descriptor.rewrite(&mut copy, Numbers::default());
        assert_eq!(copy, input);
        Kind::default()
            .is(descriptor.key_frame)
            .is(height.is_some())
            .size(descriptor.picture_at.into())
            .size(descriptor.tl0_at.into())
            .size(descriptor.key_at.into())
            .size(descriptor.temporal.into())
            .done()
    })
}

pub(super) fn vp9() -> Execute {
    Box::new(|input| {
        let Some(descriptor) = rtp::vp9::Descriptor::parse(input) else {
            return 0;
        };
        let heights = descriptor.heights(input).len();
        assert!(heights <= 8);
        let mut copy = input.to_vec();
        descriptor.rewrite(&mut copy, MOVED);
        let again = rtp::vp9::Descriptor::parse(&copy).map(|d| d.frame);
        assert_eq!(again, Some(descriptor.frame), "rewriting changes numbers only");
        descriptor.rewrite(&mut copy, Numbers::default());
        assert_eq!(copy, input);
        Kind::default()
            .is(descriptor.frame.key)
            .size(heights)
            .size(descriptor.frame.spatial.into())
            .size(descriptor.frame.temporal.into())
            .size(descriptor.structure_at.into())
            .done()
    })
}

pub(super) fn av1() -> Execute {
    Box::new(|input| match rtp::av1::parse(input) {
        Some(frame) => Kind::default().text("frame").is(frame.key).done(),
        None => 0,
    })
}

pub(super) fn h264() -> Execute {
    Box::new(|input| {
        let key = rtp::h264::parse(input).is_some_and(|frame| frame.key);
        let height = rtp::h264::height(input);
        assert!(height.is_none_or(|height| (1..=16_384).contains(&height)));
        assert!(key || height.is_none(), "a height comes from a parameter set");
        Kind::default().is(key).size(height.unwrap_or(0) as usize).done()
    })
}

pub(super) fn red() -> Execute {
    Box::new(|input| {
        let mut copy = input.to_vec();
        rtp::red::rewrite(&mut copy, 100);
        let primary = rtp::red::primary(input);
        assert_eq!(rtp::red::primary(&copy), primary);
        assert!(primary.is_none_or(|at| at <= input.len()));
        Kind::default().size(primary.map_or(0, |at| at + 1)).done()
    })
}
