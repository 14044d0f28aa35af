//! Writes the answer, and says what was agreed.

use std::fmt::Write;

use super::media::parameter;
use super::{
    AnswerParams, Codec, CodecKind, Direction, Extension, ExtensionIds, MediaKind, Negotiated, NegotiatedMedia, Offer,
    OfferedMedia, Role, SdpError,
};
use crate::data::MAX_MESSAGE;
use crate::types::Source;

/// Writes the answer to an offer.
///
/// # Errors
/// [`SdpError::NoUsableCodec`]; [`SdpError::SlotWithoutSsrc`] is the caller's mistake.
pub fn answer(offer: &Offer, params: &AnswerParams<'_>) -> Result<(String, Negotiated), SdpError> {
    let mut slots = SlotNames::default();
    let mut media = Vec::with_capacity(offer.media.len());
    for offered in &offer.media {
        media.push(negotiate(offered, params, &mut slots)?);
    }
    let mut out = String::with_capacity(1_024 + 1_024 * media.len());
    let _ = write(&mut out, offer, params, &media); // writing to a String cannot fail
    let media = media
        .into_iter()
        .map(|m| m.unwrap_or_else(|rejected| rejected))
        .collect();
    Ok((out, Negotiated { media }))
}

/// An agreed m-line, or a rejected one as the error.
type Outcome = Result<NegotiatedMedia, NegotiatedMedia>;

fn negotiate(offered: &OfferedMedia, params: &AnswerParams<'_>, slots: &mut SlotNames) -> Result<Outcome, SdpError> {
    let mut media = NegotiatedMedia {
        mid: offered.mid.clone(),
        kind: offered.kind,
        role: offered.role,
        codecs: Vec::new(),
        extensions: ExtensionIds::default(),
        rids: Vec::new(),
        ssrcs: offered.ssrcs.clone(),
        slot: None,
        msid: None,
        reduced_size: offered.reduced_size,
    };
    if offered.rejected {
        return Ok(Err(media));
    }
    if offered.kind == MediaKind::Application {
        return Ok(if offered.sctp_port.is_some() {
            Ok(media)
        } else {
            Err(media)
        });
    }
    let policy = if offered.kind == MediaKind::Audio {
        &params.codecs.audio
    } else {
        &params.codecs.video
    };
    media.codecs = policy
        .iter()
        .filter_map(|kind| choose(*kind, &offered.codecs))
        .collect();
    if media.codecs.is_empty() {
        if offered.role == Role::Inactive {
            return Ok(Err(media));
        }
        return Err(SdpError::NoUsableCodec {
            mid: offered.mid.clone(),
            kind: offered.kind,
            offered: offered.codec_names.clone(),
            usable: policy.iter().map(|kind| kind.name().to_owned()).collect(),
        });
    }
    let is_slot = matches!(offered.role, Role::Slot(_));
    for offered in &offered.extensions {
        // A slot is one stream with a declared SSRC: it has no RID.
        if !(is_slot && matches!(offered.extension, Extension::Rid | Extension::RepairedRid)) {
            media.extensions.set(offered.extension, offered.id);
        }
    }
    let transport_cc = media.extensions.id(Extension::TransportCc).is_some();
    for codec in &mut media.codecs {
        codec.transport_cc &= transport_cc;
        codec.remb &= !codec.transport_cc; // one of the two
    }
    // Without these two extensions nobody could tell the layers apart.
    if media.extensions.id(Extension::Rid).is_some() && media.extensions.id(Extension::Mid).is_some() {
        media.rids.clone_from(&offered.rids);
    }
    if let Role::Slot(source) = offered.role {
        let ssrcs = params
            .slots
            .get(&offered.mid)
            .ok_or_else(|| SdpError::SlotWithoutSsrc(offered.mid.clone()))?;
        media.slot = Some(*ssrcs);
        media.msid = Some(slots.next(source));
    }
    Ok(Ok(media))
}

