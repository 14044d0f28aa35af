//! What a backup needs of the store itself: a copy of an SQLite file while it is in use, and a new epoch after a restore.

use std::path::Path;

use super::db::{Db, args};
use super::{Store, StoreError};

impl Store {
    /// Writes a consistent copy of an SQLite database to `file`, which must not be there. Others may read and write meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Query`] when it cannot be written, or this is no SQLite.
    pub async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let Db::Sqlite { writer, .. } = &self.db else {
            return Err(StoreError::Query("only SQLite is copied as a file".into()));
        };
        let place = file.to_str().ok_or(StoreError::Text)?;
        // A read transaction of its own: a writer is not held up (https://sqlite.org/lang_vacuum.html#vacuuminto).
        let copied = sqlx::query("VACUUM INTO ?").bind(place).execute(writer).await;
        copied.map(drop).map_err(|error| StoreError::Query(error.to_string()))
    }

    /// Counts the epoch on, after a restore: what pages remember of events belongs to another past, and they take a snapshot.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub async fn begin_epoch(&self) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        tx.execute("UPDATE installation SET epoch = epoch + 1 WHERE id = 1", args![])
            .await?;
        tx.commit().await?;
        self.epoch().await
    }
}
