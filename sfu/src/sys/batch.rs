//! Datagrams by the batch, each with the local address that it came to or leaves from.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use sfu_core::forward::{BUFFER_LEN, PacketBuffer};

use super::address::{read_name, write_name};

/// Datagrams of one system call.
pub(crate) const BATCH: usize = 64;
/// Room for one `in6_pktinfo` control message with its header, aligned; an `in_pktinfo` is smaller.
const CONTROL_WORDS: usize = 8;

/// Tells the kernel to say which local address each datagram came to.
pub(crate) fn ask_for_local_addresses(socket: &socket2::Socket, v6: bool) -> io::Result<()> {
    let on: libc::c_int = 1;
    let set = |level, name| {
        // SAFETY: `on` outlives the call and its size is passed.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                name,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as u32,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    if v6 {
        set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        set(libc::IPPROTO_IP, libc::IP_PKTINFO)
    }
}

/// Receives up to [`BATCH`] datagrams without waiting. `found` is called with the number of each, its sender, the local
/// address it came to, and the buffer, whose `len` is set.
pub(crate) fn receive(
    socket: &socket2::Socket,
    buffers: &mut [PacketBuffer],
    mut found: impl FnMut(SocketAddr, Option<IpAddr>, &mut PacketBuffer),
) -> io::Result<usize> {
    let count = buffers.len().min(BATCH);
    // SAFETY: all of these are plain C structures for which zero is a valid value.
    let (mut names, mut vectors, mut messages): (
        [libc::sockaddr_storage; BATCH],
        [libc::iovec; BATCH],
        [libc::mmsghdr; BATCH],
    ) = unsafe { (zeroed(), zeroed(), zeroed()) };
    let mut controls = [[0_u64; CONTROL_WORDS]; BATCH];
    for at in 0..count {
        vectors[at] = libc::iovec {
            iov_base: buffers[at].bytes.as_mut_ptr().cast(),
            iov_len: BUFFER_LEN,
        };
        let header = &mut messages[at].msg_hdr;
        header.msg_name = (&raw mut names[at]).cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
        header.msg_iov = &raw mut vectors[at];
        header.msg_iovlen = 1;
        header.msg_control = controls[at].as_mut_ptr().cast();
        header.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
    }
    // SAFETY: every pointer in the first `count` headers is to a live local or to a buffer that we hold exclusively, with
    // its true length; the kernel writes nothing else.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as u32,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    for at in 0..received as usize {
        buffers[at].len = (messages[at].msg_len as usize).min(BUFFER_LEN);
        let Some(sender) = read_name(&names[at]) else { continue };
        // SAFETY: the kernel has filled this header and its control buffer, both still live.
        let local = unsafe { read_local(&messages[at].msg_hdr) };
        found(sender, local, &mut buffers[at]);
    }
    Ok(received as usize)
}

/// # Safety
/// `header` was filled by the kernel and its control buffer is live.
unsafe fn read_local(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the caller's promise; the CMSG macros stay inside the control buffer, and a message's data is read without
    // assuming its alignment, after its type was checked.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    return Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    return Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical());
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

/// One datagram to send.
#[derive(Clone, Copy)]
pub(crate) struct Outbound<'a> {
    pub local: IpAddr,
    pub remote: SocketAddr,
    pub datagram: &'a [u8],
}

