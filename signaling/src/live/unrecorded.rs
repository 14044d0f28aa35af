//! What must be written down although the database is away: it is tried again until it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::app::App;
use crate::media::MediaSeat;
use crate::service::ServiceError;
use crate::store::StoreError;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Tries until the database has it, or refuses it for good, or the server goes down (then the next start sees to it).
pub(crate) async fn until_recorded<F>(app: &App, what: &str, mut attempt: impl FnMut() -> F)
where
    F: Future<Output = Result<(), ServiceError>>,
{
    loop {
        match attempt().await {
            Ok(()) => return,
            Err(ServiceError::Store(StoreError::Unavailable(_) | StoreError::Busy)) if !app.draining() => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, "{what} was not recorded");
                return;
            }
        }
    }
}

/// How a seat's media is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Connected,
    Lost,
    Closed,
}

/// The newest state of each seat's media that is not recorded yet. One task a seat writes it down, so that a database that
/// is slow or away keeps back neither other seats nor what the media plane tells besides.
#[derive(Default)]
pub(crate) struct MediaLinks {
    newest: Mutex<HashMap<MediaSeat, Seen>>,
}

impl MediaLinks {
    /// Notes a state. Returns whether a task must be started to record it.
    fn note(&self, seat: &MediaSeat, seen: Seen) -> bool {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.insert(seat.clone(), seen).is_none()
    }

    fn of(&self, seat: &MediaSeat) -> Option<Seen> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.get(seat).copied()
    }

    /// This state is recorded. Whether it still is the newest: then nothing is left to do.
    fn recorded(&self, seat: &MediaSeat, seen: Seen) -> bool {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let done = newest.get(seat) == Some(&seen);
        if done {
            newest.remove(seat);
        }
        done
    }
}

/// The media plane reports this of a seat.
pub(super) fn media_link(app: &Arc<App>, seat: MediaSeat, seen: Seen) {
    if !app.media_links.note(&seat, seen) {
        return;
    }
    let app = app.clone();
    tokio::spawn(async move {
        let mut seen = seen;
        loop {
            until_recorded(&app, "the state of a media path", || {
                seen = app.media_links.of(&seat).unwrap_or(seen);
                record(&app, &seat, seen)
            })
            .await;
            if app.media_links.recorded(&seat, seen) {
                return;
            }
        }
    });
}

async fn record(app: &App, seat: &MediaSeat, seen: Seen) -> Result<(), ServiceError> {
    let (call, user) = (&seat.room, &seat.participant);
    match seen {
        Seen::Connected => app.service.media_connected(call, user).await,
        Seen::Lost => app.service.media_lost(call, user).await,
        Seen::Closed => app.service.media_failed(call, user).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_state_of_a_seat_is_recorded_last_and_by_one_task() {
        let links = MediaLinks::default();
        let seat = MediaSeat {
            room: "call".into(),
            participant: "ivan".into(),
        };
        assert!(links.note(&seat, Seen::Connected));
        assert!(!links.note(&seat, Seen::Lost), "a task is at it");
        assert!(!links.recorded(&seat, Seen::Connected), "an older state is not the end");
        assert_eq!(links.of(&seat), Some(Seen::Lost));
        assert!(links.recorded(&seat, Seen::Lost));
        assert!(links.note(&seat, Seen::Lost), "the next one needs a task again");
    }
}
