//! Batches of datagrams: `recvmmsg`, `sendmmsg`, and segments (UDP GSO).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use sfu_core::forward::Arena;
use sfu_core::types::Path;

use super::forwarder::Forwarder;

/// Datagrams of one system call.
const BATCH: usize = 64;
/// Bytes of a datagram.
const MAX_DATAGRAM: usize = 2_048;
/// Segments of one send: the kernel's limit is 128 in new versions, 64 in old ones, and 64 KiB in all.
const MAX_SEGMENTS: usize = 40;
/// Bytes of one send.
const MAX_BYTES: usize = 60_000;
/// A wait without a packet ends after this, for commands and timers.
const WAIT: Duration = Duration::from_millis(5);

/// The socket with its buffers.
pub(super) struct Wire {
    socket: UdpSocket,
    gso: bool,
    buffers: Vec<[u8; MAX_DATAGRAM]>,
    receive: MultiHeaders<SockaddrIn>,
    send: MultiHeaders<SockaddrIn>,
    send_segments: MultiHeaders<SockaddrIn>,
}

/// One message: to whom, in which pieces, and their size when there are several.
struct Message<'a> {
    to: SockaddrIn,
    pieces: Vec<IoSlice<'a>>,
    segment: usize,
    bytes: usize,
}

impl Wire {
    /// Opens the socket; [`Self::new`] puts it to work on the thread that will use it.
    pub(super) fn bind(address: SocketAddrV4) -> io::Result<UdpSocket> {
        let socket = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::DGRAM,
            Some(socket2::Protocol::UDP),
        )?;
        // As the server asks; the kernel may give less.
        let _ = socket.set_recv_buffer_size(8 << 20);
        let _ = socket.set_send_buffer_size(8 << 20);
        socket.bind(&SocketAddr::from(address).into())?;
        socket.set_read_timeout(Some(WAIT))?;
        Ok(socket.into())
    }

    pub(super) fn new(socket: UdpSocket, gso: bool) -> Self {
        Self {
            socket,
            gso,
            buffers: vec![[0; MAX_DATAGRAM]; BATCH],
            receive: MultiHeaders::preallocate(BATCH, None),
            send: MultiHeaders::preallocate(BATCH, None),
            send_segments: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(u16))),
        }
    }

    /// Waits for a batch and gives it to the forwarder.
    pub(super) fn receive(&mut self, forwarder: &mut Forwarder) -> io::Result<()> {
        let mut came: [(usize, Option<SockaddrIn>); BATCH] = [(0, None); BATCH];
        let mut count = 0;
        {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
                .buffers
                .iter_mut()
                .map(|buffer| [IoSliceMut::new(buffer)])
                .collect();
            let descriptor = self.socket.as_raw_fd();
            let received = recvmmsg(
                descriptor,
                &mut self.receive,
                slices.iter_mut(),
                MsgFlags::MSG_WAITFORONE,
                None,
            );
            match received {
                Ok(messages) => {
                    for message in messages {
                        came[count] = (message.bytes, message.address);
                        count += 1;
                    }
                }
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let now = Instant::now();
        for ((length, from), buffer) in came.iter().take(count).zip(&mut self.buffers) {
            if let Some(from) = from {
                let from = SocketAddr::from((from.ip(), from.port()));
                forwarder.handle(now, from, &mut buffer[..*length]);
            }
        }
        Ok(())
    }

    /// Sends everything that waits.
    pub(super) fn flush(&mut self, arena: &mut Arena) {
        if arena.is_empty() {
            return;
        }
        let mut messages = Vec::with_capacity(BATCH);
        if self.gso {
            self.gather(arena, &mut messages);
        } else {
            for (path, datagram) in arena.iter() {
                let Some(to) = destination(path) else { continue };
                messages.push(Message {
                    to,
                    pieces: vec![IoSlice::new(datagram)],
                    segment: 0,
                    bytes: datagram.len(),
                });
            }
        }
        let mut rest = &messages[..];
        while let Some(first) = rest.first() {
            // The segment size is one for all messages of a call.
            let segment = first.segment;
            let same = |message: &&Message<'_>| message.segment == segment;
            let count = rest.iter().take(BATCH).take_while(same).count();
            let (now, later) = rest.split_at(count.max(1));
            self.send(now, segment);
            rest = later;
        }
        arena.clear();
    }

    /// Puts what goes to one destination together: pieces of equal size, the last may be smaller.
    fn gather<'a>(&self, arena: &'a Arena, messages: &mut Vec<Message<'a>>) {
        for (path, datagrams) in arena.destinations() {
            let Some(to) = destination(path) else { continue };
            let mut open = false;
            for datagram in datagrams {
                if let Some(last) = messages.last_mut().filter(|_| open)
                    && datagram.len() <= last.segment
                    && last.pieces.len() < MAX_SEGMENTS
                    && last.bytes + datagram.len() <= MAX_BYTES
                {
                    open = datagram.len() == last.segment;
                    last.bytes += datagram.len();
                    last.pieces.push(IoSlice::new(datagram));
                    continue;
                }
                messages.push(Message {
                    to,
                    pieces: vec![IoSlice::new(datagram)],
                    segment: datagram.len(),
                    bytes: datagram.len(),
                });
                open = true;
            }
        }
        for message in messages.iter_mut().filter(|message| message.pieces.len() == 1) {
            message.segment = 0;
        }
    }

    fn send(&mut self, messages: &[Message<'_>], segment: usize) {
        let mut at = 0;
        while at < messages.len() {
            let part = &messages[at..];
            let pieces: Vec<&[IoSlice<'_>]> = part.iter().map(|message| message.pieces.as_slice()).collect();
            let to: Vec<Option<SockaddrIn>> = part.iter().map(|message| Some(message.to)).collect();
            let size = segment as u16;
            let control = [ControlMessage::UdpGsoSegments(&size)];
            let descriptor = self.socket.as_raw_fd();
            let sent = if segment == 0 {
                sendmmsg(descriptor, &mut self.send, &pieces, &to, [], MsgFlags::empty()).map(Iterator::count)
            } else {
                let headers = &mut self.send_segments;
                sendmmsg(descriptor, headers, &pieces, &to, control, MsgFlags::empty()).map(Iterator::count)
            };
            // A datagram that the kernel refuses is skipped.
            at += sent.unwrap_or(1).max(1);
        }
    }
}

fn destination(path: Path) -> Option<SockaddrIn> {
    match path {
        Path::Udp {
            remote: SocketAddr::V4(remote),
            ..
        } => Some(remote.into()),
        _ => None,
    }
}
