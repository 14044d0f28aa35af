//! The one task that decides: which message is for whom.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use turn_server::{AllocationId, Client, Config, Family, OpenError, Outcome, Server, Time};

use crate::config::{Options, StartError};
use crate::policy::Policy;
use crate::sockets::Ports;

/// Longest datagram of UDP.
pub(crate) const LONGEST: usize = 65_535;

/// What reaches the core.
pub(crate) enum Message {
    /// A stream has begun; what goes to its client goes there.
    Connected(u64, mpsc::Sender<Vec<u8>>),
    /// A whole message of a stream.
    FromStream(Client, Vec<u8>),
    /// A stream has ended.
    Disconnected(Client),
    /// A peer has sent something to a relayed address.
    FromPeer(AllocationId, SocketAddr, Vec<u8>),
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Totals {
    /// Allocations that live.
    pub allocations: AtomicU64,
    /// Payloads to peers.
    pub to_peers: AtomicU64,
    /// Payloads to clients.
    pub to_clients: AtomicU64,
    /// Payloads dropped because a queue or a socket was full.
    pub dropped: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) struct Core {
    server: Server,
    relay: Sockets,
    udp: UdpSocket,
    local: SocketAddr,
    streams: HashMap<u64, mpsc::Sender<Vec<u8>>>,
    totals: Arc<Totals>,
    out: Vec<u8>,
}

/// The server's view of the sockets.
struct Sockets {
    ports: Ports,
    policy: Policy,
    advertise: Vec<IpAddr>,
    queue: mpsc::Sender<Message>,
    totals: Arc<Totals>,
}

impl turn_server::Relay for Sockets {
    fn open(&mut self, id: AllocationId, _: &str, family: Family, even: bool) -> Result<SocketAddr, OpenError> {
        let opened = self.ports.open(id, family, even, &self.queue, &self.totals)?;
        let told = self.advertise.iter().find(|ip| Family::of(**ip) == family);
        Ok(SocketAddr::new(told.copied().unwrap_or(opened.ip()), opened.port()))
    }

    fn close(&mut self, id: AllocationId) {
        self.ports.close(id);
    }

    fn permits(&self, peer: SocketAddr) -> bool {
        self.policy.permits(peer.ip())
    }

    fn knows(&self, _: &str) -> bool {
        true
    }
}

impl Core {
    pub(crate) fn new(options: Options, queue: mpsc::Sender<Message>, udp: UdpSocket) -> Result<Self, StartError> {
        if options.credentials.secret.is_empty() && options.credentials.users.is_empty() {
            return Err(StartError::Nobody);
        }
        if options.relay.is_empty() {
            return Err(StartError::NoAddress);
        }
        let listen = options.listen;
        let local = udp
            .local_addr()
            .map_err(|source| StartError::Listen { listen, source })?;
        let config = Config {
            realm: options.realm,
            credentials: options.credentials,
            nonce_secret: rand::random(),
            quota: options.quota,
        };
        let totals = Arc::<Totals>::default();
        Ok(Self {
            server: Server::new(config),
            relay: Sockets {
                ports: Ports::new(options.relay, options.ports),
                policy: options.policy,
                advertise: options.advertise,
                queue,
                totals: totals.clone(),
            },
            udp,
            local,
            streams: HashMap::new(),
            totals,
            out: Vec::new(),
        })
    }

    pub(crate) fn totals(&self) -> Arc<Totals> {
        self.totals.clone()
    }

    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Message>, mut stopped: watch::Receiver<bool>) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let far = Instant::now() + std::time::Duration::from_secs(3600);
            let due = self.server.next_deadline().unwrap_or(far);
            tokio::select! {
                received = self.udp.recv_from(&mut buffer) => {
                    // An error is old news of a client that has gone.
                    if let Ok((length, remote)) = received {
                        let client = Client::Udp { local: self.local, remote };
                        self.take_from_client(client, buffer.get(..length).unwrap_or_default());
                    }
                }
                message = queue.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                () = tokio::time::sleep_until(due.into()) => {
                    self.server.handle_timeout(Instant::now(), &mut self.relay);
                }
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            let alive = self.server.allocations() as u64;
            self.totals.allocations.store(alive, Ordering::Relaxed);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Connected(number, sender) => drop(self.streams.insert(number, sender)),
            Message::FromStream(client, bytes) => self.take_from_client(client, &bytes),
            Message::Disconnected(client) => {
                if let Client::Stream { connection, .. } = client {
                    self.streams.remove(&connection);
                }
                self.server.disconnected(client, &mut self.relay);
            }
            Message::FromPeer(allocation, peer, bytes) => {
                let wrapped = self
                    .server
                    .wrap(Instant::now(), allocation, peer, &bytes, &mut self.out);
                if let Some(client) = wrapped {
                    count(&self.totals.to_clients);
                    self.send_to_client(client);
                }
            }
        }
    }

    fn take_from_client(&mut self, client: Client, bytes: &[u8]) {
        let time = Time {
            now: Instant::now(),
            unix: unix(),
        };
        match self.server.handle(time, client, bytes, &mut self.relay, &mut self.out) {
            Outcome::Reply => self.send_to_client(client),
            Outcome::Payload {
                allocation, peer, data, ..
            } => {
                // Asked again: a permission is for an address, and addresses have other ways to be written.
                if !self.relay.policy.permits(peer.ip()) {
                    return;
                }
                let payload = bytes.get(data).unwrap_or_default();
                if self.relay.ports.send(allocation, peer, payload) {
                    count(&self.totals.to_peers);
                } else {
                    count(&self.totals.dropped);
                }
            }
            Outcome::Dropped(_) => {}
        }
    }

    /// Sends what is in `out`.
    fn send_to_client(&mut self, client: Client) {
        let sent = match client {
            Client::Udp { remote, .. } => self.udp.try_send_to(&self.out, remote).is_ok(),
            Client::Stream { connection, .. } => {
                let stream = self.streams.get(&connection);
                stream.is_some_and(|stream| stream.try_send(self.out.clone()).is_ok())
            }
        };
        if !sent {
            count(&self.totals.dropped);
        }
    }
}

fn unix() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
