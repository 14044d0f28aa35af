//! The offer of a Chromium that joins a call, read and answered.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use sfu_core::sdp::{AnswerParams, CodecPolicy, FurtherLines, OfferRules, Role, SlotSsrcs, answer, parse_offer};
use sfu_core::transport::{IceCredentials, Identity};

use super::support::{Seeded, server};
use super::{Watch, Work};

/// As Chromium 156 made it, from the tests of `sfu-core`.
const OFFER: &str = include_str!("../../../sfu/core/src/sdp/fixtures/chromium-call.sdp");

pub(crate) struct Answer;

impl Work for Answer {
    fn run(&mut self, count: u64) -> Duration {
        let identity = Identity::generate().unwrap();
        let ice = IceCredentials::with_random_pwd("benchmark".into(), &mut Seeded(7));
        let mids = BTreeMap::new();
        let rules = OfferRules {
            mids: &mids,
            further_lines: FurtherLines::Screen,
            publish: true,
            subscribe: true,
        };
        let codecs = CodecPolicy::default();
        Watch::default().repeat(count, 1, || {
            let offer = parse_offer(black_box(OFFER), &rules).unwrap();
            let slots = offer.media.iter().filter(|media| matches!(media.role, Role::Slot(_)));
            let ssrcs = |(at, media): (usize, &sfu_core::sdp::OfferedMedia)| {
                let ssrc = at as u32 * 2 + 1;
                (media.mid.clone(), SlotSsrcs { ssrc, rtx: ssrc + 1 })
            };
            let slots = slots.enumerate().map(ssrcs).collect();
            let params = AnswerParams {
                ice: &ice,
                fingerprint: identity.fingerprint(),
                candidates: &[server()],
                tcp_candidates: &[],
                slots: &slots,
                cname: "benchmark",
                codecs: &codecs,
                session: (1, 1),
            };
            let (sdp, negotiated) = answer(&offer, &params).unwrap();
            assert!(sdp.len() > 1_000 && negotiated.media.len() == offer.media.len());
        })
    }
}
