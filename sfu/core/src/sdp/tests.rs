//! Offers that Chromium 156 and Firefox ESR 153 made, and the answers to them, read back by the SDP crate's parser.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::transport::{Fingerprint, IceCredentials};
use crate::types::Source;

const CHROMIUM_CALL: &str = include_str!("fixtures/chromium-call.sdp");
const FIREFOX_CALL: &str = include_str!("fixtures/firefox-call.sdp");
const CHROMIUM_WHIP: &str = include_str!("fixtures/chromium-whip.sdp");
const FIREFOX_WHIP: &str = include_str!("fixtures/firefox-whip.sdp");
const CHROMIUM_WHEP: &str = include_str!("fixtures/chromium-whep.sdp");
const FIREFOX_WHEP: &str = include_str!("fixtures/firefox-whep.sdp");
const ALL: [&str; 6] = [
    CHROMIUM_CALL,
    FIREFOX_CALL,
    CHROMIUM_WHIP,
    FIREFOX_WHIP,
    CHROMIUM_WHEP,
    FIREFOX_WHEP,
];

fn parse_as(sdp: &str, publish: bool, subscribe: bool) -> Result<Offer, SdpError> {
    let mids = BTreeMap::new();
    parse_offer(
        sdp,
        &OfferRules {
            mids: &mids,
            further_lines: FurtherLines::Screen,
            publish,
            subscribe,
        },
    )
}

fn parse(sdp: &str) -> Result<Offer, SdpError> {
    parse_as(sdp, true, true)
}

fn slots_for(offer: &Offer) -> BTreeMap<String, SlotSsrcs> {
    let slots = offer.media.iter().filter(|m| matches!(m.role, Role::Slot(_)));
    slots
        .enumerate()
        .map(|(i, m)| {
            (
                m.mid.clone(),
                SlotSsrcs {
                    ssrc: 1000 + i as u32,
                    rtx: 5000 + i as u32,
                },
            )
        })
        .collect()
}

fn answer_with(offer: &Offer, codecs: &CodecPolicy) -> Result<(String, Negotiated), SdpError> {
    let candidates: [SocketAddr; 2] = [([10, 77, 0, 1], 4000).into(), "[2001:db8::1]:4000".parse().unwrap()];
    answer(
        offer,
        &AnswerParams {
            ice: &IceCredentials {
                ufrag: "AQAAAAAAAAAAABCD".into(),
                pwd: "a password of the server".into(),
            },
            fingerprint: &Fingerprint([0xAB; 32]),
            candidates: &candidates,
            tcp_candidates: &[([10, 77, 0, 1], 443).into()],
            slots: &slots_for(offer),
            cname: "ringhall",
            codecs,
            session: (77, 2),
        },
    )
}

fn answered(offer: &Offer) -> (String, Negotiated) {
    answer_with(offer, &CodecPolicy::default()).unwrap()
}

/// The lines of the media section with this mid.
fn section<'a>(answer: &'a str, mid: &str) -> Vec<&'a str> {
    let wanted = format!("a=mid:{mid}");
    let sections: Vec<Vec<&str>> = answer.split("\r\nm=").skip(1).map(|s| s.lines().collect()).collect();
    sections
        .into_iter()
        .find(|lines| lines.contains(&wanted.as_str()))
        .unwrap()
}

#[test]
fn a_room_clients_offer_says_what_each_line_is_for_in_both_browsers() {
    for sdp in [CHROMIUM_CALL, FIREFOX_CALL] {
        let roles: Vec<Role> = parse(sdp).unwrap().media.iter().map(|m| m.role).collect();
        let mut expected = vec![
            Role::Publish(Source::Mic),
            Role::Publish(Source::Camera),
            Role::Publish(Source::Screen),
            Role::Publish(Source::ScreenAudio),
        ];
        // Without names from the client, further receive lines are the screen's.
        expected.push(Role::Slot(Source::Mic));
        expected.extend([Role::Slot(Source::ScreenAudio); 4]);
        expected.push(Role::Slot(Source::Camera));
        expected.extend([Role::Slot(Source::Screen); 10]);
        expected.extend([Role::Slot(Source::ScreenAudio); 2]);
        expected.push(Role::Inactive);
        assert_eq!(roles, expected);
    }
}

