//! Packets on their way out: sealed bytes one after the other, with their paths.

use crate::types::Path;

/// Bytes that may wait between two flushes. The thread flushes after every receive batch, so this is only reached when one
/// batch fans out to thousands of viewers; what does not fit is dropped and counted, like a full socket buffer.
const MAX_BYTES: usize = 16 << 20;

/// Outgoing datagrams of one shard. Keeps its memory from flush to flush.
#[derive(Default)]
pub struct Arena {
    bytes: Vec<u8>,
    entries: Vec<(Path, u32, u32)>,
    filled: usize,
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

    /// Takes the first `length` bytes of the last reservation as a datagram for `path`.
    pub fn commit(&mut self, path: Path, length: usize) {
        self.entries.push((path, self.filled as u32, length as u32));
        self.filled += length;
    }

    /// Copies a whole datagram; `false` when the arena is full.
    pub fn push(&mut self, path: Path, datagram: &[u8]) -> bool {
        let Some(out) = self.reserve(datagram.len()) else {
            return false;
        };
        out.copy_from_slice(datagram);
        self.commit(path, datagram.len());
        true
    }

    /// The datagrams, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Path, &[u8])> {
        self.entries.iter().map(|(path, start, length)| {
            let start = *start as usize;
            (
                *path,
                self.bytes.get(start..start + *length as usize).unwrap_or_default(),
            )
        })
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets what was sent.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.filled = 0;
    }
}
