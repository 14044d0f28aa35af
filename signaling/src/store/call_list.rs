//! One person's own history of calls: listed, filtered, and what they missed and have not seen.

use std::collections::HashMap;

use super::db::{Row, Tx, args};
use super::words::{list, parse, parse_opt, rfc3339, word};
use super::{Store, StoreError};
use crate::ids::{CallId, ChatId, UserId};
use crate::protocol::{CallEntry, CallStatus, CallType, User};

type Result<T> = std::result::Result<T, StoreError>;

/// Names shown of the others in a call.
const SHOWN_OTHERS: usize = 10;
/// Later than any call: the end of the year 9999, as epoch milliseconds.
const END_OF_TIME_MS: i64 = 253_402_300_799_999;

/// Who rang whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Somebody else started it.
    Incoming,
    /// The reader started it.
    Outgoing,
}

/// A place in the list: calls after it are older, or as old with a greater id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The ring, epoch milliseconds.
    pub created_at_ms: i64,
    /// Which call.
    pub call: CallId,
}

/// Which calls of a person are wanted; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// In this chat.
    pub chat: Option<ChatId>,
    /// With this status.
    pub status: Option<CallStatus>,
    /// audio or video.
    pub call_type: Option<CallType>,
    /// Rung by others, or by the reader.
    pub direction: Option<Direction>,
    /// Only those that the reader missed.
    pub missed: bool,
    /// Only those that the reader has not seen; with `missed`.
    pub unseen: bool,
    /// Rung then or later, epoch milliseconds.
    pub since_ms: Option<i64>,
    /// Rung before then, epoch milliseconds.
    pub until_ms: Option<i64>,
    /// Only what comes after it.
    pub after: Option<Cursor>,
}

fn entry(row: &Row, others: &mut HashMap<CallId, Vec<User>>) -> Result<CallEntry> {
    let call_id: CallId = row.text("call_id")?.into();
    let (started, ended) = (row.opt_int("started_ms")?, row.opt_int("ended_ms")?);
    let talk = started.zip(ended).map_or(0, |(start, end)| (end - start) / 1000);
    let others = others.remove(&call_id).unwrap_or_default();
    let mine = parse("mine", row.text("mine")?)?;
    Ok(CallEntry {
        chat_id: row.text("chat_id")?.into(),
        chat_name: row.opt_text("chat_name")?,
        call_type: parse("type", row.text("type")?)?,
        status: parse("status", row.text("status")?)?,
        end_reason: parse_opt("end_reason", row.opt_text("end_reason")?)?,
        initiator: User {
            id: row.text("initiator")?.into(),
            name: row.text("initiator_name")?,
            avatar: row.opt_text("initiator_avatar")?,
        },
        others_count: u32::try_from(others.len()).unwrap_or(u32::MAX),
        others: others.into_iter().take(SHOWN_OTHERS).collect(),
        created_at: rfc3339(row.int("called_ms")?),
        started_at: started.map(rfc3339),
        ended_at: ended.map(rfc3339),
        duration: u32::try_from(talk).unwrap_or(0),
        mine,
        seen: row.bool("seen")? || mine != crate::protocol::ParticipantStatus::Missed,
        call_id,
    })
}

