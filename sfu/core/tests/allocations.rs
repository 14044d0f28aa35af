//! Forwarding allocates nothing once the caches are warm. A binary of its own, for its allocator counts.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be written without; it only counts and passes on"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sfu_core::room::SlotPolicy;
use support::World;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_forwarded_packet_allocates_nothing_after_warm_up() {
    let mut world = World::new();
    for id in 1..=4 {
        world.join(id, true, 4, SlotPolicy::Fill);
    }
    world.connect();
    world.run(Duration::from_secs(6));
    world.probe = || ALLOCATIONS.load(Ordering::Relaxed);
    world.costs.clear();
    let before = world.shard.counters().forwarded;
    world.run(Duration::from_secs(4));
    let forwarded = world.shard.counters().forwarded - before;
    assert!(forwarded > 4_000, "{forwarded}");
    assert!(world.costs.len() > 1_500, "{}", world.costs.len());
    let allocations: usize = world.costs.iter().sum();
    assert_eq!(
        allocations,
        0,
        "in {} packets, {forwarded} forwarded",
        world.costs.len()
    );
    println!(
        "allocations: {allocations} in {} packets handled, {forwarded} forwarded",
        world.costs.len()
    );
    // The oracle can fail: the whole world does allocate.
    assert!((world.probe)() > 1_000);
}
