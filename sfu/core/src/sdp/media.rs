//! One media section of an offer: codecs, extensions, RIDs, SSRCs.

use super::lines::Section;
use super::{Codec, CodecKind, DeclaredSsrcs, Direction, Extension, OfferedExtension, SdpError};

/// SSRCs that one section may declare; six are for three layers with RTX.
const MAX_SSRCS: usize = 32;

/// Simulcast layers that one section may have.
const MAX_RIDS: usize = 8;

/// What stands behind `m=`.
pub(super) struct MediaLine<'a> {
    pub(super) kind: &'a str,
    pub(super) port: u16,
    pub(super) protocol: &'a str,
    pub(super) formats: Vec<&'a str>,
}

pub(super) fn media_line<'a>(section: &Section<'a>) -> Result<MediaLine<'a>, SdpError> {
    let malformed = SdpError::Malformed {
        line: section.line,
        what: "media, port, transport and formats were expected",
    };
    let mut words = section.media.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(malformed);
    };
    let Ok(port) = port.parse() else { return Err(malformed) };
    let formats: Vec<&str> = words.collect();
    if formats.is_empty() {
        Err(malformed)
    } else {
        Ok(MediaLine {
            kind,
            port,
            protocol,
            formats,
        })
    }
}

/// The direction of a section, where the session's or `sendrecv` is the default.
pub(super) fn direction(section: &Section<'_>) -> Option<Direction> {
    section.attributes.iter().find_map(|a| Direction::by_name(a.key))
}

/// The codecs that we know, in the order of the m-line, and the names of all.
pub(super) fn codecs(section: &Section<'_>, formats: &[&str]) -> Result<(Vec<Codec>, Vec<String>), SdpError> {
    // By payload type, so that the work is one step per line however many there are.
    let mut rtpmap: [Option<&str>; 128] = [None; 128];
    let mut fmtp: [Option<&str>; 128] = [None; 128];
    let mut rtx: [Option<u8>; 128] = [None; 128];
    for attribute in section.attributes.iter().filter(|a| matches!(a.key, "rtpmap" | "fmtp")) {
        let (pt, value) = attribute.value.split_once(' ').unwrap_or((attribute.value, ""));
        let Some(pt) = payload_type(pt) else {
            return Err(SdpError::Malformed {
                line: attribute.line,
                what: "a payload type was expected",
            });
        };
        let table = if attribute.key == "rtpmap" {
            &mut rtpmap
        } else {
            &mut fmtp
        };
        table[usize::from(pt)] = Some(value.trim());
    }
    let offered: Vec<u8> = formats.iter().filter_map(|f| payload_type(f)).collect();
    for pt in offered.iter().rev() {
        let at = usize::from(*pt);
        if let (Some(map), Some(parameters)) = (rtpmap[at], fmtp[at])
            && map.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("rtx/"))
            && let Some(apt) = parameter(parameters, "apt").and_then(payload_type)
        {
            rtx[usize::from(apt)] = Some(*pt);
        }
    }
    let mut codecs = Vec::new();
    let mut names = Vec::new();
    let mut seen = [false; 128];
    for pt in offered {
        let at = usize::from(pt);
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let Some(map) = rtpmap[at] else { continue };
        let mut parts = map.split('/');
        let (name, clock) = (
            parts.next().unwrap_or(""),
            parts.next().and_then(|c| c.parse().ok()).unwrap_or(0),
        );
        if !names.iter().any(|known| known == name) {
            names.push(name.chars().take(32).collect());
        }
        if let Some(kind) = CodecKind::by_name(name, clock) {
            codecs.push(Codec {
                pt,
                kind,
                clock_rate: clock,
                channels: parts.next().and_then(|c| c.parse().ok()).unwrap_or(0),
                fmtp: fmtp[at].unwrap_or("").to_owned(),
                rtx_pt: rtx[at],
                nack: false,
                pli: false,
                fir: false,
                transport_cc: false,
                remb: false,
            });
        }
    }
    feedback(section, &mut codecs);
    Ok((codecs, names))
}

fn feedback(section: &Section<'_>, codecs: &mut [Codec]) {
    let mut by_pt: [Option<usize>; 128] = [None; 128];
    for (at, codec) in codecs.iter().enumerate() {
        by_pt[usize::from(codec.pt)] = Some(at);
    }
    for attribute in section.all("rtcp-fb") {
        let Some((pt, what)) = attribute.value.split_once(' ') else {
            continue;
        };
        let mut set = |codec: &mut Codec| match what.trim() {
            "nack" => codec.nack = true,
            "nack pli" => codec.pli = true,
            "ccm fir" => codec.fir = true,
            "transport-cc" => codec.transport_cc = true,
            "goog-remb" => codec.remb = true,
            _ => {}
        };
        if pt == "*" {
            codecs.iter_mut().for_each(&mut set);
        } else if let Some(codec) = payload_type(pt)
            .and_then(|pt| by_pt[usize::from(pt)])
            .and_then(|at| codecs.get_mut(at))
        {
            set(codec);
        }
    }
}

