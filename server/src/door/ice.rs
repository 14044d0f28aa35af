//! ICE-TCP (RFC 6544): the client connects, and every datagram has its length before it (RFC 4571).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu::{Path, Piece};

use super::talk::{Close, Inward, Talk};

/// Longest datagram; the media plane takes no longer one from UDP either.
pub(super) const LONGEST: usize = 2_048;
/// By then the media plane has to have answered a check, which it does only to the owner of a call's password.
const PROVE: Duration = Duration::from_secs(10);
/// What somebody may send who has not been answered.
pub(super) const UNPROVEN_BYTES: usize = 64 << 10;
/// A browser repeats its checks every few seconds for as long as it wants the connection.
const SILENCE: Duration = Duration::from_secs(60);

/// Finds the shard of a check.
pub(super) type ShardOf<'a> = &'a (dyn Fn(&[u8]) -> Option<usize> + Send + Sync);

/// One ICE-TCP connection.
pub(super) struct IceTcp<'a> {
    shard_of: ShardOf<'a>,
    path: Path,
    shard: Option<usize>,
    answered: bool,
    sent_unproven: usize,
    heard: Instant,
}

impl<'a> IceTcp<'a> {
    pub(super) fn new(connection: u64, remote: SocketAddr, shard_of: ShardOf<'a>, now: Instant) -> Self {
        Self {
            shard_of,
            path: Path::Tcp { connection, remote },
            shard: None,
            answered: false,
            sent_unproven: 0,
            heard: now,
        }
    }
}

impl Talk for IceTcp<'_> {
    fn take(
        &mut self,
        now: Instant,
        received: &[u8],
        inward: &mut Vec<Inward>,
        _: &mut Vec<u8>,
    ) -> Result<usize, Close> {
        let mut taken = 0;
        while let Some((length, rest)) = received[taken..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > LONGEST {
                return Err(Close::TooLong);
            }
            let Some(datagram) = rest.get(..length) else { break };
            if self.shard.is_none() {
                self.shard = Some((self.shard_of)(datagram).ok_or(Close::Nonsense)?);
            }
            taken += 2 + length;
        }
        if let Some(shard) = self.shard.filter(|_| taken > 0) {
            if !self.answered {
                self.sent_unproven += taken;
                if self.sent_unproven > UNPROVEN_BYTES {
                    return Err(Close::Unproven);
                }
            } else {
                self.heard = now;
            }
            inward.push(Inward {
                shard,
                path: self.path,
                datagrams: received[..taken].to_vec(),
            });
        }
        Ok(taken)
    }

    fn wrap(&mut self, now: Instant, piece: &Piece, out: &mut Vec<u8>) {
        // Nothing is sent this way before a check was found authentic.
        if !self.answered {
            (self.answered, self.heard) = (true, now);
        }
        out.extend_from_slice(&piece.bytes);
    }

    fn deadline(&self) -> Instant {
        self.heard + if self.answered { SILENCE } else { PROVE }
    }

    fn due(&mut self, now: Instant) -> Result<(), Close> {
        match (now >= self.deadline(), self.answered) {
            (false, _) => Ok(()),
            (true, true) => Err(Close::Silent),
            (true, false) => Err(Close::Unproven),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn remote() -> SocketAddr {
        "203.0.113.9:4000".parse().unwrap()
    }

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in parts {
            assert!(sfu::lines::append(&mut bytes, part));
        }
        bytes
    }

    #[test]
    fn datagrams_go_to_the_shard_that_the_first_check_names_however_they_are_cut() {
        let shard_of = |datagram: &[u8]| (datagram == b"check").then_some(3);
        let bytes = framed(&[b"check", b"media", b""]);
        for cut in 0..bytes.len() {
            let mut talk = IceTcp::new(7, remote(), &shard_of, Instant::now());
            let (mut inward, mut got) = (Vec::new(), Vec::new());
            let first = talk
                .take(Instant::now(), &bytes[..cut], &mut inward, &mut Vec::new())
                .unwrap();
            let rest = talk
                .take(Instant::now(), &bytes[first..], &mut inward, &mut Vec::new())
                .unwrap();
            assert_eq!(first + rest, bytes.len());
            for piece in inward {
                assert_eq!(
                    (piece.shard, piece.path),
                    (
                        3,
                        Path::Tcp {
                            connection: 7,
                            remote: remote()
                        }
                    )
                );
                got.extend(piece.datagrams);
            }
            assert_eq!(got, bytes);
        }
    }

    #[test]
    fn who_names_no_call_of_ours_or_sends_too_much_before_the_answer_is_cut_off() {
        let now = Instant::now();
        let nobody = |_: &[u8]| None;
        let mut talk = IceTcp::new(7, remote(), &nobody, now);
        let take = |talk: &mut IceTcp<'_>, bytes: &[u8]| talk.take(now, bytes, &mut Vec::new(), &mut Vec::new());
        assert_eq!(take(&mut talk, &framed(&[b"check"])), Err(Close::Nonsense));
        assert_eq!(take(&mut talk, &[0xFF, 0xFF]), Err(Close::TooLong));

        let somebody = |_: &[u8]| Some(0);
        let mut talk = IceTcp::new(7, remote(), &somebody, now);
        let flood = framed(&[&[1; 2_000]]);
        let sent = (0..100).take_while(|_| take(&mut talk, &flood).is_ok()).count();
        assert_eq!(sent, UNPROVEN_BYTES / flood.len());
        assert_eq!(talk.due(now + PROVE), Err(Close::Unproven));
    }

    #[test]
    fn an_answer_proves_it_and_silence_ends_it() {
        let somebody = |_: &[u8]| Some(0);
        let start = Instant::now();
        let mut talk = IceTcp::new(7, remote(), &somebody, start);
        let piece = Piece {
            local: None,
            bytes: framed(&[b"answer"]),
        };
        let mut out = Vec::new();
        talk.wrap(start + Duration::from_secs(1), &piece, &mut out);
        assert_eq!(out, piece.bytes);
        let later = start + Duration::from_secs(40);
        assert_eq!(talk.due(later), Ok(()));
        talk.take(later, &framed(&[b"check"]), &mut Vec::new(), &mut Vec::new())
            .unwrap();
        assert_eq!(talk.due(later + SILENCE - Duration::from_secs(1)), Ok(()));
        assert_eq!(talk.due(later + SILENCE), Err(Close::Silent));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let shard_of = |datagram: &[u8]| datagram.first().map(|first| usize::from(*first));
            let mut talk = IceTcp::new(7, remote(), &shard_of, Instant::now());
            let (mut inward, now) = (Vec::new(), Instant::now());
            if let Ok(taken) = talk.take(now, &bytes, &mut inward, &mut Vec::new()) {
                prop_assert!(taken <= bytes.len());
            }
        }
    }
}
