//! What a person finds afterwards: their calls, what they missed, what was said.

use super::*;
use crate::store::{CallFilter, Direction};

fn say(chat: &ChatId, text: &str, call: Option<&CallId>) -> Command {
    Command::SendMessage(SendMessage {
        chat_id: chat.clone(),
        content: text.into(),
        call_id: call.cloned(),
    })
}

fn seen(up_to: Option<&CallId>) -> Command {
    Command::MarkCallsSeen(MarkCallsSeen { up_to: up_to.cloned() })
}

async fn missed(house: &House, who: &Actor) -> u32 {
    house.service.unseen_calls(&who.user).await.unwrap()
}

both! {
    async fn a_missed_call_is_unseen_until_it_is_marked_in_all_tabs(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let mut calls = Vec::new();
        for _ in 0..3 {
            let call = house.start(&anna, &chat).await;
            house.ok(&anna, end(&call)).await;
            calls.push(call);
        }
        assert_eq!((missed(&house, &boris).await, missed(&house, &anna).await), (3, 0));
        house.ok(&boris, seen(Some(&calls[0]))).await;
        assert_eq!(missed(&house, &boris).await, 2, "what was missed later stays");
        assert_eq!(house.last(&boris, "calls_seen").await["unseen"], 2);
        assert_eq!(house.outcome(&boris, seen(None)).await, "done");
        assert_eq!(house.outcome(&boris, seen(None)).await, "noop");
        assert_eq!(house.refused(&boris, seen(Some(&"x".into()))).await, ErrorCode::NotFound);
        assert_eq!(missed(&house, &boris).await, 0);
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        house.ok(&boris, leave(&call)).await;
        assert_eq!(missed(&house, &boris).await, 0, "an answered call is not missed");
    }

    async fn a_call_missed_again_after_it_was_seen_is_unseen_again(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let chat = house.group(&[&anna, &boris, &clara]).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        let invite = || Command::Invite(CallUser { call_id: call.clone(), user_id: clara.user.clone() });
        house.ok(&clara, reject(&call, RejectReason::Declined)).await;
        house.ok(&anna, invite()).await;
        house.ok(&anna, end(&call)).await;
        assert_eq!(missed(&house, &clara).await, 1);
    }

    async fn open_pages_are_told_when_a_missed_call_is_not_missed_any_more(
        house: House, CallConfig { media_connect_ms: 3_600_000, ..unlimited() }
    ) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (group, direct) = (house.group(&[&anna, &boris, &clara]).await, house.direct(&boris, &clara).await);
        let before = house.start(&boris, &direct).await;
        house.ok(&boris, end(&before)).await;
        let call = house.start(&anna, &group).await;
        house.ok(&boris, accept(&call)).await;
        house.service.set_forward(i64::from(house.service.config().ring_ms) + 1_000);
        house.service.sweep().await.unwrap();
        assert_eq!(missed(&house, &clara).await, 2);
        house.ok(&clara, join(&call)).await;
        assert_eq!(house.part(&call, &clara).await, Some(ParticipantStatus::Joined));
        assert_eq!(missed(&house, &clara).await, 1);
        assert_eq!(house.last(&clara, "calls_seen").await["unseen"], 1);
    }

    async fn the_list_is_filtered_and_every_page_follows_the_one_before(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (direct, group) = (house.direct(&anna, &boris).await, house.group(&[&clara, &anna, &boris]).await);
        let mut all = Vec::new();
        for n in 0..9 {
            let (who, chat) = if n % 3 == 0 { (&clara, &group) } else { (&anna, &direct) };
            let call = house.start(who, chat).await;
            if n % 2 == 0 {
                house.ok(&boris, accept(&call)).await;
            }
            house.ok(who, end(&call)).await;
            all.push(call);
        }
        let list = |filter: CallFilter, limit| {
            let store = house.store().clone();
            async move { store.call_list(&"boris".into(), &filter, limit).await.unwrap() }
        };
        let ids = |calls: &[CallEntry]| calls.iter().map(|call| call.call_id.clone()).collect::<Vec<_>>();
        let mut paged = Vec::new();
        let mut filter = CallFilter::default();
        loop {
            let (calls, next, unseen) = list(filter.clone(), 2).await;
            assert_eq!(unseen, 4);
            assert!(calls.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at));
            paged.extend(ids(&calls));
            match next {
                Some(next) => filter.after = Some(next),
                None => break,
            }
        }
        let (mut sorted, mut expected) = (paged.clone(), all.clone());
        sorted.sort();
        expected.sort();
        assert_eq!(sorted, expected, "every call once");
        let everything = list(CallFilter::default(), 100).await.0;
        assert_eq!(ids(&everything), paged);
        let count = |filter| async { list(filter, 100).await.0.len() };
        assert_eq!(count(CallFilter { chat: Some(group.clone()), ..CallFilter::default() }).await, 3);
        assert_eq!(count(CallFilter { missed: true, ..CallFilter::default() }).await, 4);
        assert_eq!(count(CallFilter { unseen: true, ..CallFilter::default() }).await, 4);
        assert_eq!(count(CallFilter { direction: Some(Direction::Outgoing), ..CallFilter::default() }).await, 0);
        assert_eq!(count(CallFilter { direction: Some(Direction::Incoming), ..CallFilter::default() }).await, 9);
        assert_eq!(count(CallFilter { status: Some(CallStatus::Cancelled), ..CallFilter::default() }).await, 4);
        assert_eq!(count(CallFilter { call_type: Some(CallType::Audio), ..CallFilter::default() }).await, 0);
        assert_eq!(count(CallFilter { until_ms: Some(1_000), ..CallFilter::default() }).await, 0);
        assert_eq!(count(CallFilter { since_ms: Some(1_000), ..CallFilter::default() }).await, 9);
        let newest = everything.iter().find(|call| call.call_id == all[6]).unwrap();
        assert_eq!((newest.chat_name.as_deref(), newest.initiator.id.as_str()), (Some("team"), "clara"));
        assert_eq!(newest.others.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["anna", "clara"]);
        assert_eq!((newest.mine, newest.seen), (ParticipantStatus::Left, true));
    }

    async fn what_is_written_in_a_call_reaches_who_was_invited_and_stays_with_the_call(house: House) {
        let people = [house.person("anna").await, house.person("boris").await, house.person("clara").await];
        let [anna, boris, clara] = &people;
        let chat = house.direct(anna, boris).await;
        let call = house.start(anna, &chat).await;
        house.ok(boris, accept(&call)).await;
        assert_eq!(house.refused(clara, say(&chat, "hello", Some(&call))).await, ErrorCode::NotFound);
        house.ok(anna, Command::Invite(CallUser { call_id: call.clone(), user_id: clara.user.clone() })).await;
        assert_eq!(house.refused(clara, say(&chat, "hello", Some(&call))).await, ErrorCode::Forbidden);
        house.ok(clara, accept(&call)).await;
        house.ok(clara, say(&chat, "from outside", Some(&call))).await;
        house.ok(anna, say(&chat, "only the chat", None)).await;
        for who in [anna, boris] {
            let texts: Vec<_> = house.events(who).await.into_iter().filter(|e| e.op == "message").collect();
            assert_eq!(texts.len(), 2);
            assert_eq!(texts[0].d["inCall"], call.as_str());
        }
        let heard: Vec<_> = house.events(clara).await.into_iter().filter(|e| e.op == "message").collect();
        assert_eq!(heard.len(), 1, "the invitee gets the call, not the chat");
        assert_eq!(house.refused(clara, say(&chat, "the chat", None)).await, ErrorCode::NotFound);
        let written = house.store().call_messages(&call, None, 10).await.unwrap();
        assert_eq!(written.iter().map(|m| m.content.as_str()).collect::<Vec<_>>(), ["from outside"]);
        house.ok(anna, end(&call)).await;
        assert_eq!(house.refused(anna, say(&chat, "late", Some(&call))).await, ErrorCode::Forbidden);
    }

    async fn the_read_marker_goes_to_a_message_and_never_back(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            let sent = house.ok(&anna, say(&chat, &format!("{n}"), None)).await;
            ids.push(sent["id"].as_str().unwrap().to_owned());
        }
        let mark = |id: Option<&str>| Command::MarkRead(MarkRead { chat_id: chat.clone(), up_to: id.map(Into::into) });
        let unread = || async { house.service.unread(&boris.user, &chat).await.unwrap() };
        house.ok(&boris, mark(Some(&ids[1]))).await;
        assert_eq!(unread().await, Some(2));
        assert_eq!(house.outcome(&boris, mark(Some(&ids[0]))).await, "noop");
        assert_eq!(unread().await, Some(2));
        assert_eq!(house.refused(&boris, mark(Some("of another chat"))).await, ErrorCode::NotFound);
        house.ok(&boris, mark(None)).await;
        assert_eq!(unread().await, Some(0));
    }

    async fn text_that_no_database_can_keep_is_refused(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        assert_eq!(house.refused(&anna, say(&chat, "a\0b", None)).await, ErrorCode::BadRequest);
        let odd = ["end\u{2028}", "\u{fffd}\u{10ffff}", "'; DROP TABLE calls; --", "$1 ms(x) ::text FOR UPDATE"];
        for text in odd {
            assert_eq!(house.ok(&anna, say(&chat, text, None)).await["content"], text);
        }
        let kept = house.store().messages(&boris.user, &chat, None, 10).await.unwrap();
        assert_eq!(kept.len(), odd.len());
        let call: CallId = "no\0such".into();
        let code = house.refused(&anna, end(&call)).await;
        assert!(matches!(code, ErrorCode::BadRequest | ErrorCode::NotFound), "{code:?}");
    }
}
