//! The dependency descriptor of the AV1 RTP specification (appendix A), which any codec may carry: which layer a frame is
//! of, who needs it, what it refers to. It stays readable under end-to-end encryption.

mod structure;
#[cfg(test)]
mod tests;

pub use structure::Structure;

use super::bits::Bits;
use super::frame::{Frame, References};
use structure::{Masks, SWITCH};

/// Where the frame number stands in the extension, two bytes.
pub const NUMBER_AT: usize = 1;

/// The longest descriptor that is read; a structure of three by three layers has about a hundred bytes.
const MAX_LEN: usize = 255;

/// Reads one packet's descriptor. `structure` is what the stream's last key frame gave; a descriptor that brings another
/// replaces it, in the same memory. `None`: it is malformed, or its structure has not come yet; then nothing changed.
pub fn parse(data: &[u8], structure: &mut Option<Box<Structure>>) -> Option<Frame> {
    if data.len() > MAX_LEN {
        return None;
    }
    let mut bits = Bits::new(data);
    let start = bits.flag()?;
    let end = bits.flag()?;
    let template = bits.read(6)? as u8;
    let number = bits.read(16)? as u16;
    let mut flags = [false; 5];
    if data.len() > 3 {
        for flag in &mut flags {
            *flag = bits.flag()?;
        }
    }
    let [has_structure, has_active, custom_dtis, custom_references, custom_chains] = flags;
    let fresh = if has_structure {
        Some(Structure::read(&mut bits)?)
    } else {
        None
    };
    let known = fresh.as_ref().or(structure.as_deref())?;
    if has_active {
        bits.read(known.targets())?;
    }
    let template = known.template(template)?;
    let masks = if custom_dtis {
        let mut masks = Masks::default();
        for target in 0..known.targets() {
            masks.note(target, bits.read(2)?);
        }
        masks
    } else {
        template.masks
    };
    let references = if custom_references {
        read_references(&mut bits)?
    } else {
        template.references
    };
    if custom_chains {
        for _ in 0..known.chains() {
            bits.read(8)?;
        }
    }
    let frame = Frame {
        start,
        end,
        key: start && has_structure && references.is_empty(),
        spatial: template.spatial,
        temporal: template.temporal,
        present: known.to_targets(masks.present),
        switch: known.to_targets(masks.switch),
        number: Some(number),
        references,
    };
    if let Some(fresh) = fresh {
        match structure {
            Some(place) => **place = fresh,
            None => *structure = Some(Box::new(fresh)),
        }
    }
    Some(frame)
}

/// `frame_fdiffs()`.
fn read_references(bits: &mut Bits<'_>) -> Option<References> {
    let mut references = References::default();
    loop {
        let nibbles = bits.read(2)?;
        if nibbles == 0 {
            return Some(references);
        }
        references.push(bits.read(4 * nibbles)? + 1);
    }
}

impl Masks {
    /// Notes the indication (`frame_dti`) of one decode target.
    fn note(&mut self, target: u32, indication: u32) {
        if indication != 0 {
            self.present |= 1 << target;
        }
        if indication == SWITCH {
            self.switch |= 1 << target;
        }
    }
}
