//! The reference, rows 1 to 8 of the table: ring, answer, decline, end, leave, invite.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::{Answer, GUEST, Knock, Lie, Model, Path, Person, Tab, Talk, Who};
use crate::protocol::{CallStatus, ChatType, EndReason, ErrorCode, ParticipantStatus, RejectReason};

/// A start_call.
pub(super) struct Ring<'a> {
    pub(super) who: Who,
    pub(super) tab: Tab,
    pub(super) chat: usize,
    pub(super) invitees: Option<&'a [Who]>,
    pub(super) leave: Option<usize>,
}

/// An accept_call or join_call.
pub(super) struct Enter {
    pub(super) who: Who,
    pub(super) tab: Tab,
    pub(super) call: usize,
    pub(super) accept: bool,
    pub(super) takeover: bool,
    pub(super) wait: bool,
    pub(super) leave: Option<usize>,
}

impl Model {
    /// Frees the seat in `leave`. Whether a seat in another call than `but` is left.
    fn leave_first(&mut self, who: Who, leave: Option<usize>, but: Option<usize>) -> bool {
        let Some(held) = self.seat(who) else { return false };
        if leave == Some(held) {
            self.leaves(held, who);
            return false;
        }
        Some(held) != but
    }

    /// Row 1 and 1b.
    pub(super) fn start(&mut self, ring: &Ring<'_>) -> Answer {
        let Ring { who, tab, chat, .. } = *ring;
        let place = self.places[chat].clone();
        if !place.members.contains_key(&who) {
            return Err(ErrorCode::NotFound);
        }
        let taken =
            |talk: &&Talk| talk.chat == chat && talk.live() && !(talk.ringing() && self.lie == Some(Lie::SecondStart));
        if self.calls.iter().any(|talk| taken(&talk)) {
            return Ok("exists");
        }
        if self.leave_first(who, ring.leave, None) {
            return Err(ErrorCode::BusySelf);
        }
        let room = place.kind == ChatType::Room;
        if place.lobby && !place.members[&who] {
            return Err(ErrorCode::RoomLocked);
        }
        let mut rung: BTreeSet<Who> = match ring.invitees {
            _ if room => BTreeSet::new(),
            Some(chosen) => chosen.iter().copied().collect(),
            None => place.members.keys().copied().collect(),
        };
        rung.remove(&who);
        let strange = rung.iter().any(|callee| !place.members.contains_key(callee));
        if !room && (rung.is_empty() || strange || rung.len() > self.config.ring_max_members as usize) {
            return Err(ErrorCode::BadRequest);
        }
        let call = self.calls.len();
        self.calls.push(Talk {
            chat,
            starter: who,
            status: if room { CallStatus::Ongoing } else { CallStatus::Ringing },
            reason: None,
            begun: self.now,
            answered: room.then_some(self.now),
            over: None,
            over_by: None,
            locked: false,
            two: place.kind == ChatType::Direct,
            people: BTreeMap::new(),
            door: BTreeMap::new(),
            caller_until: None,
            ask_at: None,
            alone_until: None,
        });
        self.sit(call, who, tab);
        self.tell([who], &format!("call_created {call}"));
        for callee in rung {
            self.ring(call, callee, None);
        }
        self.settle(call, EndReason::LastLeft, None);
        Ok("created")
    }

    fn ring(&mut self, call: usize, who: Who, by: Option<Who>) {
        let until = self.now + i64::from(self.config.ring_ms);
        let person = self.person(call, who);
        person.status = ParticipantStatus::Invited;
        person.ring_until = Some(until);
        person.invited_by = by;
        let silent = self.seat(who).is_some();
        self.tell([who], &format!("incoming_call {call} silent={silent}"));
    }

    fn sit(&mut self, call: usize, who: Who, tab: Tab) {
        let now = self.now;
        let knocked = self.calls[call].door.remove(&who).is_some_and(|knock| knock.let_in);
        let person = self.person(call, who);
        person.past_the_door |= knocked;
        person.status = ParticipantStatus::Joined;
        person.tab = Some(tab);
        person.joined_at = Some(now);
        person.socket = true;
        person.path = Path::Never;
        person.ring_until = None;
        self.expect_media(call, who);
    }

