//! Why the service could not do something.

use crate::protocol::{ErrorCode, WireError};
use crate::store::StoreError;

/// Milliseconds after which a client may try again when the database is away.
const RETRY_AFTER_MS: u32 = 1_000;

/// Failure of a query or of a command that is not the client's.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The command was refused.
    #[error("{}: {}", .0.code_name(), .0.message)]
    Refused(WireError),
}

impl WireError {
    fn code_name(&self) -> String {
        format!("{:?}", self.code)
    }
}

impl From<WireError> for ServiceError {
    fn from(error: WireError) -> Self {
        Self::Refused(error)
    }
}

impl From<ServiceError> for WireError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(error) => error,
            ServiceError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for WireError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::new(ErrorCode::NotFound, format!("{what} not found")),
            StoreError::Exists(what) => Self::new(ErrorCode::Exists, format!("{what} exists already")),
            StoreError::CommandReused | StoreError::Text => Self::new(ErrorCode::BadRequest, error.to_string()),
            StoreError::Erased => Self::new(ErrorCode::Unauthenticated, error.to_string()),
            StoreError::InUse(what) => Self::new(ErrorCode::Conflict, what),
            StoreError::Unavailable(cause) => {
                tracing::warn!(%cause, "the database is not available");
                Self {
                    code: ErrorCode::Unavailable,
                    message: "the database is not available".into(),
                    retry_after_ms: RETRY_AFTER_MS,
                }
            }
            StoreError::Busy => Self {
                code: ErrorCode::Unavailable,
                message: "the database is busy".into(),
                retry_after_ms: RETRY_AFTER_MS,
            },
            error => {
                tracing::error!(%error, "the store failed");
                Self::new(ErrorCode::Internal, "a defect in the server; it was logged")
            }
        }
    }
}
