//! A slot over source switches, late packets and NACKs.
#![allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::forward::{PacketBuffer, Payload};
use crate::rtp::Header;
use crate::rtp::vp8::Descriptor;

fn slot() -> Outgoing {
    let config = SlotConfig {
        mid: "7".into(),
        ssrc: 1_000,
        rtx_ssrc: Some(1_001),
        codecs: [(CodecKind::Vp8, 96, Some(97))].into(),
        clock_rate: 90_000,
        transport_cc: None,
        extensions: [Some(4), None, None, None],
    };
    Outgoing::new(config, [0xffff_ffff, 7])
}

fn received(slab: &mut Slab, index: u64, timestamp: u32, picture: u16) -> (PacketKey, Meta) {
    let mut buffer = PacketBuffer::default();
    let bytes = [
        0x80,
        120,
        (index >> 8) as u8,
        index as u8,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        9, //
        0x90,
        0x80,
        0x80 | (picture >> 8) as u8,
        picture as u8,
        0,
        42,
    ];
    buffer.bytes[..bytes.len()].copy_from_slice(&bytes);
    buffer.bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
    buffer.len = bytes.len();
    let header = Header::parse(&buffer.bytes[..buffer.len]).unwrap();
    let vp8 = Descriptor::parse(&bytes[12..]).unwrap();
    let meta = Meta {
        frame: vp8.frame(),
        payload: Payload::Vp8(vp8),
        ..Meta::new(header, index, CodecKind::Vp8)
    };
    (slab.keep(&mut buffer, meta).unwrap(), meta)
}

fn write(slot: &mut Outgoing, slab: &Slab, key: PacketKey) -> Option<(Vec<u8>, u64)> {
    let (bytes, meta) = slab.get(key).unwrap();
    let mut out = [0; 200];
    slot.write(&mut out, bytes, meta, key)
        .map(|(len, index)| (out[..len].to_vec(), index))
}

proptest! {
    #[test]
    fn sequence_timestamp_and_picture_id_continue_over_switches(
        sources in proptest::collection::vec((0_u64..1 << 20, any::<u32>(), 0_u16..0x8000, 1_usize..20), 1..8),
    ) {
        let start = Instant::now();
        let clock = ShardClock::new(start);
        let mut slab = Slab::default();
        let mut slot = slot();
        let mut last: Option<(u64, u32, u16)> = None;
        let mut used = BTreeSet::new();
        for (n, (index, timestamp, picture, count)) in sources.into_iter().enumerate() {
            slot.leave();
            for i in 0..count {
                let now = start + Duration::from_millis(700 * n as u64 + 33 * i as u64);
                let at = timestamp.wrapping_add(3_000 * i as u32);
                let (key, meta) = received(&mut slab, index + i as u64, at, picture.wrapping_add(i as u16) & 0x7fff);
                if !slot.entered() {
                    slot.enter(&meta, 0, 5, now, &clock);
                }
                let (bytes, out) = write(&mut slot, &slab, key).unwrap();
                prop_assert!(used.insert(out), "an index was used twice");
                let header = Header::parse(&bytes).unwrap();
                prop_assert_eq!(header.sequence, out as u16);
                let sent = Descriptor::parse(header.payload(&bytes)).unwrap().picture;
                if let Some((index, time, picture)) = last {
                    prop_assert_eq!(out, index + 1);
                    prop_assert!((1..1 << 20).contains(&header.timestamp.wrapping_sub(time)));
                    prop_assert_eq!(sent, (picture + 1) & 0x7fff);
                }
                last = Some((out, header.timestamp, sent));
            }
        }
    }
}

#[test]
fn a_packet_from_before_the_switch_is_dropped() {
    let now = Instant::now();
    let mut slab = Slab::default();
    let mut slot = slot();
    let (late, _) = received(&mut slab, 99, 0, 1);
    let (key, meta) = received(&mut slab, 100, 0, 2);
    slot.enter(&meta, 0, 5, now, &ShardClock::new(now));
    assert!(write(&mut slot, &slab, late).is_none());
    assert!(write(&mut slot, &slab, key).is_some());
}

