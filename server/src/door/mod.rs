//! The TCP port: HTTP, WebSockets, TLS around them, TURN and ICE-TCP, told apart by their first bytes.
//!
//! ```text
//!  accept ─ limits ─ sort ┬ TLS ─ by ALPN, else sort again ┬ HTTP ─ the routes
//!                         ├ HTTP (redirected where TLS is on)
//!                         └────────────────────────────────┴ TURN, ICE-TCP ─ talk ─ lines into the shards
//! ```
//!
//! Until it is clear what a connection wants, and that it may have it, it has little time and costs little.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod ice;
mod limits;
mod prefixed;
mod relay;
mod sort;
mod talk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) use http::{Proxies, Web};
pub(crate) use limits::{Gate, Limits};
pub(crate) use relay::Relays;

use crate::media::Plane;
use crate::tls::{Accepted, Tls};
use ice::IceTcp;
use prefixed::Prefixed;
use relay::Relayed;
use sort::Kind;
use talk::Talk;

/// From accepting a connection to knowing what it is for, a TLS handshake included.
pub(crate) const SORTING: Duration = Duration::from_secs(10);
/// After an error of `accept` (no descriptors are left, mostly).
const PAUSE: Duration = Duration::from_millis(50);
/// What may wait unsent in the kernel for a media connection: the queue is to stand where it can be seen and thinned.
const UNSENT: u32 = 16 << 10;
/// A media client that acknowledges nothing for so long is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// What connections of one port may be for.
pub(crate) struct Door {
    /// The page, REST and WebSockets; `None` on a port for media alone.
    pub(crate) web: Option<Web>,
    /// TLS, where the server has it.
    pub(crate) tls: Option<Arc<Tls>>,
    /// What HTTP without TLS gets where the server has TLS.
    pub(crate) redirect: Option<Router>,
    /// TURN connections; `None`: TURN is off.
    pub(crate) relays: Option<Arc<Relays>>,
    /// Where media goes; `None`: media by TCP is off.
    pub(crate) media: Option<Arc<Plane>>,
    /// How many there may be.
    pub(crate) gate: Gate,
    /// From accepting a connection to knowing what it is for, a TLS handshake included.
    pub(crate) patience: Duration,
}

impl Door {
    /// Takes connections until `stopped` says so, then waits for those of HTTP to end.
    pub(crate) async fn serve(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let door = Arc::new(self);
        let http = http::Graceful::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(mut entered) = door.gate.enter(remote.ip()) else {
                continue;
            };
            // An answer and the event behind it are two writes: without this the second one waits for the first one's
            // delayed acknowledgement, 40 ms.
            let _ = stream.set_nodelay(true);
            let (door, watcher) = (door.clone(), http.watcher());
            // HTTP is ended by its watcher, media by the end of the shards.
            tokio::spawn(async move {
                let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                door.connection(stream, remote, &mut entered, watcher).await;
            });
        }
        drop(listener);
        http.shutdown().await;
    }

    async fn connection(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        entered: &mut limits::Entered,
        watcher: http::Watcher,
    ) {
        let until = Instant::now() + self.patience;
        // A second descriptor, for options that only media connections get: dropped before HTTP begins.
        let socket = SockRef::from(&stream).try_clone().ok();
        let Some((kind, stream)) = in_time(until, Prefixed::sorted(stream)).await.flatten() else {
            return;
        };
        match (kind, &self.tls) {
            (Kind::Tls, Some(tls)) => {
                let Some(accepted) = in_time(until, tls.accept(stream)).await.flatten() else {
                    return;
                };
                match accepted {
                    Accepted::Done => {}
                    Accepted::Http(stream) => {
                        drop(socket);
                        self.web(stream, remote, entered, watcher).await;
                    }
                    Accepted::Turn(stream) => self.media(Kind::Turn, stream, remote, entered, socket).await,
                    Accepted::Unsaid(stream) => match in_time(until, Prefixed::sorted(stream)).await.flatten() {
                        Some((Kind::Http, stream)) => {
                            drop(socket);
                            self.web(stream, remote, entered, watcher).await;
                        }
                        Some((Kind::Tls, _)) | None => {}
                        Some((kind, stream)) => self.media(kind, stream, remote, entered, socket).await,
                    },
                }
            }
            (Kind::Tls, None) => {}
            (Kind::Http, _) => {
                drop(socket);
                match &self.redirect {
                    Some(routes) => {
                        entered.sorted();
                        http::serve(stream, remote, routes.clone(), watcher).await;
                    }
                    None => self.web(stream, remote, entered, watcher).await,
                }
            }
            (kind, _) => self.media(kind, stream, remote, entered, socket).await,
        }
    }

    async fn web<S>(&self, stream: S, remote: SocketAddr, entered: &mut limits::Entered, watcher: http::Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Some(web) = &self.web {
            entered.sorted();
            web.serve(stream, remote, watcher).await;
        }
    }

    async fn media<S>(
        &self,
        kind: Kind,
        stream: S,
        remote: SocketAddr,
        entered: &mut limits::Entered,
        socket: Option<socket2::Socket>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Some(media) = &self.media else { return };
        entered.sorted();
        if let Some(socket) = socket {
            // Without them the queue in the kernel is longer, and a dead client is found later.
            let _ = socket.set_tcp_notsent_lowat(UNSENT);
            let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        }
        let (mut inlet, mut outflow) = media.line();
        let (line, now) = (inlet.number(), Instant::now());
        let shard_of = |datagram: &[u8]| media.shard_of_check(datagram);
        let mut talk: Box<dyn Talk + '_> = match (kind, &self.relays) {
            (Kind::IceTcp, _) => Box::new(IceTcp::new(line, remote, &shard_of, now)),
            (Kind::Turn, Some(relays)) => Box::new(Relayed::new(line, remote, relays, media.as_ref(), now)),
            _ => return,
        };
        tracing::debug!(%remote, ?kind, "a media connection");
        let why = talk::run(stream, &mut inlet, &mut outflow, talk.as_mut()).await;
        tracing::debug!(%remote, ?kind, %why, "a media connection has ended");
    }
}

async fn in_time<T>(until: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(until.into(), work).await.ok()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod uclient_tests;
