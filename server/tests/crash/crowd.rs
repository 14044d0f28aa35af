//! Six people in two tabs each, who ring, answer, decline, leave and write without a pause, whatever becomes of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use signaling::ids::{CallId, ChatId, CommandId};
use signaling::protocol::{
    CallRef, CallType, Command, ErrorCode, JoinCall, RejectCall, RejectReason, SendMessage, StartCall,
};
use signaling::testing::{rules, tab::Answer};

use crate::process::Server;
use crate::tab::Page;
use crate::{Dice, SOON, eventually};

/// What somebody did in the whole run: each command with what came back.
type Deeds = Vec<(CommandId, Command, Answer)>;

struct Actor {
    page: Page,
    chats: Vec<ChatId>,
    dice: Dice,
    /// Calls that anybody has heard of.
    known: Arc<Mutex<Vec<CallId>>>,
    deeds: Deeds,
    stop: Arc<AtomicBool>,
    answered: Arc<Mutex<u64>>,
}

fn call(id: CallId) -> CallRef {
    CallRef { call_id: id }
}

impl Actor {
    fn a_call(&mut self) -> CallId {
        let mine = self.page.tab.live.values().flatten().map(|call| call.call_id.clone());
        let mut calls: Vec<CallId> = self.page.tab.rings.iter().cloned().chain(mine).collect();
        if calls.is_empty() || self.dice.roll(8) == 0 {
            calls.extend(self.known.lock().unwrap().iter().rev().take(6).cloned());
        }
        self.dice.of(&calls).cloned().unwrap_or_else(|| "nothing".into())
    }

    fn a_command(&mut self) -> Command {
        let chat_id = self.dice.of(&self.chats).unwrap().clone();
        let seat = self
            .page
            .tab
            .live
            .values()
            .flatten()
            .find(|call| call.my_device.is_some());
        let leave = seat.map(|call| call.call_id.clone());
        let call_id = self.a_call();
        let join = JoinCall {
            call_id: call_id.clone(),
            takeover: self.dice.roll(3) == 0,
            wait: false,
            leave: leave.clone(),
        };
        match self.dice.roll(20) {
            0..6 => Command::SendMessage(SendMessage {
                chat_id,
                content: format!("{} {}", self.page.tab.device, self.deeds.len()),
                call_id: None,
            }),
            6..11 => Command::StartCall(StartCall {
                chat_id,
                call_type: CallType::Audio,
                invitees: None,
                leave,
            }),
            11..14 => Command::AcceptCall(join),
            14 => Command::JoinCall(join),
            15 => Command::RejectCall(RejectCall {
                call_id,
                reason: RejectReason::Declined,
            }),
            16 => Command::RingAck(call(call_id)),
            17 | 18 => Command::LeaveCall(call(leave.unwrap_or(call_id))),
            _ => Command::EndCall(call(leave.unwrap_or(call_id))),
        }
    }

    /// One command after the other, each until it is answered.
    async fn act(mut self) -> (Page, Deeds) {
        while !self.stop.load(Ordering::Relaxed) {
            if self.dice.roll(40) == 0 {
                self.page.cut(); // now and then the network goes, too
            }
            let command = self.a_command();
            let id = self.page.say(&command).await;
            self.page.until("an answer", |tab| tab.answers.contains_key(&id)).await;
            let answer = self.page.tab.answers[&id].clone();
            if let Ok(done) = &answer
                && done["outcome"] == "created"
            {
                let created = done["callId"].as_str().unwrap().into();
                self.known.lock().unwrap().push(created);
            }
            *self.answered.lock().unwrap() += 1;
            self.deeds.push((id, command, answer));
        }
        (self.page, self.deeds)
    }
}

/// What a run has left behind.
pub(crate) struct Outcome {
    pub(crate) pages: Vec<Page>,
    pub(crate) deeds: Vec<Deeds>,
}

