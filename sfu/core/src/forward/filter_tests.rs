//! What viewers get of layered streams, frame by frame.

use super::*;
use crate::rtp::{References, Targets};

const fn target(spatial: u8, temporal: u8) -> Target {
    Target { spatial, temporal }
}

/// A frame of a described stream with spatial layers up to `top`. `present`, `switch`: the targets, as (spatial, temporal) lists.
fn described(
    top: u8,
    number: u16,
    spatial: u8,
    temporal: u8,
    present: &[(u8, u8)],
    switch: &[(u8, u8)],
    back: &[u32],
) -> Frame {
    let set = |list: &[(u8, u8)]| {
        let mut targets = Targets::default();
        for (spatial, temporal) in list {
            // As the structure does: asking for more than there is gets all there is.
            for s in *spatial..if *spatial == top { 4 } else { *spatial + 1 } {
                for t in *temporal..if *temporal == 1 { 4 } else { *temporal + 1 } {
                    targets.insert(target(s, t));
                }
            }
        }
        targets
    };
    let mut references = References::default();
    back.iter().for_each(|distance| references.push(*distance));
    Frame {
        start: true,
        end: true,
        key: back.is_empty(),
        spatial,
        temporal,
        present: set(present),
        switch: set(switch),
        number: Some(number),
        references,
    }
}

/// Two spatial layers that meet in key pictures only (L2T1_KEY), picture `n`.
fn layered(n: u16, key: bool) -> [Frame; 2] {
    if key {
        let all = &[(0, 0), (0, 1), (1, 0), (1, 1)];
        let upper = &[(1, 0), (1, 1)];
        return [
            described(1, 2 * n, 0, 0, all, all, &[]),
            described(1, 2 * n + 1, 1, 0, upper, upper, &[1]),
        ];
    }
    let (lower, upper) = (&[(0, 0), (0, 1)], &[(1, 0), (1, 1)]);
    [
        described(1, 2 * n, 0, 0, lower, lower, &[2]),
        described(1, 2 * n + 1, 1, 0, upper, upper, &[2]),
    ]
}

#[test]
fn a_larger_picture_waits_for_a_key_frame_and_asks_for_it() {
    let mut filter = Filter::default();
    filter.want(target(0, 3));
    filter.restart();
    let passed = |filter: &mut Filter, n, key| layered(n, key).map(|frame| filter.decide(&frame).pass);
    assert_eq!(passed(&mut filter, 0, true), [true, false]);
    assert_eq!(passed(&mut filter, 1, false), [true, false]);
    filter.want(target(1, 3));
    let verdicts = layered(2, false).map(|frame| filter.decide(&frame));
    assert_eq!(
        verdicts.map(|v| v.pass),
        [true, false],
        "the small picture goes on meanwhile"
    );
    assert!(verdicts[1].needs_key_frame);
    assert_eq!(passed(&mut filter, 3, true), [true, true]);
    assert_eq!(
        passed(&mut filter, 4, false),
        [false, true],
        "the lower layer is of no use now"
    );
    assert!(filter.ends_picture(&layered(4, false)[1]));
}

#[test]
fn fewer_frames_at_once_and_more_where_what_they_refer_to_was_sent() {
    // L1T2: every second frame refers to the one before.
    let base = |n: u16| described(0, n, 0, 0, &[(0, 0), (0, 1)], &[(0, 0), (0, 1)], &[2]);
    let upper = |n: u16| described(0, n, 0, 1, &[(0, 1)], &[], &[1]);
    let mut filter = Filter::default();
    filter.restart();
    let first = described(0, 0, 0, 0, &[(0, 0), (0, 1)], &[(0, 0), (0, 1)], &[]);
    assert!(filter.decide(&first).pass && filter.decide(&upper(1)).pass);
    filter.want(target(3, 0));
    assert!(filter.decide(&base(2)).pass && !filter.decide(&upper(3)).pass);
    filter.want(target(3, 1));
    assert!(!filter.decide(&upper(5)).pass, "no switch there");
    assert!(filter.decide(&base(4)).pass && filter.decide(&upper(5)).pass);
}

#[test]
fn without_frame_numbers_a_temporal_layer_is_entered_where_the_encoder_marks_it() {
    let frame = |temporal: u8, marked: bool| Frame {
        start: true,
        temporal,
        present: Targets::from_layer(0, temporal),
        switch: if marked {
            Targets::from_layer(0, temporal)
        } else {
            Targets::default()
        },
        ..Frame::default()
    };
    let mut filter = Filter::default();
    filter.restart();
    filter.want(target(3, 0));
    assert!(!filter.decide(&frame(2, true)).pass && filter.decide(&frame(0, false)).pass);
    filter.want(Target::ALL);
    assert!(!filter.decide(&frame(1, false)).pass);
    assert!(!filter.decide(&frame(2, true)).pass, "one layer at a time");
    assert!(filter.decide(&frame(1, true)).pass);
    assert!(filter.decide(&frame(2, true)).pass);
}
