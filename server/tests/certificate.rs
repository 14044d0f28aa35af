//! A certificate is replaced under the real server, as certbot or an operator does it: who comes afterwards sees the new one,
//! and nobody who is there notices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::net::{SocketAddr, TcpListener as Place, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const SOON: Duration = Duration::from_secs(60);

/// A certificate with its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

struct Server {
    process: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// As certbot lays it out: the configured paths are links into folders of their own.
    fn start(first: &Pair) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = Place::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let media = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        renew(folder.path(), "1", &first.certificate, &first.key);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_ringhall"))
            .args(["serve", "--demo"])
            .env("RINGHALL_DATA_DIR", folder.path().join("data"))
            .env("RINGHALL_HTTP_LISTEN", address.to_string())
            .env("RINGHALL_MEDIA_LISTEN", media.to_string())
            .env("RINGHALL_TLS_MODE", "files")
            .env("RINGHALL_TLS_CERTIFICATE", folder.path().join("fullchain.pem"))
            .env("RINGHALL_TLS_KEY", folder.path().join("privkey.pem"))
            .env("RINGHALL_LOG_LEVEL", "info")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            process,
            address,
            folder,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn hang_up(&self) {
        let id = nix::unistd::Pid::from_raw(self.process.id() as i32);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGHUP).unwrap();
    }

    /// A connection of somebody who trusts these certificates and no other.
    async fn connect(&self, trusted: &[&Pair], protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        trusted.iter().for_each(|pair| roots.add(pair.der()).unwrap());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Waits until handshakes show this certificate.
    async fn shows(&self, pair: &Pair) {
        let until = Instant::now() + SOON;
        while self.connect(&[pair], b"http/1.1").await.is_err() {
            assert!(Instant::now() < until, "it is not shown: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn says(&self, words: &str) {
        let until = Instant::now() + SOON;
        while !self.log().contains(words) {
            assert!(Instant::now() < until, "{words:?} is not said: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A token of the demo user, asked for over TLS.
    async fn sign_in(&self, pair: &Pair) -> String {
        let log = self.log();
        let line = log.lines().find(|line| line.trim_start().starts_with("ivan")).unwrap();
        let password = line.split_whitespace().last().unwrap();
        let body = json!({ "login": "ivan", "password": password }).to_string();
        let request = format!(
            "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = self.connect(&[pair], b"http/1.1").await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let answer: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
        answer["token"].as_str().unwrap().to_owned()
    }
}

/// Puts a pair into a folder of its own and lets the links lead there, each by a rename, so that no moment is without a file.
fn renew(folder: &Path, number: &str, certificate: &str, key: &str) {
    let own = folder.join(number);
    std::fs::create_dir(&own).unwrap();
    for (name, text) in [("fullchain.pem", certificate), ("privkey.pem", key)] {
        std::fs::write(own.join(name), text).unwrap();
        let link: PathBuf = own.join("link");
        std::os::unix::fs::symlink(own.join(name), &link).unwrap();
        std::fs::rename(link, folder.join(name)).unwrap();
    }
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

async fn next(socket: &mut Socket) -> Value {
    let reading = async {
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(why) => panic!("closed: {why:?}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(SOON, reading).await.unwrap()
}

/// A page that has said hello and was welcomed.
async fn page(server: &Server, pair: &Pair) -> Socket {
    let token = server.sign_in(pair).await;
    let stream = server.connect(&[pair], b"http/1.1").await.unwrap();
    let mut request = "wss://localhost/v1/ws".into_client_request().unwrap();
    let protocol = "ringhall.v1".parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let hello = json!({ "t": "hello", "token": token, "device": "device-1" });
    socket.send(Message::text(hello.to_string())).await.unwrap();
    assert_eq!(next(&mut socket).await["t"], "welcome");
    socket
}

/// A command over the page's connection is answered.
async fn is_answered(socket: &mut Socket, id: &str) {
    let command = json!({ "t": "req", "id": id, "op": "mark_calls_seen", "d": {} });
    socket.send(Message::text(command.to_string())).await.unwrap();
    loop {
        let frame = next(socket).await;
        if frame["id"] == id {
            return assert!(frame["error"].is_null(), "{frame}");
        }
    }
}

/// STUN over the relay's connection is answered.
async fn relay_answers(stream: &mut TlsStream<TcpStream>) {
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    request.extend([7; 12]);
    stream.write_all(&request).await.unwrap();
    let mut answer = [0; 2048];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(length > 20 && answer[..2] == [1, 1], "{:?}", &answer[..length]);
}

#[tokio::test]
async fn the_next_handshake_shows_the_new_certificate_and_no_live_connection_is_lost() {
    let [first, second, third] = [(); 3].map(|()| Pair::new());
    let server = Server::start(&first);
    server.says("Ringhall serves").await;
    server.shows(&first).await;
    let mut before = page(&server, &first).await;
    let mut relayed = server.connect(&[&first], b"stun.turn").await.unwrap();
    relay_answers(&mut relayed).await;

    // Half a renewal: the new certificate is there, its key is not.
    renew(server.folder.path(), "2", &second.certificate, &first.key);
    server.hang_up();
    server.says("do not belong together").await;
    server.shows(&first).await;
    is_answered(&mut before, "half").await;

    renew(server.folder.path(), "3", &third.certificate, &third.key);
    server.hang_up();
    server.shows(&third).await;
    let refused = server.connect(&[&first, &second], b"http/1.1").await;
    assert!(refused.is_err(), "the old one is not shown any more");
    is_answered(&mut before, "after").await;
    relay_answers(&mut relayed).await;
    let mut after = page(&server, &third).await;
    is_answered(&mut after, "new").await;
}
