//! The signaling of one room: the call state machine with its clock, and what it means for the media plane.

use std::collections::BTreeMap;
use std::fmt::Write;

use signaling::calls::{At, Call, CallConfig, Chat, Effect, Input, NewCall, apply, start};
use signaling::ids::UserId;
use signaling::protocol::{CallType, ChatRole, ChatType, Outcome};

/// What the simulation does about a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// This participant has a seat: their offer may be answered.
    Admit(u32),
    /// Their seat is free: their transport ends.
    Remove(u32),
}

/// A room's call.
pub(crate) struct Desk {
    chat: Chat,
    call: Option<Call>,
    config: CallConfig,
    /// Nothing is decided: the process is away.
    pub(crate) away: bool,
    missed: Vec<Input>,
}

/// How people are called.
fn user(id: u32) -> UserId {
    UserId(format!("p{id}"))
}

fn number(user: &UserId) -> Option<u32> {
    user.as_str().strip_prefix('p')?.parse().ok()
}

impl Desk {
    pub(crate) fn new(room: u32, people: &[u32]) -> Self {
        let members: BTreeMap<_, _> = people.iter().map(|id| (user(*id), ChatRole::Member)).collect();
        Self {
            chat: Chat {
                id: format!("room{room}").as_str().into(),
                chat_type: ChatType::Room,
                members,
                guests: Default::default(),
                lobby: false,
            },
            call: None,
            config: CallConfig::default(),
            away: false,
            missed: Vec::new(),
        }
    }

    /// Somebody opens the room's link.
    pub(crate) fn join(&mut self, now_ms: i64, id: u32, log: &mut String) -> Vec<Order> {
        if self.call.as_ref().is_some_and(Call::live) || self.away {
            let input = Input::Join {
                user: user(id),
                device: format!("d{id}").as_str().into(),
                accept: false,
                takeover: false,
                busy: false,
                wait: false,
            };
            return self.input(now_ms, input, log);
        }
        let new = NewCall {
            id: self.chat.id.as_str().into(),
            room_name: self.chat.id.as_str().to_owned(),
            call_type: CallType::Video,
            user: user(id),
            device: Some(format!("d{id}").as_str().into()),
            invitees: None,
        };
        match start(&self.chat, new, At(now_ms), &self.config) {
            Ok(step) => {
                let _ = write!(log, "{:?}", step.effects);
                self.call = Some(step.call);
                vec![Order::Admit(id)]
            }
            Err(refusal) => {
                let _ = write!(log, "{refusal}");
                Vec::new()
            }
        }
    }

    pub(crate) fn leave(&mut self, now_ms: i64, id: u32, log: &mut String) -> Vec<Order> {
        self.input(now_ms, Input::Leave(user(id), None), log)
    }

    /// The media plane says how a transport does.
    pub(crate) fn media(&mut self, now_ms: i64, id: u32, connected: bool, log: &mut String) -> Vec<Order> {
        let link = if connected {
            Input::MediaConnected
        } else {
            Input::MediaLost
        };
        self.input(now_ms, link(user(id)), log)
    }

    /// What is due by the state machine's own deadlines.
    pub(crate) fn tick(&mut self, now_ms: i64, log: &mut String) -> Vec<Order> {
        let due = self
            .call
            .as_ref()
            .and_then(Call::next_deadline)
            .is_some_and(|(at, _)| at.0 <= now_ms);
        if due && !self.away {
            self.input(now_ms, Input::Tick, log)
        } else {
            Vec::new()
        }
    }

    /// The process is back: its call is as it was stored, every seat's socket is new.
    pub(crate) fn restart(&mut self, now_ms: i64, log: &mut String) -> Vec<Order> {
        self.away = false;
        let Some(call) = &self.call else { return Vec::new() };
        let seated = call.participants.iter().filter(|(_, person)| person.seated());
        let seats: Vec<_> = seated.map(|(user, _)| user.clone()).collect();
        let mut orders = self.input(now_ms, Input::Restart(seats.clone()), log);
        for user in seats {
            let device = self
                .call
                .as_ref()
                .and_then(|call| call.participants.get(&user)?.device.clone());
            if let Some(device) = device {
                orders.extend(self.input(
                    now_ms,
                    Input::Socket {
                        user: user.clone(),
                        device,
                        lost: false,
                    },
                    log,
                ));
                orders.extend(self.input(now_ms, Input::MediaConnected(user), log));
            }
        }
        for input in std::mem::take(&mut self.missed) {
            orders.extend(self.input(now_ms, input, log));
        }
        orders
    }

    /// People in seats.
    pub(crate) fn seats(&self) -> usize {
        self.call.as_ref().filter(|call| call.live()).map_or(0, Call::seats)
    }

    fn input(&mut self, now_ms: i64, input: Input, log: &mut String) -> Vec<Order> {
        if self.away {
            // Clients say again what was not answered.
            self.missed.push(input);
            return Vec::new();
        }
        let Some(call) = self.call.clone() else {
            return Vec::new();
        };
        let mut orders = Vec::new();
        match apply(call, &self.chat, &input, At(now_ms), &self.config) {
            Ok(step) => {
                let _ = write!(log, "{:?}{:?}", step.outcome, step.effects);
                if let (Input::Join { user, .. }, Outcome::Joined) = (&input, step.outcome) {
                    orders.extend(number(user).map(Order::Admit));
                }
                for effect in &step.effects {
                    if let Effect::SeatFreed(user, _) = effect {
                        orders.extend(number(user).map(Order::Remove));
                    }
                }
                self.call = Some(step.call);
            }
            Err(refusal) => {
                let _ = write!(log, "{refusal}");
            }
        }
        orders
    }
}
