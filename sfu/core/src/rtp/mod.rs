//! RTP (RFC 3550 section 5): a view of a packet that stays where it is, and a writer that builds the rewritten packet in
//! the transmit arena.

mod extension;
mod header;
mod sequence;
pub mod vp8;
mod write;

pub use extension::Extensions;
pub use header::{Header, RtpError};
pub use sequence::{extend, is_newer};
pub use write::{MAX_HEADER, OutExtensions, OutHeader, write_header};
