//! A call from the command that starts it to the one that ends it: three transactions with their events, on a real database.

use std::sync::Arc;
use std::time::Duration;

use signaling::calls::CallConfig;
use signaling::ids::ChatId;
use signaling::protocol::{CallRef, CallType, Command, JoinCall, StartCall};
use signaling::service::{Actor, LocalBus, Service};
use signaling::store::Store;
use signaling::testing::{Kind, TestDatabase};
use tokio::runtime::Runtime;

use super::{Watch, Work};

/// Two people with a chat. Postgres does not flush (its cluster is a test's), SQLite does.
pub(crate) struct Calls {
    service: Service,
    people: [Actor; 2],
    chat: ChatId,
    commands: u64,
    // After what uses them: the database's folder is removed when nothing writes to it any more.
    runtime: Runtime,
    _database: TestDatabase,
}

impl Calls {
    pub(crate) fn new(kind: Kind) -> Self {
        let runtime = Runtime::new().unwrap();
        let (service, people, chat, database) = runtime.block_on(async {
            let database = TestDatabase::new(kind).await;
            let store = Store::connect(database.url()).await.unwrap();
            store.migrate().await.unwrap();
            let people = ["ivan", "maria"].map(|name| Actor {
                user: name.into(),
                device: format!("{name}-tab").into(),
            });
            for actor in &people {
                let name = &actor.user.0;
                store.upsert_host_user("host", name, name, None).await.unwrap();
            }
            let chat = store.create_direct(&people[0].user, &people[1].user).await.unwrap();
            let config = CallConfig {
                starts_per_user_minute: 0,
                starts_per_chat_minute: 0,
                ..CallConfig::default()
            };
            (
                Service::new(store, Arc::new(LocalBus::new()), config, "node-1"),
                people,
                chat,
                database,
            )
        });
        Self {
            service,
            people,
            chat,
            commands: 0,
            runtime,
            _database: database,
        }
    }

    async fn command(&mut self, who: usize, command: Command) -> serde_json::Value {
        self.commands += 1;
        let id = format!("c{}", self.commands).as_str().into();
        self.service.command(&self.people[who], &id, command).await.unwrap()
    }

    async fn call(&mut self) {
        let start = StartCall {
            chat_id: self.chat.clone(),
            call_type: CallType::Video,
            invitees: None,
            leave: None,
        };
        let started = self.command(0, Command::StartCall(start)).await;
        assert_eq!(started["outcome"], "created", "{started}");
        let call: signaling::ids::CallId = started["callId"].as_str().unwrap().into();
        let accept = JoinCall {
            call_id: call.clone(),
            takeover: false,
            wait: false,
            leave: None,
        };
        self.command(1, Command::AcceptCall(accept)).await;
        self.command(0, Command::EndCall(CallRef { call_id: call })).await;
    }
}

impl Work for Calls {
    fn run(&mut self, count: u64) -> Duration {
        let handle = self.runtime.handle().clone();
        Watch::default().repeat(count, 1, || handle.block_on(self.call()))
    }
}
