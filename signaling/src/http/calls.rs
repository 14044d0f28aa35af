//! The history of calls: a person's own list, what they missed, and one call with everybody's times.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::Problem;
use super::body::{Json, Query};
use super::reach::{Caller, idempotency_key};
use super::time::epoch_ms;
use crate::app::App;
use crate::ids::{CallId, ChatId, UserId};
use crate::protocol::{
    CallDetails, CallDetailsParticipant, CallPage, CallStatus, CallType, CallsSeen, Command, ErrorCode, MarkCallsSeen,
    QualityMinute, Stay, User,
};
use crate::service;
use crate::store::{CallEventRecord, CallFilter, Cursor, Direction, rfc3339};

/// Most calls in one answer, and how many come unasked.
const MAX_CALLS: u32 = 100;
const CALLS: u32 = 50;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    Incoming,
    Outgoing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    chat_id: Option<ChatId>,
    status: Option<CallStatus>,
    #[serde(rename = "type")]
    call_type: Option<CallType>,
    direction: Option<Way>,
    #[serde(default)]
    missed: bool,
    #[serde(default)]
    unseen: bool,
    since: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

fn bad(detail: &str) -> Problem {
    Problem::new(ErrorCode::BadRequest, detail)
}

impl Wanted {
    fn filter(self) -> Result<CallFilter, Problem> {
        let moment = |text: Option<String>, name: &str| match text {
            None => Ok(None),
            Some(text) => epoch_ms(&text)
                .map(Some)
                .ok_or_else(|| bad(&format!("{name} is a time like 2026-11-21T04:05:06Z (RFC 3339, UTC)"))),
        };
        Ok(CallFilter {
            chat: self.chat_id,
            status: self.status,
            call_type: self.call_type,
            direction: self.direction.map(|way| match way {
                Way::Incoming => Direction::Incoming,
                Way::Outgoing => Direction::Outgoing,
            }),
            missed: self.missed,
            unseen: self.unseen,
            since_ms: moment(self.since, "since")?,
            until_ms: moment(self.until, "until")?,
            after: self.cursor.as_deref().map(read_cursor).transpose()?,
        })
    }
}

/// Opaque to the client, so that it may change.
fn write_cursor(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {}", cursor.created_at_ms, cursor.call))
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    let parse = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (ms, call) = text.split_once(' ')?;
        Some(Cursor {
            created_at_ms: ms.parse().ok()?,
            call: call.into(),
        })
    };
    parse().ok_or_else(|| bad("cursor is what an answer gave as `next`"))
}

/// `GET /api/v1/calls?chatId=&status=&type=&direction=&missed=&unseen=&since=&until=&cursor=&limit=`: the reader's own
/// calls, newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<CallPage>, Problem> {
    let caller = Caller::of(&app, &headers).await?;
    let limit = wanted.limit.unwrap_or(CALLS).clamp(1, MAX_CALLS);
    let filter = wanted.filter()?;
    match &filter.chat {
        Some(chat) if !caller.may_enter(&app, chat).await? => {
            return Err(Problem::new(ErrorCode::NotFound, "no such chat"));
        }
        None if caller.limited() => {
            return Err(Problem::new(
                ErrorCode::Forbidden,
                "this token reaches some chats only: name one with chatId",
            ));
        }
        _ => {}
    }
    let (calls, next, unseen) = app.service.store().call_list(&caller.user.id, &filter, limit).await?;
    Ok(Answer(CallPage {
        calls,
        next: next.as_ref().map(write_cursor),
        unseen,
    }))
}

/// `POST /api/v1/calls/seen`: as the command `mark_calls_seen`.
pub(super) async fn seen(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(mark): Json<MarkCallsSeen>,
) -> Result<Answer<CallsSeen>, Problem> {
    let caller = Caller::of(&app, &headers).await?;
    let key = idempotency_key(&headers)?;
    app.service
        .command(&caller.actor(), &key, Command::MarkCallsSeen(mark))
        .await?;
    let unseen = app.service.unseen_calls(&caller.user.id).await?;
    Ok(Answer(CallsSeen { unseen }))
}

