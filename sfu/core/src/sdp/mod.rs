//! Offers read, answers written: the negotiation of protocol.md ("Media negotiation").
//!
//! The client always offers. [`parse_offer`] checks the offer and says what each m-line is for; the caller gives every slot
//! its SSRCs; [`answer`] writes the answer and returns what was agreed.

mod answer;
mod error;
mod lines;
mod media;
mod names;
mod offer;
#[cfg(test)]
mod tests;
mod types;

pub use answer::answer;
pub use error::SdpError;
pub use offer::parse_offer;
pub use types::{
    AnswerParams, Codec, CodecKind, CodecPolicy, DeclaredSsrcs, Direction, Extension, ExtensionIds, FurtherLines,
    MediaKind, Negotiated, NegotiatedMedia, Offer, OfferRules, OfferedExtension, OfferedMedia, Role, SlotSsrcs,
};

/// The largest session description that is read.
pub const MAX_SDP_BYTES: usize = 512 * 1024;

/// The most m-lines that are read: 50 video, 5 audio, screens, published sources and data leave room.
pub const MAX_MEDIA: usize = 128;
