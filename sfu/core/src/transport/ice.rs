//! Which paths are valid, and which one is current (RFC 8445 as an ICE-lite responder).
//!
//! A check makes a path valid. What makes it current: USE-CANDIDATE, newer authentic media, or - when the current path has
//! been silent - any check. Following every check would not do: full agents keep checking their backup pairs, and the call
//! would flap onto a relay; Firefox nominates once and then only checks, so waiting for USE-CANDIDATE alone would not heal.

use std::time::{Duration, Instant};

use crypto::RTCCrypto;
use smallvec::SmallVec;

use super::binding::{Generation, verify};
use super::{DropReason, IceCredentials};
use crate::types::Path;

/// Valid paths that one transport remembers. When there are more, the one that was silent the longest is forgotten; a
/// browser has two to six candidate pairs.
const MAX_PATHS: usize = 16;

/// After this long without an authentic packet on the current path a bare check may move it.
const SILENT: Duration = Duration::from_millis(500);

struct ValidPath {
    path: Path,
    heard: Instant,
}

/// The ICE state of one transport.
pub(crate) struct Ice {
    /// The newest generation first; the one before an ICE restart until the new one is used.
    generations: SmallVec<[Generation; 2]>,
    valid: SmallVec<[ValidPath; 4]>,
    current: Option<Path>,
}

/// What became of a check.
pub(crate) struct Checked {
    /// The answer to send back the way the check came.
    pub(crate) answer: Vec<u8>,
    /// The current path is another one now.
    pub(crate) moved: bool,
}

impl Ice {
    pub(crate) fn new(local: IceCredentials, remote: IceCredentials) -> Self {
        Self {
            generations: SmallVec::from_iter([Generation { local, remote }]),
            valid: SmallVec::new(),
            current: None,
        }
    }

    /// Where packets go.
    pub(crate) fn current(&self) -> Option<Path> {
        self.current
    }

    /// Whether a check has validated the path.
    pub(crate) fn is_valid(&self, path: &Path) -> bool {
        self.valid.iter().any(|v| v.path == *path)
    }

    /// Valid paths, the current one among them.
    pub(crate) fn valid_paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.valid.iter().map(|v| v.path)
    }

    /// New credentials; those before stay good until the new ones are used, because checks are under way while the answer
    /// travels.
    pub(crate) fn restart(&mut self, local: IceCredentials, remote: IceCredentials) {
        self.generations.truncate(1);
        self.generations.insert(0, Generation { local, remote });
    }

    /// Takes a STUN datagram.
    pub(crate) fn check(
        &mut self,
        crypto: &dyn RTCCrypto,
        now: Instant,
        path: Path,
        datagram: &[u8],
    ) -> Result<Checked, DropReason> {
        let (Path::Udp { remote, .. } | Path::Tcp { remote, .. } | Path::Turn { remote, .. }) = path;
        let check = verify(crypto, &self.generations, remote, datagram)?;
        if check.generation == 0 {
            self.generations.truncate(1);
        }
        let mut moved = false;
        if check.accepted {
            // Silence is judged before this very packet is counted as a sign of life.
            let silent = self.is_silent(now);
            self.heard(now, path);
            if check.nominates || silent {
                moved = self.follow(path);
            }
        }
        Ok(Checked {
            answer: check.answer,
            moved,
        })
    }

    /// An authentic packet came this way; `newer` than all of its stream before. Tells whether the current path moved.
    pub(crate) fn authentic(&mut self, now: Instant, path: Path, newer: bool) -> bool {
        if !self.is_valid(&path) {
            return false; // Its address is not proven to be the peer's: media is taken from there, but not sent there.
        }
        self.heard(now, path);
        newer && self.follow(path)
    }

    /// For the fuzzer: this path is valid and current.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn believe(&mut self, now: Instant, path: Path) {
        self.heard(now, path);
        self.follow(path);
    }

    fn follow(&mut self, path: Path) -> bool {
        let moved = self.current != Some(path);
        self.current = Some(path);
        moved
    }

    /// Whether there is no current path, or nothing authentic came on it for [`SILENT`].
    fn is_silent(&self, now: Instant) -> bool {
        self.valid
            .iter()
            .find(|v| Some(v.path) == self.current)
            .is_none_or(|current| now.saturating_duration_since(current.heard) >= SILENT)
    }

    fn heard(&mut self, now: Instant, path: Path) {
        if let Some(known) = self.valid.iter_mut().find(|v| v.path == path) {
            known.heard = now;
            return;
        }
        if self.valid.len() >= MAX_PATHS {
            let oldest = self
                .valid
                .iter()
                .enumerate()
                .filter(|(_, v)| Some(v.path) != self.current)
                .min_by_key(|(_, v)| v.heard)
                .map(|(at, _)| at);
            if let Some(at) = oldest {
                self.valid.swap_remove(at);
            }
        }
        self.valid.push(ValidPath { path, heard: now });
    }
}
