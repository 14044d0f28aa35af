//! `call_updated` for chat members outside a call: the newest only, at most one a second for each of them and each chat.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::app::App;
use crate::ids::{ChatId, UserId};
use crate::protocol::{CallUpdated, RealtimeBody};
use crate::ws::Realtime;

/// Least time between two updates about one chat to one person.
const PERIOD: Duration = Duration::from_secs(1);

type Key = (UserId, ChatId);

/// What waits, and when each was last told.
#[derive(Default)]
pub(crate) struct Updates {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Key, CallUpdated>,
    told: HashMap<Key, Instant>,
}

impl State {
    /// What may be told now, and when to look again.
    fn due(&mut self, now: Instant) -> (Vec<(UserId, CallUpdated)>, Option<Instant>) {
        self.told.retain(|_, at| now.saturating_duration_since(*at) < PERIOD);
        let ready: Vec<Key> = self
            .waiting
            .keys()
            .filter(|key| !self.told.contains_key(*key))
            .cloned()
            .collect();
        let mut due = Vec::with_capacity(ready.len());
        for key in ready {
            if let Some(update) = self.waiting.remove(&key) {
                due.push((key.0.clone(), update));
                self.told.insert(key, now);
            }
        }
        let next = self
            .waiting
            .keys()
            .filter_map(|key| self.told.get(key))
            .min()
            .map(|at| *at + PERIOD);
        (due, next)
    }
}

impl Updates {
    /// Queues updates, replacing older ones about the same chat.
    pub(crate) fn put(&self, updates: impl Iterator<Item = (UserId, CallUpdated)>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (user, update) in updates {
            state.waiting.insert((user, update.chat_id.clone()), update);
        }
        drop(state);
        self.wake.notify_one();
    }
}

/// Tells updates until the application drains.
pub(super) async fn publish(app: Arc<App>) {
    let mut shutdown = app.shutdown.subscribe();
    loop {
        let (due, next) = app
            .updates
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .due(Instant::now());
        for (user, update) in due {
            app.sessions
                .to_user(&user, &Realtime::new(&RealtimeBody::CallUpdated(update)));
        }
        let wait = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {}
            () = app.updates.wake.notified() => {}
            _ = shutdown.wait_for(|s| *s) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update() -> CallUpdated {
        CallUpdated {
            chat_id: "chat".into(),
            active_call: None,
        }
    }

    #[test]
    fn the_first_update_goes_at_once_and_later_ones_once_a_second_newest_only() {
        let updates = Updates::default();
        let start = Instant::now();
        let due = |now| updates.state.lock().unwrap().due(now);
        updates.put([("ivan".into(), update())].into_iter());
        assert_eq!(due(start).0.len(), 1);
        for _ in 0..5 {
            updates.put([("ivan".into(), update()), ("maria".into(), update())].into_iter());
        }
        let (now, next) = due(start + Duration::from_millis(100));
        assert_eq!(now.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>(), ["maria"]);
        assert_eq!(next, Some(start + PERIOD));
        assert_eq!(due(start + PERIOD).0.len(), 1);
        let (none, next) = due(start + PERIOD * 3);
        assert!(none.is_empty() && next.is_none());
        assert!(
            updates.state.lock().unwrap().told.is_empty(),
            "nothing is kept for ever"
        );
    }
}
