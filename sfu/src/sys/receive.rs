//! Datagrams in, by the batch, each into a buffer of the packet slab's own.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use sfu_core::forward::{BUFFER_LEN, PacketBuffer};

use super::address::read_name;
use super::control::{self, Control, EMPTY};
use super::option;

/// Messages of one system call. Each is a datagram, or several of one sender that the kernel has put together.
pub(crate) const RECEIVE_BATCH: usize = 64;
/// What the kernel may put together at most (UDP_GRO): an IP packet.
const MAX_MERGED: usize = 1 << 16;
/// Datagrams that the kernel may put together: `UDP_GRO_CNT_MAX` is 64, and a sender's GSO of up to 128 comes whole over
/// loopback. More are dropped like what a full socket buffer does not take.
const MAX_SEGMENTS: usize = 128;
/// A time that lies further back than this, or ahead, is of a clock that was set meanwhile, and not believed.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Tells the kernel to say which local address each datagram came to.
pub(crate) fn ask_for_local_addresses(socket: &socket2::Socket, v6: bool) -> io::Result<()> {
    if v6 {
        option::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        option::set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Tells the kernel to say when each datagram came. Publishers estimate their way to us from these times, and a thread that is
/// woken late on a busy machine reads many at once: by its own clock they would seem to have queued on the way.
pub(crate) fn ask_for_times(socket: &socket2::Socket) -> io::Result<()> {
    option::set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Lets the kernel hand over several datagrams of one sender as one message (Linux 5.0 and later).
pub(crate) fn allow_merged(socket: &socket2::Socket) -> io::Result<()> {
    option::set(socket, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Everything that one receive call needs, kept from call to call. Belongs to one thread.
pub(crate) struct Inbox {
    buffers: Vec<PacketBuffer>,
    /// Where merged datagrams go on behind the first [`BUFFER_LEN`] bytes. The memory of those that never come is never
    /// touched.
    overflow: Vec<Box<[u8]>>,
    /// Buffers for the further datagrams of a merged message.
    spare: Vec<PacketBuffer>,
    names: Box<[libc::sockaddr_storage]>,
    vectors: Box<[[libc::iovec; 2]]>,
    controls: Box<[Control]>,
    headers: Box<[libc::mmsghdr]>,
    received: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        // SAFETY: plain C structures for which zero is a valid value.
        let (name, vector, header) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Self {
            buffers: (0..RECEIVE_BATCH).map(|_| PacketBuffer::default()).collect(),
            overflow: (0..RECEIVE_BATCH)
                .map(|_| vec![0; MAX_MERGED - BUFFER_LEN].into_boxed_slice())
                .collect(),
            spare: Vec::new(),
            names: vec![name; RECEIVE_BATCH].into_boxed_slice(),
            vectors: vec![[vector; 2]; RECEIVE_BATCH].into_boxed_slice(),
            controls: vec![EMPTY; RECEIVE_BATCH].into_boxed_slice(),
            headers: vec![header; RECEIVE_BATCH].into_boxed_slice(),
            // The headers have never been written.
            received: RECEIVE_BATCH,
        }
    }

    /// Makes the first `count` headers ready; the others are untouched since they were.
    fn prepare(&mut self, count: usize) {
        for at in 0..count {
            self.vectors[at] = [
                libc::iovec {
                    iov_base: self.buffers[at].bytes.as_mut_ptr().cast(),
                    iov_len: BUFFER_LEN,
                },
                libc::iovec {
                    iov_base: self.overflow[at].as_mut_ptr().cast(),
                    iov_len: MAX_MERGED - BUFFER_LEN,
                },
            ];
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = (&raw mut self.names[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            header.msg_iov = self.vectors[at].as_mut_ptr();
            header.msg_iovlen = 2;
            header.msg_control = self.controls[at].as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
    }

    /// Receives what is there, without waiting. Returns the number of messages.
    pub(crate) fn fill(&mut self, socket: &socket2::Socket) -> io::Result<usize> {
        let used = std::mem::take(&mut self.received);
        self.prepare(used);
        // SAFETY: every pointer in the headers is to memory that this value owns on the heap, with its true length; buffers
        // that were swapped for others since have had their headers written anew.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                RECEIVE_BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Hands over what [`Self::fill`] has received: each datagram's sender, the local address it came to, and its buffer,
    /// whose memory may be exchanged.
    pub(crate) fn each(&mut self, mut found: impl FnMut(SocketAddr, Option<IpAddr>, &mut PacketBuffer)) {
        let clocks = (Instant::now(), SystemTime::now());
        for at in 0..self.received {
            let Some(sender) = read_name(&self.names[at]) else {
                continue;
            };
            let length = self.headers[at].msg_len as usize;
            // SAFETY: the kernel has filled this header and its control buffer, both still live.
            let beside = unsafe { control::read(&self.headers[at].msg_hdr) };
            let size = beside.segment.unwrap_or(length).min(length);
            let further = self.split(at, length, size);
            // One that is longer than a buffer is cut here, and not authentic then.
            self.buffers[at].len = size.min(BUFFER_LEN);
            let arrived = beside.stamp.and_then(|stamp| when(stamp, clocks));
            self.buffers[at].arrived = arrived;
            found(sender, beside.local, &mut self.buffers[at]);
            for buffer in self.spare.iter_mut().take(further) {
                buffer.arrived = arrived;
                found(sender, beside.local, buffer);
            }
        }
    }

    /// Copies the datagrams behind the first one of a merged message into buffers of their own; how many there are.
    fn split(&mut self, at: usize, length: usize, size: usize) -> usize {
        if length <= size || size > BUFFER_LEN {
            return 0;
        }
        let count = (length.div_ceil(size) - 1).min(MAX_SEGMENTS);
        if self.spare.len() < count {
            self.spare.resize_with(count, PacketBuffer::default);
        }
        let (head, tail) = (&self.buffers[at].bytes, &self.overflow[at]);
        for (number, buffer) in self.spare.iter_mut().take(count).enumerate() {
            let start = size * (number + 1);
            let end = (start + size).min(length);
            // It may begin in the one piece of memory and end in the other.
            let (from_head, from_tail) = (start.min(BUFFER_LEN)..end.min(BUFFER_LEN), start.max(BUFFER_LEN)..end);
            let cut = from_head.len();
            buffer.bytes[..cut].copy_from_slice(&head[from_head]);
            if !from_tail.is_empty() {
                buffer.bytes[cut..end - start]
                    .copy_from_slice(&tail[from_tail.start - BUFFER_LEN..from_tail.end - BUFFER_LEN]);
            }
            buffer.len = end - start;
        }
        count
    }
}

/// When a datagram came, by the clock that only goes forward; `None` when the two clocks do not fit together.
fn when(stamp: Duration, (now, wall): (Instant, SystemTime)) -> Option<Instant> {
    let age = wall.duration_since(SystemTime::UNIX_EPOCH + stamp).ok()?;
    now.checked_sub(age).filter(|_| age <= MAX_AGE)
}
