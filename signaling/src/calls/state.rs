//! What a call is, as a value.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, ChatId, DeviceId, UserId};
use crate::protocol::{CallStatus, CallType, ChatRole, ChatType, EndReason, MediaSource, ParticipantStatus};

/// A point in time: milliseconds since the Unix epoch, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub i64);

impl At {
    /// This long after it.
    pub fn plus_ms(self, ms: u32) -> Self {
        Self(self.0.saturating_add(i64::from(ms)))
    }

    /// Milliseconds since an earlier point; 0 when that one is later.
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }
}

/// The chat that a call happens in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Which.
    pub id: ChatId,
    /// direct, group or room.
    pub chat_type: ChatType,
    /// Who is in it.
    pub members: BTreeMap<UserId, ChatRole>,
    /// Who of them came by a guest link: never a moderator, and may not invite.
    pub guests: BTreeSet<UserId>,
    /// Of a room: newcomers wait until a moderator lets them in.
    pub lobby: bool,
}

impl Chat {
    /// Owner or admin.
    pub fn runs(&self, user: &UserId) -> bool {
        matches!(self.members.get(user), Some(ChatRole::Owner | ChatRole::Admin))
    }
}

/// Somebody who asked to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The tab that waits.
    pub device: DeviceId,
    /// Since when.
    pub since: At,
    /// When they are forgotten: nobody let them in, or they were let in and did not come.
    pub deadline: At,
    /// A moderator has let them in.
    pub admitted: bool,
}

/// Whether packets can flow between a seat and the media plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaLink {
    /// No DTLS-connected transport yet, or none any more.
    None,
    /// Connected.
    Connected,
    /// Connected, but silent for 5 s.
    Lost,
}

/// One person's part in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Where they are.
    pub status: ParticipantStatus,
    /// The tab that holds the seat; only a seat has one.
    pub device: Option<DeviceId>,
    /// Last time the seat was taken.
    pub joined_at: Option<At>,
    /// Last time it was freed.
    pub left_at: Option<At>,
    /// Milliseconds in the seat, added whenever it is freed.
    pub duration_ms: i64,
    /// Who rang them into a running call.
    pub invited_by: Option<UserId>,
    /// A moderator let them into a locked call.
    pub admitted: bool,
    /// The seat's WebSocket is gone.
    pub socket_lost: bool,
    /// The seat's media path.
    pub media: MediaLink,
    /// Sources a moderator muted, and who did.
    pub mutes: BTreeMap<MediaSource, UserId>,
    /// Since when the hand is raised.
    pub hand_at: Option<At>,
    /// T1; set exactly while invited or ringing.
    pub ring_deadline: Option<At>,
    /// T3; runs while both socket and media are gone.
    pub rejoin_deadline: Option<At>,
    /// T5; runs while there is no connected media after the answer.
    pub media_deadline: Option<At>,
}

impl Participant {
    /// Nobody yet: as a row that is about to get a status.
    pub(super) fn new(status: ParticipantStatus) -> Self {
        Self {
            status,
            device: None,
            joined_at: None,
            left_at: None,
            duration_ms: 0,
            invited_by: None,
            admitted: false,
            socket_lost: false,
            media: MediaLink::None,
            mutes: BTreeMap::new(),
            hand_at: None,
            ring_deadline: None,
            rejoin_deadline: None,
            media_deadline: None,
        }
    }

    /// Holds the seat.
    pub fn seated(&self) -> bool {
        matches!(self.status, ParticipantStatus::Joined | ParticipantStatus::Reconnecting)
    }

    /// Is being rung.
    pub fn open(&self) -> bool {
        matches!(self.status, ParticipantStatus::Invited | ParticipantStatus::Ringing)
    }

    /// Holds the seat, but can be reached neither by socket nor by media.
    pub fn unreachable(&self) -> bool {
        self.seated() && self.socket_lost && self.media != MediaLink::Connected
    }
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub id: CallId,
    /// Where.
    pub chat: ChatId,
    /// Random and unique; never a permission.
    pub room_name: String,
    /// audio or video.
    pub call_type: CallType,
    /// Who started it.
    pub initiated_by: UserId,
    /// Where it is in its life.
    pub status: CallStatus,
    /// Why it is over.
    pub end_reason: Option<EndReason>,
    /// The ring.
    pub created_at: At,
    /// The first answer.
    pub started_at: Option<At>,
    /// The end.
    pub ended_at: Option<At>,
    /// Who ended it, if a person did.
    pub ended_by: Option<UserId>,
    /// Lets nobody new in.
    pub locked: bool,
    /// false: two people, and it ends when one leaves.
    pub group_rules: bool,
    /// T2.
    pub caller_lost_deadline: Option<At>,
    /// T4, the question.
    pub alone_ask_deadline: Option<At>,
    /// T4, the end.
    pub alone_end_deadline: Option<At>,
    /// T6.
    pub max_deadline: Option<At>,
    /// Counts up with every change.
    pub rev: i64,
    /// Live WHIP publishers: each keeps the call alive like a seat does.
    pub publishers: u32,
    /// Everybody who was ever rung or in it.
    pub participants: BTreeMap<UserId, Participant>,
    /// Who asked to be let in and is not in yet.
    pub waiting: BTreeMap<UserId, Waiting>,
}

impl Call {
    /// Ringing or ongoing.
    pub fn live(&self) -> bool {
        matches!(self.status, CallStatus::Ringing | CallStatus::Ongoing)
    }

    /// How many hold a seat.
    pub fn seats(&self) -> usize {
        self.participants.values().filter(|p| p.seated()).count()
    }

