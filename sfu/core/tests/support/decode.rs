//! What a decoder needs of a stream.
#![allow(clippy::panic, reason = "a helper of a test fails the test")]

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
