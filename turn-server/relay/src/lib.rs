//! TURN with sockets of its own: the classic relay, for other uses than Ringhall's calls (those need none: their peers are
//! the media server itself).
//!
//! ```text
//!  UDP socket ────────┐                          ┌ a UDP socket per allocation ─ peers
//!  TCP, TLS sockets ──┤ bounded queue ─ hub ─────┤
//!                     └ bounded queues back ◄────┘ what does not fit is dropped and counted
//! ```
//!
//! One task, the hub, owns the server and every decision; the tasks around it only read and write. Peers inside the
//! relay's own network are refused unless they are allowed by name ([`Policy`]).

mod config;
mod hub;
mod policy;
mod sockets;
mod stream;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use config::{Options, StartError, TlsOptions};
pub use hub::Totals;
pub use policy::Policy;

use crate::hub::Core;

/// Messages from all clients and peers that may wait for the hub. UDP drops what comes on top, TCP waits.
const QUEUE: usize = 4_096;

/// A relay that runs. Dropping it does not stop it; [`Relay::stop`] does.
pub struct Relay {
    address: SocketAddr,
    tls: Option<SocketAddr>,
    totals: Arc<Totals>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a relay.
///
/// # Errors
/// [`StartError`] names the option that cannot be had.
pub async fn start(options: Options) -> Result<Relay, StartError> {
    let listen = options.listen;
    let fail = move |source: io::Error| StartError::Listen { listen, source };
    let udp = UdpSocket::bind(listen).await.map_err(fail)?;
    let address = udp.local_addr().map_err(fail)?;
    let tcp = TcpListener::bind(address).await.map_err(fail)?;
    let secure = match &options.tls {
        Some(tls) => {
            let listen = tls.listen;
            let fail = move |source: io::Error| StartError::Listen { listen, source };
            let acceptor = tls::acceptor(&tls.certificate, &tls.key)?;
            Some((TcpListener::bind(listen).await.map_err(fail)?, acceptor))
        }
        None => None,
    };
    let tls = secure.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
    let (stop, stopped) = watch::channel(false);
    let (sender, queue) = mpsc::channel(QUEUE);
    let core = Core::new(options, sender.clone(), udp)?;
    let totals = core.totals();
    let mut tasks = vec![
        tokio::spawn(core.run(queue, stopped.clone())),
        tokio::spawn(stream::serve(tcp, None, sender.clone(), stopped.clone())),
    ];
    if let Some((listener, acceptor)) = secure {
        tasks.push(tokio::spawn(stream::serve(listener, Some(acceptor), sender, stopped)));
    }
    Ok(Relay {
        address,
        tls,
        totals,
        stop,
        tasks,
    })
}

impl Relay {
    /// Where it listens, by UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls
    }

    /// What it has done.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Ends every allocation and waits for the tasks.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
