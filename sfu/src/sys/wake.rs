//! Sleeping until there is something to do.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
