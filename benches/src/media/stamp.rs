//! The stamp at the end of every payload: who sent it, as which of their packets, and when. A forwarder may change what is in
//! front of it (payload descriptors, headers), never the stamp.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a stamp.
pub const STAMP_LEN: usize = 32;

/// First bytes of a stamp: a payload without them was not made by this harness.
const MAGIC: u32 = 0x5268_4C64;

/// Says which packet this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of this run, so that a stray packet of an earlier one is not taken for our own.
    pub run: u16,
    /// Number of the room.
    pub room: u16,
    /// Number of the publisher, unique in the run.
    pub publisher: u32,
    /// 0 audio, 1 video layer 0, 2 video layer 1, ...
    pub stream: u8,
    /// First packet of a key frame; last packet of a frame.
    pub flags: u8,
    /// Number of the frame in its stream.
    pub frame: u32,
    /// Number of the packet in its stream, from 0.
    pub sequence: u32,
    /// When it was handed to the transport, nanoseconds since 1970 (the clock of the kernel's receive stamps).
    pub sent_ns: u64,
}

/// Flag: first packet of a key frame.
pub const KEY_BEGIN: u8 = 1;
/// Flag: last packet of a frame.
pub const FRAME_END: u8 = 2;
/// Flag: belongs to a key frame.
pub const KEY: u8 = 4;

/// Nanoseconds since 1970.
pub fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as u64)
}

impl Stamp {
    /// Writes it into the last bytes of a payload.
    pub fn write(&self, payload: &mut [u8]) {
        let Some(at) = payload.len().checked_sub(STAMP_LEN) else {
            return;
        };
        let out = &mut payload[at..];
        out[0..4].copy_from_slice(&MAGIC.to_be_bytes());
        out[4..6].copy_from_slice(&self.run.to_be_bytes());
        out[6..8].copy_from_slice(&self.room.to_be_bytes());
        out[8..12].copy_from_slice(&self.publisher.to_be_bytes());
        out[12] = self.stream;
        out[13] = self.flags;
        out[14..18].copy_from_slice(&self.frame.to_be_bytes());
        out[18..22].copy_from_slice(&self.sequence.to_be_bytes());
        out[22..30].copy_from_slice(&self.sent_ns.to_be_bytes());
        let sum = checksum(&out[..30]);
        out[30..32].copy_from_slice(&sum.to_be_bytes());
    }

    /// Reads it; `None` when the payload has none, or one that was damaged.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let bytes = payload.get(payload.len().checked_sub(STAMP_LEN)?..)?;
        let u16_at = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if u32_at(0)? != MAGIC || u16_at(30)? != checksum(&bytes[..30]) {
            return None;
        }
        Some(Self {
            run: u16_at(4)?,
            room: u16_at(6)?,
            publisher: u32_at(8)?,
            stream: bytes[12],
            flags: bytes[13],
            frame: u32_at(14)?,
            sequence: u32_at(18)?,
            sent_ns: u64::from_be_bytes(bytes[22..30].try_into().ok()?),
        })
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks_exact(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        run: 7,
        room: 300,
        publisher: 70_000,
        stream: 3,
        flags: KEY_BEGIN | KEY,
        frame: 9,
        sequence: 4_000_000_000,
        sent_ns: 1_700_000_000_123_456_789,
    };

    #[test]
    fn a_stamp_survives_whatever_is_in_front_of_it() {
        for len in [STAMP_LEN, 100, 1_200] {
            let mut payload = vec![0x55; len];
            STAMP.write(&mut payload);
            let mut longer = vec![1, 2, 3];
            longer.extend(&payload);
            assert_eq!(Stamp::read(&longer), Some(STAMP));
        }
    }

    #[test]
    fn a_damaged_or_absent_stamp_is_none() {
        let mut payload = vec![0; 64];
        assert_eq!(Stamp::read(&payload), None);
        STAMP.write(&mut payload);
        for at in 32..64 {
            let mut damaged = payload.clone();
            damaged[at] ^= 0x10;
            assert_eq!(Stamp::read(&damaged), None, "byte {at}");
        }
        assert_eq!(Stamp::read(&payload[..20]), None);
    }
}
