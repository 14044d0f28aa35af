//! Calls from ring to record.

use super::*;

both! {
    async fn a_direct_call_rings_is_answered_ends_and_is_on_record(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let mut bus = house.bus.subscribe();

        let call = house.start(&anna, &chat).await;
        assert_eq!(house.status(&call).await, (CallStatus::Ringing, None));
        let incoming = house.last(&boris, "incoming_call").await;
        assert_eq!(incoming["callId"], call.as_str());
        assert_eq!(incoming["chatId"], chat.as_str());
        assert_eq!(incoming["type"], "video");
        assert_eq!(incoming["initiator"]["name"], "anna");
        assert_eq!(incoming["participants"], serde_json::json!(["boris"]));
        assert_eq!(incoming["silent"], false);
        let left = incoming["ringMsLeft"].as_i64().unwrap();
        assert!((20_000..=30_000).contains(&left), "{left}");

        assert_eq!(house.outcome(&boris, ring_ack(&call)).await, "done");
        assert_eq!(house.outcome(&boris, ring_ack(&call)).await, "noop");
        let told = drain(&mut bus);
        let ringing = told.iter().filter(|message| {
            matches!(message, BusMessage::ToUsers { users, body: RealtimeBody::CallRinging(person), .. }
                if *users == [anna.user.clone()] && person.user_id == boris.user)
        });
        assert_eq!(ringing.count(), 1);

        let done = house.ok(&boris, accept(&call)).await;
        assert_eq!(done, serde_json::json!({ "outcome": "joined", "callId": call.as_str(), "status": "ongoing" }));
        let roster = house.service.roster(&call).await.unwrap();
        let entries: Vec<_> = roster.participants.iter().map(|p| (p.user.name.as_str(), p.status, p.moderator)).collect();
        assert_eq!(
            entries,
            [("anna", ParticipantStatus::Joined, true), ("boris", ParticipantStatus::Joined, false)]
        );

        assert_eq!(house.outcome(&anna, end(&call)).await, "done");
        assert_eq!(house.status(&call).await, (CallStatus::Ended, Some(EndReason::Hangup)));
        assert_eq!(
            house.ops(&anna).await,
            ["call_created", "call_accepted", "call_ended", "message"]
        );
        assert_eq!(
            house.ops(&boris).await,
            ["incoming_call", "call_answered_elsewhere", "call_ended", "message"]
        );
        let message = house.last(&boris, "message").await;
        assert_eq!(message["kind"], "call");
        assert_eq!(message["call"]["status"], "ended");
        assert_eq!(message["call"]["mine"], "left");

        let who = |name: &str| Some(name.to_owned());
        let record = house.record(&call).await;
        assert_eq!(
            record,
            [
                ("call_initiated".to_owned(), who("anna")),
                ("call_participant_joined".to_owned(), who("anna")),
                ("call_ringing".to_owned(), who("boris")),
                ("call_accepted".to_owned(), who("boris")),
                ("call_participant_joined".to_owned(), who("boris")),
                ("call_participant_left".to_owned(), who("anna")),
                ("call_participant_left".to_owned(), who("boris")),
                ("call_ended".to_owned(), who("anna")),
            ]
        );
        assert!(drain(&mut bus).contains(&BusMessage::CallOver { call: call.clone() }));
        assert_eq!(house.service.seat_of(&anna.user).await.unwrap(), None);
        assert_eq!(house.service.active_call(&anna.user, &chat).await.unwrap(), None);
    }

    async fn a_declined_direct_call_is_rejected_and_the_caller_hears_why(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, reject(&call, RejectReason::Declined)).await;
        assert_eq!(house.status(&call).await, (CallStatus::Rejected, Some(EndReason::Declined)));
        let rejected = house.last(&anna, "call_rejected").await;
        assert_eq!((&rejected["userName"], &rejected["reason"]), (&"boris".into(), &"declined".into()));
        let ended = house.last(&anna, "call_ended").await;
        assert_eq!((&ended["status"], &ended["duration"]), (&"rejected".into(), &0.into()));
        // Late commands find it over: noop, never a change.
        assert_eq!(house.outcome(&boris, accept(&call)).await, "noop");
        assert_eq!(house.outcome(&anna, end(&call)).await, "noop");
        assert_eq!(house.status(&call).await, (CallStatus::Rejected, Some(EndReason::Declined)));
    }

    async fn an_unanswered_call_is_missed_when_the_ring_runs_out(
        house: House, CallConfig { ring_ms: 1, ..unlimited() }
    ) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while house.status(&call).await.0 == CallStatus::Ringing {
                house.service.sweep().await.unwrap();
            }
        })
        .await
        .unwrap();
        assert_eq!(house.status(&call).await, (CallStatus::Rejected, Some(EndReason::Timeout)));
        assert_eq!(house.part(&call, &boris).await, Some(ParticipantStatus::Missed));
        assert_eq!(house.last(&anna, "call_rejected").await["reason"], "timeout");
        assert_eq!(house.ops(&boris).await, ["incoming_call", "call_missed", "call_ended", "message"]);
        let snapshot = house.service.snapshot(&boris.user, &|_| Vec::new()).await.unwrap();
        assert_eq!((snapshot.chats[0].unread, snapshot.incoming.len()), (1, 0));
        let snapshot = house.service.snapshot(&anna.user, &|_| Vec::new()).await.unwrap();
        assert_eq!(snapshot.chats[0].unread, 0, "the caller knows");
        assert_eq!(house.service.sweep().await.unwrap(), 0, "nothing is due twice");
    }
}
