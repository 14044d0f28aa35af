//! From a call's value to the messages of the protocol.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::calls::{At, Call, Chat, Participant, Waiting};
use crate::ids::UserId;
use crate::protocol::{
    ActiveCall, CallCreated, CallEnded, CallPerson, CallStatus, CallSummary, CallUpdated, EndReason, EventBody,
    IncomingCall, MediaSource, ParticipantJoined, ParticipantLeft, ParticipantStatus, Roster, RosterEntry, Sources,
    User, Waiter, WaitingList,
};
use crate::store::outbox::Draft;
use crate::store::{StoreError, rfc3339};

/// Names and pictures of everybody concerned.
#[derive(Debug, Default)]
pub(super) struct People(HashMap<UserId, User>);

impl People {
    pub(super) fn add(&mut self, users: Vec<User>) {
        self.0.extend(users.into_iter().map(|user| (user.id.clone(), user)));
    }

    pub(super) fn missing<'a>(&self, ids: impl IntoIterator<Item = &'a UserId>) -> Vec<UserId> {
        ids.into_iter().filter(|id| !self.0.contains_key(id)).cloned().collect()
    }

    pub(super) fn user(&self, id: &UserId) -> User {
        let unknown = || User {
            id: id.clone(),
            name: String::new(),
            avatar: None,
        };
        self.0.get(id).cloned().unwrap_or_else(unknown)
    }

    pub(super) fn name(&self, id: &UserId) -> String {
        self.user(id).name
    }
}

/// What a user's outbox takes of an event.
pub(super) fn draft(body: &EventBody, call: Option<&Call>, ring_deadline: Option<At>) -> Result<Draft, StoreError> {
    let value = serde_json::to_value(body).map_err(|error| StoreError::Query(error.to_string()))?;
    let Json::Object(mut fields) = value else {
        return Err(StoreError::Query("an event is an object".into()));
    };
    let op = fields
        .remove("op")
        .and_then(|op| op.as_str().map(str::to_owned))
        .unwrap_or_default();
    Ok(Draft {
        op,
        call: call.map(|call| call.id.clone()),
        rev: call.map(|call| call.rev),
        payload: fields.remove("d").unwrap_or_default(),
        ring_deadline_ms: ring_deadline.map(|at| at.0),
    })
}

fn rung(call: &Call) -> Vec<UserId> {
    call.participants
        .iter()
        .filter(|(_, p)| p.open())
        .map(|(user, _)| user.clone())
        .collect()
}

pub(super) fn created(call: &Call) -> CallCreated {
    let starter = call
        .participants
        .get(&call.initiated_by)
        .and_then(|p| p.device.as_ref());
    CallCreated {
        call_id: call.id.clone(),
        chat_id: call.chat.clone(),
        room_name: call.room_name.clone(),
        call_type: call.call_type,
        device: starter.map(ToString::to_string).unwrap_or_default(),
        participants: rung(call),
        timestamp: rfc3339(call.created_at.0),
    }
}

/// `ring_ms_left` by the clock given; the outbox computes it again whenever it is read.
pub(super) fn incoming(call: &Call, people: &People, to: &UserId, deadline: At, now: At, silent: bool) -> IncomingCall {
    let invited_by = call.participants.get(to).and_then(|p| p.invited_by.as_ref());
    IncomingCall {
        call_id: call.id.clone(),
        chat_id: call.chat.clone(),
        room_name: call.room_name.clone(),
        call_type: call.call_type,
        initiator: people.user(&call.initiated_by),
        invited_by: invited_by.map(|by| people.user(by)),
        participants: rung(call),
        timestamp: rfc3339(call.created_at.0),
        ring_ms_left: u32::try_from(deadline.ms_since(now)).unwrap_or(u32::MAX),
        silent,
    }
}

pub(super) fn person(call: &Call, people: &People, user: &UserId, at: At) -> CallPerson {
    CallPerson {
        call_id: call.id.clone(),
        user_id: user.clone(),
        user_name: people.name(user),
        timestamp: rfc3339(at.0),
    }
}

pub(super) fn ended(call: &Call, people: &People) -> CallEnded {
    CallEnded {
        call_id: call.id.clone(),
        chat_id: call.chat.clone(),
        status: call.status,
        reason: call.end_reason.unwrap_or(EndReason::ServerLost),
        ended_by: call.ended_by.clone(),
        user_name: call.ended_by.as_ref().map(|user| people.name(user)),
        duration: call.talk_seconds(),
        timestamp: rfc3339(call.ended_at.unwrap_or(call.created_at).0),
    }
}

