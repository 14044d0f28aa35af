//! What a received packet says of itself: read once, kept beside it.

use super::shape::Shape;
use super::slab::{Meta, Payload};
use crate::rtp::{Header, av1, dependency, h264, red, vp8, vp9};
use crate::sdp::{CodecKind, Extension, ExtensionIds};

/// Reads extensions and payload header of `datagram`, and notes in `shape` what they say of the stream's layers. The flag says
/// that something in it is malformed: it is forwarded all the same, as a packet of which less is known.
pub(crate) fn inspect(
    datagram: &[u8],
    header: Header,
    index: u64,
    codec: CodecKind,
    extensions: &ExtensionIds,
    shape: &mut Shape,
) -> (Meta, bool) {
    let mut meta = Meta::new(header, index, codec);
    let mut malformed = false;
    let mut described = None;
    for (id, value) in header.extensions(datagram) {
        match (extensions.extension(id), value) {
            (Some(Extension::AudioLevel), [level, ..]) => meta.audio_level = Some(*level),
            (Some(Extension::VideoOrientation), [byte, ..]) => meta.orientation = Some(*byte),
            (Some(Extension::DependencyDescriptor), value) if is_video(codec) => {
                described = dependency::parse(value, &mut shape.structure);
                let at = value.as_ptr() as usize - datagram.as_ptr() as usize;
                match (described, u16::try_from(at), u8::try_from(value.len())) {
                    (Some(_), Ok(at), Ok(len)) => meta.dependency = Some((at, len)),
                    _ => malformed = true,
                }
            }
            _ => {}
        }
    }
    let payload = header.payload(datagram);
    let read = match codec {
        CodecKind::Vp8 => vp8::Descriptor::parse(payload).map(|descriptor| {
            meta.payload = Payload::Vp8(descriptor);
            descriptor.frame()
        }),
        CodecKind::Vp9 => vp9::Descriptor::parse(payload).map(|descriptor| {
            meta.payload = Payload::Vp9(descriptor);
            descriptor.frame
        }),
        CodecKind::H264 => h264::parse(payload),
        CodecKind::Av1 => av1::parse(payload),
        CodecKind::Red => {
            match red::primary(payload).and_then(|at| u16::try_from(at).ok()) {
                Some(at) => meta.payload = Payload::Red(at),
                None => malformed = true,
            }
            return (meta, malformed);
        }
        CodecKind::Opus => return (meta, malformed),
    };
    // An empty payload is padding: it has nothing to say.
    malformed |= read.is_none() && !payload.is_empty();
    match (described, codec) {
        // VP8 is forwarded without a descriptor, so that viewers go by the payload: so do we.
        // Of the others all packets or none: a receiver to whom key frames come with numbers takes what comes without for lost.
        (Some(frame), CodecKind::Vp9 | CodecKind::Av1 | CodecKind::H264) => meta.frame = frame,
        _ => meta.frame = read.unwrap_or_default(),
    }
    if meta.frame.key {
        match (codec, meta.payload) {
            (CodecKind::Vp8, _) => shape.key_frame(vp8::key_frame_height(payload).into_iter()),
            (CodecKind::H264, _) => shape.key_frame(h264::height(payload).into_iter()),
            (_, Payload::Vp9(descriptor)) if described.is_none() => {
                shape.key_frame(descriptor.heights(payload).into_iter());
            }
            _ => shape.described(),
        }
    }
    (meta, malformed)
}

fn is_video(codec: CodecKind) -> bool {
    !matches!(codec, CodecKind::Opus | CodecKind::Red)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An RTP packet whose only extension, 12, has these bytes.
    fn packet(descriptor: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x90, 108, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0xbe, 0xde, 0, 0];
        bytes.push(12 << 4 | (descriptor.len() - 1) as u8);
        bytes.extend_from_slice(descriptor);
        while !bytes.len().is_multiple_of(4) {
            bytes.push(0);
        }
        bytes[15] = ((bytes.len() - 16) / 4) as u8;
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn every_frame_of_h264_that_is_described_has_its_number_not_only_key_frames() {
        let mut extensions = ExtensionIds::default();
        extensions.set(Extension::DependencyDescriptor, 12);
        let mut shape = Shape::default();
        let mut read = |descriptor: &[u8], payload: &[u8]| {
            let packet = packet(descriptor, payload);
            let header = Header::parse(&packet).unwrap();
            let (meta, malformed) = inspect(&packet, header, 1, CodecKind::H264, &extensions, &mut shape);
            assert!(!malformed);
            meta
        };
        // Number 7 with the structure of one layer: a frame that refers to nothing, and one that refers to the one before.
        let key = read(
            &[0xc0, 0, 7, 0x80, 0x00, 0x3a, 0x40, 0x00],
            &[0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x68],
        );
        assert!(key.frame.key);
        // Number 8 by the second template: a slice that is no key frame.
        let delta = read(&[0xc1, 0, 8], &[0x41, 0x9a, 0x01]);
        assert!(!delta.frame.key);
        assert_eq!([key.frame.number, delta.frame.number], [Some(7), Some(8)]);
        assert!(key.dependency.is_some() && delta.dependency.is_some());
    }
}
