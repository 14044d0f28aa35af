//! Calls: from rows to the state machine's value and back.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::StoreError;
use super::db::{Row, Tx, args};
use super::words::{parse, parse_opt, word};
use crate::calls::{At, Call, EventType, MediaLink, Participant, Waiting};
use crate::ids::{CallId, ChatId, UserId};

type Result<T> = std::result::Result<T, StoreError>;

/// Which node answers for what is written, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease<'a> {
    pub(crate) node: &'a str,
    pub(crate) until_ms: i64,
}

/// The chat of a call; it never changes, so no lock is needed to know it.
pub(crate) async fn chat_of_call(tx: &mut Tx, call: &CallId) -> Result<Option<ChatId>> {
    let row = tx
        .fetch_optional("SELECT chat_id FROM calls WHERE id = $1", args![call.as_str()])
        .await?;
    row.map(|row| Ok(row.text("chat_id")?.into())).transpose()
}

/// The live call of a chat (whose row is locked).
pub(crate) async fn live_call_of_chat(tx: &mut Tx, chat: &ChatId) -> Result<Option<CallId>> {
    let sql = "SELECT id FROM calls WHERE chat_id = $1 AND status IN ('ringing', 'ongoing')";
    let row = tx.fetch_optional(sql, args![chat.as_str()]).await?;
    row.map(|row| Ok(row.text("id")?.into())).transpose()
}

/// The call in which a user holds a seat, and the tab that holds it.
pub(crate) async fn seat_of(tx: &mut Tx, user: &UserId) -> Result<Option<(CallId, String)>> {
    let sql = "SELECT call_id, device_id FROM call_participants \
               WHERE user_id = $1 AND status IN ('joined', 'reconnecting')";
    let row = tx.fetch_optional(sql, args![user.as_str()]).await?;
    row.map(|row| Ok((row.text("call_id")?.into(), row.text("device_id")?)))
        .transpose()
}

macro_rules! call_sql {
    ($lock:literal) => {
        concat!(
            "SELECT id, chat_id, room_name, type, initiated_by, status, end_reason, ms(created_at) AS created_at, \
             ms(started_at) AS started_at, ms(ended_at) AS ended_at, ended_by, locked, group_rules, \
             ms(caller_lost_deadline) AS caller_lost_deadline, ms(alone_ask_deadline) AS alone_ask_deadline, \
             ms(alone_end_deadline) AS alone_end_deadline, ms(max_deadline) AS max_deadline, rev, waiting::text AS waiting, \
             (SELECT count(*) FROM call_resources r WHERE r.call_id = calls.id AND r.kind = 'publisher' \
              AND r.ended_at IS NULL) AS publishers FROM calls WHERE id = $1",
            $lock
        )
    };
}

macro_rules! participants_sql {
    ($lock:literal) => {
        concat!(
            "SELECT user_id, status, device_id, ms(joined_at) AS joined_at, ms(left_at) AS left_at, duration_ms, \
             invited_by, admitted, socket_lost, media, mutes::text AS mutes, ms(hand_at) AS hand_at, \
             ms(ring_deadline) AS ring_deadline, ms(rejoin_deadline) AS rejoin_deadline, \
             ms(media_deadline) AS media_deadline FROM call_participants WHERE call_id = $1 ORDER BY user_id",
            $lock
        )
    };
}

/// Loads a call and locks it and its participants (whose chat is locked already).
pub(crate) async fn load(tx: &mut Tx, id: &CallId) -> Result<Option<Call>> {
    rows(tx, id, call_sql!(" FOR UPDATE"), participants_sql!(" FOR UPDATE")).await
}

/// Loads a call to look at it.
pub(crate) async fn look(tx: &mut Tx, id: &CallId) -> Result<Option<Call>> {
    rows(tx, id, call_sql!(""), participants_sql!("")).await
}

async fn rows(tx: &mut Tx, id: &CallId, one: &'static str, people: &'static str) -> Result<Option<Call>> {
    let Some(row) = tx.fetch_optional(one, args![id.as_str()]).await? else {
        return Ok(None);
    };
    let people = tx.fetch_all(people, args![id.as_str()]).await?;
    let participants = people.iter().map(participant).collect::<Result<_>>()?;
    call(&row, participants).map(Some)
}

fn at(row: &Row, column: &'static str) -> Result<Option<At>> {
    Ok(row.opt_int(column)?.map(At))
}

fn ms(at: Option<At>) -> Option<i64> {
    at.map(|at| at.0)
}

