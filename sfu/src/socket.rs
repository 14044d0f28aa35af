//! The UDP sockets of one shard.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use sfu_core::forward::{Arena, PacketBuffer};
use sfu_core::types::Path;
use smallvec::SmallVec;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{MediaConfig, StartError};
use crate::lines::{FIRST_LINE, Lines};
use crate::runs::{Batch, Open};
use crate::sys::{self, Inbox, MAX_RUN, RECEIVE_BATCH, Run};
use crate::tunnel::{Outlet, Present, Tunnel};

/// Socket buffers asked for, in bytes; the kernel may give less (`net.core.rmem_max`). A key frame to 100 viewers is 8 MB.
pub const SOCKET_BUFFER: usize = 8 << 20;
/// Addresses named in an answer at most.
const MAX_CANDIDATES: usize = 8;

/// Longest wait for room in a full send buffer, once a flush.
const PATIENCE: Duration = Duration::from_millis(1);

struct Bound {
    socket: Socket,
    address: SocketAddr,
    /// Whether the kernel takes runs as one message: not known before the first one.
    segments: Option<bool>,
}

/// What the sockets of a shard have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// Datagrams received, whatever they were.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the kernel did not take: its buffer was full, or it knows no way there.
    pub send_failed: u64,
    /// Messages that the datagrams were sent in: fewer than `sent` where several went as one.
    pub messages: u64,
    /// Messages of several datagrams that the kernel refused; they were sent one by one.
    pub runs_refused: u64,
    /// Datagrams handed to TCP connections.
    pub line_sent: u64,
    /// Datagrams dropped because a TCP connection did not take them as fast, or was gone.
    pub line_dropped: u64,
}

/// Addresses that clients are told of sockets that are bound to `bound`: those of `advertise`, else of the interfaces.
pub fn candidates_of(bound: &[SocketAddr], advertise: &[IpAddr]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    let mut add = |ip: IpAddr, port: u16| {
        let address = SocketAddr::new(ip, port);
        if !found.contains(&address) && found.len() < MAX_CANDIDATES {
            found.push(address);
        }
    };
    for bound in bound {
        let port = bound.port();
        let any = bound.ip().is_unspecified();
        let both = any && bound.is_ipv6();
        if !advertise.is_empty() {
            // Behind a NAT the advertised address is not ours; only the family must be one that the socket speaks.
            for ip in advertise.iter().filter(|ip| ip.is_ipv4() == bound.is_ipv4() || both) {
                add(*ip, port);
            }
        } else if any {
            for ip in sys::interface_addresses().into_iter().filter(|ip| ip.is_ipv4() || both) {
                add(ip, port);
            }
        } else {
            add(bound.ip(), port);
        }
    }
    found
}

/// All sockets of a shard.
pub(crate) struct Sockets {
    bound: Vec<Bound>,
    outlet: Option<Outlet>,
    pub(crate) lines: Lines,
    pub(crate) counters: SocketCounters,
}

impl Sockets {
    pub(crate) fn open(config: &MediaConfig, shard: u8) -> Result<Self, StartError> {
        let mut bound = Vec::new();
        for listen in &config.listen {
            let mut address = *listen;
            if address.port() != 0 {
                address.set_port(address.port().saturating_add(u16::from(shard)));
            }
            let fail = |source| StartError::Listen { address, source };
            bound.push(Self::bind(address).map_err(fail)?);
        }
        Ok(Self {
            bound,
            outlet: None,
            lines: Lines::default(),
            counters: SocketCounters::default(),
        })
    }

