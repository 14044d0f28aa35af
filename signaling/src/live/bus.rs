//! The service's hints become frames on connections and orders to the media plane.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::order::Order;
use super::seats;
use crate::app::App;
use crate::ids::{CallId, DeviceId, UserId};
use crate::media::MediaSeat;
use crate::protocol::close;
use crate::service::BusMessage;
use crate::ws::Realtime;

/// Reads the bus until the application drains.
pub(super) async fn read(app: Arc<App>, mut bus: broadcast::Receiver<Arc<BusMessage>>) {
    let mut shutdown = app.shutdown.subscribe();
    let mut order = Order::default();
    loop {
        let message = tokio::select! {
            message = bus.recv() => message,
            _ = shutdown.wait_for(|s| *s) => return,
        };
        match message {
            Ok(message) if order.overtaken(&message, Instant::now()) => {}
            Ok(message) => handle(&app, &message).await,
            Err(RecvError::Lagged(lost)) => recover(&app, lost).await,
            Err(RecvError::Closed) => return,
        }
    }
}

async fn handle(app: &Arc<App>, message: &BusMessage) {
    match message {
        BusMessage::Outbox { users } => app.sessions.wake(users),
        BusMessage::ToUsers { at: _, users, body } => {
            let event = Realtime::new(body);
            for user in users {
                app.sessions.to_user(user, &event);
            }
        }
        BusMessage::ToCall { at, except, body } => seats::to_call(app, &at.call, except.as_ref(), body.clone()),
        BusMessage::ChatCall { at: _, chat: _, bodies } => app.updates.put(bodies.iter().cloned()),
        BusMessage::SeatFreed { call, user, device } => seat_freed(app, call, user, device).await,
        BusMessage::Blocked {
            at,
            user,
            source,
            blocked,
        } => {
            let seat = MediaSeat {
                room: at.call.clone(),
                participant: user.clone(),
            };
            app.media.set_blocked(&seat, *source, *blocked);
        }
        BusMessage::Removed { call, user } => {
            let (app, call, user) = (app.clone(), call.clone(), user.clone());
            tokio::spawn(async move { app.whip.remove_from(&app, &call, &user).await });
        }
        BusMessage::CallOver { call } => {
            for (user, device) in app.live.close(call) {
                not_in_call(app, &user, &device);
            }
            app.media.close_room(call);
            let (app, call) = (app.clone(), call.clone());
            tokio::spawn(async move { app.whip.end_call(&app, &call).await });
        }
    }
}

async fn seat_freed(app: &Arc<App>, call: &CallId, user: &UserId, device: &DeviceId) {
    // The same tab may have sat down again before this hint was read.
    if let Ok(Some((at, by))) = app.service.seat_of(user).await
        && at == *call
        && by == *device
    {
        return;
    }
    let held = app.live.unseat(call, user, Some(device));
    not_in_call(app, user, device);
    // When another tab took the seat over, its offer replaces the transport.
    if held || app.live.device(call, user).is_none() {
        app.media.leave(&MediaSeat {
            room: call.clone(),
            participant: user.clone(),
        });
    }
}

fn not_in_call(app: &App, user: &UserId, device: &DeviceId) {
    if app.live.call_of(user).is_none()
        && let Some(session) = app.sessions.of_device(user, device)
    {
        session.in_call.store(false, Ordering::Relaxed);
    }
    app.presences.changed(user);
}

/// Messages were lost: every connection reads its outbox, every live room gets its roster, and seats that are gone are
/// found by asking.
async fn recover(app: &Arc<App>, lost: u64) {
    tracing::warn!(lost, "the bus lagged; rosters are sent again");
    for session in app.sessions.all() {
        session.outbox.notify_one();
    }
    let calls: Vec<CallId> = app.live.rooms.iter().map(|room| room.key().clone()).collect();
    for call in calls {
        for (user, device) in app.live.seats(&call) {
            seat_freed(app, &call, &user, &device).await;
        }
        if let Err(error) = seats::send_roster(app, &call, None).await {
            tracing::debug!(?error, %call, "no roster");
        }
    }
}

/// Finds outboxes that are ahead of what was sent: one query for everybody connected heals every lost hint. The same query
/// finds who was erased meanwhile, by another process: their connections end.
pub(super) async fn heal(app: Arc<App>) {
    let mut shutdown = app.shutdown.subscribe();
    let period = Duration::from_millis(app.sockets.heal_ms.max(100).into());
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            _ = shutdown.wait_for(|s| *s) => return,
        }
        let sent: HashMap<UserId, u64> = app.sessions.progress().into_iter().collect();
        if sent.is_empty() {
            continue;
        }
        let users: Vec<UserId> = sent.keys().cloned().collect();
        match app.service.last_seqs(&users).await {
            Ok(newest) => {
                let newest: HashMap<UserId, u64> = newest.into_iter().collect();
                let behind = newest
                    .iter()
                    .filter(|(user, seq)| sent.get(user).is_some_and(|s| s < seq));
                let behind: Vec<UserId> = behind.map(|(user, _)| user.clone()).collect();
                app.sessions.wake(&behind);
                let erased = users.iter().filter(|user| !newest.contains_key(*user));
                for session in erased.flat_map(|user| app.sessions.of_user(user)) {
                    session.close((close::REMOVED, "the account was erased"));
                }
            }
            Err(error) => tracing::debug!(%error, "outboxes cannot be asked now"),
        }
    }
}
