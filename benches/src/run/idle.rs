//! People who are connected and do nothing, and people who come back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use signaling::protocol::{Command, Resume, SendMessage};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::proc;
use crate::report::model::{Figures, timing};
use crate::ringhall::signal::{self, Caller, Incoming};
use crate::ringhall::{Server, ServerError};
use crate::scenario::Scenario;

use super::crowd::{Crowd, Halt};
use super::meter::Meter;

/// Messages under way at a time.
const MESSAGES_AT_A_TIME: usize = 8;
/// How long a resume may take.
const RESUME_WITHIN: Duration = Duration::from_secs(60);

/// Opens the sockets, lets them idle for the window, and says what one costs.
///
/// # Errors
/// [`Halt`].
pub(super) async fn idle(
    server: Arc<Server>,
    scenario: &Scenario,
    crowd: Crowd,
    meter: Meter,
) -> Result<Figures, Halt> {
    let Some(idle) = scenario.idle.clone() else {
        return Err(Halt::Failed("the scenario has no idle people".into()));
    };
    let memory = || proc::process(server.pid()).map_or(0, |s| s.rss);
    // One connection first, so that what the server makes only once is not counted.
    let first = signal::open(server.url(), server.people().token(0)?, &signal::device(), None).await?;
    first.caller.cut();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = memory();
    let gate = Arc::new(Semaphore::new(idle.at_a_time.max(1)));
    let mut opening = JoinSet::new();
    for number in 0..idle.users {
        let (server, gate, crowd) = (server.clone(), gate.clone(), crowd.clone());
        opening.spawn(async move {
            let _turn = gate.acquire().await;
            let began = Instant::now();
            let token = server.people().token(number).map_err(|e: ServerError| Halt::from(e))?;
            let holding = signal::idle(server.url(), token, &signal::device()).await?;
            crowd.board.took(timing::HELLO, began.elapsed());
            crowd.board.sockets.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let why = holding.await;
                crowd.board.sockets.fetch_sub(1, Ordering::Relaxed);
                crowd.board.error(why);
            });
            Ok::<_, Halt>(())
        });
    }
    let mut failed = 0;
    while let Some(opened) = opening.join_next().await {
        if let Err(Halt::Failed(why)) = opened.map_err(|e| Halt::Failed(e.to_string())).and_then(|r| r) {
            failed += 1;
            crowd.board.error(why);
        }
    }
    tokio::time::sleep(Duration::from_secs_f64(scenario.settle_seconds)).await;
    let window = meter.open();
    tokio::time::sleep(Duration::from_secs_f64(scenario.duration_seconds)).await;
    let open = crowd.board.sockets.load(Ordering::Relaxed);
    if open == 0 {
        return Err(Halt::Failed("no socket stayed open".into()));
    }
    crowd.board.extra("sockets_open", open as f64);
    crowd.board.extra("sockets_failed", f64::from(failed));
    let grown = memory().saturating_sub(before) as f64;
    crowd.board.extra("rss_per_socket_bytes", grown / open as f64);
    Ok(meter.close(window).await)
}

/// Somebody writes while others are away; they come back and get everything.
///
/// # Errors
/// [`Halt`].
pub(super) async fn resume(
    server: Arc<Server>,
    scenario: &Scenario,
    crowd: Crowd,
    meter: Meter,
) -> Result<Figures, Halt> {
    let Some(resume) = scenario.resume.clone() else {
        return Err(Halt::Failed("the scenario has nobody who comes back".into()));
    };
    let token = |number| server.people().token(number);
    let chat = server.people().chats().first().cloned();
    let chat = chat.ok_or_else(|| Halt::Failed("the group was not made".into()))?;
    let mut away = Vec::new();
    for number in 1..=resume.users {
        let device = signal::device();
        let signal = signal::open(server.url(), token(number)?, &device, None).await?;
        let welcome = signal.welcome;
        signal.caller.cut();
        away.push((number, device, welcome));
    }
    let writer = signal::open(server.url(), token(0)?, &signal::device(), None).await?;
    let gate = Arc::new(Semaphore::new(MESSAGES_AT_A_TIME));
    let mut writing = JoinSet::new();
    for number in 0..resume.missed {
        let (caller, chat, gate, crowd): (Caller, _, _, _) =
            (writer.caller.clone(), chat.clone(), gate.clone(), crowd.clone());
        writing.spawn(async move {
            let _turn = gate.acquire().await;
            let began = Instant::now();
            let message = Command::SendMessage(SendMessage {
                chat_id: chat,
                call_id: None,
                content: format!("message {number}"),
            });
            let result = caller.call::<Value>(&message).await;
            crowd.board.took(timing::COMMAND, began.elapsed());
            crowd.board.commands.fetch_add(1, Ordering::Relaxed);
            result
        });
    }
    while let Some(written) = writing.join_next().await {
        written.map_err(|e| Halt::Failed(e.to_string()))??;
    }
    tokio::time::sleep(Duration::from_secs_f64(scenario.settle_seconds)).await;
    let window = meter.open();
    // One after the other, so that it is the time of one and not of a queue.
    for (number, device, welcome) in away {
        let from = Resume {
            session: welcome.session,
            seq: welcome.seq,
            epoch: welcome.epoch,
        };
        let began = Instant::now();
        let mut signal = signal::open(server.url(), token(number)?, &device, Some(from)).await?;
        let newest = signal.welcome.seq;
        let missed = newest - welcome.seq;
        match signal.welcome.replay {
            Some(replay) if u64::from(replay) == missed => {}
            other => crowd
                .board
                .error(format!("{missed} missed, the server replays {other:?}")),
        }
        let wait = async {
            let mut next = welcome.seq + 1;
            while next <= newest {
                match signal.incoming.recv().await {
                    Some(Incoming::Event(event)) if event.op == "snapshot" => return Ok(()),
                    Some(Incoming::Event(event)) => {
                        if event.seq != next {
                            return Err(format!("event {} came instead of {next}", event.seq));
                        }
                        next += 1;
                    }
                    Some(Incoming::Realtime(_)) => {}
                    Some(Incoming::Closed(why)) => return Err(why),
                    None => return Err("closed".into()),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(RESUME_WITHIN, wait).await {
            Ok(Ok(())) => crowd.board.took(timing::RESUME, began.elapsed()),
            Ok(Err(why)) => crowd.board.error(why),
            Err(_) => crowd.board.error("not everything came within 60 s"),
        }
        crowd.board.extra("events_replayed", missed as f64);
    }
    Ok(meter.close(window).await)
}