    /// Rows 2 to 11 begin alike: who does not know the call does not find it, and a call that is over never changes.
    pub(super) fn gate(&self, call: usize, who: Who) -> Option<Answer> {
        if !self.knows(call, who) {
            Some(Err(ErrorCode::NotFound))
        } else if !self.calls[call].live() {
            Some(Ok("noop"))
        } else {
            None
        }
    }

    /// Row 3.
    pub(super) fn enter(&mut self, enter: &Enter) -> Answer {
        let Enter { who, tab, call, .. } = *enter;
        if let Some(answer) = self.gate(call, who) {
            return answer;
        }
        let elsewhere = self.leave_first(who, enter.leave.filter(|leave| *leave != call), Some(call));
        if let Some(held) = self.calls[call].people.get(&who).and_then(|p| p.tab) {
            return self.enter_again(enter, held);
        }
        let status = self.calls[call].people.get(&who).map(|p| p.status);
        if status == Some(ParticipantStatus::Kicked) && self.lie != Some(Lie::KickedMayReturn) {
            return Err(ErrorCode::Kicked);
        }
        if !self.may_come_in(call, who) {
            return if enter.wait {
                self.knock(call, who, tab)
            } else {
                Err(ErrorCode::RoomLocked)
            };
        }
        if elsewhere {
            return Err(ErrorCode::BusySelf);
        }
        if self.calls[call].sitting().len() >= self.config.max_participants as usize {
            return Err(ErrorCode::RoomFull);
        }
        let rung = self.calls[call].people.get(&who).is_some_and(Person::rung);
        if self.calls[call].ringing() {
            let talk = &mut self.calls[call];
            talk.status = CallStatus::Ongoing;
            talk.caller_until = None;
            let lie = self.lie == Some(Lie::TalkFromRing);
            self.calls[call].answered = Some(if lie { self.calls[call].begun } else { self.now });
            for other in self.calls[call].sitting() {
                self.expect_media(call, other);
            }
        }
        self.sit(call, who, tab);
        if rung && self.lie != Some(Lie::OtherTabsRingOn) {
            self.tell([who], &format!("call_answered_elsewhere {call} t{tab}"));
        }
        if enter.accept {
            let others = [self.calls[call].sitting(), self.calls[call].rung()].concat();
            let others = others.into_iter().filter(|other| *other != who);
            self.tell(others, &format!("call_accepted {call} u{who}"));
        }
        self.settle(call, EndReason::LastLeft, None);
        Ok("joined")
    }

    fn enter_again(&mut self, enter: &Enter, held: Tab) -> Answer {
        let Enter { who, tab, call, .. } = *enter;
        if held == tab {
            self.link(call, who, |person| person.socket = true);
        } else if enter.takeover {
            self.person(call, who).tab = Some(tab);
            self.tell([who], &format!("seat_moved {call} t{tab}"));
            self.link(call, who, |person| {
                person.socket = true;
                person.path = Path::Never;
            });
            self.expect_media(call, who);
        } else {
            return Err(ErrorCode::AnsweredElsewhere);
        }
        Ok("joined")
    }

    fn may_come_in(&self, call: usize, who: Who) -> bool {
        let talk = &self.calls[call];
        let been_in = |p: &Person| p.past_the_door || p.joined_at.is_some();
        !(talk.locked || self.places[talk.chat].lobby)
            || self.moderates(call, who)
            || talk.people.get(&who).is_some_and(been_in)
            || talk.door.get(&who).is_some_and(|knock| knock.let_in)
    }

    fn knock(&mut self, call: usize, who: Who, tab: Tab) -> Answer {
        let until = self.now + i64::from(self.config.wait_ms);
        let door = &mut self.calls[call].door;
        let known = door.get(&who).map(|knock| knock.tab);
        if known.is_none() && door.len() >= self.config.max_participants as usize {
            return Err(ErrorCode::RoomFull);
        }
        door.insert(
            who,
            Knock {
                tab,
                until,
                let_in: false,
            },
        );
        if known != Some(tab) {
            self.tell([who], &format!("waiting_status {call} waiting t{tab}"));
        }
        Ok("waiting")
    }

