//! Synthetic media: what publishers send, and what viewers make of it.

pub mod flow;
pub mod payload;
pub mod schedule;
pub mod stamp;
pub mod tally;
