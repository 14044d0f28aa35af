//! Taking a seat, switching sources, and telling the others in the call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::room::Switched;
use crate::app::App;
use crate::http::rfc3339;
use crate::ids::{CallId, UserId};
use crate::media::MediaSeat;
use crate::protocol::{
    ErrorCode, MediaSource, ParticipantJoined, ParticipantLeft, ParticipantStatus, RealtimeBody, RosterEntry, Sources,
    User, WireError,
};
use crate::service::Actor;
use crate::ws::Realtime;

/// A tab sits in a call, newly or again: notes it and sends it the roster, and what its slots carry if it was here before.
pub(crate) async fn seated(app: &Arc<App>, call: &CallId, actor: &Actor) -> Result<(), WireError> {
    app.live.seat(call, &actor.user, &actor.device);
    if let Some(session) = app.sessions.of_device(&actor.user, &actor.device) {
        session.in_call.store(true, Ordering::Relaxed);
    }
    app.presences.changed(&actor.user);
    send_roster(app, call, Some(actor)).await
}

/// Sends the roster to one seat, or (after lost messages) to all of them.
pub(super) async fn send_roster(app: &Arc<App>, call: &CallId, to: Option<&Actor>) -> Result<(), WireError> {
    let mut roster = app.service.roster(call).await?;
    for entry in &mut roster.participants {
        app.live.complete(call, entry);
    }
    if let Some(room) = app.live.rooms.get(call) {
        roster.participants.extend(room.publishers.values().cloned());
    }
    let event = Realtime::new(&RealtimeBody::Roster(roster));
    let Some(actor) = to else {
        deliver(app, call, None, &event);
        return Ok(());
    };
    let Some(session) = app.sessions.of_device(&actor.user, &actor.device) else {
        return Ok(());
    };
    session.send_realtime(&event);
    if let Some(waiting) = app.service.waiting_list(call, &actor.user).await? {
        session.send_realtime(&Realtime::new(&RealtimeBody::WaitingList(waiting)));
    }
    let again = app.live.rooms.get(call).and_then(|room| {
        let seat = room.seats.get(&actor.user)?;
        Some(
            seat.bindings
                .iter()
                .chain(seat.layers.values())
                .cloned()
                .collect::<Vec<_>>(),
        )
    });
    for event in again.unwrap_or_default() {
        session.send_realtime(&event);
    }
    Ok(())
}

/// Sends an event to the tabs that sit in the call. Entries of participants are completed with what they send.
pub(crate) fn to_call(app: &App, call: &CallId, except: Option<&UserId>, mut body: RealtimeBody) {
    if let RealtimeBody::CallParticipantJoined(joined) | RealtimeBody::ParticipantUpdated(joined) = &mut body {
        app.live.complete(call, &mut joined.participant);
    }
    deliver(app, call, except, &Realtime::new(&body));
}

fn deliver(app: &App, call: &CallId, except: Option<&UserId>, event: &Realtime) {
    for (user, device) in app.live.seats(call) {
        if Some(&user) == except {
            continue;
        }
        if let Some(session) = app.sessions.of_device(&user, &device) {
            session.send_realtime(event);
        }
    }
}

/// An own mute or unmute.
pub(crate) fn own_source(
    app: &App,
    call: &CallId,
    actor: &Actor,
    source: MediaSource,
    on: bool,
) -> Result<(), WireError> {
    if app.live.device(call, &actor.user).as_ref() != Some(&actor.device) {
        return Err(WireError::new(
            ErrorCode::Forbidden,
            "this tab holds no seat in the call",
        ));
    }
    match app.live.switch(call, &actor.user, source, on) {
        Switched::NotSeated => Err(WireError::new(
            ErrorCode::Forbidden,
            "this tab holds no seat in the call",
        )),
        Switched::Forbidden => Err(WireError::new(ErrorCode::Forbidden, "a moderator muted you")),
        Switched::Unknown => Ok(()),
        Switched::Show(entry) => {
            let body = RealtimeBody::ParticipantUpdated(shown(call, *entry));
            deliver(app, call, None, &Realtime::new(&body));
            Ok(())
        }
    }
}

/// A moderator's mute outlives the transport: it is applied again to every new one.
pub(crate) fn enforce_mutes(app: &App, seat: &MediaSeat) {
    let blocked: Vec<MediaSource> = app
        .live
        .rooms
        .get(&seat.room)
        .and_then(|room| {
            let entry = room.entries.get(&seat.participant)?;
            Some(entry.sources.blocked_by.keys().copied().collect())
        })
        .unwrap_or_default();
    for source in blocked {
        app.media.set_blocked(seat, source, true);
    }
}

/// A WHIP publisher is seen by those who sit in the room. `false`: the name is taken, by a seat or by another publisher.
pub(crate) fn publisher_joined(app: &App, call: &CallId, user: &User) -> bool {
    let entry = RosterEntry {
        user: user.clone(),
        status: ParticipantStatus::Joined,
        moderator: false,
        sources: Sources {
            mic: true,
            camera: true,
            ..Sources::default()
        },
        hand: None,
    };
    {
        let mut room = app.live.rooms.entry(call.clone()).or_default();
        if room.seats.contains_key(&user.id) || room.publishers.contains_key(&user.id) {
            return false;
        }
        room.publishers.insert(user.id.clone(), entry.clone());
    }
    deliver(
        app,
        call,
        None,
        &Realtime::new(&RealtimeBody::CallParticipantJoined(shown(call, entry))),
    );
    true
}

/// A WHIP publisher is gone.
pub(crate) fn publisher_left(app: &App, call: &CallId, user: &UserId) {
    let entry = app
        .live
        .rooms
        .get_mut(call)
        .and_then(|mut room| room.publishers.remove(user));
    app.live
        .rooms
        .remove_if(call, |_, room| room.seats.is_empty() && room.publishers.is_empty());
    let Some(entry) = entry else { return };
    let left = ParticipantLeft {
        call_id: call.clone(),
        user_id: entry.user.id,
        user_name: entry.user.name,
        status: ParticipantStatus::Left,
        by: None,
        timestamp: rfc3339(SystemTime::now()),
    };
    deliver(
        app,
        call,
        None,
        &Realtime::new(&RealtimeBody::CallParticipantLeft(left)),
    );
}

fn shown(call: &CallId, entry: RosterEntry) -> Box<ParticipantJoined> {
    Box::new(ParticipantJoined {
        call_id: call.clone(),
        user_id: entry.user.id.clone(),
        user_name: entry.user.name.clone(),
        timestamp: rfc3339(SystemTime::now()),
        participant: entry,
    })
}
