//! Presence: who is online, in a call, or away, told to the people who share a chat.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use crate::app::App;
use crate::http::rfc3339;
use crate::ids::UserId;
use crate::protocol::{Presence, RealtimeBody, UserPresence};
use crate::ws::Realtime;

/// Changes that wait to be told. Told once a period, and only when something is different then: a page reload is not.
#[derive(Default)]
pub(crate) struct Presences {
    changed: Mutex<HashSet<UserId>>,
}

impl Presences {
    /// Something about this user may have changed.
    pub(crate) fn changed(&self, user: &UserId) {
        self.changed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user.clone());
    }

    fn take(&self) -> HashSet<UserId> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What others see of a user now. `last_seen`: epoch milliseconds, if they were ever here.
pub(crate) fn presence_of(app: &App, user: &UserId, last_seen: Option<i64>) -> UserPresence {
    let presence = if app.live.call_of(user).is_some() {
        Presence::InCall
    } else if app.sessions.is_online(user) {
        Presence::Online
    } else {
        Presence::Offline
    };
    let last_seen = last_seen.filter(|_| presence == Presence::Offline);
    let last_seen = last_seen.and_then(|ms| u64::try_from(ms).ok());
    UserPresence {
        user_id: user.clone(),
        presence,
        last_seen: last_seen.map(|ms| rfc3339(UNIX_EPOCH + Duration::from_millis(ms))),
    }
}

/// Tells changes to the people who share a chat, until the application drains.
pub(super) async fn publish(app: Arc<App>) {
    let mut shutdown = app.shutdown.subscribe();
    let period = Duration::from_millis(app.sockets.presence_ms.max(10).into());
    // What was told last. Somebody who is not in it is offline.
    let mut told: HashMap<UserId, Presence> = HashMap::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            _ = shutdown.wait_for(|s| *s) => return,
        }
        for user in app.presences.take() {
            let now = presence_of(&app, &user, None).presence;
            if told.get(&user).copied().unwrap_or(Presence::Offline) == now {
                continue;
            }
            if tell(&app, &user).await.is_err() {
                app.presences.changed(&user);
                continue;
            }
            match now {
                Presence::Offline => told.remove(&user),
                _ => told.insert(user, now),
            };
        }
    }
}

async fn tell(app: &App, user: &UserId) -> Result<(), crate::store::StoreError> {
    let store = app.service.store();
    let seen = store
        .last_seen(std::slice::from_ref(user))
        .await?
        .first()
        .map(|(_, ms)| *ms);
    let contacts = store.contacts(user).await?;
    let event = Realtime::new(&RealtimeBody::Presence(presence_of(app, user, seen)));
    for contact in contacts {
        app.sessions.to_user(&contact, &event);
    }
    Ok(())
}
