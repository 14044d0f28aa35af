//! Users.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::db::{Row, Tx, args};
use super::words::list;
use super::{Store, StoreError, UserRecord};
use crate::auth::unix_now;
use crate::ids::UserId;
use crate::protocol::User;

type Result<T> = std::result::Result<T, StoreError>;

/// Somebody as a token names them.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Who signed.
    pub issuer: &'a str,
    /// The signer's own id of the person.
    pub subject: &'a str,
}

impl Subject<'_> {
    /// What is kept of somebody who was erased, so that their old tokens are known.
    pub(super) fn digest(self) -> String {
        let mut hash = Sha256::new();
        for part in [self.issuer, "\n", self.subject] {
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Issuer of local accounts.
pub const LOCAL_ISSUER: &str = "local";

fn user(row: &Row) -> Result<User> {
    Ok(User {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        avatar: row.opt_text("avatar")?,
    })
}

fn record(row: &Row) -> Result<UserRecord> {
    Ok(UserRecord {
        user: user(row)?,
        issuer: row.text("issuer")?,
        subject: row.text("subject")?,
        guest: row.bool("guest")?,
        login: row.opt_text("login")?,
        password_hash: row.opt_text("password_hash")?,
        last_seen_ms: row.opt_int("last_seen_ms")?,
    })
}

impl Store {
    /// Makes a local account; its id is a new UUID.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the login is taken.
    pub async fn create_local_user(&self, login: &str, name: &str, password_hash: &str) -> Result<User> {
        let id = Uuid::new_v4().to_string();
        let mut tx = self.db.begin().await?;
        tx.execute(
            "INSERT INTO users (id, issuer, subject, name, login, password_hash) VALUES ($1, $2, $1, $3, $4, $5)",
            args![id.as_str(), LOCAL_ISSUER, name, login, password_hash],
        )
        .await?;
        tx.commit().await?;
        Ok(User {
            id: id.into(),
            name: name.to_owned(),
            avatar: None,
        })
    }

    /// The local account with this login, with its password hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_login(&self, login: &str) -> Result<Option<UserRecord>> {
        let row = self
            .db
            .fetch_optional(
                "SELECT id, issuer, subject, name, avatar, guest, login, password_hash, \
                 ms(last_seen_at) AS last_seen_ms FROM users WHERE login = $1",
                args![login],
            )
            .await?;
        row.as_ref().map(record).transpose()
    }

    /// The user of a host application: made, renamed or given another picture when needed. The host's own id is taken when it
    /// is free; two issuers with the same `sub` are two users.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upsert_host_user(&self, iss: &str, sub: &str, name: &str, avatar: Option<&str>) -> Result<User> {
        let subject = Subject {
            issuer: iss,
            subject: sub,
        };
        self.admit(subject, name, avatar, u64::MAX).await
    }

    /// The same of somebody who comes with a token that was issued then, seconds since 1970.
    ///
    /// # Errors
    /// [`StoreError::Erased`] when they were erased since; else when the database fails.
    pub async fn admit(&self, who: Subject<'_>, name: &str, avatar: Option<&str>, issued: u64) -> Result<User> {
        let Subject {
            issuer: iss,
            subject: sub,
        } = who;
        let mut tx = self.db.begin().await?;
        let known = tx
            .fetch_optional(
                "SELECT id, name, avatar FROM users WHERE issuer = $1 AND subject = $2 FOR UPDATE",
                args![iss, sub],
            )
            .await?;
        let wanted = |id: UserId| User {
            id,
            name: name.to_owned(),
            avatar: avatar.map(str::to_owned),
        };
        if let Some(row) = known {
            let known = user(&row)?;
            let wanted = wanted(known.id.clone());
            if known != wanted {
                tx.execute(
                    "UPDATE users SET name = $2, avatar = $3 WHERE id = $1",
                    args![known.id.as_str(), name, avatar],
                )
                .await?;
            }
            tx.commit().await?;
            return Ok(wanted);
        }
        let since = "SELECT digest FROM erased_subjects WHERE digest = $1 AND erased_at > ts($2)";
        // No later than now: a time that the database cannot keep is nobody's.
        let issued = i64::try_from(issued.min(unix_now() + 1).saturating_mul(1_000)).unwrap_or(0);
        if tx.fetch_optional(since, args![who.digest(), issued]).await?.is_some() {
            return Err(StoreError::Erased);
        }
        for id in [sub.to_owned(), format!("{iss}#{sub}")] {
            let made = tx
                .execute(
                    "INSERT INTO users (id, issuer, subject, name, avatar) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT DO NOTHING",
                    args![id.as_str(), iss, sub, name, avatar],
                )
                .await?;
            if made == 1 {
                tx.commit().await?;
                return Ok(wanted(id.into()));
            }
            // Either the id belongs to somebody else, or the same user was made meanwhile.
            let meanwhile = tx
                .fetch_optional(
                    "SELECT id FROM users WHERE issuer = $1 AND subject = $2",
                    args![iss, sub],
                )
                .await?;
            if let Some(row) = meanwhile {
                tx.commit().await?;
                return Ok(wanted(row.text("id")?.into()));
            }
        }
        Err(StoreError::Exists("user id".into()))
    }

    /// A user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, id: &UserId) -> Result<Option<UserRecord>> {
        let row = self
            .db
            .fetch_optional(
                "SELECT id, issuer, subject, name, avatar, guest, login, password_hash, \
                 ms(last_seen_at) AS last_seen_ms FROM users WHERE id = $1",
                args![id.as_str()],
            )
            .await?;
        row.as_ref().map(record).transpose()
    }

    /// Name and picture of each of these, in no order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn users_named(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let mut tx = self.db.begin_read().await?;
        users_by_id(&mut tx, ids).await
    }

    /// Users by name, for an administrator's list.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn users(&self, limit: u32) -> Result<Vec<User>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT id, name, avatar FROM users ORDER BY name, id LIMIT $1",
                args![i64::from(limit)],
            )
            .await?;
        rows.iter().map(user).collect()
    }

    /// How many users there are: none means a first start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_count(&self) -> Result<u64> {
        let row = self
            .db
            .fetch_optional("SELECT count(*) AS n FROM users", args![])
            .await?;
        let count = row.ok_or(StoreError::NotFound("the count of users"))?.int("n")?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Notes that a tab of this user is connected now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_seen(&self, id: &UserId) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let now = tx.now_ms().await?;
        tx.execute(
            "UPDATE users SET last_seen_at = ts($2) WHERE id = $1",
            args![id.as_str(), now],
        )
        .await?;
        tx.commit().await
    }

    /// When these users were last connected, epoch milliseconds; who never was is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_seen(&self, users: &[UserId]) -> Result<Vec<(UserId, i64)>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT id, ms(last_seen_at) AS at FROM users WHERE id IN (SELECT value FROM each($1))",
                args![list(users)],
            )
            .await?;
        // Left out here and not by the query: where few were ever seen, Postgres would read all users to find them.
        let mut seen = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(at) = row.opt_int("at")? {
                seen.push((row.text("id")?.into(), at));
            }
        }
        Ok(seen)
    }
}

/// Name and picture of each of these, in no order.
pub(crate) async fn users_by_id(tx: &mut Tx, ids: &[UserId]) -> Result<Vec<User>> {
    let rows = tx
        .fetch_all(
            "SELECT id, name, avatar FROM users WHERE id IN (SELECT value FROM each($1))",
            args![list(ids)],
        )
        .await?;
    rows.iter().map(user).collect()
}
