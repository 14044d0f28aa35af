//! Errors as RFC 9457 problem documents, with the codes of the wire protocol.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::protocol::{ErrorCode, WireError};
use crate::store::StoreError;

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    error: WireError,
    status: StatusCode,
}

impl Problem {
    /// A problem with the status that belongs to its code.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::from(WireError::new(code, detail))
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// The HTTP status of a code.
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest | ErrorCode::UnsupportedVersion => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated | ErrorCode::TokenExpired => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::Kicked | ErrorCode::RoomLocked => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Gone => StatusCode::GONE,
        ErrorCode::Exists
        | ErrorCode::BusySelf
        | ErrorCode::AnsweredElsewhere
        | ErrorCode::Conflict
        | ErrorCode::RoomFull => StatusCode::CONFLICT,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::SdpRejected => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::MediaLimit | ErrorCode::Unavailable | ErrorCode::Draining => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        let status = status_of(error.code);
        Self { error, status }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        WireError::from(error).into()
    }
}

impl From<crate::service::ServiceError> for Problem {
    fn from(error: crate::service::ServiceError) -> Self {
        WireError::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.error.message,
            "code": self.error.code,
        }));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.error.retry_after_ms > 0 {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(self.error.retry_after_ms.div_ceil(1000)),
            );
        }
        response
    }
}
