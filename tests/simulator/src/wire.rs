//! Packets as a browser writes them: what the made-up clients send, and what can be told of what they receive.

use sfu_core::rtp::Header;

/// Payload types of the offers that [`offer`] writes.
pub(crate) const OPUS: u8 = 111;
pub(crate) const VP8: u8 = 96;
pub(crate) const RTX: u8 = 97;
/// What the (absent) cipher makes an RTP packet longer by.
pub(crate) const TAG: usize = 16;
/// The same of RTCP: tag and index.
pub(crate) const RTCP_TAIL: usize = 20;
/// UDP and IP around a datagram.
pub(crate) const AROUND: usize = 28;
/// Video packets of one frame carry at most so much.
pub(crate) const MTU_PAYLOAD: usize = 1_100;
/// Bytes before the stamp of a video packet: descriptor and payload header.
const BEFORE_STAMP: usize = 14;
/// Room and publisher.
const STAMP: usize = 8;

/// The layers of a camera: RID, lines.
pub(crate) const LAYERS: [(&str, u16); 3] = [("q", 180), ("h", 360), ("f", 720)];

const COMMON: &str = "c=IN IP4 0.0.0.0\r\na=ice-ufrag:WuIK\r\na=ice-pwd:h/dxtTtbYU96wWDH7njgVmsK\r\n\
    a=fingerprint:sha-256 5E:10:81:F4:83:B2:3F:66:82:59:C3:BB:16:2E:55:15:F5:2A:98:A2:A8:C0:D1:D8:DC:FC:62:8D:D9:AF:12:8E\r\n\
    a=setup:actpass\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rtcp-mux\r\na=rtcp-rsize\r\n";
const SOUND: &str = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n";
const VIDEO: &str = "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\n\
    a=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\n\
    a=fmtp:97 apt=96\r\n";

/// An offer as Chromium writes it, without what nobody here reads: microphone and camera of three layers, and so many slots
/// for voices and pictures. The mid of the first slot for pictures is `2 + voices`.
pub(crate) fn offer(voices: usize, pictures: usize) -> String {
    let mut lines = vec![
        (true, "sendonly", String::new()),
        (
            false,
            "sendonly",
            "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n".to_owned(),
        ),
    ];
    lines.extend((0..voices).map(|_| (true, "recvonly", String::new())));
    lines.extend((0..pictures).map(|_| (false, "recvonly", String::new())));
    let mids: Vec<String> = (0..lines.len()).map(|mid| mid.to_string()).collect();
    let mut sdp = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
        mids.join(" ")
    );
    for ((sound, direction, more), mid) in lines.iter().zip(&mids) {
        let (kind, codecs) = if *sound {
            ("audio 9 UDP/TLS/RTP/SAVPF 111", SOUND)
        } else {
            ("video 9 UDP/TLS/RTP/SAVPF 96 97", VIDEO)
        };
        sdp += &format!("m={kind}\r\n{COMMON}a=mid:{mid}\r\na={direction}\r\n{codecs}{more}");
    }
    sdp
}

/// Retransmission streams of the answer's slots: (RTX, primary).
pub(crate) fn groups(answer: &str) -> Vec<(u32, u32)> {
    let groups = answer.lines().filter_map(|line| line.strip_prefix("a=ssrc-group:FID "));
    let pair = |group: &str| {
        let (primary, rtx) = group.split_once(' ')?;
        Some((rtx.trim().parse().ok()?, primary.parse().ok()?))
    };
    groups.filter_map(pair).collect()
}

/// An RTP packet with one-byte extensions, with room for the tag that it does not have.
pub(crate) fn rtp(head: (u8, bool, u16, u32, u32), extensions: &[(u8, &[u8])], payload: &[&[u8]]) -> Vec<u8> {
    let (payload_type, marker, sequence, timestamp, ssrc) = head;
    let mut packet = Vec::with_capacity(64 + payload.iter().map(|part| part.len()).sum::<usize>());
    packet.extend([0x90, payload_type | u8::from(marker) << 7]);
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    let mut elements = Vec::with_capacity(16);
    for (id, value) in extensions {
        elements.push(id << 4 | (value.len() as u8 - 1));
        elements.extend_from_slice(value);
    }
    elements.resize(elements.len().next_multiple_of(4), 0);
    packet.extend([0xbe, 0xde]);
    packet.extend(((elements.len() / 4) as u16).to_be_bytes());
    packet.extend(elements);
    for part in payload {
        packet.extend_from_slice(part);
    }
    packet.resize(packet.len() + TAG, 0);
    packet
}

/// The payload of one VP8 packet: descriptor, payload header where the frame begins, and who sent it to which room.
pub(crate) fn vp8(first: bool, key: bool, picture: u16, lines: u16, stamp: (u32, u32), bytes: usize) -> Vec<u8> {
    let mut payload = vec![
        0x80 | u8::from(first) << 4,
        0x80,
        0x80 | (picture >> 8) as u8,
        picture as u8,
    ];
    payload.extend([if key { 0x10 } else { 0x11 }, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01]);
    payload.extend(lines.to_le_bytes());
    payload.extend(stamp.0.to_be_bytes());
    payload.extend(stamp.1.to_be_bytes());
    payload.resize(bytes.max(BEFORE_STAMP + STAMP), 7);
    payload
}

/// What a received video payload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) first: bool,
    pub(crate) key: bool,
    pub(crate) marker: bool,
    /// Room and publisher, as the publisher stamped them.
    pub(crate) room: u32,
    pub(crate) publisher: u32,
}

/// Reads a video payload that [`vp8`] wrote and the server may have renumbered (the descriptor keeps its length).
pub(crate) fn piece(payload: &[u8], header: &Header) -> Option<Piece> {
    let word = |at: usize| payload.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let first = payload.first()? & 0x10 != 0;
    Some(Piece {
        first,
        key: first && payload.get(4)? & 1 == 0,
        marker: header.marker,
        room: word(BEFORE_STAMP)?,
        publisher: word(BEFORE_STAMP + 4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let payload = vp8(true, true, 0x1234, 180, (7, 9), 300);
        let packet = rtp((VP8, true, 3, 4, 5), &[(4, b"1"), (10, b"q")], &[&payload]);
        let header = Header::parse(&packet[..packet.len() - TAG]).unwrap();
        assert_eq!((header.sequence, header.ssrc, header.marker), (3, 5, true));
        let read = piece(header.payload(&packet), &header).unwrap();
        assert_eq!(
            read,
            Piece {
                first: true,
                key: true,
                marker: true,
                room: 7,
                publisher: 9
            }
        );
        assert_eq!(groups("a=ssrc-group:FID 5 6\r\na=ssrc:5 cname:x\r\n"), [(6, 5)]);
    }
}
