//! Writes the header of a rewritten packet.

use super::dependency::NUMBER_AT;

/// Fixed header fields of a packet that we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutHeader {
    /// As received.
    pub marker: bool,
    /// As the viewer negotiated the codec.
    pub payload_type: u8,
    /// Continuous over source switches.
    pub sequence: u16,
    /// Continuous over source switches.
    pub timestamp: u32,
    /// The slot's own.
    pub ssrc: u32,
    /// The publisher's number in the room.
    pub csrc: Option<u32>,
}

/// Header extensions of a packet that we send: the viewer's ids with their values.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutExtensions<'a> {
    /// The slot's mid.
    pub mid: Option<(u8, &'a [u8])>,
    /// RFC 6464 level, as received.
    pub audio_level: Option<(u8, u8)>,
    /// CVO byte, as received.
    pub orientation: Option<(u8, u8)>,
    /// Transport-wide sequence number.
    pub transport_cc: Option<(u8, u16)>,
    /// Dependency descriptor as received, and the frame number to write into it.
    pub dependency: Option<(u8, &'a [u8], u16)>,
}

/// Longest header that [`write_header`] writes, a dependency descriptor and its two-byte head left out: fixed part, one CSRC, extension head, a mid of 32 bytes, three small
/// elements and the padding.
pub const MAX_HEADER: usize = 12 + 4 + 4 + 2 + 32 + 3 * 4 + 3;

/// Writes the header and returns its length, or `None` when `out` is shorter than [`MAX_HEADER`] and the descriptor need, or
/// a mid is longer than 32 bytes. One-byte elements (RFC 8285 section 4.2) unless an id or a length needs the two-byte form.
pub fn write_header(out: &mut [u8], header: &OutHeader, extensions: &OutExtensions<'_>) -> Option<usize> {
    let descriptor = extensions.dependency.map_or(0, |(_, value, _)| value.len() + 2);
    if out.len() < MAX_HEADER + descriptor
        || descriptor > 257
        || extensions.mid.is_some_and(|(_, mid)| mid.is_empty() || mid.len() > 32)
    {
        return None;
    }
    let OutExtensions {
        mid,
        audio_level,
        orientation,
        transport_cc,
        dependency,
    } = *extensions;
    let dependency = dependency.filter(|(_, value, _)| value.len() >= 3);
    let any = mid.is_some()
        || audio_level.is_some()
        || orientation.is_some()
        || transport_cc.is_some()
        || dependency.is_some();
    out[0] = 0x80 | if any { 0x10 } else { 0 } | u8::from(header.csrc.is_some());
    out[1] = u8::from(header.marker) << 7 | (header.payload_type & 0x7f);
    out[2..4].copy_from_slice(&header.sequence.to_be_bytes());
    out[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
    out[8..12].copy_from_slice(&header.ssrc.to_be_bytes());
    let mut at = 12;
    if let Some(csrc) = header.csrc {
        out[12..16].copy_from_slice(&csrc.to_be_bytes());
        at = 16;
    }
    if !any {
        return Some(at);
    }
    let ids = [
        mid.map(|m| m.0),
        audio_level.map(|l| l.0),
        orientation.map(|o| o.0),
        transport_cc.map(|t| t.0),
        dependency.map(|d| d.0),
    ];
    let two_byte = ids.iter().flatten().any(|id| *id > 14)
        || mid.is_some_and(|(_, mid)| mid.len() > 16)
        || dependency.is_some_and(|(_, value, _)| value.len() > 16);
    let head = at;
    at += 4;
    let mut element = |id: u8, value: &[u8]| {
        if two_byte {
            out[at] = id;
            out[at + 1] = value.len() as u8;
            at += 2;
        } else {
            out[at] = id << 4 | (value.len() as u8 - 1);
            at += 1;
        }
        out[at..at + value.len()].copy_from_slice(value);
        at += value.len();
    };
    if let Some((id, mid)) = mid {
        element(id, mid);
    }
    if let Some((id, level)) = audio_level {
        element(id, &[level]);
    }
    if let Some((id, byte)) = orientation {
        element(id, &[byte]);
    }
    if let Some((id, number)) = transport_cc {
        element(id, &number.to_be_bytes());
    }
    if let Some((id, value, number)) = dependency {
        element(id, value);
        // It is the last element: its number lies so far before the end.
        let number_at = at - value.len() + NUMBER_AT;
        out[number_at..number_at + 2].copy_from_slice(&number.to_be_bytes());
    }
    while (at - head) % 4 != 0 {
        out[at] = 0;
        at += 1;
    }
    let profile: u16 = if two_byte { 0x1000 } else { 0xbede };
    out[head..head + 2].copy_from_slice(&profile.to_be_bytes());
    out[head + 2..head + 4].copy_from_slice(&(((at - head - 4) / 4) as u16).to_be_bytes());
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtp::Packet;
    use shared::marshal::Unmarshal;

    use super::*;
    use crate::rtp::Header;

    proptest! {
        #[test]
        fn the_rtp_crate_reads_what_we_write(
            marker: bool, payload_type in 0_u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            csrc in proptest::option::of(any::<u32>()),
            ids in Just([1_u8, 2, 3, 4, 5]), shift in 0_u8..20,
            mid in proptest::option::of("[a-z0-9]{1,20}"),
            level in proptest::option::of(any::<u8>()),
            orientation in proptest::option::of(any::<u8>()),
            number in proptest::option::of(any::<u16>()),
            descriptor in proptest::option::of((proptest::collection::vec(any::<u8>(), 3..120), any::<u16>())),
        ) {
            let header = OutHeader { marker, payload_type, sequence, timestamp, ssrc, csrc };
            let extensions = OutExtensions {
                mid: mid.as_ref().map(|m| (ids[0] + shift, m.as_bytes())),
                audio_level: level.map(|l| (ids[1] + shift, l)),
                orientation: orientation.map(|o| (ids[2] + shift, o)),
                transport_cc: number.map(|n| (ids[3] + shift, n)),
                dependency: descriptor.as_ref().map(|(value, frame)| (ids[4] + shift, value.as_slice(), *frame)),
            };
            let mut out = [0xee; 300];
            let length = write_header(&mut out, &header, &extensions).unwrap();
            out[length] = 42;
            let bytes = &out[..length + 1];
            // The crate's one-byte parser takes id 15 for the end, as it must; we never write it there.
            let read = Packet::unmarshal(&mut &bytes[..]).unwrap();
            prop_assert_eq!(read.header.ssrc, ssrc);
            prop_assert_eq!(read.header.csrc.first().copied(), csrc);
            prop_assert_eq!(&read.payload[..], &[42]);
            let view = Header::parse(bytes).unwrap();
            prop_assert_eq!((view.marker, view.payload_type, view.sequence), (marker, payload_type, sequence));
            let find = |id: u8| view.extensions(bytes).find(|(i, _)| *i == id).map(|(_, v)| v.to_vec());
            prop_assert_eq!(find(ids[0] + shift), mid.map(|m| m.into_bytes()));
            prop_assert_eq!(find(ids[1] + shift), level.map(|l| vec![l]));
            prop_assert_eq!(find(ids[2] + shift), orientation.map(|l| vec![l]));
            prop_assert_eq!(find(ids[3] + shift), number.map(|n| n.to_be_bytes().to_vec()));
            let moved = descriptor.map(|(mut value, frame)| {
                value[1..3].copy_from_slice(&frame.to_be_bytes());
                value
            });
            prop_assert_eq!(find(ids[4] + shift), moved);
        }
    }

    #[test]
    fn a_mid_that_cannot_be_written_is_refused() {
        let header = OutHeader {
            marker: false,
            payload_type: 0,
            sequence: 0,
            timestamp: 0,
            ssrc: 0,
            csrc: None,
        };
        let long = [b'x'; 33];
        let extensions = OutExtensions {
            mid: Some((1, &long)),
            ..Default::default()
        };
        assert_eq!(write_header(&mut [0; 200], &header, &extensions), None);
        assert_eq!(write_header(&mut [0; 20], &header, &OutExtensions::default()), None);
    }
}
