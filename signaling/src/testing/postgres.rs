//! One Postgres cluster per test process, ended with it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use super::{Remove, TestDatabase, folder};

/// Names a running server (`postgres://user@host/postgres`) whose user may create databases; saves a cluster per process.
pub const POSTGRES_VARIABLE: &str = "RINGHALL_TEST_POSTGRES";

/// Where Debian's package puts the programs of each version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// A cluster starts in about a second; this long on a machine that does much else.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running cluster. The pipe to the guard's standard input is its life line: the guard stops the server and removes the
/// folder when it closes, however this process ends.
struct Cluster {
    folder: PathBuf,
    guard: Child,
}

/// A cluster of one test, which may stop, freeze and start it.
pub struct OwnPostgres {
    cluster: Cluster,
}

impl OwnPostgres {
    /// A running one with an empty database.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    pub async fn start() -> Result<(Self, TestDatabase), String> {
        // What it confirmed must survive its crash.
        let cluster = start("on")?;
        let name = format!("ringhall_test_{}", Uuid::new_v4().simple());
        let database = database_in(&cluster, &name).await?;
        Ok((Self { cluster }, database))
    }

    /// Ends the server at once, as a crash does: connections are cut, further ones refused.
    ///
    /// # Errors
    /// When the server cannot be told.
    pub fn stop(&mut self) -> Result<(), String> {
        self.tell("stop")
    }

    /// Kills every process of it with -9.
    ///
    /// # Errors
    /// When `kill` does not work, or the guard cannot be told.
    pub fn kill(&mut self) -> Result<(), String> {
        // The postmaster first, so that it starts nothing more.
        for pid in self.processes()? {
            let done = Command::new("kill")
                .arg("-KILL")
                .arg(&pid)
                .stderr(Stdio::null())
                .status();
            done.map_err(|error| format!("kill: {error}"))?;
        }
        self.tell("gone")
    }

    /// Starts it again; it recovers and answers in a moment.
    ///
    /// # Errors
    /// When the server cannot be told.
    pub fn again(&mut self) -> Result<(), String> {
        self.tell("start")
    }

    /// Freezes every process of it (true): connections stay, nothing is answered; or lets them go on.
    ///
    /// # Errors
    /// When `kill` does not work.
    pub fn freeze(&self, frozen: bool) -> Result<(), String> {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        // Each connection has a process of its own, in a group of its own.
        let pids = self.processes()?;
        let done = Command::new("kill").arg(signal).args(&pids).status();
        let done = done.map_err(|error| format!("kill: {error}"))?;
        if done.success() {
            Ok(())
        } else {
            Err(format!("kill {signal} {pids:?}"))
        }
    }

    /// The postmaster and its children.
    fn processes(&self) -> Result<Vec<String>, String> {
        let file = self.cluster.folder.join("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let master = text.lines().next().unwrap_or_default().trim().to_owned();
        let children = format!("/proc/{master}/task/{master}/children");
        let children = std::fs::read_to_string(&children).map_err(|error| format!("{children}: {error}"))?;
        Ok(std::iter::once(master)
            .chain(children.split_whitespace().map(str::to_owned))
            .collect())
    }

    fn tell(&mut self, word: &str) -> Result<(), String> {
        let pipe = self.cluster.guard.stdin.as_mut().ok_or("the guard has no input")?;
        writeln!(pipe, "{word}").map_err(|error| error.to_string())
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let _ = self.freeze(false); // a frozen server could not end
        drop(self.cluster.guard.stdin.take());
        let _ = self.cluster.guard.wait();
    }
}

static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();

/// A new database.
pub(super) async fn database() -> Result<TestDatabase, String> {
    let name = format!("ringhall_test_{}", Uuid::new_v4().simple());
    if let Ok(admin) = std::env::var(POSTGRES_VARIABLE) {
        create(&admin, &name)
            .await
            .map_err(|error| format!("{POSTGRES_VARIABLE}: {error}"))?;
        let (base, query) = admin
            .split_once('?')
            .map_or((admin.as_str(), None), |(base, query)| (base, Some(query)));
        let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        return Ok(TestDatabase {
            url: format!("{server}/{name}{query}"),
            remove: Remove::Database { admin, name },
        });
    }
    let cluster = CLUSTER.get_or_init(|| start("off")).as_ref().map_err(Clone::clone)?;
    database_in(cluster, &name).await
}

