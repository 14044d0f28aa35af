//! How good a connection is, in four steps, and the first reason why it is not better.

use std::time::Duration;

use sfu_bwe::Bitrate;

/// Why a connection is not as good as it could be, in the words that clients and records use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Nothing was heard of it for a while.
    Lost,
    /// Packets are lost.
    Loss,
    /// Packets take long, or queue.
    Delay,
    /// Not everything that is wanted fits.
    Bandwidth,
    /// The sender's own machine cannot keep up.
    Cpu,
    /// Nothing of a stream is sent, because there is no room for it. Never of a whole connection.
    Paused,
}

impl Reason {
    /// All of them, in the order of their numbers, with their names in metrics.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Lost, "lost"),
        (Self::Loss, "loss"),
        (Self::Delay, "delay"),
        (Self::Bandwidth, "bandwidth"),
        (Self::Cpu, "cpu"),
        (Self::Paused, "paused"),
    ];
}

/// 4 good, 3 fair, 2 poor, 1 bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u8);

impl Score {
    /// Nothing to complain about.
    pub const GOOD: Self = Self(4);
    /// Hardly usable, or not at all.
    pub const BAD: Self = Self(1);

    /// 1 to 4.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// One direction of one participant's connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// Part of the packets that is lost, 0 to 1.
    pub loss: f64,
    /// There and back.
    pub round_trip: Duration,
    /// Standing queue.
    pub queue: Duration,
    /// What is sent of what is wanted; both zero: nothing is.
    pub used: Bitrate,
    /// What would be sent if there were room.
    pub wanted: Bitrate,
    /// Streams that are paused for want of room.
    pub paused: usize,
    /// The sender says that its processor limits it.
    pub cpu: bool,
    /// Since the last authenticated packet.
    pub silent: Duration,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            loss: 0.0,
            round_trip: Duration::ZERO,
            queue: Duration::ZERO,
            used: Bitrate::ZERO,
            wanted: Bitrate::ZERO,
            paused: 0,
            cpu: false,
            silent: Duration::ZERO,
        }
    }
}

/// One stream on its way to one viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamFacts {
    /// There is no room for it.
    pub paused: bool,
    /// How many layers it is below the one that suits its tile, for want of room.
    pub below: u8,
    /// Part of the publisher's packets that is lost on the way to us for good, 0 to 1.
    pub loss: f64,
    /// The publisher says that their processor limits it.
    pub cpu: bool,
}

/// The bounds of loss are where Opus with concealment becomes heard (3 %), bothersome (8 %) and hard to follow (20 %).
const LOSS: [f64; 3] = [0.03, 0.08, 0.20];

/// From 4 down by one for each bound that is reached.
fn step(value: f64, bounds: [f64; 3]) -> u8 {
    4 - bounds.iter().filter(|bound| value >= **bound).count() as u8
}

fn worst<const N: usize>(parts: [(u8, Reason); N]) -> (Score, Option<Reason>) {
    let worst = parts
        .into_iter()
        .min_by_key(|(score, _)| *score)
        .filter(|(score, _)| *score < 4);
    worst.map_or((Score::GOOD, None), |(score, reason)| (Score(score), Some(reason)))
}

/// Scores a stream. What is wrong with the viewer's whole connection is not repeated for each of them.
pub fn score_stream(facts: &StreamFacts) -> (Score, Option<Reason>) {
    worst([
        (if facts.paused { 1 } else { 4 }, Reason::Paused),
        (step(facts.loss, LOSS), Reason::Loss),
        (4_u8.saturating_sub(facts.below).max(2), Reason::Bandwidth),
        (if facts.cpu { 3 } else { 4 }, Reason::Cpu),
    ])
}

