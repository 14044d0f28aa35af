//! What has been seen of the layers in one received stream: heights, rates, which of them come.

use std::time::{Duration, Instant};

use crate::rtp::dependency::Structure;
use crate::rtp::{Frame, MAX_LAYERS};

const LAYERS: usize = MAX_LAYERS as usize;
/// Frame rates are measured over this long.
const MEASURE: Duration = Duration::from_secs(1);
/// A spatial layer without a frame for this long is not sent any more.
const STALE: Duration = Duration::from_secs(1);

/// The layers of one stream.
#[derive(Debug, Default)]
pub struct Shape {
    /// The dependency descriptor's structure, from the last key frame that had one.
    pub(crate) structure: Option<Box<Structure>>,
    heights: [u32; LAYERS],
    seen: [Option<Instant>; LAYERS],
    since: Option<Instant>,
    frames: [u32; LAYERS],
    rates: [f32; LAYERS],
}

impl Shape {
    /// A key frame says how high its layers are, smallest first; nothing when it does not say.
    pub(crate) fn key_frame(&mut self, heights: impl Iterator<Item = u32>) {
        let mut heights = heights.filter(|height| *height > 0).take(LAYERS).peekable();
        if heights.peek().is_none() {
            return;
        }
        self.heights = [0; LAYERS];
        for (place, height) in self.heights.iter_mut().zip(heights) {
            *place = height;
        }
    }

    /// A key frame whose dependency descriptor says it all.
    pub(crate) fn described(&mut self) {
        if let Some(structure) = &self.structure {
            for (spatial, height) in self.heights.iter_mut().enumerate() {
                *height = structure.height(spatial as u8).unwrap_or(0);
            }
        }
    }

    /// What another has seen of the same stream's heights.
    pub(crate) fn learn(&mut self, heights: [u32; LAYERS]) {
        self.heights = heights;
    }

    /// Notes a packet. `true`: a spatial layer has begun that was not sent before.
    pub(crate) fn note(&mut self, frame: &Frame, now: Instant) -> bool {
        if !frame.start {
            return false;
        }
        let spatial = usize::from(frame.spatial).min(LAYERS - 1);
        let fresh = !self.sent(spatial, now);
        self.seen[spatial] = Some(now);
        if spatial == 0 {
            self.frames[usize::from(frame.temporal).min(LAYERS - 1)] += 1;
            let since = *self.since.get_or_insert(now);
            let elapsed = now.saturating_duration_since(since);
            if elapsed >= MEASURE {
                for (rate, frames) in self.rates.iter_mut().zip(&mut self.frames) {
                    *rate = *frames as f32 / elapsed.as_secs_f32();
                    *frames = 0;
                }
                self.since = Some(now);
            }
        }
        fresh
    }

    fn sent(&self, spatial: usize, now: Instant) -> bool {
        self.seen[spatial].is_some_and(|at| now.saturating_duration_since(at) < STALE)
    }

    /// Spatial layers that the stream has, whether they are sent now or not; at least one.
    pub fn spatial_layers(&self) -> usize {
        let described = self.heights.iter().rposition(|height| *height > 0);
        let seen = self.seen.iter().rposition(Option::is_some);
        described.max(seen).map_or(1, |top| top + 1)
    }

    /// Height of a spatial layer in pixels; 0: not known.
    pub fn height(&self, spatial: usize) -> u32 {
        self.heights.get(spatial).copied().unwrap_or(0)
    }

    /// How many spatial layers, from the smallest, come now. A stream that does not mark where its frames begin has one.
    pub fn live_layers(&self, now: Instant) -> usize {
        (0..LAYERS)
            .rev()
            .find(|at| self.sent(*at, now))
            .map_or(1, |top| top + 1)
    }

    /// The fewest temporal layers that have `fps` frames a second, a tenth less being near enough; all of them when that is
    /// not known, or `fps` is 0.
    pub fn temporal_for(&self, fps: u32) -> u8 {
        let mut rate = 0.0;
        for (temporal, measured) in self.rates.iter().enumerate() {
            rate += measured;
            if fps != 0 && rate > 0.0 && rate * 1.1 >= fps as f32 {
                return temporal as u8;
            }
        }
        MAX_LAYERS - 1
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some instant to count from")]
mod tests {
    use super::*;

    fn frame(spatial: u8, temporal: u8) -> Frame {
        Frame {
            start: true,
            spatial,
            temporal,
            ..Frame::default()
        }
    }

    #[test]
    fn a_rate_is_met_with_the_fewest_layers() {
        let start = Instant::now();
        let mut shape = Shape::default();
        assert_eq!(shape.temporal_for(15), 3, "not measured yet");
        // 30 frames a second in three temporal layers: 7.5, 15, 30.
        for n in 0..61_u32 {
            let temporal = [0, 2, 1, 2][n as usize % 4];
            shape.note(
                &frame(0, temporal),
                start + Duration::from_millis(u64::from(n) * 1_000 / 30),
            );
        }
        let choices = [0, 5, 7, 15, 16, 20, 30, 60].map(|fps| shape.temporal_for(fps));
        assert_eq!(choices, [3, 0, 0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn spatial_layers_come_and_go() {
        let start = Instant::now();
        let mut shape = Shape::default();
        shape.key_frame([180, 360].into_iter());
        assert!(shape.note(&frame(0, 0), start));
        assert!(shape.note(&frame(1, 0), start));
        assert_eq!((shape.spatial_layers(), shape.live_layers(start)), (2, 2));
        let later = start + Duration::from_secs(2);
        assert!(shape.note(&frame(0, 0), later));
        assert_eq!((shape.spatial_layers(), shape.live_layers(later)), (2, 1));
        assert!(!shape.note(&frame(0, 0), later));
        assert!(shape.note(&frame(1, 0), later), "the upper one is back");
        shape.key_frame(std::iter::empty());
        assert_eq!(shape.height(1), 360, "a key frame that says nothing changes nothing");
    }
}
