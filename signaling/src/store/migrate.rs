//! Migrations, embedded in the binary.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::StoreError;
use super::db::Db;

/// (version, description, SQL) of one database. Forward only; an applied one is never edited, because sqlx compares
/// checksums. One list for both, so that they have the same versions.
macro_rules! migrations {
    ($database:literal) => {
        &[
            migrations!($database, 1, "calls", "0001_calls"),
            migrations!($database, 2, "history", "0002_history"),
            migrations!($database, 3, "rooms", "0003_rooms"),
        ]
    };
    ($database:literal, $version:literal, $name:literal, $file:literal) => {
        (
            $version,
            $name,
            include_str!(concat!("../../../migrations/", $database, "/", $file, ".sql")),
        )
    };
}
const POSTGRES: &[(i64, &str, &str)] = migrations!("postgres");
const SQLITE: &[(i64, &str, &str)] = migrations!("sqlite");

fn migrator(list: &'static [(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = list.iter().map(|&(version, description, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

pub(super) async fn run(db: &Db) -> Result<(), StoreError> {
    match db {
        Db::Postgres(pool) => migrator(POSTGRES).run(pool).await,
        Db::Sqlite { writer, .. } => migrator(SQLITE).run(writer).await,
    }
    .map_err(|error| StoreError::Migrate(error.to_string()))
}
