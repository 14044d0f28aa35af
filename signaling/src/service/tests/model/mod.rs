//! The model-based test: random commands of many people and tabs, with lost connections, late sweeps and restarts, told to
//! the reference and to the real thing alike. After every step both must have answered the same, hold the same calls, and
//! have told the same people the same. What fails is shrunk to the fewest steps.

mod aftermath;
mod database;
mod memory;
mod moderation;
mod reference;
mod rows;
mod steps;
mod telling;

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};

use super::*;
use crate::calls::{At, Call};
use crate::testing::rules;

use database::{Database, Town};
use memory::Memory;
use reference::{Lie, Model, Place, Tab, Who};
use steps::Step;

const PEOPLE: usize = 5;
/// When it all begins, ms since 1970.
const T0: i64 = 1_764_936_000_000;

/// What the real thing must be able to do for the comparison.
trait World {
    fn user(&self, who: Who) -> UserId;
    fn chat(&self, chat: usize) -> ChatId;
    fn call(&self, call: usize) -> CallId;
    fn count(&self) -> usize;
    fn set_clock(&mut self, now: i64);
    /// When time changes anything next.
    fn next_due(&mut self) -> Option<i64>;
    fn sweep(&mut self);
    fn command(&mut self, actor: &Actor, command: Command) -> Result<String, ErrorCode>;
    fn observe(&mut self, seen: &Observed);
    fn restart(&mut self);
    fn calls(&mut self) -> Vec<Call>;
    /// Durable events since the last time: to whom, what.
    fn told(&mut self) -> Vec<(Who, String)>;
}

/// What the server itself sees.
#[derive(Clone, Debug)]
enum Observed {
    Socket {
        who: Actor,
        lost: bool,
    },
    Media {
        call: CallId,
        who: UserId,
        path: reference::Path,
    },
    Terminated(CallId),
    RoomFailed(CallId),
}

fn device(user: &UserId, tab: Tab) -> crate::ids::DeviceId {
    format!("{user}-t{tab}").into()
}

/// The number at the end of a name of ours.
fn number(name: &str) -> usize {
    name.chars().last().and_then(|c| c.to_digit(10)).unwrap() as usize
}

/// Two pairs, a group, an open room, and a room with a waiting list and a guest.
fn places() -> Vec<Place> {
    let place = |kind, members: &[(Who, bool)], lobby| Place {
        kind,
        members: members.iter().copied().collect(),
        lobby,
    };
    vec![
        place(ChatType::Direct, &[(0, false), (1, false)], false),
        place(ChatType::Direct, &[(1, false), (2, false)], false),
        place(ChatType::Group, &[(0, true), (1, false), (2, false), (3, false)], false),
        place(ChatType::Room, &[(1, true), (0, false), (2, false), (3, false)], false),
        place(
            ChatType::Room,
            &[(2, true), (0, false), (1, false), (3, false), (reference::GUEST, false)],
            true,
        ),
    ]
}

/// Small limits, so that they are met.
fn config() -> CallConfig {
    CallConfig {
        max_participants: 3,
        ring_max_members: 3,
        wait_ms: 100_000,
        max_duration_ms: 900_000,
        ..unlimited()
    }
}

/// A call as both sides know it.
#[derive(Debug, PartialEq)]
struct Seen {
    status: (CallStatus, Option<EndReason>),
    times: (i64, Option<i64>, Option<i64>),
    over_by: Option<Who>,
    locked: bool,
    two: bool,
    due: Option<i64>,
    people: BTreeMap<Who, SeenPerson>,
    door: BTreeMap<Who, (Tab, bool)>,
}

#[derive(Debug, PartialEq)]
struct SeenPerson {
    status: ParticipantStatus,
    tab: Option<Tab>,
    times: (Option<i64>, Option<i64>, i64),
    hand: Option<i64>,
    mutes: BTreeMap<MediaSource, Who>,
}

impl Seen {
    fn expected(model: &Model, call: usize) -> Self {
        let talk = &model.calls[call];
        let person = |p: &reference::Person| SeenPerson {
            status: p.status,
            tab: p.tab,
            times: (p.joined_at, p.left_at, p.talked),
            hand: p.hand,
            mutes: p.mutes.clone(),
        };
        Self {
            status: (talk.status, talk.reason),
            times: (talk.begun, talk.answered, talk.over),
            over_by: talk.over_by,
            locked: talk.locked,
            two: talk.two,
            due: model.due(call),
            people: talk.people.iter().map(|(who, p)| (*who, person(p))).collect(),
            door: talk.door.iter().map(|(who, k)| (*who, (k.tab, k.let_in))).collect(),
        }
    }

    fn found(call: &Call) -> Self {
        let who = |user: &UserId| number(user.as_str());
        let ms = |at: Option<At>| at.map(|at| at.0);
        let person = |p: &crate::calls::Participant| SeenPerson {
            status: p.status,
            tab: p.device.as_ref().map(|device| number(device.as_str())),
            times: (ms(p.joined_at), ms(p.left_at), p.duration_ms),
            hand: ms(p.hand_at),
            mutes: p.mutes.iter().map(|(source, by)| (*source, who(by))).collect(),
        };
        let door = call.waiting.iter();
        Self {
            status: (call.status, call.end_reason),
            times: (call.created_at.0, ms(call.started_at), ms(call.ended_at)),
            over_by: call.ended_by.as_ref().map(who),
            locked: call.locked,
            two: !call.group_rules,
            due: call.next_deadline().map(|(at, _)| at.0),
            people: call
                .participants
                .iter()
                .map(|(user, p)| (who(user), person(p)))
                .collect(),
            door: door
                .map(|(user, w)| (who(user), (number(w.device.as_str()), w.admitted)))
                .collect(),
        }
    }
}

