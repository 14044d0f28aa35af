//! Rooms by link.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::Problem;
use super::body::{Json, bearer};
use crate::app::App;
use crate::ids::{ChatId, UserId};
use crate::protocol::{Chat, ErrorCode, User};

/// Characters of a name that nobody can guess: none that look alike. 32 of them, five bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Groups of four: 80 bits.
const GROUPS: usize = 4;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewRoom {
    name: Option<String>,
    lobby: Option<bool>,
}

/// A room as its link leads to it.
#[derive(Serialize)]
pub(super) struct Room {
    chat: Chat,
    name: String,
    /// Relative to the server.
    url: String,
}

#[derive(Deserialize)]
pub(super) struct Change {
    lobby: bool,
}

/// `POST /api/v1/rooms`.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(new): Json<NewRoom>,
) -> Result<(StatusCode, Answer<Room>), Problem> {
    let user = account(&app, &headers).await?;
    let wanted = new.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = match wanted {
        Some(name) if plausible(name) => name.to_owned(),
        Some(_) => {
            return Err(Problem::new(
                ErrorCode::BadRequest,
                "name: 3 to 64 of a-z, 0-9 and -, or none for one that cannot be guessed",
            ));
        }
        None => unguessable(),
    };
    // Whoever guesses a name must not be in the meeting.
    let lobby = new.lobby.unwrap_or(wanted.is_some());
    let chat = app.service.store().create_room(&user.id, &name, lobby).await?;
    app.service.announce_chat(&chat).await?;
    tracing::info!(target: "audit", user = %user.id, room = name, lobby, "a room was made");
    Ok((StatusCode::CREATED, shown(&app, &user.id, &chat, name).await?))
}

/// `POST /api/v1/rooms/{name}/enter`.
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Answer<Room>, Problem> {
    let (user, claims) = app.identify(bearer(&headers)?).await?;
    let chat = found(&app, &name).await?;
    let reaches = match &claims.room {
        Some(room) => room.as_str() == name,
        None => claims.may_enter(&chat),
    };
    if !reaches {
        return Err(Problem::new(ErrorCode::Forbidden, "the token does not reach this room"));
    }
    app.service.store().enter(&chat, &user.id).await?;
    app.service.announce_chat_to(&chat, &user.id).await?;
    shown(&app, &user.id, &chat, name).await
}

/// `PATCH /api/v1/rooms/{name}`.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Json(change): Json<Change>,
) -> Result<Answer<Room>, Problem> {
    let (user, chat) = runs(&app, &headers, &name).await?;
    app.service.store().set_lobby(&chat, change.lobby).await?;
    app.service.announce_chat(&chat).await?;
    tracing::info!(target: "audit", user = %user.id, room = name, lobby = change.lobby, "a room was changed");
    shown(&app, &user.id, &chat, name).await
}

/// Somebody with an account, here or at the host: not a guest, and not a token for one room or a few chats.
async fn account(app: &App, headers: &HeaderMap) -> Result<User, Problem> {
    let (user, claims) = app.identify(bearer(headers)?).await?;
    if claims.room.is_some() || claims.chats.is_some() {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "this needs an account, not a token for one room",
        ));
    }
    Ok(user)
}

/// Somebody who owns or administers the room.
pub(super) async fn runs(app: &App, headers: &HeaderMap, name: &str) -> Result<(User, ChatId), Problem> {
    let user = account(app, headers).await?;
    let chat = found(app, name).await?;
    if !app.service.store().runs_chat(&chat, &user.id).await? {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "only the room's owner and admins may do this",
        ));
    }
    Ok((user, chat))
}

async fn found(app: &App, name: &str) -> Result<ChatId, Problem> {
    let chat = app.service.store().room(name).await?;
    chat.ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is no such room"))
}

async fn shown(app: &App, user: &UserId, chat: &ChatId, name: String) -> Result<Answer<Room>, Problem> {
    let chat = app.service.store().chat_for(user, chat).await?;
    let chat = chat.ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is no such room"))?;
    let url = format!("/r/{name}");
    Ok(Answer(Room { chat, name, url }))
}

fn plausible(name: &str) -> bool {
    (3..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn unguessable() -> String {
    let random: [u8; 4 * GROUPS] = rand::random();
    let letters: Vec<char> = random
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)).map(|letter| char::from(*letter)))
        .collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_made_here_is_one_that_may_be_asked_for_and_never_the_same() {
        let names: Vec<String> = (0..100).map(|_| unguessable()).collect();
        assert!(
            names.iter().all(|name| plausible(name) && name.len() == 19),
            "{names:?}"
        );
        let different: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), 100);
        for name in ["ab", "Team", "a b", "-ab", "ab-", "комната", &"a".repeat(65)] {
            assert!(!plausible(name), "{name}");
        }
    }
}
