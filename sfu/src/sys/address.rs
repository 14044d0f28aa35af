//! Addresses as the kernel writes them.

use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

pub(super) fn read_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
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

pub(super) fn write_name(name: &mut libc::sockaddr_storage, remote: SocketAddr, v6: bool) -> u32 {
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

/// Addresses of the interfaces that are up, loopback last, link-local ones left out.
pub fn interface_addresses() -> Vec<IpAddr> {
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

    #[test]
    fn there_is_a_loopback_interface() {
        assert!(interface_addresses().iter().any(IpAddr::is_loopback));
    }
}
