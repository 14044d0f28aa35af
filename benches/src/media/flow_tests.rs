use super::*;
use crate::media::stamp::STAMP_LEN;

const MS: u64 = 1_000_000;

/// Of publisher 3 in this run and room, a frame in each packet; `sent` in ms.
fn stamp(stream: u8, sequence: u32, sent: u64) -> Stamp {
    Stamp {
        run: 1,
        room: 2,
        publisher: 3,
        stream,
        flags: 0,
        frame: sequence,
        sequence,
        sent_ns: sent * MS,
    }
}

struct Bench {
    viewer: Viewer,
    tally: Tally,
    news: Vec<News>,
    rtp: u64,
}

impl Bench {
    fn new() -> Self {
        Self {
            viewer: Viewer::new(1, 2),
            tally: Tally::new(),
            news: Vec::new(),
            rtp: 0,
        }
    }

    /// A video packet of publisher 3: sent at `sent` ms, there 1 ms later (or at `at`).
    fn video(&mut self, layer: u8, sequence: u32, sent: u64, at: Option<u64>) {
        self.packet(stamp(layer + 1, sequence, sent), at.unwrap_or(sent + 1) * MS);
    }

    fn packet(&mut self, stamp: Stamp, at_ns: u64) {
        let mut payload = [0; STAMP_LEN];
        stamp.write(&mut payload);
        self.rtp += 1;
        let arrival = Arrival {
            ssrc: 9,
            sequence: self.rtp,
            payload: &payload,
            at_ns,
        };
        let news = &mut self.news;
        self.viewer.note(arrival, &mut self.tally, |n| news.push(n));
    }
}

#[test]
fn what_was_sent_before_a_picture_began_is_no_delay_and_what_is_late_in_it_is() {
    let mut bench = Bench::new();
    let frame = |sequence, frame, flags, sent| Stamp {
        frame,
        flags,
        ..stamp(1, sequence, sent)
    };
    bench.packet(frame(10, 4, KEY | KEY_BEGIN, 1_000), 1_900 * MS);
    bench.packet(frame(11, 4, KEY | FRAME_END, 1_000), 1_900 * MS);
    bench.packet(frame(12, 5, FRAME_END, 1_040), 1_901 * MS);
    assert!(bench.tally.delay.is_empty());
    assert_eq!(bench.news.last(), Some(&News::FirstFrame));
    bench.packet(frame(13, 6, FRAME_END, 1_910), 2_000 * MS);
    assert_eq!(bench.tally.delay.len(), 1);
    assert!(bench.tally.delay.max() >= 89_000, "{}", bench.tally.delay.max());
}

#[test]
fn loss_that_the_server_hides_by_renumbering_is_seen() {
    let mut bench = Bench::new();
    for sequence in (0..1_000).filter(|n| n % 100 != 50) {
        bench.video(0, sequence, u64::from(sequence) * 10, None);
    }
    assert_eq!((bench.tally.counts.lost, bench.tally.counts.sequence_gaps), (10, 0));
    assert_eq!(bench.tally.counts.freezes, 0);
}

#[test]
fn late_is_not_lost_and_twice_is_a_duplicate() {
    let mut bench = Bench::new();
    for sequence in [0, 1, 3, 2, 4, 4, 2] {
        bench.video(0, sequence, u64::from(sequence) * 10, None);
    }
    let counts = &bench.tally.counts;
    assert_eq!((counts.lost, counts.reordered, counts.duplicates), (0, 1, 2));
}

#[test]
fn a_gap_is_a_freeze_unless_the_publisher_rested() {
    let mut bench = Bench::new();
    bench.video(0, 0, 0, None);
    bench.video(0, 1, 40, None);
    bench.video(0, 2, 1_000, None);
    assert_eq!(bench.tally.counts.freezes, 0, "nothing was sent for a second");
    bench.video(0, 3, 1_040, Some(1_341));
    assert_eq!(bench.tally.counts.freezes, 1, "held back by the server for 300 ms");
    bench.video(0, 20, 1_700, None);
    assert_eq!((bench.tally.counts.freezes, bench.tally.counts.lost), (2, 16));
    bench.video(1, 500, 2_000, None);
    assert_eq!(bench.tally.counts.freezes, 3, "a change of layer that took 299 ms");
    assert_eq!(bench.tally.counts.layer_switches, 1);
}

#[test]
fn a_change_of_layer_or_person_loses_nothing() {
    let mut bench = Bench::new();
    bench.video(0, 10, 0, None);
    bench.video(2, 700, 40, None);
    bench.video(0, 90, 80, None);
    assert_eq!((bench.tally.counts.lost, bench.tally.counts.layer_switches), (0, 2));
    let shown: Vec<_> = bench
        .news
        .iter()
        .filter(|n| matches!(n, News::Showing { .. }))
        .collect();
    assert_eq!(shown.len(), 3);
}

#[test]
fn a_stranger_is_counted_and_nothing_else() {
    let mut bench = Bench::new();
    let stranger = Stamp {
        room: 4,
        ..stamp(1, 0, 0)
    };
    bench.packet(stranger, 5);
    assert_eq!((bench.tally.counts.wrong_room, bench.tally.counts.received), (1, 0));
}

#[test]
fn the_first_frame_is_a_whole_key_frame() {
    let mut bench = Bench::new();
    let mut packet = |sequence: u32, frame, flags| {
        let stamp = Stamp {
            frame,
            flags,
            ..stamp(1, sequence, 0)
        };
        bench.packet(stamp, 1);
        bench.news.contains(&News::FirstFrame)
    };
    assert!(!packet(0, 1, FRAME_END), "not a key frame");
    assert!(!packet(1, 2, KEY | KEY_BEGIN));
    assert!(!packet(3, 2, KEY | FRAME_END), "its middle is missing");
    assert!(!packet(4, 3, KEY | KEY_BEGIN));
    assert!(packet(5, 3, KEY | FRAME_END));
}

#[test]
fn an_audio_stream_that_was_switched_off_and_on_lost_nothing() {
    let mut bench = Bench::new();
    for (sequence, at) in [(0, 0), (1, 20), (3, 60), (100, 2_000)] {
        bench.packet(stamp(0, sequence, at), at * MS + 5);
    }
    assert_eq!(bench.tally.counts.lost, 1);
}
