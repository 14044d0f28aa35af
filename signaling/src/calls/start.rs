//! Rows 1 and 1b: how a call begins.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{At, Call, CallConfig, Chat, EventType, NewCall, Note, Refusal, Transition, step::Step};
use crate::ids::UserId;
use crate::protocol::{CallStatus, ChatType, EndReason, Outcome};

/// Starts a call in a chat that has no live one; a seat elsewhere is freed already.
///
/// # Errors
/// [`Refusal::NotFound`] for who is not in the chat, [`Refusal::Locked`] for a newcomer where a room has a waiting list,
/// [`Refusal::BadRequest`] when there is nobody to ring or too many.
pub fn start(chat: &Chat, new: NewCall, now: At, config: &CallConfig) -> Result<Transition, Refusal> {
    if !chat.members.contains_key(&new.user) {
        return Err(Refusal::NotFound);
    }
    let room = chat.chat_type == ChatType::Room;
    if chat.lobby && new.device.is_some() && !chat.runs(&new.user) {
        return Err(Refusal::Locked);
    }
    let rung = if room {
        BTreeSet::new()
    } else {
        whom_to_ring(chat, &new, config)?
    };
    let call = Call {
        id: new.id,
        chat: chat.id.clone(),
        room_name: new.room_name,
        call_type: new.call_type,
        initiated_by: new.user.clone(),
        status: CallStatus::Ringing,
        end_reason: None,
        created_at: now,
        started_at: None,
        ended_at: None,
        ended_by: None,
        locked: false,
        group_rules: chat.chat_type != ChatType::Direct,
        caller_lost_deadline: None,
        alone_ask_deadline: None,
        alone_end_deadline: None,
        max_deadline: None,
        rev: 0,
        publishers: u32::from(new.device.is_none()),
        participants: BTreeMap::new(),
        waiting: BTreeMap::new(),
    };
    let mut step = Step::new(call, chat, now, config);
    let metadata = json!({ "type": new.call_type, "participants": rung });
    step.log(EventType::Initiated, Some(&new.user), metadata);
    if let Some(device) = &new.device {
        step.seat(&new.user, device);
        step.tell([new.user.clone()], Note::Created);
    }
    if room {
        step.start_talking();
        step.expect_media(&new.user);
        step.settle(EndReason::LastLeft, None);
    } else if new.device.is_none() {
        return Err(Refusal::BadRequest("only a room's call begins without a seat"));
    }
    for user in &rung {
        step.ring(user, None);
    }
    Ok(step.done(Outcome::Joined))
}

fn whom_to_ring(chat: &Chat, new: &NewCall, config: &CallConfig) -> Result<BTreeSet<UserId>, Refusal> {
    let rung: BTreeSet<UserId> = match &new.invitees {
        Some(chosen) => chosen.iter().filter(|user| **user != new.user).cloned().collect(),
        None => chat.members.keys().filter(|user| **user != new.user).cloned().collect(),
    };
    if rung.is_empty() {
        return Err(Refusal::BadRequest("there is nobody to ring"));
    }
    if rung.iter().any(|user| !chat.members.contains_key(user)) {
        return Err(Refusal::BadRequest("an invitee is not in the chat"));
    }
    if rung.len() > config.ring_max_members as usize {
        return Err(Refusal::BadRequest(
            "too many to ring at once; choose some with `invitees`",
        ));
    }
    Ok(rung)
}
