//! The sockets around a [`Shaper`]: one that clients send to, and one towards the server for each client address.
//!
//! Timers of the runtime have a grain of a millisecond, so a packet may arrive up to that much late; rates and orders are
//! exact over time because the shaper computes with due times, not with wake-ups.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::config::{Change, Impairment};
use super::link::LinkStats;
use super::shaper::{FlowId, Output, Shaper};

/// Datagrams from the server that may wait for the shaper; beyond it readers wait and the kernel's buffers fill.
const QUEUE: usize = 4_096;
/// Datagrams taken from the listening socket before anything else gets its turn.
const BATCH: usize = 64;
/// Bytes of a datagram; nothing that WebRTC sends is larger.
const MAX_DATAGRAM: usize = 2_048;
/// Socket buffers asked for; the kernel may give less.
const SOCKET_BUFFER: usize = 4 << 20;
/// When nothing is due.
const LONG: Duration = Duration::from_secs(3_600);

/// What a proxy has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProxyReport {
    /// From clients to the server.
    pub up: LinkStats,
    /// From the server to clients.
    pub down: LinkStats,
    /// Client addresses known at the end.
    pub flows: usize,
    /// Datagrams that the proxy's own sockets could not take: its limit, not the link's.
    pub send_failures: u64,
}

enum Order {
    RestartSchedule,
    Change(Box<Change>),
    Report(oneshot::Sender<ProxyReport>),
}

