//! The traps of the naive design that are not races (those are in `races` and `groups`), each by its name.

use std::sync::Mutex;

use super::*;

/// Looks, at every hint about outboxes and before anything else can happen, at what a reader woken by it would find.
struct Impatient {
    url: String,
    found: Mutex<Vec<Vec<u64>>>,
}

impl Bus for Impatient {
    fn publish(&self, message: BusMessage) {
        let BusMessage::Outbox { users } = message else { return };
        let url = self.url.clone();
        // Publishing does not wait, so the look happens on a thread with a connection of its own.
        let looking = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let store = Store::connect(&url).await.unwrap();
                let found = crate::store::outbox::last_seqs(&store.db, &users).await.unwrap();
                store.close().await;
                found.into_iter().map(|(_, seq)| seq).collect()
            })
        });
        self.found.lock().unwrap().push(looking.join().unwrap());
    }
}

both! {
    async fn the_timeout_does_not_live_in_the_callees_browser(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        assert_eq!(house.outcome(&boris, reject(&call, RejectReason::Timeout)).await, "noop");
        assert_eq!(house.status(&call).await, (CallStatus::Ringing, None));
        // Nobody's page says anything any more; the server's clock does.
        house.set_clock(30_001);
        house.service.sweep().await.unwrap();
        assert_eq!(house.status(&call).await, (CallStatus::Rejected, Some(EndReason::Timeout)));
        assert_eq!(house.last(&anna, "call_rejected").await["reason"], "timeout");
    }

    async fn duration_counts_from_the_answer_and_not_from_the_ring(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.set_clock(20_000);
        house.ok(&boris, accept(&call)).await;
        house.set_clock(7_000);
        house.ok(&anna, end(&call)).await;
        let duration = house.last(&boris, "call_ended").await["duration"].as_u64().unwrap();
        assert!((7..=12).contains(&duration), "{duration} s of 7 s talked and 20 s rung");
    }

    async fn a_rooms_name_can_not_be_guessed_and_opens_nothing(house: House) {
        let (anna, boris, eve) = (house.person("anna").await, house.person("boris").await, house.person("eve").await);
        let chat = house.direct(&anna, &boris).await;
        let mut names = std::collections::HashSet::new();
        for _ in 0..20 {
            let created = house.ok(&anna, start(&chat)).await;
            let name = created["roomName"].as_str().unwrap().to_owned();
            assert!(name.len() >= 26 && !name.contains(chat.as_str()), "{name}");
            let by_name = join(&name.as_str().into());
            assert_eq!(house.refused(&eve, by_name).await, ErrorCode::NotFound);
            assert!(names.insert(name));
            house.ok(&anna, end(&created["callId"].as_str().unwrap().into())).await;
        }
    }

    async fn every_tab_reads_the_same_outbox_and_none_takes_from_another(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        let other = tab("boris", 2);
        house.ok(&boris, ring_ack(&call)).await;
        house.ok(&other, accept(&call)).await;
        // Both of boris's tabs are told by what tab the call was answered.
        for reader in [&boris, &other] {
            assert_eq!(house.last(reader, "call_answered_elsewhere").await["device"], "boris-tab-2");
        }
        assert_eq!(house.ops(&anna).await.iter().filter(|op| *op == "call_accepted").count(), 1);
    }

    async fn who_comes_online_within_the_ring_is_rung_then_and_who_comes_later_missed_it(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.set_clock(12_000);
        let snapshot = house.service.snapshot(&boris.user, &|_| Vec::new()).await.unwrap();
        assert_eq!(snapshot.incoming.len(), 1);
        assert_eq!(snapshot.incoming[0].call_id, call);
        assert!(snapshot.incoming[0].ring_ms_left <= 18_000, "{:?}", snapshot.incoming[0]);
        house.set_clock(20_000);
        house.service.sweep().await.unwrap();
        let snapshot = house.service.snapshot(&boris.user, &|_| Vec::new()).await.unwrap();
        assert_eq!((snapshot.incoming.len(), snapshot.chats[0].unread), (0, 1));
        assert_eq!(house.last(&boris, "call_missed").await["initiator"]["name"], "anna");
    }

    async fn an_invited_person_has_a_ring_of_their_own_and_the_call_not_the_chat(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        for user in [&anna, &boris] {
            house.service.media_connected(&call, &user.user).await.unwrap();
        }
        let whom = CallUser { call_id: call.clone(), user_id: clara.user.clone() };
        house.ok(&boris, Command::Invite(whom.clone())).await;
        let ring = house.last(&clara, "incoming_call").await;
        assert_eq!((&ring["initiator"]["name"], &ring["invitedBy"]["name"]), (&"anna".into(), &"boris".into()));
        house.set_clock(30_001);
        house.service.sweep().await.unwrap();
        assert_eq!(house.part(&call, &clara).await, Some(ParticipantStatus::Missed));
        assert_eq!(house.last(&boris, "call_rejected").await["reason"], "timeout", "who invited hears of it");
        assert_eq!(house.status(&call).await, (CallStatus::Ongoing, None));
        house.ok(&boris, Command::Invite(whom)).await;
        house.ok(&clara, accept(&call)).await;
        house.ok(&anna, leave(&call)).await;
        assert_eq!(house.status(&call).await, (CallStatus::Ongoing, None), "group rules now");
        let snapshot = house.service.snapshot(&clara.user, &|_| Vec::new()).await.unwrap();
        assert!(snapshot.chats.is_empty(), "the chat stays theirs");
        house.ok(&boris, leave(&call)).await;
        house.ok(&clara, leave(&call)).await;
        assert_eq!(house.status(&call).await, (CallStatus::Ended, Some(EndReason::LastLeft)));
    }

    async fn in_a_large_chat_the_caller_chooses_whom_to_ring(
        house: House, CallConfig { ring_max_members: 2, ..unlimited() }
    ) {
        let people = [
            house.person("anna").await, house.person("boris").await, house.person("clara").await,
            house.person("dora").await,
        ];
        let chat = house.group(&people.iter().collect::<Vec<_>>()).await;
        assert_eq!(house.refused(&people[0], start(&chat)).await, ErrorCode::BadRequest);
        let choose = |who: &[&Actor]| Command::StartCall(StartCall {
            chat_id: chat.clone(),
            call_type: CallType::Audio,
            invitees: Some(who.iter().map(|actor| actor.user.clone()).collect()),
            leave: None,
        });
        let too_many = choose(&[&people[1], &people[2], &people[3]]);
        assert_eq!(house.refused(&people[0], too_many).await, ErrorCode::BadRequest);
        let done = house.ok(&people[0], choose(&[&people[1], &people[3]])).await;
        let call: CallId = done["callId"].as_str().unwrap().into();
        assert!(house.ops(&people[2]).await.is_empty(), "clara is not rung");
        house.ok(&people[2], join(&call)).await; // but she is in the chat, and may join
        assert_eq!(house.status(&call).await.0, CallStatus::Ongoing);
    }

    async fn what_a_hint_tells_of_can_be_read_when_it_comes(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let bus = Arc::new(Impatient { url: house.database.url().to_owned(), found: Mutex::default() });
        let shared: Arc<dyn Bus> = bus.clone();
        let service = Service::new(house.store().clone(), shared, unlimited(), "node-1");
        for n in 0..3 {
            let text = SendMessage { chat_id: chat.clone(), content: format!("{n}"), call_id: None };
            let id = format!("text-{n}").as_str().into();
            service.command(&anna, &id, Command::SendMessage(text)).await.unwrap();
        }
        assert_eq!(*bus.found.lock().unwrap(), [[1, 1], [2, 2], [3, 3]]);
    }
}
