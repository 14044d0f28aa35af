//! The second host: knocks at the addresses that the doctor names, and says which of them answered.
//!
//! It knocks for whoever has its one-time code only, at a few addresses, and ends after a quarter of an hour: it must not become
//! a way to have others knocked at. One line of JSON goes each way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::addresses::Told;
use super::stun;
use crate::cli::Failure;
use crate::secrets::one_time_code;
use crate::turn::unix_ms;

/// It ends after this, whatever happens.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// For one doctor: his line, the knocking, and the answer.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longest line.
const MAX_LINE: u64 = 16 << 10;
/// Addresses of each kind that are knocked at.
const MAX_ADDRESSES: usize = 64;
/// Wrong codes until it ends.
const MAX_WRONG: u32 = 5;

#[derive(Serialize, Deserialize)]
struct Question {
    code: String,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
}

/// Whether an address answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) address: SocketAddr,
    pub(super) ok: bool,
    pub(super) why: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    udp: Vec<Seen>,
    tcp: Vec<Seen>,
    /// The second host's clock.
    now_ms: u64,
}

/// What the doctor learns.
pub(super) struct Learnt {
    pub(super) udp: Vec<Seen>,
    pub(super) tcp: Vec<Seen>,
    /// By how much its clock is ahead of ours.
    pub(super) ahead_ms: i64,
}

/// Asks the second host at `HOST:PORT#CODE`.
pub(super) async fn ask(place: &str, told: &Told) -> Result<Learnt, Failure> {
    let (place, code) = place
        .split_once('#')
        .ok_or("write it as HOST:PORT#CODE, as `ringhall second-host` prints it")?;
    let question = Question {
        code: code.to_owned(),
        udp: told.udp.clone(),
        tcp: told.tcp.clone(),
    };
    let talk = async {
        let mut stream = TcpStream::connect(place).await?;
        let mut line = serde_json::to_vec(&question)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut text = String::new();
        // His clock is read last, so that only the way back is in between.
        BufReader::new(stream.take(MAX_LINE)).read_line(&mut text).await?;
        let now = unix_ms();
        if text.is_empty() {
            return Err("it hung up; is the code right?".into());
        }
        let answer: Answer = serde_json::from_str(&text).map_err(|e| format!("its answer makes no sense: {e}"))?;
        Ok::<_, Failure>(Learnt {
            ahead_ms: i64::try_from(answer.now_ms)? - i64::try_from(now)?,
            udp: answer.udp,
            tcp: answer.tcp,
        })
    };
    tokio::time::timeout(PATIENCE, talk)
        .await
        .map_err(|_| "it did not answer in time")?
}

/// `ringhall second-host`: waits for a doctor, and knocks for him.
pub(crate) async fn serve(listen: SocketAddr) -> Result<(), Failure> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|e| format!("{listen}: {e}; choose another port with --listen"))?;
    let port = listener.local_addr()?.port();
    let code = one_time_code();
    println!("On the server, within 15 minutes (THIS-HOST: how the server reaches this machine):");
    println!("  ringhall doctor --second-host THIS-HOST:{port}#{code}");
    let until = Instant::now() + LIFE;
    let mut wrong = 0;
    loop {
        let Ok(accepted) = tokio::time::timeout_at(until.into(), listener.accept()).await else {
            println!("the time is over");
            return Ok(());
        };
        let (stream, remote) = accepted?;
        // One at a time, each with little time.
        match tokio::time::timeout(PATIENCE, help(stream, &code)).await {
            Ok(Ok(true)) => println!("{remote} was helped"),
            Ok(Ok(false)) => {
                wrong += 1;
                println!("{remote} has a wrong code");
                if wrong == MAX_WRONG {
                    return Err("too many wrong codes; start it again for a new one".into());
                }
            }
            Ok(Err(error)) => println!("{remote}: {error}"),
            Err(_) => println!("{remote}: too slow"),
        }
    }
}

/// Whether the code was right.
async fn help(stream: TcpStream, code: &str) -> Result<bool, Failure> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let read = async { (&mut stream).take(MAX_LINE).read_line(&mut line).await };
    tokio::time::timeout(super::PATIENCE, read)
        .await
        .map_err(|_| "nothing was said")??;
    let Ok(question) = serde_json::from_str::<Question>(&line) else {
        return Ok(false);
    };
    if question.code != code {
        return Ok(false);
    }
    let mut answer = Answer {
        udp: Vec::new(),
        tcp: Vec::new(),
        now_ms: 0,
    };
    for address in question.udp.into_iter().take(MAX_ADDRESSES) {
        answer.udp.push(knock_udp(address).await);
    }
    for address in question.tcp.into_iter().take(MAX_ADDRESSES) {
        answer.tcp.push(knock_tcp(address).await);
    }
    answer.now_ms = unix_ms();
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.get_mut().write_all(&line).await?;
    Ok(true)
}

async fn knock_udp(address: SocketAddr) -> Seen {
    let asked = tokio::task::spawn_blocking(move || stun::ask(address)).await;
    let why = match asked {
        Ok(Ok(Some(from))) if from == address => None,
        Ok(Ok(Some(from))) => Some(format!("the answer came from {from}")),
        Ok(Ok(None)) => Some("no answer".to_owned()),
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    Seen {
        address,
        ok: why.is_none(),
        why,
    }
}

async fn knock_tcp(address: SocketAddr) -> Seen {
    let connected = tokio::time::timeout(super::PATIENCE, TcpStream::connect(address)).await;
    let why = match connected {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer".to_owned()),
    };
    Seen {
        address,
        ok: why.is_none(),
        why,
    }
}
