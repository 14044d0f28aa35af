//! Who speaks, with one in front who stays there: two voices of like loudness must not make a page flicker.

use std::time::{Duration, Instant};

/// Somebody this much louder (dB) than the dominant speaker takes the place,
const MARGIN: f32 = 3.0;
/// after having been so for this long: a laugh or a word of agreement is not a turn.
const PATIENCE: Duration = Duration::from_millis(500);

/// The dominant speaker of a room.
#[derive(Clone, Debug)]
pub struct Dominant<K> {
    who: Option<K>,
    rival: Option<(K, Instant)>,
}

impl<K> Default for Dominant<K> {
    fn default() -> Self {
        Self { who: None, rival: None }
    }
}

impl<K: Copy + Ord> Dominant<K> {
    /// Those who speak (key, level), the dominant one first and the others in the order of their keys.
    pub fn rank(&mut self, speaking: &[(K, f32)], now: Instant) -> Vec<K> {
        let loudest = speaking.iter().max_by(|a, b| a.1.total_cmp(&b.1)).copied();
        let level = |key: K| speaking.iter().find(|(k, _)| *k == key).map(|(_, level)| *level);
        match (self.who.and_then(|who| Some((who, level(who)?))), loudest) {
            (Some((who, own)), Some((rival, loud))) if rival != who && loud > own + MARGIN => match self.rival {
                Some((known, since)) if known == rival => {
                    if now.saturating_duration_since(since) >= PATIENCE {
                        (self.who, self.rival) = (Some(rival), None);
                    }
                }
                _ => self.rival = Some((rival, now)),
            },
            (Some(_), _) => self.rival = None,
            (None, loudest) => (self.who, self.rival) = (loudest.map(|(key, _)| key), None),
        }
        let mut order: Vec<K> = speaking.iter().map(|(key, _)| *key).collect();
        order.sort_unstable_by_key(|key| (Some(*key) != self.who, *key));
        order
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_agreement_is_not_a_turn_but_a_sentence_is() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut dominant = Dominant::default();
        assert_eq!(dominant.rank(&[(7, -30.0)], ms(0)), [7]);
        let both = [(3, -22.0), (7, -30.0)];
        assert_eq!(dominant.rank(&both, ms(100)), [7, 3]);
        assert_eq!(
            dominant.rank(&[(3, -29.0), (7, -30.0)], ms(400)),
            [7, 3],
            "as loud as the other"
        );
        assert_eq!(dominant.rank(&both, ms(500)), [7, 3]);
        assert_eq!(dominant.rank(&both, ms(900)), [7, 3]);
        assert_eq!(dominant.rank(&both, ms(1_000)), [3, 7]);
        assert_eq!(
            dominant.rank(&[(7, -40.0), (9, -30.0)], ms(1_100)),
            [9, 7],
            "who is silent gives way at once"
        );
        assert!(dominant.rank(&[], ms(1_200)).is_empty());
    }
}
