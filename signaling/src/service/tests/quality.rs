//! How good connections were: what is written of it, what is shown, how long it stays.

use super::*;
use crate::protocol::QualityReason;
use crate::store::{QualityMinute, RetentionConfig};

const MINUTE: i64 = 60_000;

fn minute(call: &CallId, user: &UserId, n: i64, ms: [u32; 4], reason: Option<QualityReason>) -> QualityMinute {
    QualityMinute {
        call: call.clone(),
        user: user.clone(),
        minute_ms: (29_000_000 + n) * MINUTE,
        ms,
        reason,
    }
}

both! {
    async fn minutes_are_kept_by_participant_and_one_in_which_somebody_came_back_is_added_to(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        let loss = Some(QualityReason::Loss);
        let rows = [
            minute(&call, &anna.user, 0, [0, 0, 0, 60_000], None),
            minute(&call, &anna.user, 1, [1_000, 2_000, 3_000, 4_000], loss),
            minute(&call, &boris.user, 0, [0, 0, 0, 30_000], None),
        ];
        house.store().add_quality(&rows).await.unwrap();
        house.store().add_quality(&[minute(&call, &anna.user, 1, [0, 0, 500, 10_000], None)]).await.unwrap();
        let details = house.service.call_details(&call).await.unwrap().unwrap();
        let found: Vec<_> = details.quality.iter().map(|m| (m.user.as_str(), m.ms, m.reason)).collect();
        assert_eq!(found, [
            ("anna", [0, 0, 0, 60_000], None),
            ("anna", [1_000, 2_000, 3_500, 14_000], loss),
            ("boris", [0, 0, 0, 30_000], None),
        ]);
        let nobody = minute(&call, &"nobody".into(), 0, [0, 0, 0, 1], None);
        house.store().add_quality(&[nobody]).await.unwrap();
        assert_eq!(house.store().quality(&call).await.unwrap().len(), 3, "of who is not in the call nothing is kept");
    }

    async fn they_go_with_the_record_of_the_call_and_stay_nameless_when_somebody_is_erased(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        let rows = [
            minute(&call, &anna.user, 0, [0, 0, 0, 60_000], None),
            minute(&call, &boris.user, 0, [60_000, 0, 0, 0], Some(QualityReason::Lost)),
        ];
        house.store().add_quality(&rows).await.unwrap();
        let export = house.store().export_user(&boris.user).await.unwrap().unwrap();
        assert_eq!(export["quality"][0]["badMs"], 60_000);
        assert_eq!(export["quality"].as_array().unwrap().len(), 1);
        house.ok(&anna, end(&call)).await;
        let left = house.store().erase_user(&boris.user).await.unwrap().unwrap();
        let users: Vec<UserId> = house.store().quality(&call).await.unwrap().into_iter().map(|m| m.user).collect();
        assert_eq!(users.len(), 2);
        assert!(users.contains(&left) && !users.contains(&boris.user));
        let week = RetentionConfig { call_events_days: 7, ..RetentionConfig::default() };
        assert_eq!(house.store().prune(&week).await.unwrap().quality, 0, "the call is not that old");
        let mut tx = house.store().db.begin().await.unwrap();
        tx.execute(match house.store().is_sqlite() {
            true => "UPDATE calls SET created_at = created_at - 864000000, started_at = started_at - 864000000, \
                     ended_at = ended_at - 864000000",
            false => "UPDATE calls SET created_at = created_at - INTERVAL '10 days', \
                      started_at = started_at - INTERVAL '10 days', ended_at = ended_at - INTERVAL '10 days'",
        }, vec![]).await.unwrap();
        tx.commit().await.unwrap();
        let forever = RetentionConfig::default();
        assert_eq!(house.store().prune(&forever).await.unwrap().quality, 0, "kept for ever unless asked");
        assert_eq!(house.store().prune(&week).await.unwrap().quality, 2);
        assert!(house.store().quality(&call).await.unwrap().is_empty());
    }
}
