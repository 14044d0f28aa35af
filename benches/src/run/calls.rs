//! A call storm: pairs of people ring each other and accept, decline, let it ring out or give up. No media.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::{Value, json};
use signaling::ids::{CallId, ChatId};
use signaling::protocol::{
    CallRef, CallStatus, CallType, Command, EventBody, JoinCall, JoinCallResult, RejectCall, RejectReason, StartCall,
    StartCallResult,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::report::model::{Figures, timing};
use crate::ringhall::signal::{self, Caller, Incoming};
use crate::ringhall::{Server, ServerError};
use crate::scenario::{Calls, Mix, Scenario};

use super::crowd::{Crowd, Halt};
use super::meter::Meter;

/// WebSockets opened at a time.
const AT_A_TIME: usize = 32;
/// How long anything may take that should come at once.
const EVENT_WITHIN: Duration = Duration::from_secs(20);

/// Runs the storm and returns the figures of its window.
///
/// # Errors
/// [`Halt`].
pub(super) async fn run(server: Arc<Server>, scenario: &Scenario, crowd: Crowd, meter: Meter) -> Result<Figures, Halt> {
    let Some(calls) = scenario.calls.clone() else {
        return Err(Halt::Failed("the scenario has no calls".into()));
    };
    let mut pairs = connect(&server, &calls, &crowd).await?;
    tokio::time::sleep(Duration::from_secs_f64(scenario.settle_seconds)).await;
    let mut random = crowd.random(1);
    let window = meter.open();
    let (idle_in, mut idle) = mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    let ends = Instant::now() + Duration::from_secs_f64(scenario.duration_seconds);
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / calls.rate.max(0.01)));
    while Instant::now() < ends {
        ticks.tick().await;
        while let Ok(pair) = idle.try_recv() {
            pairs.push(pair);
        }
        if pairs.is_empty() {
            crowd.board.extra("calls_not_begun_all_busy", 1.0);
            continue;
        }
        let at = random.random_range(0..pairs.len());
        let pair = pairs.swap_remove(at);
        let fate = fate(&calls.mix, random.random::<f64>());
        let (calls, crowd, idle_in) = (calls.clone(), crowd.clone(), idle_in.clone());
        running.spawn(async move { one(pair, fate, &calls, &crowd, idle_in).await });
    }
    let figures = meter.close(window).await;
    running.abort_all();
    Ok(figures)
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Accept,
    Decline,
    Timeout,
    Cancel,
}

fn fate(mix: &Mix, at: f64) -> Fate {
    let all = (mix.accept + mix.decline + mix.timeout + mix.cancel).max(f64::MIN_POSITIVE);
    let at = at * all;
    if at < mix.accept {
        Fate::Accept
    } else if at < mix.accept + mix.decline {
        Fate::Decline
    } else if at < mix.accept + mix.decline + mix.timeout {
        Fate::Timeout
    } else {
        Fate::Cancel
    }
}

struct Person {
    caller: Caller,
    events: mpsc::UnboundedReceiver<(EventBody, Instant)>,
}

struct Pair {
    chat: ChatId,
    from: Person,
    to: Person,
}

async fn connect(server: &Arc<Server>, calls: &Calls, crowd: &Crowd) -> Result<Vec<Pair>, Halt> {
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    let mut opening = JoinSet::new();
    for number in 0..calls.users {
        let (server, gate, crowd) = (server.clone(), gate.clone(), crowd.clone());
        opening.spawn(async move {
            let _turn = gate.acquire().await;
            let token = server.people().token(number).map_err(|e: ServerError| Halt::from(e))?;
            let began = Instant::now();
            let signal = signal::open(server.url(), token, &signal::device(), None).await?;
            crowd.board.took(timing::HELLO, began.elapsed());
            crowd.board.sockets.fetch_add(1, Ordering::Relaxed);
            let (events_in, events) = mpsc::unbounded_channel();
            tokio::spawn(sort(signal.incoming, events_in, crowd));
            let caller = signal.caller;
            Ok::<_, Halt>((number, Person { caller, events }))
        });
    }
    let mut people = HashMap::new();
    while let Some(opened) = opening.join_next().await {
        let (number, person) = opened.map_err(|e| Halt::Failed(e.to_string()))??;
        people.insert(number, person);
    }
    let mut pairs = Vec::new();
    for (n, chat) in server.people().chats().iter().enumerate() {
        if let (Some(from), Some(to)) = (people.remove(&(2 * n)), people.remove(&(2 * n + 1))) {
            let chat = chat.clone();
            pairs.push(Pair { chat, from, to });
        }
    }
    Ok(pairs)
}

/// Keeps the events that a call consists of.
async fn sort(
    mut incoming: mpsc::UnboundedReceiver<Incoming>,
    events: mpsc::UnboundedSender<(EventBody, Instant)>,
    crowd: Crowd,
) {
    while let Some(message) = incoming.recv().await {
        match message {
            Incoming::Event(event) => {
                let body = serde_json::from_value(json!({ "op": event.op, "d": event.d }));
                if let Ok(body) = body {
                    let _ = events.send((body, Instant::now()));
                }
            }
            Incoming::Realtime(_) => {}
            Incoming::Closed(why) => {
                crowd.board.sockets.fetch_sub(1, Ordering::Relaxed);
                if why != "ended here" {
                    crowd.board.error(format!("WebSocket: {why}"));
                }
            }
        }
    }
}

