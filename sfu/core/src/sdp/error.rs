//! Why an offer cannot be answered, in words that the offerer can act on.

use super::MediaKind;

/// Why an offer cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Over [`MAX_SDP_BYTES`](super::MAX_SDP_BYTES).
    #[error("the session description has {0} bytes, more than 524288")]
    TooLarge(usize),
    /// More m-lines than [`MAX_MEDIA`](super::MAX_MEDIA).
    #[error("the session description has more than {0} media sections")]
    TooManyMedia(usize),
    /// A line that does not follow the grammar.
    #[error("line {line}: {what}")]
    Malformed {
        /// 1-based.
        line: usize,
        /// What was expected.
        what: &'static str,
    },
    /// Something that must be there is not.
    #[error("{what} is missing{}", in_section(.mid))]
    Missing {
        /// What.
        what: &'static str,
        /// In which media section; `None`: in the session.
        mid: Option<String>,
    },
    /// Something is there that we cannot work with.
    #[error("{what}{}", in_section(.mid))]
    Unsupported {
        /// What.
        what: &'static str,
        /// In which media section; `None`: in the session.
        mid: Option<String>,
    },
    /// No codec of the m-line is one that the room uses.
    #[error("no usable {} codec{}: offered {}, usable {}", kind_name(*.kind), in_section(&Some(.mid.clone())), list(.offered), list(.usable))]
    NoUsableCodec {
        /// The media section.
        mid: String,
        /// What it carries.
        kind: MediaKind,
        /// What was offered.
        offered: Vec<String>,
        /// What would have been taken.
        usable: Vec<String>,
    },
    /// `AnswerParams::slots` has no entry for a slot: a defect of the caller, not of the offer.
    #[error("no SSRC was given for slot {0}")]
    SlotWithoutSsrc(String),
}

fn in_section(mid: &Option<String>) -> String {
    mid.as_ref()
        .map(|mid| format!(" in media section {mid}"))
        .unwrap_or_default()
}

fn kind_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Application => "application",
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
