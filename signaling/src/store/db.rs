//! One way to speak to two databases: pools, transactions, and what their errors mean. An own enum was taken instead of
//! `sqlx::Any` because `Any` hides the constraint that a violation names, which here decides between `exists` and
//! `BUSY_SELF`.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::StoreError;
use super::dialect::for_sqlite;
pub(crate) use super::value::{Row, Value, args};
use super::value::{postgres_arguments, sqlite_arguments};

/// Connections to Postgres. A command holds one for a few milliseconds; more only move the queue into the database.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Readers of an SQLite file; the writer is one and apart.
const SQLITE_READERS: u32 = 4;
/// How long a command waits for a connection before it is answered with `UNAVAILABLE`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The pools.
#[derive(Clone, Debug)]
pub(crate) enum Db {
    Postgres(PgPool),
    Sqlite { writer: SqlitePool, readers: SqlitePool },
}

impl Db {
    /// Connects to `postgres://...` or `sqlite:path`; the file is made when missing.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pool = PgPoolOptions::new()
                .max_connections(POSTGRES_CONNECTIONS)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect(url)
                .await
                .map_err(unavailable)?;
            return Ok(Self::Postgres(pool));
        }
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(StoreError::Url(url.to_owned()));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        let options = SqliteConnectOptions::new()
            .filename(Path::new(path))
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(unavailable)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.pragma("query_only", "true"))
            .await
            .map_err(unavailable)?;
        Ok(Self::Sqlite { writer, readers })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    /// Begins a transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await.map_err(unavailable)?),
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)?),
        })
    }

    /// Begins a transaction that reads one consistent state.
    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Postgres(pool) => Tx::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                    .await
                    .map_err(unavailable)?,
            ),
            Self::Sqlite { readers, .. } => Tx::Sqlite(readers.begin().await.map_err(unavailable)?),
        })
    }

    /// Rows of a query that changes nothing, outside any transaction.
    pub(crate) async fn fetch_all(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        #[cfg(test)]
        seen::note(sql, &values);
        match self {
            Self::Postgres(pool) => {
                let rows = sqlx::query_with(sql, postgres_arguments(values)?)
                    .fetch_all(pool)
                    .await
                    .map_err(failed)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
            Self::Sqlite { readers, .. } => {
                let query = sqlx::query_with(AssertSqlSafe(for_sqlite(sql)), sqlite_arguments(values)?);
                let rows = query.fetch_all(readers).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// The first row of a query that changes nothing.
    pub(crate) async fn fetch_optional(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }
}

/// A transaction. Dropped without [`Tx::commit`] it is rolled back.
pub(crate) enum Tx {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

impl Tx {
    /// Runs a statement; the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        #[cfg(test)]
        seen::note(sql, &values);
        match self {
            Self::Postgres(tx) => {
                let done = sqlx::query_with(sql, postgres_arguments(values)?)
                    .execute(&mut **tx)
                    .await;
                Ok(done.map_err(failed)?.rows_affected())
            }
            Self::Sqlite(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(for_sqlite(sql)), sqlite_arguments(values)?);
                Ok(query.execute(&mut **tx).await.map_err(failed)?.rows_affected())
            }
        }
    }

    /// All rows.
    pub(crate) async fn fetch_all(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        #[cfg(test)]
        seen::note(sql, &values);
        match self {
            Self::Postgres(tx) => {
                let query = sqlx::query_with(sql, postgres_arguments(values)?);
                let rows = query.fetch_all(&mut **tx).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
            Self::Sqlite(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(for_sqlite(sql)), sqlite_arguments(values)?);
                let rows = query.fetch_all(&mut **tx).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }

    /// The database's clock, epoch milliseconds. Read after the locks are held, so that the stamps of one call never
    /// run backwards: a transaction's own `now()` would be from before it waited.
    pub(crate) async fn now_ms(&mut self) -> Result<i64, StoreError> {
        let sql = match self {
            Self::Postgres(_) => "SELECT ms(clock_timestamp()) AS now",
            Self::Sqlite(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now",
        };
        match self.fetch_optional(sql, Vec::new()).await? {
            Some(row) => row.int("now"),
            None => Err(StoreError::Query("the clock gave no row".into())),
        }
    }

    /// Lets this transaction change the append-only record of calls: for retention and erasure alone.
    pub(crate) async fn allow_erasure(&mut self) -> Result<(), StoreError> {
        let sql = match self {
            Self::Postgres(_) => "SELECT set_config('ringhall.erasure', 'on', true)",
            Self::Sqlite(_) => "INSERT INTO erasure_pass (id) VALUES (1)",
        };
        self.execute(sql, Vec::new()).await.map(drop)
    }

    /// Takes the pass back; on Postgres it ends with the transaction.
    pub(crate) async fn end_erasure(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(_) => Ok(()),
            Self::Sqlite(_) => self.execute("DELETE FROM erasure_pass", Vec::new()).await.map(drop),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(tx) => tx.commit().await,
            Self::Sqlite(tx) => tx.commit().await,
        }
        .map_err(failed)
    }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    match failed(error) {
        StoreError::Query(text) => StoreError::Unavailable(text),
        error => error,
    }
}

/// Sorts the database's errors: a constraint that was violated, a conflict that is worth another try, a connection that is
/// gone, and the rest.
fn failed(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(cause) => {
            let code = cause.code().unwrap_or(Cow::Borrowed(""));
            match code.as_ref() {
                // Postgres: serialization_failure, deadlock_detected, lock_not_available.
                "40001" | "40P01" | "55P03" => StoreError::Busy,
                // Postgres: admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections.
                "57P01" | "57P02" | "57P03" | "53300" => StoreError::Unavailable(cause.to_string()),
                // SQLite: SQLITE_BUSY, SQLITE_LOCKED, and SQLITE_BUSY_SNAPSHOT.
                "5" | "6" | "517" => StoreError::Busy,
                // Postgres: character_not_in_repertoire, untranslatable_character.
                "22021" | "22P05" => StoreError::Text,
                _ if cause.is_unique_violation() => {
                    StoreError::Exists(cause.constraint().map_or_else(|| cause.to_string(), str::to_owned))
                }
                _ if cause.is_foreign_key_violation() => StoreError::NotFound("a row that is referred to"),
                _ => StoreError::Query(error.to_string()),
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StoreError::Unavailable(error.to_string())
        }
        _ => StoreError::Query(error.to_string()),
    }
}

/// Every statement that this process has run, with the last values: what a test of query plans looks at.
#[cfg(test)]
pub(crate) mod seen {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    use super::Value;

    static SEEN: Mutex<BTreeMap<&'static str, Vec<Value>>> = Mutex::new(BTreeMap::new());

    pub(super) fn note(sql: &'static str, values: &[Value]) {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(sql, values.to_vec());
    }

    pub(crate) fn statements() -> BTreeMap<&'static str, Vec<Value>> {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_of_another_database_is_refused_by_name() {
        let error = Db::connect("mysql://x").await.err();
        assert!(matches!(error, Some(StoreError::Url(url)) if url == "mysql://x"));
    }
}
