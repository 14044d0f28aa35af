//! The media plane's events drive participant status and the room's stream.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::quality::Heard;
use super::seats;
use super::unrecorded::{Seen, media_link, until_recorded};
use crate::app::App;
use crate::ids::DeviceId;
use crate::media::{MediaEvent, MediaSeat};
use crate::protocol::{Bindings, Layers, Quality, RealtimeBody, Speakers};
use crate::ws::Realtime;

/// Reads events until the media plane ends.
pub(super) async fn read(app: Arc<App>, mut events: mpsc::Receiver<MediaEvent>) {
    while let Some(event) = events.recv().await {
        handle(&app, event);
    }
    if !app.draining() {
        tracing::error!("the media plane's events ended");
    }
}

fn handle(app: &Arc<App>, event: MediaEvent) {
    match event {
        MediaEvent::Connected(seat) | MediaEvent::Recovered(seat) => match holder(app, &seat) {
            Some(_) => {
                app.quality.note(&seat, Heard::Up);
                media_link(app, seat, Seen::Connected);
            }
            None => app.whip.connected(&seat),
        },
        MediaEvent::Lost(seat) => match holder(app, &seat) {
            Some(_) => {
                app.quality.note(&seat, Heard::Lost);
                media_link(app, seat, Seen::Lost);
            }
            None => app.whip.lost(app, &seat),
        },
        MediaEvent::Closed(seat) => match holder(app, &seat) {
            Some(_) => {
                app.quality.note(&seat, Heard::Gone);
                media_link(app, seat, Seen::Closed);
            }
            None => app.whip.closed(app, &seat),
        },
        MediaEvent::Bindings(seat, slots) => {
            let body = RealtimeBody::Bindings(Bindings {
                call_id: seat.room.clone(),
                slots,
            });
            to_seat(app, &seat, Realtime::new(&body), |seat, event| {
                seat.bindings = Some(event)
            });
        }
        MediaEvent::Layers(seat, source, active, codec) => {
            let body = RealtimeBody::Layers(Layers {
                call_id: seat.room.clone(),
                source,
                active,
                codec,
            });
            to_seat(app, &seat, Realtime::new(&body), |seat, event| {
                seat.layers.insert(source, event);
            });
        }
        MediaEvent::Speakers(call, users) => {
            let body = RealtimeBody::Speakers(Speakers {
                call_id: call.clone(),
                users,
            });
            seats::to_call(app, &call, None, body);
        }
        MediaEvent::Quality(seat, score, reason, streams) => {
            app.quality.note(&seat, Heard::Score(score, reason));
            let body = RealtimeBody::Quality(Quality {
                call_id: seat.room.clone(),
                score,
                reason,
                streams,
            });
            to_seat(app, &seat, Realtime::new(&body), |_, _| {});
        }
        MediaEvent::Way(seat, way) => {
            let session = holder(app, &seat).and_then(|device| app.sessions.of_device(&seat.participant, &device));
            if let Some(session) = session {
                app.networks.note(session.network, &session.ways, way, Instant::now());
            }
        }
        MediaEvent::RoomFailed(call) => {
            let app = app.clone();
            tokio::spawn(async move {
                until_recorded(&app, "the failure of a room", || app.service.room_failed(&call)).await;
            });
        }
    }
}

/// The tab behind a media seat; none for WHIP and WHEP, and for seats that were freed.
fn holder(app: &App, seat: &MediaSeat) -> Option<DeviceId> {
    app.live.device(&seat.room, &seat.participant)
}

fn to_seat(app: &App, at: &MediaSeat, event: Realtime, keep: impl FnOnce(&mut super::room::Seat, Realtime)) {
    let device = app.live.rooms.get_mut(&at.room).and_then(|mut room| {
        let seat = room.seats.get_mut(&at.participant)?;
        keep(seat, event.clone());
        Some(seat.device.clone())
    });
    if let Some(session) = device.and_then(|d| app.sessions.of_device(&at.participant, &d)) {
        session.send_realtime(&event);
    }
}
