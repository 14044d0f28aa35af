//! What one system call sends: datagrams, and which of them go as one message.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use crate::sys::{MAX_RUN, MAX_RUN_BYTES, Run, SEND_BATCH, SEND_DATAGRAMS};

/// What one system call sends.
pub(crate) struct Batch<'a> {
    pub(crate) socket: usize,
    slices: [IoSlice<'a>; SEND_DATAGRAMS],
    datagrams: usize,
    runs: SmallVec<[Run; SEND_BATCH]>,
}

/// The run that the next datagram to the same address may join.
#[derive(Default)]
pub(crate) struct Open {
    size: usize,
    bytes: usize,
    count: usize,
}

impl Open {
    /// A run ends with a datagram that is shorter than the others.
    fn takes(&self, datagram: &[u8]) -> bool {
        self.count > 0
            && self.count < MAX_RUN
            && datagram.len() <= self.size
            && self.bytes == self.size * self.count
            && self.bytes + datagram.len() <= MAX_RUN_BYTES
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new() -> Self {
        Self {
            socket: 0,
            slices: [IoSlice::new(&[]); SEND_DATAGRAMS],
            datagrams: 0,
            runs: SmallVec::new(),
        }
    }

    pub(crate) fn add(&mut self, open: &mut Open, datagram: &'a [u8], local: IpAddr, remote: SocketAddr, merge: bool) {
        let at = self.datagrams;
        self.slices[at] = IoSlice::new(datagram);
        self.datagrams += 1;
        if merge
            && open.takes(datagram)
            && let Some(run) = self.runs.last_mut()
        {
            run.datagrams.end += 1;
            open.bytes += datagram.len();
            open.count += 1;
            return;
        }
        *open = Open {
            size: datagram.len(),
            bytes: datagram.len(),
            count: 1,
        };
        let datagrams = at..at + 1;
        self.runs.push(Run {
            local,
            remote,
            datagrams,
        });
    }

    /// Whether the next datagram has no place any more.
    pub(crate) fn is_full(&self, open: &Open, datagram: &[u8], merge: bool) -> bool {
        self.datagrams == SEND_DATAGRAMS || (self.runs.len() == SEND_BATCH && !(merge && open.takes(datagram)))
    }

    /// The runs, and the datagrams that they name.
    pub(crate) fn parts(&self) -> (&[Run], &[IoSlice<'a>]) {
        (&self.runs, &self.slices[..self.datagrams])
    }

    pub(crate) fn clear(&mut self) {
        self.datagrams = 0;
        self.runs.clear();
    }
}
