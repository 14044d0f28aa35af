//! The pure state machine, with just enough around it to hold several calls.

use serde_json::Value as Json;

use super::reference::{Path, Who};
use super::*;
use crate::calls::{self, Chat, Effect, Input, NewCall, Note, Transition};

pub(super) struct Memory {
    now: i64,
    config: CallConfig,
    chats: Vec<Chat>,
    calls: Vec<Call>,
    told: Vec<(Who, String)>,
}

impl Memory {
    pub(super) fn new(now: i64) -> Self {
        let chats = places().into_iter().enumerate().map(|(n, place)| {
            let role = |runs: bool| if runs { ChatRole::Owner } else { ChatRole::Member };
            let member = |(who, runs): (&Who, &bool)| (format!("u{who}").into(), role(*runs));
            Chat {
                id: format!("c{n}").into(),
                chat_type: place.kind,
                members: place.members.iter().map(member).collect(),
                guests: [UserId::from(format!("u{}", reference::GUEST))]
                    .into_iter()
                    .filter(|_| place.members.contains_key(&reference::GUEST))
                    .collect(),
                lobby: place.lobby,
            }
        });
        Self {
            now,
            config: config(),
            chats: chats.collect(),
            calls: Vec::new(),
            told: Vec::new(),
        }
    }

    fn place(&self, call: &Call) -> &Chat {
        &self.chats[number(call.chat.as_str())]
    }

    fn find(&self, id: &CallId) -> usize {
        self.calls.iter().position(|call| call.id == *id).unwrap()
    }

    fn seat(&self, user: &UserId) -> Option<usize> {
        let sits = |call: &Call| call.participants.get(user).is_some_and(|p| p.seated());
        self.calls.iter().position(sits)
    }

    fn decide(&mut self, at: usize, input: &Input) -> Result<String, ErrorCode> {
        let call = self.calls[at].clone();
        let chat = self.place(&call).clone();
        let step = calls::apply(call, &chat, input, At(self.now), &self.config);
        let step = step.map_err(|refusal| WireError::from(refusal).code)?;
        self.calls[at] = step.call.clone();
        self.tell(at, &step, &chat);
        Ok(word(&step.outcome))
    }

    fn tell(&mut self, at: usize, step: &Transition, chat: &Chat) {
        for effect in &step.effects {
            let (to, what) = match effect {
                Effect::Tell(to, note) => (to.clone(), self.words(at, note)),
                Effect::CallMessage => (chat.members.keys().cloned().collect(), format!("message {at}")),
                _ => continue,
            };
            for user in to {
                let silent = matches!(effect, Effect::Tell(_, Note::Incoming(_)))
                    .then(|| format!(" silent={}", self.seat(&user).is_some()));
                let what = format!("{what}{}", silent.unwrap_or_default());
                self.told.push((number(user.as_str()), what));
            }
        }
    }

    fn words(&self, at: usize, note: &Note) -> String {
        let call = &self.calls[at];
        let who = |user: &UserId| number(user.as_str());
        let tab = |device: &crate::ids::DeviceId| number(device.as_str());
        match note {
            Note::Created => format!("call_created {at}"),
            Note::Incoming(_) => format!("incoming_call {at}"),
            Note::Accepted(user) => format!("call_accepted {at} u{}", who(user)),
            Note::Rejected(user, reason) => format!("call_rejected {at} u{} {}", who(user), word(reason)),
            Note::Missed => format!("call_missed {at}"),
            Note::AnsweredElsewhere(device) => format!("call_answered_elsewhere {at} t{}", tab(device)),
            Note::SeatMoved(device) => format!("seat_moved {at} t{}", tab(device)),
            Note::Kicked(by) => format!("kicked {at} u{}", who(by)),
            Note::Waiting(what, device, _) => format!("waiting_status {at} {} t{}", word(what), tab(device)),
            Note::Ended => {
                let why = serde_json::to_string(&(call.status, call.end_reason)).unwrap();
                format!("call_ended {at} {why} {}", call.talk_seconds())
            }
        }
    }

    /// Frees the seat in `leave`. Whether another remains.
    fn leave_first(&mut self, user: &UserId, leave: Option<&CallId>) -> Result<Option<usize>, ErrorCode> {
        let Some(held) = self.seat(user) else { return Ok(None) };
        if leave != Some(&self.calls[held].id) {
            return Ok(Some(held));
        }
        self.decide(held, &Input::Leave(user.clone(), None))?;
        Ok(None)
    }

    fn start(&mut self, actor: &Actor, start: &StartCall) -> Result<String, ErrorCode> {
        let at = number(start.chat_id.as_str());
        let chat = self.chats[at].clone();
        if !chat.members.contains_key(&actor.user) {
            return Err(ErrorCode::NotFound);
        }
        if self.calls.iter().any(|call| call.chat == chat.id && call.live()) {
            return Ok("exists".into());
        }
        if self.leave_first(&actor.user, start.leave.as_ref())?.is_some() {
            return Err(ErrorCode::BusySelf);
        }
        let new = NewCall {
            id: format!("call-{}", self.calls.len()).into(),
            room_name: "room".into(),
            call_type: start.call_type,
            user: actor.user.clone(),
            device: Some(actor.device.clone()),
            invitees: start.invitees.clone(),
        };
        let step = calls::start(&chat, new, At(self.now), &self.config);
        let step = step.map_err(|refusal| WireError::from(refusal).code)?;
        self.calls.push(step.call.clone());
        self.tell(self.calls.len() - 1, &step, &chat);
        Ok("created".into())
    }

