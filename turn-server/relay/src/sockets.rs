//! Relayed addresses: a UDP socket for each, and a task that reads it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use turn_server::{AllocationId, Family, OpenError};

use crate::hub::{LONGEST, Message, Totals};

/// Ports tried before it is said that none is free.
const ATTEMPTS: usize = 64;

struct Opened {
    socket: Arc<UdpSocket>,
    family: Family,
    reading: JoinHandle<()>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// The sockets of all allocations.
pub(crate) struct Ports {
    addresses: Vec<IpAddr>,
    ports: RangeInclusive<u16>,
    open: HashMap<AllocationId, Vec<Opened>>,
}

impl Ports {
    pub(crate) fn new(addresses: Vec<IpAddr>, ports: RangeInclusive<u16>) -> Self {
        Self {
            addresses,
            ports,
            open: HashMap::new(),
        }
    }

    /// Opens a port at random: who can guess it could send before the peer does.
    pub(crate) fn open(
        &mut self,
        id: AllocationId,
        family: Family,
        even: bool,
        queue: &mpsc::Sender<Message>,
        totals: &Arc<Totals>,
    ) -> Result<SocketAddr, OpenError> {
        let mut ours = self.addresses.iter().copied();
        let ip = ours.find(|ip| Family::of(*ip) == family).ok_or(OpenError::Family)?;
        for _ in 0..ATTEMPTS {
            let port: u16 = rand::random_range(self.ports.clone());
            if even && port % 2 == 1 {
                continue;
            }
            let Some(socket) = bind(SocketAddr::new(ip, port)) else {
                continue;
            };
            let address = socket.local_addr().map_err(|_| OpenError::Capacity)?;
            let socket = Arc::new(socket);
            let reading = tokio::spawn(read(id, socket.clone(), queue.clone(), totals.clone()));
            self.open.entry(id).or_default().push(Opened {
                socket,
                family,
                reading,
            });
            return Ok(address);
        }
        Err(OpenError::Capacity)
    }

    pub(crate) fn close(&mut self, id: AllocationId) {
        self.open.remove(&id);
    }

    /// Sends to a peer; `false` when the socket is full or there is none of its family.
    pub(crate) fn send(&self, id: AllocationId, peer: SocketAddr, payload: &[u8]) -> bool {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let sockets = self.open.get(&id).map(Vec::as_slice).unwrap_or_default();
        let fitting = sockets.iter().find(|opened| opened.family == Family::of(peer.ip()));
        fitting.is_some_and(|opened| opened.socket.try_send_to(payload, peer).is_ok())
    }
}

fn bind(address: SocketAddr) -> Option<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).ok()?;
    if address.is_ipv6() {
        socket.set_only_v6(true).ok()?;
    }
    socket.set_nonblocking(true).ok()?;
    socket.bind(&address.into()).ok()?;
    UdpSocket::from_std(socket.into()).ok()
}

async fn read(id: AllocationId, socket: Arc<UdpSocket>, queue: mpsc::Sender<Message>, totals: Arc<Totals>) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            continue; // a peer that does not listen
        };
        let payload = buffer.get(..length).unwrap_or_default().to_vec();
        match queue.try_send(Message::FromPeer(id, peer, payload)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                totals.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}
