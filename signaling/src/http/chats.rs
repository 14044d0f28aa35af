//! Chats and what is written in them.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::Problem;
use super::body::{Json, Query};
use super::reach::{Caller, idempotency_key};
use crate::app::App;
use crate::ids::{CallId, ChatId, MessageId};
use crate::protocol::{Chat, ChatList, Command, ErrorCode, MarkRead, MessagePage, SendMessage, Unread};

/// Most messages in one answer, and how many come unasked.
const MAX_MESSAGES: u32 = 100;
const MESSAGES: u32 = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    before: Option<String>,
    limit: Option<u32>,
}

impl Page {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(MESSAGES).clamp(1, MAX_MESSAGES)
    }

    fn before(&self) -> Option<MessageId> {
        self.before.clone().map(MessageId)
    }
}

/// `GET /api/v1/chats`: those that the token reaches.
pub(super) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Answer<ChatList>, Problem> {
    let caller = Caller::of(&app, &headers).await?;
    let mut chats = Vec::new();
    for chat in app.service.store().chats_of(&caller.user.id).await? {
        if !caller.limited() || caller.may_enter(&app, &chat.id).await? {
            chats.push(chat);
        }
    }
    Ok(Answer(ChatList { chats }))
}

/// `GET /api/v1/chats/{chat}`.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(chat): Path<String>,
) -> Result<Answer<Chat>, Problem> {
    let (caller, chat) = (Caller::of(&app, &headers).await?, ChatId(chat));
    caller.must_reach(&app, &chat).await?;
    let seen = app.service.store().chat_for(&caller.user.id, &chat).await?;
    let seen = seen.ok_or_else(|| Problem::new(ErrorCode::NotFound, "no such chat"))?;
    Ok(Answer(seen))
}

/// `GET /api/v1/chats/{chat}/messages?before=&limit=`: newest first.
pub(super) async fn messages(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(chat): Path<String>,
    Query(page): Query<Page>,
) -> Result<Answer<MessagePage>, Problem> {
    let (caller, chat) = (Caller::of(&app, &headers).await?, ChatId(chat));
    caller.must_reach(&app, &chat).await?;
    let (limit, before) = (page.limit(), page.before());
    let found = app
        .service
        .store()
        .messages(&caller.user.id, &chat, before.as_ref(), limit + 1)
        .await?;
    Ok(Answer(cut(found, limit)))
}

fn cut(mut messages: Vec<crate::protocol::Message>, limit: u32) -> MessagePage {
    let more = messages.len() > limit as usize;
    messages.truncate(limit as usize);
    MessagePage { messages, more }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMessage {
    content: String,
    #[serde(default)]
    call_id: Option<CallId>,
}

/// `POST /api/v1/chats/{chat}/messages`: as the command `send_message`.
pub(super) async fn send(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(chat): Path<String>,
    Json(new): Json<NewMessage>,
) -> Result<(StatusCode, Answer<serde_json::Value>), Problem> {
    let (caller, chat_id) = (Caller::of(&app, &headers).await?, ChatId(chat));
    if !caller.may_enter(&app, &chat_id).await? {
        return Err(Problem::new(ErrorCode::NotFound, "no such chat"));
    }
    let command = Command::SendMessage(SendMessage {
        chat_id,
        content: new.content,
        call_id: new.call_id,
    });
    let key = idempotency_key(&headers)?;
    let message = app.service.command(&caller.actor(), &key, command).await?;
    Ok((StatusCode::CREATED, Answer(message)))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct UpTo {
    up_to: Option<MessageId>,
}

/// `POST /api/v1/chats/{chat}/read`: as the command `mark_read`.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(chat): Path<String>,
    Json(mark): Json<UpTo>,
) -> Result<Answer<Unread>, Problem> {
    let (caller, chat_id) = (Caller::of(&app, &headers).await?, ChatId(chat));
    caller.must_reach(&app, &chat_id).await?;
    let command = Command::MarkRead(MarkRead {
        chat_id: chat_id.clone(),
        up_to: mark.up_to,
    });
    let key = idempotency_key(&headers)?;
    app.service.command(&caller.actor(), &key, command).await?;
    let unread = app.service.unread(&caller.user.id, &chat_id).await?;
    Ok(Answer(Unread {
        unread: unread.unwrap_or(0),
    }))
}

/// `GET /api/v1/calls/{call}/messages?before=&limit=`: what was written in a call, for who was in it and for its chat.
pub(super) async fn call_messages(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(call): Path<String>,
    Query(page): Query<Page>,
) -> Result<Answer<MessagePage>, Problem> {
    let (caller, call) = (Caller::of(&app, &headers).await?, CallId(call));
    let nothing = || Problem::new(ErrorCode::NotFound, "no such call");
    let store = app.service.store();
    let known = store.call(&call).await?.ok_or_else(nothing)?;
    let people = store.participants(&call).await?;
    let was_in = people
        .iter()
        .any(|p| p.user == caller.user.id && p.joined_at_ms.is_some());
    if !(was_in || caller.reaches(&app, &known.chat).await?) {
        return Err(nothing());
    }
    let (limit, before) = (page.limit(), page.before());
    let found = store.call_messages(&call, before.as_ref(), limit + 1).await?;
    Ok(Answer(cut(found, limit)))
}
