//! Throwaway databases for tests: an SQLite file, and a real Postgres; what must hold of them; and tabs without sockets.

mod postgres;
pub mod rules;
pub mod tab;

use std::path::{Path, PathBuf};

use uuid::Uuid;

pub use postgres::{OwnPostgres, POSTGRES_VARIABLE};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file in a folder of its own.
    Sqlite,
    /// A database of its own in a cluster that lives as long as the process, or in the server that
    /// [`POSTGRES_VARIABLE`] names.
    Postgres,
}

/// An empty database of one test. Dropping it removes it.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    remove: Remove,
}

#[derive(Debug)]
enum Remove {
    Folder(PathBuf),
    Database { admin: String, name: String },
    WithCluster,
}

impl TestDatabase {
    /// Makes one.
    ///
    /// # Panics
    /// When it cannot be made; the text says what is missing and how to install it.
    #[allow(clippy::panic, reason = "a test that has no database has failed, and should say why")]
    pub async fn new(kind: Kind) -> Self {
        let made = match kind {
            Kind::Sqlite => sqlite(),
            Kind::Postgres => postgres::database().await,
        };
        match made {
            Ok(database) => database,
            Err(why) => panic!("no {kind:?} database for this test: {why}"),
        }
    }

    /// For `Store::connect`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.remove {
            Remove::WithCluster => {}
            Remove::Folder(folder) => {
                let _ = std::fs::remove_dir_all(folder);
            }
            Remove::Database { admin, name } => postgres::drop_database(admin, name),
        }
    }
}

/// A new folder under the system's folder for temporary files.
fn folder() -> Result<PathBuf, String> {
    let folder = std::env::temp_dir().join(format!("ringhall-test-{}", Uuid::new_v4().simple()));
    std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn sqlite() -> Result<TestDatabase, String> {
    let folder = folder()?;
    let file = Path::new(&folder).join("ringhall.db");
    Ok(TestDatabase {
        url: format!("sqlite:{}", file.display()),
        remove: Remove::Folder(folder),
    })
}
