//! A UDP socket with kernel receive stamps. Delay is measured to the moment at which the kernel had the datagram, so that a
//! generator that is late in reading it does not make the server look slow.
//!
//! UDP_GRO stays off: over loopback it would take the cost of segmentation away from a server that sends with GSO, which no
//! real viewer does.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::cmsg_space;
use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimestampns, SndBuf};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt};
use nix::sys::time::TimeSpec;

/// Wanted socket buffers, bytes; the kernel gives at most net.core.rmem_max and wmem_max.
const BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams of one system call. A batch that is not full has emptied the socket, so that no second call has to ask.
pub const BATCH: usize = 16;
/// Longest datagram that is taken whole.
const LONGEST: usize = 2_048;

/// What came with a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Bytes of the datagram.
    pub length: usize,
    /// From whom.
    pub source: SocketAddr,
    /// When the kernel had it, nanoseconds since 1970; 0 when the kernel did not say.
    pub at_ns: u64,
}

/// A non-blocking socket on a free port of `bind`.
///
/// # Errors
/// Whatever the system says.
pub fn open(bind: std::net::IpAddr) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddr::new(bind, 0))?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket.as_fd(), ReceiveTimestampns, &true)?;
    setsockopt(&socket.as_fd(), RcvBuf, &BUFFER)?;
    setsockopt(&socket.as_fd(), SndBuf, &BUFFER)?;
    Ok(socket)
}

/// Room for the datagrams of one call; one serves all sockets of a thread.
pub struct Batch {
    buffers: Vec<[u8; LONGEST]>,
    headers: MultiHeaders<SockaddrStorage>,
    came: Vec<Received>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            buffers: vec![[0; LONGEST]; BATCH],
            // The stamp is in every message: the space that the kernel says it used stays what the next one needs.
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec))),
            came: Vec::with_capacity(BATCH),
        }
    }
}

impl Batch {
    /// Takes what there is, at most [`BATCH`] datagrams; returns how many.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        self.came.clear();
        let mut buffers = self.buffers.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [][..], |b| &mut b[..]))]);
        let messages = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        let messages = match messages {
            Ok(messages) => messages,
            Err(nix::Error::EAGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        for message in messages {
            let source = message.address.and_then(|a| {
                a.as_sockaddr_in()
                    .map(|v4| SocketAddr::from((v4.ip(), v4.port())))
                    .or_else(|| a.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
            });
            let source = source.ok_or_else(|| io::Error::other("a datagram without a source"))?;
            let mut at_ns = 0;
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmTimestampns(at) = control {
                    at_ns = at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64;
                }
            }
            self.came.push(Received {
                length: message.bytes,
                source,
                at_ns,
            });
        }
        Ok(self.came.len())
    }

    /// What the last call took.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Received)> {
        let both = self.came.iter().zip(&self.buffers);
        both.map(|(got, buffer)| (&buffer[..got.length.min(LONGEST)], *got))
    }
}

/// The inode of a socket, by which [`crate::proc::udp_drops`] finds it; 0 when there is no /proc.
pub fn inode(socket: &impl AsRawFd) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).map_or(0, |m| m.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::stamp::now_ns;

    #[test]
    fn datagrams_come_with_the_kernels_stamps_batch_after_batch() {
        let to = open([127, 0, 0, 1].into()).unwrap();
        let from = open([127, 0, 0, 1].into()).unwrap();
        let mut batch = Batch::default();
        assert_eq!(batch.receive(&to).unwrap(), 0);
        let mut last = now_ns();
        for round in 0..3_u8 {
            for n in 0..3_u8 {
                from.send_to(&[round, n, 7], to.local_addr().unwrap()).unwrap();
            }
            assert_eq!(batch.receive(&to).unwrap(), 3);
            for (n, (bytes, got)) in batch.iter().enumerate() {
                assert_eq!(bytes, [round, n as u8, 7]);
                assert_eq!(got.source, from.local_addr().unwrap());
                assert!((last..=now_ns()).contains(&got.at_ns), "{last} {}", got.at_ns);
                last = got.at_ns;
            }
        }
    }

    #[test]
    fn the_kernel_says_how_many_a_full_socket_dropped() {
        let to = open([127, 0, 0, 1].into()).unwrap();
        let from = open([127, 0, 0, 1].into()).unwrap();
        setsockopt(&to.as_fd(), RcvBuf, &4_096).unwrap();
        for _ in 0..200 {
            from.send_to(&[0; 1_000], to.local_addr().unwrap()).unwrap();
        }
        let mut batch = Batch::default();
        let (mut came, own) = (0, [inode(&to)].into());
        loop {
            match batch.receive(&to).unwrap() {
                0 => break,
                count => came += count as u64,
            }
        }
        assert_eq!(crate::proc::udp_drops(&own) + came, 200);
        assert!(came < 200);
    }
}
