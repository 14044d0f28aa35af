//! Messages.

use std::collections::BTreeMap;

use super::db::{Row, Tx, args};
use super::words::{parse, parse_opt, rfc3339, word};
use super::{Store, StoreError};
use crate::ids::{CallId, ChatId, MessageId, UserId};
use crate::protocol::{CallSummary, Message, MessageKind};

type Result<T> = std::result::Result<T, StoreError>;

/// A message that is about to be written.
pub(crate) struct NewMessage<'a> {
    pub(crate) id: &'a MessageId,
    pub(crate) chat: &'a ChatId,
    pub(crate) sender: &'a UserId,
    /// The call that left it.
    pub(crate) call: Option<&'a CallId>,
    /// The call in which it was written.
    pub(crate) in_call: Option<&'a CallId>,
    pub(crate) content: &'a str,
    pub(crate) now_ms: i64,
}

/// Writes a message as the next one of its chat (whose row is locked). Who wrote it has read it.
pub(crate) async fn insert(tx: &mut Tx, new: &NewMessage<'_>) -> Result<()> {
    let row = tx
        .fetch_optional(
            "UPDATE chats SET message_seq = message_seq + 1, updated_at = ts($2) WHERE id = $1 \
             RETURNING message_seq",
            args![new.chat.as_str(), new.now_ms],
        )
        .await?;
    let seq = row.ok_or(StoreError::NotFound("chat"))?.int("message_seq")?;
    let kind = if new.call.is_some() {
        MessageKind::Call
    } else {
        MessageKind::Text
    };
    tx.execute(
        "INSERT INTO messages (id, chat_id, seq, sender_id, kind, call_id, content, created_at, in_call) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, ts($8), $9)",
        args![
            new.id.as_str(),
            new.chat.as_str(),
            seq,
            new.sender.as_str(),
            word(&kind)?,
            new.call.map(CallId::as_str),
            new.content,
            new.now_ms,
            new.in_call.map(CallId::as_str)
        ],
    )
    .await?;
    tx.execute(
        "UPDATE chat_participants SET last_read_seq = $3 WHERE chat_id = $1 AND user_id = $2",
        args![new.chat.as_str(), new.sender.as_str(), seq],
    )
    .await?;
    Ok(())
}

/// A call's message is news only to who missed the call: for the others it is read, unless something before it is not.
pub(crate) async fn read_by_participants(tx: &mut Tx, call: &CallId, chat: &ChatId) -> Result<()> {
    tx.execute(
        "UPDATE chat_participants SET last_read_seq = last_read_seq + 1 WHERE chat_id = $2 \
         AND last_read_seq = (SELECT message_seq - 1 FROM chats WHERE id = $2) \
         AND user_id IN (SELECT user_id FROM call_participants WHERE call_id = $1 AND status <> 'missed')",
        args![call.as_str(), chat.as_str()],
    )
    .await
    .map(drop)
}

/// Marks a chat read, up to a message or (none given) all of it. Whether the marker moved; it never goes back.
pub(crate) async fn mark_read(tx: &mut Tx, chat: &ChatId, user: &UserId, up_to: Option<&MessageId>) -> Result<bool> {
    let newest = match up_to {
        None => tx.fetch_optional(
            "SELECT message_seq AS seq FROM chats WHERE id = $1",
            args![chat.as_str()],
        ),
        Some(id) => tx.fetch_optional(
            "SELECT seq FROM messages WHERE id = $2 AND chat_id = $1",
            args![chat.as_str(), id.as_str()],
        ),
    };
    let seq = newest.await?.ok_or(StoreError::NotFound("message"))?.int("seq")?;
    let changed = tx
        .execute(
            "UPDATE chat_participants SET last_read_seq = $3 \
             WHERE chat_id = $1 AND user_id = $2 AND last_read_seq < $3",
            args![chat.as_str(), user.as_str(), seq],
        )
        .await?;
    Ok(changed > 0)
}

