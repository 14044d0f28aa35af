//! Clients that cannot reach the media port themselves: what they send comes through something that shares the port with
//! us, a TURN server, and what is sent to them goes back through it. This crate knows only that it exists.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use sfu_core::forward::{Arena, PacketBuffer};
use sfu_core::types::Path;

/// Whether somebody of this name takes part in a call now.
pub type Present<'a> = &'a dyn Fn(&str) -> bool;

/// What became of a datagram that was the tunnel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tunnelled {
    /// There is a reply to send back the way it came.
    Reply,
    /// It carries a datagram for us.
    Payload {
        /// Names the tunnel's end; never used twice.
        allocation: u64,
        /// The address at which the client appears.
        relayed: SocketAddr,
        /// The address of ours that it was sent to.
        peer: SocketAddr,
        /// Where the datagram lies in the outer one.
        data: Range<usize>,
    },
    /// Nothing.
    Nothing,
}

/// A TURN server, or the like. It runs on the shard's thread: no locks, no waiting.
pub trait Tunnel: Send {
    /// Whether a datagram on the media port is for it.
    fn claims(&self, datagram: &[u8]) -> bool;

    /// Takes a datagram of its own. A reply is written over `reply`.
    fn handle(
        &mut self,
        now: Instant,
        from: Path,
        datagram: &[u8],
        present: Present<'_>,
        reply: &mut Vec<u8>,
    ) -> Tunnelled;

    /// Wraps a datagram of ours, sent from `local`, for the client behind `allocation`, over `out`, and says where to send
    /// it. `None`: there is no way any more.
    fn wrap(
        &mut self,
        now: Instant,
        allocation: u64,
        local: SocketAddr,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Path>;

    /// When [`Self::handle_timeout`] wants to be called.
    fn next_deadline(&self) -> Option<Instant>;

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);
}

/// Makes the tunnel of a shard, which is told the shard's addresses as clients know them: the only ones that it may lead to.
pub type MakeTunnel<'a> = &'a dyn Fn(&[SocketAddr]) -> Option<Box<dyn Tunnel>>;

/// A tunnel with what is on its way out of it.
pub(crate) struct Outlet {
    pub(crate) tunnel: Box<dyn Tunnel>,
    /// Replies and wrapped datagrams, for the next flush.
    pub(crate) wrapped: Arena,
    scratch: Vec<u8>,
}

impl Outlet {
    pub(crate) fn new(tunnel: Box<dyn Tunnel>) -> Self {
        Self {
            tunnel,
            wrapped: Arena::default(),
            scratch: Vec::new(),
        }
    }

    /// Takes what is the tunnel's. What comes out for us stands in `buffer` then, and its path is returned; so is the path
    /// of a datagram that was ours all along.
    pub(crate) fn divert(
        &mut self,
        now: Instant,
        path: Path,
        buffer: &mut PacketBuffer,
        present: Present<'_>,
    ) -> Option<Path> {
        if !self.tunnel.claims(buffer.datagram()) {
            return Some(path);
        }
        match self
            .tunnel
            .handle(now, path, buffer.datagram(), present, &mut self.scratch)
        {
            Tunnelled::Reply => {
                self.wrapped.push(path, &self.scratch);
                None
            }
            Tunnelled::Payload {
                allocation,
                relayed,
                peer,
                data,
            } => {
                buffer.len = data.len();
                buffer.bytes.copy_within(data, 0);
                Some(Path::Turn {
                    allocation,
                    local: peer,
                    remote: relayed,
                })
            }
            Tunnelled::Nothing => None,
        }
    }

    /// Wraps datagrams that go to the end of a tunnel.
    pub(crate) fn wrap<'a>(
        &mut self,
        now: Instant,
        allocation: u64,
        local: SocketAddr,
        datagrams: impl Iterator<Item = &'a [u8]>,
    ) {
        for datagram in datagrams {
            let to = self.tunnel.wrap(now, allocation, local, datagram, &mut self.scratch);
            if let Some(path) = to {
                self.wrapped.push(path, &self.scratch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what begins with T: "T?" is answered, "T>" carries a payload.
    struct Letters;

    const ALLOCATION: u64 = 7;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    impl Tunnel for Letters {
        fn claims(&self, datagram: &[u8]) -> bool {
            datagram.first() == Some(&b'T')
        }

        fn handle(&mut self, _: Instant, _: Path, datagram: &[u8], _: Present<'_>, reply: &mut Vec<u8>) -> Tunnelled {
            match datagram {
                b"T?" => {
                    reply.clear();
                    reply.extend(b"T!");
                    Tunnelled::Reply
                }
                [b'T', b'>', ..] => Tunnelled::Payload {
                    allocation: ALLOCATION,
                    relayed: address("192.0.2.1:50000"),
                    peer: address("192.0.2.1:7882"),
                    data: 2..datagram.len(),
                },
                _ => Tunnelled::Nothing,
            }
        }

        fn wrap(
            &mut self,
            _: Instant,
            allocation: u64,
            local: SocketAddr,
            datagram: &[u8],
            out: &mut Vec<u8>,
        ) -> Option<Path> {
            out.clear();
            out.extend(b"T<");
            out.extend(datagram);
            (allocation == ALLOCATION).then_some(Path::Udp {
                local,
                remote: address("203.0.113.9:4000"),
            })
        }

        fn next_deadline(&self) -> Option<Instant> {
            None
        }

        fn handle_timeout(&mut self, _: Instant) {}
    }

    fn buffer(bytes: &[u8]) -> PacketBuffer {
        let mut buffer = PacketBuffer {
            len: bytes.len(),
            ..PacketBuffer::default()
        };
        buffer.datagram().copy_from_slice(bytes);
        buffer
    }

    #[test]
    fn what_is_ours_passes_and_what_is_the_tunnels_is_answered_or_unwrapped() {
        let mut outlet = Outlet::new(Box::new(Letters));
        let now = Instant::now();
        let outer = Path::Udp {
            local: address("192.0.2.1:7882"),
            remote: address("203.0.113.9:4000"),
        };
        let mut divert = |bytes: &[u8]| {
            let mut buffer = buffer(bytes);
            let path = outlet.divert(now, outer, &mut buffer, &|_| true);
            (path, buffer.datagram().to_vec(), outlet.wrapped.iter().count())
        };
        assert_eq!(divert(b"media"), (Some(outer), b"media".to_vec(), 0));
        assert_eq!(divert(b"T?").0, None);
        assert_eq!(divert(b"Tx"), (None, b"Tx".to_vec(), 1));
        let inner = Path::Turn {
            allocation: ALLOCATION,
            local: address("192.0.2.1:7882"),
            remote: address("192.0.2.1:50000"),
        };
        assert_eq!(divert(b"T>media"), (Some(inner), b"media".to_vec(), 1));

        let local = address("192.0.2.1:7882");
        outlet.wrap(now, ALLOCATION, local, [&b"a"[..], b"b"].into_iter());
        outlet.wrap(now, ALLOCATION + 1, local, [&b"gone"[..]].into_iter());
        let out: Vec<_> = outlet.wrapped.iter().collect();
        assert_eq!(out, [(outer, &b"T!"[..]), (outer, b"T<a"), (outer, b"T<b")]);
    }
}
