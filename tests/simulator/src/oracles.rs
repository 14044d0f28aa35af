//! What must hold whatever happened. Each says what it found; each was seen to fail (tests/oracles.rs).

use std::time::Duration;

use crate::plan::Plan;
use crate::report::{Report, Witness};

/// A fault excuses gaps from its beginning until so long after its end: a client that was dark has to be found again.
const RECOVERY: Duration = Duration::from_secs(4);

/// Until so long after joining nothing is known of a link, and the first pictures may be too much for it: of that time only the
/// first picture is judged. The same goes for those who share the newcomer's link.
const SETTLED: Duration = Duration::from_secs(3);

/// Everything that is wrong with a report; nothing: all is well.
pub fn judge(plan: &Plan, report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, (person, witness)) in plan.people.iter().zip(&report.people).enumerate() {
        let who = at + 1;
        if witness.connected.is_none() {
            wrong.push(format!("{who} was never connected"));
            continue;
        }
        if witness.foreign > 0 {
            wrong.push(format!("{who} got {} packets of another room", witness.foreign));
        }
        let seen = witness.first_picture();
        if !person.tiles.is_empty() && seen.is_none_or(|first| first > Duration::from_secs(5)) {
            wrong.push(format!("{who} saw the first picture after {seen:?}"));
        }
        if !person.excused {
            wrong.extend(gaps(plan, at, witness));
        }
    }
    if report.left_behind != [0; 4] {
        wrong.push(format!(
            "left behind (participants, stand-ins, packets, seats): {:?}",
            report.left_behind
        ));
    }
    wrong
}

/// Times in which a picture stood still for more than a second though nothing was wrong with any link on its way.
fn gaps(plan: &Plan, at: usize, witness: &Witness) -> Vec<String> {
    let mut found = Vec::new();
    for (publisher, seen) in &witness.seen {
        for (from, to) in &seen.frozen {
            let excused = faults(plan, at).chain(faults(plan, *publisher as usize - 1));
            let excused = excused
                .into_iter()
                .any(|(start, end)| *from < end + RECOVERY && *to > start);
            let settled = *from >= witness.joined + SETTLED
                && newcomers(plan, at).all(|came| !(came..came + SETTLED).contains(from));
            if settled && *to - *from > Duration::from_secs(1) && !excused && *to <= witness.until {
                found.push(format!(
                    "{} saw {publisher} stand still from {from:?} to {to:?}",
                    at + 1
                ));
            }
        }
    }
    found
}

/// When others came onto a participant's link.
fn newcomers(plan: &Plan, at: usize) -> impl Iterator<Item = Duration> {
    let link = plan.people.get(at).and_then(|person| person.shared);
    let sharing = plan
        .people
        .iter()
        .filter(move |person| link.is_some() && person.shared == link);
    sharing.map(|person| person.joins)
}

/// When something was done to a participant's way.
fn faults(plan: &Plan, at: usize) -> impl Iterator<Item = (Duration, Duration)> {
    let person = plan.people.get(at);
    let links = person.into_iter().flat_map(|person| [&person.up, &person.down]);
    let dark = links.flat_map(|link| link.dark.iter().copied());
    let shard = person.map_or(0, |person| person.shard);
    let stalls = plan
        .stalls
        .iter()
        .filter(move |stall| stall.0 == shard)
        .map(|(_, from, to)| (*from, *to));
    let moved = person
        .and_then(|person| person.moves)
        .map(|at| (at, at + Duration::from_millis(2_500)));
    let away = person
        .and_then(|person| person.leaves)
        .map(|at| (at, Duration::MAX / 2));
    dark.chain(stalls).chain(moved).chain(away)
}

/// How fair two viewers' shares of one link are: Jain's index, 1 is even, 0.5 is nothing for one of two.
pub fn fairness(witnesses: &[&Witness], from: Duration, to: Duration) -> f64 {
    let rates: Vec<f64> = witnesses.iter().map(|witness| witness.rate(from, to)).collect();
    let sum: f64 = rates.iter().sum();
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    sum * sum / (rates.len() as f64 * squares.max(1.0))
}
