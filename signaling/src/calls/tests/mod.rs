//! The state machine row by row, and against its invariants.

mod random;
mod rows;
mod time;
mod waiting;

use std::collections::BTreeMap;

use super::*;
use crate::ids::UserId;
use crate::protocol::{
    CallStatus, CallType, ChatRole, ChatType, EndReason, MediaSource, Outcome, ParticipantStatus, RejectReason,
};

pub(super) const T0: i64 = 1_764_936_000_000;

pub(super) fn id(name: &str) -> UserId {
    name.into()
}

pub(super) fn chat(chat_type: ChatType, people: &[&str]) -> Chat {
    let role = |n: usize| {
        if n == 0 && chat_type == ChatType::Group {
            ChatRole::Owner
        } else {
            ChatRole::Member
        }
    };
    let members: BTreeMap<_, _> = people.iter().enumerate().map(|(n, name)| (id(name), role(n))).collect();
    Chat {
        id: "chat".into(),
        chat_type,
        members,
        guests: Default::default(),
        lobby: false,
    }
}

/// A call under test with its clock; every transition is checked against the invariants.
pub(super) struct Desk {
    pub(super) chat: Chat,
    pub(super) call: Call,
    pub(super) now: At,
    pub(super) config: CallConfig,
    pub(super) effects: Vec<Effect>,
}

impl Desk {
    pub(super) fn start(chat_type: ChatType, people: &[&str]) -> Self {
        Self::start_with(chat_type, people, CallConfig::default())
    }

    pub(super) fn start_with(chat_type: ChatType, people: &[&str], config: CallConfig) -> Self {
        let chat = chat(chat_type, people);
        let new = NewCall {
            id: "call".into(),
            room_name: "room".into(),
            call_type: CallType::Audio,
            user: id(people[0]),
            device: Some(format!("{}-1", people[0]).into()),
            invitees: None,
        };
        let step = start(&chat, new, At(T0), &config).unwrap();
        step.call.check().unwrap();
        Self {
            chat,
            call: step.call,
            now: At(T0),
            config,
            effects: step.effects,
        }
    }

    pub(super) fn run(&mut self, input: &Input) -> Result<Outcome, Refusal> {
        let before = self.call.clone();
        let step = apply(before.clone(), &self.chat, input, self.now, &self.config)?;
        if let Err(rule) = step.call.check() {
            panic!("{input:?} broke \"{rule}\": {before:#?} -> {:#?}", step.call);
        }
        if step.outcome == Outcome::Noop {
            assert_eq!(
                (&step.call, step.effects.len()),
                (&before, 0),
                "a noop changes nothing: {input:?}"
            );
        }
        (self.call, self.effects) = (step.call, step.effects);
        Ok(step.outcome)
    }

    pub(super) fn ok(&mut self, input: &Input) -> Outcome {
        self.run(input).unwrap_or_else(|refusal| panic!("{input:?}: {refusal}"))
    }

    pub(super) fn after(&mut self, ms: i64) -> Outcome {
        self.now.0 += ms;
        self.ok(&Input::Tick)
    }

    pub(super) fn state(&self) -> (CallStatus, Option<EndReason>) {
        (self.call.status, self.call.end_reason)
    }

    pub(super) fn part(&self, name: &str) -> ParticipantStatus {
        self.call.participants[&id(name)].status
    }

    /// Who is told what by the last transition.
    pub(super) fn told(&self) -> Vec<(Vec<&str>, &Note)> {
        let told = self.effects.iter().filter_map(|effect| match effect {
            Effect::Tell(to, note) => Some((to.iter().map(UserId::as_str).collect(), note)),
            _ => None,
        });
        told.collect()
    }
}

pub(super) fn accept(name: &str) -> Input {
    entering(name, 1, true, false)
}

pub(super) fn join(name: &str) -> Input {
    entering(name, 1, false, false)
}

pub(super) fn entering(name: &str, tab: u32, accept: bool, takeover: bool) -> Input {
    Input::Join {
        user: id(name),
        device: format!("{name}-{tab}").into(),
        accept,
        takeover,
        busy: false,
        wait: false,
    }
}

/// The same join, on the waiting list where it may not come in.
pub(super) fn waiting(mut input: Input, on: bool) -> Input {
    if let Input::Join { wait, .. } = &mut input {
        *wait = on;
    }
    input
}

pub(super) fn knock(name: &str) -> Input {
    waiting(join(name), true)
}

pub(super) fn leave(name: &str) -> Input {
    Input::Leave(id(name), Some(format!("{name}-1").into()))
}

pub(super) fn socket(name: &str, lost: bool) -> Input {
    Input::Socket {
        user: id(name),
        device: format!("{name}-1").into(),
        lost,
    }
}

pub(super) fn decline(name: &str) -> Input {
    Input::Reject(id(name), RejectReason::Declined)
}
