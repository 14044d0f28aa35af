//! The system calls that the standard library has no safe form of: batches of datagrams with their local addresses, a
//! wake-up, waiting for several descriptors. The only module of the project that may say `unsafe`: at 25,000 packets a
//! second one call per packet would cost more than everything else (recvmmsg and sendmmsg save 4 to 7 %, and sending from
//! the right address needs control messages either way).
#![allow(unsafe_code, reason = "see above; every block says why it is sound")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sfu_core::forward::{BUFFER_LEN, PacketBuffer};

/// Datagrams of one system call.
pub(crate) const BATCH: usize = 64;
/// Room for one `in6_pktinfo` control message with its header, aligned; an `in_pktinfo` is smaller.
const CONTROL_WORDS: usize = 8;

/// Wakes a thread that waits in [`wait`].
#[derive(Clone)]
pub(crate) struct Waker {
    descriptor: Arc<OwnedFd>,
    stopped: Arc<AtomicBool>,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointer; its result is checked before it is owned.
        let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` was just opened and nobody else owns it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Self {
            descriptor: Arc::new(descriptor),
            stopped: Arc::default(),
        })
    }

    /// Wakes the thread, or keeps it from falling asleep next time.
    pub(crate) fn wake(&self) {
        let one = 1_u64;
        // SAFETY: the descriptor is open while we hold it, and the eight bytes are ours. It fails only when 2^64 - 1 wakes
        // are pending, and then the thread is awake.
        unsafe { libc::write(self.descriptor.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Wakes the thread for the last time.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether [`Self::stop`] was called.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Takes the pending wakes.
    pub(crate) fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: as in `wake`; non-blocking, so it returns at once.
        unsafe { libc::read(self.descriptor.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Waits until a descriptor can be read (or, with `write`, written), at most `timeout`. An interrupted wait is over.
pub(crate) fn wait(descriptors: &[RawFd], write: bool, timeout: Option<Duration>) {
    let events = if write { libc::POLLOUT } else { libc::POLLIN };
    let mut polled: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|fd| libc::pollfd {
            fd: *fd,
            events,
            revents: 0,
        })
        .collect();
    let time = timeout.map(|t| libc::timespec {
        tv_sec: t.as_secs() as _,
        tv_nsec: t.subsec_nanos() as _,
    });
    let time = time.as_ref().map_or(std::ptr::null(), |time| &raw const *time);
    // SAFETY: the array and the time outlive the call, and the length is the array's. An error is treated as a wake.
    unsafe {
        libc::ppoll(
            polled.as_mut_ptr(),
            polled.len() as libc::nfds_t,
            time,
            std::ptr::null(),
        )
    };
}

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

fn read_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure it is, and the storage is large and aligned enough for any.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, port)),
                // The scope belongs to link-local addresses only and must come back when we answer.
                None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id)),
            })
        }
        _ => None,
    }
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

fn write_name(name: &mut libc::sockaddr_storage, remote: SocketAddr, v6: bool) -> u32 {
    match remote {
        SocketAddr::V4(remote) if !v6 => {
            // SAFETY: the storage is large and aligned enough for any socket address.
            let out = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in>() };
            out.sin_family = libc::AF_INET as libc::sa_family_t;
            out.sin_port = remote.port().to_be();
            out.sin_addr.s_addr = u32::from(*remote.ip()).to_be();
            size_of::<libc::sockaddr_in>() as u32
        }
        _ => {
            let (ip, scope) = match remote {
                SocketAddr::V4(remote) => (remote.ip().to_ipv6_mapped(), 0),
                SocketAddr::V6(remote) => (*remote.ip(), remote.scope_id()),
            };
            // SAFETY: as above.
            let out = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in6>() };
            out.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            out.sin6_port = remote.port().to_be();
            out.sin6_addr.s6_addr = ip.octets();
            out.sin6_scope_id = scope;
            size_of::<libc::sockaddr_in6>() as u32
        }
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

/// Addresses of the interfaces that are up, loopback last, link-local ones left out.
pub(crate) fn interface_addresses() -> Vec<IpAddr> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs writes a list that we free below, or fails.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: the list is valid until it is freed; an address may be null.
        let (entry, address) = unsafe { (&*next, (*next).ifa_addr) };
        next = entry.ifa_next;
        if address.is_null() || entry.ifa_flags & libc::IFF_UP as u32 == 0 {
            continue;
        }
        // SAFETY: the family says how long the structure is; only as much as that is copied.
        let name = unsafe {
            let mut name: libc::sockaddr_storage = zeroed();
            let length = match libc::c_int::from((*address).sa_family) {
                libc::AF_INET => size_of::<libc::sockaddr_in>(),
                libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
                _ => continue,
            };
            std::ptr::copy_nonoverlapping(address.cast::<u8>(), (&raw mut name).cast::<u8>(), length);
            name
        };
        match read_name(&name).map(|name| name.ip()) {
            Some(IpAddr::V6(ip)) if ip.is_unicast_link_local() => {}
            Some(IpAddr::V4(ip)) if ip.is_link_local() => {}
            Some(ip) if !found.contains(&ip) => found.push(ip),
            _ => {}
        }
    }
    // SAFETY: the list came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(first) };
    found.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_wake_before_the_wait_is_not_lost() {
        let waker = Waker::new().unwrap();
        waker.wake();
        wait(&[waker.descriptor()], false, None);
        waker.clear();
        assert!(!waker.stopped());
        waker.stop();
        wait(&[waker.descriptor()], false, None);
        assert!(waker.stopped());
    }

    #[test]
    fn there_is_a_loopback_interface() {
        assert!(interface_addresses().iter().any(IpAddr::is_loopback));
    }
}
