//! The UDP sockets of one shard.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use sfu_core::forward::{Arena, PacketBuffer};
use sfu_core::types::Path;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{MediaConfig, StartError};
use crate::sys::{self, BATCH, Outbound};

/// Socket buffers asked for, in bytes; the kernel may give less (`net.core.rmem_max`). A key frame to 100 viewers is 8 MB.
const SOCKET_BUFFER: usize = 8 << 20;
/// Addresses named in an answer at most.
const MAX_CANDIDATES: usize = 8;

struct Bound {
    socket: Socket,
    address: SocketAddr,
}

/// All sockets of a shard.
pub(crate) struct Sockets {
    bound: Vec<Bound>,
    /// Datagrams that were not sent.
    pub(crate) failed: u64,
    /// Datagrams sent.
    pub(crate) sent: u64,
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
            failed: 0,
            sent: 0,
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
        socket.bind(&address.into())?;
        let address = socket.local_addr()?.as_socket().unwrap_or(address);
        Ok(Bound { socket, address })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).collect()
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.bound.iter().map(|bound| bound.socket.as_raw_fd())
    }

    /// Addresses for the answers: as configured, else where we listen.
    pub(crate) fn candidates(&self, advertise: &[IpAddr]) -> Vec<SocketAddr> {
        let mut found = Vec::new();
        let mut add = |ip: IpAddr, port: u16| {
            let address = SocketAddr::new(ip, port);
            if !found.contains(&address) && found.len() < MAX_CANDIDATES {
                found.push(address);
            }
        };
        for bound in &self.bound {
            let port = bound.address.port();
            let any = bound.address.ip().is_unspecified();
            if !advertise.is_empty() {
                // Behind a NAT the advertised address is not ours; only the family must be one that the socket speaks.
                for ip in advertise
                    .iter()
                    .filter(|ip| ip.is_ipv4() == bound.address.is_ipv4() || any)
                {
                    add(*ip, port);
                }
            } else if any {
                let both = bound.address.is_ipv6();
                for ip in sys::interface_addresses().into_iter().filter(|ip| ip.is_ipv4() || both) {
                    add(ip, port);
                }
            } else {
                add(bound.address.ip(), port);
            }
        }
        found
    }

    /// Takes one batch from every socket; the result says whether more may be waiting.
    pub(crate) fn receive(
        &mut self,
        buffers: &mut [PacketBuffer],
        mut found: impl FnMut(Path, &mut PacketBuffer),
    ) -> bool {
        let mut more = false;
        for bound in &self.bound {
            let address = bound.address;
            let result = sys::receive(&bound.socket, buffers, |remote, local, buffer| {
                let local = SocketAddr::new(local.unwrap_or(address.ip()), address.port());
                found(Path::Udp { local, remote }, buffer);
            });
            // Errors on a UDP socket are old news of unreachable peers, or "nothing there".
            more |= result.is_ok_and(|count| count == buffers.len());
        }
        more
    }

    /// Sends what waits in the arena and empties it.
    pub(crate) fn flush(&mut self, arena: &mut Arena) {
        let mut batch: [Option<Outbound<'_>>; BATCH] = [None; BATCH];
        let mut filled = 0;
        let mut current = 0;
        for (path, datagram) in arena.iter() {
            let Path::Udp { local, remote } = path else { continue };
            let Some(socket) = self.bound.iter().position(|bound| serves(bound.address, local)) else {
                continue;
            };
            if filled == BATCH || (filled > 0 && socket != current) {
                let (sent, failed) = send_all(&self.bound[current], &batch[..filled]);
                self.sent += sent;
                self.failed += failed;
                filled = 0;
            }
            current = socket;
            batch[filled] = Some(Outbound {
                local: local.ip(),
                remote,
                datagram,
            });
            filled += 1;
        }
        if filled > 0 {
            let (sent, failed) = send_all(&self.bound[current], &batch[..filled]);
            self.sent += sent;
            self.failed += failed;
        }
        arena.clear();
    }
}

fn serves(bound: SocketAddr, local: SocketAddr) -> bool {
    bound == local
        || (bound.port() == local.port() && bound.ip().is_unspecified() && (bound.is_ipv6() || local.is_ipv4()))
}

/// Sends a batch; a datagram that the kernel refuses is skipped. Returns (sent, not sent).
fn send_all(bound: &Bound, batch: &[Option<Outbound<'_>>]) -> (u64, u64) {
    let mut list = [Outbound {
        local: bound.address.ip(),
        remote: bound.address,
        datagram: &[],
    }; BATCH];
    let mut count = 0;
    for out in batch.iter().flatten() {
        list[count] = *out;
        count += 1;
    }
    let (mut at, mut failed, mut waited) = (0, 0, false);
    while at < count {
        match sys::send(&bound.socket, bound.address.is_ipv6(), &list[at..count]) {
            Ok(sent) => at += sent.max(1),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waited => {
                // The send buffer is full: a moment's patience, once; after that it is congestion.
                sys::wait(&[bound.socket.as_raw_fd()], true, Some(Duration::from_millis(1)));
                waited = true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                failed += 1;
                at += 1;
            }
        }
    }
    (count as u64 - failed, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specific_address_is_its_own_candidate_and_an_advertised_one_takes_its_place() {
        let config = MediaConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..Default::default()
        };
        let sockets = Sockets::open(&config, 0).unwrap();
        assert_eq!(sockets.candidates(&[]), sockets.addresses());
        let outside: IpAddr = "203.0.113.7".parse().unwrap();
        assert_eq!(
            sockets.candidates(&[outside]),
            [SocketAddr::new(outside, sockets.addresses()[0].port())]
        );
    }

    #[test]
    fn a_taken_port_is_named_in_the_error() {
        let first = Sockets::open(
            &MediaConfig {
                listen: vec!["127.0.0.1:0".parse().unwrap()],
                ..Default::default()
            },
            0,
        );
        let taken = first.unwrap();
        let listen = taken.addresses();
        let port = listen[0].port().to_string();
        let error = Sockets::open(
            &MediaConfig {
                listen,
                ..Default::default()
            },
            0,
        )
        .err()
        .unwrap();
        assert!(error.to_string().contains(&port), "{error}");
    }
}