/// Scores a connection; the reason is that of the worst part, and there is none for a good connection.
///
/// The bounds of delay are ITU-T G.114's 150 and 400 ms one way, doubled.
pub fn score(facts: &Facts) -> (Score, Option<Reason>) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let share = match (facts.used.as_bps() as f64, facts.wanted.as_bps() as f64) {
        (_, wanted) if wanted <= 0.0 => 1.0,
        (used, wanted) => used / wanted,
    };
    let bandwidth = match (facts.paused, share) {
        (0, share) if share >= 0.75 => 4,
        (0, share) if share >= 0.3 => 3,
        (0, _) => 2,
        _ => 2.min(step(1.0 - share, [0.7, 0.8, 0.95]).max(1)),
    };
    worst([
        (step(ms(facts.silent), [1_000.0, 2_000.0, 3_000.0]), Reason::Lost),
        (step(facts.loss, LOSS), Reason::Loss),
        (
            step(ms(facts.round_trip), [300.0, 500.0, 800.0]).min(step(ms(facts.queue), [80.0, 200.0, 500.0])),
            Reason::Delay,
        ),
        (bandwidth, Reason::Bandwidth),
        (if facts.cpu { 3 } else { 4 }, Reason::Cpu),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_as_bad_as_the_worst_that_happens_to_it() {
        let good = StreamFacts::default();
        let cases = [
            (good, 4, None),
            (StreamFacts { below: 1, ..good }, 3, Some(Reason::Bandwidth)),
            (StreamFacts { below: 5, ..good }, 2, Some(Reason::Bandwidth)),
            (
                StreamFacts {
                    loss: 0.1,
                    below: 1,
                    ..good
                },
                2,
                Some(Reason::Loss),
            ),
            (StreamFacts { cpu: true, ..good }, 3, Some(Reason::Cpu)),
            (
                StreamFacts {
                    cpu: true,
                    below: 2,
                    ..good
                },
                2,
                Some(Reason::Bandwidth),
            ),
            (
                StreamFacts {
                    paused: true,
                    loss: 0.3,
                    ..good
                },
                1,
                Some(Reason::Paused),
            ),
        ];
        for (facts, expected, reason) in cases {
            let (score, found) = score_stream(&facts);
            assert_eq!((score.get(), found), (expected, reason), "{facts:?}");
        }
    }

    #[test]
    fn table_of_cases() {
        let good = Facts {
            round_trip: Duration::from_millis(40),
            used: Bitrate::kbps(900),
            wanted: Bitrate::kbps(1_000),
            ..Facts::default()
        };
        let ms = Duration::from_millis;
        let cases = [
            (Facts::default(), 4, None),
            (good, 4, None),
            (Facts { loss: 0.05, ..good }, 3, Some(Reason::Loss)),
            (Facts { loss: 0.25, ..good }, 1, Some(Reason::Loss)),
            (
                Facts {
                    round_trip: ms(600),
                    ..good
                },
                2,
                Some(Reason::Delay),
            ),
            (Facts { queue: ms(100), ..good }, 3, Some(Reason::Delay)),
            (
                Facts {
                    used: Bitrate::kbps(500),
                    ..good
                },
                3,
                Some(Reason::Bandwidth),
            ),
            (
                Facts {
                    used: Bitrate::kbps(100),
                    ..good
                },
                2,
                Some(Reason::Bandwidth),
            ),
            (
                Facts {
                    used: Bitrate::kbps(100),
                    paused: 3,
                    ..good
                },
                2,
                Some(Reason::Bandwidth),
            ),
            (
                Facts {
                    used: Bitrate::kbps(40),
                    paused: 3,
                    ..good
                },
                1,
                Some(Reason::Bandwidth),
            ),
            (Facts { cpu: true, ..good }, 3, Some(Reason::Cpu)),
            (
                Facts {
                    cpu: true,
                    loss: 0.1,
                    ..good
                },
                2,
                Some(Reason::Loss),
            ),
            (
                Facts {
                    silent: ms(3_500),
                    loss: 0.05,
                    ..good
                },
                1,
                Some(Reason::Lost),
            ),
        ];
        for (facts, expected, reason) in cases {
            let (score, found) = score(&facts);
            assert_eq!((score.get(), found), (expected, reason), "{facts:?}");
        }
    }
}
