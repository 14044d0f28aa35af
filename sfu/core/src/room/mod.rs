//! What a room decides: who is in which slot of whom, and which layer. Decisions are pure functions over a snapshot; the
//! shard carries them out.

mod assign;
mod layer;

pub use assign::{Assigned, Candidate, Intent, SlotPolicy, SlotView, assign};
pub use layer::{LayerView, choose_layer};
