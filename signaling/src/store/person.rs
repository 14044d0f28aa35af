//! Everything that is kept about one person: handed out, or erased.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::db::{Row, Tx, Value, args};
use super::users::Subject;
use super::words::rfc3339;
use super::{Store, StoreError};
use crate::ids::UserId;

type Result<T> = std::result::Result<T, StoreError>;

/// What others see instead of an erased person's name.
pub const ERASED_NAME: &str = "Erased";
/// Issuer of who is left behind: nobody can sign in as them.
const ERASED_ISSUER: &str = "erased";

fn stamp(row: &Row, column: &'static str) -> Result<Json> {
    Ok(row.opt_int(column)?.map_or(Json::Null, |ms| rfc3339(ms).into()))
}

fn parsed(row: &Row, column: &'static str) -> Result<Json> {
    let text = row.text(column)?;
    serde_json::from_str(&text).map_err(|_| StoreError::Decode {
        column: column.into(),
        value: text,
    })
}

impl Store {
    /// Everything on record about a person, for themselves: account, chats, the texts they wrote, the calls they were rung
    /// for or in, and what happened in them that names them. Not the password hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn export_user(&self, user: &UserId) -> Result<Option<Json>> {
        let mut tx = self.db.begin_read().await?;
        let id = || args![user.as_str()];
        let sql = "SELECT id, issuer, subject, name, avatar, login, ms(created_at) AS created_ms, \
                   ms(last_seen_at) AS seen_ms FROM users WHERE id = $1";
        let Some(row) = tx.fetch_optional(sql, id()).await? else {
            return Ok(None);
        };
        let account = json!({
            "id": row.text("id")?, "issuer": row.text("issuer")?, "subject": row.text("subject")?,
            "name": row.text("name")?, "avatar": row.opt_text("avatar")?, "login": row.opt_text("login")?,
            "createdAt": stamp(&row, "created_ms")?, "lastSeenAt": stamp(&row, "seen_ms")?,
        });
        let chats = rows(
            &mut tx,
            "SELECT c.id, c.type, c.name, m.role, ms(m.joined_at) AS joined_ms FROM chat_participants m \
             JOIN chats c ON c.id = m.chat_id WHERE m.user_id = $1 ORDER BY m.joined_at, c.id",
            id(),
            |row| {
                Ok(json!({
                    "chatId": row.text("id")?, "type": row.text("type")?, "name": row.opt_text("name")?,
                    "role": row.text("role")?, "joinedAt": stamp(row, "joined_ms")?,
                }))
            },
        );
        let chats = chats.await?;
        let texts = rows(
            &mut tx,
            "SELECT id, chat_id, content, in_call, ms(created_at) AS created_ms FROM messages \
             WHERE sender_id = $1 AND kind = 'text' ORDER BY created_at, id",
            id(),
            |row| {
                Ok(json!({
                    "id": row.text("id")?, "chatId": row.text("chat_id")?, "content": row.text("content")?,
                    "inCall": row.opt_text("in_call")?, "createdAt": stamp(row, "created_ms")?,
                }))
            },
        );
        let texts = texts.await?;
        let calls = rows(
            &mut tx,
            "SELECT c.id, c.chat_id, c.type, c.status AS call_status, c.end_reason, ms(c.created_at) AS created_ms, \
             ms(c.started_at) AS started_ms, ms(c.ended_at) AS ended_ms, p.status, p.role, \
             ms(p.joined_at) AS joined_ms, ms(p.left_at) AS left_ms, p.duration_ms \
             FROM call_participants p JOIN calls c ON c.id = p.call_id WHERE p.user_id = $1 ORDER BY p.called_at, c.id",
            id(),
            |row| {
                Ok(json!({
                    "callId": row.text("id")?, "chatId": row.text("chat_id")?, "type": row.text("type")?,
                    "status": row.text("call_status")?, "endReason": row.opt_text("end_reason")?,
                    "createdAt": stamp(row, "created_ms")?, "startedAt": stamp(row, "started_ms")?,
                    "endedAt": stamp(row, "ended_ms")?, "mine": row.text("status")?, "role": row.text("role")?,
                    "joinedAt": stamp(row, "joined_ms")?, "leftAt": stamp(row, "left_ms")?,
                    "durationMs": row.int("duration_ms")?,
                }))
            },
        );
        let calls = calls.await?;
        let events = rows(
            &mut tx,
            "SELECT call_id, seq, event_type, metadata::text AS metadata, ms(created_at) AS created_ms \
             FROM call_events WHERE user_id = $1 ORDER BY created_at, call_id, seq",
            id(),
            |row| {
                Ok(json!({
                    "callId": row.text("call_id")?, "seq": row.int("seq")?, "type": row.text("event_type")?,
                    "metadata": parsed(row, "metadata")?, "createdAt": stamp(row, "created_ms")?,
                }))
            },
        );
        let events = events.await?;
        let quality = rows(
            &mut tx,
            "SELECT call_id, ms(minute) AS minute_ms, good_ms, fair_ms, poor_ms, bad_ms, reason \
             FROM call_quality WHERE user_id = $1 ORDER BY minute, call_id",
            id(),
            |row| {
                Ok(json!({
                    "callId": row.text("call_id")?, "minute": stamp(row, "minute_ms")?, "goodMs": row.int("good_ms")?,
                    "fairMs": row.int("fair_ms")?, "poorMs": row.int("poor_ms")?, "badMs": row.int("bad_ms")?,
                    "reason": row.opt_text("reason")?,
                }))
            },
        );
        let quality = quality.await?;
        Ok(Some(json!({
            "account": account, "chats": chats, "messages": texts, "calls": calls, "callEvents": events,
            "quality": quality,
        })))
    }

    /// Erases a person: account, memberships, the words of their texts, their outbox; their name in what waits for others. Their tokens open nothing any more.
    /// The calls stay, because they are the others' records too, under an id that nobody knows. Returns that id; none when
    /// there is no such person.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while they are in a call or rung for one.
    pub async fn erase_user(&self, user: &UserId) -> Result<Option<UserId>> {
        let mut tx = self.db.begin().await?;
        let (old, new) = (user.as_str(), format!("{ERASED_ISSUER}-{}", Uuid::new_v4().simple()));
        let found = tx.fetch_optional("SELECT issuer, subject FROM users WHERE id = $1 FOR UPDATE", args![old]);
        let Some(row) = found.await? else {
            return Ok(None);
        };
        let (issuer, subject) = (row.text("issuer")?, row.text("subject")?);
        let busy = "SELECT call_id FROM call_participants WHERE user_id = $1 \
                    AND status IN ('joined', 'reconnecting', 'invited', 'ringing')";
        if tx.fetch_optional(busy, args![old]).await?.is_some() {
            return Err(StoreError::InUse(
                "this person is in a call or rung for one; end it first",
            ));
        }
        let waits = "SELECT id FROM calls WHERE next_deadline IS NOT NULL AND strpos(waiting::text, $1) > 0";
        let waits = tx.fetch_optional(waits, args![Json::from(old).to_string()]);
        if waits.await?.is_some() {
            return Err(StoreError::InUse(
                "this person waits to be let into a call; end it first",
            ));
        }
        tx.allow_erasure().await?;
        tx.execute(
            "INSERT INTO users (id, issuer, subject, name) VALUES ($1, $2, $1, $3)",
            args![new.as_str(), ERASED_ISSUER, ERASED_NAME],
        )
        .await?;
        leave_chats(&mut tx, old, &new).await?;
        for sql in [
            "UPDATE messages SET content = '' WHERE sender_id = $1 AND kind = 'text' AND $2 <> ''",
            "UPDATE messages SET sender_id = $2 WHERE sender_id = $1",
            "UPDATE calls SET initiated_by = $2 WHERE initiated_by = $1",
            "UPDATE calls SET ended_by = $2 WHERE ended_by = $1",
            "UPDATE call_participants SET user_id = $2, device_id = NULL WHERE user_id = $1",
            "UPDATE call_participants SET invited_by = $2 WHERE invited_by = $1",
            "UPDATE call_events SET user_id = $2 WHERE user_id = $1",
            "UPDATE call_quality SET user_id = $2 WHERE user_id = $1",
            "UPDATE call_resources SET user_id = $2 WHERE user_id = $1",
            "UPDATE guest_links SET created_by = $2, revoked_at = COALESCE(revoked_at, clock_timestamp()) \
             WHERE created_by = $1",
        ] {
            tx.execute(sql, args![old, new.as_str()]).await?;
        }
        let (quoted, replacement) = (Json::from(old).to_string(), Json::from(new.as_str()).to_string());
        for sql in [
            "UPDATE call_participants SET mutes = replace(mutes::text, $1, $2)::jsonb WHERE strpos(mutes::text, $1) > 0",
            "UPDATE call_events SET metadata = replace(metadata::text, $1, $2)::jsonb \
             WHERE strpos(metadata::text, $1) > 0",
        ] {
            tx.execute(sql, args![quoted.as_str(), replacement.as_str()]).await?;
        }
        for sql in [
            "DELETE FROM user_events WHERE user_id = $1",
            "DELETE FROM user_event_counters WHERE user_id = $1",
            "DELETE FROM client_commands WHERE user_id = $1",
        ] {
            tx.execute(sql, args![old]).await?;
        }
        redact_outboxes(&mut tx, old, &new).await?;
        let known = Subject {
            issuer: &issuer,
            subject: &subject,
        };
        let now = tx.now_ms().await?;
        tx.execute(
            "INSERT INTO erased_subjects (digest, erased_at) VALUES ($1, ts($2)) \
             ON CONFLICT (digest) DO UPDATE SET erased_at = excluded.erased_at",
            args![known.digest(), now],
        )
        .await?;
        tx.execute("DELETE FROM users WHERE id = $1", args![old]).await?;
        tx.end_erasure().await?;
        tx.commit().await?;
        Ok(Some(new.into()))
    }
}

