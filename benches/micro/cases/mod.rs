//! What is measured: each case is an operation with everything that it needs.
#![allow(dead_code, reason = "each program uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot do its work has to end"
)]

mod allotment;
mod answer;
mod calls;
mod cipher;
mod estimate;
mod forward;
mod strangers;
/// The shard in a simulated network with str0m clients, from the tests of `sfu-core`.
#[path = "../../../sfu/core/tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signaling::testing::Kind;

/// Something that can be done again and again.
pub(crate) trait Work {
    /// Does it so many times and says how long that took, its preparations left out.
    fn run(&mut self, count: u64) -> Duration;
}

/// One line of the table.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Box<dyn Work>,
    /// All of it happens in one thread of this process, so that its instructions can be counted.
    pub(crate) counted: bool,
}

/// All of them.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "forward to 1",
        make: || Box::new(forward::Forward::new(1)),
        counted: true,
    },
    Case {
        name: "forward to 10",
        make: || Box::new(forward::Forward::new(10)),
        counted: true,
    },
    Case {
        name: "forward to 50",
        make: || Box::new(forward::Forward::new(50)),
        counted: true,
    },
    Case {
        name: "open",
        make: || Box::new(cipher::Open::new()),
        counted: true,
    },
    Case {
        name: "seal",
        make: || Box::new(cipher::Seal::new()),
        counted: true,
    },
    Case {
        name: "demux a check of nobody",
        make: || Box::new(strangers::Stranger::new(strangers::check())),
        counted: true,
    },
    Case {
        name: "demux media of nobody",
        make: || Box::new(strangers::Stranger::new(strangers::media())),
        counted: true,
    },
    Case {
        name: "allocate 25 tiles",
        make: || Box::new(allotment::Allotment::new()),
        counted: true,
    },
    Case {
        name: "estimate from 25 packets",
        make: || Box::new(estimate::Step::new()),
        counted: true,
    },
    Case {
        name: "answer Chromium's offer",
        make: || Box::new(answer::Answer),
        counted: true,
    },
    Case {
        name: "start, accept, end a call on SQLite",
        make: || Box::new(calls::Calls::new(Kind::Sqlite)),
        counted: false,
    },
    Case {
        name: "start, accept, end a call on Postgres",
        make: || Box::new(calls::Calls::new(Kind::Postgres)),
        counted: false,
    },
];

/// The measured part, and by its name the part whose instructions are counted.
#[inline(never)]
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// While this is set nothing is counted: the program's caches are being warmed.
pub(crate) static WARMING: AtomicBool = AtomicBool::new(false);

/// Adds up measured parts. Reading the clock costs some 50 ns each time: what takes less is measured many at a time.
#[derive(Default)]
pub(crate) struct Watch(Duration);

impl Watch {
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = if WARMING.load(Ordering::Relaxed) {
            black_box(work())
        } else {
            measured(work)
        };
        self.0 += start.elapsed();
        out
    }

    /// `count` times, in batches of at most `batch` under one reading of the clock.
    pub(crate) fn repeat(mut self, count: u64, batch: u64, mut work: impl FnMut()) -> Duration {
        let mut left = count;
        while left > 0 {
            let now = left.min(batch);
            left -= now;
            self.time(|| (0..now).for_each(|_| work()));
        }
        self.0
    }

    pub(crate) fn total(&self) -> Duration {
        self.0
    }
}
