//! A session description as its lines (RFC 8866 §9), borrowed and in one pass.
//!
//! Only what negotiation needs is kept: the m-lines and the attributes. See docs/decisions for why this is not the SDP
//! crate's parser.

use super::{MAX_MEDIA, MAX_SDP_BYTES, SdpError};

/// One `a=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    /// 1-based, for errors.
    pub(super) line: usize,
    pub(super) key: &'a str,
    /// What stands behind the colon; empty for a flag.
    pub(super) value: &'a str,
}

/// The session part or one media section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section<'a> {
    /// 1-based line of the m-line; 0 for the session.
    pub(super) line: usize,
    /// What stands behind `m=`.
    pub(super) media: &'a str,
    pub(super) attributes: Vec<Attribute<'a>>,
}

impl<'a> Section<'a> {
    /// The values of all attributes of a name.
    pub(super) fn all(&self, key: &'static str) -> impl Iterator<Item = Attribute<'a>> + '_ {
        self.attributes.iter().copied().filter(move |a| a.key == key)
    }

    /// The value of the first attribute of a name.
    pub(super) fn first(&self, key: &'static str) -> Option<&'a str> {
        self.all(key).next().map(|a| a.value)
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.first(key).is_some()
    }
}

/// Splits a session description into the session part and the media sections.
pub(super) fn split(sdp: &str) -> Result<(Section<'_>, Vec<Section<'_>>), SdpError> {
    if sdp.len() > MAX_SDP_BYTES {
        return Err(SdpError::TooLarge(sdp.len()));
    }
    let mut session = Section::default();
    let mut media: Vec<Section<'_>> = Vec::new();
    for (at, text) in sdp.lines().enumerate() {
        let line = at + 1;
        if text.is_empty() {
            continue;
        }
        // Parts of the offer are repeated in the answer; a lone carriage return must not begin a line there.
        if text.contains(|c: char| c.is_control() && c != '\t') {
            return Err(SdpError::Malformed {
                line,
                what: "control characters are not allowed",
            });
        }
        let Some((kind, value)) = text.split_once('=').filter(|(kind, _)| kind.len() == 1) else {
            return Err(SdpError::Malformed {
                line,
                what: "a letter and an equals sign were expected",
            });
        };
        match (line, kind) {
            (1, "v") if value.trim() == "0" => {}
            (1, _) => {
                return Err(SdpError::Malformed {
                    line,
                    what: "v=0 was expected",
                });
            }
            (_, "m") if media.len() >= MAX_MEDIA => return Err(SdpError::TooManyMedia(MAX_MEDIA)),
            (_, "m") => media.push(Section {
                line,
                media: value,
                attributes: Vec::new(),
            }),
            (_, "a") => {
                let (key, value) = value.split_once(':').unwrap_or((value, ""));
                let section = media.last_mut().unwrap_or(&mut session);
                section.attributes.push(Attribute {
                    line,
                    key: key.trim(),
                    value: value.trim(),
                });
            }
            _ => {} // o=, s=, t=, c=, b=: nothing that ICE and BUNDLE have not replaced
        }
    }
    Ok((session, media))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_go_to_their_section_and_line_ends_may_be_either() {
        let (session, media) = split("v=0\r\na=one\r\nm=audio 9 X 0\na=two: x:y \n").unwrap();
        assert_eq!(session.first("one"), Some(""));
        assert_eq!(
            (media[0].line, media[0].media, media[0].first("two")),
            (3, "audio 9 X 0", Some("x:y"))
        );
    }

    #[test]
    fn what_is_not_sdp_is_refused_with_its_line() {
        let malformed = |sdp: &str| matches!(split(sdp), Err(SdpError::Malformed { .. }));
        assert!(malformed("o=x") && malformed("v=1") && malformed("v=0\nnonsense") && malformed("v=0\nab=c"));
        assert!(malformed("v=0\na=mid:1\ra=setup:active\n"));
        assert_eq!(
            split(&"x".repeat(MAX_SDP_BYTES + 1)),
            Err(SdpError::TooLarge(MAX_SDP_BYTES + 1))
        );
        let many = format!("v=0\n{}", "m=audio 9 X 0\n".repeat(MAX_MEDIA + 1));
        assert_eq!(split(&many), Err(SdpError::TooManyMedia(MAX_MEDIA)));
    }
}