/// One call; the pair is free again afterwards, unless it went wrong.
async fn one(mut pair: Pair, fate: Fate, calls: &Calls, crowd: &Crowd, idle: mpsc::UnboundedSender<Pair>) {
    crowd.board.extra("calls_begun", 1.0);
    match carry_out(&mut pair, fate, calls, crowd).await {
        Ok(()) => {
            let name = format!("{fate:?}").to_lowercase();
            crowd.board.extra(&format!("calls_ended_by_{name}"), 1.0);
            let _ = idle.send(pair);
        }
        Err(why) => {
            crowd.board.extra("calls_gone_wrong", 1.0);
            crowd.board.error(format!("{fate:?}: {why}"));
        }
    }
}

async fn command<T: serde::de::DeserializeOwned>(
    crowd: &Crowd,
    caller: &Caller,
    command: Command,
) -> Result<T, String> {
    let began = Instant::now();
    let result = caller.call(&command).await;
    crowd.board.took(timing::COMMAND, began.elapsed());
    crowd.board.commands.fetch_add(1, Ordering::Relaxed);
    result.map_err(|e| e.to_string())
}

/// Waits for the event that `pick` knows; others are skipped.
async fn event<T>(
    what: &str,
    within: Duration,
    person: &mut Person,
    mut pick: impl FnMut(EventBody) -> Option<T>,
) -> Result<(T, Instant), String> {
    let wait = async {
        while let Some((body, at)) = person.events.recv().await {
            if let Some(found) = pick(body) {
                return Ok((found, at));
            }
        }
        Err(format!("the WebSocket was closed before {what}"))
    };
    tokio::time::timeout(within, wait)
        .await
        .unwrap_or_else(|_| Err(format!("{what} did not come")))
}

async fn ended(person: &mut Person, call: &CallId, within: Duration) -> Result<(CallStatus, Instant), String> {
    event("call_ended", within, person, |body| match body {
        EventBody::CallEnded(ended) if ended.call_id == *call => Some(ended.status),
        _ => None,
    })
    .await
}

async fn carry_out(pair: &mut Pair, fate: Fate, calls: &Calls, crowd: &Crowd) -> Result<(), String> {
    let start = Command::StartCall(StartCall {
        chat_id: pair.chat.clone(),
        call_type: CallType::Audio,
        invitees: None,
        leave: None,
    });
    let sent = Instant::now();
    let started: StartCallResult = command(crowd, &pair.from.caller, start).await?;
    let StartCallResult::Created(created) = started else {
        return Err("the chat had a call already".into());
    };
    let call = created.call_id;
    let reference = || CallRef { call_id: call.clone() };
    let ((), came) = event("incoming_call", EVENT_WITHIN, &mut pair.to, |body| match body {
        EventBody::IncomingCall(ring) if ring.call_id == call => Some(()),
        _ => None,
    })
    .await?;
    crowd.board.took(timing::RING, came.saturating_duration_since(sent));
    let _: Value = command(crowd, &pair.to.caller, Command::RingAck(reference())).await?;
    let (expected, within) = match fate {
        Fate::Accept => {
            let accept = Command::AcceptCall(JoinCall {
                call_id: call.clone(),
                takeover: false,
                wait: false,
                leave: None,
            });
            let sent = Instant::now();
            let _: JoinCallResult = command(crowd, &pair.to.caller, accept).await?;
            let ((), came) = event("call_accepted", EVENT_WITHIN, &mut pair.from, |body| match body {
                EventBody::CallAccepted(accepted) if accepted.call_id == call => Some(()),
                _ => None,
            })
            .await?;
            crowd.board.took(timing::ACCEPT, came.saturating_duration_since(sent));
            tokio::time::sleep(Duration::from_secs_f64(calls.talk_seconds)).await;
            let _: Value = command(crowd, &pair.from.caller, Command::EndCall(reference())).await?;
            (CallStatus::Ended, EVENT_WITHIN)
        }
        Fate::Decline => {
            let reject = Command::RejectCall(RejectCall {
                call_id: call.clone(),
                reason: RejectReason::Declined,
            });
            let _: Value = command(crowd, &pair.to.caller, reject).await?;
            (CallStatus::Rejected, EVENT_WITHIN)
        }
        Fate::Timeout => (
            CallStatus::Rejected,
            EVENT_WITHIN + Duration::from_secs_f64(calls.ring_seconds),
        ),
        Fate::Cancel => {
            let _: Value = command(crowd, &pair.from.caller, Command::EndCall(reference())).await?;
            (CallStatus::Cancelled, EVENT_WITHIN)
        }
    };
    // Both must hear how it ended.
    for person in [&mut pair.from, &mut pair.to] {
        let (status, _) = ended(person, &call, within).await?;
        if status != expected {
            return Err(format!("it ended as {status:?}, not as {expected:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates_come_by_their_weights() {
        let mix = Mix {
            accept: 6.0,
            decline: 2.0,
            timeout: 1.0,
            cancel: 1.0,
        };
        let count = |wanted| {
            (0..1_000)
                .filter(|n| fate(&mix, f64::from(*n) / 1_000.0) == wanted)
                .count()
        };
        assert_eq!(
            [Fate::Accept, Fate::Decline, Fate::Timeout, Fate::Cancel].map(count),
            [600, 200, 100, 100]
        );
    }
}