/// Takes both through the steps; the text says where they part.
fn compare(steps: &[Step], world: &mut impl World, began: i64, lie: Option<Lie>) -> Result<(), String> {
    let mut model = Model {
        now: began,
        config: config(),
        places: places(),
        calls: Vec::new(),
        told: Vec::new(),
        lie,
    };
    world.set_clock(began);
    for (at, step) in steps.iter().enumerate() {
        let expected = telling::told_to_model(&mut model, step);
        let answered = telling::told_to_world(world, step, &model);
        let parts = |what: &str, model: &dyn std::fmt::Debug, world: &dyn std::fmt::Debug| {
            let before = &steps[..at];
            Err(format!(
                "{what} after {before:#?}\nthen {step:?}\nexpected {model:#?}\nfound    {world:#?}"
            ))
        };
        if expected.map(|answer| answer.map(str::to_owned)) != answered {
            return parts("another answer", &expected, &answered);
        }
        let calls = world.calls();
        for call in &calls {
            if let Err(rule) = call.check() {
                return parts(&rule, &"an invariant", call);
            }
        }
        let expected: Vec<_> = (0..model.calls.len())
            .map(|call| Seen::expected(&model, call))
            .collect();
        let found: Vec<_> = calls.iter().map(Seen::found).collect();
        if expected != found {
            let differs = expected.iter().zip(&found).position(|(a, b)| a != b);
            return match differs {
                Some(n) => parts(&format!("another call {n}"), &expected[n], &found[n]),
                None => parts("another number of calls", &expected.len(), &found.len()),
            };
        }
        let (mut expected, mut found) = (std::mem::take(&mut model.told), world.told());
        expected.sort();
        found.sort();
        if expected != found {
            return parts("others were told", &expected, &found);
        }
    }
    Ok(())
}

/// `RINGHALL_TEST_CASES` sets how many sequences are tried on each, for the long run.
fn runner(cases: u32) -> TestRunner {
    let wanted = std::env::var("RINGHALL_TEST_CASES").ok().and_then(|n| n.parse().ok());
    TestRunner::new(ProptestConfig {
        failure_persistence: None,
        cases: wanted.unwrap_or(cases),
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })
}

fn fail(result: Result<(), TestError<Vec<Step>>>) {
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("{} steps suffice: {why}", steps.len()),
        Err(TestError::Abort(why)) => panic!("aborted: {why}"),
    }
}

#[test]
fn the_state_machine_does_what_the_tables_say() {
    fail(runner(400).run(&steps::some(90), |steps| {
        compare(&steps, &mut Memory::new(T0), T0, None).map_err(TestCaseError::fail)
    }));
}

#[test]
fn a_reference_with_a_wrong_rule_is_contradicted_in_few_steps() {
    let lies = [
        Lie::LateDeclineEnds,
        Lie::RingsForEver,
        Lie::SecondStart,
        Lie::TalkFromRing,
        Lie::KickedMayReturn,
        Lie::GivenUpEarly,
        Lie::OtherTabsRingOn,
        Lie::AnybodyEnds,
    ];
    for lie in lies {
        let mut runner = TestRunner::new(ProptestConfig {
            failure_persistence: None,
            cases: 5_000,
            max_shrink_iters: 4_000,
            ..ProptestConfig::default()
        });
        let found = runner.run(&steps::some(60), |steps| {
            compare(&steps, &mut Memory::new(T0), T0, Some(lie)).map_err(TestCaseError::fail)
        });
        match found {
            Err(TestError::Fail(_, steps)) => assert!(steps.len() <= 8, "{lie:?}: not shrunk: {steps:#?}"),
            other => panic!("{lie:?} was not noticed: {other:?}"),
        }
    }
}

fn on_a_database(kind: Kind) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let house = runtime.block_on(House::new(kind, config()));
    let town = Town { runtime, house };
    let case = Cell::new(0);
    fail(runner(12).run(&steps::some(50), |steps| {
        case.set(case.get() + 1);
        // Later than every case before, so that none of theirs is due in the past.
        let began = T0 + case.get() * 1_000_000_000;
        let mut world = Database::new(&town, case.get(), began);
        compare(&steps, &mut world, began, None).map_err(TestCaseError::fail)?;
        world.finish();
        let tables = town.runtime.block_on(rules::tables(town.house.store()));
        tables.map_err(TestCaseError::fail)
    }));
    let records = town.runtime.block_on(rules::records(town.house.store()));
    assert!(records.unwrap() > 0, "no call was ever made");
}

#[test]
fn the_service_does_what_the_tables_say_on_sqlite() {
    on_a_database(Kind::Sqlite);
}

#[test]
fn the_service_does_what_the_tables_say_on_postgres() {
    on_a_database(Kind::Postgres);
}
