//! Descriptors as an encoder writes them, by a writer of the tests' own that follows the specification's tables.

use proptest::prelude::*;

use super::*;
use crate::rtp::frame::{Target, Targets};

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    used: usize,
}

impl Writer {
    fn put(&mut self, value: u32, count: u32) -> &mut Self {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
        self
    }

    fn below(&mut self, value: u32, n: u32) -> &mut Self {
        let width = 32 - n.leading_zeros();
        let short = (1 << width) - n;
        if value < short {
            self.put(value, width - 1)
        } else {
            self.put(value + short, width)
        }
    }
}

/// A template: spatial and temporal layer, indications ("-" not present, "D" discardable, "S" switch, "R" required),
/// references.
type Row = (u8, u8, &'static str, &'static [u32]);

/// Two temporal layers.
const L1T2: [Row; 3] = [(0, 0, "SS", &[]), (0, 0, "SS", &[2]), (0, 1, "-D", &[1])];

/// Two spatial layers that refer to each other in key pictures only, two temporal layers; targets S0T0 S0T1 S1T0 S1T1.
const L2T2_KEY: [Row; 6] = [
    (0, 0, "SSSS", &[]),
    (0, 0, "SS--", &[4]),
    (0, 1, "-D--", &[2]),
    (1, 0, "--SS", &[1]),
    (1, 0, "--SS", &[4]),
    (1, 1, "---D", &[2]),
];

fn write_structure(out: &mut Writer, first: u8, rows: &[Row], heights: &[u32]) {
    let targets = rows[0].2.len() as u32;
    out.put(first.into(), 6).put(targets - 1, 5);
    for pair in rows.windows(2) {
        let next = match (pair[1].0 != pair[0].0, pair[1].1 != pair[0].1) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        };
        out.put(next, 2);
    }
    out.put(3, 2);
    for row in rows {
        for indication in row.2.chars() {
            out.put("-DSR".find(indication).unwrap() as u32, 2);
        }
    }
    for row in rows {
        for distance in row.3 {
            out.put(1, 1).put(distance - 1, 4);
        }
        out.put(0, 1);
    }
    // One chain that protects every target.
    out.below(1, targets + 1);
    for _ in 0..targets {
        out.below(0, 1);
    }
    for _ in rows {
        out.put(1, 4);
    }
    out.put(u32::from(!heights.is_empty()), 1);
    for height in heights {
        out.put(height * 16 / 9 - 1, 16).put(height - 1, 16);
    }
}

fn key(rows: &[Row], first: u8, number: u16, heights: &[u32]) -> Vec<u8> {
    let mut out = Writer::default();
    out.put(1, 1).put(0, 1).put(first.into(), 6).put(number.into(), 16);
    out.put(0b10000, 5);
    write_structure(&mut out, first, rows, heights);
    out.bytes
}

fn delta(template: u8, number: u16) -> Vec<u8> {
    let mut out = Writer::default();
    out.put(1, 1).put(1, 1).put(template.into(), 6).put(number.into(), 16);
    out.bytes
}

const fn target(spatial: u8, temporal: u8) -> Target {
    Target { spatial, temporal }
}

#[test]
fn a_key_frame_brings_the_structure_and_the_next_frames_use_it() {
    let mut structure = None;
    assert_eq!(parse(&delta(7, 1), &mut structure), None, "nothing to read it by");
    let frame = parse(&key(&L1T2, 7, 65_535, &[720]), &mut structure).unwrap();
    assert!(frame.key && frame.start && !frame.end);
    assert_eq!((frame.number, frame.present), (Some(65_535), Targets::ALL));
    let known = structure.as_ref().unwrap();
    assert_eq!(
        (known.top(), known.height(0), known.height(1)),
        (target(0, 1), Some(720), None)
    );

    let base = parse(&delta(8, 0), &mut structure).unwrap();
    assert!(!base.key && base.switch.contains(target(0, 1)));
    assert_eq!(base.references.iter().collect::<Vec<_>>(), [2]);
    let upper = parse(&delta(9, 1), &mut structure).unwrap();
    assert_eq!((upper.spatial, upper.temporal), (0, 1));
    assert!(upper.present.contains(target(0, 1)) && !upper.present.contains(target(0, 0)));
    assert_eq!(parse(&delta(10, 1), &mut structure), None, "no such template");
}

#[test]
fn a_lower_picture_is_not_for_those_who_see_the_upper_one_except_in_key_pictures() {
    let mut structure = None;
    let frame = parse(&key(&L2T2_KEY, 60, 9, &[180, 360]), &mut structure).unwrap();
    assert!(frame.present.contains(target(1, 1)));
    assert_eq!(structure.as_ref().unwrap().height(1), Some(360));
    let lower = parse(&delta(61, 10), &mut structure).unwrap();
    assert!(lower.present.contains(target(0, 0)) && !lower.present.contains(target(1, 0)));
    // Template ids count on from 63 to 0.
    let upper = parse(&delta(0, 11), &mut structure).unwrap();
    assert_eq!(upper.references.iter().collect::<Vec<_>>(), [4]);
    assert!(!upper.present.contains(target(0, 1)) && upper.switch.contains(target(1, 1)));
    assert!(
        upper.present.contains(Target::ALL),
        "more than there is means all there is"
    );
}

#[test]
fn a_frame_may_say_its_own_indications_and_references() {
    let mut structure = None;
    parse(&key(&L1T2, 0, 0, &[]), &mut structure).unwrap();
    let mut out = Writer::default();
    out.put(1, 1).put(1, 1).put(1, 6).put(5, 16).put(0b00110, 5);
    out.put(0, 2).put(3, 2); // not present, required
    out.put(1, 2).put(2, 4).put(3, 2).put(299, 12).put(0, 2); // 3 and 300 back
    let frame = parse(&out.bytes, &mut structure).unwrap();
    assert!(!frame.present.contains(target(0, 0)) && frame.present.contains(target(0, 1)));
    assert_eq!(frame.switch, Targets::default());
    assert_eq!(frame.references.iter().collect::<Vec<_>>(), [3, 255]);
}

#[test]
fn a_structure_that_ends_early_or_has_too_many_layers_changes_nothing() {
    let mut structure = None;
    let good = key(&L1T2, 3, 1, &[720]);
    parse(&good, &mut structure).unwrap();
    let before = structure.clone();
    let other = key(&L2T2_KEY, 9, 2, &[180, 360]);
    for end in 4..other.len() {
        assert_eq!(parse(&other[..end], &mut structure), None, "{end} bytes");
        assert_eq!(structure, before);
    }
    let mut out = Writer::default();
    out.put(0x80, 8).put(1, 16).put(0b10000, 5).put(0, 6).put(0, 5);
    for _ in 0..8 {
        out.put(2, 2);
    }
    out.bytes.resize(200, 0);
    assert_eq!(parse(&out.bytes, &mut structure), None);
    assert_eq!(structure, before);
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail_badly(data in proptest::collection::vec(any::<u8>(), 0..300), known: bool) {
        let mut structure = None;
        if known {
            parse(&key(&L2T2_KEY, 0, 1, &[180, 360]), &mut structure).unwrap();
        }
        if let Some(frame) = parse(&data, &mut structure) {
            prop_assert!(frame.spatial < 4 && frame.temporal < 4);
            prop_assert!(frame.references.iter().count() <= 8);
        }
    }
}