/// The names that the room client sends along.
fn call_mids() -> BTreeMap<String, Source> {
    let sources = std::iter::empty()
        .chain([Source::Mic, Source::Camera, Source::Screen, Source::ScreenAudio])
        .chain([Source::Mic; 5])
        .chain([Source::Camera; 9])
        .chain([Source::Screen; 2])
        .chain([Source::ScreenAudio; 2]);
    sources
        .enumerate()
        .map(|(mid, source)| (mid.to_string(), source))
        .collect()
}

fn parse_call(sdp: &str) -> Offer {
    let rules = OfferRules {
        mids: &call_mids(),
        further_lines: FurtherLines::Screen,
        publish: true,
        subscribe: true,
    };
    parse_offer(sdp, &rules).unwrap()
}

#[test]
fn audio_slot_k_and_video_slot_k_share_one_stream() {
    for sdp in [CHROMIUM_CALL, FIREFOX_CALL] {
        let (text, negotiated) = answered(&parse_call(sdp));
        let msid = |mid: &str| {
            negotiated
                .media
                .iter()
                .find(|m| m.mid == mid)
                .unwrap()
                .msid
                .clone()
                .unwrap()
        };
        for k in 0..5 {
            assert_eq!(
                msid(&(4 + k).to_string()),
                (format!("slot-{k}"), format!("slot-{k}-audio"))
            );
        }
        for k in 0..9 {
            assert_eq!(
                msid(&(9 + k).to_string()),
                (format!("slot-{k}"), format!("slot-{k}-video"))
            );
        }
        assert_eq!(msid("18").0, msid("20").0, "screen and its sound");
        assert!(section(&text, "9").contains(&"a=msid:slot-0 slot-0-video"));
    }
}

#[test]
fn a_source_named_for_a_line_of_the_other_kind_is_refused() {
    let mids = BTreeMap::from([("0".to_owned(), Source::Camera)]);
    let rules = OfferRules {
        mids: &mids,
        further_lines: FurtherLines::Screen,
        publish: true,
        subscribe: true,
    };
    assert!(
        matches!(parse_offer(CHROMIUM_CALL, &rules), Err(SdpError::Unsupported { mid: Some(mid), .. }) if mid == "0")
    );
}

#[test]
fn an_answer_has_what_the_protocol_promises() {
    for (sdp, vp8, rtx, opus) in [(CHROMIUM_CALL, 96, 97, 111), (FIREFOX_CALL, 120, 124, 109)] {
        let offer = parse_call(sdp);
        let (text, negotiated) = answered(&offer);
        let session = text.split("\r\nm=").next().unwrap();
        assert!(session.contains("\r\na=ice-lite\r\n") && session.contains("o=- 77 2 "));
        let everything = (0..23).map(|mid| mid.to_string()).collect::<Vec<_>>().join(" ");
        assert!(session.contains(&format!("a=group:BUNDLE {everything}\r\n")));
        assert_eq!(
            text.matches("a=extmap-allow-mixed").count() > 0,
            sdp.contains("a=extmap-allow-mixed")
        );
        assert_eq!(text.matches("a=setup:passive").count(), 23);
        assert_eq!(text.matches("a=end-of-candidates").count(), 1);
        assert!(text.contains("a=candidate:1 1 udp 2130706431 10.77.0.1 4000 typ host\r\n"));
        assert!(text.contains(" 2001:db8::1 4000 typ host\r\n"));
        assert!(text.contains("a=candidate:3 1 tcp 1516240895 10.77.0.1 443 typ host tcptype passive\r\n"));

        let camera = section(&text, "1");
        assert_eq!(camera[0], format!("video 9 UDP/TLS/RTP/SAVPF {vp8} {rtx}"));
        for line in [
            "a=recvonly",
            "a=rtcp-mux",
            "a=rid:q recv",
            "a=rid:h recv",
            "a=rid:f recv",
            "a=simulcast:recv q;h;f",
        ] {
            assert!(camera.contains(&line), "{line} in {camera:#?}");
        }
        assert!(camera.contains(&format!("a=fmtp:{rtx} apt={vp8}").as_str()));
        assert!(!camera.iter().any(|line| line.starts_with("a=ssrc")));

        let slot = section(&text, "9");
        let NegotiatedMedia {
            slot: Some(SlotSsrcs { ssrc, rtx: repair }),
            ..
        } = negotiated.media[9]
        else {
            panic!()
        };
        for line in [
            "a=sendonly".to_owned(),
            format!("a=ssrc-group:FID {ssrc} {repair}"),
            format!("a=ssrc:{ssrc} cname:ringhall"),
            format!("a=ssrc:{ssrc} msid:slot-0 slot-0-video"),
            format!("a=ssrc:{repair} cname:ringhall"),
            format!("a=ssrc:{repair} msid:slot-0 slot-0-video"),
            format!("a=rtcp-fb:{vp8} nack"),
            format!("a=rtcp-fb:{vp8} nack pli"),
        ] {
            assert!(slot.contains(&line.as_str()), "{line} in {slot:#?}");
        }
        assert!(
            !slot.iter().any(|line| line.contains("rtp-stream-id")),
            "a slot has no RID"
        );

        let audio = section(&text, "4");
        assert_eq!(audio[0], format!("audio 9 UDP/TLS/RTP/SAVPF {opus}"));
        assert!(audio.contains(&format!("a=rtpmap:{opus} opus/48000/2").as_str()));
        assert!(!audio.iter().any(|line| line.contains("FID")), "Opus has no RTX");

        let data = section(&text, "22");
        assert_eq!(data[0], "application 9 UDP/DTLS/SCTP webrtc-datachannel");
        assert!(data.contains(&"a=sctp-port:5000"));
    }
}

