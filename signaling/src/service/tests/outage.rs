//! The database away, restarted, with its clock set; another node gone.

use std::time::Duration;

use super::*;
use crate::service::recovery::ClockWatch;
use crate::service::{Link, ServiceError};
use crate::store::StoreError;
use crate::testing::OwnPostgres;

fn say(chat: &ChatId, text: &str) -> Command {
    Command::SendMessage(SendMessage {
        chat_id: chat.clone(),
        content: text.to_owned(),
        call_id: None,
    })
}

const SOON: Duration = Duration::from_secs(60);

async fn own(config: CallConfig) -> (OwnPostgres, House) {
    let (postgres, database) = OwnPostgres::start().await.unwrap();
    (postgres, House::over(database, config).await)
}

/// Waits until the database answers again.
async fn answers(house: &House) {
    let back = async {
        while house.store().ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, back)
        .await
        .expect("the database does not come back");
}

fn unavailable(error: &WireError) {
    assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}");
    assert!((1..=10_000).contains(&error.retry_after_ms), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_crashes_leaves_every_call_whole_and_every_command_once() {
    let (mut postgres, house) = own(unlimited()).await;
    let (anna, boris) = (house.person("anna").await, house.person("boris").await);
    let chat = house.direct(&anna, &boris).await;
    let call = house.start(&anna, &chat).await;
    house.ok(&boris, accept(&call)).await;
    // Commands are under way at every stage of theirs when it goes.
    let busy: Vec<_> = (0..16)
        .map(|n| {
            let (service, anna, chat) = (house.service.clone(), anna.clone(), chat.clone());
            tokio::spawn(async move {
                let mut results = Vec::new();
                for m in 0..200 {
                    let text = say(&chat, &format!("{n}.{m}"));
                    let id = format!("text-{n}-{m}").into();
                    results.push(service.command(&anna, &id, text).await);
                    if results.last().is_some_and(Result::is_err) {
                        return results;
                    }
                }
                results
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    postgres.stop().unwrap();
    let mut sent = 0;
    for task in busy {
        for result in task.await.unwrap() {
            match result {
                Ok(_) => sent += 1,
                Err(error) => unavailable(&error),
            }
        }
    }
    unavailable(&house.run(&anna, end(&call)).await.unwrap_err());
    assert!(matches!(
        house.service.sweep().await,
        Err(ServiceError::Store(StoreError::Unavailable(_)))
    ));
    postgres.again().unwrap();
    answers(&house).await;
    assert_eq!(house.status(&call).await, (CallStatus::Ongoing, None));
    // Everything that was confirmed is there, once, and a repeat of anything changes nothing that was confirmed.
    let said = house.store().messages(&anna.user, &chat, None, 10_000).await.unwrap();
    assert!(said.len() >= sent, "{} of {sent} confirmed messages", said.len());
    let different: std::collections::HashSet<_> = said.iter().map(|message| &message.content).collect();
    assert_eq!(different.len(), said.len());
    house.events(&boris).await; // gapless
    house.ok(&anna, end(&call)).await;
    assert_eq!(house.status(&call).await, (CallStatus::Ended, Some(EndReason::Hangup)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_hangs_is_answered_for_and_a_repeat_is_carried_out_once() {
    let (postgres, house) = own(unlimited()).await;
    let (anna, boris) = (house.person("anna").await, house.person("boris").await);
    let chat = house.direct(&anna, &boris).await;
    let id = crate::ids::CommandId::from("the ring");
    house.ok(&anna, say(&chat, "warm")).await;
    postgres.freeze(true).unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(20), house.service.command(&anna, &id, start(&chat))).await;
    let refused = refused.expect("a command waits for a database that hangs");
    postgres.freeze(false).unwrap();
    unavailable(&refused.unwrap_err());
    answers(&house).await;
    let one = house.service.command(&anna, &id, start(&chat)).await.unwrap();
    let two = house.service.command(&anna, &id, start(&chat)).await.unwrap();
    assert_eq!(one, two);
    assert_eq!(house.store().calls(Some(&chat), 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ring_that_ran_out_while_the_database_was_away_goes_on_for_a_moment() {
    let config = CallConfig {
        ring_ms: 1_500,
        restart_ring_ms: 60_000,
        ..unlimited()
    };
    let (mut postgres, house) = own(config).await;
    let (anna, boris) = (house.person("anna").await, house.person("boris").await);
    let chat = house.direct(&anna, &boris).await;
    let mut clock = ClockWatch::default();
    house.service.check_clock(&mut clock).await.unwrap();
    let call = house.start(&anna, &chat).await;
    postgres.stop().unwrap();
    let gone = async { while house.service.check_clock(&mut clock).await.is_ok() {} };
    tokio::time::timeout(SOON, gone).await.unwrap();
    clock.failed();
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    postgres.again().unwrap();
    answers(&house).await;
    house.service.check_clock(&mut clock).await.unwrap();
    house.service.sweep().await.unwrap();
    assert_eq!(house.status(&call).await, (CallStatus::Ringing, None));
    assert_eq!(house.outcome(&boris, accept(&call)).await, "joined");
}

both! {
    async fn a_clock_that_jumps_neither_ends_a_ring_early_nor_keeps_it_for_ever(house: House) {
        const HOUR: i64 = 3_600_000;
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let mut clock = ClockWatch::default();
        house.service.check_clock(&mut clock).await.unwrap();
        let call = house.start(&anna, &chat).await;
        house.set_clock(HOUR);
        house.service.check_clock(&mut clock).await.unwrap();
        house.service.sweep().await.unwrap();
        assert_eq!(house.status(&call).await, (CallStatus::Ringing, None), "an hour has not passed");
        house.set_clock(31_000);
        house.service.sweep().await.unwrap();
        assert_eq!(house.status(&call).await, (CallStatus::Rejected, Some(EndReason::Timeout)));

        house.service.check_clock(&mut clock).await.unwrap();
        let call = house.start(&anna, &chat).await;
        house.set_clock(-HOUR);
        house.service.check_clock(&mut clock).await.unwrap();
        house.set_clock(31_000);
        house.service.sweep().await.unwrap();
        assert_eq!(house.status(&call).await, (CallStatus::Rejected, Some(EndReason::Timeout)));
        let left = house.store().call(&call).await.unwrap().unwrap();
        assert!(left.ended_at_ms >= Some(left.created_at_ms), "the record does not run backwards: {left:?}");
    }

    async fn a_node_that_is_gone_leaves_its_calls_to_another_and_people_come_back_into_them(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        for user in [&anna, &boris] {
            house.service.media_connected(&call, &user.user).await.unwrap();
        }
        let bus: Arc<dyn Bus> = house.bus.clone();
        let other = Service::new(house.store().clone(), bus, unlimited(), "node-2");
        other.take_over().await.unwrap();
        assert_eq!(house.part(&call, &anna).await, Some(ParticipantStatus::Joined), "its claim still holds");
        let lease = i64::from(house.service.config().lease_ms);
        other.skew_ms.store(2 * lease + 5_000, Ordering::Relaxed);
        other.take_over().await.unwrap();
        for user in [&anna, &boris] {
            assert_eq!(house.part(&call, user).await, Some(ParticipantStatus::Reconnecting));
        }
        assert_eq!(house.status(&call).await, (CallStatus::Ongoing, None));
        other.seat_back(&anna, Link::Socket).await.unwrap();
        let back = other.command(&boris, &"back".into(), join(&call)).await.unwrap();
        assert_eq!(back["callId"], call.as_str());
        for user in [&anna, &boris] {
            assert_eq!(house.part(&call, user).await, Some(ParticipantStatus::Joined));
        }
        other.take_over().await.unwrap();
        assert_eq!(house.part(&call, &anna).await, Some(ParticipantStatus::Joined), "taken over once");
    }
}