/// The first offered codec of a kind whose parameters we can forward to everybody.
fn choose(kind: CodecKind, offered: &[Codec]) -> Option<Codec> {
    let fits = |codec: &&Codec| {
        codec.kind == kind
            && match kind {
                // Single NAL unit mode is for peers without fragmentation units; nobody's default.
                CodecKind::H264 => parameter(&codec.fmtp, "packetization-mode") == Some("1"),
                CodecKind::Vp9 => parameter(&codec.fmtp, "profile-id").is_none_or(|profile| profile == "0"),
                CodecKind::Av1 => parameter(&codec.fmtp, "profile").is_none_or(|profile| profile == "0"),
                CodecKind::Opus | CodecKind::Red | CodecKind::Vp8 => true,
            }
    };
    // Of several H.264 profiles the constrained baseline: what one sends, the others' decoders take.
    let common = |codec: &&Codec| {
        kind != CodecKind::H264
            || parameter(&codec.fmtp, "profile-level-id").is_some_and(|id| id.to_ascii_lowercase().starts_with("42e0"))
    };
    let mut fitting = offered.iter().filter(fits);
    fitting.clone().find(common).or_else(|| fitting.next()).cloned()
}

/// Names the streams of slots: audio slot k and video slot k share one, so that a browser plays them in sync.
#[derive(Default)]
struct SlotNames {
    met: [usize; 4],
}

impl SlotNames {
    fn next(&mut self, source: Source) -> (String, String) {
        let (at, stream, track) = match source {
            Source::Mic => (0, "slot", "audio"),
            Source::Camera => (1, "slot", "video"),
            Source::ScreenAudio => (2, "screen", "audio"),
            Source::Screen => (3, "screen", "video"),
        };
        let k = self.met[at];
        self.met[at] += 1;
        (format!("{stream}-{k}"), format!("{stream}-{k}-{track}"))
    }
}

fn write(out: &mut String, offer: &Offer, params: &AnswerParams<'_>, media: &[Outcome]) -> std::fmt::Result {
    let (id, version) = params.session;
    write!(
        out,
        "v=0\r\no=- {id} {version} IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n"
    )?;
    if media.iter().any(Result::is_ok) {
        out.push_str("a=group:BUNDLE");
        for agreed in media.iter().flatten() {
            write!(out, " {}", agreed.mid)?;
        }
        out.push_str("\r\n");
    }
    if offer.extmap_allow_mixed {
        out.push_str("a=extmap-allow-mixed\r\n");
    }
    out.push_str("a=msid-semantic: WMS *\r\n");
    let mut candidates_told = params.candidates.is_empty() && params.tcp_candidates.is_empty();
    for (offered, outcome) in offer.media.iter().zip(media) {
        let Ok(agreed) = outcome else {
            reject(out, offered)?;
            continue;
        };
        media_line(out, offered, agreed)?;
        transport(out, params)?;
        if !std::mem::replace(&mut candidates_told, true) {
            candidates(out, params)?; // once: BUNDLE shares them
        }
        if agreed.kind == MediaKind::Application {
            let port = offered.sctp_port.unwrap_or(5000);
            write!(out, "a=sctp-port:{port}\r\na=max-message-size:{MAX_MESSAGE}\r\n")?;
        } else {
            streams(out, offer, offered, agreed, params)?;
        }
    }
    Ok(())
}

fn reject(out: &mut String, offered: &OfferedMedia) -> std::fmt::Result {
    write!(
        out,
        "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\n",
        word(offered.kind),
        offered.protocol,
        offered.first_format,
        offered.mid
    )?;
    if offered.kind != MediaKind::Application {
        out.push_str("a=inactive\r\n");
    }
    Ok(())
}

fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Application => "application",
    }
}

fn media_line(out: &mut String, offered: &OfferedMedia, agreed: &NegotiatedMedia) -> std::fmt::Result {
    write!(out, "m={} 9 {}", word(agreed.kind), offered.protocol)?;
    if agreed.kind == MediaKind::Application {
        write!(out, " {}", offered.first_format)?;
    }
    for codec in &agreed.codecs {
        write!(out, " {}", codec.pt)?;
        if let Some(rtx) = codec.rtx_pt {
            write!(out, " {rtx}")?;
        }
    }
    write!(out, "\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\n", agreed.mid)
}

fn transport(out: &mut String, params: &AnswerParams<'_>) -> std::fmt::Result {
    write!(
        out,
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:passive\r\n",
        params.ice.ufrag, params.ice.pwd, params.fingerprint
    )
}

