//! The waiting list: who comes to a locked call, or to a room that has a lobby, waits until a moderator lets them in.

use serde_json::json;

use super::{Effect, EventType, Note, Refusal, Transition, Waiting, step::Step};
use crate::ids::{DeviceId, UserId};
use crate::protocol::{Outcome, ParticipantStatus, WaitingOutcome};

impl Step<'_> {
    /// Gets on the list, or stays on it from this tab.
    pub(super) fn wait(mut self, user: &UserId, device: &DeviceId) -> Result<Transition, Refusal> {
        let room = self.call.waiting.len() < self.config.max_participants as usize;
        let deadline = self.now.plus_ms(self.config.wait_ms);
        let told = self.call.waiting.get(user).is_some_and(|w| w.device == *device);
        if let Some(waiting) = self.call.waiting.get_mut(user) {
            waiting.device = device.clone();
            waiting.deadline = deadline;
        } else if room {
            let waiting = Waiting {
                device: device.clone(),
                since: self.stamp,
                deadline,
                admitted: false,
            };
            self.call.waiting.insert(user.clone(), waiting);
            self.effects.push(Effect::Waiters);
        } else {
            return Err(Refusal::Full);
        }
        if !told {
            self.tell(
                [user.clone()],
                Note::Waiting(WaitingOutcome::Waiting, device.clone(), None),
            );
        }
        Ok(self.done(Outcome::Waiting))
    }

    /// Row 9: lets one person past the lock or out of the lobby.
    pub(super) fn admit(mut self, by: &UserId, user: &UserId) -> Result<Transition, Refusal> {
        self.must_moderate(by)?;
        let changed = match self.call.participants.get(user) {
            Some(person) if person.status == ParticipantStatus::Kicked => return Err(Refusal::Kicked),
            Some(person) if person.open() && !person.admitted => {
                self.person(user).admitted = true;
                self.let_in(by, user);
                true
            }
            _ => self.let_in(by, user),
        };
        Ok(if changed { self.done(Outcome::Done) } else { self.noop() })
    }

    /// Tells somebody who waits to come in. Whether they waited.
    pub(super) fn let_in(&mut self, by: &UserId, user: &UserId) -> bool {
        let deadline = self.now.plus_ms(self.config.ring_ms);
        let Some(waiting) = self.call.waiting.get_mut(user).filter(|w| !w.admitted) else {
            return false;
        };
        waiting.admitted = true;
        waiting.deadline = deadline;
        let device = waiting.device.clone();
        self.log(EventType::Invited, Some(user), json!({ "by": by, "admitted": true }));
        self.over_for(user, WaitingOutcome::Admitted, device, Some(by));
        true
    }

    /// Turns somebody away who waits; they may knock again.
    pub(super) fn deny(mut self, by: &UserId, user: &UserId) -> Result<Transition, Refusal> {
        self.must_moderate(by)?;
        let Some(waiting) = self.call.waiting.remove(user) else {
            return Ok(self.noop());
        };
        self.over_for(user, WaitingOutcome::Denied, waiting.device, Some(by));
        Ok(self.done(Outcome::Done))
    }

    /// The tab that waits has gone, or does not want to any more. Whether it waited.
    pub(super) fn gave_up_waiting(&mut self, user: &UserId, device: Option<&DeviceId>) -> bool {
        let here = |w: &Waiting| device.is_none_or(|device| w.device == *device);
        if !self.call.waiting.get(user).is_some_and(here) {
            return false;
        }
        self.call.waiting.remove(user);
        self.effects.push(Effect::Waiters);
        true
    }

    /// Those who waited too long are forgotten.
    pub(super) fn waited_too_long(&mut self, users: &[UserId]) {
        for user in users {
            if let Some(waiting) = self.call.waiting.remove(user) {
                self.over_for(user, WaitingOutcome::Expired, waiting.device, None);
            }
        }
    }

    fn over_for(&mut self, user: &UserId, what: WaitingOutcome, device: DeviceId, by: Option<&UserId>) {
        self.tell([user.clone()], Note::Waiting(what, device, by.cloned()));
        self.effects.push(Effect::Waiters);
    }
}
