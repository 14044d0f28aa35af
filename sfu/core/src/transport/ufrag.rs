//! The layout of our ICE user fragments: who owns a datagram can be told from the USERNAME of its first check.
//!
//! 16 characters of the ICE alphabet, 6 bits each: version 4 bits, node 16, shard 8, slot 20, epoch 16, and 32 random
//! bits. It is not a secret and not believed: MESSAGE-INTEGRITY decides.

use crate::types::Random;

/// The layout written today.
pub const VERSION: u8 = 1;

/// Where a transport lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ufrag {
    /// Node of the cluster.
    pub node: u16,
    /// Shard of the node.
    pub shard: u8,
    /// Place in the shard's table of transports; less than [`MAX_SLOTS`].
    pub slot: u32,
    /// How often that place was taken before, so that a late check of a former owner finds nobody. Wraps.
    pub epoch: u16,
}

/// Slots that the layout can name.
pub const MAX_SLOTS: u32 = 1 << 20;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LEN: usize = 16;

impl Ufrag {
    /// The user fragment, with fresh random bits; each ICE restart makes a new one. A slot beyond [`MAX_SLOTS`] is cut.
    pub fn encode(&self, random: &mut dyn Random) -> String {
        let bits = u128::from(VERSION) << 92
            | u128::from(self.node) << 76
            | u128::from(self.shard) << 68
            | u128::from(self.slot % MAX_SLOTS) << 48
            | u128::from(self.epoch) << 32
            | u128::from(random.u32());
        (0..LEN)
            .map(|i| char::from(ALPHABET[(bits >> (90 - 6 * i)) as usize & 63]))
            .collect()
    }

    /// Reads a user fragment of ours; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() != LEN {
            return None;
        }
        let mut bits = 0u128;
        for c in text.bytes() {
            let value = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u128::from(value);
        }
        if (bits >> 92) as u8 != VERSION {
            return None;
        }
        Some(Self {
            node: (bits >> 76) as u16,
            shard: (bits >> 68) as u8,
            slot: (bits >> 48) as u32 % MAX_SLOTS,
            epoch: (bits >> 32) as u16,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Counter(u8);

    impl Random for Counter {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_mul(73).wrapping_add(41);
                *byte = self.0;
            }
        }
    }

    #[test]
    fn two_fragments_of_one_place_differ() {
        let place = Ufrag {
            node: 1,
            shard: 2,
            slot: 3,
            epoch: 4,
        };
        let mut random = Counter(7);
        assert_ne!(place.encode(&mut random), place.encode(&mut random));
    }

    #[test]
    fn another_layout_or_alphabet_is_nobody() {
        let text = Ufrag {
            node: 1,
            shard: 2,
            slot: 3,
            epoch: 4,
        }
        .encode(&mut Counter(7));
        assert_eq!(Ufrag::decode(&text[1..]), None);
        assert_eq!(Ufrag::decode(&format!("z{}", &text[1..])), None);
        assert_eq!(Ufrag::decode(&format!("{}-", &text[1..])), None);
    }

    proptest! {
        #[test]
        fn a_place_is_found_again(node: u16, shard: u8, slot in 0..MAX_SLOTS, epoch: u16, seed: u8) {
            let place = Ufrag { node, shard, slot, epoch };
            let text = place.encode(&mut Counter(seed));
            prop_assert!(text.len() == 16 && text.bytes().all(|c| ALPHABET.contains(&c)));
            prop_assert_eq!(Ufrag::decode(&text), Some(place));
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = Ufrag::decode(&text);
        }
    }
}
