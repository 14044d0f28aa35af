//! The database: whether it answers, lets us in, and has our tables.

use std::path::Path;

use signaling::store::{Diagnosis, Schema, Store, StoreError};

use super::machine;
use super::report::Report;
use crate::config::{Config, in_data_dir};
use crate::turn::unix_ms;

const CHECK: &str = "database";
/// The server's own connections, and a few for the operator.
const CONNECTIONS: i64 = 20;

pub(super) async fn check(report: &mut Report, config: &Config) {
    let url = &config.database.url;
    if url.is_empty() || url.starts_with("sqlite:") {
        let path = url
            .strip_prefix("sqlite:")
            .map(|path| path.trim_start_matches("//").into());
        let path = path.unwrap_or_else(|| in_data_dir(config, "ringhall.db"));
        sqlite(report, &path).await;
    } else {
        postgres(report, url).await;
    }
}

async fn sqlite(report: &mut Report, path: &Path) {
    let place = path.display();
    if !path.exists() {
        report.note(
            CHECK,
            format!("SQLite: {place} is not there yet; the first start makes it"),
        );
        return;
    }
    match look(&format!("sqlite:{place}")).await {
        Ok(found) => {
            if let Some(damage) = &found.damage {
                report.fault(
                    CHECK,
                    format!("SQLite: {place} is damaged: {damage}"),
                    "stop the server, keep the file, and restore a backup (ringhall restore)",
                );
            }
            judge(report, &format!("SQLite {place}"), &found);
        }
        Err(error) => report.fault(
            CHECK,
            format!("SQLite: {place}: {error}"),
            "it has to be a file of Ringhall's that its user may read and write; else restore a backup (ringhall restore)",
        ),
    }
}

async fn postgres(report: &mut Report, url: &str) {
    let begun = std::time::Instant::now();
    let place = without_password(url);
    match look(url).await {
        Ok(found) => {
            judge(report, &format!("Postgres {place}"), &found);
            if found.max_connections.is_some_and(|most| most < CONNECTIONS) {
                report.warning(
                    CHECK,
                    format!(
                        "Postgres takes {} connections, fewer than the server uses",
                        found.max_connections.unwrap_or(0)
                    ),
                    "max_connections = 100 in postgresql.conf",
                );
            }
            let took = begun.elapsed().as_millis();
            if took > 1_000 {
                report.warning(
                    CHECK,
                    format!("Postgres took {took} ms to answer: every command of every person waits for it"),
                    "bring it nearer, or look at what it is busy with",
                );
            }
            let now = i64::try_from(unix_ms()).unwrap_or(i64::MAX);
            machine::compare_clocks(report, "the database's", found.clock_ms - now);
        }
        Err(error) => {
            let (found, change) = refusal(&error.to_string());
            report.fault(CHECK, format!("Postgres {place}: {found}"), change);
        }
    }
}

async fn look(url: &str) -> Result<Diagnosis, StoreError> {
    let looked = async {
        let store = Store::connect(url).await?;
        let found = store.diagnose().await;
        store.close().await;
        found
    };
    let looked = tokio::time::timeout(super::PATIENCE, looked).await;
    looked.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer".into())))
}

fn judge(report: &mut Report, place: &str, found: &Diagnosis) {
    match found.schema {
        Schema::Current => report.ok(CHECK, format!("{place} answers, and is up to date")),
        Schema::Empty => report.note(
            CHECK,
            format!("{place} answers, and is empty; the first start makes the tables"),
        ),
        Schema::Behind(n) => report.note(CHECK, format!("{place} answers; the next start applies {n} migrations")),
        Schema::Ahead(version) => report.fault(
            CHECK,
            format!("{place}: a newer Ringhall was here (migration {version}), and this one does not know its tables"),
            "install that version again, or restore the backup from before the upgrade",
        ),
    }
    if !found.may_migrate && found.schema != Schema::Current {
        report.fault(
            CHECK,
            format!("{place}: this role may not make tables"),
            "make it the owner: ALTER DATABASE ringhall OWNER TO ringhall",
        );
    }
}

/// What an error of Postgres means for the operator.
fn refusal(error: &str) -> (String, &'static str) {
    let has = |text: &str| error.contains(text);
    let change = if has("password authentication failed") || has("no password") {
        "correct user and password in database.url (ALTER ROLE ringhall PASSWORD '...' sets one)"
    } else if has("Peer authentication failed") || has("peer authentication failed") {
        "run as the system user of that name, or use host and password in database.url"
    } else if has("does not exist") && has("database") {
        "sudo -u postgres createdb -O ringhall ringhall"
    } else if has("does not exist") {
        "sudo -u postgres createuser ringhall"
    } else if has("pg_hba") {
        "let this machine in with a line in pg_hba.conf"
    } else if has("lookup") || has("resolve") || has("Name or service") {
        "correct the host in database.url"
    } else {
        "start Postgres, and look at host and port in database.url"
    };
    (error.to_owned(), change)
}

fn without_password(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_postgres_has_its_own_remedy() {
        let change = |error: &str| refusal(error).1;
        assert!(change("password authentication failed for user \"ringhall\"").contains("ALTER ROLE"));
        assert!(change("database \"ringhall\" does not exist").contains("createdb"));
        assert!(change("role \"ringhall\" does not exist").contains("createuser"));
        assert!(change("no pg_hba.conf entry for host").contains("pg_hba"));
        assert!(change("Connection refused (os error 111)").contains("start Postgres"));
        assert!(change("failed to lookup address information").contains("host"));
        assert_eq!(without_password("postgres://a:secret@host/db"), "host/db");
    }

    #[test]
    fn a_newer_database_is_a_fault_and_an_older_one_is_not() {
        let judged = |schema, may_migrate| {
            let mut report = Report::default();
            let found = Diagnosis {
                schema,
                clock_ms: 0,
                may_migrate,
                max_connections: None,
                damage: None,
            };
            judge(&mut report, "it", &found);
            report.worst()
        };
        use super::super::report::Level;
        assert_eq!(judged(Schema::Current, false), Level::Ok);
        assert_eq!(judged(Schema::Behind(1), true), Level::Note);
        assert_eq!(judged(Schema::Empty, false), Level::Fault);
        assert_eq!(judged(Schema::Ahead(9), true), Level::Fault);
    }
}
