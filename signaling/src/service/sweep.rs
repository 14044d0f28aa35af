//! Time: deadlines, leases, and what a restart leaves behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::unit::{Opened, Unit};
use super::{Result, Service, retrying};
use crate::calls::Input;
use crate::ids::{CallId, UserId};
use crate::store::calls::{chat_of_call, load};
use crate::store::chats::lock_chat_if_free;
use crate::store::db::args;

/// Longest time between two sweeps: what a command adds in between is due later than this, or late by as much.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// Shortest, when something is due already but another process has it locked.
const SHORTEST_NAP: Duration = Duration::from_millis(20);
/// Calls looked at by one sweep; the rest is due again at once.
const SWEEP_BATCH: i64 = 200;
/// Stored results of commands are kept this long, ms: far longer than a client repeats one.
const KEEP_COMMANDS_MS: i64 = 24 * 60 * 60 * 1000;
/// Leases are renewed and old commands removed this often within a lease.
const RENEWALS_PER_LEASE: u32 = 3;

impl Service {
    /// Carries out every deadline that is due, one call per transaction. Returns how many calls changed.
    ///
    /// # Errors
    /// When the database fails; what was done before stays done.
    pub async fn sweep(&self) -> Result<u32> {
        let mut tx = self.store.db.begin_read().await?;
        let now = tx.now_ms().await?;
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
        while !*shutdown.borrow() {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "the sweep failed; it is tried again");
            }
            if tokio::time::Instant::now() >= renew_at {
                renew_at = tokio::time::Instant::now() + renewal;
                if let Err(error) = self.renew().await {
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
            let now = tx.now_ms().await?;
            let sql = "SELECT MIN(ms(next_deadline)) AS at FROM calls WHERE next_deadline IS NOT NULL";
            let at = match tx.fetch_optional(sql, args![]).await? {
                Some(row) => row.opt_int("at")?,
                None => None,
            };
            Ok::<_, crate::store::StoreError>(at.map(|at| at - now))
        };
        match due.await {
            Ok(Some(ms)) => Duration::from_millis(u64::try_from(ms).unwrap_or(0)).clamp(SHORTEST_NAP, LONGEST_NAP),
            _ => LONGEST_NAP,
        }
    }

    /// Renews this node's claim on its calls, seats and sessions, and forgets old commands.
    async fn renew(&self) -> Result<()> {
        let mut tx = self.store.db.begin().await?;
        let now = tx.now_ms().await?;
        let until = now + i64::from(self.config.lease_ms);
        for sql in [
            "UPDATE calls SET lease_until = ts($2) WHERE node_id = $1",
            "UPDATE call_participants SET lease_until = ts($2) WHERE node_id = $1",
            "UPDATE call_resources SET lease_until = ts($2) WHERE node_id = $1 AND ended_at IS NULL",
        ] {
            tx.execute(sql, args![self.node.as_str(), until]).await?;
        }
        tx.execute(
            "DELETE FROM client_commands WHERE created_at < ts($1)",
            args![now - KEEP_COMMANDS_MS],
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// After a restart of this node: its WHIP and WHEP sessions are gone, its seats are `reconnecting`, rings get at least
    /// `restart_ring_ms` more. Then what is due is carried out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_up(&self) -> Result<()> {
        let rows = self
            .store
            .db
            .fetch_all(
                "SELECT id FROM call_resources WHERE node_id = $1 AND ended_at IS NULL",
                args![self.node.as_str()],
            )
            .await?;
        for row in &rows {
            self.close_resource(&row.text("id")?).await?;
        }
        let rows = self
            .store
            .db
            .fetch_all(
                "SELECT id FROM calls WHERE node_id = $1 AND status IN ('ringing', 'ongoing') \
                 UNION SELECT call_id FROM call_participants WHERE node_id = $1",
                args![self.node.as_str()],
            )
            .await?;
        for row in &rows {
            let call = CallId(row.text("id")?);
            let seats = self
                .store
                .db
                .fetch_all(
                    "SELECT user_id FROM call_participants WHERE node_id = $1 AND call_id = $2",
                    args![self.node.as_str(), call.as_str()],
                )
                .await?;
            let seats = seats
                .iter()
                .map(|row| row.text("user_id").map(UserId))
                .collect::<std::result::Result<_, _>>()?;
            self.observe(&call, &Input::Restart(seats)).await?;
        }
        self.sweep().await?;
        Ok(())
    }
}
