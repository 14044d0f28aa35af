//! Runs scenarios at targets and makes the report.

mod calls;
mod crowd;
mod findings;
mod idle;
mod members;
mod meter;
mod person;
mod progress;
mod rooms;
mod screen;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::media::stamp::now_ns;
use crate::peers::{Peer, PeerError, floor, janus, whip};
use crate::proc;
use crate::report::model::{FORMAT, Figures, Outcome, Report, Round, Run, ScenarioReport, TargetReport};
use crate::ringhall::{Server, ServerConfig};
use crate::scenario::{DoorKind, Scenario};

use crowd::{BadLink, Crowd, Halt};
use meter::{Board, Meter, Watched};
use progress::Progress;

/// What to measure and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Scenarios, flags applied.
    pub scenarios: Vec<Scenario>,
    /// Targets: `ringhall`, `floor`, `janus`, `http://...`.
    pub targets: Vec<String>,
    /// Rounds of each scenario at each target, interleaved.
    pub rounds: usize,
    /// How to run the product.
    pub server: ServerConfig,
    /// Media threads of the crowd; 0: as the scenario says.
    pub threads: usize,
    /// Address of the sockets of clients and servers; `None`: loopback, unless a target takes none.
    pub bind: Option<IpAddr>,
    /// A WHIP and WHEP server's URLs and tokens, for targets `whip:http://...`.
    pub whip: whip::Options,
    /// Shows no progress.
    pub silent: bool,
    /// The command line, for the report.
    pub command: String,
}

/// Runs everything. A round that fails is in the report; the others go on.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mut report = Report {
        format: FORMAT,
        run: Run {
            started: now_text(),
            version: env!("CARGO_PKG_VERSION").into(),
            commit: commit(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
            command: plan.command.clone(),
            seed: plan.scenarios.first().map_or(0, |s| s.seed),
            ..Run::default()
        },
        machine: proc::machine(),
        scenarios: Vec::new(),
    };
    for scenario in &plan.scenarios {
        let mut targets: Vec<TargetReport> = plan
            .targets
            .iter()
            .map(|target| TargetReport {
                target: target.clone(),
                description: String::new(),
                rounds: Vec::new(),
            })
            .collect();
        for round in 0..plan.rounds.max(1) {
            for target in &mut targets {
                let label = match plan.rounds {
                    0 | 1 => format!("{} at {}", scenario.name, target.target),
                    all => format!("{} at {} ({}/{all})", scenario.name, target.target, round + 1),
                };
                let started = now_text();
                let progress = Progress::new(label.clone(), plan.silent);
                let outcome = one(plan, scenario, target, round, progress.clone()).await;
                progress.end();
                if !plan.silent {
                    eprintln!("{label}: {}", brief(&outcome));
                }
                target.rounds.push(Round { started, outcome });
            }
        }
        report.scenarios.push(ScenarioReport {
            scenario: scenario.clone(),
            targets,
        });
    }
    report.run.took_seconds = began.elapsed().as_secs_f64();
    report
}

/// One round at one target.
async fn one(plan: &Plan, scenario: &Scenario, target: &mut TargetReport, round: usize, progress: Progress) -> Outcome {
    let result = measured(plan, scenario, target, round, progress).await;
    match result {
        Ok(mut figures) => {
            figures.findings = findings::findings(scenario, &figures);
            let figures = Box::new(figures);
            match meter::doubts(&figures) {
                Some(reason) => Outcome::NotMeasured { reason, figures },
                None => Outcome::Measured { figures },
            }
        }
        Err(Halt::Skipped(reason)) => Outcome::Skipped { reason },
        Err(Halt::Failed(reason)) => Outcome::Failed { reason },
    }
}

async fn measured(
    plan: &Plan,
    scenario: &Scenario,
    target: &mut TargetReport,
    round: usize,
    progress: Progress,
) -> Result<Figures, Halt> {
    let threads = match (plan.threads, scenario.threads) {
        (0, 0) => (proc::cores() / 2).max(1),
        (0, wanted) => wanted,
        (asked, _) => asked,
    };
    let engine = Arc::new(Engine::start(threads)?);
    let board = Arc::new(Board::default());
    let bind = plan.bind.unwrap_or_else(|| address_for(&plan.targets));
    let crowd = Crowd {
        engine: engine.clone(),
        board: board.clone(),
        bind,
        link: Arc::new(BadLink::new(scenario.link.clone(), bind)),
        run: std::process::id() as u16 ^ round as u16,
        seed: scenario.seed.wrapping_add(round as u64),
    };
    if target.target == "ringhall" {
        let config = ServerConfig {
            address: bind,
            ..plan.server.clone()
        };
        let server = Arc::new(Server::start(&config, scenario).await?);
        target.description = server.description();
        let watched = Watched {
            pid: Some(server.pid()),
            // A database's processes belong to the cost.
            beside: server.on_postgres().then_some("postgres"),
            // Asking costs the server something: only where there is something to compare with.
            estimates: scenario
                .link
                .clone()
                .filter(|link| link.down_rate_kbps(Duration::ZERO).is_some())
                .map(|link| (server.metrics_url(), link)),
        };
        let meter = Meter::start(engine, board, watched, progress);
        let by_whip = scenario.rooms.as_ref().is_some_and(|r| r.door == DoorKind::Whip);
        let result = if by_whip {
            rooms::run(server.clone(), scenario, crowd, meter).await
        } else if scenario.rooms.is_some() {
            members::run(server.clone(), scenario, crowd, meter).await
        } else if scenario.calls.is_some() {
            calls::run(server.clone(), scenario, crowd, meter).await
        } else if scenario.idle.is_some() {
            idle::idle(server.clone(), scenario, crowd, meter).await
        } else {
            idle::resume(server.clone(), scenario, crowd, meter).await
        };
        server.stop().await;
        return result;
    }
    let peer: Arc<dyn Peer> = Arc::from(start_peer(plan, &target.target, scenario, bind).await?);
    target.description = peer.description();
    let result = match unable(peer.as_ref(), scenario) {
        Some(why) => Err(Halt::Skipped(why)),
        None => {
            let watched = Watched {
                pid: peer.pid(),
                ..Watched::default()
            };
            let meter = Meter::start(engine, board, watched, progress);
            rooms::run(peer.clone(), scenario, crowd, meter).await
        }
    };
    peer.stop().await;
    result
}

