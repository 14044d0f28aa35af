//! How good connections were, minute by minute.

use super::db::args;
use super::words::{parse_opt, word};
use super::{QualityMinute, Store, StoreError};
use crate::ids::CallId;

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// Writes minutes of connections. A minute that is there already (its participant was away in it) is added to; one of
    /// somebody who is not on record in the call, because they were erased meanwhile, is left out.
    ///
    /// # Errors
    /// When the database fails; nothing is written then.
    pub(crate) async fn add_quality(&self, minutes: &[QualityMinute]) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for minute in minutes {
            let reason = minute.reason.as_ref().map(word).transpose()?;
            tx.execute(
                "INSERT INTO call_quality (call_id, user_id, minute, good_ms, fair_ms, poor_ms, bad_ms, reason) \
                 SELECT call_id, user_id, ts($3), $4, $5, $6, $7, $8 FROM call_participants \
                 WHERE call_id = $1 AND user_id = $2 \
                 ON CONFLICT (call_id, user_id, minute) DO UPDATE SET \
                 good_ms = call_quality.good_ms + excluded.good_ms, fair_ms = call_quality.fair_ms + excluded.fair_ms, \
                 poor_ms = call_quality.poor_ms + excluded.poor_ms, bad_ms = call_quality.bad_ms + excluded.bad_ms, \
                 reason = COALESCE(excluded.reason, call_quality.reason)",
                args![
                    minute.call.as_str(),
                    minute.user.as_str(),
                    minute.minute_ms,
                    i64::from(minute.ms[3]),
                    i64::from(minute.ms[2]),
                    i64::from(minute.ms[1]),
                    i64::from(minute.ms[0]),
                    reason
                ],
            )
            .await?;
        }
        tx.commit().await
    }

    /// The minutes of a call, by participant and time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quality(&self, call: &CallId) -> Result<Vec<QualityMinute>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT user_id, ms(minute) AS minute_ms, good_ms, fair_ms, poor_ms, bad_ms, reason \
                 FROM call_quality WHERE call_id = $1 ORDER BY user_id, minute",
                args![call.as_str()],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let ms = |column| Ok::<_, StoreError>(u32::try_from(row.int(column)?).unwrap_or_default());
                Ok(QualityMinute {
                    call: call.clone(),
                    user: row.text("user_id")?.into(),
                    minute_ms: row.int("minute_ms")?,
                    ms: [ms("bad_ms")?, ms("poor_ms")?, ms("fair_ms")?, ms("good_ms")?],
                    reason: parse_opt("reason", row.opt_text("reason")?)?,
                })
            })
            .collect()
    }
}
