//! What is removed by age, and what is kept about a person, handed out or erased.

use super::*;
use crate::auth::unix_now;
use crate::store::db::args;
use crate::store::{RetentionConfig, StoreError, Subject};

/// Makes everything written so far this much older.
async fn age(house: &House, sql: &'static str) {
    let mut tx = house.store().db.begin().await.unwrap();
    tx.allow_erasure().await.unwrap();
    tx.execute(sql, vec![]).await.unwrap();
    tx.end_erasure().await.unwrap();
    tx.commit().await.unwrap();
}

const HOUR: RetentionConfig = RetentionConfig {
    outbox_hours: 1,
    commands_hours: 1,
    call_events_days: 0,
    every_seconds: 1,
};

fn say(chat: &ChatId, text: &str) -> Command {
    Command::SendMessage(SendMessage {
        chat_id: chat.clone(),
        content: text.into(),
        call_id: None,
    })
}

both! {
    async fn old_events_and_commands_go_and_the_sequence_goes_on(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        for n in 0..5 {
            house.ok(&anna, say(&chat, &format!("{n}"))).await;
        }
        assert_eq!(house.store().prune(&HOUR).await.unwrap(), crate::store::Pruned::default());
        age(&house, match house.store().is_sqlite() {
            true => "UPDATE user_events SET created_at = created_at - 7200000 WHERE seq <= 3",
            false => "UPDATE user_events SET created_at = created_at - INTERVAL '2 hours' WHERE seq <= 3",
        }).await;
        age(&house, match house.store().is_sqlite() {
            true => "UPDATE client_commands SET created_at = created_at - 7200000",
            false => "UPDATE client_commands SET created_at = created_at - INTERVAL '2 hours'",
        }).await;
        let pruned = house.store().prune(&HOUR).await.unwrap();
        assert_eq!((pruned.events, pruned.commands, pruned.call_events), (6, 5, 0));
        house.ok(&anna, say(&chat, "5")).await;
        let kept = house.service.events_after(&boris.user, 0, 100).await.unwrap();
        assert_eq!(kept.iter().map(|event| event.seq).collect::<Vec<_>>(), [4, 5, 6]);
        assert!(house.service.kept_after(&boris.user, 3).await.unwrap());
        assert!(!house.service.kept_after(&boris.user, 2).await.unwrap(), "event 3 is gone: no replay");
    }

    async fn the_record_of_old_calls_goes_only_where_it_is_wanted(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&anna, end(&call)).await;
        age(&house, match house.store().is_sqlite() {
            true => "UPDATE call_events SET created_at = created_at - 864000000",
            false => "UPDATE call_events SET created_at = created_at - INTERVAL '10 days'",
        }).await;
        age(&house, match house.store().is_sqlite() {
            true => "UPDATE calls SET created_at = created_at - 864000000, ended_at = ended_at - 864000000",
            false => "UPDATE calls SET created_at = created_at - INTERVAL '10 days', ended_at = ended_at - INTERVAL '10 days'",
        }).await;
        let live = house.start(&anna, &chat).await;
        assert_eq!(house.store().prune(&HOUR).await.unwrap().call_events, 0);
        let config = RetentionConfig { call_events_days: 9, ..HOUR };
        assert!(house.store().prune(&config).await.unwrap().call_events > 0);
        assert!(house.record(&call).await.is_empty());
        assert!(house.store().call(&call).await.unwrap().is_some(), "the call itself stays");
        assert!(!house.record(&live).await.is_empty());
        let refused = house.store().db.begin().await.unwrap().execute("DELETE FROM call_events", vec![]).await;
        assert!(refused.is_err(), "nobody else may");
    }

    async fn an_export_is_all_of_one_person_and_nothing_of_another(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (chat, other) = (house.direct(&anna, &boris).await, house.direct(&boris, &clara).await);
        house.ok(&boris, say(&chat, "from boris")).await;
        house.ok(&anna, say(&chat, "from anna")).await;
        house.ok(&clara, say(&other, "from clara")).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        house.ok(&boris, leave(&call)).await;
        let data = house.store().export_user(&boris.user).await.unwrap().unwrap();
        let text = data.to_string();
        assert!(text.contains("from boris") && text.contains(call.as_str()));
        assert!(!text.contains("from anna") && !text.contains("from clara"), "others' words are theirs");
        assert_eq!(data["calls"][0]["mine"], "left");
        assert_eq!(data["chats"].as_array().unwrap().len(), 2);
        assert!(house.store().export_user(&"nobody".into()).await.unwrap().is_none());
    }

    async fn who_is_erased_leaves_no_trace_and_the_others_keep_their_records(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let chat = house.direct(&anna, &boris).await;
        let team = house.group(&[&boris, &anna, &clara]).await;
        house.ok(&boris, say(&chat, "a secret of boris")).await;
        let call = house.start(&boris, &team).await;
        house.ok(&anna, accept(&call)).await;
        house.ok(&boris, Command::Kick(CallUser { call_id: call.clone(), user_id: clara.user.clone() })).await;
        let while_in = house.store().erase_user(&boris.user).await;
        assert!(matches!(while_in, Err(StoreError::InUse(_))), "{while_in:?}");
        house.ok(&boris, end(&call)).await;
        let talk = house.store().call(&call).await.unwrap().unwrap();
        let before = house.record(&call).await.len();

        let left = house.store().erase_user(&boris.user).await.unwrap().unwrap();
        assert!(house.store().user(&boris.user).await.unwrap().is_none());
        assert_eq!(house.store().user(&left).await.unwrap().unwrap().user.name, crate::store::ERASED_NAME);
        assert_eq!(house.record(&call).await.len(), before, "the record is whole");
        let after = house.store().call(&call).await.unwrap().unwrap();
        assert_eq!((after.initiated_by, after.started_at_ms), (left.clone(), talk.started_at_ms));
        let texts = house.store().messages(&anna.user, &chat, None, 10).await.unwrap();
        assert_eq!((texts[0].content.as_str(), &texts[0].sender_id), ("", &left));
        // Nothing anywhere holds the id, the name or the words.
        for who in [&anna, &clara] {
            let events = house.service.events_after(&who.user, 0, 1_000).await.unwrap();
            let text = serde_json::to_string(&events).unwrap();
            assert!(!text.contains("boris") && !text.contains("secret"), "{text}");
            let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
            assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "no gap");
        }
        for event in house.store().call_events(&call).await.unwrap() {
            assert!(!event.metadata.to_string().contains("boris"), "{event:?}");
        }
        let chats = house.store().chats_of(&anna.user).await.unwrap();
        assert_eq!(chats.len(), 2);
        let team = chats.iter().find(|chat| chat.id == team).unwrap();
        assert!(team.members.iter().any(|member| member.role == ChatRole::Owner), "somebody owns the group");
        let mut tx = house.store().db.begin_read().await.unwrap();
        for sql in [
            "SELECT count(*) AS n FROM chat_participants WHERE user_id = $1",
            "SELECT count(*) AS n FROM user_events WHERE user_id = $1",
            "SELECT count(*) AS n FROM client_commands WHERE user_id = $1",
            "SELECT count(*) AS n FROM chats WHERE strpos(direct_key, $1) > 0",
        ] {
            let row = tx.fetch_optional(sql, args!["boris"]).await.unwrap().unwrap();
            assert_eq!(row.int("n").unwrap(), 0, "{sql}");
        }
        assert!(house.store().erase_user(&boris.user).await.unwrap().is_none(), "once");
        let boris = Subject { issuer: "host", subject: "boris" };
        let erased_at = unix_now();
        for old in [0, erased_at - 3_600, erased_at - 2] {
            let refused = house.store().admit(boris, "Boris", None, old).await;
            assert!(matches!(refused, Err(StoreError::Erased)), "{refused:?}");
        }
        let other = Subject { issuer: "another host", ..boris };
        house.store().admit(other, "Boris", None, 0).await.unwrap();
        house.store().admit(boris, "Boris", None, erased_at + 1).await.unwrap();
        house.start(&anna, &house.direct(&anna, &clara).await).await;
    }
}