    fn bind(address: SocketAddr) -> io::Result<Bound> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_nonblocking(true)?;
        // Smaller buffers lose packets under load but work; the kernel says nothing when it gives less.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        sys::ask_for_local_addresses(&socket, address.is_ipv6())?;
        sys::ask_for_times(&socket)?;
        // A kernel that does not know it hands every datagram over alone.
        let _ = sys::allow_merged(&socket);
        socket.bind(&address.into())?;
        let address = socket.local_addr()?.as_socket().unwrap_or(address);
        Ok(Bound {
            socket,
            address,
            segments: None,
        })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).collect()
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.bound.iter().map(|bound| bound.socket.as_raw_fd())
    }

    /// Addresses for the answers: as configured, else where we listen.
    pub(crate) fn candidates(&self, advertise: &[IpAddr]) -> Vec<SocketAddr> {
        candidates_of(&self.addresses(), advertise)
    }

    /// Number of sockets.
    pub(crate) fn len(&self) -> usize {
        self.bound.len()
    }

    /// Takes one batch from a socket; the result says whether more may be waiting. The datagrams are in `inbox`.
    pub(crate) fn receive(&self, socket: usize, inbox: &mut Inbox) -> bool {
        let Some(bound) = self.bound.get(socket) else {
            return false;
        };
        // Errors on a UDP socket are old news of unreachable peers, or "nothing there".
        inbox.fill(&bound.socket).is_ok_and(|count| count == RECEIVE_BATCH)
    }

    /// The path of a datagram from this socket.
    pub(crate) fn path(&self, socket: usize, remote: SocketAddr, local: Option<IpAddr>) -> Option<Path> {
        let own = self.bound.get(socket)?.address;
        let local = SocketAddr::new(local.unwrap_or(own.ip()), own.port());
        Some(Path::Udp { local, remote })
    }

    /// Lets a tunnel share the port.
    pub(crate) fn share_with(&mut self, tunnel: Box<dyn Tunnel>) {
        self.outlet = Some(Outlet::new(tunnel));
    }

    /// Whether nothing waits at the tunnel.
    pub(crate) fn is_empty(&self) -> bool {
        self.outlet.as_ref().is_none_or(|outlet| outlet.wrapped.is_empty())
    }

    /// The tunnel on this port.
    pub(crate) fn tunnel(&mut self) -> Option<&mut dyn Tunnel> {
        match &mut self.outlet {
            Some(outlet) => Some(outlet.tunnel.as_mut()),
            None => None,
        }
    }

    /// Where a received datagram, `buffer`, really comes from, once what is the tunnel's is taken out of its wrapping;
    /// `None` when it was for the tunnel alone.
    pub(crate) fn divert(
        &mut self,
        now: Instant,
        path: Path,
        buffer: &mut PacketBuffer,
        present: Present<'_>,
    ) -> Option<Path> {
        match &mut self.outlet {
            Some(outlet) => outlet.divert(now, path, buffer, present),
            None => Some(path),
        }
    }

    /// Sends what waits in the arena, and at the tunnel, and empties both.
    pub(crate) fn flush(&mut self, arena: &mut Arena) {
        let mut outlet = self.outlet.take();
        self.send_all(arena, outlet.as_mut());
        if let Some(outlet) = &mut outlet
            && !outlet.wrapped.is_empty()
        {
            self.send_all(&mut outlet.wrapped, None);
        }
        self.outlet = outlet;
    }

    fn send_all(&mut self, arena: &mut Arena, mut outlet: Option<&mut Outlet>) {
        let mut batch = Batch::new();
        for (path, datagrams) in arena.destinations() {
            let (local, remote) = match path {
                Path::Udp { local, remote } => (local, remote),
                Path::Turn { allocation, local, .. } if allocation >= FIRST_LINE => {
                    self.lines.send(path, Some(local), datagrams);
                    continue;
                }
                Path::Turn { allocation, local, .. } => {
                    if let Some(outlet) = &mut outlet {
                        outlet.wrap(Instant::now(), allocation, local, datagrams);
                    }
                    continue;
                }
                Path::Tcp { .. } => {
                    self.lines.send(path, None, datagrams);
                    continue;
                }
            };
            let Some(socket) = self.bound.iter().position(|bound| serves(bound.address, local)) else {
                continue;
            };
            if batch.socket != socket {
                self.send(&mut batch);
                batch.socket = socket;
            }
            let bound = &self.bound[socket];
            let merge = bound.segments != Some(false);
            let from = bound.leaves_from(local.ip());
            let mut run = Open::default();
            for datagram in datagrams {
                if batch.is_full(&run, datagram, merge) {
                    self.send(&mut batch);
                    run = Open::default();
                }
                batch.add(&mut run, datagram, from, remote, merge);
            }
        }
        self.send(&mut batch);
        (self.counters.line_sent, self.counters.line_dropped) = (self.lines.sent, self.lines.dropped);
        arena.clear();
    }

    fn send(&mut self, batch: &mut Batch<'_>) {
        if let Some(bound) = self.bound.get_mut(batch.socket) {
            let (runs, datagrams) = batch.parts();
            bound.send(runs, datagrams, &mut self.counters);
        }
        batch.clear();
    }
}

impl Bound {
    /// The address to name to the kernel with what leaves from `local`: none where the socket has only the one.
    fn leaves_from(&self, local: IpAddr) -> IpAddr {
        if self.address.ip().is_unspecified() {
            local
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        }
    }

    /// Sends all runs; what the kernel refuses is skipped and counted.
    fn send(&mut self, runs: &[Run], datagrams: &[IoSlice<'_>], counters: &mut SocketCounters) {
        let (mut at, mut waited) = (0, false);
        while let Some(first) = runs.get(at) {
            match sys::send(&self.socket, self.address.is_ipv6(), &runs[at..], datagrams) {
                Ok(count) => {
                    let taken = &runs[at..(at + count.max(1)).min(runs.len())];
                    counters.messages += taken.len() as u64;
                    counters.sent += taken.iter().map(|run| run.datagrams.len() as u64).sum::<u64>();
                    if taken.iter().any(|run| run.datagrams.len() > 1) {
                        self.segments = Some(true);
                    }
                    at += taken.len();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waited => {
                    // The send buffer is full: a moment's patience, once; after that it is congestion.
                    sys::wait(&mut [sys::writable(self.socket.as_raw_fd())], PATIENCE);
                    waited = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    at += 1;
                    if first.datagrams.len() == 1 || error.kind() == io::ErrorKind::WouldBlock {
                        counters.send_failed += first.datagrams.len() as u64;
                        continue;
                    }
                    // EIO: this device cannot; EINVAL before any success: this kernel cannot. Otherwise it is about this one
                    // run (a path with a small MTU), and the datagrams may go alone.
                    counters.runs_refused += 1;
                    match error.raw_os_error() {
                        Some(libc::EIO) => self.segments = Some(false),
                        Some(libc::EINVAL) if self.segments.is_none() => self.segments = Some(false),
                        _ => {}
                    }
                    let single = first.datagrams.clone().map(|n| Run {
                        datagrams: n..n + 1,
                        ..*first
                    });
                    let single: SmallVec<[Run; MAX_RUN]> = single.collect();
                    self.send(&single, datagrams, counters);
                }
            }
        }
    }
}

fn serves(bound: SocketAddr, local: SocketAddr) -> bool {
    bound == local
        || (bound.port() == local.port() && bound.ip().is_unspecified() && (bound.is_ipv6() || local.is_ipv4()))
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
