//! `ringhall-load floor`: the forwarder as a process of its own, so that /proc tells its cost and nobody else's. Commands
//! come as JSON lines on standard input, answers go to standard output; the end of the input ends the process.

use std::io::{BufRead, Write};
use std::net::SocketAddrV4;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
use super::forwarder::{FloorError, Forwarder};
use super::wire::Wire;
use crate::peers::Want;

/// Between two looks at timers.
const TICK: Duration = Duration::from_millis(50);

/// The bare forwarder.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Where it listens; port 0: any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddrV4,
    /// Sends segments (UDP GSO).
    #[arg(long)]
    pub gso: bool,
    /// Breaks it on purpose: drop=1%, stall=50ms, leak=64, wrong-room=1%.
    #[arg(long)]
    pub fault: Vec<Fault>,
}

/// The first line of the output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Where it listens.
    pub address: String,
}

/// A line of the input.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// A publisher's offer.
    Publish {
        /// Room.
        room: String,
        /// Who.
        name: String,
        /// SDP.
        offer: String,
    },
    /// A viewer's offer.
    View {
        /// Room.
        room: String,
        /// Who.
        name: String,
        /// What, in the order of the m-lines.
        wants: Vec<Want>,
        /// SDP.
        offer: String,
    },
    /// Ends a room.
    Clear {
        /// Which.
        room: String,
    },
}

/// A line of the output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Done; the answer to an offer, else empty.
    Ok(String),
    /// Not done.
    Error(String),
}

/// It could not go on.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Sockets or pipes.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Its certificate.
    #[error(transparent)]
    Floor(#[from] FloorError),
    /// An answer could not be written.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The media thread is gone.
    #[error("the media thread has ended")]
    Ended,
}

type Order = (Request, mpsc::Sender<Response>);

/// Runs until the input ends.
///
/// # Errors
/// [`CommandError`].
pub fn run(arguments: &Arguments) -> Result<(), CommandError> {
    let faults: Faults = arguments.fault.iter().copied().collect();
    let socket = Wire::bind(arguments.listen)?;
    let (address, gso) = (socket.local_addr()?, arguments.gso);
    let forwarder = Forwarder::new(address, faults)?;
    let (orders, inbox) = mpsc::channel();
    std::thread::Builder::new()
        .name("floor".to_owned())
        .spawn(move || media(forwarder, Wire::new(socket, gso), faults, &inbox))?;
    let mut output = std::io::stdout().lock();
    let hello = Hello {
        address: address.to_string(),
    };
    writeln!(output, "{}", serde_json::to_string(&hello)?)?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        let response = match serde_json::from_str(&line?) {
            Ok(request) => {
                let (answer, wait) = mpsc::channel();
                orders.send((request, answer)).map_err(|_| CommandError::Ended)?;
                wait.recv().map_err(|_| CommandError::Ended)?
            }
            Err(error) => Response::Error(error.to_string()),
        };
        writeln!(output, "{}", serde_json::to_string(&response)?)?;
        output.flush()?;
    }
    Ok(())
}

fn media(mut forwarder: Forwarder, mut wire: Wire, faults: Faults, inbox: &mpsc::Receiver<Order>) {
    let mut tick = Instant::now();
    let mut stall = Instant::now();
    loop {
        if let Err(error) = wire.receive(&mut forwarder) {
            eprintln!("floor: {error}");
            return;
        }
        let now = Instant::now();
        loop {
            match inbox.try_recv() {
                Ok((request, answer)) => {
                    // Nobody waits only when the process is ending.
                    let _ = answer.send(perform(&mut forwarder, now, request));
                }
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
        if now >= tick {
            tick = now + TICK;
            forwarder.tick(now);
        }
        if !faults.stall.is_zero() && now >= stall {
            stall = now + Duration::from_secs(1);
            std::thread::sleep(faults.stall);
        }
        wire.flush(&mut forwarder.outgoing);
    }
}

fn perform(forwarder: &mut Forwarder, now: Instant, request: Request) -> Response {
    let done = match request {
        Request::Publish { room, name, offer } => forwarder.publish(now, &room, &name, &offer),
        Request::View {
            room,
            name,
            wants,
            offer,
        } => forwarder.view(now, &room, &name, &wants, &offer),
        Request::Clear { room } => {
            forwarder.clear(now, &room);
            Ok(String::new())
        }
    };
    match done {
        Ok(sdp) => Response::Ok(sdp),
        Err(error) => Response::Error(error.to_string()),
    }
}
