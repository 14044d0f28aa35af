//! What is only of use for a while: the outbox for pages that come back, answers for commands that are repeated, and, where
//! the operator wants it so, the minute-by-minute record of old calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::db::args;
use super::{Store, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Rows removed in one transaction: it holds no lock for long, and SQLite's only writer neither.
const BATCH: i64 = 2_000;
/// Pause between two transactions, so that commands get their turn.
const BREATH: Duration = Duration::from_millis(20);

const HOUR_MS: i64 = 60 * 60 * 1000;

/// How long things are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Events of the outbox, hours; 0: for ever.
    pub outbox_hours: u32,
    /// Stored results of commands, hours: longer than any client repeats one.
    pub commands_hours: u32,
    /// Rows of `call_events` and `call_quality` of calls that are over, days after it; 0: for ever. Calls and participants stay.
    pub call_events_days: u32,
    /// Between two runs, seconds.
    pub every_seconds: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            outbox_hours: 14 * 24,
            commands_hours: 24,
            call_events_days: 0,
            every_seconds: 3_600,
        }
    }
}

/// Rows that a run removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Of the outbox.
    pub events: u64,
    /// Of the stored commands.
    pub commands: u64,
    /// Of the record of calls.
    pub call_events: u64,
    /// Minutes of connections.
    pub quality: u64,
}

impl Store {
    /// Removes what is older than it is kept, in small transactions.
    ///
    /// # Errors
    /// When the database fails; what was removed before stays removed.
    pub async fn prune(&self, config: &RetentionConfig) -> Result<Pruned> {
        let now = self.db.begin_read().await?.now_ms().await?;
        let mut pruned = Pruned::default();
        if config.outbox_hours > 0 {
            // Within one user's events age follows the sequence, so that this takes a beginning and leaves no hole.
            let sql = "DELETE FROM user_events WHERE (user_id, seq) IN \
                       (SELECT user_id, seq FROM user_events WHERE created_at < ts($1) ORDER BY created_at LIMIT $2)";
            pruned.events = self
                .batches(sql, now - i64::from(config.outbox_hours) * HOUR_MS)
                .await?;
        }
        let sql = "DELETE FROM client_commands WHERE (user_id, command_id) IN (SELECT user_id, command_id \
                   FROM client_commands WHERE created_at < ts($1) ORDER BY created_at LIMIT $2)";
        let hours = i64::from(config.commands_hours.max(1));
        pruned.commands = self.batches(sql, now - hours * HOUR_MS).await?;
        if config.call_events_days > 0 {
            let sql = "DELETE FROM call_events WHERE (call_id, seq) IN (SELECT e.call_id, e.seq FROM call_events e \
                       JOIN calls c ON c.id = e.call_id WHERE e.created_at < ts($1) AND c.ended_at < ts($1) \
                       ORDER BY e.created_at LIMIT $2)";
            let days = i64::from(config.call_events_days);
            pruned.call_events = self.batches(sql, now - days * 24 * HOUR_MS).await?;
            let sql = "DELETE FROM call_quality WHERE (call_id, user_id, minute) IN \
                       (SELECT q.call_id, q.user_id, q.minute FROM call_quality q JOIN calls c ON c.id = q.call_id \
                       WHERE q.minute < ts($1) AND c.ended_at < ts($1) ORDER BY q.minute LIMIT $2)";
            pruned.quality = self.batches(sql, now - days * 24 * HOUR_MS).await?;
        }
        Ok(pruned)
    }

    async fn batches(&self, sql: &'static str, before_ms: i64) -> Result<u64> {
        let mut removed = 0;
        loop {
            let mut tx = self.db.begin().await?;
            tx.allow_erasure().await?;
            let batch = tx.execute(sql, args![before_ms, BATCH]).await?;
            tx.end_erasure().await?;
            tx.commit().await?;
            removed += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(removed);
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Prunes now and again, until `shutdown` is true.
    pub async fn retain(self, config: RetentionConfig, mut shutdown: watch::Receiver<bool>) {
        let period = Duration::from_secs(config.every_seconds.max(1).into());
        while !*shutdown.borrow() {
            match self.prune(&config).await {
                Ok(pruned) if pruned != Pruned::default() => tracing::info!(?pruned, "old rows were removed"),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "old rows could not be removed; it is tried again"),
            }
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                changed = shutdown.changed() => if changed.is_err() { return },
            }
        }
    }
}