/// `GET /api/v1/calls/{call}`: for members of its chat and for who took part in it.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(call): Path<String>,
) -> Result<Answer<CallDetails>, Problem> {
    let caller = Caller::of(&app, &headers).await?;
    let nothing = || Problem::new(ErrorCode::NotFound, "no such call");
    let details = app.service.call_details(&CallId(call)).await?.ok_or_else(nothing)?;
    let took_part = details.participants.iter().any(|p| p.user == caller.user.id);
    if !took_part && !caller.reaches(&app, &details.call.chat).await? {
        return Err(nothing());
    }
    let ids: Vec<UserId> = details.participants.iter().map(|p| p.user.clone()).collect();
    let known = app.service.store().users_named(&ids).await?;
    Ok(Answer(shown(details, known)))
}

fn seconds(ms: i64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(0)
}

fn shown(details: service::CallDetails, known: Vec<User>) -> CallDetails {
    let mut known: HashMap<UserId, User> = known.into_iter().map(|user| (user.id.clone(), user)).collect();
    let mut stays = stays(&details.events);
    let mut quality: HashMap<UserId, Vec<QualityMinute>> = HashMap::new();
    for minute in details.quality {
        let [bad_ms, poor_ms, fair_ms, good_ms] = minute.ms;
        quality.entry(minute.user).or_default().push(QualityMinute {
            minute: rfc3339(minute.minute_ms),
            good_ms,
            fair_ms,
            poor_ms,
            bad_ms,
            reason: minute.reason,
        });
    }
    let participants = details.participants.into_iter().map(|p| CallDetailsParticipant {
        stays: stays.remove(&p.user).unwrap_or_default(),
        quality: quality.remove(&p.user).unwrap_or_default(),
        user: known.remove(&p.user).unwrap_or(User {
            id: p.user,
            name: String::new(),
            avatar: None,
        }),
        status: p.status,
        joined_at: p.joined_at_ms.map(rfc3339),
        left_at: p.left_at_ms.map(rfc3339),
        duration: seconds(p.duration_ms),
    });
    let participants = participants.collect();
    let call = details.call;
    let talk = call.ended_at_ms.zip(call.started_at_ms);
    CallDetails {
        call_id: call.id,
        chat_id: call.chat,
        call_type: call.call_type,
        status: call.status,
        end_reason: call.end_reason,
        initiated_by: call.initiated_by,
        created_at: rfc3339(call.created_at_ms),
        started_at: call.started_at_ms.map(rfc3339),
        ended_at: call.ended_at_ms.map(rfc3339),
        ended_by: call.ended_by,
        duration: talk.map_or(0, |(end, start)| seconds(end - start)),
        participants,
    }
}

/// Everybody's stays, as the append-only record tells them.
fn stays(events: &[CallEventRecord]) -> HashMap<UserId, Vec<Stay>> {
    let mut stays: HashMap<UserId, Vec<Stay>> = HashMap::new();
    for event in events {
        let Some(user) = &event.user else { continue };
        match event.event_type.as_str() {
            "call_participant_joined" => stays.entry(user.clone()).or_default().push(Stay {
                joined_at: rfc3339(event.created_at_ms),
                left_at: None,
                reason: None,
            }),
            "call_participant_left" => {
                if let Some(stay) = stays.get_mut(user).and_then(|s| s.last_mut()) {
                    stay.left_at = Some(rfc3339(event.created_at_ms));
                    stay.reason = event.metadata["reason"].as_str().map(str::to_owned);
                }
            }
            _ => {}
        }
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_and_rubbish_is_refused() {
        let cursor = Cursor {
            created_at_ms: 1_764_936_000_000,
            call: "with spaces in it".into(),
        };
        assert_eq!(read_cursor(&write_cursor(&cursor)).unwrap(), cursor);
        for rubbish in ["", "x", "%%%", "MTIz", "eA"] {
            assert!(read_cursor(rubbish).is_err(), "{rubbish}");
        }
    }
}
