//! The whole signaling side in a simulation: the real application, its service and a real database behind connections that
//! are made of nothing but decisions of one seed. Frames wait until a roll of the dice delivers them; connections are cut,
//! with the server noticing at once or much later, so that what an old connection still carries arrives after what a new
//! one has brought; commands are sent again. Whatever happened, in the end every tab has seen every durable event once and
//! in order, shows what a new page would show, and everything was done once.
//!
//! `RINGHALL_TEST_SEED` and `RINGHALL_TEST_DECISIONS` change the run. What follows from the seed are the decisions; how the
//! database's threads interleave with them does not.

mod house;
mod network;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use crate::ids::{CallId, CommandId};
use crate::protocol::*;
use crate::service::Service;
use crate::testing::{Kind, rules};

use house::{House, PEOPLE};
use network::Network;

const SOON: Duration = Duration::from_secs(60);

fn number(variable: &str, otherwise: u64) -> u64 {
    let wanted = std::env::var(variable).ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    pub(super) fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        (!items.is_empty()).then(|| &items[self.roll(items.len())])
    }
}

/// What a tab asks for next: mostly what makes sense there.
fn a_command(house: &House, network: &Network, at: usize, known: &[CallId], dice: &mut Dice, number: u64) -> Command {
    let tab = &network.tabs[at].tab;
    let chats: Vec<_> = tab.live.keys().cloned().collect();
    let chat_id = dice.of(&chats).unwrap_or(&house.chats[0]).clone();
    let seat = tab.live.values().flatten().find(|call| call.my_device.is_some());
    let leave = seat.map(|call| call.call_id.clone());
    let live = tab.live.values().flatten().map(|call| call.call_id.clone());
    let mut calls: Vec<CallId> = tab.rings.iter().cloned().chain(live).collect();
    if calls.is_empty() || dice.roll(8) == 0 {
        calls.extend(known.iter().rev().take(6).cloned());
    }
    let call_id = dice.of(&calls).cloned().unwrap_or_else(|| "nothing".into());
    let this = |call_id: CallId| CallRef { call_id };
    let join = JoinCall {
        call_id: call_id.clone(),
        takeover: dice.roll(3) == 0,
        wait: false,
        leave: leave.clone(),
    };
    match dice.roll(22) {
        0..7 => Command::SendMessage(SendMessage {
            chat_id,
            content: format!("text {number}"),
            call_id: None,
        }),
        7..12 => Command::StartCall(StartCall {
            chat_id,
            call_type: CallType::Audio,
            invitees: None,
            leave,
        }),
        12..15 => Command::AcceptCall(join),
        15 => Command::JoinCall(join),
        16 => Command::RejectCall(RejectCall {
            call_id,
            reason: RejectReason::Declined,
        }),
        17 => Command::RingAck(this(call_id)),
        18 | 19 => Command::LeaveCall(this(leave.unwrap_or(call_id))),
        20 => Command::MarkCallsSeen(MarkCallsSeen { up_to: None }),
        _ => Command::EndCall(this(leave.unwrap_or(call_id))),
    }
}

/// Everything so far, by command: what was asked.
type Asked = BTreeMap<CommandId, (usize, Command)>;

async fn decide(house: &House, network: &mut Network, dice: &mut Dice, asked: &mut Asked, known: &mut Vec<CallId>) {
    let at = dice.roll(network.tabs.len());
    match dice.roll(100) {
        0..22 => {
            if network.tabs[at].tab.pending.len() < 4 {
                let number = asked.len() as u64;
                let command = a_command(house, network, at, known, dice, number);
                let id = CommandId(format!("c{number}"));
                network.ask(at, id.clone(), &command);
                asked.insert(id, (at, command));
            }
        }
        22..25 => {
            // Again what was asked before, answered or not, by the same id.
            let mine: Vec<_> = asked
                .iter()
                .filter(|(_, (who, _))| *who == at)
                .map(|(id, _)| id.clone())
                .collect();
            if let Some(id) = dice.of(&mine) {
                network.ask_again(at, id, &asked[id].1);
            }
        }
        25..50 => network.deliver_up(dice),
        50..85 => network.deliver_down(dice),
        85..88 => network.cut(at, dice.roll(2) == 0),
        88..90 => network.lay_a_ghost(dice),
        90..96 => network.connect(house, at),
        96 => {
            house.service.set_forward(dice.roll(20_000) as i64);
            house.service.sweep().await.unwrap();
        }
        _ => tokio::time::sleep(Duration::from_millis(dice.roll(3) as u64)).await,
    }
    tokio::task::yield_now().await;
    for answer in network.tabs[at].tab.answers.values().flatten() {
        if let Some(call) = answer["callId"].as_str()
            && answer["outcome"] == "created"
            && !known.iter().any(|known| known.as_str() == call)
        {
            known.push(call.into());
        }
    }
}

