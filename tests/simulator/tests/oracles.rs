//! Every oracle is seen to fail: something is broken on purpose, and it must say so. And a plan repeats from its seed.

use std::time::Duration;

use simulator::plan::{Broken, Plan};
use simulator::{oracles, plans, run};

fn judged(broken: Option<Broken>) -> Vec<String> {
    let mut plan: Plan = plans::crowd(3, 4, 12);
    plan.broken = broken;
    oracles::judge(&plan, &run(&plan))
}

#[test]
fn a_call_without_defects_is_found_well() {
    assert_eq!(judged(None), Vec::<String>::new());
}

#[test]
fn each_defect_is_found_by_its_oracle() {
    let cases = [
        (Broken::WrongRoom, "of another room"),
        (Broken::NeverConnected, "1 was never connected"),
        (Broken::NoVideo, "saw the first picture after None"),
        (Broken::Hole, "stand still from"),
        (Broken::StaysBehind, "left behind"),
    ];
    for (broken, says) in cases {
        let wrong = judged(Some(broken));
        assert!(wrong.iter().any(|line| line.contains(says)), "{broken:?}: {wrong:?}");
    }
}

#[test]
fn the_queue_is_seen_to_stand_when_a_link_narrows_and_to_be_gone_two_seconds_later() {
    let report = run(&plans::down(1));
    let viewer = &report.people[3];
    let second = Duration::from_secs(1);
    let at_once = viewer.queue(15 * second, 16 * second, 95);
    let later = viewer.queue(17 * second, viewer.until, 95);
    println!("{at_once:?} in the first second, {later:?} from two seconds on");
    assert!(at_once > Duration::from_millis(60), "{at_once:?}");
    assert!(later < Duration::from_millis(60), "{later:?}");
}

#[test]
fn a_share_of_nothing_is_seen_to_be_unfair() {
    let mut plan = plans::shared(5);
    plan.people[4].tiles.clear();
    let report = run(&plan);
    let both = [&report.people[3], &report.people[4]];
    let index = oracles::fairness(&both, Duration::from_secs(20), Duration::from_secs(40));
    assert!(index < 0.8, "{index}");
}

#[test]
fn the_same_seed_gives_the_same_decisions_and_another_seed_others() {
    for plan in [plans::crowd, |seed, _, _| plans::stall(seed)] {
        let decisions = |seed| run(&plan(seed, 10, 12)).decisions;
        assert_eq!(decisions(1), decisions(1));
        assert_ne!(decisions(1), decisions(2));
    }
}
