//! The bare forwarder as a peer: a child process, talked to over its pipes.

use std::net::Ipv4Addr;
use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use super::{Peer, PeerError, Want};
use crate::floor::Fault;
use crate::floor::command::{Hello, Request, Response};
use crate::scenario::Scenario;

/// How the forwarder is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Sends segments (UDP GSO).
    pub gso: bool,
    /// Where it listens; `None`: on loopback.
    pub address: Option<Ipv4Addr>,
    /// Defects on purpose, as the command line takes them.
    pub faults: Vec<String>,
    /// The program; empty: the running one.
    pub program: Option<std::path::PathBuf>,
}

struct Pipes {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// A running forwarder.
pub struct Floor {
    options: Options,
    pid: Option<u32>,
    pipes: Mutex<Pipes>,
}

/// Starts the forwarder with `sendmmsg`.
///
/// # Errors
/// [`PeerError`].
pub async fn start(scenario: &Scenario) -> Result<Box<dyn Peer>, PeerError> {
    start_with(scenario, Options::default()).await
}

/// Starts it in another way.
///
/// # Errors
/// [`PeerError::Unable`] for a scenario that needs more than forwarding.
pub async fn start_with(scenario: &Scenario, options: Options) -> Result<Box<dyn Peer>, PeerError> {
    supports(scenario)?;
    let failed = |what: &str, error: &dyn std::fmt::Display| PeerError::Failed(format!("the floor {what}: {error}"));
    for fault in &options.faults {
        fault
            .parse::<Fault>()
            .map_err(|error| PeerError::Failed(error.to_string()))?;
    }
    let program = match &options.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(|e| failed("is not found", &e))?,
    };
    let mut command = Command::new(program);
    command.arg("floor").stdin(Stdio::piped()).stdout(Stdio::piped());
    let address = options.address.unwrap_or(Ipv4Addr::LOCALHOST);
    command.args(["--listen", &format!("{address}:0")]);
    if options.gso {
        command.arg("--gso");
    }
    for fault in &options.faults {
        command.args(["--fault", fault]);
    }
    command.kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| failed("does not start", &e))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(PeerError::Failed("the floor has no pipes".to_owned()));
    };
    let mut output = BufReader::new(output).lines();
    let hello = output
        .next_line()
        .await
        .map_err(|e| failed("does not answer", &e))?
        .ok_or_else(|| PeerError::Failed("the floor ended at once".to_owned()))?;
    let _: Hello = serde_json::from_str(&hello).map_err(|e| failed("does not say where it listens", &e))?;
    Ok(Box::new(Floor {
        options,
        pid: child.id(),
        pipes: Mutex::new(Pipes { child, input, output }),
    }))
}

fn supports(scenario: &Scenario) -> Result<(), PeerError> {
    let unable = |why: &str| Err(PeerError::Unable(format!("the bare forwarder {why}")));
    let Some(rooms) = &scenario.rooms else {
        return unable("has no calls and no accounts");
    };
    if rooms.ringing {
        return unable("rings nobody");
    }
    Ok(())
}

impl Floor {
    async fn ask(&self, request: &Request) -> Result<String, PeerError> {
        let failed = |error: &dyn std::fmt::Display| PeerError::Failed(format!("the floor does not answer: {error}"));
        let mut line = serde_json::to_string(request).map_err(|e| failed(&e))?;
        line.push('\n');
        let mut pipes = self.pipes.lock().await;
        pipes.input.write_all(line.as_bytes()).await.map_err(|e| failed(&e))?;
        let answer = pipes.output.next_line().await.map_err(|e| failed(&e))?;
        let answer = answer.ok_or_else(|| PeerError::Failed("the floor has ended".to_owned()))?;
        match serde_json::from_str(&answer).map_err(|e| failed(&e))? {
            Response::Ok(sdp) => Ok(sdp),
            Response::Error(why) => Err(PeerError::Failed(format!("the floor: {why}"))),
        }
    }
}

#[async_trait]
impl Peer for Floor {
    fn name(&self) -> &str {
        if self.options.gso { "floor-gso" } else { "floor" }
    }

    fn description(&self) -> String {
        let send = if self.options.gso {
            "sendmmsg with UDP GSO"
        } else {
            "sendmmsg"
        };
        let mut text = format!("bare forwarder: open once, seal per viewer (AES-128-GCM), {send}, one thread");
        if !self.options.faults.is_empty() {
            text.push_str(&format!("; broken on purpose: {}", self.options.faults.join(", ")));
        }
        text
    }

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn supports(&self, scenario: &Scenario) -> Result<(), PeerError> {
        supports(scenario)
    }

    async fn publish(&self, room: &str, publisher: &str, offer: String) -> Result<String, PeerError> {
        self.ask(&Request::Publish {
            room: room.to_owned(),
            name: publisher.to_owned(),
            offer,
        })
        .await
    }

    fn viewer_offers(&self) -> bool {
        true
    }

    async fn view(&self, room: &str, viewer: &str, wants: &[Want], offer: String) -> Result<String, PeerError> {
        self.ask(&Request::View {
            room: room.to_owned(),
            name: viewer.to_owned(),
            wants: wants.to_vec(),
            offer,
        })
        .await
    }

    async fn view_offer(&self, _: &str, _: &str, _: &[Want]) -> Result<String, PeerError> {
        Err(PeerError::Unable("viewers of the floor offer themselves".to_owned()))
    }

    async fn view_answer(&self, _: &str, _: &str, _: String) -> Result<(), PeerError> {
        Err(PeerError::Unable("viewers of the floor offer themselves".to_owned()))
    }

    async fn clear(&self, room: &str) -> Result<(), PeerError> {
        self.ask(&Request::Clear { room: room.to_owned() }).await.map(drop)
    }

    async fn stop(&self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.pipes.lock().await.child.kill().await;
    }
}
