//! `ringhall-load`: N publishers and N viewers in one room, with real DTLS, SRTP and UDP, and what it costs the server.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use benches::client::{Client, ClientError, Role, Totals};
use benches::cpu::{self, Target};
use benches::door::Door;
use clap::Parser;

/// N clients in an N x N room.
#[derive(Parser, Debug)]
struct Arguments {
    /// Publishers, and as many viewers.
    #[arg(long, default_value_t = 10)]
    clients: usize,
    /// Seconds to measure, after everybody is connected and two more have passed.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Video bitrate of each publisher in bit/s.
    #[arg(long, default_value_t = 500_000)]
    bitrate: u32,
    /// Frames per second.
    #[arg(long, default_value_t = 25)]
    fps: u32,
    /// Address of the clients' sockets.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// `http://host:port` of a running server; without it a media plane runs in this process.
    #[arg(long)]
    url: Option<String>,
    /// The room at the server.
    #[arg(long, default_value = "load")]
    room: String,
    /// Bearer tokens, separated by commas: one for each publisher and viewer pair.
    #[arg(long, value_delimiter = ',')]
    tokens: Vec<String>,
    /// Process id of the server, for its CPU time.
    #[arg(long)]
    pid: Option<u32>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), ClientError> {
    let door = match &arguments.url {
        Some(base) => Door::Http {
            base: base.clone(),
            room: arguments.room.clone(),
            tokens: arguments.tokens.clone(),
        },
        None => Door::local()?,
    };
    let target = match (&arguments.url, arguments.pid) {
        (None, _) => Some(Target::OwnThreads("media-")),
        (Some(_), pid) => pid.map(Target::Process),
    };
    let totals = Arc::new(Totals::default());
    let bind = SocketAddr::new(arguments.bind, 0);
    let publish = Role::Publish {
        bitrate: arguments.bitrate,
        fps: arguments.fps,
    };
    let view = Role::View {
        audio: arguments.clients.min(5),
        video: arguments.clients,
    };
    let mut threads = Vec::new();
    for role in [publish, view] {
        for number in 0..arguments.clients {
            let client = Client::join(&door, number, role, bind).await?;
            let totals = totals.clone();
            threads.push(std::thread::spawn(move || client.run(&totals)));
        }
    }
    let wanted = 2 * arguments.clients as u64;
    let deadline = Instant::now() + Duration::from_secs(30);
    while totals.connected.load(Ordering::Relaxed) < wanted && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("connected: {} of {wanted}", totals.connected.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(2)).await;

    let read = || {
        (
            totals.sent.load(Ordering::Relaxed),
            totals.received.load(Ordering::Relaxed),
        )
    };
    let (before, began, cpu_before) = (read(), Instant::now(), target.as_ref().and_then(cpu::time));
    let forwarded_before = forwarded(&door).await;
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let (after, took) = (read(), began.elapsed().as_secs_f64());
    let cpu_after = target.as_ref().and_then(cpu::time);
    let forwarded_after = forwarded(&door).await;
    totals.stop.store(true, Ordering::Relaxed);
    let mut failed = 0;
    for thread in threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                failed += 1;
                eprintln!("a client failed: {error}");
            }
            Err(_) => failed += 1,
        }
    }

    let (sent, received) = (after.0 - before.0, after.1 - before.1);
    let lost = totals.lost.load(Ordering::Relaxed);
    println!("sent by publishers: {sent} packets, {:.0}/s", sent as f64 / took);
    println!(
        "received by viewers: {received} packets, {:.0}/s",
        received as f64 / took
    );
    println!(
        "lost: {lost} ({:.3} %)",
        100.0 * lost as f64 / (totals.received.load(Ordering::Relaxed) + lost).max(1) as f64
    );
    println!("failed clients: {failed}");
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        let spent = (after - before).as_secs_f64();
        let count = match (forwarded_before, forwarded_after) {
            (Some(before), Some(after)) => after - before,
            _ => received,
        };
        println!(
            "server CPU: {:.1} % of a core, {:.2} us per forwarded packet",
            100.0 * spent / took,
            1e6 * spent / count.max(1) as f64
        );
    }
    Ok(())
}

/// What an in-process media plane says it has forwarded.
async fn forwarded(door: &Door) -> Option<u64> {
    let Door::Local(handle) = door else { return None };
    Some(
        handle
            .snapshot()
            .await
            .iter()
            .map(|shard| shard.counters.forwarded)
            .sum(),
    )
}
