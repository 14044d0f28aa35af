//! Against a directory of our own that does what RFC 8555 and RFC 8737 say: it connects to the server for the proof, and
//! signs what was asked for. It believes signatures unseen, but not the proof.

use super::*;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::routing::{any, get, post};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateSigningRequestDer, ServerName};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{Config, TlsMode};
use crate::tls::{Tls, anybody};

const DOMAIN: &str = "calls.example";
const TOKEN: &str = "dG9rZW4";

struct Authority {
    url: String,
    /// Where the domain leads.
    server: SocketAddr,
    issuer: CertifiedIssuer<'static, KeyPair>,
    state: Mutex<Known>,
    /// Orders that it takes; the next one waits.
    takes: Semaphore,
}

#[derive(Default)]
struct Known {
    thumbprint: String,
    proven: bool,
    certificate: Option<String>,
    orders: usize,
    /// How many of the next certificates are almost over when they are issued.
    short: usize,
}

/// What a signed request says: its header and its content.
fn opened(body: &Value) -> (Value, Value) {
    let part = |name: &str| {
        let bytes = BASE64.decode(body[name].as_str().unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    };
    (part("protected"), part("payload"))
}

impl Authority {
    fn order(&self, known: &Known) -> Value {
        let status = match (&known.certificate, known.proven) {
            (Some(_), _) => "valid",
            (None, true) => "ready",
            (None, false) => "pending",
        };
        let at = |what: &str| format!("{}/{what}", self.url);
        json!({ "status": status, "authorizations": [at("authz")], "finalize": at("finalize"), "certificate": at("cert") })
    }

    /// Connects to the server as RFC 8737 says, and looks at the certificate that it shows.
    async fn validate(&self) -> bool {
        let mut config = anybody().unwrap();
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let stream = TcpStream::connect(self.server).await.unwrap();
        let name = ServerName::try_from(DOMAIN).unwrap();
        let Ok(stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else {
            return false;
        };
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let proof = Sha256::digest(format!("{TOKEN}.{}", self.state.lock().unwrap().thumbprint));
        // id-pe-acmeIdentifier, and the digest as an OCTET STRING of 32 bytes.
        let identifier = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1f];
        let digest = [&[0x04, 0x20], &proof[..]].concat();
        let has = |wanted: &[u8]| shown.windows(wanted.len()).any(|part| part == wanted);
        has(&identifier) && has(&digest)
    }
}

type Held = State<Arc<Authority>>;

async fn account(State(authority): Held, Json(body): Json<Value>) -> impl axum::response::IntoResponse {
    let jwk = opened(&body).0["jwk"].clone();
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    authority.state.lock().unwrap().thumbprint = BASE64.encode(Sha256::digest(text));
    let place = [(
        HeaderName::from_static("location"),
        format!("{}/account/1", authority.url),
    )];
    (StatusCode::CREATED, place, Json(json!({ "status": "valid" })))
}

async fn new_order(State(authority): Held, Json(body): Json<Value>) -> impl axum::response::IntoResponse {
    assert_eq!(
        opened(&body).1["identifiers"],
        json!([{ "type": "dns", "value": DOMAIN }])
    );
    authority.state.lock().unwrap().orders += 1;
    authority.takes.acquire().await.unwrap().forget();
    let mut known = authority.state.lock().unwrap();
    (known.proven, known.certificate) = (false, None);
    let place = [(HeaderName::from_static("location"), format!("{}/order", authority.url))];
    (StatusCode::CREATED, place, Json(authority.order(&known)))
}

async fn order(State(authority): Held) -> Json<Value> {
    Json(authority.order(&authority.state.lock().unwrap()))
}

async fn authorization(State(authority): Held) -> Json<Value> {
    let status = if authority.state.lock().unwrap().proven {
        "valid"
    } else {
        "pending"
    };
    let url = format!("{}/challenge", authority.url);
    Json(json!({
        "status": status,
        "identifier": { "type": "dns", "value": DOMAIN },
        "challenges": [{ "type": "tls-alpn-01", "url": url, "token": TOKEN }],
    }))
}

async fn challenge(State(authority): Held) -> Json<Value> {
    let proven = authority.validate().await;
    authority.state.lock().unwrap().proven = proven;
    Json(json!({}))
}

async fn finalize(State(authority): Held, Json(body): Json<Value>) -> Json<Value> {
    let csr = BASE64.decode(opened(&body).1["csr"].as_str().unwrap()).unwrap();
    let mut csr = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr)).unwrap();
    let mut known = authority.state.lock().unwrap();
    assert!(known.proven);
    let (now, short) = (std::time::SystemTime::now(), known.short > 0);
    known.short = known.short.saturating_sub(1);
    csr.params.not_before = (now - Duration::from_secs(if short { 3_600 } else { 60 })).into();
    csr.params.not_after = (now + Duration::from_secs(if short { 600 } else { 90 * 86_400 })).into();
    known.certificate = Some(csr.signed_by(&authority.issuer).unwrap().pem());
    Json(authority.order(&known))
}

