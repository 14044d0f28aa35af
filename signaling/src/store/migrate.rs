//! Migrations, embedded in the binary.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::StoreError;
use super::db::Db;

/// (version, description, SQL). Forward only; an applied one is never edited, because sqlx compares checksums.
const POSTGRES: &[(i64, &str, &str)] = &[
    (1, "calls", include_str!("../../../migrations/postgres/0001_calls.sql")),
    (
        2,
        "history",
        include_str!("../../../migrations/postgres/0002_history.sql"),
    ),
];
/// As [`POSTGRES`]; both lists have the same versions.
const SQLITE: &[(i64, &str, &str)] = &[
    (1, "calls", include_str!("../../../migrations/sqlite/0001_calls.sql")),
    (
        2,
        "history",
        include_str!("../../../migrations/sqlite/0002_history.sql"),
    ),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = |list: &'static [(i64, &'static str, &'static str)]| -> Vec<_> {
            list.iter().map(|(version, name, _)| (*version, *name)).collect()
        };
        assert_eq!(names(POSTGRES), names(SQLITE));
    }
}
