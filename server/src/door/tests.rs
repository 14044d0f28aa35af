//! The whole port, by real sockets: who comes with what gets what.

use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::routing::get;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::{Config, TlsMode};
use crate::{media, tls};

/// A server on a free port, with what its clients have to know.
struct House {
    address: SocketAddr,
    root: String,
    stop: watch::Sender<bool>,
    plane: Arc<Plane>,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new(secure: bool) -> Self {
        Self::with_patience(secure, SORTING).await
    }

    async fn with_patience(secure: bool, patience: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (root, certificate, key) = tls::tests::issued(&["calls.example"]);
        let mut config = Config::default();
        config.media.listen = "127.0.0.1:0".parse().unwrap();
        if secure {
            config.tls.mode = TlsMode::Files;
            config.tls.certificate = folder.path().join("chain.pem");
            config.tls.key = folder.path().join("key.pem");
            std::fs::write(&config.tls.certificate, certificate).unwrap();
            std::fs::write(&config.tls.key, key).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plane = media::start(&config.media, None, &|_| None).unwrap();
        let tls = tls::start(&config).unwrap();
        let hello = get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("hello {}", peer.ip()) });
        let web = Web {
            routes: Router::new().route("/", hello),
            proxies: Proxies::default(),
        };
        let door = Door {
            web: Some(web),
            redirect: tls.is_some().then(|| tls::redirect("", address.port())),
            tls,
            relays: Some(Relays::new("ringhall", b"north")),
            media: Some(plane.clone()),
            gate: Gate::new(Limits {
                total: 100,
                per_address: 100,
                unsorted: 100,
                unsorted_per_address: 100,
            }),
            patience,
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(door.serve(listener, stopped));
        Self {
            address,
            root,
            stop,
            plane,
            task,
            _folder: folder,
        }
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A TLS connection that offers these protocols, and the one agreed on.
    async fn secure(&self, offered: &[&[u8]]) -> (tokio_rustls::client::TlsStream<TcpStream>, Option<Vec<u8>>) {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder_with_provider(tls::provider());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("calls.example").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, self.plain().await)
            .await
            .unwrap();
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        (stream, agreed)
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        let plane = self.plane;
        tokio::task::spawn_blocking(move || plane.stop()).await.unwrap();
    }
}

async fn get_root<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: calls.example\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    // Some end a TLS connection without a goodbye.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

/// A STUN Binding request; the answer says from where it came.
async fn asks_stun<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> bool {
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    request.extend([7; 12]);
    stream.write_all(&request).await.unwrap();
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).await.is_ok() && answer[..2] == [1, 1] && answer[8..] == [7; 12]
}

#[tokio::test]
async fn one_port_without_tls_takes_http_and_turn() {
    let house = House::new(false).await;
    let answer = get_root(house.plain().await).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello 127.0.0.1"),
        "{answer}"
    );
    assert!(asks_stun(house.plain().await).await);
    house.end().await;
}

#[tokio::test]
async fn one_port_with_tls_takes_http_and_turn_by_name_or_by_their_first_byte() {
    let house = House::new(true).await;
    let redirected = get_root(house.plain().await).await;
    assert!(redirected.starts_with("HTTP/1.1 308") && redirected.contains("location: https://calls.example"));
    assert!(asks_stun(house.plain().await).await, "TURN by TCP needs no TLS");

    let (stream, agreed) = house.secure(&[b"http/1.1"]).await;
    assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
    assert!(get_root(stream).await.starts_with("HTTP/1.1 200"));
    let (_, agreed) = house.secure(&[b"h2", b"http/1.1"]).await;
    assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
    let (stream, agreed) = house.secure(&[b"stun.turn"]).await;
    assert_eq!(agreed.as_deref(), Some(&b"stun.turn"[..]));
    assert!(asks_stun(stream).await);
    let (stream, agreed) = house.secure(&[b"http/1.1", b"stun.turn"]).await;
    assert_eq!(
        agreed.as_deref(),
        Some(&b"stun.turn"[..]),
        "coturn's client offers both"
    );
    assert!(asks_stun(stream).await);
    for nothing_of_ours in [&[][..], &[&b"webrtc"[..]]] {
        let (stream, agreed) = house.secure(nothing_of_ours).await;
        assert_eq!(agreed, None);
        assert!(asks_stun(stream).await);
        let (stream, _) = house.secure(nothing_of_ours).await;
        assert!(get_root(stream).await.starts_with("HTTP/1.1 200"));
    }
    house.end().await;
}

/// Whether the server closes the connection.
async fn is_closed<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut rest = [0; 64];
    loop {
        match stream.read(&mut rest).await {
            Ok(0) | Err(_) => return true,
            Ok(_) => {}
        }
    }
}

#[tokio::test]
async fn nonsense_is_closed_at_once_on_either_port() {
    for secure in [false, true] {
        let house = House::new(secure).await;
        // An ICE-TCP check for nobody, more than 64 KiB announced, a protocol of somebody else, TLS that is none.
        let check = [
            0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        ];
        let mut too_long = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        too_long.extend([7; 12]);
        too_long.extend([0x40, 0, 0xFF, 0xFF]);
        for bytes in [&check[..], &too_long, b"SSH-2.0-x\r\n\r\n", &[0x16; 400], &[0xFF; 20]] {
            let mut stream = house.plain().await;
            stream.write_all(bytes).await.unwrap();
            assert!(is_closed(&mut stream).await, "{bytes:?}");
        }
        house.end().await;
    }
}

#[tokio::test]
async fn who_opens_a_connection_and_says_nothing_or_half_of_a_handshake_has_little_time() {
    let house = House::with_patience(true, Duration::from_millis(300)).await;
    for beginning in [&b""[..], &[0x16, 3, 1, 2, 0, 1], &[0, 3, 0]] {
        let mut stream = house.plain().await;
        stream.write_all(beginning).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(20), is_closed(&mut stream)).await;
        assert_eq!(closed, Ok(true), "{beginning:?}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_hundred_and_one_connections_are_one_too_many_and_places_come_back() {
    let house = House::new(false).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(house.plain().await);
    }
    let mut last = house.plain().await;
    assert!(is_closed(&mut last).await);
    drop(silent);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !get_root(house.plain().await).await.contains("hello") {
        assert!(Instant::now() < deadline, "the places do not come back");
    }
    house.end().await;
}
