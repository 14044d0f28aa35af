//! Reads an offer and says what each m-line is for.

use std::collections::BTreeMap;

use super::lines::{Section, split};
use super::media::{codecs, direction, extensions, media_line, rids, ssrcs};
use super::{DeclaredSsrcs, Direction, FurtherLines, MediaKind, Offer, OfferRules, OfferedMedia, Role, SdpError};
use crate::transport::{Fingerprint, IceCredentials};
use crate::types::Source;

/// The longest `a=mid` that is taken: it travels in a header extension.
const MAX_MID: usize = 32;

/// Reads an offer.
///
/// # Errors
/// [`SdpError`] says what is missing or cannot be used, and where.
pub fn parse_offer(sdp: &str, rules: &OfferRules<'_>) -> Result<Offer, SdpError> {
    let (session, sections) = split(sdp)?;
    let default_direction = direction(&session).unwrap_or(Direction::SendRecv);
    let mut roles = Roles {
        rules,
        met: BTreeMap::new(),
    };
    let mut media = Vec::with_capacity(sections.len());
    for section in &sections {
        let parsed = media_section(section, default_direction, &mut roles)?;
        if media.iter().any(|other: &OfferedMedia| other.mid == parsed.mid) {
            return Err(SdpError::Malformed {
                line: section.line,
                what: "two media sections have the same mid",
            });
        }
        media.push(parsed);
    }
    check_bundle(&session, &media)?;

    // With BUNDLE all sections share the transport of the first (RFC 9143 §7.3.3).
    let (first, at) = sections
        .iter()
        .zip(&media)
        .find(|(_, m)| !m.rejected)
        .ok_or(SdpError::Missing {
            what: "a media section",
            mid: None,
        })?;
    let value = |key| first.first(key).or_else(|| session.first(key));
    let missing = |what| SdpError::Missing {
        what,
        mid: Some(at.mid.clone()),
    };
    if value("setup") == Some("passive") {
        let what = "a=setup:passive cannot be answered: the server is the passive side";
        return Err(SdpError::Unsupported {
            what,
            mid: Some(at.mid.clone()),
        });
    }
    let credential = |key: &'static str, what, min| {
        let text = value(key).ok_or_else(|| missing(what))?;
        // RFC 8839 §5.4: ice-char, 4 to 256 for the fragment, 22 to 256 for the password.
        let ice_chars = text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"+/".contains(&c) || b"-_=".contains(&c));
        if (min..=256).contains(&text.len()) && ice_chars {
            Ok(text.to_owned())
        } else {
            Err(SdpError::Unsupported {
                what: "an ICE credential of bad form",
                mid: Some(at.mid.clone()),
            })
        }
    };
    Ok(Offer {
        ice: IceCredentials {
            ufrag: credential("ice-ufrag", "a=ice-ufrag", 4)?,
            pwd: credential("ice-pwd", "a=ice-pwd", 22)?,
        },
        fingerprint: fingerprint(first)
            .or_else(|| fingerprint(&session))
            .ok_or_else(|| missing("a=fingerprint with sha-256"))?,
        extmap_allow_mixed: session.has("extmap-allow-mixed"),
        media,
    })
}

fn fingerprint(section: &Section<'_>) -> Option<Fingerprint> {
    section.all("fingerprint").find_map(|a| {
        let (hash, value) = a.value.split_once(' ')?;
        hash.eq_ignore_ascii_case("sha-256")
            .then(|| value.trim().parse().ok())?
    })
}

