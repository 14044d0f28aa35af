//! Hello and welcome: who it is, where they left off, and what they get first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::mpsc;

use super::session::{Outgoing, Session};
use crate::app::App;
use crate::ids::{DeviceId, SessionId, UserId};
use crate::live::Network;
use crate::protocol::{
    CallUpdated, Event, EventBody, Hello, Limits, Resume, Resumed, ServerFrame, UserPresence, Welcome, WireError,
};
use crate::service::{Actor, Link};

/// A connection that was let in, and the queue of frames for it (welcome is the first).
pub(super) struct Welcomed {
    pub(super) session: Arc<Session>,
    pub(super) frames: mpsc::Receiver<Outgoing>,
}

/// Answers a hello.
///
/// `from`: the page's address. Errors carry the code that the close frame names.
pub(super) async fn greet(app: &Arc<App>, hello: Hello, from: IpAddr) -> Result<Welcomed, WireError> {
    let (user, claims) = app.identify(&hello.token).await?;
    app.enter_room(&user.id, &claims).await?;
    let epoch = app.service.epoch().await?;
    let newest = app.service.last_seq(&user.id).await?;
    let config = app.service.config();
    let replay = hello
        .resume
        .as_ref()
        .and_then(|resume| missed(resume, &user.id, &hello.device, epoch, newest));
    let replay = replay.filter(|missed| *missed <= config.replay_max);
    // What was missed may be so old that it is not kept any more.
    let replay = match replay {
        Some(missed) if missed > 0 && !app.service.kept_after(&user.id, newest - u64::from(missed)).await? => None,
        replay => replay,
    };
    let network = Network::from(from);
    let ways = app.networks.ways(network, Instant::now());
    let advice = (app.ice)(&user.id);
    let (session, frames) = Session::new(
        user.id.clone(),
        hello.device.clone(),
        claims,
        (network, ways),
        app.sockets.queue_frames,
    );
    session.send_frame(&ServerFrame::Welcome(Welcome {
        session: session_id(&user.id, &hello.device),
        ice: advice.servers,
        relays: advice.relays,
        ways: ways.to_vec(),
        user,
        epoch,
        seq: newest,
        replay,
        limits: Limits {
            max_participants: config.max_participants,
            ring_max_members: config.ring_max_members,
            ring_ms: config.ring_ms,
            max_message_bytes: config.max_message_bytes,
            video_codecs: app.media.video_codecs(),
        },
    }));
    session
        .sent
        .store(newest.saturating_sub(replay.unwrap_or(0).into()), Ordering::Relaxed);
    // Welcome is in the queue already, so whatever comes by way of the registry comes after it. The outbox is read from
    // `sent` on, so an event written before the registration is not lost either.
    if app.sessions.add(&session) {
        app.presences.changed(&session.user);
    }
    match catch_up(app, &session, replay.is_none()).await {
        Ok(()) => Ok(Welcomed { session, frames }),
        Err(error) => {
            if app.sessions.remove(&session) {
                app.presences.changed(&session.user);
            }
            Err(error)
        }
    }
}

/// What follows welcome: a snapshot, unless events are replayed (then the writer sends `resumed` behind them); and the call,
/// if this tab is in one.
async fn catch_up(app: &Arc<App>, session: &Arc<Session>, from_scratch: bool) -> Result<(), WireError> {
    if from_scratch {
        let event = snapshot(app, &session.user).await?;
        session.sent.store(event.seq, Ordering::Relaxed);
        session.send_frame(&ServerFrame::Ev(event));
    } else {
        session.owes_resumed.store(true, Ordering::Relaxed);
    }
    session.outbox.notify_one();
    // Where this tab holds a seat, it is back in its call.
    if let Some((call, device)) = app.service.seat_of(&session.user).await?
        && device == session.device
    {
        let actor = Actor {
            user: session.user.clone(),
            device,
        };
        app.service.seat_back(&actor, Link::Socket).await?;
        crate::live::seated(app, &call, &actor).await?;
    }
    Ok(())
}

/// How many events were missed since `resume`; `None` when that cannot be said, and a snapshot must follow.
fn missed(resume: &Resume, user: &UserId, device: &DeviceId, epoch: u64, newest: u64) -> Option<u32> {
    let same = resume.epoch == epoch && resume.session == session_id(user, device);
    if !same {
        return None;
    }
    u32::try_from(newest.checked_sub(resume.seq)?).ok()
}

/// Names whose sequence the client counts. It is no secret and proves nothing: it only keeps a tab in which somebody
/// else has signed in from resuming with the other person's sequence, over a restart of the server too.
fn session_id(user: &UserId, device: &DeviceId) -> SessionId {
    SessionId(format!("{device}.{user}"))
}

/// When each of them was here last, epoch milliseconds.
async fn last_seen(app: &App, users: &[UserId]) -> Result<HashMap<UserId, i64>, WireError> {
    Ok(app.service.store().last_seen(users).await?.into_iter().collect())
}

fn presence(app: &App, users: &[UserId], seen: &HashMap<UserId, i64>) -> Vec<UserPresence> {
    let of = |user: &UserId| crate::live::presence_of(app, user, seen.get(user).copied());
    users.iter().map(of).collect()
}

async fn snapshot(app: &Arc<App>, user: &UserId) -> Result<Event, WireError> {
    let contacts = app.service.store().contacts(user).await?;
    let seen = last_seen(app, &contacts).await?;
    let lookup = |users: &[UserId]| presence(app, users, &seen);
    let (snapshot, seq) = app.service.snapshot_at(user, &lookup).await?;
    let body = serde_json::to_value(EventBody::Snapshot(Box::new(snapshot)))
        .map_err(|e| WireError::new(crate::protocol::ErrorCode::Internal, e.to_string()))?;
    let field = |name: &str| body.get(name).cloned().unwrap_or_default();
    Ok(Event {
        seq,
        op: field("op").as_str().unwrap_or_default().to_owned(),
        call_id: None,
        rev: None,
        d: field("d"),
    })
}

/// What a replay does not tell: live calls and presence, as they are now.
pub(super) async fn resumed(app: &Arc<App>, user: &UserId) -> Result<Resumed, WireError> {
    let contacts = app.service.store().contacts(user).await?;
    let seen = last_seen(app, &contacts).await?;
    let chats = app.service.store().chats_of(user).await?;
    let calls = chats.into_iter().filter(|chat| chat.active_call.is_some());
    Ok(Resumed {
        presence: presence(app, &contacts, &seen),
        calls: calls
            .map(|chat| CallUpdated {
                chat_id: chat.id,
                active_call: chat.active_call,
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_counts_what_was_missed_only_for_the_same_person_tab_and_database() {
        let (user, device) = (UserId::from("ivan"), DeviceId::from("tab"));
        let resume = |session: SessionId, seq, epoch| Resume { session, seq, epoch };
        let own = || session_id(&user, &device);
        assert_eq!(missed(&resume(own(), 7, 3), &user, &device, 3, 9), Some(2));
        assert_eq!(missed(&resume(own(), 9, 3), &user, &device, 3, 9), Some(0));
        assert_eq!(
            missed(&resume(own(), 10, 3), &user, &device, 3, 9),
            None,
            "a sequence from the future"
        );
        assert_eq!(
            missed(&resume(own(), 7, 2), &user, &device, 3, 9),
            None,
            "the database was restored"
        );
        assert_eq!(
            missed(&resume(own(), 7, 3), &"maria".into(), &device, 3, 9),
            None,
            "somebody else signed in"
        );
    }
}