/// Sends up to [`BATCH`] datagrams, each from its local address. Returns how many the kernel took; an error is about the
/// first that it did not take.
pub(crate) fn send(socket: &socket2::Socket, v6: bool, batch: &[Outbound<'_>]) -> io::Result<usize> {
    let count = batch.len().min(BATCH);
    // SAFETY: plain C structures for which zero is a valid value.
    let (mut names, mut vectors, mut messages): (
        [libc::sockaddr_storage; BATCH],
        [libc::iovec; BATCH],
        [libc::mmsghdr; BATCH],
    ) = unsafe { (zeroed(), zeroed(), zeroed()) };
    let mut controls = [[0_u64; CONTROL_WORDS]; BATCH];
    for (at, out) in batch.iter().take(count).enumerate() {
        vectors[at] = libc::iovec {
            iov_base: out.datagram.as_ptr().cast_mut().cast(),
            iov_len: out.datagram.len(),
        };
        let header = &mut messages[at].msg_hdr;
        header.msg_name = (&raw mut names[at]).cast();
        header.msg_namelen = write_name(&mut names[at], out.remote, v6);
        header.msg_iov = &raw mut vectors[at];
        header.msg_iovlen = 1;
        if !out.local.is_unspecified() {
            header.msg_control = controls[at].as_mut_ptr().cast();
            header.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
            // SAFETY: the control buffer is live, aligned, and larger than either message.
            unsafe { write_local(header, out.local, v6) };
        }
    }
    // SAFETY: as in `receive`; the kernel only reads the datagrams.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as u32,
            libc::MSG_DONTWAIT,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(sent as usize)
    }
}

/// # Safety
/// `header` has a live, aligned control buffer of [`CONTROL_WORDS`] words.
unsafe fn write_local(header: &mut libc::msghdr, local: IpAddr, v6: bool) {
    // SAFETY: the caller's promise; CMSG_FIRSTHDR is not null because the buffer holds a header, and either message fits.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        if message.is_null() {
            return;
        }
        match local {
            IpAddr::V4(ip) if !v6 => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from(ip).to_be();
                (*message).cmsg_level = libc::IPPROTO_IP;
                (*message).cmsg_type = libc::IP_PKTINFO;
                (*message).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as _;
                std::ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
                header.msg_controllen = libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as _;
            }
            _ => {
                let ip = match local {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = ip.octets();
                (*message).cmsg_level = libc::IPPROTO_IPV6;
                (*message).cmsg_type = libc::IPV6_PKTINFO;
                (*message).cmsg_len = libc::CMSG_LEN(size_of::<libc::in6_pktinfo>() as u32) as _;
                std::ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
                header.msg_controllen = libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) as _;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::wait;

    fn bound(address: &str) -> socket2::Socket {
        let address: SocketAddr = address.parse().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None).unwrap();
        if address.is_ipv6() {
            socket.set_only_v6(false).unwrap();
        }
        socket.bind(&address.into()).unwrap();
        ask_for_local_addresses(&socket, address.is_ipv6()).unwrap();
        socket
    }

    fn answered_from_the_address_that_was_asked(listen: &str, ask: IpAddr) {
        let server = bound(listen);
        let port = server.local_addr().unwrap().as_socket().unwrap().port();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"one", (ask, port)).unwrap();
        client.send_to(b"three", (ask, port)).unwrap();
        wait(&[server.as_raw_fd()], false, Some(Duration::from_secs(5)));
        let mut buffers: Vec<PacketBuffer> = (0..4).map(|_| PacketBuffer::default()).collect();
        let mut came = Vec::new();
        while came.len() < 2 {
            wait(&[server.as_raw_fd()], false, Some(Duration::from_secs(5)));
            receive(&server, &mut buffers, |from, local, buffer| {
                came.push((from, local.unwrap(), buffer.datagram().to_vec()));
            })
            .unwrap();
        }
        assert_eq!(came[0], (client.local_addr().unwrap(), ask, b"one".to_vec()));
        assert_eq!(came[1].2, b"three");
        let batch = [Outbound {
            local: ask,
            remote: came[0].0,
            datagram: b"back",
        }; 3];
        assert_eq!(send(&server, listen.starts_with('['), &batch).unwrap(), 3);
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut out = [0; 10];
        assert_eq!(client.recv_from(&mut out).unwrap(), (4, SocketAddr::new(ask, port)));
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        // 127.0.0.2 is an address of the loopback interface without being configured.
        answered_from_the_address_that_was_asked("0.0.0.0:0", IpAddr::from([127, 0, 0, 2]));
    }

    #[test]
    fn a_socket_for_both_families_answers_v4_as_v4() {
        answered_from_the_address_that_was_asked("[::]:0", IpAddr::from([127, 0, 0, 2]));
    }
}
