//! The product as a target: a server process of its own in a fresh data folder, users and chats of a pretended host
//! application, and tokens signed with the secret that it shares with the server.

pub mod people;
pub mod signal;
mod whip;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::http;
use crate::scenario::{Codec, Scenario};

use people::People;

/// How long a start may take.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long an end may take before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// The pretended host application's issuer.
pub(crate) const ISSUER: &str = "https://load.example";

/// The server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No program.
    #[error("{0}: no such program; build it with: cargo build --release -p ringhall, or name it with --server")]
    Missing(PathBuf),
    /// Files or processes.
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
    /// It ended, or never answered.
    #[error("the server did not start: {0}")]
    NotReady(String),
    /// Its database.
    #[error("database: {0}")]
    Store(#[from] signaling::store::StoreError),
    /// A token.
    #[error("token: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
}

/// How to run it.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The program.
    pub program: PathBuf,
    /// `postgres://...`; empty: SQLite in the data folder.
    pub database: String,
    /// Where media is received.
    pub address: IpAddr,
    /// Further options as environment variables, over those that a load test needs.
    pub options: Vec<(String, String)>,
}

impl ServerConfig {
    /// The program beside this one, or the one that `RINGHALL_BIN` names.
    pub fn beside_us() -> Self {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|exe| Some(exe.parent()?.join("ringhall")));
        let named = std::env::var_os("RINGHALL_BIN").map(PathBuf::from);
        Self {
            program: named.or(beside).unwrap_or_else(|| "ringhall".into()),
            database: String::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            options: Vec::new(),
        }
    }
}

/// A running server.
pub struct Server {
    child: tokio::sync::Mutex<Child>,
    pid: u32,
    url: String,
    metrics: String,
    /// Removed with the server.
    _folder: tempfile::TempDir,
    people: People,
    /// WHIP and WHEP sessions: room, URL, token.
    sessions: tokio::sync::Mutex<Vec<(String, String, String)>>,
    version: String,
    postgres: bool,
}

impl Server {
    /// Starts it with the people of a scenario known to it.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start(config: &ServerConfig, scenario: &Scenario) -> Result<Self, ServerError> {
        if !config.program.exists() {
            return Err(ServerError::Missing(config.program.clone()));
        }
        let folder = tempfile::Builder::new()
            .prefix("ringhall-load-")
            .tempdir()
            .map_err(|e| ServerError::Io("data folder", e))?;
        let database = if config.database.is_empty() {
            format!("sqlite:{}", folder.path().join("ringhall.db").display())
        } else {
            config.database.clone()
        };
        let people = People::prepare(&database, scenario).await?;
        let (port, metrics) = free_ports().map_err(|e| ServerError::Io("a free port", e))?;
        let log = std::fs::File::create(folder.path().join("log")).map_err(|e| ServerError::Io("log", e))?;
        let errors = log.try_clone().map_err(|e| ServerError::Io("log", e))?;
        let mut command = Command::new(&config.program);
        command
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            // Options of another server in our environment must not reach this one.
            .env_remove("RINGHALL_BIN")
            .env_remove("RINGHALL_CONFIG")
            .envs(options(folder.path(), (port, metrics), config, scenario))
            .env("RINGHALL_AUTH_SECRET", people.secret())
            .env("RINGHALL_AUTH_ISSUER", ISSUER)
            .envs(config.options.iter().cloned());
        let mut child = command.spawn().map_err(|e| ServerError::Io("start", e))?;
        let pid = child
            .id()
            .ok_or_else(|| ServerError::NotReady("it ended at once".into()))?;
        let url = format!("http://127.0.0.1:{port}");
        let deadline = Instant::now() + START_WITHIN;
        loop {
            if let Ok(answer) = http::request("GET", &format!("{url}/readyz"), "", "", "").await
                && answer.status == 200
            {
                break;
            }
            let ended = child.try_wait().map_err(|e| ServerError::Io("start", e))?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(3).collect();
                return Err(ServerError::NotReady(tail.join(" | ")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self {
            child: tokio::sync::Mutex::new(child),
            pid,
            url,
            metrics: format!("http://127.0.0.1:{metrics}/metrics"),
            _folder: folder,
            people,
            sessions: tokio::sync::Mutex::default(),
            version: version(&config.program).await,
            postgres: !config.database.is_empty(),
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it tells what it has counted.
    pub fn metrics_url(&self) -> String {
        self.metrics.clone()
    }

    /// Who there is, with their tokens.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Version and settings in a line.
    pub fn description(&self) -> String {
        let database = if self.postgres { "PostgreSQL" } else { "SQLite" };
        format!(
            "{}, {database}, one process, defaults but for rate limits",
            self.version
        )
    }

    /// Whether records are kept in Postgres, whose processes then belong to the cost.
    pub fn on_postgres(&self) -> bool {
        self.postgres
    }

    /// Ends it.
    pub async fn stop(&self) {
        let mut child = self.child.lock().await;
        if let Some(pid) = child.id() {
            let pid = nix::unistd::Pid::from_raw(pid as i32);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
        if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

async fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().await;
    output.map_or_else(
        |_| "ringhall".into(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    )
}

/// Two ports that were free a moment ago.
fn free_ports() -> std::io::Result<(u16, u16)> {
    let bind = || std::net::TcpListener::bind(("127.0.0.1", 0));
    let (one, other) = (bind()?, bind()?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

/// What a load test sets: own folder and ports, and no limits of what one person may do, since a few clients stand for many.
fn options(
    folder: &Path,
    (port, metrics): (u16, u16),
    config: &ServerConfig,
    scenario: &Scenario,
) -> Vec<(String, String)> {
    let mut options: Vec<(&str, String)> = vec![
        ("RINGHALL_DATA_DIR", folder.display().to_string()),
        ("RINGHALL_HTTP_LISTEN", format!("127.0.0.1:{port}")),
        ("RINGHALL_MEDIA_LISTEN", SocketAddr::new(config.address, 0).to_string()),
        ("RINGHALL_MEDIA_ADVERTISE", config.address.to_string()),
        ("RINGHALL_METRICS_LISTEN", format!("127.0.0.1:{metrics}")),
        ("RINGHALL_LOG_LEVEL", "warn".into()),
        ("RINGHALL_CALLS_STARTS_PER_USER_MINUTE", "0".into()),
        ("RINGHALL_CALLS_STARTS_PER_CHAT_MINUTE", "0".into()),
        ("RINGHALL_SOCKETS_COMMANDS_PER_SECOND", "100000".into()),
        ("RINGHALL_SOCKETS_COMMANDS_BURST", "100000".into()),
        ("RINGHALL_SOCKETS_MAX_UNAUTHENTICATED", "20000".into()),
        ("RINGHALL_SOCKETS_HELLO_TIMEOUT_MS", "60000".into()),
    ];
    if !config.database.is_empty() {
        options.push(("RINGHALL_DATABASE_URL", config.database.clone()));
    }
    if let Some(calls) = &scenario.calls {
        options.push((
            "RINGHALL_CALLS_RING_MS",
            ((calls.ring_seconds * 1e3) as u32).to_string(),
        ));
    }
    if let Some(rooms) = &scenario.rooms {
        let most = (rooms.members + rooms.publishers + rooms.viewers).max(100);
        options.push(("RINGHALL_CALLS_MAX_PARTICIPANTS", most.to_string()));
        let codec = rooms.video.as_ref().map(|video| video.codec);
        if let Some(codec) = codec.filter(|codec| *codec != Codec::Vp8) {
            options.push(("RINGHALL_MEDIA_VIDEO_CODECS", format!("vp8,{}", codec.word())));
        }
    }
    options
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
