//! What the server is, and sign-in of local accounts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Json as Answer;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::body::{Json, bearer};
use super::{Problem, rfc3339};
use crate::app::App;
use crate::auth::Claims;
use crate::protocol::{ErrorCode, User};

/// A demo account, password included: it exists only with `--demo`, only on loopback.
#[derive(Clone, Debug, Serialize)]
pub struct DemoUser {
    /// Login name.
    pub login: String,
    /// Display name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// What the page needs to know before anybody has signed in.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// Product name.
    pub name: String,
    /// Version of the server.
    pub version: String,
    /// The demo accounts, with `--demo`.
    pub demo: Option<Vec<DemoUser>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerAnswer {
    name: String,
    version: String,
    demo: Option<Demo>,
    setup_required: bool,
}

#[derive(Serialize)]
struct Demo {
    users: Vec<DemoUser>,
}

/// `GET /api/v1/server`.
pub(super) async fn server(State(app): State<Arc<App>>) -> Answer<ServerAnswer> {
    Answer(ServerAnswer {
        name: app.info.name.clone(),
        version: app.info.version.clone(),
        demo: app.info.demo.clone().map(|users| Demo { users }),
        setup_required: app.setup.is_open(),
    })
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    login: String,
    password: String,
}

/// A signed-in person.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionAnswer {
    token: String,
    expires_at: String,
    user: User,
}

/// `POST /api/v1/session`.
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(body): Json<SignIn>,
) -> Result<Answer<SessionAnswer>, Problem> {
    app.count_attempt(&body.login, peer.ip())?;
    let account = app.service.store().user_by_login(&body.login).await?;
    let stored = account.as_ref().and_then(|a| a.password_hash.as_deref());
    let fits = app.passwords.verify(&body.password, stored).await;
    match (fits, account) {
        (Ok(()), Some(account)) => {
            tracing::info!(user = %account.user.id, "signed in");
            session(&app, account.user)
        }
        _ => Err(Problem::new(ErrorCode::Unauthenticated, "wrong login or password")),
    }
}

/// `POST /api/v1/session/refresh`: a new token for a local account whose old one still is good.
pub(super) async fn refresh(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Answer<SessionAnswer>, Problem> {
    let (user, claims) = app.identify(bearer(&headers)?).await?;
    if !claims.is_local() || claims.room.is_some() {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "only a local account's token can be renewed here",
        ));
    }
    session(&app, user)
}

/// A new token for a local account.
pub(super) fn session(app: &App, user: User) -> Result<Answer<SessionAnswer>, Problem> {
    let claims = Claims::new(user.id.clone(), app.token_ttl);
    let token = app.tokens.issue(&claims).map_err(|error| {
        tracing::error!(%error, "a token cannot be signed");
        Problem::new(ErrorCode::Internal, "a defect in the server; it was logged")
    })?;
    let expires_at = rfc3339(UNIX_EPOCH + Duration::from_secs(claims.exp));
    Ok(Answer(SessionAnswer {
        token,
        expires_at,
        user,
    }))
}
