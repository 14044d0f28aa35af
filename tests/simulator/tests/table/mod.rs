//! The plans that the scoreboard has, by name.

use link_model::Loss;
use simulator::{Plan, plans};

/// All of them, from this seed.
pub(crate) fn all(seed: u64) -> Vec<(&'static str, Plan)> {
    let burst = Loss::Bursty {
        enter: 0.01,
        leave: 0.2,
    };
    vec![
        ("bottleneck", plans::bottleneck(seed, 1_000)),
        ("up", plans::up(seed)),
        ("down", plans::down(seed)),
        ("loss-1", plans::lossy(seed, Loss::Random(0.01))),
        ("loss-5", plans::lossy(seed, Loss::Random(0.05))),
        ("loss-burst", plans::lossy(seed, burst)),
        ("jitter", plans::shaky(seed)),
        ("address", plans::moving(seed)),
        ("shared", plans::shared(seed)),
        ("small", plans::small_with_large_key_frames(seed, 20)),
        ("late", plans::late(seed)),
        ("crowd", plans::crowd(seed, 12, 20)),
        ("stall", plans::stall(seed)),
        ("partition", plans::partition(seed)),
        ("restart", plans::restart(seed)),
    ]
}
