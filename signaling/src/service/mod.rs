//! The service: one command is one transaction; after the commit only hints are published.

mod bus;
mod error;

use std::sync::Arc;

use crate::calls::CallConfig;
use crate::ids::{CallId, ChatId, CommandId, DeviceId, UserId};
use crate::protocol::{ActiveCall, Command, Event, Roster, Snapshot, UserPresence, WireError};
use crate::store::{CallEventRecord, CallRecord, ParticipantRecord, Store, StoreError};

pub use bus::{Bus, BusMessage, LocalBus};
pub use error::ServiceError;

type Result<T> = std::result::Result<T, ServiceError>;

fn later<T>() -> Result<T> {
    Err(StoreError::Unavailable("not built yet".into()).into())
}

/// Who acts, and from which tab.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// Who.
    pub user: UserId,
    /// Which tab.
    pub device: DeviceId,
}

/// What a seat has lost, or got back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The tab's WebSocket (the hub reports a loss after 12 s without one).
    Socket,
    /// The media path (the media plane reports a loss after 5 s without an authenticated packet).
    Media,
}

/// Kind of a WHIP or WHEP session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// WHIP: keeps a room's call alive.
    Publisher,
    /// WHEP: never does.
    Viewer,
}

/// A call with everything that is on record about it.
#[derive(Clone, Debug)]
pub struct CallDetails {
    /// The call.
    pub call: CallRecord,
    /// Its participants.
    pub participants: Vec<ParticipantRecord>,
    /// What happened, in order.
    pub events: Vec<CallEventRecord>,
}

/// The service. Shared by all connections of the process.
pub struct Service {
    #[allow(dead_code)]
    store: Store,
    #[allow(dead_code)]
    bus: Arc<dyn Bus>,
    config: CallConfig,
    #[allow(dead_code)]
    node: String,
}

#[allow(clippy::unused_async)]
impl Service {
    /// A service over this store. `node` names this process among several and stays the same over its restarts.
    pub fn new(store: Store, bus: Arc<dyn Bus>, config: CallConfig, node: impl Into<String>) -> Self {
        Self {
            store,
            bus,
            config,
            node: node.into(),
        }
    }
    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// Periods and limits.
    pub fn config(&self) -> &CallConfig {
        &self.config
    }
    /// Carries out a durable command and returns the result for `res.d`. A repeated id returns the stored result.
    /// Not for `media_offer`, `intents`, own `mute`/`unmute` and `reaction` (nothing of them is stored): `BAD_REQUEST`.
    pub async fn command(
        &self,
        _actor: &Actor,
        _id: &CommandId,
        _command: Command,
    ) -> std::result::Result<serde_json::Value, WireError> {
        Err(StoreError::Unavailable("not built yet".into()).into())
    }
    /// State for a page that starts. `presence` is asked for everybody who shares a chat with the user.
    pub async fn snapshot(
        &self,
        _user: &UserId,
        _presence: &(dyn Fn(&[UserId]) -> Vec<UserPresence> + Send + Sync),
    ) -> Result<Snapshot> {
        later()
    }
    /// Events of a user's outbox after `seq`, in order, at most `limit`; `ringMsLeft` is computed now.
    pub async fn events_after(&self, _user: &UserId, _seq: u64, _limit: u32) -> Result<Vec<Event>> {
        later()
    }
    /// Sequence of the newest event of a user; 0 when there is none.
    pub async fn last_seq(&self, _user: &UserId) -> Result<u64> {
        later()
    }
    /// Newest sequence of each of these users: the query every 2 s that heals lost hints.
    pub async fn last_seqs(&self, _users: &[UserId]) -> Result<Vec<(UserId, u64)>> {
        later()
    }
    /// The epoch of the database.
    pub async fn epoch(&self) -> Result<u64> {
        later()
    }
    /// Everybody in a live call, those still rung included. Of `sources` only `muted_by` is filled in; what is live
    /// belongs to whoever hears own `mute` and `unmute`.
    pub async fn roster(&self, _call: &CallId) -> Result<Roster> {
        later()
    }
    /// The live call of a chat as this user sees it.
    pub async fn active_call(&self, _user: &UserId, _chat: &ChatId) -> Result<Option<ActiveCall>> {
        later()
    }
    /// Where the user's seat is.
    pub async fn seat_of(&self, _user: &UserId) -> Result<Option<(CallId, DeviceId)>> {
        later()
    }
    /// Users who hold a seat in some call, of these.
    pub async fn in_call(&self, _users: &[UserId]) -> Result<Vec<UserId>> {
        later()
    }
    /// The seat held by this tab, if any, has lost its socket or its media path. Anybody else's loss is nothing.
    pub async fn seat_lost(&self, _actor: &Actor, _what: Link) -> Result<()> {
        later()
    }
    /// It is back.
    pub async fn seat_back(&self, _actor: &Actor, _what: Link) -> Result<()> {
        later()
    }
    /// The media plane reports a DTLS-connected transport for this participant.
    pub async fn media_connected(&self, _call: &CallId, _user: &UserId) -> Result<()> {
        later()
    }
    /// The media plane reports 5 s without an authenticated packet (`Lost`).
    pub async fn media_lost(&self, _call: &CallId, _user: &UserId) -> Result<()> {
        later()
    }
    /// The media plane reports that the transport is gone for good (`Closed`); a new offer is due within T5.
    pub async fn media_failed(&self, _call: &CallId, _user: &UserId) -> Result<()> {
        later()
    }
    /// The media plane reports that a room failed: the call ends as `failed/server_lost`.
    pub async fn room_failed(&self, _call: &CallId) -> Result<()> {
        later()
    }
    /// Opens a WHIP or WHEP session in a room: its call (made by the first publisher) and the session's resource id.
    /// A viewer of a room without a live call gets `NOT_FOUND`.
    pub async fn open_resource(&self, _user: &UserId, _room: &ChatId, _kind: ResourceKind) -> Result<(CallId, String)> {
        later()
    }
    /// Closes it; the last publisher out ends a room's call without seats. Closing twice is nothing.
    pub async fn close_resource(&self, _resource: &str) -> Result<()> {
        later()
    }
    /// A call with participants and events; none when there is no such call.
    pub async fn call_details(&self, _call: &CallId) -> Result<Option<CallDetails>> {
        later()
    }
    /// Calls of a chat (or of all chats), newest first.
    pub async fn calls(&self, _chat: Option<&ChatId>, _limit: u32) -> Result<Vec<CallRecord>> {
        later()
    }
    /// Carries out every deadline that is due. Returns how many calls changed.
    pub async fn sweep(&self) -> Result<u32> {
        later()
    }
    /// Sweeps at the next deadline and at least once a second, and renews this node's lease, until `shutdown` is true.
    pub async fn run(self: Arc<Self>, _shutdown: tokio::sync::watch::Receiver<bool>) {}
    /// After a restart: this node's seats -> `reconnecting`, rings get at least 10 s more, then sweep.
    pub async fn start_up(&self) -> Result<()> {
        later()
    }
}
