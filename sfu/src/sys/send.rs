//! Datagrams out, by the batch: runs of one size to one address go to the kernel as one message (UDP_SEGMENT).

use std::io::{self, IoSlice};
use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::address::write_name;
use super::control::{self, Control, EMPTY};

/// Messages of one system call.
pub(crate) const SEND_BATCH: usize = 64;
/// Datagrams of one system call.
pub(crate) const SEND_DATAGRAMS: usize = 512;
/// Datagrams that the kernel cuts one message into at most (`UDP_MAX_SEGMENTS` before Linux 6.9; twice as many since).
pub(crate) const MAX_RUN: usize = 64;
/// Bytes of one message: an IPv6 packet without its headers.
pub(crate) const MAX_RUN_BYTES: usize = 65_535 - 48;

/// One message: datagrams to one address, all of one size, the last perhaps shorter.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub local: IpAddr,
    pub remote: SocketAddr,
    /// Which of the datagrams.
    pub datagrams: Range<usize>,
}

/// Sends up to [`SEND_BATCH`] runs of `datagrams`, each from its local address. Returns how many the kernel took; an error
/// is about the first that it did not take.
pub(crate) fn send(socket: &socket2::Socket, v6: bool, runs: &[Run], datagrams: &[IoSlice<'_>]) -> io::Result<usize> {
    const NAME: MaybeUninit<libc::sockaddr_storage> = MaybeUninit::uninit();
    const CONTROL: MaybeUninit<Control> = MaybeUninit::uninit();
    const HEADER: MaybeUninit<libc::mmsghdr> = MaybeUninit::uninit();
    // Not zeroed as a whole: at 25,000 calls a second the 20 KiB would be felt.
    let (mut names, mut controls, mut headers) = ([NAME; SEND_BATCH], [CONTROL; SEND_BATCH], [HEADER; SEND_BATCH]);
    let mut count = 0;
    for (((run, name), space), header) in runs.iter().zip(&mut names).zip(&mut controls).zip(&mut headers) {
        let Some(parts) = datagrams.get(run.datagrams.clone()) else {
            break;
        };
        // SAFETY: plain C structures for which zero is a valid value.
        let (name, space, header) = unsafe { (name.write(zeroed()), space.write(EMPTY), header.write(zeroed())) };
        let header = &mut header.msg_hdr;
        header.msg_namelen = write_name(name, run.remote, v6);
        header.msg_name = (&raw mut *name).cast();
        // `IoSlice` is promised to have the layout of `iovec`; the kernel only reads through it.
        header.msg_iov = parts.as_ptr().cast_mut().cast();
        header.msg_iovlen = parts.len() as _;
        let segment = parts
            .first()
            .filter(|_| parts.len() > 1)
            .map(|first| first.len() as u16);
        let local = Some(run.local).filter(|ip| !ip.is_unspecified());
        // SAFETY: the control buffer lives in this frame, as the headers do.
        unsafe { control::write(header, space, local, v6, segment) };
        count += 1;
    }
    // SAFETY: the first `count` headers were written above; everything they point to lives until the call returns.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
