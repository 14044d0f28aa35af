//! The real program, really killed: whatever instant it is, what was answered is on record once, what was not is there
//! whole or not at all, deadlines are kept, and people are back in the same call.
//!
//! `RINGHALL_TEST_KILLS` sets how often a server is killed in one run, `RINGHALL_TEST_SEED` from what the dice begin, and
//! `RINGHALL_TEST_OUTAGE_SECONDS` how long Postgres is away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod crowd;
mod outage;
mod process;
mod restart;
mod tab;

use std::time::Duration;

/// How long anything may take that should come soon.
const SOON: Duration = Duration::from_secs(60);

fn number(variable: &str, otherwise: u64) -> u64 {
    let wanted = std::env::var(variable).ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn new(stream: u64) -> Self {
        Self(number("RINGHALL_TEST_SEED", 0x5eed) ^ (stream << 32))
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        (!items.is_empty()).then(|| &items[self.roll(items.len())])
    }
}

/// Waits until it holds, which nothing announces.
async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let watch = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::time::timeout(SOON, watch).await;
    assert!(done.is_ok(), "never: {what}");
}
