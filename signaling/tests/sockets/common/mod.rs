//! A real server on a free port: real sockets, a real service on SQLite, and a media plane that writes down what it is told.

mod fake_media;
mod http;
mod socket;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use signaling::app::{App, Parts};
use signaling::auth::{Attempts, Claims, Grant, HostIssuer, Passwords, Tokens};
use signaling::calls::CallConfig;
use signaling::http::{DemoUser, ServerInfo, Setup, router};
use signaling::ids::{ChatId, UserId};
use signaling::service::{LocalBus, Service};
use signaling::store::Store;
use signaling::ws::SocketConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use fake_media::{FakeMedia, Told};
pub use http::Answer;
pub use socket::Socket;

pub const PASSWORD: &str = "a password of ivan";
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const HOST_SECRET: &[u8] = b"fedcba9876543210fedcba9876543210";

/// How long a test waits for something that should come at once.
pub const SOON: Duration = Duration::from_secs(20);

/// What a test may want otherwise.
#[derive(Default)]
pub struct Options {
    pub calls: CallConfig,
    pub sockets: SocketConfig,
    pub setup: Option<String>,
    pub attempts: Option<u32>,
    /// Hints of the service reach nobody.
    pub deaf: bool,
}

/// The server. Its tasks end with the test's runtime.
pub struct Server {
    pub address: SocketAddr,
    pub app: Arc<App>,
    pub service: Arc<Service>,
    pub media: Arc<FakeMedia>,
    pub bus: Arc<LocalBus>,
    pub ivan: UserId,
    pub maria: UserId,
    pub anna: UserId,
    /// The direct chat of ivan and maria.
    pub direct: ChatId,
    /// The group of all three.
    pub group: ChatId,
    tokens: Tokens,
    stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::connect(&format!("sqlite:{}", folder.path().join("test.db").display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(PASSWORD).await.unwrap();
        let mut ids = Vec::new();
        for (login, name) in [("ivan", "Иван"), ("maria", "Мария"), ("anna", "Анна")] {
            ids.push(store.create_local_user(login, name, &hash).await.unwrap().id);
        }
        let [ivan, maria, anna] = <[UserId; 3]>::try_from(ids).unwrap();
        let direct = store.create_direct(&ivan, &maria).await.unwrap();
        let group = store
            .create_group(&ivan, "отдел", &[maria.clone(), anna.clone()])
            .await
            .unwrap();
        let bus = Arc::new(LocalBus::new());
        let hints = if options.deaf {
            LocalBus::new().subscribe()
        } else {
            bus.subscribe()
        };
        let service = Arc::new(Service::new(store, bus.clone(), options.calls, "test-node"));
        service.start_up().await.unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(service.clone().run(stopped));
        let media = Arc::new(FakeMedia::default());
        let app = App::start(Parts {
            service: service.clone(),
            bus: hints,
            media: media.clone(),
            tokens: tokens(),
            passwords,
            attempts: Attempts::new(NonZeroU32::new(options.attempts.unwrap_or(1_000)).unwrap()),
            token_ttl: Duration::from_secs(3600),
            sockets: options.sockets,
            info: ServerInfo {
                name: "Ringhall".into(),
                version: "1".into(),
                demo: Some(vec![DemoUser {
                    login: "ivan".into(),
                    name: "Иван".into(),
                    password: PASSWORD.into(),
                }]),
            },
            setup: Setup::new(options.setup),
            ice: Arc::new(|_| signaling::app::IceAdvice::default()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            address,
            app,
            service,
            media,
            bus,
            ivan,
            maria,
            anna,
            direct,
            group,
            tokens: tokens(),
            stop,
            _folder: folder,
        }
    }

    /// A local sign-in of a user.
    pub fn token(&self, user: &UserId) -> String {
        self.token_for(user, Duration::from_secs(600))
    }

    /// The same, good for as long.
    pub fn token_for(&self, user: &UserId, lasts: Duration) -> String {
        self.sign(&Claims::new(user.clone(), lasts))
    }

    /// Any claims, signed by the server itself.
    pub fn sign(&self, claims: &Claims) -> String {
        self.tokens.issue(claims).unwrap()
    }

    /// The chat of a room.
    pub async fn app_room(&self, name: &str) -> ChatId {
        self.service.store().ensure_room(name).await.unwrap()
    }

    /// A room token, as `ringhall token` prints.
    pub fn room_token(&self, room: &str, identity: &str, grants: &[Grant]) -> String {
        let claims = Claims {
            room: Some(room.into()),
            grants: Some(grants.to_vec()),
            ..Claims::new(identity.into(), Duration::from_secs(600))
        };
        self.sign(&claims)
    }

    /// Any claims, signed by the host application.
    pub fn host_token(claims: &serde_json::Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(HOST_SECRET);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
    }

    /// A tab of a user, connected and past its snapshot.
    pub async fn tab(&self, user: &UserId, device: &str) -> Socket {
        let mut socket = Socket::open(self.address).await;
        socket.hello(&self.token(user), device, serde_json::Value::Null).await;
        socket.event("snapshot").await;
        socket
    }

    /// Removes a user's events up to one, as age does.
    pub async fn forget_events(&self, user: &UserId, up_to: i64) {
        use sqlx::Connection as _;
        let file = self._folder.path().join("test.db");
        let mut database = sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display()))
            .await
            .unwrap();
        let gone = sqlx::query("DELETE FROM user_events WHERE user_id = $1 AND seq <= $2");
        gone.bind(user.as_str())
            .bind(up_to)
            .execute(&mut database)
            .await
            .unwrap();
    }

    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        http::request(self.address, method, path, headers, body.as_bytes()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.app.drain();
    }
}

fn tokens() -> Tokens {
    Tokens::new(
        SECRET,
        Some(HostIssuer {
            issuer: "host".into(),
            secret: HOST_SECRET.to_vec(),
        }),
    )
}
