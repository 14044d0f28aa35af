//! Control messages: what a datagram has beside its bytes.

use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Room for a local address, a segment size and a time with their headers, aligned: 40, 24 and 32 bytes.
const CONTROL_WORDS: usize = 16;
/// A control buffer.
pub(super) type Control = [u64; CONTROL_WORDS];
pub(super) const EMPTY: Control = [0; CONTROL_WORDS];

/// What came with a received message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ancillary {
    /// The address it came to.
    pub(super) local: Option<IpAddr>,
    /// It is several datagrams of this size, the last perhaps shorter (UDP_GRO).
    pub(super) segment: Option<usize>,
    /// When the kernel had it, since the epoch by the clock on the wall.
    pub(super) stamp: Option<Duration>,
}

/// Reads what the kernel wrote beside a message.
///
/// # Safety
/// `header` was filled by the kernel and its control buffer is live.
pub(super) unsafe fn read(header: &libc::msghdr) -> Ancillary {
    let mut found = Ancillary::default();
    // SAFETY: the caller's promise; the CMSG macros stay inside the control buffer, and a message's data is read without
    // assuming its alignment, after its type was checked.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    found.local = Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    found.local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical());
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size: libc::c_int = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    found.segment = usize::try_from(size).ok().filter(|size| *size > 0);
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time: libc::timespec = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    let parts = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
                    if let (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) = parts {
                        found.stamp = Some(Duration::new(seconds, nanos));
                    }
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    found
}

/// Writes the address that a message leaves from, and the size of the datagrams that the kernel shall cut it into.
///
/// # Safety
/// `control` lives as long as `header` is used.
pub(super) unsafe fn write(
    header: &mut libc::msghdr,
    control: &mut Control,
    local: Option<IpAddr>,
    v6: bool,
    segment: Option<u16>,
) {
    let base = control.as_mut_ptr().cast::<u8>();
    let mut used = 0;
    let mut put = |level, kind, data: &[u8]| {
        // SAFETY: both messages together are shorter than the buffer (a test adds them up), which is aligned for their
        // headers; CMSG_SPACE keeps the next one aligned.
        unsafe {
            let message = base.add(used).cast::<libc::cmsghdr>();
            (*message).cmsg_level = level;
            (*message).cmsg_type = kind;
            (*message).cmsg_len = libc::CMSG_LEN(data.len() as u32) as _;
            std::ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(message), data.len());
            used += libc::CMSG_SPACE(data.len() as u32) as usize;
        }
    };
    match local {
        None => {}
        Some(IpAddr::V4(ip)) if !v6 => {
            // SAFETY: a plain C structure for which zero is a valid value.
            let mut info: libc::in_pktinfo = unsafe { zeroed() };
            info.ipi_spec_dst.s_addr = u32::from(ip).to_be();
            put(libc::IPPROTO_IP, libc::IP_PKTINFO, bytes(&info));
        }
        Some(ip) => {
            // SAFETY: as above.
            let mut info: libc::in6_pktinfo = unsafe { zeroed() };
            info.ipi6_addr.s6_addr = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, bytes(&info));
        }
    }
    if let Some(size) = segment {
        put(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }
    if used > 0 {
        header.msg_control = base.cast();
        header.msg_controllen = used as _;
    }
}

/// The bytes of a C structure without padding.
fn bytes<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` promises that there is no padding, so that every byte is initialised.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}

/// # Safety
/// The structure has no padding.
unsafe trait Plain {}
// SAFETY: three words of four bytes.
unsafe impl Plain for libc::in_pktinfo {}
// SAFETY: sixteen bytes and a word.
unsafe impl Plain for libc::in6_pktinfo {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_messages_fit_into_the_buffer() {
        // SAFETY: CMSG_SPACE only computes.
        let space = |length: usize| unsafe { libc::CMSG_SPACE(length as u32) as usize };
        let all = [
            size_of::<libc::in6_pktinfo>(),
            size_of::<libc::c_int>(),
            size_of::<libc::timespec>(),
        ];
        assert!(all.into_iter().map(space).sum::<usize>() <= size_of::<Control>());
    }
}