    /// Whether anybody is still being rung.
    pub fn anybody_open(&self) -> bool {
        self.participants.values().any(Participant::open)
    }

    /// Whole seconds of talk: first answer to end, 0 when nobody answered.
    pub fn talk_seconds(&self) -> u32 {
        match (self.started_at, self.ended_at) {
            (Some(start), Some(end)) => u32::try_from(end.ms_since(start) / 1000).unwrap_or(u32::MAX),
            _ => 0,
        }
    }

    /// Initiator, chat owner or chat admin. A guest who happens to be a room's first is none.
    pub fn moderator(&self, chat: &Chat, user: &UserId) -> bool {
        chat.runs(user) || (self.initiated_by == *user && !chat.guests.contains(user))
    }

    /// Whether nobody has to let this person in: the door is open, it is theirs, or they went through it before.
    pub fn may_come_in(&self, chat: &Chat, user: &UserId) -> bool {
        let known = self.participants.get(user);
        let open = !self.locked && !chat.lobby;
        open || self.moderator(chat, user)
            || known.is_some_and(|p| p.admitted || p.joined_at.is_some())
            || self.waiting.get(user).is_some_and(|w| w.admitted)
    }

    /// Those of the people in the call who may moderate it.
    pub fn moderators(&self, chat: &Chat) -> Vec<UserId> {
        let seated = self
            .participants
            .iter()
            .filter(|(user, p)| p.seated() && self.moderator(chat, user));
        seated.map(|(user, _)| user.clone()).collect()
    }

    /// The next thing that time does to this call.
    pub fn next_deadline(&self) -> Option<(At, Timer)> {
        if !self.live() {
            return None;
        }
        let call = [
            (self.max_deadline, Timer::MaxDuration),
            (self.caller_lost_deadline, Timer::CallerLost),
            (self.alone_ask_deadline, Timer::AloneAsk),
            (self.alone_end_deadline, Timer::AloneEnd),
        ];
        let people = self.participants.values().flat_map(|p| {
            [
                (p.ring_deadline, Timer::Ring),
                (p.rejoin_deadline, Timer::Rejoin),
                (p.media_deadline, Timer::MediaConnect),
            ]
        });
        let waiting = self.waiting.values().map(|w| (Some(w.deadline), Timer::Waiting));
        call.into_iter()
            .chain(people)
            .chain(waiting)
            .filter_map(|(at, timer)| Some((at?, timer)))
            .min()
    }

    /// What must hold after every transition; the text names what does not. The database checks the same.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), String> {
        let rules = [
            (
                self.live() == self.ended_at.is_none(),
                "exactly a finished call has an end",
            ),
            (
                self.live() == self.end_reason.is_none(),
                "exactly a finished call has a reason",
            ),
            (
                self.status != CallStatus::Ringing || self.started_at.is_none(),
                "a ringing call has not started",
            ),
            (
                self.status != CallStatus::Ongoing || self.started_at.is_some(),
                "an ongoing call has started",
            ),
            (
                self.status != CallStatus::Ringing || self.anybody_open(),
                "a ringing call rings somebody",
            ),
            (
                self.status != CallStatus::Ringing
                    || self
                        .participants
                        .iter()
                        .all(|(user, p)| p.seated() == (*user == self.initiated_by)),
                "while it rings the initiator sits, and nobody else",
            ),
            (
                self.status != CallStatus::Ongoing || self.seats() > 0 || self.publishers > 0,
                "somebody is in an ongoing call",
            ),
            (
                self.live() || (self.seats() == 0 && !self.anybody_open()),
                "nobody sits or rings in a finished call",
            ),
            (
                self.live() || self.waiting.is_empty(),
                "nobody waits for a finished call",
            ),
            (
                self.waiting
                    .keys()
                    .all(|user| self.participants.get(user).is_none_or(|p| !p.seated())),
                "nobody waits who is in",
            ),
            (
                self.participants.values().all(|p| p.device.is_some() == p.seated()),
                "exactly a seat has a device",
            ),
            (
                self.participants
                    .values()
                    .all(|p| p.ring_deadline.is_some() == p.open()),
                "exactly who is rung has a ring deadline",
            ),
            (
                self.participants
                    .values()
                    .all(|p| p.rejoin_deadline.is_none() || p.status == ParticipantStatus::Reconnecting),
                "only who reconnects has a rejoin deadline",
            ),
            (
                self.participants
                    .values()
                    .all(|p| p.unreachable() == p.rejoin_deadline.is_some()),
                "exactly an unreachable seat has a rejoin deadline",
            ),
            (
                self.participants
                    .values()
                    .all(|p| p.media_deadline.is_none() || p.seated()),
                "only a seat has a media deadline",
            ),
            (
                self.live() == self.next_deadline().is_some(),
                "exactly a live call has a deadline",
            ),
            (
                self.ended_at >= self.started_at || self.live(),
                "a call ends after it starts",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err((*rule).to_owned()),
            None => Ok(()),
        }
    }
}

/// Why time changes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// T1: the ring ran out for a callee.
    Ring,
    /// T2: the caller was lost while ringing.
    CallerLost,
    /// T3: a lost seat was not taken again.
    Rejoin,
    /// T4: somebody is alone; ask.
    AloneAsk,
    /// T4: somebody is alone; end it.
    AloneEnd,
    /// T5: no media after the answer.
    MediaConnect,
    /// T6: the longest call.
    MaxDuration,
    /// Somebody waited too long, or did not come in when let in.
    Waiting,
}
