//! The service: one command is one transaction; after the commit only hints are published.

mod bus;
mod commands;
mod error;
mod messages;
mod observe;
mod queries;
mod recovery;
mod render;
mod sweep;
#[cfg(test)]
mod tests;
mod unit;
mod whispers;

use std::sync::Arc;
use std::time::Duration;

use crate::calls::CallConfig;
use crate::ids::{CommandId, DeviceId, UserId};
use crate::protocol::{Command, ErrorCode, WireError};
use crate::store::{CallEventRecord, CallRecord, ParticipantRecord, QualityMinute, Store, StoreError};

pub use bus::{Bus, BusMessage, LocalBus, Moment};
pub use error::ServiceError;

type Result<T> = std::result::Result<T, ServiceError>;

/// How long a command may take before it is answered with `UNAVAILABLE`: a little more than waiting for a connection may.
const COMMAND_DEADLINE: Duration = Duration::from_secs(8);
/// How often a transaction that the database refused for a conflict is tried again.
const RETRIES: u32 = 3;
/// Pause before the first retry; it doubles.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

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
    /// How good connections were, by participant and minute.
    pub quality: Vec<QualityMinute>,
}

/// The service. Shared by all connections of the process.
pub struct Service {
    store: Store,
    bus: Arc<dyn Bus>,
    config: CallConfig,
    node: String,
    /// How far a test has set the clock.
    #[cfg(test)]
    skew_ms: std::sync::atomic::AtomicI64,
    /// Where a test has stopped it; 0: it runs.
    #[cfg(test)]
    frozen_ms: std::sync::atomic::AtomicI64,
}

impl Service {
    /// A service over this store. `node` names this process among several and stays the same over its restarts.
    pub fn new(store: Store, bus: Arc<dyn Bus>, config: CallConfig, node: impl Into<String>) -> Self {
        Self {
            store,
            bus,
            config,
            node: node.into(),
            #[cfg(test)]
            skew_ms: std::sync::atomic::AtomicI64::new(0),
            #[cfg(test)]
            frozen_ms: std::sync::atomic::AtomicI64::new(0),
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

    /// Carries out a durable command and returns the result for `res.d`. A repeated id returns the stored answer.
    ///
    /// # Errors
    /// The refusal for `res.err`; a lasting one ([`WireError::lasting`]) is stored. `BAD_REQUEST` for what is not stored: `media_offer`, `intents`, own `mute` and
    /// `unmute`, `reaction`.
    pub async fn command(
        &self,
        actor: &Actor,
        id: &CommandId,
        command: Command,
    ) -> std::result::Result<serde_json::Value, WireError> {
        let attempts = async {
            let refusal = match retrying!(self.attempt(actor, id, &command)) {
                Ok(answer) => return Ok(answer),
                Err(error) => WireError::from(error),
            };
            if !refusal.lasting() {
                return Ok(Err(refusal));
            }
            retrying!(self.stands(actor, id, &command, &refusal))
        };
        within(COMMAND_DEADLINE, attempts).await?
    }

    /// Sets the database's clock forward (or back), for a test of this service.
    #[cfg(test)]
    pub(crate) fn set_forward(&self, ms: i64) {
        self.skew_ms.fetch_add(ms, std::sync::atomic::Ordering::Relaxed);
    }

    /// The database's clock, epoch milliseconds.
    async fn clock_ms(&self, tx: &mut crate::store::db::Tx) -> Result<i64> {
        let now = tx.now_ms().await?;
        #[cfg(test)]
        let now = match self.frozen_ms.load(std::sync::atomic::Ordering::Relaxed) {
            0 => now + self.skew_ms.load(std::sync::atomic::Ordering::Relaxed),
            frozen => frozen,
        };
        Ok(now)
    }
}

/// What a database that does not answer in time does not do; its transaction is rolled back, or was committed and a repeat
/// of the command finds its result.
async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || StoreError::Unavailable(format!("no answer within {deadline:?}")).into();
    tokio::time::timeout(deadline, work)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// Tries a transaction again after a serialization failure or a deadlock, and after losing a race for a unique index: the
/// next attempt sees what the winner wrote and decides by it.
struct Retry {
    left: u32,
    pause: Duration,
}

impl Retry {
    fn new() -> Self {
        Self {
            left: RETRIES,
            pause: RETRY_PAUSE,
        }
    }

    /// The result, unless another attempt is worth making.
    async fn over<T>(&mut self, result: Result<T>) -> Option<Result<T>> {
        match result {
            Err(ServiceError::Store(StoreError::Busy | StoreError::Exists(_))) if self.left > 0 => {
                self.left -= 1;
                tokio::time::sleep(self.pause).await;
                self.pause *= 2;
                None
            }
            Err(ServiceError::Store(StoreError::Exists(index))) if is_seat_index(&index) => {
                Some(Err(
                    WireError::new(ErrorCode::BusySelf, "you are in another call").into()
                ))
            }
            done => Some(done),
        }
    }
}

/// Runs a transaction (an async expression) until [`Retry`] is content. A macro, because a closure that lends its
/// captures to a future makes futures that the compiler cannot see to be `Send`.
macro_rules! retrying {
    ($attempt:expr) => {{
        let mut retry = $crate::service::Retry::new();
        loop {
            if let Some(done) = retry.over($attempt.await).await {
                break done;
            }
        }
    }};
}
use retrying;

/// Postgres names the index, SQLite the column.
fn is_seat_index(name: &str) -> bool {
    name.contains("call_participants_one_seat") || name.contains("call_participants.user_id")
}
