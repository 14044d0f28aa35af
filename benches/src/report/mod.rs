//! What a run found out: the data ([`model`]), and what is drawn from it.

pub mod model;
