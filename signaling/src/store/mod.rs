//! The store: Postgres and SQLite from one code path.

mod backup;
pub(crate) mod call_list;
pub(crate) mod calls;
pub(crate) mod chats;
pub(crate) mod commands;
pub(crate) mod db;
mod diagnose;
pub(crate) mod dialect;
mod error;
mod history;
pub(crate) mod messages;
mod migrate;
pub(crate) mod outbox;
mod person;
mod quality;
mod records;
mod retention;
mod rooms;
pub(crate) mod users;
mod value;
pub(crate) mod words;

pub use call_list::{CallFilter, Cursor, Direction};
pub use diagnose::{Diagnosis, Schema};
pub use error::StoreError;
pub use records::{CallEventRecord, CallRecord, ParticipantRecord, QualityMinute, UserRecord};
pub use rooms::{GuestLink, NewGuestLink};

pub use person::ERASED_NAME;
pub use retention::{Pruned, RetentionConfig};
pub use users::{LOCAL_ISSUER, Subject};
pub use words::rfc3339;

use db::Db;

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
}

impl Store {
    /// Connects to `postgres://...` or `sqlite:path` (the file is made when missing). Applies no migration.
    ///
    /// # Errors
    /// [`StoreError::Url`] for any other URL, [`StoreError::Unavailable`] when there is no connection.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            db: Db::connect(url).await?,
        })
    }

    /// Whether this is the database for evaluation and small installs.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.db, Db::Sqlite { .. })
    }

    /// Applies what is missing of the embedded migrations.
    ///
    /// # Errors
    /// [`StoreError::Migrate`] when one fails, or when an applied one is not the one embedded here.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate::run(&self.db).await
    }

    /// Asks the database for nothing, to know that it answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.fetch_all("SELECT 1 AS one", Vec::new()).await.map(drop)
    }

    /// Waits for the connections in use and closes them.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
