//! Chats and who is in them.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::calls::waiting;
use super::db::{Tx, args};
use super::words::{parse, parse_opt, rfc3339, word};
use super::{Store, StoreError, messages};
use crate::calls;
use crate::ids::{ChatId, UserId};
use crate::protocol::{ActiveCall, Chat, ChatMember, ChatRole, ChatType, User};

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// The direct chat of two people; made when there is none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when one of them does not exist.
    pub async fn create_direct(&self, a: &UserId, b: &UserId) -> Result<ChatId> {
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        let key = format!("{first}\n{second}");
        let mut tx = self.db.begin().await?;
        let id = insert_chat(&mut tx, ChatType::Direct, None, Some(&key)).await?;
        let id = match id {
            Some(id) => id,
            None => {
                let known = tx
                    .fetch_optional("SELECT id FROM chats WHERE direct_key = $1", args![key])
                    .await?;
                known.ok_or(StoreError::NotFound("direct chat"))?.text("id")?.into()
            }
        };
        for user in BTreeSet::from([a, b]) {
            insert_member(&mut tx, &id, user, ChatRole::Member).await?;
        }
        tx.commit().await?;
        Ok(id)
    }

    /// A new group; the owner is a member too.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when a member does not exist.
    pub async fn create_group(&self, owner: &UserId, name: &str, members: &[UserId]) -> Result<ChatId> {
        let mut tx = self.db.begin().await?;
        let id = insert_chat(&mut tx, ChatType::Group, Some(name), None).await?;
        let id = id.ok_or(StoreError::Exists("chat".into()))?;
        insert_member(&mut tx, &id, owner, ChatRole::Owner).await?;
        for user in members.iter().filter(|user| *user != owner) {
            insert_member(&mut tx, &id, user, ChatRole::Member).await?;
        }
        tx.commit().await?;
        Ok(id)
    }

    /// The room of this name (`/r/{name}`, or a token's `room`); made when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure_room(&self, name: &str) -> Result<ChatId> {
        if let Some(id) = self.room(name).await? {
            return Ok(id);
        }
        let mut tx = self.db.begin().await?;
        if let Some(id) = insert_chat(&mut tx, ChatType::Room, Some(name), None).await? {
            tx.commit().await?;
            return Ok(id);
        }
        drop(tx);
        self.room(name).await?.ok_or(StoreError::NotFound("room"))
    }

    /// The room of this name, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn room(&self, name: &str) -> Result<Option<ChatId>> {
        let sql = "SELECT id FROM chats WHERE type = 'room' AND name = $1";
        let row = self.db.fetch_optional(sql, args![name]).await?;
        row.map(|row| Ok(row.text("id")?.into())).transpose()
    }

    /// Makes the user a member, or gives a member another role.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when chat or user does not exist.
    pub async fn add_member(&self, chat: &ChatId, user: &UserId, role: ChatRole) -> Result<()> {
        let mut tx = self.db.begin().await?;
        lock_chat(&mut tx, chat).await?.ok_or(StoreError::NotFound("chat"))?;
        insert_member(&mut tx, chat, user, role).await?;
        tx.execute(
            "UPDATE chat_participants SET role = $3 WHERE chat_id = $1 AND user_id = $2 AND role <> $3",
            args![chat.as_str(), user.as_str(), word(&role)?],
        )
        .await?;
        tx.commit().await
    }

    /// Removes a member; nothing when they are none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_member(&self, chat: &ChatId, user: &UserId) -> Result<()> {
        let mut tx = self.db.begin().await?;
        tx.execute(
            "DELETE FROM chat_participants WHERE chat_id = $1 AND user_id = $2",
            args![chat.as_str(), user.as_str()],
        )
        .await?;
        tx.commit().await
    }

    /// Whether a user is in a chat.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_member(&self, chat: &ChatId, user: &UserId) -> Result<bool> {
        let sql = "SELECT 1 AS one FROM chat_participants WHERE chat_id = $1 AND user_id = $2";
        let row = self.db.fetch_optional(sql, args![chat.as_str(), user.as_str()]).await?;
        Ok(row.is_some())
    }

    /// Kind of a chat, and its members with their roles.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn chat_members(&self, chat: &ChatId) -> Result<Option<(ChatType, Vec<(UserId, ChatRole)>)>> {
        let mut tx = self.db.begin_read().await?;
        let found = look_at_chat(&mut tx, chat).await?;
        Ok(found.map(|chat| (chat.chat_type, chat.members.into_iter().collect())))
    }

    /// Everybody who shares a direct or group chat with this user, themselves excluded: who sees whose presence.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contacts(&self, user: &UserId) -> Result<Vec<UserId>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT DISTINCT other.user_id AS id FROM chat_participants mine \
                 JOIN chats c ON c.id = mine.chat_id AND c.type <> 'room' \
                 JOIN chat_participants other ON other.chat_id = mine.chat_id AND other.user_id <> mine.user_id \
                 WHERE mine.user_id = $1",
                args![user.as_str()],
            )
            .await?;
        rows.iter().map(|row| Ok(row.text("id")?.into())).collect()
    }

    /// The chats of a user as they see them, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn chats_of(&self, user: &UserId) -> Result<Vec<Chat>> {
        let mut tx = self.db.begin_read().await?;
        chats_of(&mut tx, user, None).await
    }

    /// One chat as this user sees it; none when they are not in it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn chat_for(&self, user: &UserId, chat: &ChatId) -> Result<Option<Chat>> {
        let mut tx = self.db.begin_read().await?;
        Ok(chats_of(&mut tx, user, Some(chat)).await?.pop())
    }
}

