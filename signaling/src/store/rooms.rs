//! Rooms, who runs them, and the links by which guests come into them.

use uuid::Uuid;

use super::chats::{insert_chat, insert_member, lock_chat};
use super::db::{Row, Tx, args};
use super::words::word;
use super::{Store, StoreError};
use crate::ids::{ChatId, UserId};
use crate::protocol::{ChatRole, ChatType, User};

type Result<T> = std::result::Result<T, StoreError>;

/// A link for guests, as the owner of the room sees it. The code itself is in the link alone.
#[derive(Clone, Debug)]
pub struct GuestLink {
    /// Which.
    pub id: String,
    /// Into which room.
    pub chat: ChatId,
    /// The room's name.
    pub room: String,
    /// Whether the room has a waiting list.
    pub lobby: bool,
    /// PHC string of its password, if it has one.
    pub password_hash: Option<String>,
    /// How many may come by it; none: any number.
    pub max_uses: Option<i64>,
    /// How many did.
    pub uses: i64,
    /// Epoch milliseconds.
    pub expires_ms: i64,
    /// Good for one more guest now.
    pub usable: bool,
}

/// What a new link is like.
#[derive(Clone, Debug)]
pub struct NewGuestLink<'a> {
    /// Into which room.
    pub chat: &'a ChatId,
    /// By whom.
    pub by: &'a UserId,
    /// SHA-256 of the code.
    pub code_hash: &'a str,
    /// PHC string.
    pub password_hash: Option<&'a str>,
    /// How many may come by it.
    pub max_uses: Option<i64>,
    /// How long it is good, ms.
    pub lasts_ms: i64,
}

/// A macro, because every statement is a `'static` text: `$1` is what `$where` compares, `$2` the clock.
macro_rules! link_sql {
    ($where:literal) => {
        concat!(
            "SELECT l.id, l.chat_id, c.name AS room, c.lobby, l.password_hash, l.max_uses, l.uses, \
             ms(l.expires_at) AS expires_ms, (l.revoked_at IS NULL AND l.expires_at > ts($2) \
             AND (l.max_uses IS NULL OR l.uses < l.max_uses)) AS usable \
             FROM guest_links l JOIN chats c ON c.id = l.chat_id WHERE ",
            $where
        )
    };
}

fn link(row: &Row) -> Result<GuestLink> {
    Ok(GuestLink {
        id: row.text("id")?,
        chat: row.text("chat_id")?.into(),
        room: row.text("room")?,
        lobby: row.bool("lobby")?,
        password_hash: row.opt_text("password_hash")?,
        max_uses: row.opt_int("max_uses")?,
        uses: row.int("uses")?,
        expires_ms: row.int("expires_ms")?,
        usable: row.bool("usable")?,
    })
}

async fn link_where(tx: &mut Tx, sql: &'static str, value: &str, now: i64) -> Result<Option<GuestLink>> {
    let row = tx.fetch_optional(sql, args![value, now]).await?;
    row.as_ref().map(link).transpose()
}

impl Store {
    /// Makes a room that this person owns.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken.
    pub async fn create_room(&self, owner: &UserId, name: &str, lobby: bool) -> Result<ChatId> {
        let mut tx = self.db.begin().await?;
        let id = insert_chat(&mut tx, ChatType::Room, Some(name), None).await?;
        let id = id.ok_or_else(|| StoreError::Exists("a room of this name".into()))?;
        insert_member(&mut tx, &id, owner, ChatRole::Owner).await?;
        if lobby {
            tx.execute("UPDATE chats SET lobby = $2 WHERE id = $1", args![id.as_str(), lobby])
                .await?;
        }
        tx.commit().await?;
        Ok(id)
    }

