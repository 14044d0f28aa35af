//! What a viewer of 25 tiles gets when there is room for some of it.

use std::hint::black_box;
use std::time::Duration;

use sfu_core::allocate::{Budget, Rung, Snapshot, StreamView, allocate};

use super::{Watch, Work};

pub(crate) struct Allotment {
    snapshot: Snapshot,
    budgets: Vec<Budget>,
    at: usize,
}

impl Allotment {
    pub(crate) fn new() -> Self {
        let kbps = sfu_bwe::Bitrate::kbps;
        let rungs = [(0, 100), (1, 300), (2, 1_200)];
        let stream = |slot: u16| StreamView {
            slot,
            pinned: slot == 3,
            height: if slot == 0 { 720 } else { 180 },
            recency: u32::from(slot),
            rungs: rungs
                .iter()
                .map(|(layer, rate)| Rung {
                    layer: *layer,
                    temporal: 3,
                    bitrate: kbps(*rate),
                })
                .collect(),
            ideal: 2,
            now: slot.is_multiple_of(2).then_some(1),
        };
        Self {
            snapshot: Snapshot {
                streams: (0..25).map(stream).collect(),
                first: kbps(240),
            },
            budgets: [1_500, 3_000, 6_000, 12_000]
                .map(|rate| Budget::steady(kbps(rate)))
                .to_vec(),
            at: 0,
        }
    }
}

impl Work for Allotment {
    fn run(&mut self, count: u64) -> Duration {
        Watch::default().repeat(count, 16, || {
            self.at = (self.at + 1) % self.budgets.len();
            let decisions = allocate(black_box(&self.snapshot), self.budgets[self.at]);
            assert_eq!(black_box(decisions).streams.len(), 25);
        })
    }
}
