//! Who asks, and what their token reaches.

use axum::http::HeaderMap;

use super::Problem;
use super::body::bearer;
use crate::app::App;
use crate::auth::Claims;
use crate::ids::{ChatId, CommandId, DeviceId};
use crate::protocol::{ErrorCode, User};
use crate::service::Actor;

/// Longest `Idempotency-Key`, as that of a command's id.
const MAX_KEY: usize = 64;

/// The person behind a request.
pub(super) struct Caller {
    pub(super) user: User,
    pub(super) claims: Claims,
}

impl Caller {
    /// Reads the bearer token.
    pub(super) async fn of(app: &App, headers: &HeaderMap) -> Result<Self, Problem> {
        let (user, claims) = app.identify(bearer(headers)?).await?;
        Ok(Self { user, claims })
    }

    /// As commands name them. REST has no tab, and no command that takes a seat.
    pub(super) fn actor(&self) -> Actor {
        Actor {
            user: self.user.id.clone(),
            device: DeviceId("rest".into()),
        }
    }

    /// Whether the token names one room or some chats only.
    pub(super) fn limited(&self) -> bool {
        self.claims.room.is_some() || self.claims.chats.is_some()
    }

    /// Whether the token leaves a chat open. Membership is another question.
    pub(super) async fn may_enter(&self, app: &App, chat: &ChatId) -> Result<bool, Problem> {
        Ok(match &self.claims.room {
            // The token names the room; the chat's id is the server's.
            Some(room) => app.service.store().room(room.as_str()).await?.as_ref() == Some(chat),
            None => self.claims.may_enter(chat),
        })
    }

    /// Whether they may read and write in a chat: they are in it, and their token does not leave it out.
    pub(super) async fn reaches(&self, app: &App, chat: &ChatId) -> Result<bool, Problem> {
        Ok(self.may_enter(app, chat).await? && app.service.store().is_member(chat, &self.user.id).await?)
    }

    /// As [`Caller::reaches`]; what it does not reach is not there.
    pub(super) async fn must_reach(&self, app: &App, chat: &ChatId) -> Result<(), Problem> {
        if self.reaches(app, chat).await? {
            Ok(())
        } else {
            Err(Problem::new(ErrorCode::NotFound, "no such chat"))
        }
    }
}

/// The `Idempotency-Key` of a mutation: a repeat gets the stored answer. One is made where there is none.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<CommandId, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(CommandId(uuid::Uuid::new_v4().to_string()));
    };
    let key = value.to_str().unwrap_or_default();
    if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(key.into())
    } else {
        Err(Problem::new(
            ErrorCode::BadRequest,
            format!("Idempotency-Key is 1 to {MAX_KEY} visible characters"),
        ))
    }
}