/// No more losses: everybody connects, everything is delivered.
async fn calm_down(house: &House, network: &mut Network, dice: &mut Dice) {
    network.lay_all_ghosts();
    let settled = async {
        loop {
            for at in 0..network.tabs.len() {
                network.connect(house, at);
            }
            network.deliver_all(dice);
            tokio::time::sleep(Duration::from_millis(1)).await;
            if let Ok(()) = same_as_new(house, network).await {
                return;
            }
        }
    };
    if tokio::time::timeout(SOON, settled).await.is_err() {
        panic!("{}", same_as_new(house, network).await.unwrap_err());
    }
}

/// Every tab shows what a page that is opened now would show.
async fn same_as_new(house: &House, network: &Network) -> Result<(), String> {
    for end in &network.tabs {
        let tab = &end.tab;
        if !tab.pending.is_empty() {
            return Err(format!("{} waits for {:?}", tab.device, tab.pending));
        }
        let newest = house.service.last_seq(&tab.user).await.unwrap();
        if tab.seq() != newest {
            return Err(format!("{} has seen {} of {newest}", tab.device, tab.seq()));
        }
        let fresh = house.service.snapshot(&tab.user, &|_| Vec::new()).await.unwrap();
        let rings = fresh.incoming.into_iter().map(|ring| ring.call_id).collect();
        let live: BTreeMap<_, _> = fresh
            .chats
            .into_iter()
            .map(|chat| (chat.id, chat.active_call))
            .collect();
        let shown = (&tab.rings, &tab.live, tab.missed);
        let new = (&rings, &live, fresh.missed_calls);
        if shown != new {
            return Err(format!("{} shows {shown:#?}, a new page {new:#?}", tab.device));
        }
    }
    Ok(())
}

/// Each command that was answered was carried out once.
async fn once(service: &Service, network: &Network, asked: &Asked) {
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    let mut created = Vec::new();
    for end in &network.tabs {
        for chat in end.tab.live.keys() {
            for message in service
                .store()
                .messages(&end.tab.user, chat, None, 100_000)
                .await
                .unwrap()
            {
                // Each is read by as many tabs as there are in the chat.
                said.insert(format!("{} {}", message.id, message.content), 1);
            }
        }
    }
    let mut texts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in said.keys() {
        let text = line.split_once(' ').map_or("", |(_, text)| text);
        *texts.entry(text).or_default() += 1;
    }
    let mut done = 0;
    for (id, (at, command)) in asked {
        let answer = &network.tabs[*at].tab.answers[id];
        done += usize::from(answer.is_ok());
        match (command, answer) {
            (Command::SendMessage(message), answer) => {
                let times = texts.get(message.content.as_str()).copied().unwrap_or(0);
                assert_eq!(times, usize::from(answer.is_ok()), "{id} {message:?} {answer:?}");
            }
            (Command::StartCall(_), Ok(Json::Object(d))) if d["outcome"] == "created" => {
                created.push(d["callId"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    let mut calls: Vec<String> = service
        .store()
        .calls(None, 100_000)
        .await
        .unwrap()
        .into_iter()
        .map(|c| c.id.0)
        .collect();
    calls.sort();
    created.sort();
    assert_eq!(calls, created);
    let repeated: u64 = network.tabs.iter().map(|end| end.tab.repeated).sum();
    let snapshots: u64 = network.tabs.iter().map(|end| end.tab.snapshots).sum();
    println!(
        "{} commands ({done} carried out), {} calls, {} connections, {repeated} events came twice, {snapshots} snapshots",
        asked.len(),
        calls.len(),
        network.connections
    );
    assert!(
        done * 3 > asked.len(),
        "hardly anything was carried out: {done} of {}",
        asked.len()
    );
    assert!(network.connections > 3 * network.tabs.len(), "hardly anything was cut");
}

async fn run(kind: Kind, seed: u64, decisions: u64) {
    println!("seed {seed}");
    let house = House::new(kind).await;
    let (mut network, mut dice) = (Network::new(&house), Dice(seed));
    let (mut asked, mut known) = (Asked::new(), Vec::new());
    for at in 0..network.tabs.len() {
        network.connect(&house, at);
    }
    for n in 0..decisions {
        decide(&house, &mut network, &mut dice, &mut asked, &mut known).await;
        if n % 2_000 == 1_999 {
            rules::tables(house.service.store()).await.unwrap();
        }
    }
    calm_down(&house, &mut network, &mut dice).await;
    assert_eq!(network.tabs.len(), 2 * PEOPLE);
    rules::tables(house.service.store()).await.unwrap();
    rules::records(house.service.store()).await.unwrap();
    once(&house.service, &network, &asked).await;
    house.end();
}

#[tokio::test]
async fn every_tab_ends_with_the_truth_over_connections_that_drop_repeat_and_reorder_on_sqlite() {
    let seed = number("RINGHALL_TEST_SEED", 0x5eed);
    run(Kind::Sqlite, seed, number("RINGHALL_TEST_DECISIONS", 6_000)).await;
}

#[tokio::test]
async fn every_tab_ends_with_the_truth_over_connections_that_drop_repeat_and_reorder_on_postgres() {
    let seed = number("RINGHALL_TEST_SEED", 0x5eed) + 1;
    run(Kind::Postgres, seed, number("RINGHALL_TEST_DECISIONS", 6_000)).await;
}
