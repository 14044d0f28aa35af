//! The server is killed with -9, again and again.

use signaling::ids::CallId;
use signaling::protocol::{CallRef, CallStatus, CallType, Command, EndReason, JoinCall, ParticipantStatus, StartCall};
use signaling::testing::{Kind, TestDatabase};

use crate::process::Server;
use crate::tab::Page;
use crate::{Dice, crowd, eventually, number};

/// Periods short enough for a test; media never comes, so that it is not waited for.
const HASTY: [(&str, &str); 7] = [
    ("RINGHALL_CALLS_RING_MS", "3000"),
    ("RINGHALL_CALLS_RESTART_RING_MS", "1000"),
    ("RINGHALL_CALLS_REJOIN_MS", "3000"),
    ("RINGHALL_CALLS_CALLER_LOST_MS", "1500"),
    ("RINGHALL_CALLS_MEDIA_CONNECT_MS", "3600000"),
    ("RINGHALL_CALLS_ALONE_END_MS", "4000"),
    ("RINGHALL_SOCKETS_SEAT_LOST_MS", "500"),
];

async fn killed_again_and_again(kind: Kind) {
    let database = TestDatabase::new(kind).await;
    let url = (kind == Kind::Postgres).then(|| database.url().to_owned());
    let mut server = Server::start(url.as_deref(), &HASTY).await;
    let mut dice = Dice::new(kind as u64);
    let kills = number("RINGHALL_TEST_KILLS", 5);
    let mut outcome = crowd::run(&mut server, kills, &mut dice).await;
    crowd::on_record(&server, &outcome).await;
    crowd::seen(&server, &mut outcome).await;
    crowd::once_more(&server, &mut outcome).await;
    crowd::over(&server, outcome).await;
    server.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_it_answered_and_doubles_nothing_on_sqlite() {
    killed_again_and_again(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_it_answered_and_doubles_nothing_on_postgres() {
    killed_again_and_again(Kind::Postgres).await;
}

pub(crate) fn start(server: &Server, chat: usize) -> Command {
    Command::StartCall(StartCall {
        chat_id: server.chats[chat].0.clone(),
        call_type: CallType::Audio,
        invitees: None,
        leave: None,
    })
}

pub(crate) fn accept(call: &CallId) -> Command {
    Command::AcceptCall(JoinCall {
        call_id: call.clone(),
        takeover: false,
        wait: false,
        leave: None,
    })
}

pub(crate) fn page(server: &Server, person: usize) -> Page {
    let device = format!("p{person}-tab");
    Page::new(server.address, server.token(person), &server.people[person], &device)
}

/// Two people who talk.
pub(crate) async fn talking(server: &Server, a: &mut Page, b: &mut Page, chat: usize) -> CallId {
    let created = a.done(&start(server, chat)).await;
    let call: CallId = created["callId"].as_str().unwrap().into();
    b.until("the ring", |tab| tab.rings.contains(&call)).await;
    assert_eq!(b.done(&accept(&call)).await["outcome"], "joined");
    call
}

pub(crate) async fn status(server: &Server, call: &CallId) -> (CallStatus, Option<EndReason>) {
    let call = server.store.call(call).await.unwrap().unwrap();
    (call.status, call.end_reason)
}

pub(crate) async fn seats(server: &Server, call: &CallId) -> Vec<ParticipantStatus> {
    let people = server.store.participants(call).await.unwrap();
    people.into_iter().map(|person| person.status).collect()
}

async fn back_in_the_same_call(kind: Kind) {
    let database = TestDatabase::new(kind).await;
    let url = (kind == Kind::Postgres).then(|| database.url().to_owned());
    let mut server = Server::start(url.as_deref(), &HASTY).await;
    let (mut anna, mut boris) = (page(&server, 0), page(&server, 1));
    let call = talking(&server, &mut anna, &mut boris, 0).await;
    // Somebody else is being rung meanwhile, whose caller does not come back.
    let mut clara = page(&server, 2);
    let lost = clara.done(&start(&server, 1)).await;
    let lost: CallId = lost["callId"].as_str().unwrap().into();

    server.kill();
    drop(clara);
    server.again().await;
    let was = (anna.connections, boris.connections);
    // A tab that reads finds out, and is back by itself.
    while anna.connections == was.0 || boris.connections == was.1 {
        tokio::join!(anna.next(), boris.next());
    }
    let joined = [ParticipantStatus::Joined; 2];
    eventually("both are back", || async { seats(&server, &call).await == joined }).await;
    assert_eq!(status(&server, &call).await, (CallStatus::Ongoing, None));
    // Nobody did anything about the other call: time did.
    eventually("the lost caller's call is over", || async {
        status(&server, &lost).await.1.is_some()
    })
    .await;
    let (status_of_lost, reason) = status(&server, &lost).await;
    assert_eq!(
        (status_of_lost, reason),
        (CallStatus::Cancelled, Some(EndReason::CallerLost))
    );

    let leave = Command::LeaveCall(CallRef { call_id: call.clone() });
    anna.done(&leave).await;
    boris
        .until("the end", |tab| tab.events.iter().any(|event| event.op == "call_ended"))
        .await;
    assert_eq!(
        status(&server, &call).await,
        (CallStatus::Ended, Some(EndReason::Hangup))
    );
    server.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_back_in_the_same_call_and_deadlines_are_kept_on_sqlite() {
    back_in_the_same_call(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_back_in_the_same_call_and_deadlines_are_kept_on_postgres() {
    back_in_the_same_call(Kind::Postgres).await;
}
