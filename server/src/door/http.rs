//! HTTP/1.1 and HTTP/2 on a connection that has been sorted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
pub(super) use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;

/// Time for the head of a request; an idle connection is closed after it too.
const HEAD: Duration = Duration::from_secs(30);
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 64;
/// A dead HTTP/2 connection is noticed by pings at this interval.
const PING: Duration = Duration::from_secs(30);

/// Ends HTTP connections when their answers are out.
#[derive(Default)]
pub(super) struct Graceful(GracefulShutdown);

impl Graceful {
    pub(super) fn watcher(&self) -> Watcher {
        self.0.watcher()
    }

    pub(super) async fn shutdown(self) {
        self.0.shutdown().await;
    }
}

/// Reverse proxies that are believed when they say whom they speak for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(pub(crate) Arc<[IpAddr]>);

impl Proxies {
    /// The client's address: that of the connection, or the last one of X-Forwarded-For that is no proxy of ours.
    fn client(&self, remote: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.0.contains(&remote.ip()) {
            return remote;
        }
        let values = headers.get_all("x-forwarded-for").into_iter();
        let named: Vec<IpAddr> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|text| text.trim().parse().ok())
            .collect();
        let client = named.iter().rev().find(|ip| !self.0.contains(ip));
        client.map_or(remote, |ip| SocketAddr::new(ip.to_canonical(), 0))
    }
}

/// What a connection of HTTP gets.
#[derive(Clone)]
pub(crate) struct Web {
    /// The routes.
    pub(crate) routes: Router,
    /// Whose word is taken for the client's address.
    pub(crate) proxies: Proxies,
}

impl Web {
    pub(super) async fn serve<S>(&self, stream: S, remote: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        serve_as(stream, remote, self.routes.clone(), self.proxies.clone(), watcher).await;
    }
}

/// Serves routes that need no proxies.
pub(super) async fn serve<S>(stream: S, remote: SocketAddr, routes: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    serve_as(stream, remote, routes, Proxies::default(), watcher).await;
}

async fn serve_as<S>(stream: S, remote: SocketAddr, routes: Router, proxies: Proxies, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_concurrent_streams(STREAMS);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let client = proxies.client(remote, request.headers());
        request.extensions_mut().insert(ConnectInfo(client));
        routes.clone().oneshot(request)
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    // A client that went away in the middle is nobody's news.
    let _ = watcher.watch(connection).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_proxy_may_say_whom_it_speaks_for() {
        let proxies = Proxies(Arc::new(["127.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()]));
        let client = |remote: &str, values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            proxies.client(remote.parse().unwrap(), &headers).ip().to_string()
        };
        assert_eq!(client("192.0.2.1:5", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("127.0.0.1:5", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("127.0.0.1:5", &[]), "127.0.0.1");
        assert_eq!(client("127.0.0.1:5", &["nonsense"]), "127.0.0.1");
        // What the client wrote itself stands first, and is not believed.
        let forged = ["198.51.100.1, 203.0.113.9", "10.0.0.2"];
        assert_eq!(client("127.0.0.1:5", &forged), "203.0.113.9");
    }
}
