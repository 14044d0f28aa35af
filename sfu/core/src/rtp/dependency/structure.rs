//! The template dependency structure, which comes with key frames.

use crate::rtp::bits::Bits;
use crate::rtp::frame::{MAX_LAYERS, References, Target, Targets};

/// Templates that the six bits of an id can name.
const MAX_TEMPLATES: usize = 64;
/// Decode targets that five bits can count.
const MAX_TARGETS: usize = 32;
/// `DECODE_TARGET_SWITCH`: who has what this frame refers to may change to the target with it.
pub(super) const SWITCH: u32 = 2;

/// Decode targets, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) present: u32,
    pub(super) switch: u32,
}

/// What frames of one kind have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) spatial: u8,
    pub(super) temporal: u8,
    pub(super) masks: Masks,
    pub(super) references: References,
}

/// A stream's layers and the kinds of its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    first_id: u8,
    count: u8,
    targets: u8,
    chains: u8,
    templates: [Template; MAX_TEMPLATES],
    /// The decode target that serves each [`Target`] best.
    best: [u8; (MAX_LAYERS * MAX_LAYERS) as usize],
    top: Target,
    /// Height in pixels of each spatial layer; 0: not said.
    heights: [u16; MAX_LAYERS as usize],
}

/// No decode target serves this one.
const NONE: u8 = u8::MAX;

impl Structure {
    /// `template_dependency_structure()`. `None`: malformed, or with more layers than [`MAX_LAYERS`].
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let first_id = bits.read(6)? as u8;
        let targets = bits.read(5)? as u8 + 1;
        let mut this = Self {
            first_id,
            count: 0,
            targets,
            chains: 0,
            templates: [Template::default(); MAX_TEMPLATES],
            best: [NONE; (MAX_LAYERS * MAX_LAYERS) as usize],
            top: Target {
                spatial: 0,
                temporal: 0,
            },
            heights: [0; MAX_LAYERS as usize],
        };
        this.read_layers(bits)?;
        for template in this.templates.iter_mut().take(usize::from(this.count)) {
            for target in 0..u32::from(targets) {
                template.masks.note(target, bits.read(2)?);
            }
        }
        for template in this.templates.iter_mut().take(usize::from(this.count)) {
            while bits.flag()? {
                template.references.push(bits.read(4)? + 1);
            }
        }
        this.read_chains(bits)?;
        this.find_best();
        if bits.flag()? {
            for height in this.heights.iter_mut().take(usize::from(this.top.spatial) + 1) {
                bits.read(16)?;
                *height = (bits.read(16)? as u16).saturating_add(1);
            }
        }
        Some(this)
    }

    fn read_layers(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let mut layer = Target {
            spatial: 0,
            temporal: 0,
        };
        loop {
            if layer.spatial >= MAX_LAYERS || layer.temporal >= MAX_LAYERS {
                return None;
            }
            let template = self.templates.get_mut(usize::from(self.count))?;
            (template.spatial, template.temporal) = (layer.spatial, layer.temporal);
            self.top.spatial = self.top.spatial.max(layer.spatial);
            self.top.temporal = self.top.temporal.max(layer.temporal);
            self.count += 1;
            match bits.read(2)? {
                0 => {}
                1 => layer.temporal += 1,
                2 => {
                    layer = Target {
                        spatial: layer.spatial + 1,
                        temporal: 0,
                    }
                }
                _ => return Some(()),
            }
        }
    }

    /// Chains say what must not be lost; references say it more exactly, so only their number is kept, to read past them.
    fn read_chains(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let chains = bits.below(u32::from(self.targets) + 1)?;
        self.chains = chains as u8;
        if chains == 0 {
            return Some(());
        }
        for _ in 0..self.targets {
            bits.below(chains)?;
        }
        for _ in 0..u32::from(self.count) * chains {
            bits.read(4)?;
        }
        Some(())
    }

    /// `decode_target_layers()`, and from it the decode target for each pair of layers.
    fn find_best(&mut self) {
        let mut layers = [Target {
            spatial: 0,
            temporal: 0,
        }; MAX_TARGETS];
        for template in &self.templates[..usize::from(self.count)] {
            for (target, layer) in layers.iter_mut().enumerate().take(usize::from(self.targets)) {
                if template.masks.present >> target & 1 == 1 {
                    layer.spatial = layer.spatial.max(template.spatial);
                    layer.temporal = layer.temporal.max(template.temporal);
                }
            }
        }
        for spatial in 0..MAX_LAYERS {
            for temporal in 0..MAX_LAYERS {
                let fitting = layers[..usize::from(self.targets)]
                    .iter()
                    .enumerate()
                    .filter(|(_, layer)| layer.spatial <= spatial && layer.temporal <= temporal)
                    .max_by_key(|(_, layer)| **layer);
                self.best[usize::from(spatial * MAX_LAYERS + temporal)] = fitting.map_or(NONE, |(at, _)| at as u8);
            }
        }
    }

    pub(super) fn targets(&self) -> u32 {
        u32::from(self.targets)
    }

    pub(super) fn chains(&self) -> u32 {
        u32::from(self.chains)
    }

    /// The template that a packet names.
    pub(super) fn template(&self, id: u8) -> Option<&Template> {
        let at = id.wrapping_sub(self.first_id) % MAX_TEMPLATES as u8;
        self.templates[..usize::from(self.count)].get(usize::from(at))
    }

    /// Decode targets as pairs of layers.
    pub(super) fn to_targets(&self, mask: u32) -> Targets {
        let mut set = Targets::default();
        for spatial in 0..MAX_LAYERS {
            for temporal in 0..MAX_LAYERS {
                let best = self.best[usize::from(spatial * MAX_LAYERS + temporal)];
                if best != NONE && mask >> best & 1 == 1 {
                    set.insert(Target { spatial, temporal });
                }
            }
        }
        set
    }

    /// The highest layers of the stream.
    pub fn top(&self) -> Target {
        self.top
    }

    /// Height in pixels of a spatial layer, when the stream says it.
    pub fn height(&self, spatial: u8) -> Option<u32> {
        let height = self.heights.get(usize::from(spatial)).copied().unwrap_or(0);
        (height > 0).then_some(u32::from(height))
    }
}
