//! What a packet says about its frame, in one form for all codecs: its layer, and what may begin with it.

/// A part of a stream that can be decoded by itself: all spatial layers up to one, and all temporal layers up to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Spatial layer, 0 is the smallest picture.
    pub spatial: u8,
    /// Temporal layer, 0 has the fewest frames.
    pub temporal: u8,
}

/// Spatial layers that we tell apart in one stream, and as many temporal ones. Browsers make three.
pub const MAX_LAYERS: u8 = 4;

impl Target {
    /// Everything that a stream has.
    pub const ALL: Self = Self {
        spatial: MAX_LAYERS - 1,
        temporal: MAX_LAYERS - 1,
    };

    fn bit(self) -> u16 {
        let spatial = self.spatial.min(MAX_LAYERS - 1);
        let temporal = self.temporal.min(MAX_LAYERS - 1);
        1 << (spatial * MAX_LAYERS + temporal)
    }
}

/// A set of [`Target`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets(u16);

impl Targets {
    /// Every target.
    pub const ALL: Self = Self(u16::MAX);

    /// Those that need a frame of this layer when each layer builds on all below it.
    pub fn from_layer(spatial: u8, temporal: u8) -> Self {
        let mut set = Self::default();
        for s in spatial..MAX_LAYERS {
            for t in temporal..MAX_LAYERS {
                set.insert(Target {
                    spatial: s,
                    temporal: t,
                });
            }
        }
        set
    }

    /// Adds one.
    pub fn insert(&mut self, target: Target) {
        self.0 |= target.bit();
    }

    /// Whether it is in.
    pub fn contains(self, target: Target) -> bool {
        self.0 & target.bit() != 0
    }
}

/// How far back the frames lie that a frame refers to, in frame numbers. At most eight; a distance that does not fit is 255,
/// which no history reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    distances: [u8; 8],
    count: u8,
}

impl References {
    /// Adds a distance. Of more than eight the last stands for all, as one that nobody has.
    pub fn push(&mut self, distance: u32) {
        let distance = u8::try_from(distance).unwrap_or(u8::MAX);
        if let Some(place) = self.distances.get_mut(usize::from(self.count)) {
            *place = distance;
            self.count += 1;
        } else {
            self.distances[7] = u8::MAX;
        }
    }

    /// The distances.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.distances.iter().take(usize::from(self.count)).copied()
    }

    /// Whether it refers to nothing.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// What a packet says about its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// First packet of the frame.
    pub start: bool,
    /// Last packet of the frame.
    pub end: bool,
    /// A decoder can begin here: first packet of the first frame of a key picture.
    pub key: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// The targets that need it.
    pub present: Targets,
    /// The targets that a viewer may change to with it, if the viewer has all that it refers to.
    pub switch: Targets,
    /// Number in the dependency descriptor. Without one the references are not known.
    pub number: Option<u16>,
    /// What it refers to.
    pub references: References,
}

impl Default for Frame {
    /// A packet of which nothing is known: needed by everybody, and nothing begins with it.
    fn default() -> Self {
        Self {
            start: false,
            end: false,
            key: false,
            spatial: 0,
            temporal: 0,
            present: Targets::ALL,
            switch: Targets::default(),
            number: None,
            references: References::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_needed_by_all_that_build_on_it() {
        let set = Targets::from_layer(1, 2);
        let has = |spatial, temporal| set.contains(Target { spatial, temporal });
        assert!(has(1, 2) && has(1, 3) && has(3, 2));
        assert!(!has(0, 3) && !has(1, 1) && !has(3, 0));
    }

    #[test]
    fn too_many_references_are_never_satisfied() {
        let mut references = References::default();
        for _ in 0..9 {
            references.push(1);
        }
        assert_eq!(references.iter().last(), Some(255));
        references = References::default();
        references.push(4_000);
        assert_eq!(references.iter().collect::<Vec<_>>(), [255]);
    }
}
