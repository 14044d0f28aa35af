//! `ringhall-load`: crowds of real WebRTC clients at Ringhall and its peers, and reports of what people would feel and what it
//! cost. `ringhall-load list` says which scenarios there are.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use benches::floor;
use benches::impair;
use benches::library;
use benches::peers::whip;
use benches::report;
use benches::report::model::{Outcome, Report, Verdict};
use benches::ringhall::ServerConfig;
use benches::run::{self, Plan};
use benches::scenario::Scenario;
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "ringhall-load", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios and writes a report
    Run(RunArgs),
    /// Lists the scenarios
    List,
    /// Draws the page of a run anew, or prints its Markdown table
    Report(report::command::ReportArguments),
    /// Sets two runs side by side
    Compare(report::command::CompareArguments),
    /// Stands between clients and a server as a bad network (UDP)
    Impair(impair::command::Arguments),
    /// The bare forwarder, as a run starts it beside the server
    #[command(hide = true)]
    Floor(floor::command::Arguments),
}

#[derive(Args)]
struct RunArgs {
    /// Names of scenarios, of sets of them (short, full, soak), or TOML files
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// Where to measure: ringhall, and beside it floor, floor-gso, janus, janus-loops, or a server that runs already,
    /// whip:URL with {room} and {stream} where they belong; may be repeated
    #[arg(long = "target", default_value = "ringhall")]
    targets: Vec<String>,
    /// Rounds of each scenario at each target, one target after the other in each round
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Seed instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Length of the measuring window instead of the scenario's, seconds
    #[arg(long)]
    duration: Option<f64>,
    /// Folder for report.json and report.html
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// The server's program [default: the one beside this program]
    #[arg(long, env = "RINGHALL_BIN")]
    server: Option<PathBuf>,
    /// postgres://... for the server; without it SQLite in a folder of its own
    #[arg(long, env = "RINGHALL_LOAD_DATABASE", default_value = "")]
    database: String,
    /// Further option of the server, as its environment variable: RINGHALL_MEDIA_SHARDS=2; may be repeated
    #[arg(long = "option", value_parser = option)]
    options: Vec<(String, String)>,
    /// Threads that carry media here [default: the scenario's, or half of the processors]
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Address of the sockets of clients and servers [default: 127.0.0.1; with Janus, which takes no loopback, this machine's]
    #[arg(long)]
    bind: Option<IpAddr>,
    /// WHEP URL of the whip: target [default: the WHIP URL with whep for whip]
    #[arg(long, default_value = "")]
    whep: String,
    /// Bearer token of the whip: target, or @FILE with one a line for each session in turn
    #[arg(long, env = "RINGHALL_LOAD_TOKEN", value_parser = tokens)]
    token: Option<Tokens>,
    /// Process of the whip: target when it is on this machine, for CPU and memory
    #[arg(long)]
    server_pid: Option<u32>,
    /// Ends with an error when a verdict is bad or a round failed
    #[arg(long)]
    strict: bool,
    /// Shows no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone)]
struct Tokens(Vec<String>);

fn tokens(text: &str) -> Result<Tokens, String> {
    whip::Options::tokens(text).map(Tokens)
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringhall-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<ExitCode, Failure> {
    match Cli::parse().command {
        Command::Run(arguments) => runtime()?.block_on(measure(arguments)),
        Command::Report(arguments) => {
            report::command::run_report(&arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Compare(arguments) => {
            report::command::run_compare(&arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Impair(arguments) => {
            runtime()?.block_on(impair::command::run(&arguments))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Floor(arguments) => {
            floor::command::run(&arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::List => {
            for scenario in library::all()? {
                println!(
                    "{:<16} {:<12} {}",
                    scenario.name,
                    scenario.sets.join(","),
                    scenario.title
                );
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// For everything but media, which has threads of its own.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("signaling")
        .enable_all()
        .build()
}

/// `NAME=VALUE`.
fn option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if name.starts_with("RINGHALL_") => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not RINGHALL_SECTION_KEY=VALUE")),
    }
}

async fn measure(arguments: RunArgs) -> Result<ExitCode, Failure> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for word in &arguments.scenarios {
        scenarios.extend(library::find(word)?);
    }
    for scenario in &mut scenarios {
        scenario.seed = arguments.seed.unwrap_or(scenario.seed);
        scenario.duration_seconds = arguments.duration.unwrap_or(scenario.duration_seconds);
    }
    run::raise_file_limit();
    let mut server = ServerConfig::beside_us();
    if let Some(program) = arguments.server {
        server.program = program;
    }
    server.database = arguments.database;
    server.options = arguments.options;
    let plan = Plan {
        scenarios,
        targets: arguments.targets,
        rounds: arguments.rounds,
        server,
        threads: arguments.threads,
        bind: arguments.bind,
        whip: whip::Options {
            whip: String::new(),
            whep: arguments.whep,
            tokens: arguments.token.map_or_else(Vec::new, |tokens| tokens.0),
            pid: arguments.server_pid,
        },
        silent: arguments.quiet,
        command: std::env::args()
            .skip(1)
            .fold("ringhall-load".to_owned(), |all, word| all + " " + &word),
    };
    let report = run::run(&plan).await;
    let (json, page) = report::write(&report, &arguments.out)?;
    println!("{}", report::summary(&report));
    println!("{}\n{}", json.display(), page.display());
    let bad = bad(&report);
    Ok(if arguments.strict && bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether a round failed, or a verdict is bad.
fn bad(report: &Report) -> bool {
    let rounds = report.scenarios.iter().flat_map(|s| &s.targets).flat_map(|t| &t.rounds);
    rounds.into_iter().any(|round| match &round.outcome {
        Outcome::Failed { .. } => true,
        Outcome::Skipped { .. } => false,
        Outcome::Measured { figures } | Outcome::NotMeasured { figures, .. } => {
            figures.findings.iter().any(|f| f.verdict == Verdict::Bad)
        }
    })
}
