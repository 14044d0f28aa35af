//! `ringhall backup` and `ringhall restore`: the records and the secrets of an installation, in a folder.
//!
//! The folder holds `manifest.json`, the database (`database.sqlite`, or `database.pgdump` as pg_dump's custom format), and the
//! secrets of the data folder. SQLite is copied by its own library; Postgres by its own programs, which know everything that a
//! database may hold (docs/decisions/0021-backups.md).

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use signaling::store::{Schema, Store};
use tokio::process::Command;
use url::Url;

use crate::cli::Failure;
use crate::config::Config;
use crate::secrets::{FILES, write_private};
use crate::serve;
use crate::turn::unix;

const MANIFEST: &str = "manifest.json";
const SQLITE: &str = "database.sqlite";
const POSTGRES: &str = "database.pgdump";
/// The layout of the folder.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    version: String,
    /// Seconds since 1970.
    made: u64,
    /// `sqlite` or `postgres`.
    database: String,
}

/// Writes a backup into `folder`, which must not be there. The server may run meanwhile.
pub(crate) async fn backup(config: &Config, folder: &Path) -> Result<(), Failure> {
    let url = serve::database_url(config)?;
    let store = Store::connect(&url).await?;
    if store.diagnose().await?.schema == Schema::Empty {
        store.close().await;
        return Err("the database is empty: there is nothing to keep; look at database.url and data.dir".into());
    }
    // It holds everything that was ever written and the keys of all sign-ins.
    let made = fs::DirBuilder::new().mode(0o700).create(folder);
    made.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => format!("{} is there already; name a new folder", folder.display()),
        _ => format!("{}: {e}", folder.display()),
    })?;
    let done = write(config, &store, &url, folder).await;
    store.close().await;
    if done.is_err() {
        // Half a backup is worse than none: somebody might trust it.
        let _ = fs::remove_dir_all(folder);
    }
    done?;
    println!(
        "everything is in {}; keep it where this machine's disk cannot take it along",
        folder.display()
    );
    Ok(())
}

async fn write(config: &Config, store: &Store, url: &str, folder: &Path) -> Result<(), Failure> {
    if store.is_sqlite() {
        let file = folder.join(SQLITE);
        store.copy_to(&file).await?;
        fs::File::open(&file)?.sync_all()?;
    } else {
        let mut command = Place::of(url)?.program("pg_dump");
        command.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]);
        command.arg(folder.join(POSTGRES));
        run("pg_dump", command).await?;
    }
    for name in FILES {
        match fs::read(config.data.dir.join(name)) {
            Ok(bytes) => write_private(&folder.join(name), &bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", config.data.dir.join(name).display()).into()),
        }
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        made: unix(),
        database: if store.is_sqlite() { "sqlite" } else { "postgres" }.into(),
    };
    // Last: a folder with it is whole.
    write_private(&folder.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    Ok(())
}

/// Puts a backup back, into an empty place: no database, no secrets. The server must not run.
pub(crate) async fn restore(config: &Config, folder: &Path) -> Result<(), Failure> {
    let text = fs::read(folder.join(MANIFEST)).map_err(|e| {
        format!(
            "{}: {e}; it has to be a folder that `ringhall backup` made",
            folder.join(MANIFEST).display()
        )
    })?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| format!("{MANIFEST}: {e}"))?;
    if manifest.format != FORMAT {
        return Err(format!(
            "this backup was made by Ringhall {}, in a layout that this version does not know",
            manifest.version
        )
        .into());
    }
    let postgres = config.database.url.starts_with("postgres");
    if postgres != (manifest.database == "postgres") {
        return Err(format!(
            "the backup is of {}, and database.url names another kind of database: set it to the same kind",
            manifest.database
        )
        .into());
    }
    let url = serve::database_url(config)?;
    let kept: Vec<PathBuf> = FILES
        .iter()
        .map(|name| config.data.dir.join(name))
        .filter(|path| path.exists())
        .collect();
    if let Some(path) = kept.first() {
        return Err(format!(
            "{} is there already: stop the server and move the data folder away, so that nothing of it is lost",
            path.display()
        )
        .into());
    }
    if postgres {
        empty_postgres(&url).await?;
        let place = Place::of(&url)?;
        let mut command = place.program("pg_restore");
        command.args([
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            "--single-transaction",
            "--dbname",
        ]);
        command.arg(&place.without_password).arg(folder.join(POSTGRES));
        run("pg_restore", command).await?;
    } else {
        put_sqlite(&url, &folder.join(SQLITE))?;
    }
    for name in FILES {
        if let Ok(bytes) = fs::read(folder.join(name)) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&config.data.dir)?;
            write_private(&config.data.dir.join(name), &bytes)?;
        }
    }
    let store = Store::connect(&url).await?;
    let begun = async {
        store.migrate().await?;
        store.begin_epoch().await
    };
    let begun = begun.await;
    store.close().await;
    begun?;
    println!("restored; start the server");
    Ok(())
}

