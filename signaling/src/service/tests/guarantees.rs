//! What the database itself refuses, and the limits.

use super::*;
use crate::store::StoreError;
use crate::store::db::args;

async fn refused(house: &House, sql: &'static str, call: &CallId) -> StoreError {
    let mut tx = house.store().db.begin().await.unwrap();
    tx.execute(sql, args![call.as_str()]).await.expect_err(sql)
}

both! {
    async fn the_database_refuses_what_no_call_may_be(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        for sql in [
            "UPDATE calls SET status = 'ended' WHERE id = $1",
            "UPDATE calls SET end_reason = 'hangup' WHERE id = $1",
            "UPDATE calls SET started_at = NULL WHERE id = $1",
            "UPDATE call_participants SET device_id = NULL WHERE call_id = $1",
            "UPDATE call_participants SET status = 'left' WHERE call_id = $1",
            "UPDATE call_events SET event_type = 'x' WHERE call_id = $1",
            "DELETE FROM call_events WHERE call_id = $1",
            "INSERT INTO calls (id, chat_id, room_name, type, initiated_by, status, created_at, group_rules, rev, \
             node_id, lease_until) SELECT 'twin', chat_id, 'twin', type, initiated_by, 'ringing', created_at, \
             group_rules, 0, node_id, lease_until FROM calls WHERE id = $1",
        ] {
            refused(&house, sql, &call).await;
        }
        let other = house.group(&[&anna, &boris]).await;
        house.ok(&anna, end(&call)).await;
        let second = house.start(&anna, &other).await;
        let seat = "INSERT INTO call_participants (call_id, user_id, status, role, device_id, joined_at, node_id, \
                    lease_until) SELECT $1, 'boris', 'joined', 'member', 'd', created_at, node_id, lease_until \
                    FROM calls WHERE id = $1 ON CONFLICT (call_id, user_id) DO UPDATE SET status = excluded.status";
        refused(&house, seat, &second).await; // a seat that still has a ring deadline
    }

    async fn the_database_gives_nobody_two_seats(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let (clara, dora) = (house.person("clara").await, house.person("dora").await);
        let (one, two) = (house.direct(&anna, &boris).await, house.direct(&clara, &dora).await);
        let (first, second) = (house.start(&anna, &one).await, house.start(&clara, &two).await);
        house.ok(&boris, accept(&first)).await;
        house.ok(&dora, accept(&second)).await;
        let seat = "INSERT INTO call_participants (call_id, user_id, status, role, device_id, joined_at, node_id, \
                    lease_until) SELECT $1, 'boris', 'joined', 'member', 'd', created_at, node_id, lease_until \
                    FROM calls WHERE id = $1";
        let error = refused(&house, seat, &second).await;
        assert!(matches!(error, StoreError::Exists(_)), "{error:?}");
        house.ok(&anna, end(&first)).await;
        let mut tx = house.store().db.begin().await.unwrap();
        let one_seat = tx.execute(seat, args![second.as_str()]).await;
        assert_eq!(one_seat.unwrap(), 1, "it was the second seat that was refused, and nothing else");
    }

    async fn starts_are_limited_per_user_and_per_chat(
        house: House, CallConfig { starts_per_user_minute: 3, starts_per_chat_minute: 2, ..unlimited() }
    ) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (one, two) = (house.direct(&anna, &boris).await, house.direct(&anna, &clara).await);
        for chat in [&one, &one, &two] {
            let call = house.start(&anna, chat).await;
            house.ok(&anna, end(&call)).await;
        }
        let error = house.run(&anna, start(&two)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::RateLimited);
        assert!((1..=60_000).contains(&error.retry_after_ms), "{error:?}");
        assert_eq!(house.refused(&boris, start(&one)).await, ErrorCode::RateLimited);
        house.start(&clara, &two).await;
    }

    async fn messages_are_counted_until_they_are_read(house: House) {
        let (anna, boris, eve) = (house.person("anna").await, house.person("boris").await, house.person("eve").await);
        let chat = house.direct(&anna, &boris).await;
        let say = |text: &str| Command::SendMessage(SendMessage { chat_id: chat.clone(), content: text.into(), call_id: None });
        house.ok(&anna, say("one")).await;
        house.ok(&anna, say("two")).await;
        assert_eq!(house.refused(&anna, say("  ")).await, ErrorCode::BadRequest);
        assert_eq!(house.refused(&eve, say("hello")).await, ErrorCode::NotFound);
        let unread = |who: Actor| {
            let store = house.store().clone();
            async move { store.chats_of(&who.user).await.unwrap()[0].unread }
        };
        assert_eq!((unread(anna.clone()).await, unread(boris.clone()).await), (0, 2));
        let newest = house.store().messages(&boris.user, &chat, None, 10).await.unwrap();
        assert_eq!(newest.iter().map(|m| m.content.as_str()).collect::<Vec<_>>(), ["two", "one"]);
        let older = house.store().messages(&boris.user, &chat, Some(&newest[0].id), 10).await.unwrap();
        assert_eq!(older.len(), 1);
        house.ok(&boris, Command::MarkRead(MarkRead { chat_id: chat.clone(), up_to: None })).await;
        assert_eq!(unread(boris.clone()).await, 0);
        assert_eq!(house.last(&boris, "chat_updated").await["unread"], 0);
    }

    async fn two_issuers_with_one_subject_are_two_people(house: House) {
        let one = house.store().upsert_host_user("a.example", "7", "Anna", None).await.unwrap();
        let two = house.store().upsert_host_user("b.example", "7", "Boris", None).await.unwrap();
        assert_ne!(one.id, two.id);
        let again = house.store().upsert_host_user("a.example", "7", "Anna B.", Some("/a.png")).await.unwrap();
        assert_eq!((again.id.clone(), again.name.as_str()), (one.id, "Anna B."));
        assert_eq!(house.store().user(&again.id).await.unwrap().unwrap().user, again);
        let made = house.store().create_local_user("admin", "Admin", "hash").await.unwrap();
        let found = house.store().user_by_login("admin").await.unwrap().unwrap();
        assert_eq!((found.user, found.password_hash.as_deref()), (made, Some("hash")));
        let taken = house.store().create_local_user("admin", "Other", "hash").await;
        assert!(matches!(taken, Err(StoreError::Exists(_))), "{taken:?}");
    }
}