fn call(row: &Row, participants: BTreeMap<UserId, Participant>) -> Result<Call> {
    Ok(Call {
        id: row.text("id")?.into(),
        chat: row.text("chat_id")?.into(),
        room_name: row.text("room_name")?,
        call_type: parse("type", row.text("type")?)?,
        initiated_by: row.text("initiated_by")?.into(),
        status: parse("status", row.text("status")?)?,
        end_reason: parse_opt("end_reason", row.opt_text("end_reason")?)?,
        created_at: At(row.int("created_at")?),
        started_at: at(row, "started_at")?,
        ended_at: at(row, "ended_at")?,
        ended_by: row.opt_text("ended_by")?.map(UserId::from),
        locked: row.bool("locked")?,
        group_rules: row.bool("group_rules")?,
        caller_lost_deadline: at(row, "caller_lost_deadline")?,
        alone_ask_deadline: at(row, "alone_ask_deadline")?,
        alone_end_deadline: at(row, "alone_end_deadline")?,
        max_deadline: at(row, "max_deadline")?,
        rev: row.int("rev")?,
        publishers: u32::try_from(row.int("publishers")?).unwrap_or(0),
        participants,
        waiting: waiting(row)?,
    })
}

/// Who waits to be let in: one column, because it changes with the call, is small and is empty for almost every call.
pub(crate) fn waiting(row: &Row) -> Result<BTreeMap<UserId, Waiting>> {
    let text = row.text("waiting")?;
    serde_json::from_str(&text).map_err(|_| StoreError::Decode {
        column: "waiting".into(),
        value: text,
    })
}

fn participant(row: &Row) -> Result<(UserId, Participant)> {
    let mutes = row.text("mutes")?;
    let media = row.text("media")?;
    let person = Participant {
        status: parse("status", row.text("status")?)?,
        device: row.opt_text("device_id")?.map(Into::into),
        joined_at: at(row, "joined_at")?,
        left_at: at(row, "left_at")?,
        duration_ms: row.int("duration_ms")?,
        invited_by: row.opt_text("invited_by")?.map(UserId::from),
        admitted: row.bool("admitted")?,
        socket_lost: row.bool("socket_lost")?,
        media: match media.as_str() {
            "none" => MediaLink::None,
            "connected" => MediaLink::Connected,
            "lost" => MediaLink::Lost,
            _ => {
                return Err(StoreError::Decode {
                    column: "media".into(),
                    value: media,
                });
            }
        },
        mutes: serde_json::from_str(&mutes).map_err(|_| StoreError::Decode {
            column: "mutes".into(),
            value: mutes,
        })?,
        hand_at: at(row, "hand_at")?,
        ring_deadline: at(row, "ring_deadline")?,
        rejoin_deadline: at(row, "rejoin_deadline")?,
        media_deadline: at(row, "media_deadline")?,
    };
    Ok((row.text("user_id")?.into(), person))
}

/// Writes what changed of a call; `before` is none for a new one.
pub(crate) async fn save(tx: &mut Tx, before: Option<&Call>, call: &Call, lease: Lease<'_>) -> Result<()> {
    if before.is_none() {
        insert(tx, call, lease).await?;
    } else {
        update(tx, call).await?;
    }
    for (user, person) in &call.participants {
        if before.and_then(|before| before.participants.get(user)) != Some(person) {
            save_participant(tx, call, user, person, lease).await?;
        }
    }
    Ok(())
}

async fn insert(tx: &mut Tx, call: &Call, lease: Lease<'_>) -> Result<()> {
    tx.execute(
        "INSERT INTO calls (id, chat_id, room_name, type, initiated_by, status, created_at, started_at, \
         group_rules, max_deadline, alone_ask_deadline, alone_end_deadline, next_deadline, rev, node_id, lease_until) \
         VALUES ($1, $2, $3, $4, $5, $6, ts($7), ts($8), $9, ts($10), ts($11), ts($12), ts($13), $14, $15, ts($16))",
        args![
            call.id.as_str(),
            call.chat.as_str(),
            call.room_name.as_str(),
            word(&call.call_type)?,
            call.initiated_by.as_str(),
            word(&call.status)?,
            call.created_at.0,
            ms(call.started_at),
            call.group_rules,
            ms(call.max_deadline),
            ms(call.alone_ask_deadline),
            ms(call.alone_end_deadline),
            call.next_deadline().map(|(at, _)| at.0),
            call.rev,
            lease.node,
            lease.until_ms
        ],
    )
    .await
    .map(drop)
}

