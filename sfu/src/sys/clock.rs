//! What the kernel knows of the machine's clock.

/// Whether somebody (chrony, systemd-timesyncd, ntpd) keeps the clock right; `None`: the kernel does not say.
pub fn clock_is_kept() -> Option<bool> {
    // SAFETY: all zeroes are a valid `timex`, and mean that nothing is to be changed.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes into the structure, which is ours.
    match unsafe { libc::adjtimex(&raw mut state) } {
        -1 => None,
        status => Some(status != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0),
    }
}
