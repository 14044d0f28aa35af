//! The application under simulation, with people and chats.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::super::connection;
use super::network::ServerEnd;
use crate::app::{App, Parts};
use crate::auth::{Attempts, Claims, Passwords, Tokens};
use crate::calls::CallConfig;
use crate::http::{ServerInfo, Setup};
use crate::ids::{CallId, ChatId, UserId};
use crate::media::{IceCredentials, MediaError, MediaEvent, MediaOfferRequest, MediaPlane, MediaSeat};
use crate::protocol::{ChatRole, Intent, MediaSource};
use crate::service::{LocalBus, Service};
use crate::store::Store;
use crate::testing::{Kind, TestDatabase};
use crate::ws::SocketConfig;

pub(super) const PEOPLE: usize = 5;

/// Nobody sends anything here.
struct NoMedia;

#[async_trait]
impl MediaPlane for NoMedia {
    async fn offer(&self, _: MediaOfferRequest) -> Result<String, MediaError> {
        Err(MediaError::Unavailable)
    }
    async fn restart_ice(&self, _: &MediaSeat, _: IceCredentials) -> Result<IceCredentials, MediaError> {
        Err(MediaError::Unavailable)
    }
    async fn intents(&self, _: &MediaSeat, _: Vec<Intent>) -> Result<(), MediaError> {
        Err(MediaError::Unavailable)
    }
    fn set_blocked(&self, _: &MediaSeat, _: MediaSource, _: bool) {}
    fn set_limited(&self, _: &MediaSeat, _: MediaSource, _: bool) {}
    fn leave(&self, _: &MediaSeat) {}
    fn close_room(&self, _: &CallId) {}
    fn events(&self) -> Option<mpsc::Receiver<MediaEvent>> {
        None
    }
}

pub(super) struct House {
    pub(super) service: Arc<Service>,
    pub(super) people: Vec<UserId>,
    pub(super) chats: Vec<ChatId>,
    app: Arc<App>,
    tokens: Tokens,
    stop: watch::Sender<bool>,
    _database: TestDatabase,
}

impl House {
    /// Pairs, a group of all, and a room: a call in it rings nobody, so that only what is ephemeral tells of it.
    pub(super) async fn new(kind: Kind) -> Self {
        let database = TestDatabase::new(kind).await;
        let store = Store::connect(database.url()).await.unwrap();
        store.migrate().await.unwrap();
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            let name = format!("p{n}");
            people.push(store.create_local_user(&name, &name, "no password").await.unwrap().id);
        }
        let mut chats = Vec::new();
        for (a, b) in [(0, 1), (1, 2), (3, 4)] {
            chats.push(store.create_direct(&people[a], &people[b]).await.unwrap());
        }
        chats.push(store.create_group(&people[0], "team", &people).await.unwrap());
        let room = store.ensure_room("room").await.unwrap();
        for person in &people[1..] {
            store.add_member(&room, person, ChatRole::Member).await.unwrap();
        }
        chats.push(room);
        let bus = Arc::new(LocalBus::new());
        let hints = bus.subscribe();
        let config = CallConfig {
            starts_per_user_minute: 0,
            starts_per_chat_minute: 0,
            media_connect_ms: 3_600_000,
            ..CallConfig::default()
        };
        let service = Arc::new(Service::new(store, bus, config, "node-1"));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(service.clone().run(stopped));
        let sockets = SocketConfig {
            commands_per_second: 1_000_000,
            commands_burst: 1_000_000,
            seat_lost_ms: 50,
            heal_ms: 100,
            presence_ms: 50,
            ..SocketConfig::default()
        };
        let tokens = || Tokens::new(b"0123456789abcdef0123456789abcdef", None);
        let app = App::start(Parts {
            service: service.clone(),
            bus: hints,
            media: Arc::new(NoMedia),
            tokens: tokens(),
            passwords: Passwords::new().unwrap(),
            attempts: Attempts::new(NonZeroU32::MAX),
            token_ttl: Duration::from_secs(3_600),
            sockets,
            info: ServerInfo {
                name: "Ringhall".into(),
                version: "1".into(),
                demo: None,
            },
            setup: Setup::new(None),
            ice: Arc::new(|_| crate::app::IceAdvice::default()),
        });
        Self {
            service,
            people,
            chats,
            app,
            tokens: tokens(),
            stop,
            _database: database,
        }
    }

    pub(super) fn token(&self, person: usize) -> String {
        let claims = Claims::new(self.people[person].clone(), Duration::from_secs(3_600));
        self.tokens.issue(&claims).unwrap()
    }

    /// A connection, from where its upgrade would end.
    pub(super) fn accept(&self, socket: ServerEnd) {
        let place = self.app.waiting_room.clone().try_acquire_owned().unwrap();
        tokio::spawn(connection::run(
            self.app.clone(),
            socket,
            place,
            std::net::Ipv4Addr::LOCALHOST.into(),
        ));
    }

    pub(super) fn end(&self) {
        self.stop.send_replace(true);
        self.app.drain();
    }
}
