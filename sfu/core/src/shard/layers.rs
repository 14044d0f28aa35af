//! The layers of a published source as one list, smallest first: simulcast streams, or the spatial layers inside one stream.

use std::time::Instant;

use smallvec::SmallVec;

use super::member::{Slot, Track};
use crate::allocate::Rung;
use crate::room::LayerView;
use crate::rtp::{MAX_LAYERS, Target};

impl Track {
    /// What is known of each layer.
    pub(super) fn layer_views(&self, now: Instant) -> SmallVec<[LayerView; 4]> {
        let mut views = SmallVec::new();
        for layer in &self.layers {
            let live = if layer.live { layer.shape.live_layers(now) } else { 0 };
            views.extend((0..layer.shape.spatial_layers()).map(|spatial| LayerView {
                height: layer.shape.height(spatial),
                live: spatial < live,
            }));
        }
        views
    }

    /// Where layer `at` of the list is: which stream, and what of it, at `fps` frames a second.
    pub(super) fn place(&self, at: usize, fps: u32) -> (u8, Target) {
        let mut rest = at;
        let last = self.layers.len().saturating_sub(1);
        for (stream, layer) in self.layers.iter().enumerate() {
            let count = layer.shape.spatial_layers();
            if rest < count || stream == last {
                // A stream that is one picture is sent whole, whatever numbers its frames have.
                let spatial = if count > 1 {
                    rest.min(count - 1) as u8
                } else {
                    MAX_LAYERS - 1
                };
                let temporal = layer.shape.temporal_for(fps);
                return (stream as u8, Target { spatial, temporal });
            }
            rest -= count;
        }
        (0, Target::ALL)
    }

    /// The place in the list of a stream's spatial layer.
    pub(super) fn flat(&self, stream: u8, spatial: u8) -> u8 {
        let before = self.layers.iter().take(usize::from(stream));
        let before: usize = before.map(|layer| layer.shape.spatial_layers()).sum();
        let count = self
            .layers
            .get(usize::from(stream))
            .map_or(1, |l| l.shape.spatial_layers());
        (before + usize::from(spatial).min(count - 1)) as u8
    }

    /// The layer of the list that a slot carries or waits for.
    pub(super) fn carried(&self, slot: &Slot) -> u8 {
        let Some(bound) = &slot.bound else { return 0 };
        match (bound.current, bound.next) {
            (Some(stream), _) => self.flat(stream, slot.out.target().spatial),
            (None, Some(stream)) => self.flat(stream, 0).max(bound.ideal.min(self.flat(stream, MAX_LAYERS))),
            (None, None) => bound.ideal,
        }
    }

    /// The qualities that come, up to the layer that suits, the cheapest first: each layer with fewer frames where it can
    /// shed them, then with all.
    pub(super) fn rungs(&self, now: Instant, ideal: u8) -> SmallVec<[Rung; 4]> {
        let views = self.layer_views(now);
        let ideal = usize::from(ideal);
        let mut rungs = SmallVec::new();
        for (at, view) in views.iter().enumerate() {
            // Above what suits only when nothing below comes.
            if !view.live || (at > ideal && !rungs.is_empty()) {
                continue;
            }
            let (stream, target) = self.place(at, 0);
            let Some(layer) = self.layers.get(usize::from(stream)) else {
                continue;
            };
            let mut rung = |temporal| {
                rungs.push(Rung {
                    layer: at as u8,
                    temporal,
                    bitrate: layer.rates.up_to(target.spatial, temporal, now),
                });
            };
            if let Some(fewer) = layer.rates.highest_temporal().checked_sub(1) {
                rung(fewer);
            }
            rung(MAX_LAYERS - 1);
        }
        rungs
    }

    /// Whether its layers are spatial layers of one stream, which build on each other.
    pub(super) fn is_layered(&self) -> bool {
        self.layers.len() == 1 && self.layers[0].shape.spatial_layers() > 1
    }
}
