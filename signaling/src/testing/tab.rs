//! A tab as the protocol wants it, without a socket: what it says, what it has seen, and what it would show. Tests bring the
//! network, and may lose, repeat and delay whatever passes through it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::ids::{CallId, ChatId, CommandId, DeviceId, UserId};
use crate::protocol::{
    ActiveCall, ClientFrame, Command, Event, EventBody, Hello, Realtime, RealtimeBody, Request, Response, Resume,
    ServerFrame, Snapshot, WireError,
};

/// The answer to a command.
pub type Answer = Result<Json, WireError>;

/// Whether it is the answer for good: a repeat of the command gets the same.
pub fn lasting(answer: &Answer) -> bool {
    answer.as_ref().map_or_else(WireError::lasting, |_| true)
}

/// One tab of one person, over all its connections.
#[derive(Debug)]
pub struct Tab {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// Commands without an answer, in the order in which they were given.
    pub pending: Vec<Request>,
    /// Every answer, by the command's id.
    pub answers: BTreeMap<CommandId, Answer>,
    /// Durable events since the last snapshot, each once.
    pub events: Vec<Event>,
    /// Events that came again and were dropped.
    pub repeated: u64,
    /// Snapshots so far.
    pub snapshots: u64,
    /// Calls that ring here.
    pub rings: BTreeSet<CallId>,
    /// The live call of each chat.
    pub live: BTreeMap<ChatId, Option<ActiveCall>>,
    /// Missed calls that were not seen.
    pub missed: u32,
    resume: Option<Resume>,
    /// A snapshot is due before any other event.
    wants_snapshot: bool,
}

impl Tab {
    /// A page that was just opened.
    pub fn new(user: UserId, device: DeviceId) -> Self {
        Self {
            user,
            device,
            pending: Vec::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            repeated: 0,
            snapshots: 0,
            rings: BTreeSet::new(),
            live: BTreeMap::new(),
            missed: 0,
            resume: None,
            wants_snapshot: false,
        }
    }

    /// What it says first on every connection.
    pub fn hello(&self, token: String) -> ClientFrame {
        ClientFrame::Hello(Hello {
            token,
            device: self.device.clone(),
            // A replay instead of the snapshot that has not come would leave out all that it says.
            resume: self.resume.clone().filter(|_| !self.wants_snapshot),
            lang: None,
        })
    }

