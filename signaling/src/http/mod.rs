//! HTTP: REST for the page and for host applications, WHIP and WHEP, health, and the way to the WebSocket.

mod body;
mod calls;
mod chats;
mod check;
mod guests;
mod headers;
mod health;
mod members;
mod problem;
mod reach;
mod rooms;
mod session;
mod setup;
mod time;
mod whip;
mod whip_sessions;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any, delete, get, patch, post, put};

pub use problem::Problem;
pub use session::{DemoUser, ServerInfo};
pub use setup::Setup;
pub(crate) use time::rfc3339;
pub(crate) use whip_sessions::WhipSessions;

use crate::app::App;
use crate::protocol::{ErrorCode, MAX_SDP_FRAME_BYTES};

/// Largest JSON body.
const MAX_JSON_BYTES: usize = 64 * 1024;

/// Everything below `/api`, `/v1`, `/whip`, `/whep`, and health. Requires
/// [`axum::extract::ConnectInfo`]`<SocketAddr>` from the listener. Pages are the caller's fallback.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/server", get(session::server))
        .route("/session", post(session::sign_in))
        .route("/session/refresh", post(session::refresh))
        .route("/setup", post(setup::set_up))
        .route("/chats", get(chats::list))
        .route("/chats/{chat}", get(chats::one))
        .route("/chats/{chat}/messages", get(chats::messages).post(chats::send))
        .route("/chats/{chat}/read", post(chats::read))
        .route("/calls", get(calls::list))
        .route("/calls/seen", post(calls::seen))
        .route("/calls/{call}", get(calls::one))
        .route("/calls/{call}/messages", get(chats::call_messages))
        .route("/chats/{chat}/members/{user}", put(members::change))
        .route("/rooms", post(rooms::create))
        .route("/rooms/{name}", patch(rooms::change))
        .route("/rooms/{name}/enter", post(rooms::enter))
        .route("/rooms/{name}/invites", get(guests::list).post(guests::invite))
        .route("/rooms/{name}/invites/{id}", delete(guests::revoke))
        .route(
            "/check/bytes",
            get(check::bytes)
                .post(check::swallow)
                .layer(DefaultBodyLimit::max(check::MEASURED_BYTES)),
        )
        .route("/invites/look", post(guests::look))
        .route("/invites/enter", post(guests::enter))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_way)
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES));
    let media = Router::new()
        .route("/whip/{room}", any(whip::whip_endpoint))
        .route("/whip/{room}/{session}", any(whip::session))
        .route("/whep/{room}", any(whip::whep_endpoint))
        .route("/whep/{room}/{session}", any(whip::session))
        .layer(DefaultBodyLimit::max(MAX_SDP_FRAME_BYTES));
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/v1/ws", get(crate::ws::upgrade))
        .nest("/api/v1", api)
        .merge(media)
        .layer(from_fn(headers::secure))
        .layer(from_fn(log))
        .with_state(app)
}

async fn nothing_here() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such resource")
}

async fn not_this_way(method: Method) -> Problem {
    Problem::new(ErrorCode::BadRequest, format!("{method} is not served here"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}

/// One line per request: what was asked, and how it went. Never a query or a header, which may hold secrets.
async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = std::time::Instant::now();
    let response = next.run(request).await;
    let (status, took_ms) = (response.status().as_u16(), begun.elapsed().as_millis());
    if status >= 500 {
        tracing::warn!(%method, path, status, took_ms, "request");
    } else {
        tracing::debug!(%method, path, status, took_ms, "request");
    }
    response
}
