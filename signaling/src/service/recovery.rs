//! What a restart, another node's end, an outage of the database and a jump of its clock leave behind.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::unit::Unit;
use super::{Result, Service, retrying};
use crate::calls::Input;
use crate::ids::{CallId, UserId};
use crate::store::db::args;

/// The database's clock may differ by this much from what passed here before it counts as a jump, ms: more than an answer
/// takes, less than anybody notices of a ring.
const JUMP_MS: i64 = 2_000;
/// Not having asked the database for this long counts as an outage: this process or its host stood still.
const GAP: Duration = Duration::from_secs(15);

/// Compares the database's clock with the monotonic one of this machine.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last: Option<(Instant, i64)>,
    failed: bool,
}

impl ClockWatch {
    /// The database did not answer.
    pub(super) fn failed(&mut self) {
        self.failed = true;
    }

    /// The database's clock says `clock_ms` now. Whether deadlines must be set right, and how far the clock jumped.
    fn see(&mut self, now: Instant, clock_ms: i64) -> Option<i64> {
        let failed = std::mem::take(&mut self.failed);
        let (then, before_ms) = self.last.replace((now, clock_ms))?;
        let passed = now.saturating_duration_since(then);
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let jump = clock_ms.saturating_sub(before_ms).saturating_sub(passed_ms);
        if jump.saturating_abs() > JUMP_MS {
            Some(jump)
        } else if failed || passed > GAP {
            Some(0)
        } else {
            None
        }
    }
}

impl Service {
    /// Looks at the database's clock, and sets the deadlines of this node's calls right when it jumped or was not to be
    /// had for a while.
    pub(super) async fn check_clock(&self, clock: &mut ClockWatch) -> Result<()> {
        let mut tx = self.store.db.begin_read().await?;
        let now = self.clock_ms(&mut tx).await?;
        drop(tx);
        let Some(jump_ms) = clock.see(Instant::now(), now) else {
            return Ok(());
        };
        tracing::warn!(
            jump_ms,
            "the database was away or its clock was set; deadlines are set right"
        );
        // Until all of it is done: a failure here means that the database is away again.
        clock.failed();
        let rows = self
            .store
            .db
            .fetch_all(
                "SELECT id FROM calls WHERE node_id = $1 AND status IN ('ringing', 'ongoing')",
                args![self.node.as_str()],
            )
            .await?;
        for row in &rows {
            self.observe(&CallId(row.text("id")?), &Input::Resync { jump_ms })
                .await?;
        }
        clock.failed = false;
        Ok(())
    }

    /// Takes over what another node has not renewed its claim on for a whole further lease: it has ended, and its tabs
    /// will come back here. Nothing of this node's own is touched.
    pub(super) async fn take_over(&self) -> Result<()> {
        let mut tx = self.store.db.begin_read().await?;
        let now = self.clock_ms(&mut tx).await?;
        let dead = now - i64::from(self.config.lease_ms);
        let rows = tx
            .fetch_all(
                "SELECT id FROM calls WHERE node_id IS NOT NULL AND node_id <> $1 AND lease_until < ts($2) \
                 UNION SELECT call_id FROM call_participants \
                 WHERE node_id IS NOT NULL AND node_id <> $1 AND lease_until < ts($2) \
                 UNION SELECT call_id FROM call_resources \
                 WHERE ended_at IS NULL AND node_id <> $1 AND lease_until < ts($2)",
                args![self.node.as_str(), dead],
            )
            .await?;
        drop(tx);
        for row in &rows {
            let call = CallId(row.text("id")?);
            tracing::warn!(%call, "a node is gone; its call is taken over");
            retrying!(self.adopt(&call, dead))?;
        }
        Ok(())
    }

    /// One call of a node that is gone: its sessions end, its seats are `reconnecting`, the call is this node's.
    async fn adopt(&self, id: &CallId, dead: i64) -> Result<()> {
        let mut unit = Unit::begin(self).await?;
        unit.lock_chats_of(&BTreeSet::from([id.clone()])).await?;
        let now = unit.now().await?;
        let (node, until) = (self.node.as_str(), now.plus_ms(self.config.lease_ms).0);
        unit.tx
            .execute(
                "UPDATE call_resources SET ended_at = ts($4) \
                 WHERE call_id = $1 AND ended_at IS NULL AND node_id <> $2 AND lease_until < ts($3)",
                args![id.as_str(), node, dead, now.0],
            )
            .await?;
        let seats = unit
            .tx
            .fetch_all(
                "SELECT user_id FROM call_participants \
                 WHERE call_id = $1 AND node_id IS NOT NULL AND node_id <> $2 AND lease_until < ts($3)",
                args![id.as_str(), node, dead],
            )
            .await?;
        let seats = seats.iter().map(|row| row.text("user_id").map(UserId));
        let seats = seats.collect::<std::result::Result<Vec<_>, _>>()?;
        for sql in [
            "UPDATE calls SET node_id = $2, lease_until = ts($4) \
             WHERE id = $1 AND node_id IS NOT NULL AND node_id <> $2 AND lease_until < ts($3)",
            "UPDATE call_participants SET node_id = $2, lease_until = ts($4) \
             WHERE call_id = $1 AND node_id IS NOT NULL AND node_id <> $2 AND lease_until < ts($3)",
        ] {
            unit.tx.execute(sql, args![id.as_str(), node, dead, until]).await?;
        }
        if let Some(opened) = unit.open_one(id).await? {
            self.decide(&mut unit, opened, &Input::Restart(seats), now).await?;
        }
        if let Some(opened) = unit.open_one(id).await? {
            self.decide(&mut unit, opened, &Input::Publishers, now).await?;
        }
        unit.commit().await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_an_outage_and_a_standstill_are_seen_and_passing_time_is_not() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut clock = ClockWatch::default();
        assert_eq!(clock.see(start, 1_000_000), None, "nothing to compare with");
        assert_eq!(clock.see(start + second, 1_001_300), None);
        assert_eq!(clock.see(start + 2 * second, 4_602_300), Some(3_600_000));
        assert_eq!(clock.see(start + 3 * second, 1_003_300), Some(-3_600_000));
        clock.failed();
        assert_eq!(clock.see(start + 4 * second, 1_004_300), Some(0));
        assert_eq!(clock.see(start + 5 * second, 1_005_300), None);
        assert_eq!(clock.see(start + 30 * second, 1_030_300), Some(0));
    }
}
