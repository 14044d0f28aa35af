//! The program under test, the people it knows, and their tokens.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use signaling::auth::Claims;
use signaling::calls::CallConfig;
use signaling::ids::{ChatId, UserId};
use signaling::service::{LocalBus, Service};
use signaling::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://host.example";

/// A server that may be killed and started again, on the same port and the same data.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    /// Reads what the server has written; it decides nothing.
    pub(crate) reader: Service,
    pub(crate) people: Vec<UserId>,
    /// Each with the places of its members in `people`.
    pub(crate) chats: Vec<(ChatId, Vec<usize>)>,
    folder: tempfile::TempDir,
    /// Empty: SQLite in the folder.
    database: String,
    options: Vec<(&'static str, String)>,
    child: Option<Child>,
}

impl Server {
    /// A running one. `database`: a Postgres URL, or nothing for SQLite.
    pub(crate) async fn start(database: Option<&str>, options: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}", folder.path().join("ringhall.db").display());
        let store = Store::connect(database.unwrap_or(&file)).await.unwrap();
        store.migrate().await.unwrap();
        // Held for a moment so that the system gives it to nobody else.
        let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            address: place.local_addr().unwrap(),
            reader: Service::new(
                store.clone(),
                Arc::new(LocalBus::new()),
                CallConfig::default(),
                "reader",
            ),
            store,
            people: Vec::new(),
            chats: Vec::new(),
            folder,
            database: database.unwrap_or_default().to_owned(),
            options: options
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            child: None,
        };
        server.settle().await;
        drop(place);
        server.again().await;
        server
    }

    /// Six people: three pairs and two groups.
    async fn settle(&mut self) {
        for n in 0..6 {
            let subject = format!("p{n}");
            let person = self.store.upsert_host_user(ISSUER, &subject, &subject, None).await;
            self.people.push(person.unwrap().id);
        }
        for (a, b) in [(0, 1), (2, 3), (4, 5)] {
            let chat = self
                .store
                .create_direct(&self.people[a], &self.people[b])
                .await
                .unwrap();
            self.chats.push((chat, vec![a, b]));
        }
        for members in [vec![0, 2, 4], vec![1, 2, 3, 5]] {
            let users: Vec<UserId> = members.iter().map(|n| self.people[*n].clone()).collect();
            let chat = self.store.create_group(&users[0], "team", &users).await.unwrap();
            self.chats.push((chat, members));
        }
    }

    pub(crate) fn token(&self, person: usize) -> String {
        let claims = Claims {
            iss: ISSUER.into(),
            name: Some(format!("p{person}")),
            ..Claims::new(format!("p{person}").as_str().into(), Duration::from_secs(3_600))
        };
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    }

    /// Starts it, and waits until it is ready.
    pub(crate) async fn again(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringhall"));
        command
            .arg("serve")
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .env_remove("RINGHALL_CONFIG")
            .env("RINGHALL_DATA_DIR", self.folder.path())
            .env("RINGHALL_HTTP_LISTEN", self.address.to_string())
            .env("RINGHALL_MEDIA_LISTEN", "127.0.0.1:0")
            .env("RINGHALL_MEDIA_ADVERTISE", "127.0.0.1")
            .env("RINGHALL_LOG_LEVEL", "info")
            .env("RINGHALL_AUTH_SECRET", SECRET)
            .env("RINGHALL_AUTH_ISSUER", ISSUER)
            .env("RINGHALL_CALLS_STARTS_PER_USER_MINUTE", "0")
            .env("RINGHALL_CALLS_STARTS_PER_CHAT_MINUTE", "0")
            .env("RINGHALL_CALLS_INVITES_PER_USER_MINUTE", "0")
            .env("RINGHALL_CALLS_INVITES_PER_CALL_MINUTE", "0")
            .env("RINGHALL_SOCKETS_COMMANDS_PER_SECOND", "10000")
            .env("RINGHALL_SOCKETS_COMMANDS_BURST", "10000")
            .envs(self.options.iter().map(|(name, value)| (*name, value.as_str())));
        if !self.database.is_empty() {
            command.env("RINGHALL_DATABASE_URL", &self.database);
        }
        self.child = Some(command.spawn().unwrap());
        let address = self.address;
        eventually("the server is ready", || {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
                panic!("the server ended with {status}: {log}");
            }
            async move { ready(address).await.unwrap_or(false) }
        })
        .await;
    }

    /// Ends it at once and without a word.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap(); // SIGKILL
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether `/readyz` says 200.
pub(crate) async fn ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut socket = TcpStream::connect(address).await?;
    socket
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