/// A database in a cluster that may still be starting.
async fn database_in(cluster: &Cluster, name: &str) -> Result<TestDatabase, String> {
    let url = |name: &str| format!("postgres://ringhall@localhost/{name}?host={}", cluster.folder.display());
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        match create(&url("postgres"), name).await {
            Ok(()) => {
                return Ok(TestDatabase {
                    url: url(name),
                    remove: Remove::WithCluster,
                });
            }
            Err(error) if Instant::now() > deadline => {
                let log = std::fs::read_to_string(cluster.folder.join("log")).unwrap_or_default();
                return Err(format!("the cluster does not answer: {error}\n{log}"));
            }
            // There is no event to wait for: a server that starts refuses until it does not.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn create(admin: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(admin).await?;
    connection
        .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await?;
    connection.close().await
}

/// Drops a database of a server that lives on.
pub(super) fn drop_database(admin: &str, name: &str) {
    let (admin, name) = (admin.to_owned(), name.to_owned());
    let drop = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&admin).await.map_err(std::io::Error::other)?;
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            connection
                .execute(AssertSqlSafe(sql))
                .await
                .map_err(std::io::Error::other)
                .map(drop)
        })
    });
    if let Ok(Err(error)) = drop.join() {
        eprintln!("a test database was left behind: {error}");
    }
}

/// The newest installed version's programs.
fn programs() -> Result<PathBuf, String> {
    let missing = || {
        format!(
            "PostgreSQL's server programs are not under {PROGRAMS}; install them with `apt-get install postgresql`, \
             or name a running server in {POSTGRES_VARIABLE}"
        )
    };
    let versions = std::fs::read_dir(PROGRAMS).map_err(|_| missing())?;
    let newest = versions.flatten().filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        programs.join("initdb").is_file().then_some((version, programs))
    });
    newest.max().map(|(_, programs)| programs).ok_or_else(missing)
}

/// Postgres refuses to run as root: then the package's own user runs it, or nobody.
fn unprivileged(folder: &Path) -> Result<Option<(u32, u32)>, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    if uid != Some("0") {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    let find = |name: &str| {
        let fields: Vec<_> = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).collect();
        let user = fields.into_iter().find(|fields| fields.first() == Some(&name))?;
        Some((user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?))
    };
    let (uid, gid) = find("postgres")
        .or_else(|| find("nobody"))
        .ok_or("no unprivileged user for Postgres")?;
    chown(folder, Some(uid), Some(gid)).map_err(|error| error.to_string())?;
    Ok(Some((uid, gid)))
}

fn start(synchronous_commit: &str) -> Result<Cluster, String> {
    let programs = programs()?;
    let folder = folder()?;
    let owner = unprivileged(&folder)?;
    let log = File::create(folder.join("log")).map_err(|error| error.to_string())?;
    let as_owner = |command: &mut Command| {
        command.current_dir(&folder);
        if let Some((uid, gid)) = owner {
            command.uid(uid).gid(gid);
        }
    };
    let data = folder.join("data");
    let mut initdb = Command::new(programs.join("initdb"));
    initdb
        .args([
            "-U",
            "ringhall",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ])
        .arg(&data);
    as_owner(&mut initdb);
    let done = initdb.output().map_err(|error| format!("initdb: {error}"))?;
    if !done.status.success() {
        let _ = std::fs::remove_dir_all(&folder);
        return Err(format!("initdb: {}", String::from_utf8_lossy(&done.stderr)));
    }
    // Not durable, because nothing here must survive; a socket in its own folder, so that no port can clash.
    // A line "stop" ends the server at once, as a crash does, "gone" waits for one that was killed, and "start" starts it
    // again.
    let script = "postgres=$1 folder=$2 commit=$3; \
                  start() { \"$postgres\" -D \"$folder/data\" -k \"$folder\" -c listen_addresses= -c fsync=off \
                  -c synchronous_commit=$commit -c full_page_writes=off -c max_connections=200 & server=$!; }; \
                  start; while read -r word; do \
                  case $word in stop) kill -QUIT $server; wait $server;; gone) wait $server;; start) start;; esac; done; \
                  kill -INT $server; wait $server; rm -rf \"$folder\"";
    let mut guard = Command::new("sh");
    guard
        .arg("-c")
        .arg(script)
        .arg("sh")
        .arg(programs.join("postgres"))
        .arg(&folder)
        .arg(synchronous_commit);
    as_owner(&mut guard);
    let err = log.try_clone().map_err(|error| error.to_string())?;
    guard.stdin(Stdio::piped()).stdout(log).stderr(err).process_group(0);
    let guard = guard.spawn().map_err(|error| format!("sh: {error}"))?;
    Ok(Cluster { folder, guard })
}