fn put_sqlite(url: &str, from: &Path) -> Result<(), Failure> {
    let path = url.trim_start_matches("sqlite:");
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    if path.exists() {
        return Err(format!(
            "{} is there already: stop the server and move it away, so that nothing of it is lost",
            path.display()
        )
        .into());
    }
    let bytes = fs::read(from).map_err(|e| format!("{}: {e}", from.display()))?;
    // Whole or not at all.
    let beside = path.with_extension("restoring");
    write_private(&beside, &bytes)?;
    fs::rename(&beside, path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(())
}

async fn empty_postgres(url: &str) -> Result<(), Failure> {
    let store = Store::connect(url).await?;
    let found = store.diagnose().await;
    store.close().await;
    if found?.schema != Schema::Empty {
        return Err(
            "the database holds tables of Ringhall already; make an empty one: createdb -O ringhall ringhall2".into(),
        );
    }
    Ok(())
}

/// Where a Postgres is. Its password goes to its programs by their environment: a command line is seen by everybody.
struct Place {
    without_password: String,
    password: Option<String>,
}

impl Place {
    fn of(url: &str) -> Result<Self, Failure> {
        let mut url = Url::parse(url).map_err(|e| format!("database.url: {e}"))?;
        let decoded = url.password().map(|text| percent_decode_str(text).decode_utf8());
        let password = decoded
            .transpose()
            .map_err(|_| "the password in database.url is not UTF-8")?;
        let password = password.map(|text| text.into_owned());
        // It fails only where there is no host, and then there is no password either.
        let _ = url.set_password(None);
        Ok(Self {
            without_password: url.into(),
            password,
        })
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.stdin(Stdio::null());
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        if name == "pg_dump" {
            command.arg("--dbname").arg(&self.without_password);
        }
        command
    }
}

async fn run(name: &str, mut command: Command) -> Result<(), Failure> {
    let done = command.output().await.map_err(|e| match e.kind() {
        ErrorKind::NotFound => format!("{name} is missing; install it with: apt-get install postgresql-client"),
        _ => format!("{name}: {e}"),
    })?;
    if !done.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&done.stderr).trim()).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_go_on_a_command_line() {
        let place = Place::of("postgres://anna:s%40f%25e@db.example:5433/calls?sslmode=require").unwrap();
        assert_eq!(
            place.without_password,
            "postgres://anna@db.example:5433/calls?sslmode=require"
        );
        assert_eq!(place.password.as_deref(), Some("s@f%e"));
        let place = Place::of("postgres://ringhall@localhost/ringhall").unwrap();
        assert_eq!(
            (place.without_password.as_str(), place.password),
            ("postgres://ringhall@localhost/ringhall", None)
        );
        let place = Place::of("postgres:///ringhall?host=/run/postgresql").unwrap();
        assert_eq!(place.without_password, "postgres:///ringhall?host=/run/postgresql");
    }
}
