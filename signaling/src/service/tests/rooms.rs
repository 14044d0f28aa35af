//! Waiting list, lock and guest links on both databases.

use super::*;
use crate::store::NewGuestLink;

fn knock(call: &CallId) -> Command {
    Command::JoinCall(JoinCall {
        call_id: call.clone(),
        takeover: false,
        wait: true,
        leave: None,
    })
}

fn about(call: &CallId, who: &Actor) -> CallUser {
    CallUser {
        call_id: call.clone(),
        user_id: who.user.clone(),
    }
}

both! {
    async fn a_waiting_list_is_on_record_over_a_restart_and_ends_with_its_call(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let room = house.store().create_room(&anna.user, "standup", true).await.unwrap();
        for user in [&boris, &clara] {
            house.store().enter(&room, &user.user).await.unwrap();
        }
        assert_eq!(house.refused(&boris, start(&room)).await, ErrorCode::RoomLocked);
        let call = house.start(&anna, &room).await;
        assert_eq!(house.outcome(&boris, knock(&call)).await, "waiting");
        assert_eq!(house.outcome(&clara, knock(&call)).await, "waiting");
        let list = house.service.waiting_list(&call, &anna.user).await.unwrap().unwrap();
        let names: Vec<_> = list.waiting.iter().map(|waiter| waiter.user.name.as_str()).collect();
        assert_eq!(names, ["boris", "clara"]);
        assert!(house.service.waiting_list(&call, &boris.user).await.unwrap().is_none(), "a moderator's to see");
        let seen = house.service.active_call(&boris.user, &room).await.unwrap().unwrap();
        assert!(seen.waiting && seen.mine.is_none());
        let snapshot = house.service.snapshot(&clara.user, &|_| Vec::new()).await.unwrap();
        assert!(snapshot.chats[0].active_call.as_ref().unwrap().waiting);
        assert!(snapshot.chats[0].lobby);

        house.service.start_up().await.unwrap();
        house.ok(&anna, join(&call)).await;
        house.ok(&anna, Command::Admit(about(&call, &boris))).await;
        assert_eq!(house.last(&boris, "waiting_status").await["status"], "admitted");
        assert_eq!(house.outcome(&boris, join(&call)).await, "joined");
        house.ok(&anna, end(&call)).await;
        assert_eq!(house.last(&clara, "waiting_status").await["status"], "ended");
        assert_eq!(house.outcome(&clara, knock(&call)).await, "noop");
    }

    async fn who_was_invited_from_outside_waits_no_longer_than_their_tab_lives(house: House) {
        let people = [
            house.person("anna").await, house.person("boris").await, house.person("clara").await,
            house.person("dora").await,
        ];
        let [anna, boris, clara, dora] = &people;
        let chat = house.group(&[anna, boris, clara]).await;
        let call = house.start(anna, &chat).await;
        house.ok(boris, accept(&call)).await;
        house.ok(boris, Command::Invite(about(&call, dora))).await; // boris is no moderator: the door stays shut for her
        house.ok(dora, reject(&call, RejectReason::Declined)).await;
        house.ok(anna, Command::Lock(CallRef { call_id: call.clone() })).await;
        assert_eq!(house.outcome(dora, knock(&call)).await, "waiting");
        house.service.seat_lost(dora, crate::service::Link::Socket).await.unwrap();
        let list = house.service.waiting_list(&call, &anna.user).await.unwrap();
        assert!(list.is_none(), "a ghost waits: {list:?}");
    }

    async fn an_admission_against_a_tab_that_gives_up_leaves_no_ghost(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let room = house.store().create_room(&anna.user, "ghost", true).await.unwrap();
        house.store().enter(&room, &boris.user).await.unwrap();
        let call = house.start(&anna, &room).await;
        for _ in 0..12 {
            house.ok(&boris, knock(&call)).await;
            tokio::join!(
                house.ok(&anna, Command::Admit(about(&call, &boris))),
                house.ok(&boris, leave(&call)),
            );
            assert!(house.service.waiting_list(&call, &anna.user).await.unwrap().is_none());
            assert_eq!(house.refused(&boris, join(&call)).await, ErrorCode::RoomLocked, "what was given up is gone");
        }
    }

    async fn a_links_last_use_goes_to_one_guest(house: House) {
        let anna = house.person("anna").await;
        let room = house.store().create_room(&anna.user, "open-day", false).await.unwrap();
        for n in 0..6 {
            let code_hash = format!("hash {n}");
            let new = NewGuestLink {
                chat: &room,
                by: &anna.user,
                code_hash: &code_hash,
                password_hash: None,
                max_uses: Some(1),
                lasts_ms: 60_000,
            };
            let link = house.store().create_guest_link(&new).await.unwrap();
            let enter = || house.store().use_guest_link(&link, "ringhall", "guest");
            let (a, b, c) = tokio::join!(enter(), enter(), enter());
            let in_: Vec<_> = [a, b, c].into_iter().filter_map(Result::unwrap).collect();
            assert_eq!(in_.len(), 1);
            let members = house.store().chat_members(&room).await.unwrap().unwrap().1;
            assert!(members.iter().any(|(user, role)| *user == in_[0].id && *role == ChatRole::Member));
            assert!(!house.store().guest_link(&code_hash).await.unwrap().unwrap().usable);
        }
        let new = NewGuestLink {
            chat: &room, by: &anna.user, code_hash: "brief", password_hash: None, max_uses: None, lasts_ms: -1,
        };
            let link = house.store().create_guest_link(&new).await.unwrap();
        assert!(!link.usable && house.store().use_guest_link(&link, "ringhall", "x").await.unwrap().is_none());
    }
}