#[test]
fn extension_ids_are_the_offers_and_directions_are_turned_round() {
    let offer = parse_call(FIREFOX_CALL);
    let (text, negotiated) = answered(&offer);
    let camera = section(&text, "1");
    assert!(
        camera.contains(&"a=extmap:9/recvonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
        "{camera:#?}"
    );
    let ids = negotiated.media[1].extensions;
    assert_eq!(
        (ids.id(Extension::Rid), ids.extension(9)),
        (Some(9), Some(Extension::Rid))
    );
    assert_eq!(ids.id(Extension::PlayoutDelay), None, "Firefox only receives it");
    assert_eq!(ids.extension(0), None);
    let offer = parse_call(CHROMIUM_CALL);
    let (_, negotiated) = answered(&offer);
    for (extension, id) in [
        (Extension::Mid, 4),
        (Extension::Rid, 10),
        (Extension::RepairedRid, 11),
        (Extension::TransportCc, 3),
    ] {
        assert_eq!(negotiated.media[1].extensions.id(extension), Some(id));
    }
    assert_eq!(negotiated.media[0].extensions.id(Extension::AudioLevel), Some(1));
}

#[test]
fn every_answer_is_read_by_another_parser_and_mirrors_the_offer() {
    for sdp in ALL {
        let offer = parse(sdp).unwrap();
        let (text, negotiated) = answered(&offer);
        let read = ::sdp::SessionDescription::unmarshal(&mut std::io::Cursor::new(text.as_bytes())).unwrap();
        assert_eq!(read.media_descriptions.len(), offer.media.len());
        for ((theirs, ours), agreed) in read.media_descriptions.iter().zip(&offer.media).zip(&negotiated.media) {
            assert_eq!(theirs.attribute("mid").flatten(), Some(ours.mid.as_str()));
            let offered: Vec<u8> = ours
                .codecs
                .iter()
                .flat_map(|c| [Some(c.pt), c.rtx_pt])
                .flatten()
                .collect();
            for format in agreed.codecs.iter().flat_map(|c| [Some(c.pt), c.rtx_pt]).flatten() {
                assert!(offered.contains(&format));
                assert!(theirs.media_name.formats.contains(&format.to_string()));
            }
        }
    }
}

#[test]
fn whip_and_whep_offers_are_taken_by_their_grants() {
    for sdp in [CHROMIUM_WHIP, FIREFOX_WHIP] {
        let offer = parse_as(sdp, true, false).unwrap();
        assert_eq!(
            [offer.media[0].role, offer.media[1].role],
            [Role::Publish(Source::Mic), Role::Publish(Source::Camera)]
        );
        assert_eq!(offer.media[1].ssrcs.streams.len(), 1, "{:?}", offer.media[1].ssrcs);
        assert!(offer.media[1].ssrcs.streams[0].1.is_some(), "with its RTX");
        let both_ways = sdp.replace("a=sendonly", "a=sendrecv");
        assert_eq!(
            parse_as(&both_ways, true, true).unwrap().media[1].role,
            Role::Publish(Source::Camera)
        );
        assert_eq!(
            parse_as(&both_ways, false, true).unwrap().media[1].role,
            Role::Slot(Source::Camera)
        );
        assert_eq!(parse_as(sdp, false, true).unwrap().media[1].role, Role::Inactive);
        let (text, _) = answered(&parse_as(sdp, false, false).unwrap());
        assert_eq!(text.matches("a=inactive").count(), 2);
    }
    for sdp in [CHROMIUM_WHEP, FIREFOX_WHEP] {
        let offer = parse_as(sdp, false, true).unwrap();
        assert_eq!(
            [offer.media[0].role, offer.media[1].role],
            [Role::Slot(Source::Mic), Role::Slot(Source::Camera)]
        );
    }
}

#[test]
fn further_lines_of_a_whep_viewer_are_other_people() {
    let mids = BTreeMap::new();
    let rules = OfferRules {
        mids: &mids,
        further_lines: FurtherLines::People,
        publish: false,
        subscribe: true,
    };
    let offer = parse_offer(CHROMIUM_CALL, &rules).unwrap();
    assert!(offer.media[9..20].iter().all(|m| m.role == Role::Slot(Source::Camera)));
}

#[test]
fn no_usable_codec_is_named() {
    let offer = parse(CHROMIUM_WHIP).unwrap();
    let policy = CodecPolicy {
        audio: vec![CodecKind::Opus],
        video: vec![CodecKind::H264],
    };
    assert_eq!(
        answer_with(&offer, &policy).unwrap().1.media[1].codecs[0].kind,
        CodecKind::H264
    );
    let without = CHROMIUM_WHIP.replace("VP8/90000", "H263/90000");
    let error = answered_error(&without);
    assert!(matches!(&error, SdpError::NoUsableCodec { kind: MediaKind::Video, usable, .. } if usable == &["VP8"]));
    assert!(
        error.to_string().contains("H263") && error.to_string().contains("VP8"),
        "{error}"
    );
}

fn answered_error(sdp: &str) -> SdpError {
    answer_with(&parse(sdp).unwrap(), &CodecPolicy::default()).unwrap_err()
}

#[test]
fn a_policy_may_take_several_codecs_the_best_first() {
    let offer = parse(CHROMIUM_WHIP).unwrap();
    let policy = CodecPolicy {
        audio: vec![CodecKind::Red, CodecKind::Opus],
        video: vec![CodecKind::Vp9, CodecKind::Vp8, CodecKind::Av1],
    };
    let (_, negotiated) = answer_with(&offer, &policy).unwrap();
    let kinds = |at: usize| negotiated.media[at].codecs.iter().map(|c| c.kind).collect::<Vec<_>>();
    assert_eq!(kinds(0), [CodecKind::Red, CodecKind::Opus]);
    assert_eq!(kinds(1), [CodecKind::Vp9, CodecKind::Vp8, CodecKind::Av1]);
}

#[test]
fn what_is_missing_is_named() {
    for (remove, named) in [
        ("a=ice-ufrag", "ice-ufrag"),
        ("a=ice-pwd", "ice-pwd"),
        ("a=fingerprint", "fingerprint"),
        ("a=rtcp-mux", "rtcp-mux"),
        ("a=mid", "mid"),
        ("a=group", "BUNDLE"),
    ] {
        for sdp in ALL {
            let cut: String = sdp
                .lines()
                .filter(|l| !l.starts_with(remove))
                .map(|l| format!("{l}\r\n"))
                .collect();
            let error = parse(&cut).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("missing"), "{error}");
        }
    }
    let sha1 = CHROMIUM_WHIP.replace("sha-256", "sha-1");
    assert!(parse(&sha1).unwrap_err().to_string().contains("sha-256"));
    assert!(matches!(
        parse("v=0\r\n"),
        Err(SdpError::Missing {
            what: "a media section",
            ..
        })
    ));
    let passive = CHROMIUM_WHIP.replace("setup:actpass", "setup:passive");
    assert!(matches!(parse(&passive), Err(SdpError::Unsupported { .. })));
    let plain = CHROMIUM_WHIP.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP");
    assert!(matches!(parse(&plain), Err(SdpError::Unsupported { .. })));
    let twice = CHROMIUM_WHIP.replace("a=mid:1", "a=mid:0");
    assert!(matches!(parse(&twice), Err(SdpError::Malformed { .. })));
}

