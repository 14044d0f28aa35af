//! Who moderates a chat's calls.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;

use super::Problem;
use super::body::Json;
use super::reach::Caller;
use crate::app::App;
use crate::ids::{ChatId, UserId};
use crate::protocol::{Chat, ChatRole, ErrorCode};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    role: ChatRole,
}

/// `PUT /api/v1/chats/{chat}/members/{user}`.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((chat, user)): Path<(String, String)>,
    Json(change): Json<Change>,
) -> Result<Answer<Chat>, Problem> {
    let (caller, chat, user) = (Caller::of(&app, &headers).await?, ChatId(chat), UserId(user));
    caller.must_reach(&app, &chat).await?;
    let (store, by) = (app.service.store(), &caller.user.id);
    if !store.set_role(&chat, by, &user, change.role).await? {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "the chat's owner makes admins of its members, except of guests, and stays its owner",
        ));
    }
    app.service.announce_chat(&chat).await?;
    tracing::info!(target: "audit", user = %by, whom = %user, %chat, role = ?change.role, "a role was given");
    let seen = store.chat_for(by, &chat).await?;
    let seen = seen.ok_or_else(|| Problem::new(ErrorCode::NotFound, "no such chat"))?;
    Ok(Answer(seen))
}
