//! What comes over the WebSocket: frames, commands, session descriptions.

use std::collections::BTreeMap;

use sfu_core::sdp::{
    AnswerParams, CodecKind, CodecPolicy, FurtherLines, OfferRules, Role, SlotSsrcs, answer, parse_offer,
};
use sfu_core::transport::{Fingerprint, IceCredentials};
use signaling::protocol::{ClientFrame, Command};

use super::{Execute, Kind};

pub(super) fn sdp() -> Execute {
    let codecs = CodecPolicy {
        audio: vec![CodecKind::Red, CodecKind::Opus],
        video: vec![CodecKind::Vp9, CodecKind::H264, CodecKind::Av1, CodecKind::Vp8],
    };
    let ice = IceCredentials {
        ufrag: "AQAAAAAAAAAAABCD".to_owned(),
        pwd: "a password of the server".to_owned(),
    };
    Box::new(move |input| {
        let text = String::from_utf8_lossy(input);
        let mids = BTreeMap::new();
        let rules = OfferRules {
            mids: &mids,
            further_lines: FurtherLines::Screen,
            publish: true,
            subscribe: true,
        };
        let offer = match parse_offer(&text, &rules) {
            Ok(offer) => offer,
            // The words without the numbers and names in them.
            Err(error) => {
                let words: String = error
                    .to_string()
                    .chars()
                    .take_while(|c| !c.is_ascii_digit())
                    .take(40)
                    .collect();
                return Kind::default().text(&words).done();
            }
        };
        let slots = offer.media.iter().filter(|media| matches!(media.role, Role::Slot(_)));
        let slots = slots
            .map(|media| {
                (
                    media.mid.clone(),
                    SlotSsrcs {
                        ssrc: 1_000,
                        rtx: 1_001,
                    },
                )
            })
            .collect();
        let params = AnswerParams {
            ice: &ice,
            fingerprint: &Fingerprint([7; 32]),
            candidates: &[],
            tcp_candidates: &[],
            slots: &slots,
            cname: "ringhall",
            codecs: &codecs,
            session: (1, 1),
        };
        let kind = Kind::default().size(offer.media.len());
        match answer(&offer, &params) {
            Ok((answer, agreed)) => {
                assert!(answer.len() < 4 * input.len() + 4_096, "the answer stays in proportion");
                assert!(
                    !answer.replace("\r\n", "").contains(['\r', '\n']),
                    "no line is smuggled in"
                );
                let codecs: usize = agreed.media.iter().map(|media| media.codecs.len()).sum();
                let rids: usize = agreed.media.iter().map(|media| media.rids.len()).sum();
                kind.size(codecs).size(rids).done()
            }
            Err(error) => kind
                .text(&error.to_string().chars().take(20).collect::<String>())
                .done(),
        }
    })
}

pub(super) fn frames() -> Execute {
    Box::new(|input| {
        let text = String::from_utf8_lossy(input);
        match serde_json::from_str::<ClientFrame>(&text) {
            Ok(ClientFrame::Req(request)) => {
                let op = request.op.chars().take(24).collect::<String>();
                let whole = serde_json::json!({ "op": request.op, "d": request.d });
                match serde_json::from_value::<Command>(whole) {
                    Ok(command) => {
                        // What was understood can be said again, and means the same.
                        let again = serde_json::to_value(&command).and_then(serde_json::from_value::<Command>);
                        assert!(again.is_ok_and(|again| format!("{again:?}") == format!("{command:?}")));
                        Kind::default().text("command").text(&op).done()
                    }
                    Err(error) => {
                        let words: String = error
                            .to_string()
                            .chars()
                            .filter(|c| c.is_alphabetic())
                            .take(24)
                            .collect();
                        Kind::default().text("refused").text(&words).done()
                    }
                }
            }
            Ok(ClientFrame::Hello(hello)) => Kind::default().text("hello").is(hello.resume.is_some()).done(),
            Ok(ClientFrame::Pong { .. }) => Kind::default().text("pong").done(),
            Err(error) => {
                let words: String = error
                    .to_string()
                    .chars()
                    .filter(|c| c.is_alphabetic())
                    .take(24)
                    .collect();
                Kind::default().text(&words).done()
            }
        }
    })
}
