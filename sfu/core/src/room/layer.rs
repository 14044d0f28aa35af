//! Which simulcast layer a slot should carry.

/// What is known of one layer, smallest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerView {
    /// Pixels of its last key frame; 0: not known yet.
    pub height: u32,
    /// Packets come.
    pub live: bool,
}

/// The layer that suits a tile of `height` pixels: `(ideal, now)`. `ideal` is what the publisher should be asked to send;
/// `now` is the best among those that come, `None` when none does.
///
/// The smallest layer that is at least as high as the tile, a tenth less being near enough: a tile of 370 pixels does not
/// pay for 720. Where a height is not known yet it is guessed from a neighbour, layers being a factor 2 apart, or 180, 360,
/// 720.
pub fn choose_layer(layers: &[LayerView], height: u32) -> (usize, Option<usize>) {
    let guess = |at: usize| {
        if layers[at].height != 0 {
            return layers[at].height;
        }
        let known = layers.iter().enumerate().find(|(_, layer)| layer.height != 0);
        match known {
            Some((other, layer)) if other < at => layer.height << (at - other).min(8),
            Some((other, layer)) => layer.height >> (other - at).min(8),
            None => 180 << at.min(8),
        }
    };
    let last = layers.len().saturating_sub(1);
    let ideal = (0..layers.len())
        .find(|at| u64::from(guess(*at)) * 10 >= u64::from(height) * 9)
        .unwrap_or(last);
    let below = (0..layers.len().min(ideal + 1)).rev().find(|at| layers[*at].live);
    let above = (ideal..layers.len()).find(|at| layers[*at].live);
    (ideal, below.or(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn layer(height: u32, live: bool) -> LayerView {
        LayerView { height, live }
    }

    #[test]
    fn table_of_cases() {
        let all = [layer(180, true), layer(360, true), layer(720, true)];
        type Case<'a> = (&'a [LayerView], u32, (usize, Option<usize>));
        let cases: [Case<'_>; 9] = [
            (&all, 100, (0, Some(0))),
            (&all, 180, (0, Some(0))),
            (&all, 195, (0, Some(0))),
            (&all, 250, (1, Some(1))),
            (&all, 4_000, (2, Some(2))),
            (&[layer(180, true), layer(0, false), layer(0, false)], 720, (2, Some(0))),
            (&[layer(0, false), layer(0, false), layer(720, true)], 180, (0, Some(2))),
            (&[layer(0, false)], 1_000, (0, None)),
            (&[], 1_000, (0, None)),
        ];
        for (layers, height, expected) in cases {
            assert_eq!(choose_layer(layers, height), expected, "{layers:?} {height}");
        }
    }
}