    fn enter(&mut self, actor: &Actor, join: &JoinCall, accept: bool) -> Result<String, ErrorCode> {
        let at = self.find(&join.call_id);
        let leave = join
            .leave
            .as_ref()
            .filter(|leave| **leave != join.call_id && self.calls[at].live());
        let held = self.leave_first(&actor.user, leave)?;
        let input = Input::Join {
            user: actor.user.clone(),
            device: actor.device.clone(),
            accept,
            takeover: join.takeover,
            busy: held.is_some_and(|held| held != at),
            wait: join.wait,
        };
        self.decide(at, &input)
    }

    fn carry_out(&mut self, actor: &Actor, command: Command) -> Result<String, ErrorCode> {
        let me = actor.user.clone();
        let (call, input) = match command {
            Command::StartCall(start) => return self.start(actor, &start),
            Command::AcceptCall(join) => return self.enter(actor, &join, true),
            Command::JoinCall(join) => return self.enter(actor, &join, false),
            Command::RejectCall(c) => (c.call_id, Input::Reject(me, c.reason)),
            Command::EndCall(c) => (c.call_id, Input::End(me)),
            Command::LeaveCall(c) => (c.call_id, Input::Leave(me, Some(actor.device.clone()))),
            Command::RingAck(c) => (c.call_id, Input::RingAck(me)),
            Command::Invite(c) => {
                let guest = number(me.as_str()) == reference::GUEST;
                (
                    c.call_id,
                    Input::Invite {
                        by: me,
                        guest,
                        user: c.user_id,
                    },
                )
            }
            Command::Kick(c) => (c.call_id, Input::Kick(me, c.user_id)),
            Command::Admit(c) => (c.call_id, Input::Admit(me, c.user_id)),
            Command::Deny(c) => (c.call_id, Input::Deny(me, c.user_id)),
            Command::Stay(c) => (c.call_id, Input::Stay(me)),
            Command::Lock(c) => (c.call_id, Input::Lock(me, true)),
            Command::Unlock(c) => (c.call_id, Input::Lock(me, false)),
            Command::RaiseHand(c) => (c.call_id, Input::RaiseHand(me)),
            Command::LowerHand(c) => {
                let whose = c.user_id.unwrap_or_else(|| me.clone());
                (c.call_id, Input::LowerHand(me, whose))
            }
            Command::Mute(c) => (c.call_id, muting(me, c.user_id.unwrap(), c.source, true)),
            Command::Unmute(c) => (c.call_id, muting(me, c.user_id.unwrap(), c.source, false)),
            other => panic!("no step says {other:?}"),
        };
        self.decide(self.find(&call), &input)
    }

    fn every(&mut self, input: &dyn Fn(&Call) -> Input) {
        for at in 0..self.calls.len() {
            let input = input(&self.calls[at]);
            self.decide(at, &input).unwrap();
        }
    }
}

fn muting(by: UserId, user: UserId, source: MediaSource, muted: bool) -> Input {
    Input::Mute {
        by,
        user,
        source,
        muted,
    }
}

/// As it is on the wire.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value).unwrap() {
        Json::String(word) => word,
        other => panic!("{other}"),
    }
}

impl World for Memory {
    fn user(&self, who: Who) -> UserId {
        format!("u{who}").into()
    }

    fn chat(&self, chat: usize) -> ChatId {
        self.chats[chat].id.clone()
    }

    fn call(&self, call: usize) -> CallId {
        self.calls[call].id.clone()
    }

    fn count(&self) -> usize {
        self.calls.len()
    }

    fn set_clock(&mut self, now: i64) {
        self.now = now;
    }

    fn next_due(&mut self) -> Option<i64> {
        self.calls
            .iter()
            .filter_map(|call| Some(call.next_deadline()?.0.0))
            .min()
    }

    fn sweep(&mut self) {
        self.every(&|_| Input::Tick);
    }

    fn command(&mut self, actor: &Actor, command: Command) -> Result<String, ErrorCode> {
        let (calls, told) = (self.calls.clone(), self.told.clone());
        let done = self.carry_out(actor, command);
        if done.is_err() {
            (self.calls, self.told) = (calls, told); // one command, one transaction
        }
        done
    }

    fn observe(&mut self, seen: &Observed) {
        match seen {
            Observed::Socket { who, lost } => {
                let (user, device, lost) = (who.user.clone(), who.device.clone(), *lost);
                self.every(&|_| Input::Socket {
                    user: user.clone(),
                    device: device.clone(),
                    lost,
                });
            }
            Observed::Media { call, who, path } => {
                let input = match path {
                    Path::Flows => Input::MediaConnected(who.clone()),
                    Path::Silent => Input::MediaLost(who.clone()),
                    Path::Never => Input::MediaClosed(who.clone()),
                };
                self.decide(self.find(call), &input).unwrap();
            }
            Observed::Terminated(call) => drop(self.decide(self.find(call), &Input::Terminate).unwrap()),
            Observed::RoomFailed(call) => drop(self.decide(self.find(call), &Input::RoomFailed).unwrap()),
        }
    }

    fn restart(&mut self) {
        self.every(&|call| {
            let seats = call.participants.iter().filter(|(_, p)| p.seated());
            Input::Restart(seats.map(|(user, _)| user.clone()).collect())
        });
        self.sweep();
    }

    fn calls(&mut self) -> Vec<Call> {
        self.calls.clone()
    }

    fn told(&mut self) -> Vec<(Who, String)> {
        std::mem::take(&mut self.told)
    }
}
