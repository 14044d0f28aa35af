//! The outbox: durable events, gapless per user.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::StoreError;
use super::db::{Db, Tx, args};
use super::words::list;
use crate::ids::{CallId, UserId};
use crate::protocol::Event;

type Result<T> = std::result::Result<T, StoreError>;

/// An event that is about to be written.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) op: String,
    pub(crate) call: Option<CallId>,
    pub(crate) rev: Option<i64>,
    pub(crate) payload: Json,
    /// Of an `incoming_call`.
    pub(crate) ring_deadline_ms: Option<i64>,
}

/// Writes events. Called last in a transaction, users in the order of their ids: the counter rows stay locked until the
/// commit, so that a sequence that can be seen has no gap before it, and no two transactions wait for each other.
///
/// The stamp is taken when the counter is held already, so that within one user's events it never runs against the
/// sequence: pruning by age removes a beginning, never a hole.
pub(crate) async fn append(tx: &mut Tx, drafts: &BTreeMap<UserId, Vec<Draft>>) -> Result<()> {
    for (user, drafts) in drafts {
        let count = i64::try_from(drafts.len()).unwrap_or(i64::MAX);
        let row = tx
            .fetch_optional(
                "INSERT INTO user_event_counters (user_id, last_seq) VALUES ($1, $2) \
                 ON CONFLICT (user_id) DO UPDATE SET last_seq = user_event_counters.last_seq + $2 \
                 RETURNING last_seq",
                args![user.as_str(), count],
            )
            .await?;
        let last = row.ok_or(StoreError::NotFound("event counter"))?.int("last_seq")?;
        for (seq, draft) in (last - count + 1..).zip(drafts) {
            tx.execute(
                "INSERT INTO user_events (user_id, seq, op, call_id, rev, payload, ring_deadline, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6::jsonb, ts($7), clock_timestamp())",
                args![
                    user.as_str(),
                    seq,
                    draft.op.as_str(),
                    draft.call.as_ref().map(CallId::as_str),
                    draft.rev,
                    draft.payload.to_string(),
                    draft.ring_deadline_ms
                ],
            )
            .await?;
        }
    }
    Ok(())
}

/// Locks the counters of users, in the order of their ids, before [`append`] does: whatever another transaction has told
/// them before is visible afterwards, and what it tells them later comes later in their events.
pub(crate) async fn lock(tx: &mut Tx, users: &BTreeSet<&UserId>) -> Result<()> {
    for user in users {
        tx.execute(
            "INSERT INTO user_event_counters (user_id, last_seq) VALUES ($1, 0) \
             ON CONFLICT (user_id) DO UPDATE SET last_seq = user_event_counters.last_seq",
            args![user.as_str()],
        )
        .await?;
    }
    Ok(())
}

/// Events of a user after a sequence, in order. What is left of a ring is computed now.
pub(crate) async fn read(db: &Db, user: &UserId, after: u64, limit: u32) -> Result<Vec<Event>> {
    let mut tx = db.begin_read().await?;
    let now = tx.now_ms().await?;
    let rows = tx
        .fetch_all(
            "SELECT seq, op, call_id, rev, payload::text AS payload, ms(ring_deadline) AS ring_deadline \
             FROM user_events WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            args![
                user.as_str(),
                i64::try_from(after).unwrap_or(i64::MAX),
                i64::from(limit)
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let text = row.text("payload")?;
            let mut d: Json = serde_json::from_str(&text).map_err(|_| StoreError::Decode {
                column: "payload".into(),
                value: text,
            })?;
            if let (Some(deadline), Some(fields)) = (row.opt_int("ring_deadline")?, d.as_object_mut()) {
                fields.insert(
                    "ringMsLeft".into(),
                    Json::from((deadline - now).clamp(0, i64::from(u32::MAX))),
                );
            }
            Ok(Event {
                seq: u64::try_from(row.int("seq")?).unwrap_or(0),
                op: row.text("op")?,
                call_id: row.opt_text("call_id")?.map(CallId::from),
                rev: row.opt_int("rev")?.and_then(|rev| u64::try_from(rev).ok()),
                d,
            })
        })
        .collect()
}

/// Sequence of the oldest event of a user that is still kept.
pub(crate) async fn oldest(db: &Db, user: &UserId) -> Result<Option<u64>> {
    let sql = "SELECT MIN(seq) AS seq FROM user_events WHERE user_id = $1";
    let row = db.fetch_optional(sql, args![user.as_str()]).await?;
    let seq = row.ok_or(StoreError::NotFound("the oldest event"))?.opt_int("seq")?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()))
}

/// Newest sequence of a user as this transaction sees it; 0 for who never had an event.
pub(crate) async fn last_seq(tx: &mut Tx, user: &UserId) -> Result<u64> {
    let sql = "SELECT last_seq FROM user_event_counters WHERE user_id = $1";
    match tx.fetch_optional(sql, args![user.as_str()]).await? {
        Some(row) => Ok(u64::try_from(row.int("last_seq")?).unwrap_or(0)),
        None => Ok(0),
    }
}

/// Newest sequence of each of these users, 0 for who never had an event; who does not exist (any more) is left out.
pub(crate) async fn last_seqs(db: &Db, users: &[UserId]) -> Result<Vec<(UserId, u64)>> {
    let rows = db
        .fetch_all(
            "SELECT u.id AS user_id, COALESCE(k.last_seq, 0) AS last_seq FROM users u \
             LEFT JOIN user_event_counters k ON k.user_id = u.id WHERE u.id IN (SELECT value FROM each($1))",
            args![list(users)],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.text("user_id")?.into(),
                u64::try_from(row.int("last_seq")?).unwrap_or(0),
            ))
        })
        .collect()
}
