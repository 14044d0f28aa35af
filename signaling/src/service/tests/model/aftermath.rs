//! The rest of the reference: connections, time, and what follows from who sits.

use super::reference::{Lie, Model, Path, Person, Tab, Who};
use crate::protocol::{CallStatus, EndReason, ParticipantStatus, RejectReason};

impl Model {
    /// Row 11: the tab's socket is gone or back.
    pub(super) fn socket(&mut self, who: Who, tab: Tab, up: bool) {
        if !up {
            for talk in self.calls.iter_mut().filter(|talk| talk.live()) {
                if talk.door.get(&who).is_some_and(|knock| knock.tab == tab) {
                    talk.door.remove(&who);
                }
            }
        }
        if let Some(call) = self.seat(who)
            && self.calls[call].people[&who].tab == Some(tab)
        {
            self.link(call, who, |person| person.socket = up);
        }
    }

    /// What the media plane says of somebody's transport.
    pub(super) fn media(&mut self, call: usize, who: Who, path: Path) {
        if !self.calls[call].live() || !self.calls[call].people.get(&who).is_some_and(Person::sits) {
            return;
        }
        let before = self.calls[call].people[&who].path;
        if before == path || (path == Path::Silent && before == Path::Never) {
            return; // silence of what never was connected is no loss
        }
        self.link(call, who, |person| person.path = path);
        if path == Path::Never {
            self.expect_media(call, who);
        }
    }

    /// Changes a seat's connections, and what follows for its status and its timers.
    pub(super) fn link(&mut self, call: usize, who: Who, change: impl FnOnce(&mut Person)) {
        let (now, config, lie) = (self.now, self.config.clone(), self.lie);
        let talk = &mut self.calls[call];
        let caller = talk.ringing() && talk.starter == who;
        let Some(person) = talk.people.get_mut(&who).filter(|p| p.sits()) else {
            return;
        };
        let was_lost = person.unreachable();
        change(person);
        person.status = if person.socket && person.path != Path::Silent {
            ParticipantStatus::Joined
        } else {
            ParticipantStatus::Reconnecting
        };
        let lost = person.unreachable() || (lie == Some(Lie::GivenUpEarly) && !person.socket);
        if lost {
            person.media_until = None;
            if !was_lost {
                person.back_until = Some(now + i64::from(config.rejoin_ms));
                if caller {
                    talk.caller_until = Some(now + i64::from(config.caller_lost_ms));
                }
            }
        } else {
            person.back_until = None;
            if person.path == Path::Flows {
                person.media_until = None;
            }
            if caller {
                talk.caller_until = None;
            }
            if was_lost {
                self.expect_media(call, who);
            }
        }
    }

    /// T5 begins: from the answer on there must be media soon.
    pub(super) fn expect_media(&mut self, call: usize, who: Who) {
        let until = self.now + i64::from(self.config.media_connect_ms);
        let ongoing = self.calls[call].status == CallStatus::Ongoing;
        if let Some(person) = self.calls[call].people.get_mut(&who)
            && ongoing
            && person.sits()
            && person.path != Path::Flows
            && !person.unreachable()
        {
            person.media_until = Some(until);
        }
    }

    pub(super) fn free(&mut self, call: usize, who: Who, status: ParticipantStatus) {
        let now = self.now;
        if let Some(person) = self.calls[call].people.get_mut(&who).filter(|p| p.sits()) {
            person.talked += person.joined_at.map_or(0, |since| now - since);
            person.status = status;
            person.left_at = Some(now);
            person.tab = None;
            person.socket = true;
            person.path = Path::Never;
            person.hand = None;
            person.back_until = None;
            person.media_until = None;
        }
    }

    pub(super) fn turn_away(&mut self, call: usize, who: Who, reason: RejectReason) {
        let starter = self.calls[call].starter;
        let person = self.person(call, who);
        person.ring_until = None;
        let mut to = vec![starter];
        to.extend(person.invited_by);
        let (status, word) = match reason {
            RejectReason::Declined => (ParticipantStatus::Declined, "declined"),
            RejectReason::Busy => (ParticipantStatus::Busy, "busy"),
            RejectReason::Timeout => (ParticipantStatus::Missed, "timeout"),
        };
        person.status = status;
        if reason == RejectReason::Timeout {
            self.tell([who], &format!("call_missed {call}"));
        } else {
            to.push(who);
        }
        self.tell(to, &format!("call_rejected {call} u{who} {word}"));
    }

    pub(super) fn close(&mut self, call: usize, status: CallStatus, reason: EndReason, by: Option<Who>) {
        for who in self.calls[call].sitting() {
            self.free(call, who, ParticipantStatus::Left);
        }
        for who in self.calls[call].rung() {
            let person = self.person(call, who);
            person.status = ParticipantStatus::Missed;
            person.ring_until = None;
            self.tell([who], &format!("call_missed {call}"));
        }
        for (who, knock) in std::mem::take(&mut self.calls[call].door) {
            self.tell([who], &format!("waiting_status {call} ended t{}", knock.tab));
        }
        let now = self.now;
        let talk = &mut self.calls[call];
        (talk.status, talk.reason) = (status, Some(reason));
        (talk.over, talk.over_by) = (Some(now), by);
        (talk.caller_until, talk.ask_at, talk.alone_until) = (None, None, None);
        let seconds = talk.answered.map_or(0, |answered| (now - answered) / 1000);
        let members: Vec<Who> = self.places[talk.chat].members.keys().copied().collect();
        let room = self.places[talk.chat].kind == crate::protocol::ChatType::Room;
        let mut everybody: Vec<Who> = talk.people.keys().copied().collect();
        if !room {
            everybody.extend(&members);
        }
        let word = serde_json::to_string(&(status, reason)).unwrap();
        self.tell(everybody, &format!("call_ended {call} {word} {seconds}"));
        self.tell(members, &format!("message {call}"));
    }

