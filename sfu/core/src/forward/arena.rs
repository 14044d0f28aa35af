//! Packets on their way out: sealed bytes one after the other, listed by where they go.
//!
//! The order between destinations is of no meaning to anybody, so all that goes to one address stands together: the kernel
//! takes several datagrams of one size to one address as one (GSO), at a third to a half less cost for two, 85 % for eight.

use crate::types::Path;

/// Bytes that may wait between two flushes. The thread flushes long before, so this is only reached when one datagram fans
/// out to thousands of viewers; what does not fit is dropped and counted, like a full socket buffer.
const MAX_BYTES: usize = 16 << 20;

/// No further datagram.
const END: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Datagram {
    start: u32,
    length: u32,
    /// The next one to the same destination, or [`END`].
    next: u32,
}

struct Destination {
    path: Path,
    first: u32,
    last: u32,
}

/// Where a participant's packets stand in the arena, so that they need not be searched. One per participant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    flush: u32,
    place: u32,
}

/// Outgoing datagrams of one shard. Keeps its memory from flush to flush.
pub struct Arena {
    bytes: Vec<u8>,
    datagrams: Vec<Datagram>,
    destinations: Vec<Destination>,
    filled: usize,
    /// Number of the flush that comes next; never 0, so that a new [`Route`] is stale.
    flush: u32,
}

impl Default for Arena {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            datagrams: Vec::new(),
            destinations: Vec::new(),
            filled: 0,
            flush: 1,
        }
    }
}

impl Arena {
    /// `length` bytes to write a packet into, or `None` when the arena is full. Nothing is sent before [`Self::commit`].
    pub fn reserve(&mut self, length: usize) -> Option<&mut [u8]> {
        let end = self.filled + length;
        if end > self.bytes.len() {
            if end > MAX_BYTES {
                return None;
            }
            // Doubling, so that a shard stops allocating once it has seen its largest batch.
            self.bytes.resize(end.next_power_of_two().max(1 << 16), 0);
        }
        self.bytes.get_mut(self.filled..end)
    }

    /// Takes the first `length` bytes of the last reservation as a datagram for `path`, behind those that went there before.
    pub fn commit(&mut self, route: &mut Route, path: Path, length: usize) {
        let at = self.datagrams.len() as u32;
        self.datagrams.push(Datagram {
            start: self.filled as u32,
            length: length as u32,
            next: END,
        });
        self.filled += length;
        if route.flush == self.flush
            && let Some(known) = self.destinations.get_mut(route.place as usize)
            && known.path == path
        {
            if let Some(last) = self.datagrams.get_mut(known.last as usize) {
                last.next = at;
            }
            known.last = at;
            return;
        }
        *route = Route {
            flush: self.flush,
            place: self.destinations.len() as u32,
        };
        self.destinations.push(Destination {
            path,
            first: at,
            last: at,
        });
    }

    /// Copies a whole datagram; `false` when the arena is full.
    pub fn push(&mut self, path: Path, datagram: &[u8]) -> bool {
        let Some(out) = self.reserve(datagram.len()) else {
            return false;
        };
        out.copy_from_slice(datagram);
        self.commit(&mut Route::default(), path, datagram.len());
        true
    }

    /// The datagrams by destination; those to one destination in the order in which they were committed.
    pub fn destinations(&self) -> impl Iterator<Item = (Path, impl Iterator<Item = &[u8]>)> {
        self.destinations.iter().map(move |destination| {
            let mut next = destination.first;
            let datagrams = std::iter::from_fn(move || {
                let datagram = self.datagrams.get(next as usize)?;
                next = datagram.next;
                let start = datagram.start as usize;
                self.bytes.get(start..start + datagram.length as usize)
            });
            (destination.path, datagrams)
        })
    }

    /// All datagrams with their paths, by destination.
    pub fn iter(&self) -> impl Iterator<Item = (Path, &[u8])> {
        self.destinations()
            .flat_map(|(path, datagrams)| datagrams.map(move |datagram| (path, datagram)))
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Forgets what was sent.
    pub fn clear(&mut self) {
        self.datagrams.clear();
        self.destinations.clear();
        self.filled = 0;
        self.flush = self.flush.checked_add(1).unwrap_or(1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn path(port: u16) -> Path {
        Path::Udp {
            local: SocketAddr::from(([10, 0, 0, 1], 1)),
            remote: SocketAddr::from(([10, 0, 0, 2], port)),
        }
    }

    fn put(arena: &mut Arena, route: &mut Route, to: u16, byte: u8) {
        arena.reserve(4).unwrap()[..3].fill(byte);
        arena.commit(route, path(to), 3);
    }

    fn all(arena: &Arena) -> Vec<(Path, u8)> {
        arena.iter().map(|(path, datagram)| (path, datagram[2])).collect()
    }

    #[test]
    fn what_goes_to_one_address_stands_together_in_its_order() {
        let mut arena = Arena::default();
        let (mut a, mut b) = (Route::default(), Route::default());
        for byte in 0..3 {
            put(&mut arena, &mut a, 1, byte);
            put(&mut arena, &mut b, 2, 10 + byte);
        }
        assert!(arena.push(path(3), &[0, 0, 99]));
        let expected = [(1, 0), (1, 1), (1, 2), (2, 10), (2, 11), (2, 12), (3, 99)];
        assert_eq!(all(&arena), expected.map(|(to, byte)| (path(to), byte)));
        assert_eq!(arena.destinations().count(), 3);
    }

    #[test]
    fn a_route_of_a_former_flush_or_another_path_is_a_new_destination() {
        let mut arena = Arena::default();
        let (mut a, mut b) = (Route::default(), Route::default());
        put(&mut arena, &mut a, 1, 1);
        arena.clear();
        assert!(arena.is_empty() && arena.iter().next().is_none());
        put(&mut arena, &mut b, 2, 2);
        put(&mut arena, &mut a, 1, 3);
        // The participant's path moves within one flush.
        put(&mut arena, &mut a, 7, 4);
        put(&mut arena, &mut a, 7, 5);
        let expected = [(2, 2), (1, 3), (7, 4), (7, 5)];
        assert_eq!(all(&arena), expected.map(|(to, byte)| (path(to), byte)));
    }
}
