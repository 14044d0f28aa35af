//! What is live and not stored: who is connected to which call with which tab, what they send, who sees whom online.
//!
//! Everything here can be lost: after a restart the tabs come back and it grows again from the store.

mod bus;
mod media;
mod networks;
mod order;
mod presence;
mod quality;
mod room;
mod seats;
mod unrecorded;
mod updates;

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::app::App;
use crate::service::BusMessage;

pub(crate) use networks::{Network, Networks};
pub(crate) use presence::{Presences, presence_of};
pub(crate) use quality::Qualities;
pub(crate) use room::Live;
pub(crate) use seats::{enforce_mutes, own_source, publisher_joined, publisher_left, seated, to_call};
pub(crate) use unrecorded::{MediaLinks, until_recorded};
pub(crate) use updates::Updates;

/// Starts the readers of the bus and of the media plane's events, the healing of lost hints, presence and call updates.
/// They end when the application drains.
pub(crate) fn start(app: &Arc<App>, bus: broadcast::Receiver<Arc<BusMessage>>) {
    tokio::spawn(bus::read(app.clone(), bus));
    tokio::spawn(bus::heal(app.clone()));
    tokio::spawn(presence::publish(app.clone()));
    tokio::spawn(updates::publish(app.clone()));
    tokio::spawn(quality::record(app.clone()));
    match app.media.events() {
        Some(events) => {
            tokio::spawn(media::read(app.clone(), events));
        }
        None => tracing::error!("the media plane's events are read by somebody else"),
    }
}
