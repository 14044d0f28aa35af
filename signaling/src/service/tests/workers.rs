//! Many workers at once, at random, on a real database: whatever wins its race, the tables keep every rule, and the record
//! of every call is a life that a call can have.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use tokio::sync::watch;

use super::*;
use crate::service::Link;
use crate::testing::rules;
use crate::testing::tab::lasting;

const WORKERS: usize = 40;
const PEOPLE: usize = 24;
/// Looks at all tables while the workers go on.
const LOOKS: usize = 10;

/// How many commands; `make test-long` runs 100,000 on each database.
fn commands() -> usize {
    let wanted = std::env::var("RINGHALL_TEST_COMMANDS").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(3_000)
}

/// Every roll of a run follows from its seed (RINGHALL_TEST_SEED); what the workers' races add does not.
fn seed() -> u64 {
    let wanted = std::env::var("RINGHALL_TEST_SEED").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(0x5eed)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.roll(items.len())]
    }
}

/// What the workers share: where they may go, and the calls they have heard of.
struct World {
    house: House,
    chats: Vec<(ChatId, Vec<usize>)>,
    /// Each with the place of its chat in `chats`.
    calls: Mutex<Vec<(CallId, usize)>>,
    done: AtomicUsize,
    unavailable: AtomicUsize,
}