/// What a server without accounts and calls cannot be asked for.
fn unable(peer: &dyn Peer, scenario: &Scenario) -> Option<String> {
    let Some(rooms) = &scenario.rooms else {
        return Some(format!("{} has no accounts and no calls", peer.name()));
    };
    if rooms.ringing || rooms.reconnect.is_some() {
        return Some(format!("{} has no calls", peer.name()));
    }
    // Members are a publisher and a viewer there; nobody comes and goes, which only makes it easier.
    peer.supports(scenario).err().map(|e| e.to_string())
}

/// Starts another server than the product, or finds it.
async fn start_peer(plan: &Plan, target: &str, scenario: &Scenario, bind: IpAddr) -> Result<Box<dyn Peer>, PeerError> {
    let floor = |gso: bool, faults: Vec<String>| floor::Options {
        gso,
        faults,
        address: match bind {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        },
        program: None,
    };
    let janus = |event_loops| janus::Options {
        event_loops,
        address: (!bind.is_loopback()).then_some(bind),
    };
    match target.split_once(':') {
        None if target == "floor" => floor::start_with(scenario, floor(false, Vec::new())).await,
        None if target == "floor-gso" => floor::start_with(scenario, floor(true, Vec::new())).await,
        // The forwarder with defects on purpose: floor:drop=1%,stall=50ms.
        Some(("floor", faults)) => {
            let faults = faults.split(',').map(str::to_owned).collect();
            floor::start_with(scenario, floor(false, faults)).await
        }
        None if target == "janus" => janus::start_with(scenario, janus(None)).await,
        None if target == "janus-loops" => {
            let loops = u32::try_from(proc::cores()).unwrap_or(2);
            janus::start_with(scenario, janus(Some(loops))).await
        }
        Some(("whip", url)) => whip::start(whip::Options {
            whip: url.to_owned(),
            ..plan.whip.clone()
        }),
        _ => Err(PeerError::Failed(format!(
            "{target}: no such target; there are: ringhall, floor, floor-gso, janus, janus-loops, \
             whip:http://host:port/path-with-{{room}}-or-{{stream}}"
        ))),
    }
}

/// Where sockets are when nobody said: on loopback, unless a target takes none (Janus' libnice). Then at the address by which
/// this machine reaches others; what goes to it never leaves the machine.
fn address_for(targets: &[String]) -> IpAddr {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    if !targets.iter().any(|target| target.starts_with("janus")) {
        return loopback;
    }
    // Connecting a UDP socket sends nothing and looks up the route; 192.0.2.1 is nobody's (RFC 5737).
    let own = std::net::UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| {
        socket.connect(("192.0.2.1", 9))?;
        socket.local_addr()
    });
    own.map_or(loopback, |own| own.ip())
}

/// Thousands of sockets need as many descriptors, here and in the server, which inherits the limit.
pub fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        eprintln!("the limit of open files stays at {soft}: {error}");
    }
}

/// A round in a line.
fn brief(outcome: &Outcome) -> String {
    let figures = |f: &Figures| {
        let mut text = String::new();
        if f.counts.received > 0 {
            text += &format!(
                "{:.0} packets/s, lost {}",
                f.counts.received as f64 / f.window_seconds,
                f.counts.lost
            );
        }
        if let Some(us) = f.server.as_ref().and_then(|s| s.us_per_packet) {
            text += &format!(", {us:.2} us of CPU per packet");
        }
        if let Some(d) = &f.delay {
            text += &format!(", delay p50 {:.2} p99 {:.2} ms", d.p50 / 1e3, d.p99 / 1e3);
        }
        for (name, d) in &f.timings {
            text += &format!(", {name} p50 {:.1} p99 {:.1}", d.p50, d.p99);
        }
        for (name, value) in &f.extra {
            text += &format!(", {name} {value:.1}");
        }
        text.trim_start_matches(", ").to_owned()
    };
    match outcome {
        Outcome::Measured { figures: f } => figures(f),
        Outcome::NotMeasured { reason, figures: f } => format!("NOT MEASURED ({reason}); seen: {}", figures(f)),
        Outcome::Skipped { reason } => format!("skipped: {reason}"),
        Outcome::Failed { reason } => format!("FAILED: {reason}"),
    }
}

/// Now, RFC 3339, UTC.
fn now_text() -> String {
    signaling::store::rfc3339((now_ns() / 1_000_000) as i64)
}

/// The commit that this was run from; empty outside of a checkout.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(head) = git(&["rev-parse", "--short", "HEAD"]) else {
        return String::new();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|t| !t.is_empty());
    if changed { format!("{head}+") } else { head }
}
