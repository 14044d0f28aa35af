//! Commands of clients.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use super::unit::{Opened, Unit};
use super::{Actor, Result, Service, ServiceError};
use crate::calls::{self, At, Call, Chat, Input, NewCall};
use crate::ids::{CallId, ChatId, CommandId, UserId};
use crate::protocol::{
    Command, Done, ErrorCode, JoinCall, JoinCallResult, Outcome, StartCall, StartCallResult, WireError,
};
use crate::store::StoreError;
use crate::store::calls::{live_call_of_chat, load, recent, seat_of};
use crate::store::commands::{self, Answer};

/// Limits count what happened in this window, ms.
const LIMIT_WINDOW_MS: i64 = 60_000;

fn json<T: Serialize>(value: &T) -> Result<Json> {
    serde_json::to_value(value).map_err(|error| StoreError::Query(error.to_string()).into())
}

fn refuse(code: ErrorCode, message: &str) -> ServiceError {
    WireError::new(code, message).into()
}

/// The durable name of an operation, as stored with its result.
fn op(command: &Command) -> Result<String> {
    let value = json(command)?;
    Ok(value.get("op").and_then(Json::as_str).unwrap_or_default().to_owned())
}

impl Service {
    /// One attempt at a command: one transaction. What was answered before, a refusal too, comes back as that answer; a new
    /// refusal is an error, and nothing has happened.
    pub(super) async fn attempt(&self, actor: &Actor, id: &CommandId, command: &Command) -> Result<Answer> {
        let mut unit = Unit::begin(self).await?;
        if let Some(stored) = commands::claim(&mut unit.tx, &actor.user, id, &op(command)?).await? {
            return Ok(stored);
        }
        let result = match command {
            Command::StartCall(start) => json(&self.start(&mut unit, actor, start).await?)?,
            Command::AcceptCall(join) => json(&self.join(&mut unit, actor, join, true).await?)?,
            Command::JoinCall(join) => json(&self.join(&mut unit, actor, join, false).await?)?,
            Command::SendMessage(message) => json(&unit.send(&actor.user, message).await?)?,
            Command::MarkRead(mark) => json(&unit.mark_read(&actor.user, mark).await?)?,
            Command::MarkCallsSeen(mark) => json(&unit.mark_calls_seen(&actor.user, mark).await?)?,
            command => {
                let (call, input) = self.input(&mut unit, actor, command).await?;
                let opened = unit.open_one(&call).await?.ok_or(StoreError::NotFound("call"))?;
                let now = unit.now().await?;
                if matches!(input, Input::Invite { .. }) {
                    self.limit_invites(&mut unit, &actor.user, &call, now).await?;
                }
                json(&Done {
                    outcome: self.decide(&mut unit, opened, &input, now).await?.1,
                })?
            }
        };
        commands::finish(&mut unit.tx, &actor.user, id, &result).await?;
        unit.commit().await?;
        Ok(Ok(result))
    }

    /// Puts a refusal on record, so that a repeat of the same command is refused whatever has changed meanwhile: the answer
    /// was given, and a late twin of the command must not do what its sender was told did not happen. Where a repeat was
    /// quicker, its answer is the answer.
    pub(super) async fn stands(
        &self,
        actor: &Actor,
        id: &CommandId,
        command: &Command,
        refusal: &WireError,
    ) -> Result<Answer> {
        let mut tx = self.store.db.begin().await?;
        if let Some(stored) = commands::claim(&mut tx, &actor.user, id, &op(command)?).await? {
            return Ok(stored);
        }
        commands::refuse(&mut tx, &actor.user, id, refusal).await?;
        tx.commit().await?;
        Ok(Err(refusal.clone()))
    }

    /// Lets the state machine decide, and writes its decision down.
    pub(super) async fn decide(
        &self,
        unit: &mut Unit<'_>,
        opened: Opened,
        input: &Input,
        now: At,
    ) -> Result<(Call, Outcome)> {
        let Opened { chat, call } = opened;
        let step = calls::apply(call.clone(), &chat, input, now, &self.config).map_err(WireError::from)?;
        unit.carry_out(&chat, Some(&call), &step).await?;
        Ok((step.call, step.outcome))
    }