    /// Row 2.
    pub(super) fn ring_ack(&mut self, call: usize, who: Who) -> Answer {
        if let Some(answer) = self.gate(call, who) {
            return answer;
        }
        match self.calls[call].people.get_mut(&who) {
            Some(person) if person.status == ParticipantStatus::Invited => {
                person.status = ParticipantStatus::Ringing;
                Ok("done")
            }
            _ => Ok("noop"),
        }
    }

    /// Row 4.
    pub(super) fn reject(&mut self, call: usize, who: Who, reason: RejectReason) -> Answer {
        if let Some(answer) = self.gate(call, who) {
            return answer;
        }
        if self.lie == Some(Lie::LateDeclineEnds) && self.calls[call].two && !self.calls[call].ringing() {
            self.close(call, CallStatus::Rejected, EndReason::Declined, None);
            return Ok("done");
        }
        let rung = self.calls[call].people.get(&who).is_some_and(Person::rung);
        if !rung || reason == RejectReason::Timeout {
            return Ok("noop");
        }
        self.turn_away(call, who, reason);
        self.settle(call, EndReason::LastLeft, None);
        Ok("done")
    }

    /// Rows 5 and 6.
    pub(super) fn end(&mut self, call: usize, who: Who) -> Answer {
        if let Some(answer) = self.gate(call, who) {
            return answer;
        }
        let talk = &self.calls[call];
        let sits = talk.people.get(&who).is_some_and(Person::sits);
        if talk.ringing() {
            if talk.starter != who {
                return Err(ErrorCode::Forbidden);
            }
            self.close(call, CallStatus::Cancelled, EndReason::CallerCancelled, Some(who));
        } else if self.moderates(call, who) || (sits && (talk.two || self.lie == Some(Lie::AnybodyEnds))) {
            self.close(call, CallStatus::Ended, EndReason::Hangup, Some(who));
        } else {
            return Err(ErrorCode::Forbidden);
        }
        Ok("done")
    }

    /// Row 7.
    pub(super) fn leave(&mut self, call: usize, who: Who, tab: Tab) -> Answer {
        if let Some(answer) = self.gate(call, who) {
            return answer;
        }
        if self.calls[call].door.get(&who).is_some_and(|knock| knock.tab == tab) {
            self.calls[call].door.remove(&who);
            return Ok("done");
        }
        if self.calls[call].people.get(&who).is_none_or(|p| p.tab != Some(tab)) {
            return Ok("noop");
        }
        self.leaves(call, who);
        Ok("done")
    }

    fn leaves(&mut self, call: usize, who: Who) {
        if self.calls[call].ringing() {
            self.close(call, CallStatus::Cancelled, EndReason::CallerCancelled, Some(who));
        } else {
            self.free(call, who, ParticipantStatus::Left);
            self.settle(call, EndReason::Hangup, Some(who));
        }
    }

    /// Row 8.
    pub(super) fn invite(&mut self, call: usize, by: Who, who: Who) -> Answer {
        if let Some(answer) = self.gate(call, by) {
            return answer;
        }
        let talk = &self.calls[call];
        let place = &self.places[talk.chat];
        let moderator = self.moderates(call, by);
        if !talk.people.get(&by).is_some_and(Person::sits) || by == GUEST {
            return Err(ErrorCode::Forbidden);
        }
        if place.kind == ChatType::Room && !place.members.contains_key(&who) {
            return Err(ErrorCode::Forbidden);
        }
        if talk.locked && !moderator {
            return Err(ErrorCode::RoomLocked);
        }
        match talk.people.get(&who) {
            Some(person) if person.sits() || person.rung() => return Ok("noop"),
            Some(person) if person.status == ParticipantStatus::Kicked && !moderator => {
                return Err(ErrorCode::Forbidden);
            }
            _ => {}
        }
        if talk.sitting().len() + talk.rung().len() >= self.config.max_participants as usize {
            return Err(ErrorCode::RoomFull);
        }
        self.calls[call].two = false;
        self.ring(call, who, Some(by));
        self.person(call, who).past_the_door |= moderator;
        self.settle(call, EndReason::LastLeft, None);
        Ok("done")
    }
}
