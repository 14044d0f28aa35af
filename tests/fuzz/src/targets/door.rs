//! What anybody can send to the one TCP port.

use ringhall::fuzzing::{Port, Seen};

use super::{Execute, Kind};

/// The first byte says in pieces of how many bytes the rest arrives.
#[allow(clippy::expect_used, reason = "without a certificate there is nothing to fuzz")]
pub(super) fn start() -> Execute {
    let port = Port::new().expect("a certificate");
    Box::new(move |input| {
        let (step, bytes) = match input.split_first() {
            None | Some((0, _)) => (usize::MAX, input.get(1..).unwrap_or_default()),
            Some((step, bytes)) => (usize::from(*step), bytes),
        };
        let seen = port.connection(bytes, step);
        if step != usize::MAX {
            let whole = port.connection(bytes, usize::MAX);
            let told = |seen: &Seen| (seen.what, seen.closed.is_some());
            assert_eq!(told(&seen), told(&whole), "pieces change nothing");
        }
        Kind::default()
            .text(seen.what)
            .text(seen.closed.as_deref().unwrap_or_default())
            .size(seen.answered)
            .size(seen.passed_on)
            .done()
    })
}
