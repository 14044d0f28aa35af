//! Users and chats.

use super::{Store, StoreError, UserRecord};
use crate::ids::{ChatId, MessageId, UserId};
use crate::protocol::{Chat, ChatRole, ChatType, Message, User};

type Result<T> = std::result::Result<T, StoreError>;

fn later<T>() -> Result<T> {
    Err(StoreError::Unavailable("not built yet".into()))
}

impl Store {
    /// Makes a local account; the id is a new UUID. [`StoreError::Exists`] when the login is taken.
    pub async fn create_local_user(&self, _login: &str, _name: &str, _password_hash: &str) -> Result<User> {
        later()
    }
    /// The local account with this login, with its password hash.
    pub async fn user_by_login(&self, _login: &str) -> Result<Option<UserRecord>> {
        later()
    }
    /// The user that a host application's token names; made or renamed when needed.
    pub async fn upsert_host_user(&self, _iss: &str, _sub: &str, _name: &str, _avatar: Option<&str>) -> Result<User> {
        later()
    }
    /// A user.
    pub async fn user(&self, _id: &UserId) -> Result<Option<UserRecord>> {
        later()
    }
    /// All users, by name; for an administrator's list.
    pub async fn users(&self, _limit: u32) -> Result<Vec<User>> {
        later()
    }
    /// How many users there are: none means a first start.
    pub async fn user_count(&self) -> Result<u64> {
        later()
    }
    /// Notes that a tab of this user was connected now.
    pub async fn touch_seen(&self, _id: &UserId) -> Result<()> {
        later()
    }
    /// When these users were last connected, epoch milliseconds.
    pub async fn last_seen(&self, _users: &[UserId]) -> Result<Vec<(UserId, i64)>> {
        later()
    }
    /// The direct chat of two people; made when there is none.
    pub async fn create_direct(&self, _a: &UserId, _b: &UserId) -> Result<ChatId> {
        later()
    }
    /// A new group; the owner is a member too.
    pub async fn create_group(&self, _owner: &UserId, _name: &str, _members: &[UserId]) -> Result<ChatId> {
        later()
    }
    /// The room of this name (`/r/{name}`, a token's `room`); made when there is none.
    pub async fn ensure_room(&self, _name: &str) -> Result<ChatId> {
        later()
    }
    /// The room of this name, if there is one.
    pub async fn room(&self, _name: &str) -> Result<Option<ChatId>> {
        later()
    }
    /// Makes the user a member (or changes their role).
    pub async fn add_member(&self, _chat: &ChatId, _user: &UserId, _role: ChatRole) -> Result<()> {
        later()
    }
    /// Removes a member.
    pub async fn remove_member(&self, _chat: &ChatId, _user: &UserId) -> Result<()> {
        later()
    }
    /// Kind, and members with roles.
    pub async fn chat_members(&self, _chat: &ChatId) -> Result<Option<(ChatType, Vec<(UserId, ChatRole)>)>> {
        later()
    }
    /// Everybody who shares a chat with this user, themselves excluded: who sees whose presence.
    pub async fn contacts(&self, _user: &UserId) -> Result<Vec<UserId>> {
        later()
    }
    /// The chats of a user as they see them, newest first.
    pub async fn chats_of(&self, _user: &UserId) -> Result<Vec<Chat>> {
        later()
    }
    /// One chat as this user sees it; none when they are not in it.
    pub async fn chat_for(&self, _user: &UserId, _chat: &ChatId) -> Result<Option<Chat>> {
        later()
    }
    /// Messages before one (or the newest), newest first, as this user sees them; membership is the caller's to check.
    pub async fn messages(
        &self,
        _user: &UserId,
        _chat: &ChatId,
        _before: Option<&MessageId>,
        _limit: u32,
    ) -> Result<Vec<Message>> {
        later()
    }
}