    async fn input(&self, unit: &mut Unit<'_>, actor: &Actor, command: &Command) -> Result<(CallId, Input)> {
        let me = actor.user.clone();
        Ok(match command {
            Command::RejectCall(c) => (c.call_id.clone(), Input::Reject(me, c.reason)),
            Command::EndCall(c) => (c.call_id.clone(), Input::End(me)),
            Command::LeaveCall(c) => (c.call_id.clone(), Input::Leave(me, Some(actor.device.clone()))),
            Command::RingAck(c) => (c.call_id.clone(), Input::RingAck(me)),
            Command::Invite(c) => {
                unit.user(&c.user_id).await?;
                let guest = is_guest(unit, &me).await?;
                (
                    c.call_id.clone(),
                    Input::Invite {
                        by: me,
                        guest,
                        user: c.user_id.clone(),
                    },
                )
            }
            Command::Kick(c) => (c.call_id.clone(), Input::Kick(me, c.user_id.clone())),
            Command::Admit(c) => (c.call_id.clone(), Input::Admit(me, c.user_id.clone())),
            Command::Deny(c) => (c.call_id.clone(), Input::Deny(me, c.user_id.clone())),
            Command::Stay(c) => (c.call_id.clone(), Input::Stay(me)),
            Command::Lock(c) => (c.call_id.clone(), Input::Lock(me, true)),
            Command::Unlock(c) => (c.call_id.clone(), Input::Lock(me, false)),
            Command::RaiseHand(c) => (c.call_id.clone(), Input::RaiseHand(me)),
            Command::LowerHand(c) => {
                let whose = c.user_id.clone().unwrap_or_else(|| me.clone());
                (c.call_id.clone(), Input::LowerHand(me, whose))
            }
            Command::Mute(c) | Command::Unmute(c) => {
                let muted = matches!(command, Command::Mute(_));
                let Some(user) = c.user_id.clone() else {
                    return Err(refuse(ErrorCode::BadRequest, "own mute is not stored"));
                };
                (
                    c.call_id.clone(),
                    Input::Mute {
                        by: me,
                        user,
                        source: c.source,
                        muted,
                    },
                )
            }
            _ => return Err(refuse(ErrorCode::BadRequest, "this operation is not stored")),
        })
    }

    async fn start(&self, unit: &mut Unit<'_>, actor: &Actor, start: &StartCall) -> Result<StartCallResult> {
        let (chat, mut opened) = self.lock_with_leave(unit, &start.chat_id, start.leave.as_ref()).await?;
        if !chat.members.contains_key(&actor.user) {
            return Err(StoreError::NotFound("chat").into());
        }
        if let Some(live) = live_call_of_chat(&mut unit.tx, &chat.id).await? {
            let call = load(&mut unit.tx, &live).await?.ok_or(StoreError::Busy)?;
            return Ok(StartCallResult::Exists {
                call_id: call.id,
                status: call.status,
            });
        }
        let now = unit.now().await?;
        self.limit_starts(unit, &actor.user, &chat.id, now).await?;
        if self
            .free_old_seat(unit, actor, &mut opened, start.leave.as_ref(), now)
            .await?
        {
            return Err(WireError::from(calls::Refusal::BusySelf).into());
        }
        let new = NewCall {
            id: CallId(Uuid::new_v4().to_string()),
            room_name: Uuid::new_v4().simple().to_string(),
            call_type: start.call_type,
            user: actor.user.clone(),
            device: Some(actor.device.clone()),
            invitees: start.invitees.clone(),
        };
        let step = calls::start(&chat, new, now, &self.config).map_err(WireError::from)?;
        unit.carry_out(&chat, None, &step).await?;
        Ok(StartCallResult::Created(super::render::created(&step.call)))
    }

    async fn join(&self, unit: &mut Unit<'_>, actor: &Actor, join: &JoinCall, accept: bool) -> Result<JoinCallResult> {
        let ids: BTreeSet<CallId> = join.leave.iter().chain([&join.call_id]).cloned().collect();
        let mut opened = unit.open(&ids).await?;
        let target = opened.remove(&join.call_id).ok_or(StoreError::NotFound("call"))?;
        let now = unit.now().await?;
        let mut leave = join.leave.as_ref().filter(|leave| **leave != join.call_id);
        if !target.call.live() {
            leave = None; // too late: then nothing changes, the old seat included
        }
        let busy = self.free_old_seat(unit, actor, &mut opened, leave, now).await?;
        let busy = busy && !seated(&target.call, &actor.user);
        let input = Input::Join {
            user: actor.user.clone(),
            device: actor.device.clone(),
            accept,
            takeover: join.takeover,
            busy,
            wait: join.wait,
        };
        let (call, outcome) = self.decide(unit, target, &input, now).await?;
        Ok(JoinCallResult {
            outcome,
            call_id: call.id,
            status: call.status,
        })
    }