    /// What follows from who sits and who is rung.
    pub(super) fn settle(&mut self, call: usize, reason: EndReason, by: Option<Who>) {
        let (now, config) = (self.now, self.config.clone());
        let talk = &self.calls[call];
        if !talk.live() {
            return;
        }
        if talk.ringing() {
            if talk.rung().is_empty() && self.lie != Some(Lie::RingsForEver) {
                let others = || talk.people.iter().filter(|(who, _)| **who != talk.starter);
                let reason = if others().any(|(_, p)| p.status == ParticipantStatus::Missed) {
                    EndReason::Timeout
                } else if others().all(|(_, p)| p.status == ParticipantStatus::Busy) {
                    EndReason::Busy
                } else {
                    EndReason::Declined
                };
                self.close(call, CallStatus::Rejected, reason, None);
            }
            return;
        }
        let sitting = talk.sitting().len();
        if sitting == 0 || (talk.two && sitting < 2) {
            let last = reason == EndReason::Hangup && !talk.two;
            let reason = if last { EndReason::LastLeft } else { reason };
            self.close(call, CallStatus::Ended, reason, by);
        } else if sitting == 1 && !talk.two && talk.rung().is_empty() {
            let talk = &mut self.calls[call];
            if talk.alone_until.is_none() {
                talk.ask_at = Some(now + i64::from(config.alone_ask_ms));
                talk.alone_until = Some(now + i64::from(config.alone_end_ms));
            }
        } else {
            (self.calls[call].ask_at, self.calls[call].alone_until) = (None, None);
        }
    }

    fn most(&self, call: usize) -> Option<i64> {
        let answered = self.calls[call].answered?;
        Some(answered + i64::from(self.config.max_duration_ms))
    }

    /// When time changes this call next.
    pub(super) fn due(&self, call: usize) -> Option<i64> {
        let talk = &self.calls[call];
        let people = talk
            .people
            .values()
            .flat_map(|p| [p.ring_until, p.back_until, p.media_until]);
        let door = talk.door.values().map(|knock| Some(knock.until));
        let own = [talk.caller_until, talk.ask_at, talk.alone_until, self.most(call)];
        let all = own.into_iter().chain(people).chain(door).flatten();
        if talk.live() { all.min() } else { None }
    }

    /// T1 to T6, for everything of one call that is due now.
    pub(super) fn time(&mut self, call: usize) {
        let now = self.now;
        if self.due(call).is_none_or(|at| at > now) {
            return;
        }
        let due = |at: Option<i64>| at.is_some_and(|at| at <= now);
        let talk = self.calls[call].clone();
        let of = |which: fn(&Person) -> Option<i64>| -> Vec<Who> {
            let people = talk.people.iter().filter(|(_, p)| due(which(p)));
            people.map(|(who, _)| *who).collect()
        };
        let (unanswered, gone, no_media) = (of(|p| p.ring_until), of(|p| p.back_until), of(|p| p.media_until));
        if due(self.most(call)) {
            self.close(call, CallStatus::Ended, EndReason::MaxDuration, None);
        } else if due(talk.caller_until) {
            self.close(call, CallStatus::Cancelled, EndReason::CallerLost, None);
        }
        for (who, knock) in talk.door.iter().filter(|(_, knock)| knock.until <= now) {
            if self.calls[call].door.remove(who).is_some() {
                self.tell([*who], &format!("waiting_status {call} expired t{}", knock.tab));
            }
        }
        for who in unanswered {
            if self.calls[call].people[&who].rung() {
                self.turn_away(call, who, RejectReason::Timeout);
            }
        }
        self.settle(call, EndReason::LastLeft, None);
        if !no_media.is_empty() && self.calls[call].live() {
            if self.calls[call].two {
                self.close(call, CallStatus::Failed, EndReason::MediaFailed, None);
            }
            for who in no_media {
                self.free(call, who, ParticipantStatus::Left);
            }
            self.settle(call, EndReason::LastLeft, None);
        }
        if !gone.is_empty() && self.calls[call].live() {
            for who in gone {
                self.free(call, who, ParticipantStatus::Left);
            }
            self.settle(call, EndReason::ConnectionLost, None);
        }
        if self.calls[call].live() {
            if due(talk.alone_until) && self.calls[call].alone_until.is_some() {
                self.close(call, CallStatus::Ended, EndReason::LastLeft, None);
            } else if due(talk.ask_at) {
                self.calls[call].ask_at = None;
            }
        }
    }

    /// Rule 6: the process was started again, and what was due meanwhile is carried out.
    pub(super) fn restart(&mut self) {
        let (now, config) = (self.now, self.config.clone());
        for call in 0..self.calls.len() {
            if !self.calls[call].live() {
                continue;
            }
            for who in self.calls[call].sitting() {
                self.link(call, who, |person| {
                    person.socket = false;
                    person.path = Path::Never;
                });
            }
            let ring = now + i64::from(config.restart_ring_ms);
            let back = now + i64::from(config.rejoin_ms);
            let talk = &mut self.calls[call];
            talk.caller_until = talk.caller_until.map(|at| at.max(ring));
            for person in talk.people.values_mut() {
                person.ring_until = person.ring_until.map(|at| at.max(ring));
                person.back_until = person.back_until.map(|at| at.max(back));
            }
            for knock in talk.door.values_mut() {
                knock.until = knock.until.min(back);
            }
        }
        for call in 0..self.calls.len() {
            self.time(call);
        }
    }
}
