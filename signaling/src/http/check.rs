//! Bytes to measure a connection by, for the page `/check`. For people who are signed in only; nothing of it is kept.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rand::RngExt;

use super::Problem;
use super::body::{bearer, unread};
use crate::app::App;

/// In either direction; a page asks again while its time lasts.
pub(super) const MEASURED_BYTES: usize = 1 << 20;

/// `GET /api/v1/check/bytes`: this many bytes that no proxy can make smaller.
pub(super) async fn bytes(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    app.identify(bearer(&headers)?).await?;
    let mut body = vec![0_u8; MEASURED_BYTES];
    rand::rng().fill(&mut body[..]);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
    ];
    Ok((headers, body).into_response())
}

/// `POST /api/v1/check/bytes`: takes as many, and throws them away.
pub(super) async fn swallow(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    app.identify(bearer(&headers)?).await?;
    body.map_err(unread)?;
    Ok(StatusCode::NO_CONTENT)
}
