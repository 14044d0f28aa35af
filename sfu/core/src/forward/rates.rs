//! What the layers of one stream take.

use std::time::{Duration, Instant};

use sfu_bwe::Bitrate;

use crate::rtp::MAX_LAYERS;

const LAYERS: usize = MAX_LAYERS as usize;
/// Rates are taken over this long.
const MEASURE: Duration = Duration::from_millis(500);
/// Weight of the newest measurement. A scene that begins to move counts within two seconds.
const NEWEST: f64 = 0.4;
/// What a packet is larger by on its way to a viewer: IP, UDP, tag, and the longer header.
const OVERHEAD: u64 = 60;

/// Bytes by spatial and temporal layer.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    bytes: [[u64; LAYERS]; LAYERS],
    rates: [[f64; LAYERS]; LAYERS],
    since: Option<Instant>,
    measured: bool,
    /// A key frame began in this measurement.
    key: bool,
    /// The measurement before was left out.
    left_out: bool,
}

impl Rates {
    /// A packet of so many bytes came; `key`: it begins a key frame.
    ///
    /// A measurement with a key frame in it is left out, though never two in a row: a key frame is often asked for by the very
    /// viewer for whom a layer just fits, and counted as if it would go on it makes the layer too dear for them at once. On
    /// 400 kbit/s a small picture (120 kbit/s, key frames of 20 frames) was paused and resumed every 3 to 5 s for ever.
    pub fn note(&mut self, spatial: u8, temporal: u8, bytes: usize, key: bool, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= MEASURE {
            self.left_out = self.measured && self.key && !self.left_out;
            self.key = false;
            let weight = match (self.measured, self.left_out) {
                (false, _) => 1.0,
                (true, false) => NEWEST,
                (true, true) => 0.0,
            };
            for (rate, bytes) in self.rates.iter_mut().flatten().zip(self.bytes.iter_mut().flatten()) {
                let newest = *bytes as f64 * 8.0 / elapsed.as_secs_f64();
                *rate += weight * (newest - *rate);
                *bytes = 0;
            }
            self.measured = true;
            self.since = Some(now);
        }
        self.key |= key;
        let last = LAYERS - 1;
        let place = &mut self.bytes[usize::from(spatial).min(last)][usize::from(temporal).min(last)];
        *place += bytes as u64 + OVERHEAD;
    }

    /// What everything up to these layers takes. Before half a second was seen: what it has taken so far.
    pub fn up_to(&self, spatial: u8, temporal: u8, now: Instant) -> Bitrate {
        let part = |place: &dyn Fn(usize, usize) -> f64| -> f64 {
            let rows = 0..=usize::from(spatial).min(LAYERS - 1);
            rows.flat_map(|s| (0..=usize::from(temporal).min(LAYERS - 1)).map(move |t| (s, t)))
                .map(|(s, t)| place(s, t))
                .sum()
        };
        if self.measured {
            return Bitrate::bps(part(&|s, t| self.rates[s][t]) as u64);
        }
        let elapsed = self.since.map_or(MEASURE, |since| now.saturating_duration_since(since));
        Bitrate::of(part(&|s, t| self.bytes[s][t] as f64) as u64, elapsed.max(MEASURE / 2))
    }

    /// The highest temporal layer that takes anything.
    pub fn highest_temporal(&self) -> u8 {
        let used = |temporal: &usize| self.rates.iter().any(|row| row[*temporal] > 0.0);
        (0..LAYERS).rev().find(used).unwrap_or(0) as u8
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn layers_are_measured_apart_and_followed() {
        let start = Instant::now();
        let mut rates = Rates::default();
        // 25 frames a second of 940 bytes and overhead in two temporal layers.
        for n in 0..50_u32 {
            rates.note(0, (n % 2) as u8, 940, n == 0, start + n * Duration::from_millis(40));
        }
        let now = start + Duration::from_secs(2);
        let rate = |rates: &Rates, temporal| rates.up_to(0, temporal, now).as_bps() / 1_000;
        assert!((95..110).contains(&rate(&rates, 0)), "{}", rate(&rates, 0));
        assert!((190..215).contains(&rate(&rates, 3)), "{}", rate(&rates, 3));
        assert_eq!(rates.highest_temporal(), 1);
        for n in 50..200_u32 {
            rates.note(0, 0, 1_940, false, start + n * Duration::from_millis(40));
        }
        assert!((380..420).contains(&rate(&rates, 3)), "{}", rate(&rates, 3));
    }

    #[test]
    fn a_key_frame_now_and_then_makes_a_layer_no_dearer_and_nothing_but_key_frames_does() {
        let start = Instant::now();
        let mut rates = Rates::default();
        let mut frame = 0_u32;
        let mut seconds = |rates: &mut Rates, count: u32, every: u32| {
            let mut highest = 0;
            for _ in 0..count * 25 {
                let now = start + frame * Duration::from_millis(40);
                let key = frame % every == every - 1;
                rates.note(0, 0, if key { 20 * 540 } else { 540 }, key, now);
                frame += 1;
                highest = highest.max(rates.up_to(0, 0, now).as_bps() / 1_000);
            }
            highest
        };
        seconds(&mut rates, 2, 1_000);
        let highest = seconds(&mut rates, 20, 75);
        assert!(
            (115..130).contains(&highest),
            "{highest} kbit/s with a key frame every 3 s"
        );
        let highest = seconds(&mut rates, 5, 12);
        assert!(highest > 200, "{highest} kbit/s with one in every measurement");
    }
}
