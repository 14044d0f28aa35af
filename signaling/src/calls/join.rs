//! Rows 2 to 7: ring, answer, decline, end, leave.

use serde_json::json;

use super::{Effect, EventType, MediaLink, Note, Participant, Refusal, Transition, step::Step};
use crate::ids::{DeviceId, UserId};
use crate::protocol::{CallStatus, EndReason, Outcome, ParticipantStatus, RejectReason};

/// An accept or a join.
pub(super) struct Join<'a> {
    pub(super) user: &'a UserId,
    pub(super) device: &'a DeviceId,
    pub(super) accept: bool,
    pub(super) takeover: bool,
    pub(super) busy: bool,
    pub(super) wait: bool,
}

impl Step<'_> {
    pub(super) fn ring_ack(mut self, user: &UserId) -> Transition {
        match self.call.participants.get_mut(user) {
            Some(person) if person.status == ParticipantStatus::Invited => {
                person.status = ParticipantStatus::Ringing;
            }
            _ => return self.noop(),
        }
        self.log(EventType::Ringing, Some(user), json!({}));
        self.effects.push(Effect::Ringing(user.clone()));
        self.effects.push(Effect::Updated(user.clone()));
        self.done(Outcome::Done)
    }

    pub(super) fn join(mut self, join: &Join<'_>) -> Result<Transition, Refusal> {
        let Join { user, device, .. } = *join;
        let known = self.call.participants.get(user);
        if let Some(person) = known.filter(|p| p.seated()) {
            return match &person.device {
                Some(held) if held == device => Ok(self.rejoin(user)),
                _ if join.takeover => Ok(self.take_over(user, device)),
                _ => Err(Refusal::AnsweredElsewhere),
            };
        }
        if known.is_some_and(|p| p.status == ParticipantStatus::Kicked) {
            return Err(Refusal::Kicked);
        }
        if !self.call.may_come_in(self.chat, user) {
            return if join.wait {
                self.wait(user, device)
            } else {
                Err(Refusal::Locked)
            };
        }
        if join.busy {
            return Err(Refusal::BusySelf);
        }
        if self.call.seats() >= self.config.max_participants as usize {
            return Err(Refusal::Full);
        }
        let rung = known.is_some_and(Participant::open);
        let first = self.call.status == CallStatus::Ringing;
        if first {
            self.start_talking();
        }
        if join.accept {
            self.log(EventType::Accepted, Some(user), json!({}));
        }
        let waited = self.call.waiting.contains_key(user);
        self.seat(user, device);
        if waited {
            self.effects.push(Effect::Waiters);
        }
        if rung {
            self.tell([user.clone()], Note::AnsweredElsewhere(device.clone()));
        }
        if join.accept {
            let others = self
                .users(|p| p.seated() || p.open())
                .into_iter()
                .filter(|other| other != user);
            let others: Vec<_> = others.collect();
            self.tell(others, Note::Accepted(user.clone()));
        }
        for seated in if first {
            self.users(Participant::seated)
        } else {
            vec![user.clone()]
        } {
            self.expect_media(&seated);
        }
        self.settle(EndReason::LastLeft, None);
        Ok(self.done(Outcome::Joined))
    }

    /// T5: from the answer on there must be media soon.
    pub(super) fn expect_media(&mut self, user: &UserId) {
        let deadline = self.now.plus_ms(self.config.media_connect_ms);
        let ongoing = self.call.status == CallStatus::Ongoing;
        if let Some(person) = self.call.participants.get_mut(user).filter(|p| p.seated())
            && ongoing
            && person.media != MediaLink::Connected
            && !person.unreachable()
        {
            person.media_deadline = Some(deadline);
        }
    }

    fn rejoin(mut self, user: &UserId) -> Transition {
        self.link(user, |person| person.socket_lost = false);
        self.done(Outcome::Joined)
    }

    fn take_over(mut self, user: &UserId, device: &DeviceId) -> Transition {
        let person = self.person(user);
        let old = person.device.replace(device.clone());
        self.log(EventType::SeatMoved, Some(user), json!({}));
        self.tell([user.clone()], Note::SeatMoved(device.clone()));
        if let Some(old) = old {
            self.effects.push(Effect::SeatFreed(user.clone(), old));
        }
        // The new tab brings its own socket and must bring its own media.
        self.link(user, |person| {
            person.socket_lost = false;
            person.media = MediaLink::None;
        });
        self.expect_media(user);
        self.effects.push(Effect::Updated(user.clone()));
        self.done(Outcome::Joined)
    }

    pub(super) fn reject(mut self, user: &UserId, reason: RejectReason) -> Transition {
        let open = self.call.participants.get(user).is_some_and(Participant::open);
        if !open || reason == RejectReason::Timeout {
            return self.noop();
        }
        self.turn_away(user, reason);
        self.settle(EndReason::LastLeft, None);
        self.done(Outcome::Done)
    }

    pub(super) fn end(mut self, user: &UserId) -> Result<Transition, Refusal> {
        let seated = self.call.participants.get(user).is_some_and(Participant::seated);
        match self.call.status {
            CallStatus::Ringing if self.call.initiated_by == *user => {
                self.close(CallStatus::Cancelled, EndReason::CallerCancelled, Some(user));
            }
            CallStatus::Ringing => return Err(Refusal::Forbidden("only the caller may cancel; decline instead")),
            // Two people: whoever leaves ends it, so "end" from either means the same.
            _ if self.call.moderator(self.chat, user) || (seated && !self.call.group_rules) => {
                self.close(CallStatus::Ended, EndReason::Hangup, Some(user));
            }
            _ => return Err(Refusal::Forbidden("only a moderator may end it for all; leave instead")),
        }
        Ok(self.done(Outcome::Done))
    }

    pub(super) fn leave(mut self, user: &UserId, device: Option<&DeviceId>) -> Transition {
        if self.gave_up_waiting(user, device) {
            return self.done(Outcome::Done);
        }
        let Some(person) = self.call.participants.get(user).filter(|p| p.seated()) else {
            return self.noop();
        };
        if device.is_some() && person.device.as_ref() != device {
            return self.noop(); // a tab that does not hold the seat cannot drop it
        }
        if self.call.status == CallStatus::Ringing {
            self.close(CallStatus::Cancelled, EndReason::CallerCancelled, Some(user));
        } else {
            self.free(user, ParticipantStatus::Left, "left");
            self.settle(EndReason::Hangup, Some(user));
        }
        self.done(Outcome::Done)
    }
}
