//! What calls are, told a second time: from the tables of the design, not from the code. Plain, slow and complete, with
//! numbers for people, tabs, chats and calls.

use std::collections::{BTreeMap, BTreeSet};

use crate::calls::CallConfig;
use crate::protocol::{CallStatus, ChatType, EndReason, ErrorCode, MediaSource, ParticipantStatus};

pub(super) type Who = usize;
pub(super) type Tab = usize;
/// What a command is answered with.
pub(super) type Answer = Result<&'static str, ErrorCode>;

/// Who may be where.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: ChatType,
    /// Everybody in it; true: owner or admin.
    pub(super) members: BTreeMap<Who, bool>,
    pub(super) lobby: bool,
}

/// The one who came by a link, everywhere.
pub(super) const GUEST: Who = 4;

/// A rule that the reference gets wrong on purpose, to see that the comparison notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// A decline that comes late ends the call.
    LateDeclineEnds,
    /// A call that everybody declined goes on ringing.
    RingsForEver,
    /// A second start while it rings makes a second call.
    SecondStart,
    /// Talk begins with the ring.
    TalkFromRing,
    /// Who was removed may come back.
    KickedMayReturn,
    /// A seat is given up although media flows.
    GivenUpEarly,
    /// The tabs that did not answer are not told.
    OtherTabsRingOn,
    /// Any member may end a group's call for all.
    AnybodyEnds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Never,
    Flows,
    Silent,
}

#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) status: ParticipantStatus,
    pub(super) tab: Option<Tab>,
    pub(super) joined_at: Option<i64>,
    pub(super) left_at: Option<i64>,
    pub(super) talked: i64,
    pub(super) invited_by: Option<Who>,
    pub(super) past_the_door: bool,
    pub(super) socket: bool,
    pub(super) path: Path,
    pub(super) mutes: BTreeMap<MediaSource, Who>,
    pub(super) hand: Option<i64>,
    pub(super) ring_until: Option<i64>,
    pub(super) back_until: Option<i64>,
    pub(super) media_until: Option<i64>,
}

impl Person {
    pub(super) fn sits(&self) -> bool {
        self.tab.is_some()
    }

    pub(super) fn rung(&self) -> bool {
        self.ring_until.is_some()
    }

    pub(super) fn unreachable(&self) -> bool {
        self.sits() && !self.socket && self.path != Path::Flows
    }
}

#[derive(Clone, Debug)]
pub(super) struct Knock {
    pub(super) tab: Tab,
    pub(super) until: i64,
    pub(super) let_in: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) chat: usize,
    pub(super) starter: Who,
    pub(super) status: CallStatus,
    pub(super) reason: Option<EndReason>,
    pub(super) begun: i64,
    pub(super) answered: Option<i64>,
    pub(super) over: Option<i64>,
    pub(super) over_by: Option<Who>,
    pub(super) locked: bool,
    pub(super) two: bool,
    pub(super) people: BTreeMap<Who, Person>,
    pub(super) door: BTreeMap<Who, Knock>,
    pub(super) caller_until: Option<i64>,
    pub(super) ask_at: Option<i64>,
    pub(super) alone_until: Option<i64>,
}

impl Talk {
    pub(super) fn live(&self) -> bool {
        matches!(self.status, CallStatus::Ringing | CallStatus::Ongoing)
    }

    pub(super) fn ringing(&self) -> bool {
        self.status == CallStatus::Ringing
    }

    pub(super) fn sitting(&self) -> Vec<Who> {
        let sitting = self.people.iter().filter(|(_, p)| p.sits());
        sitting.map(|(who, _)| *who).collect()
    }

    pub(super) fn rung(&self) -> Vec<Who> {
        let rung = self.people.iter().filter(|(_, p)| p.rung());
        rung.map(|(who, _)| *who).collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) config: CallConfig,
    pub(super) places: Vec<Place>,
    pub(super) calls: Vec<Talk>,
    /// Durable events of the last step: to whom, what.
    pub(super) told: Vec<(Who, String)>,
    pub(super) lie: Option<Lie>,
}

impl Model {
    pub(super) fn knows(&self, call: usize, who: Who) -> bool {
        let talk = &self.calls[call];
        talk.people.contains_key(&who) || self.places[talk.chat].members.contains_key(&who)
    }

    pub(super) fn moderates(&self, call: usize, who: Who) -> bool {
        let talk = &self.calls[call];
        let place = &self.places[talk.chat];
        let guest = who == GUEST && place.members.contains_key(&GUEST);
        place.members.get(&who) == Some(&true) || (talk.starter == who && !guest)
    }

    pub(super) fn seat(&self, who: Who) -> Option<usize> {
        self.calls
            .iter()
            .position(|talk| talk.people.get(&who).is_some_and(Person::sits))
    }

    pub(super) fn tell(&mut self, to: impl IntoIterator<Item = Who>, what: &str) {
        for who in to.into_iter().collect::<BTreeSet<_>>() {
            self.told.push((who, what.to_owned()));
        }
    }

    pub(super) fn person(&mut self, call: usize, who: Who) -> &mut Person {
        let nobody = Person {
            status: ParticipantStatus::Invited,
            tab: None,
            joined_at: None,
            left_at: None,
            talked: 0,
            invited_by: None,
            past_the_door: false,
            socket: true,
            path: Path::Never,
            mutes: BTreeMap::new(),
            hand: None,
            ring_until: None,
            back_until: None,
            media_until: None,
        };
        self.calls[call].people.entry(who).or_insert(nobody)
    }
}
