//! TLS: which certificate, and what a connection is for by what was agreed in its handshake.

mod acme;
mod anybody;
pub(crate) mod files;
mod self_signed;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, pki_types};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use acme::FOLDER as ACME_FOLDER;
pub(crate) use anybody::anybody;

use crate::cli::Failure;
use crate::config::{Config, TlsMode};

/// Names of protocols in ALPN (RFC 7301, RFC 7443, RFC 8737).
const HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];
const TURN: &[u8] = b"stun.turn";
const ACME: &[u8] = b"acme-tls/1";

/// TLS of one server.
pub(crate) struct Tls {
    /// For clients that offer a protocol of ours.
    named: Arc<ServerConfig>,
    /// For clients that offer none of ours, or nothing at all: the first bytes will tell.
    unnamed: Arc<ServerConfig>,
    /// For the authority that issues certificates.
    challenge: Option<Arc<ServerConfig>>,
}

/// What a handshake has led to.
pub(crate) enum Accepted<S> {
    Http(TlsStream<S>),
    Turn(TlsStream<S>),
    /// It was not said.
    Unsaid(TlsStream<S>),
    /// Nothing more is to be done: a challenge was answered.
    Done,
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Makes TLS as configured, and starts what keeps the certificate fresh. `None`: TLS is off.
pub(crate) fn start(config: &Config) -> Result<Option<Arc<Tls>>, Failure> {
    let options = &config.tls;
    let tls = match options.mode {
        TlsMode::Off => return Ok(None),
        TlsMode::Files => {
            let current = Current::new(files::load(&options.certificate, &options.key)?);
            files::keep_fresh(options.clone(), current.clone(), files::EVERY);
            Tls::new(current, None)?
        }
        TlsMode::SelfSigned => {
            let names = self_signed::names(config);
            Tls::new(Current::new(self_signed::load_or_make(&config.data.dir, &names)?), None)?
        }
        TlsMode::Acme => {
            let (resolver, challenge) = acme::start(&config.data.dir, options)?;
            Tls::new(resolver, Some(challenge))?
        }
    };
    Ok(Some(Arc::new(tls)))
}

impl Tls {
    fn new(resolver: Arc<dyn ResolvesServerCert>, challenge: Option<Arc<ServerConfig>>) -> Result<Self, Failure> {
        let base = || -> Result<ServerConfig, Failure> {
            // TLS 1.2 and 1.3, with the library's suites: AEAD ciphers and forward secrecy only.
            let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
            Ok(builder.with_no_client_auth().with_cert_resolver(resolver.clone()))
        };
        let mut named = base()?;
        // The first of these that is offered is taken. TURN first: no browser offers it for a page, but clients of TURN offer
        // HTTP besides (coturn's do).
        named.alpn_protocols = [&TURN].into_iter().chain(&HTTP).map(|name| name.to_vec()).collect();
        Ok(Self {
            named: Arc::new(named),
            unnamed: Arc::new(base()?),
            challenge,
        })
    }

    /// With a certificate of the moment, and a challenge to answer.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn for_fuzzing() -> Result<Self, Failure> {
        let pem = self_signed::made(&["calls.example".to_owned()].into())?;
        let key = certified(pem.as_bytes(), pem.as_bytes(), Path::new("made"))?;
        let mut tls = Self::new(Current::new(key), None)?;
        tls.challenge = Some(tls.unnamed.clone());
        Ok(tls)
    }

    /// Shakes hands. `None`: it failed, which is the client's affair.
    pub(crate) async fn accept<S>(&self, stream: S) -> Option<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let start = start.await.ok()?;
        let hello = start.client_hello();
        let offers = |name: &[u8]| hello.alpn().is_some_and(|mut offered| offered.any(|one| one == name));
        if let Some(challenge) = self.challenge.as_ref().filter(|_| offers(ACME)) {
            let mut stream = start.into_stream(challenge.clone()).await.ok()?;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
            return Some(Accepted::Done);
        }
        let ours = offers(TURN) || HTTP.iter().any(|name| offers(name));
        let config = if ours { &self.named } else { &self.unnamed };
        let stream = start.into_stream(config.clone()).await.ok()?;
        Some(match stream.get_ref().1.alpn_protocol() {
            Some(TURN) => Accepted::Turn(stream),
            Some(_) => Accepted::Http(stream),
            None => Accepted::Unsaid(stream),
        })
    }
}

/// The certificate in use; another may take its place while connections are made.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn new(key: CertifiedKey) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(key))))
    }

    fn replace(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// A certificate chain and its key from PEM.
fn certified(chain: &[u8], key: &[u8], place: &Path) -> Result<CertifiedKey, Failure> {
    use pki_types::pem::PemObject;
    let place = place.display();
    let chain: Vec<_> = pki_types::CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|e| format!("{place}: {e}"))?;
    if chain.is_empty() {
        return Err(format!("{place} holds no certificate: it has to begin with -----BEGIN CERTIFICATE-----").into());
    }
    let key = pki_types::PrivateKeyDer::from_pem_slice(key)
        .map_err(|e| format!("the private key of {place} cannot be read: {e}; it has to be PEM"))?;
    let certified = CertifiedKey::from_der(chain, key, &provider())
        .map_err(|e| format!("{place} and its private key do not belong together, or are of an unknown kind: {e}"))?;
    Ok(certified)
}

/// Reads a file, and says which one if it cannot be.
fn read(path: &Path, option: &str) -> Result<Vec<u8>, Failure> {
    let why = |e: io::Error| format!("{option} {}: {e}", path.display());
    Ok(std::fs::read(path).map_err(why)?)
}

/// Routes that send everybody from http: to https:, at the port of `https_port`.
pub(crate) fn redirect(public_url: &str, https_port: u16) -> Router {
    let public = public_url.strip_prefix("https://").map(str::to_owned);
    Router::new().fallback(move |request: Request| {
        let location = location(public.as_deref(), https_port, &request);
        async move { redirected(location) }
    })
}

fn redirected(location: Option<String>) -> Response {
    let location = location.and_then(|location| HeaderValue::from_str(&location).ok());
    match location {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => (StatusCode::BAD_REQUEST, "this port speaks https\n").into_response(),
    }
}

fn location(public: Option<&str>, https_port: u16, request: &Request) -> Option<String> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Some(public) = public {
        return Some(format!("https://{}{path}", public.trim_end_matches('/')));
    }
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    let authority: Uri = host.parse().ok()?;
    let host = authority.host()?;
    Some(match https_port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    })
}

/// `Strict-Transport-Security` for so many seconds.
pub(crate) fn strict(seconds: u64) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(&format!("max-age={seconds}")).ok()?;
    (seconds > 0).then_some((header::STRICT_TRANSPORT_SECURITY, value))
}

#[cfg(test)]
pub(crate) mod tests;
