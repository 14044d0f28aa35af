//! What an operator wants to know of the database before anybody uses it. Nothing is changed.

use super::{Store, StoreError, migrate};

/// How far the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// There are none yet.
    Empty,
    /// So many migrations are missing.
    Behind(usize),
    /// As this version wants them.
    Current,
    /// A newer version has been here: its last migration.
    Ahead(i64),
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// How far the tables are.
    pub schema: Schema,
    /// The database's clock, epoch milliseconds.
    pub clock_ms: i64,
    /// Whether this role may make tables; migrations need it.
    pub may_migrate: bool,
    /// Connections that the server takes, where it has a limit.
    pub max_connections: Option<i64>,
    /// What SQLite's own check says when it is not "ok".
    pub damage: Option<String>,
}

impl Store {
    /// Looks at the database, and changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    pub async fn diagnose(&self) -> Result<Diagnosis, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let clock_ms = if self.is_sqlite() {
            tx.now_ms().await?
        } else {
            // `ms()` is one of our functions, and may not be there yet.
            let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now";
            first(tx.fetch_optional(sql, Vec::new()).await?)?.int("now")?
        };
        let mut found = Diagnosis {
            schema: Schema::Empty,
            clock_ms,
            may_migrate: true,
            max_connections: None,
            damage: None,
        };
        let there = if self.is_sqlite() {
            let damage = first(tx.fetch_optional("PRAGMA quick_check(1)", Vec::new()).await?)?.text("quick_check")?;
            found.damage = (damage != "ok").then_some(damage);
            "SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'"
        } else {
            let sql = "SELECT CAST(COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false) AS INT)::bigint AS may, \
                 CAST(current_setting('max_connections') AS BIGINT) AS most";
            let row = first(tx.fetch_optional(sql, Vec::new()).await?)?;
            found.may_migrate = row.int("may")? == 1;
            found.max_connections = Some(row.int("most")?);
            "SELECT COUNT(*) AS n FROM pg_tables WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations'"
        };
        if first(tx.fetch_optional(there, Vec::new()).await?)?.int("n")? > 0 {
            let rows = tx.fetch_all("SELECT version FROM _sqlx_migrations", Vec::new()).await?;
            let applied = rows
                .iter()
                .map(|row| row.int("version"))
                .collect::<Result<Vec<_>, _>>()?;
            found.schema = migrate::compare(&applied);
        }
        Ok(found)
    }
}

fn first(row: Option<super::db::Row>) -> Result<super::db::Row, StoreError> {
    row.ok_or_else(|| StoreError::Query("no row".into()))
}
