//! Who is connected: one [`Session`] per WebSocket, and the [`Registry`] of all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, watch};

use crate::auth::{Claims, unix_now};
use crate::ids::{DeviceId, UserId};
use crate::live::Network;
use crate::protocol::{MediaWay, RealtimeBody, ServerFrame, close};

/// A token's end is by the clock of the day, which may be set: it is looked at this often.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Why a connection is closed by the server: code and a reason for developers.
pub(crate) type Closing = (u16, &'static str);

/// A frame on its way to one connection.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// Complete JSON.
    Text(String),
    /// An ephemeral event without its number, which the connection adds.
    Realtime(Realtime),
}

/// An ephemeral event, serialised once for however many receivers.
#[derive(Clone, Debug)]
pub(crate) struct Realtime(Arc<str>);

impl Realtime {
    /// Serialises `op` and `d`.
    pub(crate) fn new(body: &RealtimeBody) -> Self {
        // These types have string keys and finite numbers only, so serialising cannot fail; an empty object would be
        // ignored by the client.
        let json = serde_json::to_string(body).unwrap_or_else(|_| "{}".into());
        Self(json.strip_prefix('{').unwrap_or("}").into())
    }

    /// The frame, with its number in this connection.
    pub(crate) fn frame(&self, n: u64) -> String {
        format!(r#"{{"t":"rt","n":{n},{}"#, self.0)
    }
}

/// One connection of one tab.
pub(crate) struct Session {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// What the token allows.
    pub(crate) claims: Claims,
    /// Where it comes from, and what it was told of the ways of media there.
    pub(crate) network: Network,
    pub(crate) ways: [MediaWay; 3],
    /// Told when the user's outbox may hold more than `sent`.
    pub(crate) outbox: Notify,
    /// Sequence of the last durable event written to this connection.
    pub(crate) sent: AtomicU64,
    /// The replay is not over yet: `resumed` must follow its last event.
    pub(crate) owes_resumed: AtomicBool,
    /// Pings without an answer.
    pub(crate) unanswered: AtomicU32,
    /// Whether this tab holds a seat: pings come more often then.
    pub(crate) in_call: AtomicBool,
    /// Whether this tab got on a waiting list: its end is looked after as that of a seat is.
    pub(crate) waits: AtomicBool,
    /// Until when the token is good, seconds since 1970; a later one of the same person moves it.
    expires: watch::Sender<u64>,
    queue: mpsc::Sender<Outgoing>,
    closing: watch::Sender<Option<Closing>>,
}

impl Session {
    /// A session and the queue that its writer reads.
    pub(crate) fn new(
        user: UserId,
        device: DeviceId,
        claims: Claims,
        (network, ways): (Network, [MediaWay; 3]),
        capacity: u32,
    ) -> (Arc<Self>, mpsc::Receiver<Outgoing>) {
        let (queue, receiver) = mpsc::channel(capacity.max(8) as usize);
        let expires = watch::Sender::new(claims.exp);
        let session = Self {
            user,
            device,
            claims,
            network,
            ways,
            expires,
            outbox: Notify::new(),
            sent: AtomicU64::new(0),
            owes_resumed: AtomicBool::new(false),
            unanswered: AtomicU32::new(0),
            in_call: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            queue,
            closing: watch::Sender::new(None),
        };
        (Arc::new(session), receiver)
    }

    /// Queues a frame. When the queue is full the reader is too slow to keep: the connection is closed and the tab
    /// resumes when it can.
    pub(crate) fn send(&self, frame: Outgoing) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(frame) {
            self.close((close::FLOOD, "too slow: frames piled up"));
        }
    }

    /// Queues any server frame.
    pub(crate) fn send_frame(&self, frame: &ServerFrame) {
        self.send_json(frame);
    }

    pub(crate) fn send_json(&self, frame: &impl Serialize) {
        match serde_json::to_string(frame) {
            Ok(json) => self.send(Outgoing::Text(json)),
            Err(error) => tracing::error!(%error, "a frame cannot be serialised"),
        }
    }

    /// Queues an ephemeral event.
    pub(crate) fn send_realtime(&self, event: &Realtime) {
        self.send(Outgoing::Realtime(event.clone()));
    }

    /// The token was renewed.
    pub(crate) fn renew(&self, until: u64) {
        self.expires.send_replace(until);
    }

    /// Completes when the token is good no more.
    pub(crate) async fn expired(&self) {
        let mut expires = self.expires.subscribe();
        loop {
            let left = expires.borrow_and_update().saturating_sub(unix_now());
            if left == 0 {
                return;
            }
            let left = Duration::from_secs(left).min(LONGEST_NAP);
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = expires.changed() => {}
            }
        }
    }

    /// Asks both halves of the connection to end; the first reason stays.
    pub(crate) fn close(&self, reason: Closing) {
        self.closing.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(reason);
            }
            first
        });
    }

    /// Completes when the connection is to end.
    pub(crate) async fn closed(&self) -> Closing {
        let mut closing = self.closing.subscribe();
        match closing.wait_for(Option::is_some).await {
            Ok(reason) => (*reason).unwrap_or((close::PROTOCOL, "closed")),
            Err(_) => (close::PROTOCOL, "closed"),
        }
    }

    /// The reason, once it is to end.
    #[cfg(test)]
    fn closing(&self) -> Option<Closing> {
        *self.closing.borrow()
    }
}