async fn rows(
    tx: &mut Tx,
    sql: &'static str,
    values: Vec<Value>,
    shown: impl Fn(&Row) -> Result<Json>,
) -> Result<Vec<Json>> {
    tx.fetch_all(sql, values).await?.iter().map(shown).collect()
}

/// Out of every group and room; a direct chat keeps its second person, nameless. A group without an owner gets its oldest
/// admin or member as one.
async fn leave_chats(tx: &mut Tx, old: &str, new: &str) -> Result<()> {
    let direct = tx
        .fetch_all(
            "SELECT c.id, o.user_id AS other FROM chat_participants m JOIN chats c ON c.id = m.chat_id \
             JOIN chat_participants o ON o.chat_id = c.id AND o.user_id <> m.user_id \
             WHERE m.user_id = $1 AND c.type = 'direct'",
            args![old],
        )
        .await?;
    for row in &direct {
        let other = row.text("other")?;
        let pair = BTreeSet::from([other.as_str(), new]);
        let key = pair.into_iter().collect::<Vec<_>>().join("\n");
        let sql = "UPDATE chats SET direct_key = $2 WHERE id = $1";
        tx.execute(sql, args![row.text("id")?, key]).await?;
        tx.execute(
            "UPDATE chat_participants SET user_id = $3 WHERE chat_id = $1 AND user_id = $2",
            args![row.text("id")?, old, new],
        )
        .await?;
    }
    let owned = tx
        .fetch_all(
            "SELECT chat_id FROM chat_participants WHERE user_id = $1 AND role = 'owner'",
            args![old],
        )
        .await?;
    tx.execute("DELETE FROM chat_participants WHERE user_id = $1", args![old])
        .await?;
    for row in &owned {
        tx.execute(
            "UPDATE chat_participants SET role = 'owner' WHERE chat_id = $1 AND user_id = ( \
             SELECT user_id FROM chat_participants WHERE chat_id = $1 ORDER BY role, joined_at, user_id LIMIT 1) \
             AND NOT EXISTS (SELECT 1 FROM chat_participants WHERE chat_id = $1 AND role = 'owner')",
            args![row.text("chat_id")?],
        )
        .await?;
    }
    Ok(())
}