    /// Gives a room a waiting list, or takes it away.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_lobby(&self, room: &ChatId, lobby: bool) -> Result<()> {
        let mut tx = self.db.begin().await?;
        lock_chat(&mut tx, room).await?.ok_or(StoreError::NotFound("room"))?;
        let sql = "UPDATE chats SET lobby = $2 WHERE id = $1 AND type = 'room'";
        tx.execute(sql, args![room.as_str(), lobby]).await?;
        tx.commit().await
    }

    /// Makes the user a member of a chat; who is one already keeps their role.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when chat or user does not exist.
    pub async fn enter(&self, chat: &ChatId, user: &UserId) -> Result<()> {
        let mut tx = self.db.begin().await?;
        insert_member(&mut tx, chat, user, ChatRole::Member).await?;
        tx.commit().await
    }

    /// Whether this person owns or administers the chat.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_chat(&self, chat: &ChatId, user: &UserId) -> Result<bool> {
        let sql =
            "SELECT role FROM chat_participants WHERE chat_id = $1 AND user_id = $2 AND role IN ('owner', 'admin')";
        let row = self.db.fetch_optional(sql, args![chat.as_str(), user.as_str()]).await?;
        Ok(row.is_some())
    }

    /// Gives a member another role: its owner makes admins and unmakes them. `false` when it is not for this person to
    /// give, or not for that one to have (a guest, the owner).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such chat or member.
    pub async fn set_role(&self, chat: &ChatId, by: &UserId, user: &UserId, role: ChatRole) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let found = lock_chat(&mut tx, chat).await?.ok_or(StoreError::NotFound("chat"))?;
        let now = found.members.get(user).ok_or(StoreError::NotFound("member"))?;
        let owns = found.members.get(by) == Some(&ChatRole::Owner);
        if !owns || *now == ChatRole::Owner || role == ChatRole::Owner || found.guests.contains(user) {
            return Ok(false);
        }
        tx.execute(
            "UPDATE chat_participants SET role = $3 WHERE chat_id = $1 AND user_id = $2",
            args![chat.as_str(), user.as_str(), word(&role)?],
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes a link for guests.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_guest_link(&self, new: &NewGuestLink<'_>) -> Result<GuestLink> {
        let id = Uuid::now_v7().to_string();
        let mut tx = self.db.begin().await?;
        let now = tx.now_ms().await?;
        tx.execute(
            "INSERT INTO guest_links (id, chat_id, created_by, code_hash, password_hash, max_uses, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, ts($7), ts($8))",
            args![
                id.as_str(),
                new.chat.as_str(),
                new.by.as_str(),
                new.code_hash,
                new.password_hash,
                new.max_uses,
                now,
                now.saturating_add(new.lasts_ms)
            ],
        )
        .await?;
        let made = link_where(&mut tx, link_sql!("l.id = $1"), &id, now).await?;
        tx.commit().await?;
        made.ok_or(StoreError::NotFound("guest link"))
    }

    /// The links into a room, newest first; revoked ones are not shown.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn guest_links(&self, room: &ChatId) -> Result<Vec<GuestLink>> {
        let mut tx = self.db.begin_read().await?;
        let now = tx.now_ms().await?;
        let sql = link_sql!("l.chat_id = $1 AND l.revoked_at IS NULL ORDER BY l.created_at DESC, l.id LIMIT 200");
        let rows = tx.fetch_all(sql, args![room.as_str(), now]).await?;
        rows.iter().map(link).collect()
    }

    /// The link of this code, usable or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn guest_link(&self, code_hash: &str) -> Result<Option<GuestLink>> {
        let mut tx = self.db.begin_read().await?;
        let now = tx.now_ms().await?;
        link_where(&mut tx, link_sql!("l.code_hash = $1"), code_hash, now).await
    }

    /// Revokes a link into a room. Whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_guest_link(&self, room: &ChatId, id: &str) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let now = tx.now_ms().await?;
        let sql = "UPDATE guest_links SET revoked_at = ts($3) WHERE id = $1 AND chat_id = $2 AND revoked_at IS NULL";
        let revoked = tx.execute(sql, args![id, room.as_str(), now]).await?;
        tx.commit().await?;
        Ok(revoked == 1)
    }

    /// Takes one use of a link and makes its guest, a member of the room: all of it or, when the link is good no more,
    /// nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_guest_link(&self, link: &GuestLink, issuer: &str, name: &str) -> Result<Option<User>> {
        let id = Uuid::new_v4().to_string();
        let mut tx = self.db.begin().await?;
        let now = tx.now_ms().await?;
        let taken = tx
            .execute(
                "UPDATE guest_links SET uses = uses + 1 WHERE id = $1 AND revoked_at IS NULL AND expires_at > ts($2) \
                 AND (max_uses IS NULL OR uses < max_uses)",
                args![link.id.as_str(), now],
            )
            .await?;
        if taken == 0 {
            return Ok(None);
        }
        tx.execute(
            "INSERT INTO users (id, issuer, subject, name, guest) VALUES ($1, $2, $1, $3, $4)",
            args![id.as_str(), issuer, name, true],
        )
        .await?;
        let guest = User {
            id: id.into(),
            name: name.to_owned(),
            avatar: None,
        };
        insert_member(&mut tx, &link.chat, &guest.id, ChatRole::Member).await?;
        tx.commit().await?;
        Ok(Some(guest))
    }
}
