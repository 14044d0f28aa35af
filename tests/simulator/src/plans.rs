//! The plans.

use std::time::Duration;

use link_model::{LinkConfig, Loss, Schedule};

use crate::plan::{Person, Plan};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn clean(kbit: u64) -> LinkConfig {
    LinkConfig::clean(Schedule::constant(kbit * 1_000), 300 * MS)
}

fn steps(first: u64, at: Duration, then: u64) -> LinkConfig {
    let mut link = LinkConfig::clean(
        Schedule::steps(&[(Duration::ZERO, first * 1_000), (at, then * 1_000)]),
        300 * MS,
    );
    link.buffer = (first.min(then) * 1_000) as usize * 3 / 80;
    link
}

/// Three publishers and a viewer of all, with a large tile and two small ones, behind this link.
pub fn one_viewer(name: &'static str, seed: u64, seconds: u64, link: LinkConfig) -> Plan {
    let mut people: Vec<Person> = (0..3).map(|_| Person::on_lan(1)).collect();
    let mut viewer = Person::viewer(1, &[720, 360, 360], link);
    viewer.joins = SECOND;
    people.push(viewer);
    Plan::quiet(name, seed, seconds, people)
}

/// A bottleneck of so many kbit/s with 300 ms of buffer.
pub fn bottleneck(seed: u64, kbit: u64) -> Plan {
    one_viewer("bottleneck", seed, 30, clean(kbit))
}

/// From 0.3 to 2.5 Mbit/s after 15 s.
pub fn up(seed: u64) -> Plan {
    one_viewer("up", seed, 30, steps(300, 15 * SECOND, 2_500))
}

/// From 2 to 0.5 Mbit/s after 15 s.
pub fn down(seed: u64) -> Plan {
    one_viewer("down", seed, 30, steps(2_000, 15 * SECOND, 500))
}

/// Random loss on a wide link, both ways for the publishers' viewer.
pub fn lossy(seed: u64, loss: Loss) -> Plan {
    let mut link = clean(20_000);
    link.loss = loss;
    one_viewer("loss", seed, 20, link)
}

/// Jitter of 30 ms with reordering.
pub fn shaky(seed: u64) -> Plan {
    let mut link = clean(20_000);
    (link.jitter, link.reorder, link.duplicate) = (30 * MS, 0.02, 0.01);
    one_viewer("jitter", seed, 20, link)
}

/// A viewer whose address changes after 10 s.
pub fn moving(seed: u64) -> Plan {
    let mut plan = one_viewer("address", seed, 20, clean(20_000));
    plan.people[3].moves = Some(10 * SECOND);
    plan
}

/// Two viewers that share 2 Mbit/s; the second comes 5 s later.
pub fn shared(seed: u64) -> Plan {
    let mut plan = one_viewer("shared", seed, 40, clean(2_000));
    plan.shared = vec![clean(2_000)];
    let mut second = plan.people[3].clone();
    second.joins = 6 * SECOND;
    plan.people.push(second);
    for viewer in &mut plan.people[3..] {
        viewer.shared = Some(0);
    }
    plan
}

/// A viewer of one picture falls from 1 Mbit/s to 400 kbit/s after 10 s; key frames are large.
pub fn small_with_large_key_frames(seed: u64, key_size: usize) -> Plan {
    let mut publisher = Person::on_lan(1);
    publisher.key_size = key_size;
    let mut viewer = Person::viewer(1, &[720], steps(1_000, 10 * SECOND, 400));
    viewer.joins = SECOND;
    Plan::quiet("small", seed, 40, vec![publisher, viewer])
}

/// A viewer of one picture on a wide link, which becomes narrow when the layers that nobody watched have long been switched off.
pub fn late(seed: u64) -> Plan {
    let mut viewer = Person::viewer(1, &[720], steps(5_000, 15 * SECOND, 1_000));
    viewer.joins = SECOND;
    Plan::quiet("late", seed, 40, vec![Person::on_lan(1), viewer])
}

/// So many people on Wi-Fi in one room, one in ten of them on bad cellular; everybody sees up to 25 small tiles.
pub fn crowd(seed: u64, people: usize, seconds: u64) -> Plan {
    let person = |at: usize| {
        let mut person = Person::on_lan(1);
        person.speaks = at.is_multiple_of(12);
        person.tiles = vec![180; 25.min(people - 1)];
        person.joins = MS * (at * 2_000 / people) as u32;
        let wifi = |link: &mut LinkConfig| {
            (link.jitter, link.loss) = (5 * MS, Loss::Random(0.001));
        };
        wifi(&mut person.up);
        wifi(&mut person.down);
        if at % 10 == 9 {
            person.down = LinkConfig {
                jitter: 30 * MS,
                loss: Loss::Bursty {
                    enter: 0.005,
                    leave: 0.2,
                },
                ..clean(800)
            };
            person.excused = true;
        }
        person
    };
    Plan::quiet("crowd", seed, seconds, (0..people).map(person).collect())
}

/// A room in two shards of which one stands still for 500 ms.
pub fn stall(seed: u64) -> Plan {
    let mut plan = crowd(seed, 8, 20);
    plan.name = "stall";
    plan.shards = 2;
    for (at, person) in plan.people.iter_mut().enumerate() {
        person.shard = (at % 2) as u8;
    }
    plan.stalls = vec![(1, 10 * SECOND, 10 * SECOND + 500 * MS)];
    plan
}

/// A third of a room is cut off for 30 s.
pub fn partition(seed: u64) -> Plan {
    let mut plan = crowd(seed, 9, 60);
    plan.name = "partition";
    for person in plan.people.iter_mut().step_by(3) {
        person.up.dark = vec![(10 * SECOND, 40 * SECOND)];
        person.down.dark = person.up.dark.clone();
    }
    plan
}

/// Signaling goes away for 3 s, and somebody comes meanwhile.
pub fn restart(seed: u64) -> Plan {
    let mut plan = crowd(seed, 6, 20);
    plan.name = "restart";
    plan.away = Some((8 * SECOND, 11 * SECOND));
    plan.people[5].joins = 9 * SECOND;
    plan
}