pub(super) fn summary(call: &Call, reader: &UserId) -> CallSummary {
    CallSummary {
        call_id: call.id.clone(),
        call_type: call.call_type,
        status: call.status,
        end_reason: call.end_reason,
        duration: call.talk_seconds(),
        mine: call.participants.get(reader).map(|p| p.status),
    }
}

/// A live call as `reader` sees it from outside.
pub(super) fn active(call: &Call, reader: &UserId) -> Option<ActiveCall> {
    let mine = call.participants.get(reader);
    call.live().then(|| ActiveCall {
        call_id: call.id.clone(),
        call_type: call.call_type,
        status: call.status,
        count: u32::try_from(call.seats()).unwrap_or(u32::MAX),
        mine: mine.map(|p| p.status),
        my_device: mine.and_then(|p| p.device.as_ref()).map(ToString::to_string),
        locked: call.locked,
        waiting: call.waiting.contains_key(reader),
        initiated_by: call.initiated_by.clone(),
        created_at: rfc3339(call.created_at.0),
        started_at: call.started_at.map(|at| rfc3339(at.0)),
    })
}

/// `call_updated` for everybody who may see the call in a list.
pub(super) fn updates(call: &Call, chat: &Chat) -> Vec<(UserId, CallUpdated)> {
    let users = chat
        .members
        .keys()
        .chain(call.participants.keys().filter(|user| !chat.members.contains_key(user)));
    users
        .map(|user| {
            (
                user.clone(),
                CallUpdated {
                    chat_id: chat.id.clone(),
                    active_call: active(call, user),
                },
            )
        })
        .collect()
}

/// Place in the ordered list of raised hands, from 1.
fn hand(call: &Call, user: &UserId, person: &Participant) -> Option<u32> {
    let raised = person.hand_at?;
    let before = call
        .participants
        .iter()
        .filter(|(other, p)| p.hand_at.is_some_and(|at| (at, *other) < (raised, user)));
    u32::try_from(before.count() + 1).ok()
}

fn entry(call: &Call, chat: &Chat, people: &People, user: &UserId, person: &Participant) -> RosterEntry {
    RosterEntry {
        user: people.user(user),
        status: person.status,
        moderator: call.moderator(chat, user),
        sources: Sources {
            muted_by: person.mutes.get(&MediaSource::Mic).cloned(),
            blocked_by: person.mutes.clone(),
            ..Sources::default()
        },
        hand: hand(call, user, person),
    }
}

pub(super) fn joined(
    call: &Call,
    chat: &Chat,
    people: &People,
    user: &UserId,
    at: At,
) -> Option<Box<ParticipantJoined>> {
    let participant = entry(call, chat, people, user, call.participants.get(user)?);
    Some(Box::new(ParticipantJoined {
        call_id: call.id.clone(),
        user_id: user.clone(),
        user_name: people.name(user),
        timestamp: rfc3339(at.0),
        participant,
    }))
}

pub(super) fn left(call: &Call, people: &People, user: &UserId, by: Option<&UserId>, at: At) -> ParticipantLeft {
    ParticipantLeft {
        call_id: call.id.clone(),
        user_id: user.clone(),
        user_name: people.name(user),
        status: call
            .participants
            .get(user)
            .map_or(ParticipantStatus::Left, |p| p.status),
        by: by.cloned(),
        timestamp: rfc3339(at.0),
    }
}

/// Who waits to be let in, longest first. Who has been let in does not wait any more.
pub(super) fn waiting_list(call: &Call, chat: &Chat, people: &People) -> WaitingList {
    let mut waiting: Vec<_> = call.waiting.iter().filter(|(_, w)| !w.admitted).collect();
    waiting.sort_by_key(|(user, w)| (w.since, *user));
    let waiter = |(user, w): (&UserId, &Waiting)| Waiter {
        user: people.user(user),
        guest: chat.guests.contains(user),
        since: rfc3339(w.since.0),
    };
    WaitingList {
        call_id: call.id.clone(),
        waiting: waiting.into_iter().map(waiter).collect(),
    }
}

/// Everybody in a live call, and those still rung.
pub(super) fn roster(call: &Call, chat: &Chat, people: &People) -> Roster {
    let present = call.participants.iter().filter(|(_, p)| p.seated() || p.open());
    Roster {
        call_id: call.id.clone(),
        chat_id: call.chat.clone(),
        status: if call.live() { call.status } else { CallStatus::Ended },
        call_type: call.call_type,
        started_at: call.started_at.map(|at| rfc3339(at.0)),
        locked: call.locked,
        participants: present
            .map(|(user, person)| entry(call, chat, people, user, person))
            .collect(),
    }
}
