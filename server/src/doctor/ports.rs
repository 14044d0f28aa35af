//! The ports: whether they can be had, or whether it is Ringhall itself that has them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::report::Report;
use super::stun;
use crate::config::Config;
use crate::tls;

const CHECK: &str = "ports";

/// What holds the ports while the doctor looks around, so that others can be asked to knock.
#[derive(Default)]
pub(super) struct Held {
    /// Ringhall runs already.
    pub(super) running: bool,
    /// Media sockets, when nobody had them.
    pub(super) media: Vec<Arc<UdpSocket>>,
    /// Listeners: the kernel answers for them.
    _tcp: Vec<TcpListener>,
}

pub(super) async fn check(report: &mut Report, config: &Config) -> Held {
    let mut held = Held::default();
    let mut listeners = vec![("http.listen", Some(config.http.listen), Some("RINGHALL_HTTP_LISTEN"))];
    listeners.push(("media.tcp_listen", config.media.tcp_address().ok().flatten(), None));
    listeners.push((
        "tls.redirect_listen",
        config.tls.redirect_address().ok().flatten(),
        None,
    ));
    listeners.push(("metrics.listen", config.metrics.address().ok().flatten(), None));
    for (option, address, variable) in listeners {
        let Some(address) = address else { continue };
        match TcpListener::bind(address) {
            Ok(listener) => {
                report.ok(CHECK, format!("TCP {address} ({option}) is free"));
                held._tcp.push(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse && option == "http.listen" => {
                held.running = is_ringhall(address).await;
                if held.running {
                    report.ok(CHECK, format!("Ringhall runs at TCP {address}"));
                } else {
                    taken(report, "TCP", option, address, variable);
                }
            }
            // A running server has the others too.
            Err(error) if error.kind() == ErrorKind::AddrInUse && held.running => {
                report.ok(
                    CHECK,
                    format!("TCP {address} ({option}) is taken, by the server that runs"),
                );
            }
            Err(error) => refused(report, "TCP", option, address, variable, &error),
        }
    }
    for shard in 0..config.media.shards {
        let address = super::shard_address(config, shard);
        match bind_udp(address) {
            Ok(socket) => {
                report.ok(CHECK, format!("UDP {address} (media.listen) is free"));
                held.media.push(Arc::new(socket));
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse && held.running => {
                report.ok(
                    CHECK,
                    format!("UDP {address} (media.listen) is taken, by the server that runs"),
                );
            }
            Err(error) => refused(
                report,
                "UDP",
                "media.listen",
                address,
                Some("RINGHALL_MEDIA_LISTEN"),
                &error,
            ),
        }
    }
    held
}

/// As the server binds it: both families where it is unspecified.
fn bind_udp(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(stun::WAIT))?;
    Ok(socket)
}

fn taken(report: &mut Report, kind: &str, option: &str, address: SocketAddr, variable: Option<&str>) {
    let set = variable.map_or_else(
        || format!("{option} in the configuration"),
        |v| format!("{option} ({v})"),
    );
    report.fault(
        CHECK,
        format!("{kind} {address} ({option}) is taken by another program"),
        format!("end it (ss -lnp shows which one it is), or choose another address with {set}"),
    );
}

fn refused(
    report: &mut Report,
    kind: &str,
    option: &str,
    address: SocketAddr,
    variable: Option<&str>,
    error: &std::io::Error,
) {
    match error.kind() {
        ErrorKind::AddrInUse => taken(report, kind, option, address, variable),
        // From a shell; the unit may well have it.
        ErrorKind::PermissionDenied => report.warning(
            CHECK,
            format!("{kind} {address} ({option}) is not allowed to this user from here: ports below 1024 need leave"),
            "AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit (the package's unit has it); not root",
        ),
        ErrorKind::AddrNotAvailable => report.fault(
            CHECK,
            format!("{kind} {address} ({option}): this machine has no such address"),
            format!("one of its own in {option} (ip address shows them), or 0.0.0.0 or [::] for all; what a NAT translates goes \
                     into media.advertise"),
        ),
        _ => report.fault(
            CHECK,
            format!("{kind} {address} ({option}): {error}"),
            format!("another address in {option}"),
        ),
    }
}

/// Whether the server that answers there is this product, with TLS or without.
async fn is_ringhall(address: SocketAddr) -> bool {
    let asked = async {
        let ask = super::reachable(address);
        if let Ok(stream) = TcpStream::connect(ask).await
            && says_ringhall(stream).await
        {
            return true;
        }
        let Ok(stream) = TcpStream::connect(ask).await else {
            return false;
        };
        let Ok(config) = tls::anybody() else { return false };
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        match connector.connect(ServerName::from(ask.ip()), stream).await {
            Ok(stream) => says_ringhall(stream).await,
            Err(_) => false,
        }
    };
    tokio::time::timeout(super::PATIENCE, asked).await.unwrap_or(false)
}

async fn says_ringhall<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> bool {
    let request = b"GET /api/v1/server HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    // What comes of another program may be endless.
    let _ = (&mut stream).take(16 << 10).read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).contains("\"name\":\"Ringhall\"")
}
