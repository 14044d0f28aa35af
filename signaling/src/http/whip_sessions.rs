//! WHIP and WHEP sessions: media without a seat. Each ends by DELETE, when its media is gone, or with its call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;

use crate::app::App;
use crate::ids::{CallId, UserId};
use crate::live;
use crate::media::MediaSeat;
use crate::service::ResourceKind;

/// A session whose media does not connect within this is ended.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// A session that has lost its media and does not get it back within this is ended (an ICE restart may come meanwhile).
const RECOVER_WITHIN: Duration = Duration::from_secs(30);

/// One session.
pub(crate) struct WhipSession {
    pub(crate) resource: String,
    pub(crate) kind: ResourceKind,
    /// Its path names this room.
    pub(crate) room: String,
    /// Who may change or end it.
    pub(crate) owner: UserId,
    pub(crate) seat: MediaSeat,
    /// Entity tag of the current ICE session: the server's user fragment.
    pub(crate) etag: std::sync::Mutex<String>,
    /// `a=candidate` lines of the answer; they stay the same over ICE restarts.
    pub(crate) candidates: Vec<String>,
    alive: AtomicBool,
    /// Counts connects and losses, so that an old timer knows that it is old.
    turn: AtomicU64,
}

impl WhipSession {
    pub(crate) fn new(
        resource: String,
        kind: ResourceKind,
        room: String,
        owner: UserId,
        seat: MediaSeat,
        answer: &str,
    ) -> Self {
        let candidates = answer
            .lines()
            .filter(|l| l.starts_with("a=candidate:"))
            .map(str::to_owned);
        let mut candidates: Vec<String> = candidates.collect();
        candidates.sort();
        candidates.dedup();
        let ufrag = answer
            .lines()
            .find_map(|l| l.strip_prefix("a=ice-ufrag:"))
            .unwrap_or_default()
            .trim()
            .to_owned();
        Self {
            resource,
            kind,
            room,
            owner,
            seat,
            etag: std::sync::Mutex::new(ufrag),
            candidates,
            alive: AtomicBool::new(false),
            turn: AtomicU64::new(0),
        }
    }
}

/// All sessions of this process.
#[derive(Default)]
pub(crate) struct WhipSessions {
    by_resource: DashMap<String, Arc<WhipSession>>,
    by_seat: DashMap<MediaSeat, String>,
}

impl WhipSessions {
    /// Notes a new session, and ends it when its media does not connect in time.
    pub(crate) fn add(&self, app: &Arc<App>, session: WhipSession) {
        let session = Arc::new(session);
        self.by_seat.insert(session.seat.clone(), session.resource.clone());
        self.by_resource.insert(session.resource.clone(), session.clone());
        end_later(app, &session, CONNECT_WITHIN);
    }

    pub(crate) fn get(&self, resource: &str) -> Option<Arc<WhipSession>> {
        self.by_resource.get(resource).map(|s| s.clone())
    }

    fn at(&self, seat: &MediaSeat) -> Option<Arc<WhipSession>> {
        let resource = self.by_seat.get(seat)?.clone();
        self.get(&resource)
    }

    /// Media flows.
    pub(crate) fn connected(&self, seat: &MediaSeat) {
        if let Some(session) = self.at(seat) {
            session.alive.store(true, Ordering::Relaxed);
            session.turn.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Media has stopped; it may come back.
    pub(crate) fn lost(&self, app: &Arc<App>, seat: &MediaSeat) {
        if let Some(session) = self.at(seat) {
            session.alive.store(false, Ordering::Relaxed);
            session.turn.fetch_add(1, Ordering::Relaxed);
            end_later(app, &session, RECOVER_WITHIN);
        }
    }

    /// The transport is gone for good.
    pub(crate) fn closed(&self, app: &Arc<App>, seat: &MediaSeat) {
        if let Some(session) = self.at(seat) {
            let app = app.clone();
            tokio::spawn(async move { app.whip.end(&app, &session.resource).await });
        }
    }

    /// The call is over.
    pub(crate) async fn end_call(&self, app: &Arc<App>, call: &CallId) {
        self.end_those(app, |session| session.seat.room == *call).await;
    }

    /// A moderator removed this person from the call.
    pub(crate) async fn remove_from(&self, app: &Arc<App>, call: &CallId, user: &UserId) {
        self.end_those(app, |session| session.seat.room == *call && session.owner == *user)
            .await;
    }

    /// All of them, when the server goes down.
    pub(crate) async fn end_all(&self, app: &Arc<App>) {
        self.end_those(app, |_| true).await;
    }

    async fn end_those(&self, app: &Arc<App>, which: impl Fn(&WhipSession) -> bool) {
        let them = self.by_resource.iter().filter(|s| which(s));
        let them: Vec<String> = them.map(|s| s.resource.clone()).collect();
        for resource in them {
            self.end(app, &resource).await;
        }
    }

    /// Ends a session; ending it twice is nothing.
    pub(crate) async fn end(&self, app: &Arc<App>, resource: &str) {
        let Some((_, session)) = self.by_resource.remove(resource) else {
            return;
        };
        self.by_seat.remove(&session.seat);
        app.media.leave(&session.seat);
        if session.kind == ResourceKind::Publisher {
            live::publisher_left(app, &session.seat.room, &session.seat.participant);
        }
        // A publisher that is not closed on record would keep its call alive for ever.
        live::until_recorded(app, "the end of a session", || app.service.close_resource(resource)).await;
    }
}

fn end_later(app: &Arc<App>, session: &Arc<WhipSession>, after: Duration) {
    let (app, session) = (app.clone(), session.clone());
    let turn = session.turn.load(Ordering::Relaxed);
    tokio::spawn(async move {
        let mut shutdown = app.shutdown.subscribe();
        tokio::select! {
            () = tokio::time::sleep(after) => {}
            _ = shutdown.wait_for(|s| *s) => return,
        }
        if !session.alive.load(Ordering::Relaxed) && session.turn.load(Ordering::Relaxed) == turn {
            tracing::info!(resource = session.resource, "a session without media ends");
            app.whip.end(&app, &session.resource).await;
        }
    });
}
