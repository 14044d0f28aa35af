//! One plan, told: `SIMULATOR_PLAN=loss-5 SIMULATOR_SEED=3 cargo test --workspace --test told -- --ignored --nocapture` prints what
//! its viewers saw and when, for who looks for the reason of a figure.

use std::time::Duration;

mod table;

#[test]
#[ignore = "prints; asserts nothing"]
fn a_plan_is_told() {
    let wanted = std::env::var("SIMULATOR_PLAN").unwrap_or_else(|_| "bottleneck".to_owned());
    let seed = std::env::var("SIMULATOR_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    for (_, plan) in table::all(seed).into_iter().filter(|(name, _)| *name == wanted) {
        let report = simulator::run(&plan);
        for (at, (person, viewer)) in plan.people.iter().zip(&report.people).enumerate() {
            if person.tiles.is_empty() {
                continue;
            }
            println!(
                "viewer {}: joined {:?}, connected {:?}",
                at + 1,
                viewer.joined,
                viewer.connected
            );
            for (publisher, seen) in &viewer.seen {
                let first = seen.pictures.first();
                println!("  {publisher}: first {first:?}, {} pictures", seen.pictures.len());
                println!("    paused {:?}", seen.paused);
                println!("    frozen {:?}", seen.frozen);
            }
            let half = Duration::from_millis(500);
            let mut from = viewer.joined;
            while from + half <= viewer.until {
                let queue = viewer.queue(from, from + half, 95);
                let overflow = viewer.overflow(from, from + half);
                let rate = viewer.rate(from, from + half) / 1e3;
                println!("  {from:>8.1?}: {rate:5.0} kbit/s, queue {queue:.0?}, overflow {overflow:.2}");
                from += half;
            }
        }
    }
}
