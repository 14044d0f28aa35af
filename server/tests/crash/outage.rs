//! Postgres is stopped for a while, and killed, under a server that goes on.

use std::time::{Duration, Instant};

use signaling::protocol::{CallRef, CallStatus, Command, EndReason, ErrorCode, ParticipantStatus, SendMessage};
use signaling::testing::{OwnPostgres, rules};

use crate::process::{Server, ready};
use crate::restart::{page, seats, status, talking};
use crate::{SOON, eventually, number};

fn say(server: &Server, text: &str) -> Command {
    Command::SendMessage(SendMessage {
        chat_id: server.chats[0].0.clone(),
        content: text.into(),
        call_id: None,
    })
}

/// How the database goes, and comes back.
async fn away(go: fn(&mut OwnPostgres) -> Result<(), String>) {
    let (mut postgres, database) = OwnPostgres::start().await.unwrap();
    let options = [
        ("RINGHALL_CALLS_MEDIA_CONNECT_MS", "3600000"),
        ("RINGHALL_CALLS_REJOIN_MS", "60000"),
    ];
    let server = Server::start(Some(database.url()), &options).await;
    let (mut anna, mut boris) = (page(&server, 0), page(&server, 1));
    let call = talking(&server, &mut anna, &mut boris, 0).await;
    anna.done(&say(&server, "before")).await;
    let connections = (anna.connections, boris.connections);

    go(&mut postgres).unwrap();
    eventually("it is gone", || async { server.store.ping().await.is_err() }).await;
    let gone = Instant::now();
    let outage = Duration::from_secs(number("RINGHALL_TEST_OUTAGE_SECONDS", 5));
    let mut refused = 0;
    while gone.elapsed() < outage {
        // Every command is answered: by a refusal that says when to come again.
        let id = anna.say(&say(&server, "while it is away")).await;
        anna.until("an answer", |tab| tab.answers.contains_key(&id)).await;
        let error = anna.tab.answers[&id].clone().unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}");
        assert!(error.retry_after_ms > 0, "{error:?}");
        refused += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!ready(server.address).await.unwrap(), "not ready without its database");
    postgres.again().unwrap();
    let back = async {
        while !ready(server.address).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, back)
        .await
        .expect("the server does not find its database again");
    anna.done(&say(&server, "after")).await;
    assert_eq!((anna.connections, boris.connections), connections, "no socket was lost");
    assert_eq!(status(&server, &call).await, (CallStatus::Ongoing, None));
    assert_eq!(seats(&server, &call).await, [ParticipantStatus::Joined; 2]);

    // The sweep goes on, too.
    anna.done(&Command::LeaveCall(CallRef { call_id: call.clone() })).await;
    eventually("the call is over", || async {
        status(&server, &call).await.1.is_some()
    })
    .await;
    assert_eq!(
        status(&server, &call).await,
        (CallStatus::Ended, Some(EndReason::Hangup))
    );
    boris
        .until("what came after", |tab| {
            tab.events
                .iter()
                .any(|event| event.op == "message" && event.d["content"] == "after")
        })
        .await;
    let texts = boris
        .tab
        .events
        .iter()
        .filter(|event| event.op == "message" && event.d["kind"] == "text");
    let texts: Vec<_> = texts.map(|event| event.d["content"].as_str().unwrap()).collect();
    assert_eq!(texts, ["before", "after"], "nothing half done");
    rules::tables(&server.store).await.unwrap();
    rules::records(&server.store).await.unwrap();
    println!("{refused} commands were refused within {outage:?}");
    server.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_postgres_costs_no_call_and_every_command_is_answered() {
    away(OwnPostgres::stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_costs_no_call_and_every_command_is_answered() {
    away(OwnPostgres::kill).await;
}
