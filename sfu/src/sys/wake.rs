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
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Somebody has woken the thread since it last looked: saves whoever wakes it again a system call.
    pending: AtomicBool,
    stopped: AtomicBool,
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
            state: Arc::default(),
        })
    }

    /// Wakes the thread, or keeps it from falling asleep next time.
    pub(crate) fn wake(&self) {
        if self.state.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let one = 1_u64;
        // SAFETY: the descriptor is open while we hold it, and the eight bytes are ours. It fails only when 2^64 - 1 wakes
        // are pending, and then the thread is awake.
        unsafe { libc::write(self.descriptor.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Wakes the thread for the last time.
    pub(crate) fn stop(&self) {
        self.state.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether [`Self::stop`] was called.
    pub(crate) fn stopped(&self) -> bool {
        self.state.stopped.load(Ordering::Acquire)
    }

    /// Takes the pending wakes; whether there were any. `readable`: the last [`wait`] said so of the descriptor.
    pub(crate) fn take(&self, readable: bool) -> bool {
        // The flag goes down before the descriptor is read: who wakes the thread in between has put their command into the
        // queue already, and it is looked at after this. A write that comes too late to be read here is a wake too many.
        if !self.state.pending.swap(false, Ordering::AcqRel) && !readable {
            return false;
        }
        let mut count = 0_u64;
        // SAFETY: as in `wake`; non-blocking, so it returns at once.
        unsafe { libc::read(self.descriptor.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
        true
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// An entry for [`wait`]: until the descriptor can be read.
pub(crate) fn readable(fd: RawFd) -> libc::pollfd {
    let events = libc::POLLIN;
    libc::pollfd { fd, events, revents: 0 }
}

/// An entry for [`wait`]: until the descriptor can be written.
pub(crate) fn writable(fd: RawFd) -> libc::pollfd {
    let events = libc::POLLOUT;
    libc::pollfd { fd, events, revents: 0 }
}

/// Waits until one of the descriptors is ready, at most `timeout`. An interrupted wait is over.
pub(crate) fn wait(descriptors: &mut [libc::pollfd], timeout: Duration) {
    let time = libc::timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: timeout.subsec_nanos() as _,
    };
    // SAFETY: the array and the time outlive the call, and the length is the array's. An error is treated as a wake.
    unsafe {
        libc::ppoll(
            descriptors.as_mut_ptr(),
            descriptors.len() as libc::nfds_t,
            &raw const time,
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
        let wait_for_it = || {
            let mut descriptors = [readable(waker.descriptor())];
            wait(&mut descriptors, Duration::from_secs(60));
            assert_ne!(descriptors[0].revents, 0);
        };
        for _ in 0..3 {
            waker.wake();
            waker.wake();
            wait_for_it();
            assert!(waker.take(true));
            assert!(!waker.take(false));
        }
        assert!(!waker.stopped());
        waker.stop();
        wait_for_it();
        assert!(waker.stopped());
    }
}