fn candidates(out: &mut String, params: &AnswerParams<'_>) -> std::fmt::Result {
    for (at, address) in params.candidates.iter().enumerate() {
        // RFC 8445 §5.1.2.1: type preference 126 (host), then our order, component 1.
        let preference = 65_535_u32.saturating_sub(at as u32);
        let priority = (126 << 24) | (preference << 8) | 255;
        write!(
            out,
            "a=candidate:{} 1 udp {priority} {} {} typ host\r\n",
            at + 1,
            address.ip(),
            address.port()
        )?;
    }
    for (at, address) in params.tcp_candidates.iter().enumerate() {
        // RFC 6544 section 4.2: below every UDP candidate; the direction preference of a passive host candidate is 2.
        let preference = 2 << 13 | 8_191_u32.saturating_sub(at as u32);
        let priority = (90 << 24) | (preference << 8) | 255;
        write!(
            out,
            "a=candidate:{} 1 tcp {priority} {} {} typ host tcptype passive\r\n",
            params.candidates.len() + at + 1,
            address.ip(),
            address.port()
        )?;
    }
    out.push_str("a=end-of-candidates\r\n");
    Ok(())
}

fn streams(
    out: &mut String,
    offer: &Offer,
    offered: &OfferedMedia,
    agreed: &NegotiatedMedia,
    params: &AnswerParams<'_>,
) -> std::fmt::Result {
    let direction = match agreed.role {
        Role::Publish(_) => Direction::RecvOnly,
        Role::Slot(_) => Direction::SendOnly,
        Role::Inactive => Direction::Inactive,
    };
    write!(out, "a={}\r\na=rtcp-mux\r\n", direction.name())?;
    if agreed.reduced_size {
        out.push_str("a=rtcp-rsize\r\n");
    }
    if offered.extmap_allow_mixed && !offer.extmap_allow_mixed {
        out.push_str("a=extmap-allow-mixed\r\n");
    }
    for extension in &offered.extensions {
        if agreed.extensions.id(extension.extension).is_some() {
            write!(out, "a=extmap:{}", extension.id)?;
            if let Some(direction) = extension.direction {
                write!(out, "/{}", direction.reversed().name())?;
            }
            write!(out, " {}\r\n", extension.extension.uri())?;
        }
    }
    for codec in &agreed.codecs {
        self::codec(out, codec)?;
    }
    if !agreed.rids.is_empty() {
        for rid in &agreed.rids {
            write!(out, "a=rid:{rid} recv\r\n")?;
        }
        write!(out, "a=simulcast:recv {}\r\n", agreed.rids.join(";"))?;
    }
    if let (Some(slot), Some((stream, track))) = (agreed.slot, &agreed.msid) {
        let has_rtx = agreed.codecs.iter().any(|codec| codec.rtx_pt.is_some());
        write!(out, "a=msid:{stream} {track}\r\n")?;
        if has_rtx {
            // Without this group the browser does not know whose retransmissions they are.
            write!(out, "a=ssrc-group:FID {} {}\r\n", slot.ssrc, slot.rtx)?;
        }
        for ssrc in std::iter::once(slot.ssrc).chain(has_rtx.then_some(slot.rtx)) {
            write!(
                out,
                "a=ssrc:{ssrc} cname:{}\r\na=ssrc:{ssrc} msid:{stream} {track}\r\n",
                params.cname
            )?;
        }
    }
    Ok(())
}

fn codec(out: &mut String, codec: &Codec) -> std::fmt::Result {
    let pt = codec.pt;
    write!(out, "a=rtpmap:{pt} {}/{}", codec.kind.name(), codec.clock_rate)?;
    if codec.channels > 1 {
        write!(out, "/{}", codec.channels)?;
    }
    out.push_str("\r\n");
    // VP8's parameters are the offerer's limits as a receiver (Firefox: max-fs), not ours: not repeated.
    if !codec.fmtp.is_empty() && codec.kind != CodecKind::Vp8 {
        write!(out, "a=fmtp:{pt} {}\r\n", codec.fmtp)?;
    }
    let feedback = [
        (codec.transport_cc, "transport-cc"),
        (codec.fir, "ccm fir"),
        (codec.nack, "nack"),
        (codec.pli, "nack pli"),
    ];
    for (_, what) in feedback.iter().filter(|(agreed, _)| *agreed) {
        write!(out, "a=rtcp-fb:{pt} {what}\r\n")?;
    }
    if let Some(rtx) = codec.rtx_pt {
        write!(
            out,
            "a=rtpmap:{rtx} rtx/{}\r\na=fmtp:{rtx} apt={pt}\r\n",
            codec.clock_rate
        )?;
    }
    Ok(())
}