impl World {
    async fn new(house: House) -> Self {
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            people.push(house.person(&format!("p{n}")).await);
        }
        let mut chats = Vec::new();
        for n in 0..PEOPLE / 2 {
            let other = PEOPLE - 1 - n;
            chats.push((house.direct(&people[n], &people[other]).await, vec![n, other]));
        }
        for n in 0..6 {
            let members: Vec<usize> = (0..5 + n).map(|k| (n * 3 + k * 2) % PEOPLE).collect();
            let group = house
                .group(&members.iter().map(|k| &people[*k]).collect::<Vec<_>>())
                .await;
            chats.push((group, members));
        }
        for name in ["one", "two"] {
            let room = house.store().ensure_room(name).await.unwrap();
            for person in &people[..8] {
                house
                    .store()
                    .add_member(&room, &person.user, ChatRole::Member)
                    .await
                    .unwrap();
            }
            chats.push((room, (0..8).collect()));
        }
        Self {
            house,
            chats,
            calls: Mutex::default(),
            done: AtomicUsize::new(0),
            unavailable: AtomicUsize::new(0),
        }
    }

    fn a_call(&self, dice: &mut Dice) -> (CallId, usize) {
        let calls = self.calls.lock().unwrap();
        match calls.len() {
            0 => ("nothing".into(), 0),
            // Mostly those that may still live.
            n => {
                let recent = if dice.roll(20) == 0 { n } else { n.min(12) };
                calls[n - 1 - dice.roll(recent)].clone()
            }
        }
    }

    /// What somebody does, mostly where they belong.
    fn a_command(&self, dice: &mut Dice) -> (Actor, Command) {
        let (call_id, at) = self.a_call(dice);
        let starting = dice.roll(100) < 30;
        let at = if starting { dice.roll(self.chats.len()) } else { at };
        let (chat_id, members) = &self.chats[at];
        let anybody = |dice: &mut Dice| match dice.roll(8) {
            0 => dice.roll(PEOPLE),
            _ => *dice.of(members),
        };
        let (who, whom) = (anybody(dice), anybody(dice));
        let actor = tab(&format!("p{who}"), u32::try_from(dice.roll(2)).unwrap());
        let user_id: UserId = format!("p{whom}").into();
        let chat_id = chat_id.clone();
        let this = || CallRef {
            call_id: call_id.clone(),
        };
        let somebody = || CallUser {
            call_id: call_id.clone(),
            user_id: user_id.clone(),
        };
        let leave = (dice.roll(3) == 0).then(|| self.a_call(dice).0);
        let entering = JoinCall {
            takeover: dice.roll(4) == 0,
            leave: leave.clone(),
            ..joining(&call_id)
        };
        let roll = if starting { dice.roll(22) } else { 22 + dice.roll(78) };
        let command = match roll {
            0..22 => {
                let invitees = (dice.roll(8) == 0).then(|| vec![user_id.clone()]);
                let call_type = if dice.roll(2) == 0 {
                    CallType::Audio
                } else {
                    CallType::Video
                };
                Command::StartCall(StartCall {
                    chat_id,
                    call_type,
                    invitees,
                    leave,
                })
            }
            22..38 => Command::AcceptCall(entering),
            38..50 => Command::JoinCall(entering),
            50..56 => {
                let reason = *dice.of(&[RejectReason::Declined, RejectReason::Busy, RejectReason::Timeout]);
                Command::RejectCall(RejectCall { call_id, reason })
            }
            56..68 => Command::LeaveCall(this()),
            68..73 => Command::EndCall(this()),
            73..78 => Command::RingAck(this()),
            78..82 => Command::Invite(somebody()),
            82..84 => Command::Kick(somebody()),
            84 => Command::Lock(this()),
            85..87 => Command::Unlock(this()),
            87 => Command::Admit(somebody()),
            88 => Command::Mute(Mute {
                call_id,
                user_id: Some(user_id),
                source: MediaSource::Mic,
            }),
            89 => Command::RaiseHand(this()),
            90..97 => {
                let call_id = (dice.roll(3) == 0).then_some(call_id);
                Command::SendMessage(SendMessage {
                    chat_id,
                    content: "text".into(),
                    call_id,
                })
            }
            97 => Command::MarkRead(MarkRead { chat_id, up_to: None }),
            98 => Command::MarkCallsSeen(MarkCallsSeen { up_to: None }),
            _ => Command::EndCall(CallRef {
                call_id: "foreign".into(),
            }),
        };
        (actor, command)
    }

    /// One worker: any tab of anybody, anything at all, now and then twice.
    async fn work(&self, number: usize, steps: usize) {
        let mut dice = Dice(seed() ^ (number as u64) << 32);
        for step in 0..steps {
            let actor = tab(&format!("p{}", dice.roll(PEOPLE)), u32::try_from(dice.roll(2)).unwrap());
            match dice.roll(12) {
                0 => {
                    let link = if dice.roll(2) == 0 { Link::Socket } else { Link::Media };
                    let seen = match dice.roll(2) {
                        0 => self.house.service.seat_lost(&actor, link).await,
                        _ => self.house.service.seat_back(&actor, link).await,
                    };
                    self.count(seen.err().map(WireError::from), "seat");
                    continue;
                }
                1 => {
                    let (call, _) = self.a_call(&mut dice);
                    let seen = self.house.service.media_connected(&call, &actor.user).await;
                    self.count(seen.err().map(WireError::from), "media");
                    continue;
                }
                _ => {}
            }
            let id = format!("{number}.{step}").into();
            let (actor, command) = self.a_command(&mut dice);
            let first = self.house.service.command(&actor, &id, command.clone()).await;
            if let Ok(done) = &first
                && done["outcome"] == "created"
            {
                let chat = done["chatId"].as_str().unwrap();
                let at = self.chats.iter().position(|(id, _)| id.as_str() == chat).unwrap();
                let call = done["callId"].as_str().unwrap().into();
                self.calls.lock().unwrap().push((call, at));
            }
            if dice.roll(15) == 0 && lasting(&first) {
                let again = self.house.service.command(&actor, &id, command.clone()).await;
                if again
                    .as_ref()
                    .err()
                    .is_none_or(|error| error.code != ErrorCode::Unavailable)
                {
                    assert_eq!(again, first, "a repeat is answered from the store: {command:?}");
                }
            }
            self.count(first.err(), &format!("{command:?}"));
            let done = self.done.load(Ordering::Relaxed);
            if done.is_multiple_of(commands() / LOOKS) {
                rules::tables(self.house.store()).await.unwrap();
            }
        }
    }

    fn count(&self, error: Option<WireError>, what: &str) {
        self.done.fetch_add(1, Ordering::Relaxed);
        match error.map(|error| error.code) {
            Some(ErrorCode::Internal) => panic!("{what}: a defect"),
            Some(ErrorCode::Unavailable) => drop(self.unavailable.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }
}

fn joining(call: &CallId) -> JoinCall {
    match join(call) {
        Command::JoinCall(join) => join,
        other => panic!("{other:?}"),
    }
}

/// Periods short enough that time takes part in the races.
fn hasty() -> CallConfig {
    CallConfig {
        ring_ms: 400,
        rejoin_ms: 300,
        caller_lost_ms: 100,
        media_connect_ms: 700,
        alone_ask_ms: 200,
        alone_end_ms: 600,
        max_duration_ms: 4_000,
        ..unlimited()
    }
}

both! {
    async fn forty_workers_in_random_races_break_no_rule(house: House, CallConfig { ..hasty() }) {
        let world = Arc::new(World::new(house).await);
        let (stop, stopped) = watch::channel(false);
        let sweeping = tokio::spawn(world.house.service.clone().run(stopped));
        let (begun, total) = (Instant::now(), commands());
        let workers = (0..WORKERS).map(|number| {
            let world = world.clone();
            tokio::spawn(async move { world.work(number, total.div_ceil(WORKERS)).await })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let (took, done) = (begun.elapsed(), world.done.load(Ordering::Relaxed));
        rules::tables(world.house.store()).await.unwrap();
        stop.send_replace(true);
        sweeping.await.unwrap();
        let calls = rules::records(world.house.store()).await.unwrap();
        let unavailable = world.unavailable.load(Ordering::Relaxed);
        println!(
            "{done} commands of {WORKERS} workers in {:.1} s: {:.0} a second; {calls} calls; {unavailable} answered UNAVAILABLE",
            took.as_secs_f64(),
            done as f64 / took.as_secs_f64()
        );
        assert!(calls > total / 80, "too few calls to have raced: {calls}");
        assert!(unavailable * 100 <= done, "{unavailable} of {done} were not carried out");
    }
}