/// One parameter of an `a=fmtp` text.
pub(super) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';')
        .filter_map(|p| p.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value)
}

fn payload_type(text: &str) -> Option<u8> {
    text.trim().parse().ok().filter(|pt| *pt < 128)
}

/// The extensions that we know, the first line of each.
pub(super) fn extensions(section: &Section<'_>) -> Result<Vec<OfferedExtension>, SdpError> {
    let mut extensions: Vec<OfferedExtension> = Vec::new();
    for attribute in section.all("extmap") {
        let malformed = SdpError::Malformed {
            line: attribute.line,
            what: "an extension id and URI were expected",
        };
        let mut words = attribute.value.split_ascii_whitespace();
        let (Some(id), Some(uri)) = (words.next(), words.next()) else {
            return Err(malformed);
        };
        let (id, direction) = match id.split_once('/') {
            Some((id, direction)) => match Direction::by_name(direction) {
                Some(direction) => (id, Some(direction)),
                None => return Err(malformed),
            },
            None => (id, None),
        };
        let Ok(id) = id.parse::<u16>() else {
            return Err(malformed);
        };
        // Ids above 255 are for offers that do not know yet what will be answered (RFC 8285 §7); 0 and 15 are reserved.
        let Some(id) = u8::try_from(id).ok().filter(|id| ![0, 15].contains(id)) else {
            continue;
        };
        if let Some(extension) = Extension::by_uri(uri)
            && !extensions.iter().any(|e| e.extension == extension || e.id == id)
        {
            extensions.push(OfferedExtension {
                id,
                extension,
                direction,
            });
        }
    }
    Ok(extensions)
}

/// The RIDs that the offerer sends, in the order of `a=simulcast` (RFC 8853), else of the `a=rid` lines.
pub(super) fn rids(section: &Section<'_>) -> Vec<String> {
    let declared: Vec<&str> = section
        .all("rid")
        .filter_map(|a| {
            let mut words = a.value.split_ascii_whitespace();
            let (id, direction) = (words.next()?, words.next()?);
            (direction == "send"
                && id.len() <= 16
                && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c)))
            .then_some(id)
        })
        .take(MAX_RIDS)
        .collect();
    let Some(simulcast) = section.first("simulcast") else {
        return declared.into_iter().map(str::to_owned).collect();
    };
    let mut words = simulcast.split_ascii_whitespace();
    let mut ordered: Vec<String> = Vec::new();
    while let (Some(direction), Some(list)) = (words.next(), words.next()) {
        if direction != "send" {
            continue;
        }
        for alternatives in list.split(';') {
            // The first of several alternatives; a tilde says that it begins paused.
            let id = alternatives.split(',').next().unwrap_or("").trim_start_matches('~');
            if declared.contains(&id) && !ordered.iter().any(|known| known == id) {
                ordered.push(id.to_owned());
            }
        }
    }
    ordered
}

/// The SSRCs that the offerer declares: media, each with its RTX.
pub(super) fn ssrcs(section: &Section<'_>) -> DeclaredSsrcs {
    let mut declared: Vec<u32> = Vec::new();
    let mut cname = None;
    for attribute in section.all("ssrc") {
        let (ssrc, what) = attribute.value.split_once(' ').unwrap_or((attribute.value, ""));
        let Ok(ssrc) = ssrc.parse() else { continue };
        if declared.len() < MAX_SSRCS && !declared.contains(&ssrc) {
            declared.push(ssrc);
        }
        if let (None, Some(name)) = (&cname, what.strip_prefix("cname:")) {
            cname = Some(name.to_owned());
        }
    }
    let mut rtx: Vec<(u32, u32)> = Vec::new();
    let mut simulcast: Vec<u32> = Vec::new();
    for attribute in section.all("ssrc-group").take(MAX_SSRCS) {
        let mut words = attribute.value.split_ascii_whitespace();
        let semantics = words.next();
        let members: Vec<u32> = words.filter_map(|w| w.parse().ok()).take(MAX_SSRCS).collect();
        match (semantics, &members[..]) {
            (Some("FID"), [media, repair]) => rtx.push((*media, *repair)),
            (Some("SIM"), _) if simulcast.is_empty() => simulcast = members,
            _ => {}
        }
    }
    let media = if simulcast.is_empty() { declared } else { simulcast };
    let streams = media
        .into_iter()
        .filter(|ssrc| !rtx.iter().any(|(_, repair)| repair == ssrc))
        .map(|ssrc| {
            (
                ssrc,
                rtx.iter().find(|(media, _)| *media == ssrc).map(|(_, repair)| *repair),
            )
        })
        .collect();
    DeclaredSsrcs { streams, cname }
}
