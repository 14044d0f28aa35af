//! Guests: links into a room that expire, count their uses and may ask for a password.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Json as Answer;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::body::Json;
use super::rooms::runs;
use super::{Problem, rfc3339};
use crate::app::App;
use crate::auth::Claims;
use crate::ids::ChatId;
use crate::protocol::{ErrorCode, User};
use crate::store::{GuestLink, NewGuestLink};

/// How long a link is good unless it says otherwise, and at most, seconds: a week and a year.
const LASTS_SECONDS: u64 = 7 * 24 * 3600;
const MAX_SECONDS: u64 = 365 * 24 * 3600;

/// Most uses of a link that counts them.
const MAX_USES: u32 = 100_000;

/// Longest name of a guest, characters.
const MAX_NAME_CHARS: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewInvite {
    expires_in_seconds: Option<u64>,
    max_uses: Option<u32>,
    password: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invite {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    expires_at: String,
    max_uses: Option<i64>,
    uses: i64,
    has_password: bool,
}

impl Invite {
    fn new(link: &GuestLink, code: Option<String>) -> Self {
        // Behind the `#` no server and no log sees it.
        let url = code.as_ref().map(|code| format!("/r/{}#{code}", link.room));
        Self {
            id: link.id.clone(),
            code,
            url,
            expires_at: stamp(link.expires_ms),
            max_uses: link.max_uses,
            uses: link.uses,
            has_password: link.password_hash.is_some(),
        }
    }
}

/// `POST /api/v1/rooms/{name}/invites`.
pub(super) async fn invite(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(room): Path<String>,
    Json(new): Json<NewInvite>,
) -> Result<(StatusCode, Answer<Invite>), Problem> {
    let (user, chat) = runs(&app, &headers, &room).await?;
    let lasts = new.expires_in_seconds.unwrap_or(LASTS_SECONDS);
    if !(1..=MAX_SECONDS).contains(&lasts) {
        return Err(Problem::new(ErrorCode::BadRequest, "expiresInSeconds: 1 to a year"));
    }
    if new.max_uses.is_some_and(|uses| !(1..=MAX_USES).contains(&uses)) {
        return Err(Problem::new(ErrorCode::BadRequest, "maxUses: 1 to 100000"));
    }
    let password_hash = match new.password.as_deref().filter(|password| !password.is_empty()) {
        Some(password) => {
            let hash = app.passwords.hash(password).await;
            Some(hash.map_err(|_| Problem::new(ErrorCode::BadRequest, "password: too long"))?)
        }
        None => None,
    };
    let code = Uuid::new_v4().simple().to_string();
    let link = app
        .service
        .store()
        .create_guest_link(&NewGuestLink {
            chat: &chat,
            by: &user.id,
            code_hash: &hash(&code),
            password_hash: password_hash.as_deref(),
            max_uses: new.max_uses.map(i64::from),
            lasts_ms: i64::try_from(lasts).unwrap_or(i64::MAX).saturating_mul(1000),
        })
        .await?;
    tracing::info!(target: "audit", user = %user.id, room, invite = link.id, "a guest link was made");
    Ok((StatusCode::CREATED, Answer(Invite::new(&link, Some(code)))))
}

#[derive(Serialize)]
pub(super) struct Invites {
    invites: Vec<Invite>,
}

/// `GET /api/v1/rooms/{name}/invites`.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(room): Path<String>,
) -> Result<Answer<Invites>, Problem> {
    let (_, chat) = runs(&app, &headers, &room).await?;
    let links = app.service.store().guest_links(&chat).await?;
    let invites = links.iter().map(|link| Invite::new(link, None)).collect();
    Ok(Answer(Invites { invites }))
}

/// `DELETE /api/v1/rooms/{name}/invites/{id}`.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((room, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (user, chat) = runs(&app, &headers, &room).await?;
    if !app.service.store().revoke_guest_link(&chat, &id).await? {
        return Err(Problem::new(ErrorCode::NotFound, "there is no such invite"));
    }
    tracing::info!(target: "audit", user = %user.id, room, invite = id, "a guest link was revoked");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Code {
    code: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Look {
    room: String,
    lobby: bool,
    password_needed: bool,
    expires_at: String,
}

/// `POST /api/v1/invites/look`.
pub(super) async fn look(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(body): Json<Code>,
) -> Result<Answer<Look>, Problem> {
    let link = usable(&app, &body.code, peer).await?;
    Ok(Answer(Look {
        lobby: link.lobby,
        password_needed: link.password_hash.is_some(),
        expires_at: stamp(link.expires_ms),
        room: link.room,
    }))
}

#[derive(Deserialize)]
pub(super) struct Enter {
    code: String,
    name: String,
    password: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entered {
    token: String,
    expires_at: String,
    user: User,
    chat: ChatId,
    name: String,
}

/// `POST /api/v1/invites/enter`.
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(body): Json<Enter>,
) -> Result<Answer<Entered>, Problem> {
    let name = body.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Problem::new(ErrorCode::BadRequest, "name: 1 to 64 characters"));
    }
    let link = usable(&app, &body.code, peer).await?;
    if let Some(stored) = &link.password_hash {
        let given = body.password.as_deref().unwrap_or_default();
        if app.passwords.verify(given, Some(stored)).await.is_err() {
            tracing::warn!(target: "audit", room = link.room, invite = link.id, %peer, "a wrong guest password");
            return Err(Problem::new(
                ErrorCode::Unauthenticated,
                "the password of this invite is another one",
            ));
        }
    }
    let mut claims = Claims::new(String::new().into(), app.token_ttl);
    let guest = app.service.store().use_guest_link(&link, &claims.iss, name).await?;
    let guest = guest.ok_or_else(gone)?;
    claims.sub = guest.id.clone();
    claims.name = Some(guest.name.clone());
    claims.room = Some(link.room.as_str().into());
    let token = app.tokens.issue(&claims).map_err(|error| {
        tracing::error!(%error, "a token cannot be signed");
        Problem::new(ErrorCode::Internal, "a defect in the server; it was logged")
    })?;
    tracing::info!(target: "audit", user = %guest.id, room = link.room, invite = link.id, %peer, "a guest came in");
    Ok(Answer(Entered {
        token,
        expires_at: rfc3339(UNIX_EPOCH + Duration::from_secs(claims.exp)),
        user: guest,
        chat: link.chat,
        name: link.room,
    }))
}

/// The link of a code, if it still is good. Guessing is slowed down by address and by code.
async fn usable(app: &App, code: &str, peer: SocketAddr) -> Result<GuestLink, Problem> {
    let hash = hash(code);
    app.count_attempt(&format!("invite {hash}"), peer.ip())?;
    let link = app.service.store().guest_link(&hash).await?;
    let link = link.ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is no such invite"))?;
    if link.usable { Ok(link) } else { Err(gone()) }
}

fn gone() -> Problem {
    Problem::new(
        ErrorCode::Gone,
        "the invite is expired, used up or revoked; ask for another",
    )
}

fn hash(code: &str) -> String {
    Sha256::digest(code.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn stamp(ms: i64) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}
