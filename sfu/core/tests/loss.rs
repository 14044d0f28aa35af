//! What is lost is sent again, in both directions, without sealing any packet twice.

mod support;

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use sfu_core::room::SlotPolicy;
use sfu_core::shard::Drop;
use support::{Lossy, World};

const SECOND: Duration = Duration::from_secs(1);

fn is_media(datagram: &[u8]) -> bool {
    datagram.len() > 500 && datagram[0] >> 6 == 2
}

/// Loses every tenth large packet while the switch is on.
fn every_tenth(on: &Rc<Cell<bool>>) -> Lossy {
    let (on, mut count) = (on.clone(), 0);
    Box::new(move |_, datagram| {
        if !on.get() || !is_media(datagram) {
            return false;
        }
        count += 1;
        count % 10 == 0
    })
}

#[test]
fn what_a_viewer_lost_is_sent_again_as_rtx() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    let viewer = world.join(2, false, 1, SlotPolicy::Fill);
    world.connect();
    world.run(2 * SECOND);
    let on = Rc::new(Cell::new(true));
    world.lose_down = every_tenth(&on);
    world.run(4 * SECOND);
    on.set(false);
    world.run(SECOND);
    assert!(
        world.shard.counters().retransmitted >= 15,
        "{:?}",
        world.shard.counters()
    );
    let mut numbers: Vec<u64> = world
        .received_from(viewer, 1, false)
        .iter()
        .map(|p| *p.seq_no)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let expected = numbers.last().unwrap() - numbers.first().unwrap() + 1;
    let missing = expected - numbers.len() as u64;
    assert!(missing * 100 <= expected, "{missing} of {expected} never came");
    assert_eq!(world.shard.counters().dropped(Drop::Seal), 0);
}

#[test]
fn what_a_publisher_lost_is_asked_for_and_forwarded() {
    let mut world = World::new();
    world.join(1, true, 1, SlotPolicy::Fill);
    let viewer = world.join(2, false, 1, SlotPolicy::Fill);
    world.connect();
    world.run(2 * SECOND);
    let on = Rc::new(Cell::new(true));
    world.lose_up = every_tenth(&on);
    world.run(4 * SECOND);
    on.set(false);
    world.run(SECOND);
    let counters = world.shard.counters();
    assert!(counters.nacked >= 15, "{counters:?}");
    assert!(counters.recovered >= 15, "{counters:?}");
    let mut numbers: Vec<u64> = world
        .received_from(viewer, 1, false)
        .iter()
        .map(|p| *p.seq_no)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let expected = numbers.last().unwrap() - numbers.first().unwrap() + 1;
    let missing = expected - numbers.len() as u64;
    assert!(missing * 100 <= expected, "{missing} of {expected} never came");
}

#[test]
fn no_stream_and_number_is_ever_sealed_twice() {
    let mut world = World::new();
    world.join(1, true, 2, SlotPolicy::Fill);
    world.join(2, true, 2, SlotPolicy::Fill);
    let viewer = world.join(3, false, 2, SlotPolicy::Intents);
    world.connect();
    let on = Rc::new(Cell::new(true));
    world.lose_up = every_tenth(&on);
    let seen: Rc<Cell<usize>> = Rc::default();
    let (count, mut all) = (seen.clone(), HashSet::new());
    world.lose_down = Box::new(move |client, datagram| {
        if is_media(datagram) {
            let ssrc = u32::from_be_bytes(datagram[8..12].try_into().unwrap());
            let number = u16::from_be_bytes(datagram[2..4].try_into().unwrap());
            // Too few packets for a number to come round again.
            assert!(all.insert((client, ssrc, number)), "{ssrc} {number} went out twice");
            count.set(count.get() + 1);
            return count.get() % 7 == 0;
        }
        false
    });
    for round in 0..6 {
        world.intents(viewer, &[(0, 1 + round % 2, 360), (1, 2 - round % 2, 360)]);
        world.run(SECOND);
    }
    assert!(seen.get() > 1_000);
    assert!(world.shard.counters().retransmitted > 0);
    assert_eq!(world.shard.counters().dropped(Drop::Seal), 0);
}
