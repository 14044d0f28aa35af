//! What a stranger may send to the TCP port, for the fuzzer: the sorter, TLS up to the key that nobody can guess, and what
//! becomes of TURN and ICE-TCP before anything is proven. Everything arrives at once here, in pieces of any size.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic is how the fuzzer is told")]

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::ice::{IceTcp, UNPROVEN_BYTES};
use super::prefixed::Prefixed;
use super::relay::{Media, Relayed, Relays};
use super::sort::{ENOUGH, Kind, Verdict, sort};
use super::talk::Talk;
use super::{ice, relay};
use crate::cli::Failure;
use crate::tls::{Accepted, Tls};

/// What a connection has come to.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it was for.
    pub what: &'static str,
    /// Why it was closed, if it was.
    pub closed: Option<String>,
    /// Bytes that were answered.
    pub answered: usize,
    /// Bytes that went on to a shard: of connectivity checks alone, before one is answered.
    pub passed_on: usize,
}

/// A port with TLS, TURN and ICE-TCP, without sockets.
pub struct Port {
    tls: Tls,
    relays: Arc<Relays>,
}

impl Port {
    /// With a certificate of its own.
    ///
    /// # Errors
    /// None could be made.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            tls: Tls::for_fuzzing()?,
            relays: Relays::new("ringhall", b"a secret of thirty-two bytes or more"),
        })
    }

    /// A connection on which `input` arrives in pieces of `step` bytes, and then its end.
    ///
    /// # Panics
    /// Something holds that never may.
    pub fn connection(&self, input: &[u8], step: usize) -> Seen {
        let step = step.max(1);
        let verdict = sort(&input[..input.len().min(ENOUGH)]);
        for cut in 0..input.len().min(ENOUGH) {
            let early = sort(&input[..cut]);
            assert!(
                early == Verdict::More || early == verdict,
                "told wrongly after {cut} bytes: {early:?}"
            );
        }
        let stream = tokio::io::join(Pieces { rest: input, step }, tokio::io::sink());
        let Some((kind, stream)) = at_once(Prefixed::sorted(stream)) else {
            assert!(
                !matches!(verdict, Verdict::Is(_)),
                "{verdict:?} was not found in pieces of {step}"
            );
            return Seen::only("nothing");
        };
        assert_eq!(verdict, Verdict::Is(kind));
        match kind {
            Kind::Tls => match at_once(self.tls.accept(stream)) {
                None => Seen::only("TLS refused"),
                Some(Accepted::Done) => panic!("a challenge without a handshake"),
                Some(_) => panic!("a handshake without a key"),
            },
            // What comes next is hyper's to read.
            Kind::Http => {
                read_again(stream, input);
                Seen::only("HTTP")
            }
            Kind::Turn => {
                read_again(stream, input);
                let (media, now) = (Nobody, Instant::now());
                let mut talk = Relayed::new(1, remote(), &self.relays, &media, now);
                let seen = feed("TURN", &mut talk, input, step, relay::LONGEST);
                assert_eq!(seen.passed_on, 0, "nobody has shown a credential");
                assert!(talk.deadline() <= now + Duration::from_secs(60));
                seen
            }
            Kind::IceTcp => {
                read_again(stream, input);
                let shard_of = |check: &[u8]| check.len().is_multiple_of(4).then_some(0);
                let mut talk = IceTcp::new(1, remote(), &shard_of, Instant::now());
                let seen = feed("ICE-TCP", &mut talk, input, step, 2 + ice::LONGEST);
                assert_eq!(seen.answered, 0, "a shard answers, and not the door");
                assert!(seen.passed_on <= UNPROVEN_BYTES);
                seen
            }
        }
    }
}

impl Seen {
    fn only(what: &'static str) -> Self {
        Self {
            what,
            closed: None,
            answered: 0,
            passed_on: 0,
        }
    }
}

fn remote() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 4_000))
}

/// Nothing here waits: everything has arrived.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("it waits for what has arrived")
}

/// Nothing of what was read to sort is lost.
fn read_again(mut stream: impl AsyncRead + Unpin, input: &[u8]) {
    let mut again = Vec::new();
    let read = at_once(stream.read_to_end(&mut again));
    assert!(read.is_ok() && again == input, "bytes were lost");
}

/// What the loop around a connection does with what arrives.
fn feed(what: &'static str, talk: &mut dyn Talk, input: &[u8], step: usize, longest: usize) -> Seen {
    let (mut received, mut inward, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = Seen::only(what);
    for piece in input.chunks(step) {
        received.extend_from_slice(piece);
        let taken = talk.take(Instant::now(), &received, &mut inward, &mut out);
        seen.answered += out.len();
        seen.passed_on += inward.drain(..).map(|piece| piece.datagrams.len()).sum::<usize>();
        out.clear();
        match taken {
            Ok(taken) => drop(received.drain(..taken)),
            Err(close) => {
                seen.closed = Some(close.to_string());
                break;
            }
        }
        assert!(received.len() <= longest, "{} bytes are kept", received.len());
    }
    seen
}

/// A media plane in which nobody is.
struct Nobody;

impl Media for Nobody {
    fn shard_at(&self, _: SocketAddr) -> Option<usize> {
        Some(0)
    }

    fn addresses(&self) -> &[SocketAddr] {
        &[]
    }

    fn takes_part(&self, _: &str) -> bool {
        true
    }
}

/// A reader that gives so many bytes at once.
struct Pieces<'a> {
    rest: &'a [u8],
    step: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (now, later) = this.rest.split_at(this.step.min(this.rest.len()).min(out.remaining()));
        out.put_slice(now);
        this.rest = later;
        Poll::Ready(Ok(()))
    }
}
