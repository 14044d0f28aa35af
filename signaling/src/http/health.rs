//! Whether the process lives, and whether it can serve.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;

use super::Problem;
use crate::app::App;
use crate::protocol::ErrorCode;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the database answers, the media threads run, and the server is not going down.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.draining() {
        return Err(Problem::new(ErrorCode::Draining, "the server is going down"));
    }
    if !app.media.alive() {
        return Err(Problem::new(ErrorCode::Unavailable, "a media thread has ended"));
    }
    match tokio::time::timeout(PATIENCE, app.service.store().ping()).await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(_)) | Err(_) => Err(Problem::new(ErrorCode::Unavailable, "the database does not answer")),
    }
}
