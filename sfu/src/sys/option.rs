//! Socket options that are one number.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;

pub(super) fn set(
    socket: &socket2::Socket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: `value` outlives the call and its size is passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as u32,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes the kernel refuse runs: it cuts none whose checksums are switched off.
#[cfg(test)]
pub(crate) fn refuse_runs(socket: &socket2::Socket) {
    #[allow(clippy::unwrap_used, reason = "a helper of tests")]
    set(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
}