async fn update(tx: &mut Tx, call: &Call) -> Result<()> {
    let end_reason = call.end_reason.as_ref().map(word).transpose()?;
    tx.execute(
        "UPDATE calls SET status = $2, end_reason = $3, started_at = ts($4), ended_at = ts($5), ended_by = $6, \
         locked = $7, group_rules = $8, caller_lost_deadline = ts($9), alone_ask_deadline = ts($10), \
         alone_end_deadline = ts($11), max_deadline = ts($12), next_deadline = ts($13), rev = $14, \
         node_id = CASE WHEN $15 THEN node_id END, lease_until = CASE WHEN $15 THEN lease_until END, \
         waiting = $16::jsonb WHERE id = $1",
        args![
            call.id.as_str(),
            word(&call.status)?,
            end_reason,
            ms(call.started_at),
            ms(call.ended_at),
            call.ended_by.as_ref().map(UserId::as_str),
            call.locked,
            call.group_rules,
            ms(call.caller_lost_deadline),
            ms(call.alone_ask_deadline),
            ms(call.alone_end_deadline),
            ms(call.max_deadline),
            call.next_deadline().map(|(at, _)| at.0),
            call.rev,
            call.live(),
            serde_json::to_string(&call.waiting).map_err(|error| StoreError::Query(error.to_string()))?
        ],
    )
    .await
    .map(drop)
}

async fn save_participant(
    tx: &mut Tx,
    call: &Call,
    user: &UserId,
    person: &Participant,
    lease: Lease<'_>,
) -> Result<()> {
    let role = if call.initiated_by == *user {
        "initiator"
    } else {
        "member"
    };
    let media = match person.media {
        MediaLink::None => "none",
        MediaLink::Connected => "connected",
        MediaLink::Lost => "lost",
    };
    let mutes = serde_json::to_string(&person.mutes).map_err(|error| StoreError::Query(error.to_string()))?;
    let seat = person.seated();
    tx.execute(
        "INSERT INTO call_participants (call_id, user_id, status, role, device_id, joined_at, left_at, duration_ms, \
         invited_by, admitted, socket_lost, media, mutes, hand_at, ring_deadline, rejoin_deadline, media_deadline, \
         node_id, lease_until, called_at) \
         VALUES ($1, $2, $3, $4, $5, ts($6), ts($7), $8, $9, $10, $11, $12, $13::jsonb, ts($14), ts($15), ts($16), \
         ts($17), $18, ts($19), ts($20)) \
         ON CONFLICT (call_id, user_id) DO UPDATE SET status = excluded.status, device_id = excluded.device_id, \
         joined_at = excluded.joined_at, left_at = excluded.left_at, duration_ms = excluded.duration_ms, \
         invited_by = excluded.invited_by, admitted = excluded.admitted, socket_lost = excluded.socket_lost, \
         media = excluded.media, mutes = excluded.mutes, hand_at = excluded.hand_at, \
         ring_deadline = excluded.ring_deadline, rejoin_deadline = excluded.rejoin_deadline, \
         media_deadline = excluded.media_deadline, node_id = excluded.node_id, lease_until = excluded.lease_until, \
         seen = call_participants.seen AND call_participants.status = excluded.status",
        args![
            call.id.as_str(),
            user.as_str(),
            word(&person.status)?,
            role,
            person.device.as_ref().map(|device| device.as_str()),
            ms(person.joined_at),
            ms(person.left_at),
            person.duration_ms,
            person.invited_by.as_ref().map(UserId::as_str),
            person.admitted,
            person.socket_lost,
            media,
            mutes,
            ms(person.hand_at),
            ms(person.ring_deadline),
            ms(person.rejoin_deadline),
            ms(person.media_deadline),
            seat.then_some(lease.node),
            seat.then_some(lease.until_ms),
            call.created_at.0
        ],
    )
    .await
    .map(drop)
}

/// Appends to the record of a call (whose row is locked).
pub(crate) async fn log(
    tx: &mut Tx,
    call: &CallId,
    events: &[(EventType, Option<UserId>, Json)],
    now_ms: i64,
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let sql = "SELECT COALESCE(MAX(seq), 0) AS last FROM call_events WHERE call_id = $1";
    let row = tx.fetch_optional(sql, args![call.as_str()]).await?;
    let mut seq = row.map_or(Ok(0), |row| row.int("last"))?;
    for (event, user, metadata) in events {
        seq += 1;
        tx.execute(
            "INSERT INTO call_events (call_id, seq, event_type, user_id, metadata, created_at) \
             VALUES ($1, $2, $3, $4, $5::jsonb, ts($6))",
            args![
                call.as_str(),
                seq,
                event.name(),
                user.as_ref().map(UserId::as_str),
                metadata.to_string(),
                now_ms
            ],
        )
        .await?;
    }
    Ok(())
}

/// How many rows of the last minute a limit sees, and when the oldest of them was made.
pub(crate) async fn recent(tx: &mut Tx, sql: &'static str, id: &str, since_ms: i64) -> Result<(i64, Option<i64>)> {
    let row = tx.fetch_optional(sql, args![id, since_ms]).await?;
    let row = row.ok_or(StoreError::NotFound("count"))?;
    Ok((row.int("n")?, row.opt_int("oldest")?))
}
