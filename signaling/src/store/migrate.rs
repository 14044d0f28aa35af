//! Migrations, embedded in the binary.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::StoreError;
use super::db::Db;
use super::diagnose::Schema;

/// (version, description, SQL) of one database. Forward only; an applied one is never edited, because sqlx compares
/// checksums. One list for both, so that they have the same versions.
macro_rules! migrations {
    ($database:literal) => {
        &[
            migrations!($database, 1, "calls", "0001_calls"),
            migrations!($database, 2, "history", "0002_history"),
            migrations!($database, 3, "rooms", "0003_rooms"),
            migrations!($database, 4, "refusals", "0004_refusals"),
            migrations!($database, 5, "quality", "0005_quality"),
            migrations!($database, 6, "erased", "0006_erased"),
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

/// How far a database with these migrations is.
pub(super) fn compare(applied: &[i64]) -> Schema {
    // Both lists have the same versions.
    let ours = || POSTGRES.iter().map(|(version, _, _)| *version);
    let newest = applied.iter().copied().max().unwrap_or_default();
    if ours().all(|version| version < newest) {
        return Schema::Ahead(newest);
    }
    match ours().filter(|version| !applied.contains(version)).count() {
        0 => Schema::Current,
        missing if missing == POSTGRES.len() => Schema::Empty,
        missing => Schema::Behind(missing),
    }
}

pub(super) async fn run(db: &Db) -> Result<(), StoreError> {
    match db {
        Db::Postgres(pool) => migrator(POSTGRES).run(pool).await,
        Db::Sqlite { writer, .. } => migrator(SQLITE).run(writer).await,
    }
    .map_err(|error| StoreError::Migrate(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_told_from_one_of_another_version() {
        let all: Vec<i64> = POSTGRES.iter().map(|(version, _, _)| *version).collect();
        assert_eq!(compare(&all), Schema::Current);
        assert_eq!(compare(&[]), Schema::Empty);
        assert_eq!(compare(&all[..1]), Schema::Behind(all.len() - 1));
        let newer: Vec<i64> = all.iter().copied().chain([99]).collect();
        assert_eq!(compare(&newer), Schema::Ahead(99));
    }
}
