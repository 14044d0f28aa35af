//! Which of the last 1,024 packet indices were used: against replay when opening, against nonce reuse when sealing.

/// Indices behind the highest one that are told apart; older ones count as used. Half a second of the fastest stream we
/// expect (2,000 packets/s), in 128 bytes.
pub(crate) const WINDOW: u64 = 1024;

const WORDS: usize = (WINDOW / 64) as usize;

/// A sliding window over packet indices. Bit `index % WINDOW` tells whether `index` was used, for the `WINDOW` indices
/// that end with `highest`.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    highest: u64,
    used: [u64; WORDS],
}

impl Window {
    /// A window in which only `first` was used.
    pub(crate) fn starting_with(first: u64) -> Self {
        let mut window = Self {
            highest: first,
            used: [0; WORDS],
        };
        window.mark(first);
        window
    }

    /// The highest index used.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether `index` was not used and is not too old to tell.
    pub(crate) fn is_fresh(&self, index: u64) -> bool {
        index > self.highest || (self.highest - index < WINDOW && self.used[word(index)] & bit(index) == 0)
    }

    /// Marks a fresh `index` as used.
    pub(crate) fn insert(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.used = [0; WORDS];
            } else {
                // At most WINDOW steps, and one for packets in order.
                for skipped in self.highest + 1..index {
                    self.used[word(skipped)] &= !bit(skipped);
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    fn mark(&mut self, index: u64) {
        self.used[word(index)] |= bit(index);
    }
}

fn word(index: u64) -> usize {
    (index % WINDOW / 64) as usize
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_index_is_fresh_once_and_never_again() {
        let mut window = Window::starting_with(7);
        assert!(!window.is_fresh(7));
        assert!(window.is_fresh(8));
        window.insert(9);
        assert!(window.is_fresh(8), "late, but not used yet");
        window.insert(8);
        assert!(!window.is_fresh(8));
        window.insert(9 + WINDOW);
        assert!(!window.is_fresh(9), "too old to tell");
        assert!(window.is_fresh(10));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_all_indices(steps in prop::collection::vec(0u64..3000, 1..400), base in 0u64..1 << 47) {
            let mut window = Window::starting_with(base);
            let mut used = BTreeSet::from([base]);
            let mut highest = base;
            for step in steps {
                // Around the highest: up to 1,500 ahead and 1,500 behind.
                let Some(index) = (highest + step).checked_sub(1500) else { continue };
                let fresh = !used.contains(&index) && index + WINDOW > highest;
                prop_assert_eq!(window.is_fresh(index), fresh, "index {} highest {}", index, highest);
                if fresh {
                    window.insert(index);
                    used.insert(index);
                    highest = highest.max(index);
                    prop_assert_eq!(window.highest(), highest);
                }
            }
        }
    }
}
