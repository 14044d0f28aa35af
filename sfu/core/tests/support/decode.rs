//! What a decoder needs of a stream.
#![allow(clippy::panic, reason = "a helper of a test fails the test")]

use rtp::codec::vp9::Vp9Packet;
use rtp::packetizer::Depacketizer;
use sfu_core::rtp::vp8::Descriptor;
use str0m::rtp::RtpPacket;

/// Continuous in sequence number and picture id, rising in time, beginning with a key frame.
pub fn assert_decodable(video: &[&RtpPacket]) {
    let mut video: Vec<&RtpPacket> = video.to_vec();
    video.sort_by_key(|packet| *packet.seq_no);
    let mut last: Option<(&RtpPacket, Descriptor)> = None;
    for packet in video {
        let Some(now) = Descriptor::parse(&packet.payload) else {
            panic!("no VP8 descriptor")
        };
        match last {
            None => assert!(now.key_frame, "it begins with a key frame"),
            Some((before, then)) => {
                assert_eq!(*packet.seq_no, *before.seq_no + 1, "no gap");
                let step = now.picture.wrapping_sub(then.picture) & 0x7fff;
                assert_eq!(step, u16::from(now.start), "picture ids count frames");
                let time = packet.header.timestamp.wrapping_sub(before.header.timestamp);
                assert_eq!(time > 0 && time < 900_000, now.start, "time goes on with each frame");
            }
        }
        last = Some((packet, now));
    }
}

/// Spatial layers of VP9 in one stream, read by another implementation: numbers without a gap, and nothing that refers to a
/// layer of the picture before which did not come. Returns the highest layer of each picture.
pub fn assert_layers_decodable(video: &[&RtpPacket]) -> Vec<u8> {
    let mut video: Vec<&RtpPacket> = video.to_vec();
    video.sort_by_key(|packet| *packet.seq_no);
    let (mut before, mut came) = ([false; 3], [false; 3]);
    let mut highest = Vec::new();
    let mut last: Option<&RtpPacket> = None;
    for packet in video {
        let mut read = Vp9Packet::default();
        if let Err(error) = read.depacketize(&packet.payload.to_vec().into()) {
            panic!("a descriptor that cannot be read: {error}");
        }
        let spatial = usize::from(read.sid);
        if let Some(last) = last {
            assert_eq!(*packet.seq_no, *last.seq_no + 1, "no gap");
            let fresh = packet.header.timestamp != last.header.timestamp;
            assert_eq!(
                fresh, last.header.marker,
                "the marker ends the picture, and nothing else does"
            );
            assert_eq!(fresh, spatial == 0, "a picture begins with its smallest layer");
        }
        if spatial == 0 {
            before = came;
            came = [false; 3];
        }
        if read.p {
            assert!(before[spatial], "it refers to a layer that did not come");
        }
        if read.d {
            assert!(came[spatial - 1], "it builds on a layer that did not come");
        }
        came[spatial] = true;
        if packet.header.marker {
            highest.push(read.sid);
        }
        last = Some(packet);
    }
    highest
}