/// Missed calls that a person has not seen.
pub(crate) async fn unseen(tx: &mut Tx, user: &UserId) -> Result<u32> {
    let sql = "SELECT count(*) AS n FROM call_participants WHERE user_id = $1 AND status = 'missed' AND NOT seen";
    let row = tx.fetch_optional(sql, args![user.as_str()]).await?;
    let count = row.ok_or(StoreError::NotFound("count"))?.int("n")?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Marks missed calls seen, up to one of them or (none given) all. How many were not.
pub(crate) async fn mark_seen(tx: &mut Tx, user: &UserId, up_to: Option<&CallId>) -> Result<u64> {
    let until = match up_to {
        None => END_OF_TIME_MS,
        Some(call) => {
            let sql = "SELECT ms(called_at) AS called_ms FROM call_participants WHERE call_id = $2 AND user_id = $1";
            let row = tx.fetch_optional(sql, args![user.as_str(), call.as_str()]).await?;
            row.ok_or(StoreError::NotFound("call"))?.int("called_ms")?
        }
    };
    // Truncated to milliseconds above: the call itself counts too.
    tx.execute(
        "UPDATE call_participants SET seen = TRUE \
         WHERE user_id = $1 AND status = 'missed' AND NOT seen AND called_at < ts($2)",
        args![user.as_str(), until.saturating_add(1)],
    )
    .await
}

impl Store {
    /// A page of a person's calls, newest first, where to go on, and how many missed ones they have not seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_list(
        &self,
        user: &UserId,
        filter: &CallFilter,
        limit: u32,
    ) -> Result<(Vec<CallEntry>, Option<Cursor>, u32)> {
        let until = filter.until_ms.map_or(END_OF_TIME_MS, |until| until.saturating_sub(1));
        let (before, after_id) = match &filter.after {
            Some(cursor) if cursor.created_at_ms <= until => (cursor.created_at_ms, cursor.call.as_str()),
            _ => (until, ""),
        };
        let direction = filter.direction.map(|direction| match direction {
            Direction::Incoming => "incoming",
            Direction::Outgoing => "outgoing",
        });
        let mut tx = self.db.begin_read().await?;
        let rows = tx
            .fetch_all(
                "SELECT p.call_id, p.status AS mine, p.seen, ms(p.called_at) AS called_ms, c.chat_id, c.type, \
                 c.status, c.end_reason, ms(c.started_at) AS started_ms, ms(c.ended_at) AS ended_ms, \
                 u.id AS initiator, u.name AS initiator_name, u.avatar AS initiator_avatar, h.name AS chat_name \
                 FROM call_participants p JOIN calls c ON c.id = p.call_id JOIN users u ON u.id = c.initiated_by \
                 LEFT JOIN chat_participants m ON m.chat_id = c.chat_id AND m.user_id = p.user_id \
                 LEFT JOIN chats h ON h.id = m.chat_id \
                 WHERE p.user_id = $1 AND p.called_at < ts($2 + 1) AND (p.called_at < ts($2) OR p.call_id > $3) \
                 AND p.called_at >= ts($4) AND ($5 IS NULL OR c.chat_id = $5) AND ($6 IS NULL OR c.status = $6) \
                 AND ($7 IS NULL OR c.type = $7) \
                 AND ($8 IS NULL OR ($8 = 'outgoing') = (c.initiated_by = p.user_id)) \
                 AND (NOT $9 OR p.status = 'missed') AND (NOT $10 OR NOT p.seen) \
                 ORDER BY p.called_at DESC, p.call_id LIMIT $11",
                args![
                    user.as_str(),
                    before,
                    after_id,
                    filter.since_ms.unwrap_or(0),
                    filter.chat.as_ref().map(ChatId::as_str),
                    filter.status.as_ref().map(word).transpose()?,
                    filter.call_type.as_ref().map(word).transpose()?,
                    direction,
                    filter.missed || filter.unseen,
                    filter.unseen,
                    i64::from(limit) + 1
                ],
            )
            .await?;
        let more = rows.len() > limit as usize;
        let rows = &rows[..rows.len().min(limit as usize)];
        let ids = rows
            .iter()
            .map(|row| row.text("call_id").map(CallId))
            .collect::<Result<Vec<_>>>()?;
        let mut others = others(&mut tx, user, &ids).await?;
        let next = match rows.last().filter(|_| more) {
            Some(row) => Some(Cursor {
                created_at_ms: row.int("called_ms")?,
                call: row.text("call_id")?.into(),
            }),
            None => None,
        };
        let calls = rows
            .iter()
            .map(|row| entry(row, &mut others))
            .collect::<Result<Vec<_>>>()?;
        Ok((calls, next, unseen(&mut tx, user).await?))
    }
}

/// The others in each of these calls, by name.
async fn others(tx: &mut Tx, user: &UserId, calls: &[CallId]) -> Result<HashMap<CallId, Vec<User>>> {
    let rows = tx
        .fetch_all(
            "SELECT p.call_id, u.id, u.name, u.avatar FROM call_participants p JOIN users u ON u.id = p.user_id \
             WHERE p.call_id IN (SELECT value FROM each($1)) AND p.user_id <> $2 ORDER BY u.name, u.id",
            args![list(calls), user.as_str()],
        )
        .await?;
    let mut others: HashMap<CallId, Vec<User>> = HashMap::new();
    for row in &rows {
        let user = User {
            id: row.text("id")?.into(),
            name: row.text("name")?,
            avatar: row.opt_text("avatar")?,
        };
        others.entry(row.text("call_id")?.into()).or_default().push(user);
    }
    Ok(others)
}