#[test]
fn a_nack_is_answered_once_a_round_trip_with_the_original_number_in_front() {
    let now = Instant::now();
    let rtt = Duration::from_millis(100);
    let mut slab = Slab::default();
    let mut slot = slot();
    let (key, meta) = received(&mut slab, 70_000, 0, 2);
    slot.enter(&meta, 0, 5, now, &ShardClock::new(now));
    let (plain, index) = write(&mut slot, &slab, key).unwrap();
    let answer = slot.nacked(index as u16, &slab, 1_000, rtt).unwrap();
    assert_eq!(answer, Answer { key, index });
    assert_eq!(
        slot.nacked(index as u16, &slab, 1_050, rtt),
        None,
        "within the round trip"
    );
    assert!(slot.nacked(index as u16, &slab, 1_104, rtt).is_some());
    assert_eq!(slot.nacked(index as u16 + 1, &slab, 1_000, rtt), None, "never sent");

    let mut out = [0; 200];
    let (bytes, meta) = slab.get(key).unwrap();
    let (len, first) = slot.write_rtx(&mut out, bytes, meta, index).unwrap();
    let header = Header::parse(&out[..len]).unwrap();
    assert_eq!((header.ssrc, header.payload_type), (1_001, 97));
    let payload = header.payload(&out[..len]);
    assert_eq!(payload[..2], (index as u16).to_be_bytes());
    assert_eq!(&payload[2..], Header::parse(&plain).unwrap().payload(&plain));
    let (bytes, meta) = slab.get(key).unwrap();
    let (_, second) = slot.write_rtx(&mut out, bytes, meta, index).unwrap();
    assert_eq!(second, first + 1);

    slab.free(key);
    assert_eq!(
        slot.nacked(index as u16, &slab, 9_000, rtt),
        None,
        "gone from the cache"
    );
}

/// VP8 in two temporal layers: what a viewer of half the frames gets has no hole in numbers or picture ids, and a packet that
/// was lost on the way to us keeps its place among them.
#[test]
fn half_the_frames_are_a_whole_stream() {
    let now = Instant::now();
    let mut slab = Slab::default();
    let mut slot = slot();
    slot.want(Target {
        spatial: 3,
        temporal: 0,
    });
    let mut sent: Vec<(u64, u16)> = Vec::new();
    let mut late = None;
    for n in 0..20_u64 {
        let (plain, mut meta) = received(&mut slab, 1_000 + n, 3_000 * n as u32, 500 + n as u16);
        meta.frame.key = n == 0;
        meta.frame.temporal = (n % 2) as u8;
        meta.frame.present = crate::rtp::Targets::from_layer(0, meta.frame.temporal);
        let mut buffer = PacketBuffer::default();
        if let Some((bytes, _)) = slab.get(plain) {
            buffer.bytes[..bytes.len()].copy_from_slice(bytes);
            buffer.len = bytes.len();
        }
        let key = slab.keep(&mut buffer, meta).unwrap();
        if n == 0 {
            slot.enter(&meta, 0, 5, now, &ShardClock::new(now));
        }
        if n == 8 {
            late = Some((key, meta)); // comes four packets later
            continue;
        }
        let mut take = |key, meta: &Meta| {
            if slot.admit(meta) == Admission::Send {
                let (bytes, index) = write(&mut slot, &slab, key).unwrap();
                let header = Header::parse(&bytes).unwrap();
                sent.push((index, Descriptor::parse(header.payload(&bytes)).unwrap().picture));
            }
        };
        take(key, &meta);
        if let (12, Some((key, meta))) = (n, late) {
            take(key, &meta);
        }
    }
    sent.sort_unstable();
    assert_eq!(sent.len(), 10);
    for pair in sent.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "{sent:?}");
        assert_eq!(pair[1].1, pair[0].1 + 1, "{sent:?}");
    }
}

#[test]
fn redundant_audio_is_stripped_for_who_has_not_negotiated_it_and_renumbered_for_who_has() {
    let now = Instant::now();
    let mut slab = Slab::default();
    let bytes = [
        0x80, 63, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, //
        0xef, 0x0f, 0x00, 3, 0x6f, 1, 2, 3, 8, 9,
    ];
    let mut buffer = PacketBuffer::default();
    buffer.bytes[..bytes.len()].copy_from_slice(&bytes);
    buffer.len = bytes.len();
    let header = Header::parse(&bytes).unwrap();
    let meta = Meta {
        payload: Payload::Red(8),
        ..Meta::new(header, 7, CodecKind::Red)
    };
    let key = slab.keep(&mut buffer, meta).unwrap();
    let through = |codecs: &[(CodecKind, u8, Option<u8>)]| {
        let mut config = slot().config;
        config.codecs = codecs.into();
        let mut slot = Outgoing::new(config, [1, 2]);
        slot.enter(&meta, 0, 5, now, &ShardClock::new(now));
        assert_eq!(slot.admit(&meta), Admission::Send);
        let (bytes, _) = write(&mut slot, &slab, key).unwrap();
        let header = Header::parse(&bytes).unwrap();
        (header.payload_type, header.payload(&bytes).to_vec())
    };
    assert_eq!(through(&[(CodecKind::Opus, 109, None)]), (109, vec![8, 9]));
    let (payload_type, payload) = through(&[(CodecKind::Red, 63, None), (CodecKind::Opus, 100, None)]);
    assert_eq!(
        (payload_type, payload),
        (63, vec![0x80 | 100, 0x0f, 0, 3, 100, 1, 2, 3, 8, 9])
    );
}