    /// A new command; it stays pending until it is answered, over any number of connections.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn command(&mut self, id: CommandId, command: &Command) -> Result<ClientFrame, String> {
        let value = serde_json::to_value(command).map_err(|error| error.to_string())?;
        let request = Request {
            id,
            op: value["op"].as_str().unwrap_or_default().to_owned(),
            d: value["d"].clone(),
        };
        self.pending.push(request.clone());
        Ok(ClientFrame::Req(request))
    }

    /// What is said again after a welcome.
    pub fn repeats(&self) -> Vec<ClientFrame> {
        self.pending.iter().cloned().map(ClientFrame::Req).collect()
    }

    /// Sequence of the last durable event.
    pub fn seq(&self) -> u64 {
        self.resume.as_ref().map_or(0, |resume| resume.seq)
    }

    /// A frame has come. Returns what is to be said at once.
    ///
    /// # Errors
    /// What the server may never do: leave a gap, answer one command in two ways.
    pub fn handle(&mut self, frame: ServerFrame) -> Result<Vec<ClientFrame>, String> {
        match frame {
            ServerFrame::Welcome(welcome) => {
                self.wants_snapshot = welcome.replay.is_none();
                let seq = if self.wants_snapshot { welcome.seq } else { self.seq() };
                self.resume = Some(Resume {
                    session: welcome.session,
                    seq,
                    epoch: welcome.epoch,
                });
                return Ok(self.repeats());
            }
            ServerFrame::Res(response) => self.answered(response)?,
            ServerFrame::Ev(event) => self.event(event)?,
            ServerFrame::Rt(event) => self.realtime(&event),
            ServerFrame::Ping { n } => return Ok(vec![ClientFrame::Pong { n }]),
        }
        Ok(Vec::new())
    }

    fn answered(&mut self, response: Response) -> Result<(), String> {
        self.pending.retain(|request| request.id != response.id);
        let answer = match response.err {
            Some(error) => Err(error),
            None => Ok(response.d.unwrap_or_default()),
        };
        match self.answers.get(&response.id) {
            Some(before) if lasting(before) => match lasting(&answer) && answer != *before {
                true => Err(format!("{} was answered {before:?}, then {answer:?}", response.id)),
                false => Ok(()),
            },
            _ => {
                self.answers.insert(response.id, answer);
                Ok(())
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<(), String> {
        let seq = self.seq();
        let body = serde_json::from_value(serde_json::json!({"op": event.op, "d": event.d}));
        if let Ok(EventBody::Snapshot(snapshot)) = body {
            self.wants_snapshot = false;
            self.set_seq(event.seq);
            self.events.clear();
            self.snapshots += 1;
            self.show(*snapshot);
            return Ok(());
        }
        if self.wants_snapshot {
            return Err(format!("{} before the snapshot", event.op));
        }
        if event.seq <= seq {
            self.repeated += 1;
            return Ok(());
        }
        if event.seq != seq + 1 {
            return Err(format!("{}: {} after {seq}", event.op, event.seq));
        }
        self.set_seq(event.seq);
        if let Ok(body) = body {
            self.fold(body);
        }
        self.events.push(event);
        Ok(())
    }

    fn set_seq(&mut self, seq: u64) {
        if let Some(resume) = &mut self.resume {
            resume.seq = seq;
        }
    }

    fn show(&mut self, snapshot: Snapshot) {
        self.rings = snapshot.incoming.into_iter().map(|ring| ring.call_id).collect();
        self.live = snapshot
            .chats
            .into_iter()
            .map(|chat| (chat.id, chat.active_call))
            .collect();
        self.missed = snapshot.missed_calls;
    }

    /// As the page does it, for what outlives a connection.
    fn fold(&mut self, body: EventBody) {
        match body {
            EventBody::IncomingCall(ring) => drop(self.rings.insert(ring.call_id)),
            EventBody::CallAnsweredElsewhere(there) => drop(self.rings.remove(&there.call_id)),
            EventBody::CallRejected(rejected) if rejected.user_id == self.user => {
                self.rings.remove(&rejected.call_id);
            }
            EventBody::Kicked(kicked) => drop(self.rings.remove(&kicked.call_id)),
            EventBody::CallMissed(missed) => {
                self.rings.remove(&missed.call_id);
                self.missed += 1;
            }
            EventBody::CallsSeen(seen) => self.missed = seen.unseen,
            EventBody::CallEnded(ended) => {
                self.rings.remove(&ended.call_id);
                for live in self.live.values_mut() {
                    if live.as_ref().is_some_and(|call| call.call_id == ended.call_id) {
                        *live = None;
                    }
                }
            }
            _ => {}
        }
    }

    fn realtime(&mut self, event: &Realtime) {
        let body = serde_json::from_value(serde_json::json!({"op": event.op, "d": event.d}));
        match body {
            Ok(RealtimeBody::CallUpdated(update)) => drop(self.live.insert(update.chat_id, update.active_call)),
            Ok(RealtimeBody::Resumed(state)) => {
                self.live.values_mut().for_each(|live| *live = None);
                for update in state.calls {
                    self.live.insert(update.chat_id, update.active_call);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tab() -> Tab {
        let mut tab = Tab::new("ivan".into(), "tab".into());
        let welcome = json!({"t": "welcome", "session": "s", "user": {"id": "ivan", "name": "Ivan", "avatar": null},
            "epoch": 1, "seq": 3, "replay": null, "ice": [],
            "limits": {"maxParticipants": 1, "ringMaxMembers": 1, "ringMs": 1, "maxMessageBytes": 1}});
        tab.handle(serde_json::from_value(welcome).unwrap()).unwrap();
        let snapshot = json!({"chats": [], "presence": [], "incoming": [], "missedCalls": 0});
        tab.event(event(3, "snapshot", snapshot)).unwrap();
        tab
    }

    fn event(seq: u64, op: &str, d: Json) -> Event {
        Event {
            seq,
            op: op.into(),
            call_id: None,
            rev: None,
            d,
        }
    }

    #[test]
    fn a_gap_is_noticed_and_a_repeat_is_dropped() {
        let mut tab = tab();
        tab.event(event(4, "new", json!({}))).unwrap();
        tab.event(event(4, "new", json!({}))).unwrap();
        assert_eq!((tab.events.len(), tab.repeated), (1, 1));
        assert!(tab.event(event(6, "new", json!({}))).is_err());
    }

    #[test]
    fn one_command_with_two_answers_is_noticed() {
        let mut tab = tab();
        let answer = |d: Json| Response {
            id: "1".into(),
            ok: true,
            d: Some(d),
            err: None,
        };
        tab.answered(answer(json!({"outcome": "done"}))).unwrap();
        tab.answered(answer(json!({"outcome": "done"}))).unwrap();
        assert!(tab.answered(answer(json!({"outcome": "noop"}))).is_err());
    }
}
