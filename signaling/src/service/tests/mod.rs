//! The same tests on both databases.

mod groups;
mod guarantees;
mod history;
mod lifecycle;
mod model;
mod outage;
mod plans;
mod quality;
mod races;
mod retention;
mod rooms;
mod traps;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value as Json;

use super::{Actor, Bus, BusMessage, LocalBus, Service};
use crate::calls::CallConfig;
use crate::ids::{CallId, ChatId, UserId};
use crate::protocol::*;
use crate::store::Store;
use crate::testing::{Kind, TestDatabase};

/// Writes a test once and runs it on SQLite and on Postgres.
macro_rules! both {
    ($(async fn $name:ident($house:ident: House $(, $config:expr)?) $body:block)+) => {$(
        mod $name {
            use super::*;
            async fn test($house: House) $body
            #[allow(unused_mut, unused_assignments)]
            fn config() -> CallConfig {
                let mut config = unlimited();
                $(config = CallConfig { ..$config };)?
                config
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                test(House::new(Kind::Sqlite, config()).await).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                test(House::new(Kind::Postgres, config()).await).await;
            }
        }
    )+};
}
use both;

/// Defaults without the limits per minute, which one test covers.
fn unlimited() -> CallConfig {
    CallConfig {
        starts_per_user_minute: 0,
        starts_per_chat_minute: 0,
        invites_per_user_minute: 0,
        invites_per_call_minute: 0,
        ..CallConfig::default()
    }
}

/// A service on an empty database.
struct House {
    service: Arc<Service>,
    bus: Arc<LocalBus>,
    commands: AtomicU32,
    database: TestDatabase,
}

impl House {
    async fn new(kind: Kind, config: CallConfig) -> Self {
        Self::over(TestDatabase::new(kind).await, config).await
    }

    async fn over(database: TestDatabase, config: CallConfig) -> Self {
        let store = Store::connect(database.url()).await.unwrap();
        store.migrate().await.unwrap();
        let bus = Arc::new(LocalBus::new());
        let shared: Arc<dyn Bus> = bus.clone();
        let service = Arc::new(Service::new(store, shared, config, "node-1"));
        Self {
            service,
            bus,
            commands: AtomicU32::new(0),
            database,
        }
    }

    /// Sets the database's clock forward (or back) for this service.
    fn set_clock(&self, ms: i64) {
        self.service.set_forward(ms);
    }

    /// Stops the database's clock there, for this service.
    fn freeze_clock(&self, ms: i64) {
        self.service.frozen_ms.store(ms, Ordering::Relaxed);
    }

    fn store(&self) -> &Store {
        self.service.store()
    }

    async fn person(&self, name: &str) -> Actor {
        self.store().upsert_host_user("host", name, name, None).await.unwrap();
        tab(name, 1)
    }

    async fn direct(&self, a: &Actor, b: &Actor) -> ChatId {
        self.store().create_direct(&a.user, &b.user).await.unwrap()
    }

    async fn group(&self, people: &[&Actor]) -> ChatId {
        let members: Vec<UserId> = people.iter().map(|actor| actor.user.clone()).collect();
        self.store().create_group(&members[0], "team", &members).await.unwrap()
    }

    async fn run(&self, actor: &Actor, command: Command) -> Result<Json, WireError> {
        let n = self.commands.fetch_add(1, Ordering::Relaxed);
        self.service.command(actor, &format!("c{n}").into(), command).await
    }

    async fn ok(&self, actor: &Actor, command: Command) -> Json {
        let text = format!("{command:?}");
        self.run(actor, command)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    async fn outcome(&self, actor: &Actor, command: Command) -> String {
        self.ok(actor, command).await["outcome"].as_str().unwrap().to_owned()
    }

    async fn refused(&self, actor: &Actor, command: Command) -> ErrorCode {
        let text = format!("{command:?}");
        match self.run(actor, command).await {
            Ok(done) => panic!("{text} was carried out: {done}"),
            Err(error) => error.code,
        }
    }

    async fn start(&self, actor: &Actor, chat: &ChatId) -> CallId {
        let done = self.ok(actor, start(chat)).await;
        assert_eq!(done["outcome"], "created", "{done}");
        done["callId"].as_str().unwrap().into()
    }

    async fn status(&self, call: &CallId) -> (CallStatus, Option<EndReason>) {
        let call = self.store().call(call).await.unwrap().unwrap();
        (call.status, call.end_reason)
    }

    async fn part(&self, call: &CallId, actor: &Actor) -> Option<ParticipantStatus> {
        let people = self.store().participants(call).await.unwrap();
        people.into_iter().find(|p| p.user == actor.user).map(|p| p.status)
    }

    /// Names of the durable events of a user, in order; their sequence has no gap.
    async fn events(&self, actor: &Actor) -> Vec<Event> {
        let events = self.service.events_after(&actor.user, 0, 10_000).await.unwrap();
        let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(
            seqs,
            (1..=events.len() as u64).collect::<Vec<_>>(),
            "the outbox is gapless"
        );
        events
    }

    async fn ops(&self, actor: &Actor) -> Vec<String> {
        self.events(actor).await.into_iter().map(|event| event.op).collect()
    }

    async fn last(&self, actor: &Actor, op: &str) -> Json {
        let events = self.events(actor).await;
        let found = events.iter().rev().find(|event| event.op == op);
        found
            .unwrap_or_else(|| panic!("no {op} for {}: {events:?}", actor.user))
            .d
            .clone()
    }

    /// Types of a call's record, in order.
    async fn record(&self, call: &CallId) -> Vec<(String, Option<String>)> {
        let events = self.store().call_events(call).await.unwrap();
        events
            .into_iter()
            .map(|event| (event.event_type, event.user.map(|user| user.0)))
            .collect()
    }
}

fn tab(name: &str, n: u32) -> Actor {
    Actor {
        user: name.into(),
        device: format!("{name}-tab-{n}").into(),
    }
}

fn start(chat: &ChatId) -> Command {
    Command::StartCall(StartCall {
        chat_id: chat.clone(),
        call_type: CallType::Video,
        invitees: None,
        leave: None,
    })
}

fn accept(call: &CallId) -> Command {
    Command::AcceptCall(JoinCall {
        call_id: call.clone(),
        takeover: false,
        wait: false,
        leave: None,
    })
}

fn join(call: &CallId) -> Command {
    Command::JoinCall(JoinCall {
        call_id: call.clone(),
        takeover: false,
        wait: false,
        leave: None,
    })
}

fn reject(call: &CallId, reason: RejectReason) -> Command {
    Command::RejectCall(RejectCall {
        call_id: call.clone(),
        reason,
    })
}

fn end(call: &CallId) -> Command {
    Command::EndCall(CallRef { call_id: call.clone() })
}

fn leave(call: &CallId) -> Command {
    Command::LeaveCall(CallRef { call_id: call.clone() })
}

fn ring_ack(call: &CallId) -> Command {
    Command::RingAck(CallRef { call_id: call.clone() })
}

/// Everything published so far.
fn drain(receiver: &mut tokio::sync::broadcast::Receiver<Arc<BusMessage>>) -> Vec<BusMessage> {
    std::iter::from_fn(|| receiver.try_recv().ok())
        .map(|message| (*message).clone())
        .collect()
}
