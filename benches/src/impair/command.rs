//! `ringhall-load impair`: the proxy on its own, for browsers and anything else that sends UDP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::config::{Change, ConfigError, Impairment};
use super::proxy::{Proxy, ProxyReport};

/// A bad network between clients and a server.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Where clients send to. For browsers: an address of its own with the server's port, which the server advertises.
    #[arg(long)]
    pub listen: SocketAddr,
    /// The server's media address.
    #[arg(long)]
    pub server: SocketAddr,
    /// A TOML file with an [link] table (a scenario), or with the contents of one. At SIGHUP it is read again, and its [up]
    /// and [down] hold from then on.
    pub file: PathBuf,
    /// Ends after this many seconds; else at Ctrl-C. Both print what was done, as JSON.
    #[arg(long)]
    pub seconds: Option<u64>,
}

/// It could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not what the file should say.
    #[error("{path}: {source}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value that cannot be meant.
    #[error("{path}: {source}")]
    Config {
        /// Which.
        path: PathBuf,
        /// Why.
        source: ConfigError,
    },
    /// The address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Both addresses are the same: packets would go in circles.
    #[error("--listen and --server are the same address, {0}")]
    Circle(SocketAddr),
    /// Signals cannot be waited for.
    #[error("signals: {0}")]
    Signal(std::io::Error),
    /// The result cannot be written.
    #[error("the result cannot be written: {0}")]
    Write(#[from] serde_json::Error),
}

/// Reads the `[link]` table of a scenario file, or a file that is one.
///
/// # Errors
/// [`CommandError`] names the file and the place.
pub fn read(path: &Path) -> Result<Impairment, CommandError> {
    let file = || path.to_owned();
    let text = std::fs::read_to_string(path).map_err(|source| CommandError::Read { path: file(), source })?;
    let read = parse(&text).map_err(|source| CommandError::Parse {
        path: file(),
        source: Box::new(source),
    })?;
    read.check()
        .map_err(|source| CommandError::Config { path: file(), source })?;
    Ok(read)
}

fn parse(text: &str) -> Result<Impairment, toml::de::Error> {
    let mut table: toml::Table = toml::from_str(text)?;
    match table.remove("link") {
        Some(part) => part.try_into(),
        None => toml::from_str(text),
    }
}

/// Runs until the time is over or Ctrl-C.
///
/// # Errors
/// [`CommandError`].
pub async fn run(arguments: &Arguments) -> Result<(), CommandError> {
    let (listen, server) = (arguments.listen, arguments.server);
    if listen == server {
        return Err(CommandError::Circle(listen));
    }
    let config = read(&arguments.file)?;
    let proxy = Proxy::start(config, listen, server).map_err(|source| CommandError::Listen {
        address: listen,
        source,
    })?;
    let mut again = signal(SignalKind::hangup()).map_err(CommandError::Signal)?;
    eprintln!("{} -> {server}, Ctrl-C ends", proxy.address());
    let end = async {
        match arguments.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            // Without a signal handler it only ends by force.
            None => drop(tokio::signal::ctrl_c().await),
        }
    };
    tokio::pin!(end);
    let mut before = ProxyReport::default();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = &mut end => break,
            Some(()) = again.recv() => match read(&arguments.file) {
                Ok(Impairment { up, down, .. }) => {
                    proxy.change(Change { up: Some(up), down: Some(down), ..Change::default() }).await;
                    eprintln!("changed");
                }
                // What holds goes on to hold.
                Err(error) => eprintln!("not changed: {error}"),
            },
            _ = second.tick() => {
                let Some(report) = proxy.report().await else { break };
                eprintln!("{}", line(&before, &report));
                before = report;
            }
        }
    }
    println!(
        "{}",
        serde_json::to_string_pretty(&proxy.report().await.unwrap_or(before))?
    );
    Ok(())
}

/// One second in words.
fn line(before: &ProxyReport, now: &ProxyReport) -> String {
    let side = |before: &super::LinkStats, now: &super::LinkStats| {
        format!(
            "{:>5} packets, {:>6} kbit/s, lost {}, overflowed {}",
            now.delivered - before.delivered,
            (now.delivered_bytes - before.delivered_bytes) * 8 / 1_000,
            now.lost + now.blacked_out - before.lost - before.blacked_out,
            now.overflowed - before.overflowed,
        )
    };
    format!(
        "{} flows | up {} | down {}",
        now.flows,
        side(&before.up, &now.up),
        side(&before.down, &now.down)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_and_a_bare_table_are_both_understood() {
        let bare = parse("seed = 3\n[down]\ndelay_ms = 5").unwrap();
        let scenario = parse("name = \"x\"\n[link]\nseed = 3\n[link.down]\ndelay_ms = 5").unwrap();
        assert_eq!(bare, scenario);
        assert_eq!(bare.down.delay_ms, 5);
        let wrong = parse("[link]\nsped = 3").unwrap_err().to_string();
        assert!(wrong.contains("sped") && wrong.contains("seed"), "{wrong}");
    }
}
