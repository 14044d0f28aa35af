//! RTP (RFC 3550 section 5): a view of a packet that stays where it is, and a writer that builds the rewritten packet in
//! the transmit arena.

pub mod av1;
mod bits;
pub mod dependency;
mod extension;
mod frame;
pub mod h264;
mod header;
mod numbers;
pub mod red;
mod sequence;
pub mod vp8;
pub mod vp9;
mod write;

pub use extension::Extensions;
pub use frame::{Frame, MAX_LAYERS, References, Target, Targets};
pub use header::{Header, RtpError};
pub use numbers::{Newest, Numbers};
pub use sequence::{extend, is_newer};
pub use write::{MAX_HEADER, OutExtensions, OutHeader, write_header};
