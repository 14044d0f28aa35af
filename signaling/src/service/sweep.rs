//! Time: deadlines and leases.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::recovery::ClockWatch;
use super::unit::{Opened, Unit};
use super::{Result, Service, retrying, within};
use crate::calls::Input;
use crate::ids::CallId;
use crate::store::calls::{chat_of_call, load};
use crate::store::chats::lock_chat_if_free;
use crate::store::db::args;

/// Longest time between two sweeps: what a command adds in between is due later than this, or late by as much.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// Shortest, when something is due already but another process has it locked.
const SHORTEST_NAP: Duration = Duration::from_millis(20);
/// Calls looked at by one sweep; the rest is due again at once.
const SWEEP_BATCH: i64 = 200;
/// What the sweep does in one go may take this long; the rest is done when the database answers again.
const SWEEP_DEADLINE: Duration = Duration::from_secs(10);
/// Leases are renewed this often within a lease.
const RENEWALS_PER_LEASE: u32 = 3;

impl Service {
    /// Carries out every deadline that is due, one call per transaction. Returns how many calls changed.
    ///
    /// # Errors
    /// When the database fails; what was done before stays done.
    pub async fn sweep(&self) -> Result<u32> {
        let mut tx = self.store.db.begin_read().await?;
        let now = self.clock_ms(&mut tx).await?;
        let rows = tx
            .fetch_all(
                "SELECT id FROM calls WHERE next_deadline <= ts($1) ORDER BY next_deadline LIMIT $2",
                args![now, SWEEP_BATCH],
            )
            .await?;
        let due = rows
            .iter()
            .map(|row| row.text("id").map(CallId))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        drop((rows, tx));
        let mut changed = 0;
        for call in due {
            if retrying!(self.tick(&call))? {
                changed += 1;
            }
        }
        Ok(changed)
    }

    /// One call's deadlines. Skipped when somebody works on its chat: that command, or the next sweep, sees to it.
    async fn tick(&self, id: &CallId) -> Result<bool> {
        let mut unit = Unit::begin(self).await?;
        let Some(chat) = chat_of_call(&mut unit.tx, id).await? else {
            return Ok(false);
        };
        let Some(chat) = lock_chat_if_free(&mut unit.tx, &chat).await? else {
            return Ok(false);
        };
        let Some(call) = load(&mut unit.tx, id).await? else {
            return Ok(false);
        };
        let now = unit.now().await?;
        let rev = call.rev;
        let opened = Opened { chat, call };
        let (call, _) = self.decide(&mut unit, opened, &Input::Tick, now).await?;
        unit.commit().await?;
        Ok(call.rev != rev)
    }

    /// Sweeps at the next deadline and at least once a second, and renews this node's leases, until `shutdown` is true.
    pub async fn run(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let renewal = Duration::from_millis(u64::from(self.config.lease_ms / RENEWALS_PER_LEASE).max(1));
        let mut renew_at = tokio::time::Instant::now();
        let mut clock = ClockWatch::default();
        while !*shutdown.borrow() {
            let swept = within(SWEEP_DEADLINE, async {
                self.check_clock(&mut clock).await?;
                self.sweep().await
            });
            if let Err(error) = swept.await {
                clock.failed();
                tracing::warn!(%error, "the sweep failed; it is tried again");
            }
            if tokio::time::Instant::now() >= renew_at {
                renew_at = tokio::time::Instant::now() + renewal;
                if let Err(error) = within(SWEEP_DEADLINE, self.keep_claims()).await {
                    tracing::warn!(%error, "the lease could not be renewed; it is tried again");
                }
            }
            let nap = self.nap().await;
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                changed = shutdown.changed() => if changed.is_err() { return },
            }
        }
    }

    /// How long nothing is due.
    async fn nap(&self) -> Duration {
        let due = async {
            let mut tx = self.store.db.begin_read().await?;
            let now = self.clock_ms(&mut tx).await?;
            let sql = "SELECT MIN(ms(next_deadline)) AS at FROM calls WHERE next_deadline IS NOT NULL";
            let at = match tx.fetch_optional(sql, args![]).await? {
                Some(row) => row.opt_int("at")?,
                None => None,
            };
            Ok::<_, super::ServiceError>(at.map(|at| at - now))
        };
        match due.await {
            Ok(Some(ms)) => Duration::from_millis(u64::try_from(ms).unwrap_or(0)).clamp(SHORTEST_NAP, LONGEST_NAP),
            _ => LONGEST_NAP,
        }
    }

    async fn keep_claims(&self) -> Result<()> {
        retrying!(self.renew())?;
        self.take_over().await
    }

    /// Renews this node's claim on its calls, seats and sessions.
    pub(super) async fn renew(&self) -> Result<()> {
        let mut tx = self.store.db.begin().await?;
        let now = self.clock_ms(&mut tx).await?;
        let until = now + i64::from(self.config.lease_ms);
        for sql in [
            "UPDATE calls SET lease_until = ts($2) WHERE node_id = $1",
            "UPDATE call_participants SET lease_until = ts($2) WHERE node_id = $1",
            "UPDATE call_resources SET lease_until = ts($2) WHERE node_id = $1 AND ended_at IS NULL",
        ] {
            tx.execute(sql, args![self.node.as_str(), until]).await?;
        }
        Ok(tx.commit().await?)
    }
}
