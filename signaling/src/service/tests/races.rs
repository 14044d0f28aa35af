//! The traps of the naive design, each as a race. Every round is checked against the rules, whoever won it.

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::*;

/// Rounds of each race: enough for both orders to happen on Postgres, few enough to stay quick on SQLite.
const ROUNDS: usize = 12;

/// Keeps transactions that have done their work from committing: it holds the lock that each takes last, that of somebody's
/// outbox. So two commands can be brought to overlap for certain. On SQLite, whose transactions do not overlap, nothing.
struct Hold {
    postgres: Option<PgConnection>,
}

impl Hold {
    async fn on(house: &House, user: &Actor) -> Self {
        let url = house.database.url();
        if !url.starts_with("postgres") {
            return Self { postgres: None };
        }
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        let locked = sqlx::query("SELECT last_seq FROM user_event_counters WHERE user_id = $1 FOR UPDATE")
            .bind(user.user.as_str())
            .fetch_one(&mut connection)
            .await;
        locked.expect("the user has an outbox");
        Self {
            postgres: Some(connection),
        }
    }

    /// Whether anything is held.
    fn works(&self) -> bool {
        self.postgres.is_some()
    }

    /// Waits until this many transactions of this database wait for a lock.
    async fn waited_for_by(&mut self, waiting: i64) {
        let Some(connection) = &mut self.postgres else { return };
        let reached = async {
            loop {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                           AND wait_event_type = 'Lock'";
                let now: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await.unwrap();
                if now >= waiting {
                    return;
                }
                // Statistics are frozen within a transaction unless they are cleared.
                connection.execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(std::time::Duration::from_secs(20), reached).await;
        reached.expect("nobody waits");
    }

    async fn release(mut self) {
        if let Some(connection) = &mut self.postgres {
            connection.execute("ROLLBACK").await.unwrap();
        }
    }
}

fn spawn(house: &House, actor: &Actor, command: Command) -> tokio::task::JoinHandle<Json> {
    let n = house.commands.fetch_add(1, Ordering::Relaxed);
    let (service, actor) = (house.service.clone(), actor.clone());
    tokio::spawn(async move { service.command(&actor, &format!("c{n}").into(), command).await.unwrap() })
}

/// Two commands of which the second begins when the first has done its work and not committed it.
async fn one_after_the_other(
    house: &House,
    starter: &Actor,
    first: (&Actor, Command),
    second: (&Actor, Command),
) -> (Json, Json) {
    let mut hold = Hold::on(house, starter).await;
    let first = spawn(house, first.0, first.1);
    hold.waited_for_by(1).await;
    let first = if hold.works() {
        Ok(first)
    } else {
        Err(first.await.unwrap())
    };
    let second = spawn(house, second.0, second.1);
    hold.waited_for_by(2).await;
    hold.release().await;
    let first = match first {
        Ok(running) => running.await.unwrap(),
        Err(done) => done,
    };
    (first, second.await.unwrap())
}

/// What must hold of a chat's calls after any race.
async fn sound(house: &House, chat: &ChatId) {
    let calls = house.store().calls(Some(chat), 1_000).await.unwrap();
    let live = calls
        .iter()
        .filter(|call| matches!(call.status, CallStatus::Ringing | CallStatus::Ongoing));
    assert!(live.count() <= 1, "one live call per chat: {calls:?}");
    for call in &calls {
        let people = house.store().participants(&call.id).await.unwrap();
        let seats = people
            .iter()
            .filter(|p| matches!(p.status, ParticipantStatus::Joined | ParticipantStatus::Reconnecting));
        if call.ended_at_ms.is_some() {
            assert_eq!(seats.count(), 0, "nobody sits in a finished call: {call:?} {people:?}");
        }
        for person in &people {
            let events = house.store().call_events(&call.id).await.unwrap();
            let mut joined = None;
            let mut sum = 0;
            for event in events.iter().filter(|event| event.user.as_ref() == Some(&person.user)) {
                match event.event_type.as_str() {
                    "call_participant_joined" => joined = Some(event.created_at_ms),
                    "call_participant_left" => sum += event.created_at_ms - joined.take().unwrap(),
                    _ => {}
                }
            }
            assert_eq!(
                person.duration_ms, sum,
                "the duration is that of the record: {person:?} {events:?}"
            );
        }
    }
}

async fn finish(house: &House, chat: &ChatId, starter: &Actor) {
    if let Some(live) = house.service.active_call(&starter.user, chat).await.unwrap() {
        house.service.terminate(&live.call_id).await.unwrap();
    }
    sound(house, chat).await;
}

both! {
    async fn a_second_start_while_ringing_finds_the_first_call(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        for _ in 0..ROUNDS {
            let (a, b) = tokio::join!(house.ok(&anna, start(&chat)), house.ok(&boris, start(&chat)));
            let mut outcomes = [a["outcome"].as_str().unwrap(), b["outcome"].as_str().unwrap()];
            outcomes.sort_unstable();
            assert_eq!(outcomes, ["created", "exists"]);
            assert_eq!(a["callId"], b["callId"]);
            finish(&house, &chat, &anna).await;
        }
    }

    async fn of_two_tabs_that_accept_one_has_the_seat(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        for _ in 0..ROUNDS {
            let call = house.start(&anna, &chat).await;
            let other = tab("boris", 2);
            let (one, two) = tokio::join!(house.run(&boris, accept(&call)), house.run(&other, accept(&call)));
            let refused: Vec<_> = [&one, &two].into_iter().filter_map(|done| done.as_ref().err()).collect();
            assert_eq!(refused.len(), 1, "{one:?} {two:?}");
            assert_eq!(refused[0].code, ErrorCode::AnsweredElsewhere);
            let joined = house.record(&call).await.into_iter().filter(|(event, user)| {
                event == "call_participant_joined" && user.as_deref() == Some("boris")
            });
            assert_eq!(joined.count(), 1);
            finish(&house, &chat, &anna).await;
        }
    }

    async fn a_late_reject_does_not_end_an_ongoing_call(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        for reason in [RejectReason::Declined, RejectReason::Busy, RejectReason::Timeout] {
            assert_eq!(house.outcome(&tab("boris", 2), reject(&call, reason)).await, "noop");
        }
        assert_eq!(house.status(&call).await, (CallStatus::Ongoing, None));
        assert!(!house.ops(&anna).await.contains(&"call_rejected".to_owned()));
        for accept_first in [true, false].repeat(ROUNDS / 4) {
            finish(&house, &chat, &anna).await;
            let call = house.start(&anna, &chat).await;
            let other = tab("boris", 2);
            let decline = reject(&call, RejectReason::Declined);
            // Both have begun before either may commit: the one that came second must decide by what the first one wrote.
            let (first, second) = if accept_first {
                ((&boris, accept(&call)), (&other, decline))
            } else {
                ((&other, decline), (&boris, accept(&call)))
            };
            let (first, second) = one_after_the_other(&house, &anna, first, second).await;
            let expected = if accept_first { CallStatus::Ongoing } else { CallStatus::Rejected };
            assert_eq!(house.status(&call).await.0, expected, "{first} {second}");
            assert_eq!(second["outcome"], "noop", "{first} {second}");
        }
        finish(&house, &chat, &anna).await;
    }

    async fn cancel_against_accept_leaves_nobody_in_an_ended_call(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        for _ in 0..2 * ROUNDS {
            let call = house.start(&anna, &chat).await;
            let (_, accepted) = tokio::join!(house.ok(&anna, end(&call)), house.ok(&boris, accept(&call)));
            let (status, reason) = house.status(&call).await;
            match accepted["outcome"].as_str() {
                Some("joined") => assert_eq!((status, reason), (CallStatus::Ended, Some(EndReason::Hangup))),
                _ => assert_eq!((status, reason), (CallStatus::Cancelled, Some(EndReason::CallerCancelled))),
            }
            assert_eq!(house.service.seat_of(&boris.user).await.unwrap(), None);
            sound(&house, &chat).await;
        }
    }

    async fn two_calls_accepted_at_once_give_one_seat(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (from_anna, from_clara) = (house.direct(&anna, &boris).await, house.direct(&clara, &boris).await);
        for _ in 0..ROUNDS {
            let (one, two) = (house.start(&anna, &from_anna).await, house.start(&clara, &from_clara).await);
            let other = tab("boris", 2);
            let (a, b) = tokio::join!(house.run(&boris, accept(&one)), house.run(&other, accept(&two)));
            let refused: Vec<_> = [&a, &b].into_iter().filter_map(|done| done.as_ref().err()).collect();
            assert_eq!(refused.len(), 1, "{a:?} {b:?}");
            assert_eq!(refused[0].code, ErrorCode::BusySelf);
            finish(&house, &from_anna, &anna).await;
            finish(&house, &from_clara, &clara).await;
        }
    }

    async fn calls_left_for_each_other_do_not_deadlock(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (one, two) = (house.group(&[&anna, &boris, &clara]).await, house.group(&[&boris, &anna, &clara]).await);
        for _ in 0..ROUNDS {
            let (first, second) = (house.start(&anna, &one).await, house.start(&boris, &two).await);
            let cross = |to: &CallId, from: &CallId| {
                Command::JoinCall(JoinCall { call_id: to.clone(), takeover: false, wait: false, leave: Some(from.clone()) })
            };
            tokio::join!(house.ok(&anna, cross(&second, &first)), house.ok(&boris, cross(&first, &second)));
            finish(&house, &one, &anna).await;
            finish(&house, &two, &boris).await;
        }
    }

    async fn a_repeated_command_is_carried_out_once(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let id = crate::ids::CommandId::from("same");
        let run = || house.service.command(&anna, &id, start(&chat));
        let (one, two, three) = tokio::join!(run(), run(), run());
        assert_eq!(one.as_ref().unwrap()["outcome"], "created");
        assert_eq!((&one, &one), (&two, &three));
        assert_eq!(house.store().calls(Some(&chat), 10).await.unwrap().len(), 1);
        assert_eq!(run().await, one);
        let other = house.service.command(&anna, &id, end(&"x".into())).await;
        assert_eq!(other.unwrap_err().code, ErrorCode::BadRequest);
    }

    async fn a_refused_command_stays_refused_when_its_twin_comes_late(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (here, there) = (house.direct(&anna, &boris).await, house.direct(&anna, &clara).await);
        for round in 0..ROUNDS {
            let first = house.start(&anna, &here).await;
            let id = crate::ids::CommandId(format!("twin-{round}"));
            let twin = || house.service.command(&anna, &id, start(&there));
            // One before her seat is free, or while it becomes free, and one after.
            let answer = match round % 2 {
                0 => {
                    let answer = twin().await;
                    house.ok(&anna, end(&first)).await;
                    answer
                }
                _ => tokio::join!(twin(), house.ok(&anna, end(&first))).0,
            };
            assert_eq!(twin().await, answer);
            let live = house.service.active_call(&anna.user, &there).await.unwrap();
            assert_eq!(live.is_some(), answer.is_ok(), "{answer:?} {live:?}");
            if round % 2 == 0 {
                assert_eq!(answer.unwrap_err().code, ErrorCode::BusySelf);
                assert_eq!(house.ok(&anna, start(&there)).await["outcome"], "created", "under another id it is carried out");
            }
            finish(&house, &there, &anna).await;
        }
    }

    async fn an_outbox_read_while_it_is_written_never_skips(house: House) {
        let people = [house.person("anna").await, house.person("boris").await, house.person("clara").await];
        let chat = house.group(&people.iter().collect::<Vec<_>>()).await;
        let reader = async {
            let (mut seen, mut texts) = (0, 0);
            while texts < 90 {
                for event in house.service.events_after(&people[0].user, seen, 7).await.unwrap() {
                    assert_eq!(event.seq, seen + 1, "an event that was committed later came before");
                    seen = event.seq;
                    texts += 1;
                }
                tokio::task::yield_now().await;
            }
        };
        let write = |who: usize| {
            let (house, chat, people) = (&house, &chat, &people);
            async move {
                for n in 0..30 {
                    let message = SendMessage { chat_id: chat.clone(), content: format!("{who}.{n}"), call_id: None };
                    house.ok(&people[who], Command::SendMessage(message)).await;
                }
            }
        };
        tokio::join!(reader, write(0), write(1), write(2));
        assert_eq!(house.events(&people[2]).await.len(), 90);
    }

    async fn a_sweep_against_an_accept_leaves_one_answer(
        house: House, CallConfig { ring_ms: 1, ..unlimited() }
    ) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        for sweep_first in [true, false].repeat(ROUNDS / 4) {
            let call = house.start(&anna, &chat).await;
            house.set_clock(10);
            let mut hold = Hold::on(&house, &anna).await;
            let on_postgres = hold.works();
            let sweep = || tokio::spawn({
                let service = house.service.clone();
                async move { service.sweep().await.unwrap() }
            });
            let accepted = if sweep_first {
                let swept = sweep();
                hold.waited_for_by(1).await;
                let accepted = spawn(&house, &boris, accept(&call));
                hold.waited_for_by(2).await;
                hold.release().await;
                let swept = swept.await.unwrap();
                assert!(swept == 1 || !on_postgres);
                accepted.await.unwrap()
            } else {
                let accepted = spawn(&house, &boris, accept(&call));
                hold.waited_for_by(1).await;
                let swept = sweep();
                if hold.works() {
                    // Somebody is at work on the call: the sweep passes it by and does not wait.
                    let swept = tokio::time::timeout(std::time::Duration::from_secs(20), swept).await;
                    assert_eq!(swept.expect("the sweep waits for a command").unwrap(), 0);
                }
                hold.release().await;
                accepted.await.unwrap()
            };
            let expected = if accepted["outcome"] == "joined" { CallStatus::Ongoing } else { CallStatus::Rejected };
            assert_eq!(house.status(&call).await.0, expected);
            if on_postgres {
                assert_eq!(accepted["outcome"], if sweep_first { "noop" } else { "joined" });
            }
            finish(&house, &chat, &anna).await;
        }
    }
}