async fn certificate(State(authority): Held) -> String {
    authority.state.lock().unwrap().certificate.clone().unwrap()
}

/// Starts the authority on a free port. The result holds it, and its root as PEM.
async fn authority(server: SocketAddr) -> (Arc<Authority>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let root = issuer.pem();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = Arc::new(Authority {
        url: format!("https://localhost:{}", listener.local_addr().unwrap().port()),
        server,
        issuer,
        state: Mutex::default(),
        takes: Semaphore::new(1),
    });
    let url = authority.url.clone();
    let directory = json!({
        "newNonce": format!("{url}/nonce"),
        "newAccount": format!("{url}/account"),
        "newOrder": format!("{url}/new-order"),
    });
    let nonce = [(HeaderName::from_static("replay-nonce"), "once")];
    let routes = Router::new()
        .route("/directory", get(move || async move { Json(directory) }))
        .route("/nonce", any(move || async move { nonce }))
        .route("/account", post(account))
        .route("/new-order", post(new_order))
        .route("/order", post(order))
        .route("/authz", post(authorization))
        .route("/challenge", post(challenge))
        .route("/finalize", post(finalize))
        .route("/cert", post(certificate))
        .with_state(authority.clone());
    let chain = vec![own.der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, routes) = (acceptor.clone(), routes.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = TowerToHyperService::new(routes);
                let _ = Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (authority, root)
}

/// Takes connections on `listener` with this TLS, and sends back what they say.
fn serve(listener: Arc<TcpListener>, tls: Arc<Tls>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                if let Some(crate::tls::Accepted::Unsaid(stream)) = tls.accept(stream).await {
                    let (mut from, mut to) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                }
            });
        }
    })
}

/// A connection of somebody who trusts `root`; `None`: there is no certificate yet.
async fn connected(server: SocketAddr, root: &str) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server).await.unwrap();
    let name = ServerName::try_from(DOMAIN).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

/// Waits for a connection whose certificate is to somebody's liking.
async fn eventually(server: SocketAddr, root: &str, likes: impl Fn(&[u8]) -> bool) -> TlsStream<TcpStream> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(stream) = connected(server, root).await
            && likes(&shown(&stream))
        {
            return stream;
        }
        assert!(Instant::now() < deadline, "no such certificate");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

struct Place {
    listener: Arc<TcpListener>,
    server: SocketAddr,
    authority: Arc<Authority>,
    root: String,
    config: Config,
    _folder: tempfile::TempDir,
}

async fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let server = listener.local_addr().unwrap();
    let (authority, root) = authority(server).await;
    let mut config = Config::default();
    config.data.dir = folder.path().join("data");
    config.tls.mode = TlsMode::Acme;
    config.tls.domains = vec![DOMAIN.to_owned()];
    config.tls.acme_directory = format!("{}/directory", authority.url);
    config.tls.acme_ca = folder.path().join("root.pem");
    std::fs::write(&config.tls.acme_ca, &root).unwrap();
    Place {
        listener,
        server,
        authority,
        root,
        config,
        _folder: folder,
    }
}

#[tokio::test]
async fn a_certificate_is_ordered_proven_used_and_kept_over_a_restart() {
    let place = place().await;
    for _ in 0..2 {
        let tls = crate::tls::start(&place.config).unwrap().unwrap();
        let serving = serve(place.listener.clone(), tls);
        eventually(place.server, &place.root, |_| true).await;
        serving.abort();
    }
    assert_eq!(
        place.authority.state.lock().unwrap().orders,
        1,
        "the second start took it from the folder"
    );
}

#[tokio::test]
async fn a_certificate_in_the_last_third_of_its_time_is_renewed_under_open_connections() {
    let place = place().await;
    place.authority.state.lock().unwrap().short = 1;
    let tls = crate::tls::start(&place.config).unwrap().unwrap();
    let _serving = serve(place.listener.clone(), tls);
    let mut before = eventually(place.server, &place.root, |_| true).await;
    let first = shown(&before);
    place.authority.takes.add_permits(1);
    let mut after = eventually(place.server, &place.root, |shown| shown != first).await;
    assert_eq!(place.authority.state.lock().unwrap().orders, 2, "and no third one");
    for stream in [&mut before, &mut after] {
        stream.write_all(b"well?").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"well?");
    }
}
