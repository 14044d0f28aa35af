//! What is fuzzed. A target makes its state once and then takes one input after the other; it panics when something is wrong
//! and otherwise says what kind of behaviour it saw, as a number: inputs of a new kind are mutated further.

mod door;
mod media;
mod member;
mod reach;
mod relays;
mod script;
mod sctp;
mod shard;
mod signalled;

/// Takes one input.
pub(crate) type Execute = Box<dyn FnMut(&[u8]) -> u64>;

/// One target.
pub(crate) struct Target {
    /// Its name, and that of its folder in the corpus.
    pub(crate) name: &'static str,
    /// How much dearer it is than a parser.
    pub(crate) cost: u64,
    /// Makes its state.
    pub(crate) start: fn() -> Execute,
}

const fn parser(name: &'static str, start: fn() -> Execute) -> Target {
    Target { name, cost: 1, start }
}

/// All of them, the dearest first: they run beside the others.
pub(crate) const ALL: [Target; 19] = [
    Target {
        name: "shard",
        cost: 10,
        start: shard::start,
    },
    Target {
        name: "shards",
        cost: 10,
        start: shard::start_spanned,
    },
    Target {
        name: "sctp",
        cost: 4,
        start: sctp::start,
    },
    Target {
        name: "turn-member",
        cost: 10,
        start: member::start,
    },
    Target {
        name: "door",
        cost: 4,
        start: door::start,
    },
    parser("dtls", reach::dtls),
    parser("stun", reach::stun),
    parser("sdp", signalled::sdp),
    parser("frames", signalled::frames),
    parser("turn", reach::turn),
    parser("turn-stream", reach::turn_stream),
    parser("rtp", media::rtp),
    parser("rtcp", media::rtcp),
    parser("dependency", media::dependency),
    parser("vp8", media::vp8),
    parser("vp9", media::vp9),
    parser("av1", media::av1),
    parser("h264", media::h264),
    parser("red", media::red),
];

/// Mixes facts into a kind of behaviour. Numbers are taken by their size only, or every input would be of a new kind.
#[derive(Default)]
pub(crate) struct Kind(u64);

impl Kind {
    pub(crate) fn size(mut self, value: usize) -> Self {
        self.0 = self.0.wrapping_mul(67) ^ u64::from(usize::BITS - value.leading_zeros());
        self
    }

    pub(crate) fn is(mut self, flag: bool) -> Self {
        self.0 = self.0.wrapping_mul(67) ^ u64::from(flag) ^ 0x40;
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0 = self.0.wrapping_mul(67) ^ crate::mutate::hash(text.as_bytes());
        self
    }

    pub(crate) fn done(self) -> u64 {
        self.0
    }
}