fn message(row: &Row) -> Result<Message> {
    let call = match row.opt_text("call_id")? {
        None => None,
        Some(id) => {
            let (start, end) = (row.opt_int("started_ms")?, row.opt_int("ended_ms")?);
            let talk = start.zip(end).map_or(0, |(start, end)| (end - start) / 1000);
            Some(CallSummary {
                call_id: id.into(),
                call_type: parse("call_type", row.text("call_type")?)?,
                status: parse("status", row.text("status")?)?,
                end_reason: parse_opt("end_reason", row.opt_text("end_reason")?)?,
                duration: u32::try_from(talk).unwrap_or(0),
                mine: parse_opt("mine", row.opt_text("mine")?)?,
            })
        }
    };
    Ok(Message {
        id: row.text("id")?.into(),
        chat_id: row.text("chat_id")?.into(),
        sender_id: row.text("sender_id")?.into(),
        kind: parse("kind", row.text("kind")?)?,
        content: row.text("content")?,
        call,
        in_call: row.opt_text("in_call")?.map(CallId::from),
        created_at: rfc3339(row.int("created_ms")?),
    })
}

/// The newest message of each chat of a user.
pub(crate) async fn newest(tx: &mut Tx, user: &UserId, only: Option<&str>) -> Result<BTreeMap<ChatId, Message>> {
    let rows = tx
        .fetch_all(
            "SELECT m.id, m.chat_id, m.sender_id, m.kind, m.content, ms(m.created_at) AS created_ms, m.call_id, m.in_call, \
             k.type AS call_type, k.status, k.end_reason, ms(k.started_at) AS started_ms, \
             ms(k.ended_at) AS ended_ms, p.status AS mine \
             FROM chat_participants mine JOIN chats c ON c.id = mine.chat_id \
             JOIN messages m ON m.chat_id = c.id AND m.seq = c.message_seq \
             LEFT JOIN calls k ON k.id = m.call_id \
             LEFT JOIN call_participants p ON p.call_id = k.id AND p.user_id = $1 \
             WHERE mine.user_id = $1 AND ($2 IS NULL OR mine.chat_id = $2)",
            args![user.as_str(), only],
        )
        .await?;
    rows.iter()
        .map(|row| message(row).map(|message| (message.chat_id.clone(), message)))
        .collect()
}

impl Store {
    /// Texts written in a call, before one (or the newest ones), newest first. Whether the reader may is the caller's to
    /// check.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_messages(&self, call: &CallId, before: Option<&MessageId>, limit: u32) -> Result<Vec<Message>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT m.id, m.chat_id, m.sender_id, m.kind, m.content, ms(m.created_at) AS created_ms, m.call_id, \
                 m.in_call FROM messages m WHERE m.in_call = $1 \
                 AND ($2 IS NULL OR m.seq < (SELECT seq FROM messages WHERE id = $2 AND in_call = $1)) \
                 ORDER BY m.seq DESC LIMIT $3",
                args![call.as_str(), before.map(MessageId::as_str), i64::from(limit)],
            )
            .await?;
        rows.iter().map(message).collect()
    }

    /// Messages before one (or the newest ones), newest first, as this user sees them. Whether they may is the caller's to
    /// check.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages(
        &self,
        user: &UserId,
        chat: &ChatId,
        before: Option<&MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT m.id, m.chat_id, m.sender_id, m.kind, m.content, ms(m.created_at) AS created_ms, m.call_id, m.in_call, \
                 k.type AS call_type, k.status, k.end_reason, ms(k.started_at) AS started_ms, \
                 ms(k.ended_at) AS ended_ms, p.status AS mine \
                 FROM messages m LEFT JOIN calls k ON k.id = m.call_id \
                 LEFT JOIN call_participants p ON p.call_id = k.id AND p.user_id = $1 \
                 WHERE m.chat_id = $2 \
                 AND ($3 IS NULL OR m.seq < (SELECT seq FROM messages WHERE id = $3 AND chat_id = $2)) \
                 ORDER BY m.seq DESC LIMIT $4",
                args![
                    user.as_str(),
                    chat.as_str(),
                    before.map(MessageId::as_str),
                    i64::from(limit)
                ],
            )
            .await?;
        rows.iter().map(message).collect()
    }
}
