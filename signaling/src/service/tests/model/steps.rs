//! What may happen, and how it is drawn.

use proptest::prelude::*;

use super::PEOPLE;
use super::reference::{Path, Tab, Who};
use crate::protocol::{MediaSource, RejectReason};

/// Picks one of the newest calls; 0 is the newest.
pub(super) type Pick = usize;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Start {
        who: Who,
        tab: Tab,
        chat: usize,
        invitees: Option<Vec<Who>>,
        leave: Option<Pick>,
    },
    Enter {
        who: Who,
        tab: Tab,
        call: Pick,
        accept: bool,
        takeover: bool,
        wait: bool,
        leave: Option<Pick>,
    },
    Reject {
        who: Who,
        call: Pick,
        reason: RejectReason,
    },
    End {
        who: Who,
        call: Pick,
    },
    Leave {
        who: Who,
        tab: Tab,
        call: Pick,
    },
    RingAck {
        who: Who,
        call: Pick,
    },
    Invite {
        who: Who,
        call: Pick,
        whom: Who,
    },
    Kick {
        who: Who,
        call: Pick,
        whom: Who,
    },
    Mute {
        who: Who,
        call: Pick,
        whom: Who,
        source: MediaSource,
        on: bool,
    },
    Lock {
        who: Who,
        call: Pick,
        on: bool,
    },
    Admit {
        who: Who,
        call: Pick,
        whom: Who,
    },
    Deny {
        who: Who,
        call: Pick,
        whom: Who,
    },
    Stay {
        who: Who,
        call: Pick,
    },
    Hand {
        who: Who,
        call: Pick,
        whom: Who,
        up: bool,
    },
    Socket {
        who: Who,
        tab: Tab,
        up: bool,
    },
    Media {
        who: Who,
        call: Pick,
        path: Path,
    },
    Terminated {
        call: Pick,
    },
    RoomFailed {
        call: Pick,
    },
    Restart,
    /// Time passes, and the sweep comes in time.
    Wait {
        ms: i64,
    },
    /// Time passes, and the sweep is late.
    Stall {
        ms: i64,
    },
}

fn who() -> impl Strategy<Value = Who> {
    0..PEOPLE
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![3 => Just(0usize), 2 => 0..6usize]
}

fn seldom<T: std::fmt::Debug + Clone>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.25, of)
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![0..3_000i64, 0..40_000i64, 0..400_000i64]
}

fn step() -> impl Strategy<Value = Step> {
    let chat = 0..super::places().len();
    let some = prop::collection::vec(who(), 0..4);
    let chance = |of: f64| prop::bool::weighted(of);
    let entering = (
        who(),
        0..2usize,
        pick(),
        any::<bool>(),
        chance(0.2),
        chance(0.3),
        seldom(pick()),
    );
    let reason = prop::sample::select(vec![RejectReason::Declined, RejectReason::Busy, RejectReason::Timeout]);
    let path = prop::sample::select(vec![Path::Flows, Path::Flows, Path::Flows, Path::Silent, Path::Never]);
    let source = prop::sample::select(vec![MediaSource::Mic, MediaSource::Camera]);
    let calls = prop_oneof![
        24 => (who(), 0..2usize, chat, seldom(some), seldom(pick()))
            .prop_map(|(who, tab, chat, invitees, leave)| Step::Start { who, tab, chat, invitees, leave }),
        40 => entering.prop_map(|(who, tab, call, accept, takeover, wait, leave)| {
            Step::Enter { who, tab, call, accept, takeover, wait, leave }
        }),
        9 => (who(), pick(), reason).prop_map(|(who, call, reason)| Step::Reject { who, call, reason }),
        3 => (who(), pick()).prop_map(|(who, call)| Step::End { who, call }),
        9 => (who(), 0..2usize, pick()).prop_map(|(who, tab, call)| Step::Leave { who, tab, call }),
        4 => (who(), pick()).prop_map(|(who, call)| Step::RingAck { who, call }),
        8 => (who(), pick(), who()).prop_map(|(who, call, whom)| Step::Invite { who, call, whom }),
    ];
    let moderation = prop_oneof![
        3 => (who(), pick(), who()).prop_map(|(who, call, whom)| Step::Kick { who, call, whom }),
        3 => (who(), pick(), who(), source, any::<bool>())
            .prop_map(|(who, call, whom, source, on)| Step::Mute { who, call, whom, source, on }),
        5 => (who(), pick(), any::<bool>()).prop_map(|(who, call, on)| Step::Lock { who, call, on }),
        4 => (who(), pick(), who()).prop_map(|(who, call, whom)| Step::Admit { who, call, whom }),
        2 => (who(), pick(), who()).prop_map(|(who, call, whom)| Step::Deny { who, call, whom }),
        2 => (who(), pick()).prop_map(|(who, call)| Step::Stay { who, call }),
        3 => (who(), pick(), who(), any::<bool>())
            .prop_map(|(who, call, whom, up)| Step::Hand { who, call, whom, up }),
    ];
    let world = prop_oneof![
        12 => (who(), 0..2usize, any::<bool>()).prop_map(|(who, tab, up)| Step::Socket { who, tab, up }),
        16 => (who(), pick(), path).prop_map(|(who, call, path)| Step::Media { who, call, path }),
        1 => pick().prop_map(|call| Step::Terminated { call }),
        1 => pick().prop_map(|call| Step::RoomFailed { call }),
        2 => Just(Step::Restart),
        16 => time().prop_map(|ms| Step::Wait { ms }),
        5 => time().prop_map(|ms| Step::Stall { ms }),
    ];
    prop_oneof![5 => calls, 1 => moderation, 3 => world]
}

/// Up to so many steps.
pub(super) fn some(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..most)
}