/// A running proxy; it ends when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on `listen` (port 0: any free one) and carries packets to and from `server`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(config: Impairment, listen: SocketAddr, server: SocketAddr) -> io::Result<Self> {
        let socket = Arc::new(bind(listen)?);
        let address = socket.local_addr()?;
        let (orders, inbox) = mpsc::channel(16);
        let (from_server, arrivals) = mpsc::channel(QUEUE);
        let running = Running {
            shaper: Shaper::new(config, Instant::now()),
            socket,
            server,
            flows: HashMap::new(),
            readers: JoinSet::new(),
            from_server,
            send_failures: 0,
        };
        let task = tokio::spawn(running.run(inbox, arrivals));
        Ok(Self { address, orders, task })
    }

    /// Where clients must send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the schedule begin now, for instance when everybody has joined.
    pub async fn restart_schedule(&self) {
        // Fails only when the task is gone, and then there is no schedule.
        let _ = self.orders.send(Order::RestartSchedule).await;
    }

    /// Makes the links others from now on.
    pub async fn change(&self, change: Change) {
        let _ = self.orders.send(Order::Change(Box::new(change))).await;
    }

    /// What it has done so far; `None` when it has ended.
    pub async fn report(&self) -> Option<ProxyReport> {
        let (answer, wait) = oneshot::channel();
        self.orders.send(Order::Report(answer)).await.ok()?;
        wait.await.ok()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Upstream {
    socket: Arc<UdpSocket>,
    reader: tokio::task::AbortHandle,
}

struct Running {
    shaper: Shaper,
    socket: Arc<UdpSocket>,
    server: SocketAddr,
    flows: HashMap<FlowId, Upstream>,
    readers: JoinSet<()>,
    from_server: mpsc::Sender<(FlowId, Vec<u8>)>,
    send_failures: u64,
}

impl Running {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut arrivals: mpsc::Receiver<(FlowId, Vec<u8>)>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut out = Vec::new();
        loop {
            let deadline = self.shaper.next_deadline().unwrap_or_else(|| Instant::now() + LONG);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::RestartSchedule) => self.shaper.restart_schedule(Instant::now()),
                    Some(Order::Change(change)) => self.shaper.change(Instant::now(), *change),
                    Some(Order::Report(answer)) => drop(answer.send(self.report())),
                    None => return,
                },
                ready = self.socket.readable() => if ready.is_ok() { self.take_from_clients(&mut buffer) },
                arrival = arrivals.recv() => {
                    let mut next = arrival;
                    for _ in 0..BATCH {
                        let Some((flow, packet)) = next else { break };
                        self.shaper.from_server(Instant::now(), flow, packet);
                        next = arrivals.try_recv().ok();
                    }
                    if let Some((flow, packet)) = next {
                        self.shaper.from_server(Instant::now(), flow, packet);
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            self.shaper.poll(Instant::now(), &mut out);
            for output in out.drain(..) {
                self.perform(output);
            }
        }
    }

    fn take_from_clients(&mut self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            // Errors on an unconnected UDP socket are old news of clients that are gone.
            let Ok((length, client)) = self.socket.try_recv_from(buffer) else {
                return;
            };
            let packet = buffer[..length].to_vec();
            self.shaper.from_client(Instant::now(), client, packet);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::ToClient(client, packet) => {
                if SockRef::from(&*self.socket).send_to(&packet, &client.into()).is_err() {
                    self.send_failures += 1;
                }
            }
            Output::ToServer(flow, packet) => {
                // Past the runtime, whose sockets take nothing before they were once seen to be writable.
                let sent = self
                    .upstream(flow)
                    .and_then(|socket| SockRef::from(&*socket).send(&packet));
                if sent.is_err() {
                    self.send_failures += 1;
                }
            }
            Output::NewSocket(flow) | Output::Closed(flow) => {
                if let Some(old) = self.flows.remove(&flow) {
                    old.reader.abort();
                }
            }
        }
    }

    /// The flow's socket towards the server, opened when first needed.
    fn upstream(&mut self, flow: FlowId) -> io::Result<Arc<UdpSocket>> {
        if let Some(upstream) = self.flows.get(&flow) {
            return Ok(upstream.socket.clone());
        }
        let own = self.socket.local_addr()?;
        let socket = Arc::new(bind(SocketAddr::new(own.ip(), 0))?);
        SockRef::from(&*socket).connect(&self.server.into())?;
        let (reading, sender) = (socket.clone(), self.from_server.clone());
        let reader = self.readers.spawn(async move {
            let mut buffer = vec![0; MAX_DATAGRAM];
            loop {
                match reading.recv(&mut buffer).await {
                    Ok(length) => {
                        if sender.send((flow, buffer[..length].to_vec())).await.is_err() {
                            return;
                        }
                    }
                    // The server's port is closed, for instance between two of its lives: it may come back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        });
        while self.readers.try_join_next().is_some() {}
        self.flows.insert(
            flow,
            Upstream {
                socket: socket.clone(),
                reader,
            },
        );
        Ok(socket)
    }

    fn report(&self) -> ProxyReport {
        let (up, down) = self.shaper.stats();
        ProxyReport {
            up,
            down,
            flows: self.shaper.flows(),
            send_failures: self.send_failures,
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Smaller buffers lose packets under load but work.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impair::config::{Change, LinkConfig};

    const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 2_048];
        let wait = tokio::time::timeout(Duration::from_secs(20), socket.recv_from(&mut buffer));
        let (length, from) = wait.await.expect("a datagram").unwrap();
        (buffer[..length].to_vec(), from)
    }

    #[tokio::test]
    async fn datagrams_pass_both_ways_late_and_from_a_new_address_when_told() {
        let server = UdpSocket::bind(LOOPBACK).await.unwrap();
        let mut config = Impairment {
            down: LinkConfig {
                delay_ms: 50,
                ..Default::default()
            },
            ..Default::default()
        };
        config.changes.push(Change {
            at_seconds: 0.0,
            new_address: true,
            ..Default::default()
        });
        let proxy = Proxy::start(config, LOOPBACK, server.local_addr().unwrap()).unwrap();
        let client = UdpSocket::bind(LOOPBACK).await.unwrap();
        client.connect(proxy.address()).await.unwrap();

        client.send(b"ask").await.unwrap();
        let (asked, first) = receive(&server).await;
        assert_eq!(asked, b"ask");
        assert_ne!(first, client.local_addr().unwrap());
        let sent = Instant::now();
        server.send_to(b"answer", first).await.unwrap();
        let (answer, from) = receive(&client).await;
        assert_eq!((answer.as_slice(), from), (&b"answer"[..], proxy.address()));
        assert!(sent.elapsed() >= Duration::from_millis(50), "{:?}", sent.elapsed());

        proxy.restart_schedule().await;
        client.send(b"again").await.unwrap();
        let (again, second) = receive(&server).await;
        assert_eq!(again, b"again");
        assert_ne!(first, second);
        let report = proxy.report().await.unwrap();
        assert_eq!((report.up.delivered, report.down.delivered, report.flows), (2, 1, 1));
    }

    #[tokio::test]
    async fn a_bottleneck_lets_its_rate_through_and_no_more() {
        let server = UdpSocket::bind(LOOPBACK).await.unwrap();
        let config = Impairment {
            up: LinkConfig {
                rate_kbps: Some(1_000),
                buffer_ms: Some(100),
                ..Default::default()
            },
            ..Default::default()
        };
        let proxy = Proxy::start(config, LOOPBACK, server.local_addr().unwrap()).unwrap();
        let client = UdpSocket::bind(LOOPBACK).await.unwrap();
        // Ten times the buffer at once: the buffer and the packet in front of it get through, the rest is dropped.
        for _ in 0..125 {
            client.send_to(&[0; 972], proxy.address()).await.unwrap();
        }
        let began = Instant::now();
        let mut came = 0;
        let mut buffer = [0; 2_048];
        while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(1_500), server.recv_from(&mut buffer)).await {
            came += 1;
        }
        let report = proxy.report().await.unwrap();
        assert_eq!(report.up.delivered, came);
        assert_eq!(report.up.offered, report.up.delivered + report.up.overflowed);
        assert!(came >= 11, "{came}");
        // Sending took no time on a quick machine; on a slow one the bottleneck worked meanwhile, at most at its rate.
        let most = began.elapsed().as_secs_f64() * 125.0 + 13.0;
        assert!((came as f64) <= most, "{came} > {most}");
        assert!(report.up.queue_max_ms <= 109.0, "{}", report.up.queue_max_ms);
    }
}
