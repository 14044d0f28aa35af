//! The fuzzer: mutates what is in `corpus/`, runs the targets, and keeps what made one of them fail.
//!
//! ```text
//!  fuzz                                  every target, 10^6 executions or 60 s each
//!  fuzz --only sdp --seconds 600         one target for longer
//!  fuzz --replay FILE --only sdp         one input again
//!  fuzz --grow                           also writes inputs of a new kind into the corpus
//! ```
//!
//! Why it is our own: see docs/decisions. A run is repeatable by its seed as long as no time limit ends it.

mod driver;
mod mutate;
mod targets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;

use driver::{Limits, Report};
use targets::Target;

/// Fuzzes Ringhall's parsers and its media shard.
#[derive(Parser)]
struct Arguments {
    /// Targets, separated by commas; default: all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Executions of each parser; the shard runs a tenth as many sequences.
    #[arg(long, default_value_t = 1_000_000)]
    executions: u64,
    /// Most seconds for one target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Targets that run at once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes inputs that show a new kind of behaviour into the corpus.
    #[arg(long)]
    grow: bool,
    /// Runs this one input and nothing else.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Where the inputs of failures go.
    #[arg(long, default_value = "target/fuzz")]
    failures: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<Target> = targets::ALL
        .into_iter()
        .filter(|target| arguments.only.is_empty() || arguments.only.iter().any(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        eprintln!("no such target; there are {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    // A failure is reported with its input; the default hook would print each panic, and a backtrace of the fuzzer.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(file) = &arguments.replay {
        return replay(file, &chosen);
    }
    let next = AtomicUsize::new(0);
    let reports: Mutex<Vec<Report>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                while let Some(target) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let limits = Limits {
                        executions: (arguments.executions / target.cost).max(1),
                        time: Duration::from_secs(arguments.seconds),
                        seed: arguments.seed,
                        grow: arguments.grow,
                    };
                    let report = driver::run(target, &limits, &arguments.failures);
                    println!("{report}");
                    if let Ok(mut reports) = reports.lock() {
                        reports.push(report);
                    }
                }
            });
        }
    });
    let failed = reports
        .lock()
        .map_or(1, |reports| reports.iter().filter(|r| r.failed()).count());
    let passed = chosen.len() - failed;
    // The closing line of the standard test harness, which tools/count-tests reads.
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn replay(file: &Path, chosen: &[Target]) -> ExitCode {
    let input = match std::fs::read(file) {
        Ok(input) => input,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    };
    let _ = std::panic::take_hook();
    for target in chosen {
        let mut run = (target.start)();
        println!("{}: {:016x}", target.name, run(&input));
    }
    ExitCode::SUCCESS
}
