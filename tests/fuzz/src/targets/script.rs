//! What a play is made of: offers with which people join, its bytes, its chances.

use sfu_core::sdp::Extension;
use sfu_core::types::Random;

const CHROMIUM: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/chromium-call.sdp");
const FIREFOX: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/firefox-call.sdp");
const WHIP: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/chromium-whip.sdp");
const WHEP: &str = include_str!("../../../../sfu/core/src/sdp/fixtures/firefox-whep.sdp");

/// The m-lines of a call that are kept: microphone, camera, two slots for sound and two for pictures. All 20 of them would
/// take most of the time.
const KEPT: [usize; 6] = [0, 1, 4, 5, 9, 10];

/// The offers with which people join.
pub(super) fn offers() -> [String; 4] {
    let short = |sdp: &str| {
        let mut sections = sdp.split("\r\nm=");
        let mut text = sections.next().unwrap_or_default().to_owned();
        for (_, section) in sections.enumerate().filter(|(at, _)| KEPT.contains(at)) {
            text.push_str("\r\nm=");
            text.push_str(section);
        }
        text + "\r\n"
    };
    // Without simulcast Chromium does not offer the descriptor; a publisher may.
    let described = |sdp: &str| {
        sdp.replace(
            "a=mid:1\r\n",
            &format!("a=mid:1\r\na=extmap:12 {}\r\n", DESCRIPTOR.uri()),
        )
    };
    [short(CHROMIUM), short(FIREFOX), described(WHIP), described(WHEP)]
}

const DESCRIPTOR: Extension = Extension::DependencyDescriptor;

/// xorshift: repeats from its seed.
pub(super) struct Seeded(pub(super) u64);

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = (self.0 >> 32) as u8;
        }
    }
}

/// The bytes of a play. At the end there is silence.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl<'a> Script<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub(super) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(super) fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }
}
