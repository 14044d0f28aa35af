//! What is on record about calls.

use super::db::{Row, args};
use super::words::{parse, parse_opt};
use super::{CallEventRecord, CallRecord, ParticipantRecord, Store, StoreError};
use crate::ids::{CallId, ChatId, UserId};

type Result<T> = std::result::Result<T, StoreError>;

fn record(row: &Row) -> Result<CallRecord> {
    Ok(CallRecord {
        id: row.text("id")?.into(),
        chat: row.text("chat_id")?.into(),
        room_name: row.text("room_name")?,
        call_type: parse("type", row.text("type")?)?,
        initiated_by: row.text("initiated_by")?.into(),
        status: parse("status", row.text("status")?)?,
        end_reason: parse_opt("end_reason", row.opt_text("end_reason")?)?,
        created_at_ms: row.int("created_ms")?,
        started_at_ms: row.opt_int("started_ms")?,
        ended_at_ms: row.opt_int("ended_ms")?,
        ended_by: row.opt_text("ended_by")?.map(UserId::from),
    })
}

impl Store {
    /// A call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call(&self, id: &CallId) -> Result<Option<CallRecord>> {
        let row = self
            .db
            .fetch_optional(
                "SELECT id, chat_id, room_name, type, initiated_by, status, end_reason, \
                 ms(created_at) AS created_ms, ms(started_at) AS started_ms, ms(ended_at) AS ended_ms, ended_by \
                 FROM calls WHERE id = $1",
                args![id.as_str()],
            )
            .await?;
        row.as_ref().map(record).transpose()
    }

    /// Calls of a chat (or of all), newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calls(&self, chat: Option<&ChatId>, limit: u32) -> Result<Vec<CallRecord>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT id, chat_id, room_name, type, initiated_by, status, end_reason, \
                 ms(created_at) AS created_ms, ms(started_at) AS started_ms, ms(ended_at) AS ended_ms, ended_by \
                 FROM calls WHERE $1 IS NULL OR chat_id = $1 ORDER BY created_at DESC, id LIMIT $2",
                args![chat.map(ChatId::as_str), i64::from(limit)],
            )
            .await?;
        rows.iter().map(record).collect()
    }

    /// Participants of a call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn participants(&self, call: &CallId) -> Result<Vec<ParticipantRecord>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT user_id, status, ms(joined_at) AS joined_ms, ms(left_at) AS left_ms, duration_ms \
                 FROM call_participants WHERE call_id = $1 ORDER BY user_id",
                args![call.as_str()],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ParticipantRecord {
                    user: row.text("user_id")?.into(),
                    status: parse("status", row.text("status")?)?,
                    joined_at_ms: row.opt_int("joined_ms")?,
                    left_at_ms: row.opt_int("left_ms")?,
                    duration_ms: row.int("duration_ms")?,
                })
            })
            .collect()
    }

    /// What happened in a call, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_events(&self, call: &CallId) -> Result<Vec<CallEventRecord>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT seq, event_type, user_id, metadata::text AS metadata, ms(created_at) AS created_ms \
                 FROM call_events WHERE call_id = $1 ORDER BY seq",
                args![call.as_str()],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let text = row.text("metadata")?;
                Ok(CallEventRecord {
                    seq: row.int("seq")?,
                    event_type: row.text("event_type")?,
                    user: row.opt_text("user_id")?.map(UserId::from),
                    metadata: serde_json::from_str(&text).map_err(|_| StoreError::Decode {
                        column: "metadata".into(),
                        value: text,
                    })?,
                    created_at_ms: row.int("created_ms")?,
                })
            })
            .collect()
    }

    /// Changes whenever the database was restored from a backup; forces pages to take a snapshot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn epoch(&self) -> Result<u64> {
        let row = self
            .db
            .fetch_optional("SELECT epoch FROM installation WHERE id = 1", args![])
            .await?;
        let epoch = row.ok_or(StoreError::NotFound("installation"))?.int("epoch")?;
        Ok(u64::try_from(epoch).unwrap_or(0))
    }
}