pub(super) async fn insert_chat(
    tx: &mut Tx,
    chat_type: ChatType,
    name: Option<&str>,
    direct_key: Option<&str>,
) -> Result<Option<ChatId>> {
    let id = Uuid::new_v4().to_string();
    let made = tx
        .execute(
            "INSERT INTO chats (id, type, name, direct_key) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            args![id.as_str(), word(&chat_type)?, name, direct_key],
        )
        .await?;
    Ok((made == 1).then(|| id.into()))
}

pub(super) async fn insert_member(tx: &mut Tx, chat: &ChatId, user: &UserId, role: ChatRole) -> Result<()> {
    // What was said before somebody came is not unread for them.
    tx.execute(
        "INSERT INTO chat_participants (chat_id, user_id, role, last_read_seq) \
         SELECT id, $2, $3, message_seq FROM chats WHERE id = $1 ON CONFLICT (chat_id, user_id) DO NOTHING",
        args![chat.as_str(), user.as_str(), word(&role)?],
    )
    .await
    .map(drop)
}

macro_rules! chat_sql {
    ($lock:literal) => {
        concat!("SELECT type, lobby FROM chats WHERE id = $1", $lock)
    };
}

/// Locks a chat: the first lock of every command about it. None when there is no such chat.
pub(crate) async fn lock_chat(tx: &mut Tx, chat: &ChatId) -> Result<Option<calls::Chat>> {
    chat_for_calls(tx, chat, chat_sql!(" FOR UPDATE")).await
}

/// As [`lock_chat`], but none when somebody else works on it: the sweep comes again.
pub(crate) async fn lock_chat_if_free(tx: &mut Tx, chat: &ChatId) -> Result<Option<calls::Chat>> {
    chat_for_calls(tx, chat, chat_sql!(" FOR UPDATE SKIP LOCKED")).await
}

/// The same, only looked at.
pub(crate) async fn look_at_chat(tx: &mut Tx, chat: &ChatId) -> Result<Option<calls::Chat>> {
    chat_for_calls(tx, chat, chat_sql!("")).await
}

async fn chat_for_calls(tx: &mut Tx, id: &ChatId, sql: &'static str) -> Result<Option<calls::Chat>> {
    let Some(row) = tx.fetch_optional(sql, args![id.as_str()]).await? else {
        return Ok(None);
    };
    let mut chat = calls::Chat {
        id: id.clone(),
        chat_type: parse("type", row.text("type")?)?,
        members: BTreeMap::new(),
        guests: BTreeSet::new(),
        lobby: row.bool("lobby")?,
    };
    let sql = "SELECT m.user_id, m.role, u.guest FROM chat_participants m JOIN users u ON u.id = m.user_id \
               WHERE m.chat_id = $1";
    for row in &tx.fetch_all(sql, args![id.as_str()]).await? {
        let user = UserId(row.text("user_id")?);
        if row.bool("guest")? {
            chat.guests.insert(user.clone());
        }
        chat.members.insert(user, parse("role", row.text("role")?)?);
    }
    Ok(Some(chat))
}

