//! The reference, rows 9 and 10: what moderators do, the waiting list, hands.

use super::reference::{Answer, Model, Person, Who};
use crate::protocol::{CallStatus, EndReason, ErrorCode, MediaSource, ParticipantStatus};

impl Model {
    fn moderation(&self, call: usize, by: Who) -> Option<Answer> {
        let refused = || (!self.moderates(call, by)).then_some(Err(ErrorCode::Forbidden));
        self.gate(call, by).or_else(refused)
    }

    pub(super) fn kick(&mut self, call: usize, by: Who, who: Who) -> Answer {
        if let Some(answer) = self.moderation(call, by) {
            return answer;
        }
        if by == who {
            return Err(ErrorCode::BadRequest);
        }
        let talk = &self.calls[call];
        if talk.ringing() && talk.starter == who {
            self.close(call, CallStatus::Cancelled, EndReason::CallerCancelled, Some(by));
            return Ok("done");
        }
        let out = talk
            .people
            .get(&who)
            .is_some_and(|p| p.status == ParticipantStatus::Kicked);
        if out || !self.knows(call, who) {
            return Ok("noop");
        }
        self.calls[call].door.remove(&who);
        self.free(call, who, ParticipantStatus::Kicked);
        let person = self.person(call, who);
        person.status = ParticipantStatus::Kicked;
        person.ring_until = None;
        person.past_the_door = false;
        self.tell([who], &format!("kicked {call} u{by}"));
        self.settle(call, EndReason::Hangup, Some(by));
        Ok("done")
    }

    pub(super) fn mute(&mut self, call: usize, by: Who, who: Who, source: MediaSource, on: bool) -> Answer {
        if let Some(answer) = self.moderation(call, by) {
            return answer;
        }
        let Some(person) = self.calls[call].people.get_mut(&who).filter(|p| p.sits()) else {
            return Ok("noop");
        };
        let changed = if on {
            !person.mutes.contains_key(&source) && person.mutes.insert(source, by).is_none()
        } else {
            person.mutes.remove(&source).is_some()
        };
        Ok(if changed { "done" } else { "noop" })
    }

    pub(super) fn lock(&mut self, call: usize, by: Who, on: bool) -> Answer {
        if let Some(answer) = self.moderation(call, by) {
            return answer;
        }
        if self.calls[call].locked == on {
            return Ok("noop");
        }
        self.calls[call].locked = on;
        if !on && !self.places[self.calls[call].chat].lobby {
            for who in self.calls[call].door.keys().copied().collect::<Vec<_>>() {
                self.let_in(call, who);
            }
        }
        Ok("done")
    }

    pub(super) fn admit(&mut self, call: usize, by: Who, who: Who) -> Answer {
        if let Some(answer) = self.moderation(call, by) {
            return answer;
        }
        let mut changed = false;
        if let Some(person) = self.calls[call].people.get_mut(&who) {
            if person.status == ParticipantStatus::Kicked {
                return Err(ErrorCode::Kicked);
            }
            if person.rung() && !person.past_the_door {
                person.past_the_door = true;
                changed = true;
            }
        }
        changed |= self.let_in(call, who);
        Ok(if changed { "done" } else { "noop" })
    }

    fn let_in(&mut self, call: usize, who: Who) -> bool {
        let until = self.now + i64::from(self.config.ring_ms);
        let Some(knock) = self.calls[call].door.get_mut(&who).filter(|knock| !knock.let_in) else {
            return false;
        };
        knock.let_in = true;
        knock.until = until;
        let tab = knock.tab;
        self.tell([who], &format!("waiting_status {call} admitted t{tab}"));
        true
    }

    pub(super) fn deny(&mut self, call: usize, by: Who, who: Who) -> Answer {
        if let Some(answer) = self.moderation(call, by) {
            return answer;
        }
        let Some(knock) = self.calls[call].door.remove(&who) else {
            return Ok("noop");
        };
        self.tell([who], &format!("waiting_status {call} denied t{}", knock.tab));
        Ok("done")
    }

    pub(super) fn stay(&mut self, call: usize, who: Who) -> Answer {
        if let Some(answer) = self.gate(call, who) {
            return answer;
        }
        let (now, config) = (self.now, self.config.clone());
        let talk = &mut self.calls[call];
        if !talk.people.get(&who).is_some_and(Person::sits) {
            return Err(ErrorCode::Forbidden);
        }
        if talk.alone_until.is_none() {
            return Ok("noop");
        }
        talk.ask_at = Some(now + i64::from(config.alone_ask_ms));
        talk.alone_until = Some(now + i64::from(config.alone_end_ms));
        Ok("done")
    }

    /// Row 10.
    pub(super) fn hand(&mut self, call: usize, by: Who, who: Who, up: bool) -> Answer {
        if let Some(answer) = self.gate(call, by) {
            return answer;
        }
        if by != who && !self.moderates(call, by) {
            return Err(ErrorCode::Forbidden);
        }
        let now = self.now;
        match self.calls[call].people.get_mut(&who).filter(|p| p.sits()) {
            None if by == who => Err(ErrorCode::Forbidden),
            Some(person) if person.hand.is_some() != up => {
                person.hand = up.then_some(now);
                Ok("done")
            }
            _ => Ok("noop"),
        }
    }
}
