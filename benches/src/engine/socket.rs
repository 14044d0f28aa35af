//! A UDP socket with kernel receive stamps. Delay is measured to the moment at which the kernel had the datagram, so that a
//! generator that is late in reading it does not make the server look slow.
//!
//! UDP_GRO stays off: over loopback it would take the cost of segmentation away from a server that sends with GSO, which no
//! real viewer does.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::cmsg_space;
use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimestampns, RxqOvfl, SndBuf};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

/// Wanted socket buffers, bytes; the kernel gives at most net.core.rmem_max and wmem_max.
const BUFFER: usize = 4 * 1024 * 1024;

/// What came.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Bytes of the datagram.
    pub length: usize,
    /// From whom.
    pub source: SocketAddr,
    /// When the kernel had it, nanoseconds since 1970; 0 when the kernel did not say.
    pub at_ns: u64,
    /// Datagrams dropped at this socket so far, because it was full.
    pub drops: u32,
}

/// A non-blocking socket on a free port of `bind`.
///
/// # Errors
/// Whatever the system says.
pub fn open(bind: std::net::IpAddr) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddr::new(bind, 0))?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket.as_fd(), ReceiveTimestampns, &true)?;
    setsockopt(&socket.as_fd(), RxqOvfl, &1)?;
    setsockopt(&socket.as_fd(), RcvBuf, &BUFFER)?;
    setsockopt(&socket.as_fd(), SndBuf, &BUFFER)?;
    Ok(socket)
}

/// Room for the control messages of one datagram.
pub fn control_buffer() -> Vec<u8> {
    cmsg_space!(TimeSpec, u32)
}

/// Takes one datagram; `None` when there is none.
///
/// # Errors
/// Whatever the system says.
pub fn receive(socket: &impl AsRawFd, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Option<Received>> {
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), MsgFlags::MSG_DONTWAIT);
    let message = match message {
        Ok(message) => message,
        Err(nix::Error::EAGAIN) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (mut at_ns, mut drops) = (0, 0);
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::ScmTimestampns(at) => {
                at_ns = at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64;
            }
            ControlMessageOwned::RxqOvfl(count) => drops = count,
            _ => {}
        }
    }
    let source = message.address.and_then(|a| {
        a.as_sockaddr_in()
            .map(|v4| SocketAddr::from((v4.ip(), v4.port())))
            .or_else(|| a.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
    });
    let source = source.ok_or_else(|| io::Error::other("a datagram without a source"))?;
    Ok(Some(Received {
        length: message.bytes,
        source,
        at_ns,
        drops,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::stamp::now_ns;

    #[test]
    fn a_datagram_comes_with_the_kernels_stamp_and_a_full_socket_says_what_it_dropped() {
        let to = open([127, 0, 0, 1].into()).unwrap();
        let from = open([127, 0, 0, 1].into()).unwrap();
        let (mut buffer, mut control) = ([0; 2_048], control_buffer());
        assert!(receive(&to, &mut buffer, &mut control).unwrap().is_none());
        let before = now_ns();
        from.send_to(b"hello", to.local_addr().unwrap()).unwrap();
        let got = receive(&to, &mut buffer, &mut control).unwrap().unwrap();
        assert_eq!(&buffer[..got.length], b"hello");
        assert_eq!(got.source, from.local_addr().unwrap());
        assert!((before..=now_ns()).contains(&got.at_ns), "{} {}", before, got.at_ns);

        setsockopt(&to.as_fd(), RcvBuf, &4_096).unwrap();
        for _ in 0..200 {
            let _ = from.send_to(&[0; 1_000], to.local_addr().unwrap());
        }
        let mut drops = 0;
        while let Some(got) = receive(&to, &mut buffer, &mut control).unwrap() {
            drops = got.drops;
        }
        // The count comes with the next datagram after a drop.
        from.send_to(b"end", to.local_addr().unwrap()).unwrap();
        let last = receive(&to, &mut buffer, &mut control).unwrap().unwrap();
        assert!(drops.max(last.drops) > 0);
    }
}