/// Lets the crowd loose, kills the server so often, and brings it back each time.
pub(crate) async fn run(server: &mut Server, kills: u64, dice: &mut Dice) -> Outcome {
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(0)));
    let known = Arc::default();
    let mut tasks = Vec::new();
    for person in 0..server.people.len() {
        for tab in 0..2 {
            let chats = server.chats.iter().filter(|(_, members)| members.contains(&person));
            let device = format!("p{person}-{tab}");
            let actor = Actor {
                chats: chats.map(|(chat, _)| chat.clone()).collect(),
                page: Page::new(server.address, server.token(person), &server.people[person], &device),
                dice: Dice::new(100 + (person * 2 + tab) as u64),
                known: Arc::clone(&known),
                deeds: Vec::new(),
                stop: stop.clone(),
                answered: answered.clone(),
            };
            tasks.push(tokio::spawn(actor.act()));
        }
    }
    for _ in 0..kills {
        let before = *answered.lock().unwrap();
        eventually("commands are answered", || async {
            *answered.lock().unwrap() > before + 60
        })
        .await;
        // Any instant of any command.
        tokio::time::sleep(Duration::from_micros(dice.roll(40_000) as u64)).await;
        server.kill();
        server.again().await;
    }
    let before = *answered.lock().unwrap();
    eventually("commands are answered", || async {
        *answered.lock().unwrap() > before + 60
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let mut outcome = Outcome {
        pages: Vec::new(),
        deeds: Vec::new(),
    };
    for task in tasks {
        let (page, deeds) = tokio::time::timeout(SOON, task).await.expect("a tab hangs").unwrap();
        outcome.pages.push(page);
        outcome.deeds.push(deeds);
    }
    outcome
}

/// Everything that was answered is on record, once; everything else was refused.
pub(crate) async fn on_record(server: &Server, outcome: &Outcome) {
    rules::tables(&server.store).await.unwrap();
    let records = rules::records(&server.store).await.unwrap();
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for (chat, members) in &server.chats {
        let reader = &server.people[members[0]];
        for message in server.store.messages(reader, chat, None, 100_000).await.unwrap() {
            *said.entry(message.content).or_default() += 1;
        }
    }
    let mut created = BTreeSet::new();
    let mut answered = 0;
    for (_, command, answer) in outcome.deeds.iter().flatten() {
        answered += 1;
        match (command, answer) {
            (Command::SendMessage(message), answer) => {
                let times = said.remove(&message.content).unwrap_or(0);
                // An answer may be that the outcome is not known: then it is there once, or not at all.
                let unknown = answer.as_ref().is_err_and(|error| error.code == ErrorCode::Unavailable);
                let fits = times == usize::from(answer.is_ok()) || (unknown && times == 1);
                assert!(fits, "{times} times {message:?} {answer:?}");
            }
            (Command::StartCall(_), Ok(done)) if done["outcome"] == "created" => {
                created.insert(done["callId"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    said.remove(""); // those of calls
    assert!(said.is_empty(), "nobody was told that these were sent: {said:?}");
    let calls = server.store.calls(None, 100_000).await.unwrap();
    let calls: BTreeSet<String> = calls.into_iter().map(|call| call.id.0).collect();
    assert_eq!(
        calls, created,
        "every call was answered for, and every answer has its call"
    );
    assert_eq!(records, calls.len());
    println!("{answered} commands answered, {records} calls");
}

/// Every tab has seen what the outbox of its person holds since its last snapshot, in order, and shows what a new page
/// would.
pub(crate) async fn seen(server: &Server, outcome: &mut Outcome) {
    for page in &mut outcome.pages {
        let user = page.tab.user.clone();
        let newest = server.reader.last_seq(&user).await.unwrap();
        page.until("the newest event", |tab| tab.seq() >= newest).await;
        let from = page.tab.events.first().map_or(newest, |first| first.seq - 1);
        let kept = server.reader.events_after(&user, from, 1_000_000).await.unwrap();
        let names = |events: &[signaling::protocol::Event]| -> Vec<(u64, String)> {
            events.iter().map(|event| (event.seq, event.op.clone())).collect()
        };
        let until = page.tab.seq();
        let kept: Vec<_> = names(&kept).into_iter().filter(|(seq, _)| *seq <= until).collect();
        assert_eq!(names(&page.tab.events), kept, "{}", page.tab.device);
    }
}

/// The same commands once more, by the same ids: the stored results, and nothing happens.
pub(crate) async fn once_more(server: &Server, outcome: &mut Outcome) {
    let before = (
        server.store.calls(None, 100_000).await.unwrap().len(),
        events(server).await,
    );
    for (page, deeds) in outcome.pages.iter_mut().zip(&outcome.deeds) {
        let done: Vec<_> = deeds
            .iter()
            .filter(|(_, _, answer)| answer.is_ok())
            .rev()
            .take(40)
            .collect();
        for (id, command, answer) in done {
            page.tab.answers.remove(id);
            page.say_again(id, command).await;
            page.until("an answer", |tab| tab.answers.contains_key(id)).await;
            let again = &page.tab.answers[id];
            assert_eq!(fixed(again), fixed(answer), "{id} {command:?}");
        }
    }
    let after = (
        server.store.calls(None, 100_000).await.unwrap().len(),
        events(server).await,
    );
    assert_eq!(before.0, after.0, "a repeat made a call");
    assert!(before.1 <= after.1, "events were lost");
}

fn fixed(answer: &Answer) -> Result<&Json, ()> {
    answer.as_ref().map_err(|_| ())
}

async fn events(server: &Server) -> u64 {
    let mut sum = 0;
    for user in &server.people {
        sum += server.reader.last_seq(user).await.unwrap();
    }
    sum
}

/// Every tab is closed: time alone ends what is left.
pub(crate) async fn over(server: &Server, outcome: Outcome) {
    drop(outcome);
    eventually("every call has ended", || async {
        let calls = server.store.calls(None, 100_000).await.unwrap();
        calls.iter().all(|call| call.ended_at_ms.is_some())
    })
    .await;
    rules::tables(&server.store).await.unwrap();
    rules::records(&server.store).await.unwrap();
}