/// All chats of a user, or the one named, as they see them, newest first.
pub(crate) async fn chats_of(tx: &mut Tx, user: &UserId, only: Option<&ChatId>) -> Result<Vec<Chat>> {
    let only = only.map(ChatId::as_str);
    let rows = tx
        .fetch_all(
            "SELECT c.id, c.type, c.name, c.lobby, c.message_seq - mine.last_read_seq AS unread FROM chat_participants mine \
             JOIN chats c ON c.id = mine.chat_id \
             WHERE mine.user_id = $1 AND ($2 IS NULL OR c.id = $2) ORDER BY c.updated_at DESC, c.id",
            args![user.as_str(), only],
        )
        .await?;
    let mut members = all_members(tx, user, only).await?;
    let mut live = live_calls(tx, user, only).await?;
    let mut newest = messages::newest(tx, user, only).await?;
    rows.iter()
        .map(|row| {
            let id: ChatId = row.text("id")?.into();
            Ok(Chat {
                chat_type: parse("type", row.text("type")?)?,
                name: row.opt_text("name")?,
                members: members.remove(&id).unwrap_or_default(),
                lobby: row.bool("lobby")?,
                active_call: live.remove(&id),
                last_message: newest.remove(&id),
                unread: u32::try_from(row.int("unread")?).unwrap_or(0),
                id,
            })
        })
        .collect()
}

async fn all_members(tx: &mut Tx, user: &UserId, only: Option<&str>) -> Result<BTreeMap<ChatId, Vec<ChatMember>>> {
    let rows = tx
        .fetch_all(
            "SELECT m.chat_id, m.role, u.id, u.name, u.avatar FROM chat_participants mine \
             JOIN chat_participants m ON m.chat_id = mine.chat_id JOIN users u ON u.id = m.user_id \
             WHERE mine.user_id = $1 AND ($2 IS NULL OR mine.chat_id = $2) ORDER BY m.joined_at, u.id",
            args![user.as_str(), only],
        )
        .await?;
    let mut members: BTreeMap<ChatId, Vec<ChatMember>> = BTreeMap::new();
    for row in &rows {
        let user = User {
            id: row.text("id")?.into(),
            name: row.text("name")?,
            avatar: row.opt_text("avatar")?,
        };
        let role = parse("role", row.text("role")?)?;
        members
            .entry(row.text("chat_id")?.into())
            .or_default()
            .push(ChatMember { user, role });
    }
    Ok(members)
}

/// The live calls of a user's chats, as they see them.
async fn live_calls(tx: &mut Tx, user: &UserId, only: Option<&str>) -> Result<BTreeMap<ChatId, ActiveCall>> {
    let rows = tx
        .fetch_all(
            "SELECT c.id, c.chat_id, c.type, c.status, c.locked, c.waiting::text AS waiting, c.initiated_by, ms(c.created_at) AS created_ms, \
             ms(c.started_at) AS started_ms, p.status AS mine, p.device_id AS my_device, \
             (SELECT count(*) FROM call_participants s \
              WHERE s.call_id = c.id AND s.status IN ('joined', 'reconnecting')) AS seats \
             FROM chat_participants m JOIN calls c ON c.chat_id = m.chat_id AND c.status IN ('ringing', 'ongoing') \
             LEFT JOIN call_participants p ON p.call_id = c.id AND p.user_id = m.user_id \
             WHERE m.user_id = $1 AND ($2 IS NULL OR m.chat_id = $2)",
            args![user.as_str(), only],
        )
        .await?;
    let mut calls = BTreeMap::new();
    for row in &rows {
        let call = ActiveCall {
            call_id: row.text("id")?.into(),
            call_type: parse("type", row.text("type")?)?,
            status: parse("status", row.text("status")?)?,
            count: u32::try_from(row.int("seats")?).unwrap_or(u32::MAX),
            mine: parse_opt("mine", row.opt_text("mine")?)?,
            my_device: row.opt_text("my_device")?,
            locked: row.bool("locked")?,
            waiting: waiting(row)?.contains_key(user),
            initiated_by: row.text("initiated_by")?.into(),
            created_at: rfc3339(row.int("created_ms")?),
            started_at: row.opt_int("started_ms")?.map(rfc3339),
        };
        calls.insert(row.text("chat_id")?.into(), call);
    }
    Ok(calls)
}
