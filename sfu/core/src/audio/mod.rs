//! Who speaks: levels from RFC 6464, smoothed; the loudest few are forwarded, with hysteresis.

mod dominant;

use std::time::{Duration, Instant};

pub use dominant::Dominant;

/// A level this far (in dB) above the quietest chosen one takes its place; less does not, or two people of like loudness
/// would take turns in one slot.
const HYSTERESIS: f32 = 6.0;
/// Louder than this (dBov) is speech for the list of speakers.
const SPEECH: f32 = -50.0;
/// Time constants: a voice is noticed within two or three packets, a pause between words is not the end.
const ATTACK: f32 = 0.06;
const RELEASE: f32 = 1.0;
/// Without packets (muted, or discontinuous transmission) for this long the level is silence.
const SILENT_AFTER: Duration = Duration::from_millis(800);
const SILENCE: f32 = -127.0;
/// Quieter than this (dBov) makes no difference to an ear; digital silence (-127) between two words would otherwise pull a
/// voice under [`SPEECH`] within a syllable.
const FLOOR: f32 = -90.0;
/// Louder than this (dBov) is as loud as can be: who claims more than any voice has gets no more than a voice.
const CEILING: f32 = -20.0;
/// What a microphone counts for that does not say its level (RFC 6464 was not agreed): more than silence, less than speech.
const UNSAID: f32 = -55.0;

/// One microphone's smoothed level.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    smoothed: Option<(f32, Instant)>,
}

impl Level {
    /// Notes a packet and its level byte: -dBov in the low seven bits. Returns whether a quiet one became speech.
    pub fn packet(&mut self, byte: Option<u8>, now: Instant) -> bool {
        let level = byte
            .map_or(UNSAID, |byte| -f32::from(byte & 0x7f))
            .clamp(FLOOR, CEILING);
        let (before, at) = self.smoothed.unwrap_or((SILENCE, now - Duration::from_millis(20)));
        let elapsed = now.saturating_duration_since(at).as_secs_f32();
        let constant = if level > before { ATTACK } else { RELEASE };
        let after = before + (level - before) * (1.0 - (-elapsed / constant).exp());
        self.smoothed = Some((after, now));
        before <= SPEECH && after > SPEECH
    }

    /// Takes over a level that was smoothed elsewhere. Returns whether a quiet one became speech.
    pub fn hear(&mut self, level: f32, now: Instant) -> bool {
        let before = self.at(now);
        self.smoothed = Some((level.clamp(SILENCE, CEILING), now));
        before <= SPEECH && level > SPEECH
    }

    /// The level now, dBov.
    pub fn at(&self, now: Instant) -> f32 {
        match self.smoothed {
            Some((level, at)) if now.saturating_duration_since(at) < SILENT_AFTER => level,
            _ => SILENCE,
        }
    }

    /// Whether this is speech.
    pub fn speaks(&self, now: Instant) -> bool {
        self.at(now) > SPEECH
    }
}

/// Chooses the `count` loudest of `candidates` (key, level); `chosen` are the ones of last time and stay unless somebody is
/// louder by [`HYSTERESIS`]. The new choice replaces `chosen`, its order kept for those who stay.
pub fn choose<K: Copy + PartialEq>(candidates: &[(K, f32)], count: usize, chosen: &mut Vec<K>) {
    let level = |key: &K| candidates.iter().find(|(k, _)| k == key).map(|(_, level)| *level);
    chosen.retain(|key| level(key).is_some());
    chosen.truncate(count);
    for (key, loud) in candidates {
        if chosen.contains(key) {
            continue;
        }
        if chosen.len() < count {
            chosen.push(*key);
            continue;
        }
        let quietest = chosen
            .iter()
            .enumerate()
            .map(|(at, key)| (at, level(key).unwrap_or(SILENCE)))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((at, quiet)) = quietest
            && *loud > quiet + HYSTERESIS
        {
            chosen[at] = *key;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_win_but_not_by_a_hair() {
        let mut chosen = Vec::new();
        choose(&[(1, -30.0), (2, -40.0), (3, -60.0)], 2, &mut chosen);
        assert_eq!(chosen, [1, 2]);
        choose(&[(1, -30.0), (2, -40.0), (3, -37.0)], 2, &mut chosen);
        assert_eq!(chosen, [1, 2], "3 dB are not enough");
        choose(&[(1, -30.0), (2, -40.0), (3, -20.0)], 2, &mut chosen);
        assert_eq!(chosen, [1, 3], "and who stays keeps the place");
        choose(&[(3, -20.0)], 2, &mut chosen);
        assert_eq!(chosen, [3]);
    }

    #[test]
    fn a_voice_is_speech_at_once_and_a_pause_is_not_silence() {
        let start = Instant::now();
        let step = Duration::from_millis(20);
        let mut level = Level::default();
        let mut now = start;
        let mut onset = 0;
        while !level.packet(Some(30), now) {
            now += step;
            onset += 1;
            assert!(onset < 10);
        }
        for _ in 0..10 {
            now += step;
            level.packet(Some(30), now);
        }
        for _ in 0..10 {
            now += step;
            level.packet(Some(127), now);
        }
        assert!(level.speaks(now), "200 ms between words");
        assert!(!level.speaks(now + Duration::from_secs(1)), "muted");
        for _ in 0..100 {
            now += step;
            level.packet(Some(127), now);
        }
        assert!(!level.speaks(now));
    }

    #[test]
    fn a_lie_is_as_loud_as_a_voice_and_no_louder() {
        let mut now = Instant::now();
        let (mut liar, mut voice, mut mute) = (Level::default(), Level::default(), Level::default());
        for _ in 0..50 {
            now += Duration::from_millis(20);
            liar.packet(Some(0), now);
            voice.packet(Some(24), now);
            mute.packet(None, now);
        }
        assert!(liar.at(now) < voice.at(now) + HYSTERESIS, "who is chosen stays chosen");
        assert!(!mute.speaks(now) && mute.at(now) > FLOOR);
    }
}