/// Takes a person out of events that still wait in others' outboxes. The events stay: their sequence has no gap.
async fn redact_outboxes(tx: &mut Tx, old: &str, new: &str) -> Result<()> {
    let rows = tx
        .fetch_all(
            "SELECT user_id, seq, payload::text AS payload FROM user_events WHERE strpos(payload::text, $1) > 0",
            args![Json::from(old).to_string()],
        )
        .await?;
    for row in &rows {
        let mut payload = parsed(row, "payload")?;
        redact(&mut payload, old, new);
        tx.execute(
            "UPDATE user_events SET payload = $3::jsonb WHERE user_id = $1 AND seq = $2",
            args![row.text("user_id")?, row.int("seq")?, payload.to_string()],
        )
        .await?;
    }
    Ok(())
}

/// Replaces an id wherever it stands, and what stands beside it: name, picture, words.
fn redact(value: &mut Json, old: &str, new: &str) {
    match value {
        Json::String(text) if text == old => new.clone_into(text),
        Json::Array(items) => items.iter_mut().for_each(|item| redact(item, old, new)),
        Json::Object(fields) => {
            let about = ["id", "userId", "senderId", "endedBy"]
                .iter()
                .any(|name| fields.get(*name).and_then(Json::as_str) == Some(old));
            if about {
                for (name, blank) in [
                    ("name", Json::from(ERASED_NAME)),
                    ("userName", Json::from(ERASED_NAME)),
                    ("avatar", Json::Null),
                    ("content", Json::from("")),
                ] {
                    if let Some(field) = fields.get_mut(name) {
                        *field = blank;
                    }
                }
            }
            fields.values_mut().for_each(|field| redact(field, old, new));
        }
        _ => {}
    }
}
