//! Log lines, by `tracing`, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::cli::Failure;
use crate::config::{Log, LogFormat};

/// Starts logging for the life of the process.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter: Targets = log.level.parse()?;
    let lines = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    Registry::default().with(lines.with_filter(filter)).try_init()?;
    Ok(())
}
