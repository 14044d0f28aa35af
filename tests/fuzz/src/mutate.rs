//! Makes new inputs out of old ones.

use crate::driver::MAX_INPUT;

/// Numbers at the edges of what lengths and counters can be.
const EDGES: [u32; 12] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
];

/// FNV-1a: stable over versions, unlike the standard library's.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A repeatable source of inputs.
pub(crate) struct Mutator(u64);

impl Mutator {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self(hash(name.as_bytes()) ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64*.
    fn random(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.random() >> 33) as usize % n }
    }

    /// One of the pool, changed in one to eight places.
    pub(crate) fn next(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = pool[self.below(pool.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input, pool);
        }
        input.truncate(MAX_INPUT);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.below(input.len());
        match self.below(10) {
            0 | 1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            2 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = self.random() as u8;
                }
            }
            3 => {
                let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
                let width = [1, 2, 4][self.below(3)];
                if let Some(place) = input.get_mut(at..at + width) {
                    place.copy_from_slice(&edge[4 - width..]);
                }
            }
            4 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = byte.wrapping_add(1 + self.below(16) as u8).wrapping_sub(8);
                }
            }
            5 => input.truncate(at),
            6 => {
                let count = 1 + self.below(8);
                let bytes: Vec<u8> = (0..count).map(|_| self.random() as u8).collect();
                let at = self.below(input.len() + 1);
                input.splice(at..at, bytes);
            }
            7 => {
                let end = (at + 1 + self.below(8)).min(input.len());
                input.drain(at..end);
            }
            8 => {
                // A piece of itself once more, or of another input in place of the rest.
                let end = (at + 1 + self.below(64)).min(input.len());
                let piece = input[at.min(end)..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            _ => {
                let other = &pool[self.below(pool.len())];
                let from = self.below(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from.min(other.len())..]);
            }
        }
        input.truncate(MAX_INPUT);
    }
}