    /// Locks a chat, and that of the call that is left in the same transaction.
    async fn lock_with_leave(
        &self,
        unit: &mut Unit<'_>,
        chat: &ChatId,
        leave: Option<&CallId>,
    ) -> Result<(Chat, BTreeMap<CallId, Opened>)> {
        let mut ids = BTreeSet::from([chat.clone()]);
        if let Some(leave) = leave
            && let Some(other) = crate::store::calls::chat_of_call(&mut unit.tx, leave).await?
        {
            ids.insert(other);
        }
        let mut chats = unit.lock_chats(ids).await?;
        let opened = unit.open(&leave.into_iter().cloned().collect()).await?;
        let chat = chats.remove(chat).ok_or(StoreError::NotFound("chat"))?;
        Ok((chat, opened))
    }

    /// Frees the seat in the call that is to be left, on whichever device. Whether a seat in a call remains.
    async fn free_old_seat(
        &self,
        unit: &mut Unit<'_>,
        actor: &Actor,
        opened: &mut BTreeMap<CallId, Opened>,
        leave: Option<&CallId>,
        now: At,
    ) -> Result<bool> {
        let Some((held, _)) = seat_of(&mut unit.tx, &actor.user).await? else {
            return Ok(false);
        };
        let Some(old) = leave
            .filter(|leave| **leave == held)
            .and_then(|leave| opened.remove(leave))
        else {
            return Ok(true);
        };
        self.decide(unit, old, &Input::Leave(actor.user.clone(), None), now)
            .await?;
        Ok(false)
    }

    async fn limit_starts(&self, unit: &mut Unit<'_>, user: &UserId, chat: &ChatId, now: At) -> Result<()> {
        let since = now.0 - LIMIT_WINDOW_MS;
        let by_user = recent(
            &mut unit.tx,
            "SELECT count(*) AS n, MIN(ms(created_at)) AS oldest FROM calls \
             WHERE initiated_by = $1 AND created_at > ts($2)",
            user.as_str(),
            since,
        );
        within(by_user.await?, self.config.starts_per_user_minute, now)?;
        let in_chat = recent(
            &mut unit.tx,
            "SELECT count(*) AS n, MIN(ms(created_at)) AS oldest FROM calls \
             WHERE chat_id = $1 AND created_at > ts($2)",
            chat.as_str(),
            since,
        );
        within(in_chat.await?, self.config.starts_per_chat_minute, now)
    }

    async fn limit_invites(&self, unit: &mut Unit<'_>, user: &UserId, call: &CallId, now: At) -> Result<()> {
        let since = now.0 - LIMIT_WINDOW_MS;
        let by_user = recent(
            &mut unit.tx,
            "SELECT count(*) AS n, MIN(ms(created_at)) AS oldest FROM client_commands \
             WHERE user_id = $1 AND op = 'invite' AND result IS NOT NULL AND created_at > ts($2)",
            user.as_str(),
            since,
        );
        within(by_user.await?, self.config.invites_per_user_minute, now)?;
        let in_call = recent(
            &mut unit.tx,
            "SELECT count(*) AS n, MIN(ms(created_at)) AS oldest FROM call_events \
             WHERE call_id = $1 AND event_type = 'call_invited' AND created_at > ts($2)",
            call.as_str(),
            since,
        );
        within(in_call.await?, self.config.invites_per_call_minute, now)
    }
}

fn seated(call: &Call, user: &UserId) -> bool {
    call.participants.get(user).is_some_and(calls::Participant::seated)
}

async fn is_guest(unit: &mut Unit<'_>, user: &UserId) -> Result<bool> {
    use crate::store::db::args;
    let row = unit
        .tx
        .fetch_optional("SELECT guest FROM users WHERE id = $1", args![user.as_str()])
        .await?;
    Ok(row.ok_or(StoreError::NotFound("user"))?.bool("guest")?)
}

/// Refuses when the window holds as many as the limit allows (0: no limit), and says when the oldest leaves it.
fn within((count, oldest): (i64, Option<i64>), limit: u32, now: At) -> Result<()> {
    if limit == 0 || count < i64::from(limit) {
        return Ok(());
    }
    let wait = oldest
        .map_or(LIMIT_WINDOW_MS, |oldest| oldest + LIMIT_WINDOW_MS - now.0)
        .clamp(1, LIMIT_WINDOW_MS);
    Err(ServiceError::Refused(WireError {
        code: ErrorCode::RateLimited,
        message: "too many in a minute".into(),
        retry_after_ms: u32::try_from(wait).unwrap_or(1_000),
    }))
}
