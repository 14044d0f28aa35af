//! What the service tells the rest of the process after a commit.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::calls::{At, Call};
use crate::ids::{CallId, ChatId, DeviceId, UserId};
use crate::protocol::{CallUpdated, MediaSource, RealtimeBody};

/// Messages kept for a receiver that lags behind. One that lags further loses the oldest: outbox hints are healed by
/// its two-second query, live rooms by a fresh roster.
const BUS_CAPACITY: usize = 4096;

/// A point in the life of a call. Transactions of one call commit one after the other, but their messages may come in another
/// order: of two that say how one thing is, the receiver believes the later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which call.
    pub call: CallId,
    /// When it began: of two calls in one chat the later one counts.
    pub created_at: At,
    /// Its revision.
    pub rev: i64,
}

impl Moment {
    /// This call as it is now.
    pub(super) fn of(call: &Call) -> Self {
        Self {
            call: call.id.clone(),
            created_at: call.created_at,
            rev: call.rev,
        }
    }
}

/// A hint or an ephemeral event. Published after the commit, never before; losing one loses no state.
#[derive(Clone, Debug, PartialEq)]
pub enum BusMessage {
    /// These users have new events in their outbox.
    Outbox {
        /// Whose connections should read.
        users: Vec<UserId>,
    },
    /// To all tabs of these users.
    ToUsers {
        /// Of which call, and when in it.
        at: Moment,
        /// Whose.
        users: Vec<UserId>,
        /// What.
        body: RealtimeBody,
    },
    /// To the seats of a call.
    ToCall {
        /// Of which call, and when in it.
        at: Moment,
        /// Not to this one.
        except: Option<UserId>,
        /// What.
        body: RealtimeBody,
    },
    /// `call_updated` for the members of a chat, each with their own part in the call. The receiver keeps only the newest
    /// per (user, chat) and sends at most one a second.
    ChatCall {
        /// Of which call, and when in it.
        at: Moment,
        /// Where.
        chat: ChatId,
        /// To whom what.
        bodies: Vec<(UserId, CallUpdated)>,
    },
    /// This tab does not hold a seat any more: its media must be detached.
    SeatFreed {
        /// Of which call.
        call: CallId,
        /// Whose seat.
        user: UserId,
        /// Which tab had it.
        device: DeviceId,
    },
    /// A moderator muted (or lifted): the media plane must drop (or let through) this source.
    Blocked {
        /// In which call, and when in it.
        at: Moment,
        /// Whose.
        user: UserId,
        /// What.
        source: MediaSource,
        /// true: drop it.
        blocked: bool,
    },
    /// A moderator removed this person: whatever they send or watch besides a seat (WHIP, WHEP) must end.
    Removed {
        /// From which call.
        call: CallId,
        /// Whom.
        user: UserId,
    },
    /// The call is over: its media room must be closed.
    CallOver {
        /// Which.
        call: CallId,
    },
}

/// Where hints go. In this process now; several nodes later.
pub trait Bus: Send + Sync + 'static {
    /// Hands one message on. Must not block.
    fn publish(&self, message: BusMessage);
}

/// The bus of one process.
#[derive(Debug)]
pub struct LocalBus {
    sender: broadcast::Sender<Arc<BusMessage>>,
}

impl LocalBus {
    /// An empty bus.
    pub fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(BUS_CAPACITY),
        }
    }

    /// Everything published from now on, in order.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<BusMessage>> {
        self.sender.subscribe()
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for LocalBus {
    fn publish(&self, message: BusMessage) {
        // Without receivers nobody needs to know.
        let _ = self.sender.send(Arc::new(message));
    }
}
