//! Why the store could not do something.

/// Failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is neither `postgres://...` nor `sqlite:path`.
    #[error("database URL {0:?} is neither postgres://... nor sqlite:path")]
    Url(String),
    /// The database cannot be reached.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Serialization failures, deadlocks or a locked file, more often than is tried again.
    #[error("the database is busy")]
    Busy,
    /// There is no such row.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// There is such a row already; the text names the constraint.
    #[error("{0} exists already")]
    Exists(String),
    /// A command id was used before, for another operation.
    #[error("this command id was used for another operation")]
    CommandReused,
    /// It cannot be removed while it is needed.
    #[error("{0}")]
    InUse(&'static str),
    /// The account was erased, and the token is older than that.
    #[error("the account of this token was erased")]
    Erased,
    /// A text holds what the database cannot keep.
    #[error("a text holds a NUL character")]
    Text,
    /// A migration failed or does not match what was applied before.
    #[error("migration: {0}")]
    Migrate(String),
    /// The database refused a statement.
    #[error("database: {0}")]
    Query(String),
    /// A row holds what this version does not know.
    #[error("column {column}: {value:?} is not known to this version")]
    Decode {
        /// Which column.
        column: String,
        /// What it holds.
        value: String,
    },
}