#[test]
fn a_stopped_line_is_rejected_and_stays_out_of_the_bundle() {
    let stopped = CHROMIUM_WHIP
        .replace("m=audio 9", "m=audio 0")
        .replace("BUNDLE 0 1", "BUNDLE 1");
    let (text, negotiated) = answered(&parse(&stopped).unwrap());
    assert!(
        text.contains("a=group:BUNDLE 1\r\n") && text.contains("m=audio 0 "),
        "{text}"
    );
    assert_eq!(negotiated.media[0].role, Role::Inactive);
    assert!(section(&text, "1").iter().any(|l| l.starts_with("a=candidate")));
}

#[test]
fn a_slot_without_ssrcs_is_the_callers_mistake_and_says_so() {
    let offer = parse(CHROMIUM_WHEP).unwrap();
    let params = AnswerParams {
        ice: &offer.ice.clone(),
        fingerprint: &Fingerprint([0; 32]),
        candidates: &[],
        tcp_candidates: &[],
        slots: &BTreeMap::new(),
        cname: "x",
        codecs: &CodecPolicy::default(),
        session: (1, 1),
    };
    assert_eq!(answer(&offer, &params), Err(SdpError::SlotWithoutSsrc("0".into())));
}

/// 512 KiB of whatever costs most: time grows with the size, not with its square.
#[test]
#[allow(clippy::disallowed_methods)] // measures real time
fn the_largest_offers_are_read_in_bounded_time() {
    let head = CHROMIUM_WHIP;
    for line in [
        "a=ssrc:1 cname:x\r\n",
        "a=rtpmap:96 VP8/90000\r\n",
        "a=rtcp-fb:* nack\r\n",
        "a=extmap:7 urn:x\r\n",
        "a=rid:q send\r\n",
        "a=ssrc-group:FID 1 2 3 4 5 6 7 8 9\r\n",
        "a=x\r\n",
        "b=x\r\n",
    ] {
        let sdp = format!("{head}{}", line.repeat((MAX_SDP_BYTES - head.len()) / line.len()));
        let start = std::time::Instant::now();
        if let Ok(offer) = parse(&sdp) {
            let (text, _) = answered(&offer);
            assert!(text.len() < 2 * sdp.len());
        }
        assert!(start.elapsed().as_secs() < 5, "{line:?} took {:?}", start.elapsed());
    }
    let many: String = (0..40_000).map(|i| format!("a=ssrc:{i} x\r\n")).collect();
    let start = std::time::Instant::now();
    let _ = parse(&format!("{head}{}", &many[..MAX_SDP_BYTES - head.len()]));
    assert!(start.elapsed().as_secs() < 5);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(?s).{0,400}") {
        let _ = parse(&text);
    }

    #[test]
    fn arbitrary_lines_never_panic(
        lines in prop::collection::vec(
            "(m=(audio|video|application) [0-9]{1,5} (UDP/TLS/RTP/SAVPF|UDP/DTLS/SCTP) [0-9 ]{1,12})|a=(mid|rid|ssrc|ssrc-group|extmap|rtpmap|fmtp|rtcp-fb|simulcast|group|setup|sctp-port|fingerprint):[ -~]{0,40}|[a-z]=[ -~]{0,20}",
            0..40,
        ),
    ) {
        let _ = parse(&format!("v=0\r\n{}", lines.join("\r\n")));
    }

    #[test]
    fn a_damaged_offer_never_panics_and_its_answer_stays_bounded(
        which in 0usize..6, cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = ALL[which].as_bytes().to_vec();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(offer) = parse(&text)
            && let Ok((answer, _)) = answer_with(&offer, &CodecPolicy::default())
        {
            prop_assert!(answer.len() < 4 * text.len());
            prop_assert!(!answer.replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