/// All connections of this process.
#[derive(Default)]
pub(crate) struct Registry {
    by_user: DashMap<UserId, Vec<Arc<Session>>>,
}

impl Registry {
    /// Adds a connection; an older one of the same tab is closed with 4409. Returns whether the user was away.
    pub(crate) fn add(&self, session: &Arc<Session>) -> bool {
        let mut sessions = self.by_user.entry(session.user.clone()).or_default();
        let was_away = sessions.is_empty();
        sessions.retain(|old| {
            let same = old.device == session.device;
            if same {
                old.close((close::REPLACED, "this tab connected again"));
            }
            !same
        });
        sessions.push(session.clone());
        was_away
    }

    /// Removes a connection; one that was replaced before is not there any more. Returns whether the user is away now.
    pub(crate) fn remove(&self, session: &Arc<Session>) -> bool {
        if let Some(mut sessions) = self.by_user.get_mut(&session.user) {
            sessions.retain(|s| !Arc::ptr_eq(s, session));
        }
        self.by_user
            .remove_if(&session.user, |_, sessions| sessions.is_empty())
            .is_some()
    }

    /// The connections of a user.
    pub(crate) fn of_user(&self, user: &UserId) -> Vec<Arc<Session>> {
        self.by_user.get(user).map(|s| s.value().clone()).unwrap_or_default()
    }

    /// The connection of a tab.
    pub(crate) fn of_device(&self, user: &UserId, device: &DeviceId) -> Option<Arc<Session>> {
        self.by_user.get(user)?.iter().find(|s| s.device == *device).cloned()
    }

    /// Whether any tab of the user is connected.
    pub(crate) fn is_online(&self, user: &UserId) -> bool {
        self.by_user.contains_key(user)
    }

    /// Everybody connected, each with the least that any of their connections has been sent.
    pub(crate) fn progress(&self) -> Vec<(UserId, u64)> {
        let sent = |s: &Arc<Session>| s.sent.load(Ordering::Relaxed);
        self.by_user
            .iter()
            .map(|e| (e.key().clone(), e.value().iter().map(sent).min().unwrap_or(0)))
            .collect()
    }

    /// Lets the connections of these users read their outbox.
    pub(crate) fn wake(&self, users: &[UserId]) {
        for session in users.iter().flat_map(|u| self.of_user(u)) {
            session.outbox.notify_one();
        }
    }

    /// To all tabs of a user.
    pub(crate) fn to_user(&self, user: &UserId, event: &Realtime) {
        for session in self.of_user(user) {
            session.send_realtime(event);
        }
    }

    /// All connections.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.by_user.iter().flat_map(|e| e.value().clone()).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::protocol::Speakers;

    pub(in crate::ws) fn session(user: &str, device: &str, capacity: u32) -> (Arc<Session>, mpsc::Receiver<Outgoing>) {
        let claims = Claims::new(user.into(), Duration::from_secs(60));
        let from = Network::from(std::net::IpAddr::from([203, 0, 113, 7]));
        let ways = crate::live::Networks::default().ways(from, std::time::Instant::now());
        Session::new(user.into(), device.into(), claims, (from, ways), capacity)
    }

    #[test]
    fn the_same_tab_again_replaces_the_old_connection_and_another_tab_does_not() {
        let registry = Registry::default();
        let (first, _r1) = session("ivan", "a", 8);
        let (again, _r2) = session("ivan", "a", 8);
        let (other, _r3) = session("ivan", "b", 8);
        assert!(registry.add(&first));
        assert!(!registry.add(&other));
        assert!(!registry.add(&again));
        assert_eq!(first.closing().map(|c| c.0), Some(close::REPLACED));
        assert_eq!(other.closing(), None);
        assert!(!registry.remove(&first), "a replaced connection takes nobody offline");
        assert!(!registry.remove(&again));
        assert!(registry.remove(&other));
        assert!(!registry.is_online(&"ivan".into()));
    }

    #[test]
    fn a_reader_too_slow_to_keep_is_closed_with_4429() {
        let (slow, _receiver) = session("ivan", "a", 8);
        let event = Realtime::new(&RealtimeBody::Speakers(Speakers {
            call_id: "c".into(),
            users: vec![],
        }));
        for _ in 0..8 {
            slow.send_realtime(&event);
        }
        assert_eq!(slow.closing(), None);
        slow.send_realtime(&event);
        assert_eq!(slow.closing().map(|c| c.0), Some(close::FLOOD));
    }

    #[test]
    fn an_ephemeral_frame_is_what_the_protocol_says() {
        let body = RealtimeBody::Speakers(Speakers {
            call_id: "c".into(),
            users: vec!["u".into()],
        });
        let frame: ServerFrame = serde_json::from_str(&Realtime::new(&body).frame(7)).unwrap();
        let ServerFrame::Rt(rt) = frame else {
            panic!("not rt: {frame:?}")
        };
        assert_eq!((rt.op.as_str(), rt.n), ("speakers", 7));
        assert_eq!(rt.d, serde_json::json!({"callId": "c", "users": ["u"]}));
    }
}