fn media_section(
    section: &Section<'_>,
    default_direction: Direction,
    roles: &mut Roles<'_>,
) -> Result<OfferedMedia, SdpError> {
    let line = media_line(section)?;
    let mid = section
        .first("mid")
        .filter(|mid| !mid.is_empty() && mid.len() <= MAX_MID)
        .ok_or_else(|| SdpError::Missing {
            what: "a=mid of at most 32 characters",
            mid: Some(section.media.chars().take(40).collect()),
        })?
        .to_owned();
    let kind = match line.kind {
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        "application" => MediaKind::Application,
        _ => {
            return Err(SdpError::Unsupported {
                what: "neither audio, video nor application",
                mid: Some(mid),
            });
        }
    };
    let rejected = line.port == 0 && !section.has("bundle-only");
    let mut media = OfferedMedia {
        mid: mid.clone(),
        kind,
        role: Role::Inactive,
        codecs: Vec::new(),
        codec_names: Vec::new(),
        extensions: Vec::new(),
        rids: Vec::new(),
        ssrcs: DeclaredSsrcs::default(),
        reduced_size: section.has("rtcp-rsize"),
        protocol: line.protocol.to_owned(),
        first_format: line.formats.first().copied().unwrap_or("0").to_owned(),
        rejected,
        sctp_port: section.first("sctp-port").and_then(|port| port.parse().ok()),
        extmap_allow_mixed: section.has("extmap-allow-mixed"),
    };
    if rejected {
        return Ok(media);
    }
    if kind == MediaKind::Application {
        if !line.protocol.ends_with("DTLS/SCTP") {
            return Err(SdpError::Unsupported {
                what: "a transport other than DTLS/SCTP",
                mid: Some(mid),
            });
        }
        return Ok(media);
    }
    if !line.protocol.ends_with("RTP/SAVPF") {
        return Err(SdpError::Unsupported {
            what: "a transport other than RTP/SAVPF",
            mid: Some(mid),
        });
    }
    if !section.has("rtcp-mux") {
        return Err(SdpError::Missing {
            what: "a=rtcp-mux",
            mid: Some(mid),
        });
    }
    let direction = direction(section).unwrap_or(default_direction);
    media.role = roles.role(&mid, kind, direction)?;
    (media.codecs, media.codec_names) = codecs(section, &line.formats)?;
    media.extensions = extensions(section)?;
    match media.role {
        Role::Publish(_) => {
            media.extensions.retain(|e| e.direction.is_none_or(Direction::sends));
            media.rids = rids(section);
            media.ssrcs = ssrcs(section);
        }
        Role::Slot(_) => media.extensions.retain(|e| e.direction.is_none_or(Direction::receives)),
        Role::Inactive => {}
    }
    Ok(media)
}

/// Hands out roles, counting the lines that `mids` does not name.
struct Roles<'a> {
    rules: &'a OfferRules<'a>,
    met: BTreeMap<(bool, bool), usize>,
}

impl Roles<'_> {
    fn role(&mut self, mid: &str, kind: MediaKind, direction: Direction) -> Result<Role, SdpError> {
        let publishes = direction.sends() && self.rules.publish;
        let receives = direction.receives() && self.rules.subscribe;
        if !publishes && !receives {
            return Ok(Role::Inactive);
        }
        let audio = kind == MediaKind::Audio;
        let source = match self.rules.mids.get(mid) {
            Some(source) if source.is_audio() == audio => *source,
            Some(_) => {
                let what = "the source named for this mid is audio and the line video, or the other way round";
                return Err(SdpError::Unsupported {
                    what,
                    mid: Some(mid.to_owned()),
                });
            }
            None => {
                let met = self.met.entry((audio, publishes)).or_default();
                *met += 1;
                let first = *met == 1 || (self.rules.further_lines == FurtherLines::People && !publishes);
                match (audio, first) {
                    (true, true) => Source::Mic,
                    (false, true) => Source::Camera,
                    (true, false) => Source::ScreenAudio,
                    (false, false) => Source::Screen,
                }
            }
        };
        Ok(if publishes {
            Role::Publish(source)
        } else {
            Role::Slot(source)
        })
    }
}

/// Everything that is not rejected has to be in one BUNDLE group: there is one transport. A single section may go without.
fn check_bundle(session: &Section<'_>, media: &[OfferedMedia]) -> Result<(), SdpError> {
    if media.iter().filter(|m| !m.rejected).count() < 2 {
        return Ok(());
    }
    let group = session
        .all("group")
        .find_map(|a| a.value.strip_prefix("BUNDLE "))
        .ok_or(SdpError::Missing {
            what: "a=group:BUNDLE",
            mid: None,
        })?;
    let bundled: std::collections::BTreeSet<&str> = group.split_ascii_whitespace().collect();
    match media.iter().find(|m| !m.rejected && !bundled.contains(m.mid.as_str())) {
        Some(outside) => Err(SdpError::Unsupported {
            what: "it is not in the BUNDLE group",
            mid: Some(outside.mid.clone()),
        }),
        None => Ok(()),
    }
}
