//! Forwarding allocates nothing once the caches are warm. A binary of its own, for its allocator counts.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be written without; it only counts and passes on"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use sfu_core::room::SlotPolicy;
use support::World;

struct Counting;

thread_local! {
    /// Of this thread: the tests of this file run beside each other.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // While a thread ends there is nothing to count any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a warm world and counts the allocations of the shard's work for each media packet.
fn allocations(world: &mut World, forwarded: impl Fn(&World) -> u64) -> (usize, u64) {
    world.connect();
    world.run(Duration::from_secs(6));
    world.probe = || ALLOCATIONS.with(Cell::get);
    world.costs.clear();
    let before = forwarded(world);
    world.run(Duration::from_secs(4));
    assert!(world.costs.len() > 1_500, "{}", world.costs.len());
    let count: usize = world.costs.iter().sum();
    let packets = forwarded(world) - before;
    println!(
        "allocations: {count} in {} packets handled, {packets} forwarded",
        world.costs.len()
    );
    // The oracle can fail: the whole world does allocate.
    assert!((world.probe)() > 1_000);
    (count, packets)
}

#[test]
fn a_packet_that_crosses_to_another_shard_allocates_nothing_after_warm_up() {
    let mut world = World::with_shards(2);
    for id in 1..=4 {
        world.join_at(id as usize % 2, id, true, 4, SlotPolicy::Fill, Vec::new());
    }
    let (count, forwarded) = allocations(&mut world, |world| {
        world.shard.counters().forwarded + world.others[0].counters().forwarded
    });
    assert!(forwarded > 4_000, "{forwarded}");
    assert_eq!(count, 0);
    for shard in [&world.shard, &world.others[0]] {
        let counters = shard.counters();
        assert!(
            counters.relayed > 1_500 && counters.relays_taken > 1_500,
            "{counters:?}"
        );
    }
}

#[test]
fn a_forwarded_packet_allocates_nothing_after_warm_up() {
    let mut world = World::new();
    for id in 1..=4 {
        world.join(id, true, 4, SlotPolicy::Fill);
    }
    let (count, forwarded) = allocations(&mut world, |world| world.shard.counters().forwarded);
    assert!(forwarded > 4_000, "{forwarded}");
    assert_eq!(count, 0);
}
