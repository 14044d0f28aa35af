//! Messages and calls, read by people who were there.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Json as Answer;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::body::bearer;
use super::{Problem, rfc3339};
use crate::app::App;
use crate::auth::Claims;
use crate::ids::{CallId, ChatId, MessageId, UserId};
use crate::protocol::{CallStatus, CallType, EndReason, ErrorCode, Message, ParticipantStatus, User};

/// Most messages in one answer, and how many come unasked.
const MAX_MESSAGES: u32 = 100;
const MESSAGES: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Page {
    before: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Messages {
    messages: Vec<Message>,
    more: bool,
}

/// `GET /api/v1/chats/{id}/messages?before=&limit=`: newest first.
pub(super) async fn messages(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(chat): Path<String>,
    Query(page): Query<Page>,
) -> Result<Answer<Messages>, Problem> {
    let (user, claims) = app.identify(bearer(&headers)?).await?;
    let chat = ChatId(chat);
    if !reaches(&app, &user.id, &claims, &chat).await? {
        return Err(Problem::new(ErrorCode::NotFound, "no such chat"));
    }
    let limit = page.limit.unwrap_or(MESSAGES).clamp(1, MAX_MESSAGES);
    let before = page.before.map(MessageId);
    let mut messages = app
        .service
        .store()
        .messages(&user.id, &chat, before.as_ref(), limit + 1)
        .await?;
    let more = messages.len() > limit as usize;
    messages.truncate(limit as usize);
    Ok(Answer(Messages { messages, more }))
}

/// Whether a person may read a chat: they are in it, and their token does not leave it out.
async fn reaches(app: &App, user: &UserId, claims: &Claims, chat: &ChatId) -> Result<bool, Problem> {
    let open = match &claims.room {
        Some(room) => app.service.store().room(room.as_str()).await?.as_ref() == Some(chat),
        None => claims.may_enter(chat),
    };
    Ok(open && app.service.store().chat_for(user, chat).await?.is_some())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call {
    call_id: CallId,
    chat_id: ChatId,
    #[serde(rename = "type")]
    call_type: CallType,
    status: CallStatus,
    end_reason: Option<EndReason>,
    initiated_by: UserId,
    created_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    ended_by: Option<UserId>,
    /// Whole seconds of talk.
    duration: u64,
    participants: Vec<Participant>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Participant {
    user: User,
    status: ParticipantStatus,
    joined_at: Option<String>,
    left_at: Option<String>,
    /// Whole seconds in the seat.
    duration: u64,
}

/// `GET /api/v1/calls/{id}`: for members of its chat and for who took part in it.
pub(super) async fn call(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(call): Path<String>,
) -> Result<Answer<Call>, Problem> {
    let (user, claims) = app.identify(bearer(&headers)?).await?;
    let nothing = || Problem::new(ErrorCode::NotFound, "no such call");
    let details = app.service.call_details(&CallId(call)).await?.ok_or_else(nothing)?;
    let took_part = details.participants.iter().any(|p| p.user == user.id);
    if !took_part && !reaches(&app, &user.id, &claims, &details.call.chat).await? {
        return Err(nothing());
    }
    let mut participants = Vec::with_capacity(details.participants.len());
    for p in details.participants {
        let known = app.service.store().user(&p.user).await?.map(|record| record.user);
        participants.push(Participant {
            user: known.unwrap_or(User {
                id: p.user,
                name: String::new(),
                avatar: None,
            }),
            status: p.status,
            joined_at: p.joined_at_ms.and_then(moment),
            left_at: p.left_at_ms.and_then(moment),
            duration: u64::try_from(p.duration_ms).unwrap_or(0) / 1000,
        });
    }
    let call = details.call;
    let talked = call
        .ended_at_ms
        .zip(call.started_at_ms)
        .map_or(0, |(end, start)| end.saturating_sub(start));
    Ok(Answer(Call {
        call_id: call.id,
        chat_id: call.chat,
        call_type: call.call_type,
        status: call.status,
        end_reason: call.end_reason,
        initiated_by: call.initiated_by,
        created_at: moment(call.created_at_ms).unwrap_or_default(),
        started_at: call.started_at_ms.and_then(moment),
        ended_at: call.ended_at_ms.and_then(moment),
        ended_by: call.ended_by,
        duration: u64::try_from(talked).unwrap_or(0) / 1000,
        participants,
    }))
}

fn moment(ms: i64) -> Option<String> {
    u64::try_from(ms)
        .ok()
        .map(|ms| rfc3339(UNIX_EPOCH + Duration::from_millis(ms)))
}
