//! Rows 8 to 10: invite, kick, mute, lock, hands.

use serde_json::json;

use super::{Effect, EventType, Note, Participant, Refusal, Transition, step::Step};
use crate::ids::UserId;
use crate::protocol::{CallStatus, ChatType, EndReason, MediaSource, Outcome, ParticipantStatus};

const NOT_A_MODERATOR: Refusal = Refusal::Forbidden("only a moderator may do this");
pub(super) const NOT_IN_CALL: Refusal = Refusal::Forbidden("only who is in the call may do this");

impl Step<'_> {
    pub(super) fn seated(&self, user: &UserId) -> bool {
        self.call.participants.get(user).is_some_and(Participant::seated)
    }

    pub(super) fn must_moderate(&self, user: &UserId) -> Result<(), Refusal> {
        if self.call.moderator(self.chat, user) {
            Ok(())
        } else {
            Err(NOT_A_MODERATOR)
        }
    }

    pub(super) fn invite(mut self, by: &UserId, guest: bool, user: &UserId) -> Result<Transition, Refusal> {
        if !self.seated(by) {
            return Err(NOT_IN_CALL);
        }
        if guest {
            return Err(Refusal::Forbidden("a guest may not invite"));
        }
        if self.chat.chat_type == ChatType::Room && !self.chat.members.contains_key(user) {
            return Err(Refusal::Forbidden("a room is entered by its link or a token"));
        }
        let moderator = self.call.moderator(self.chat, by);
        if self.call.locked && !moderator {
            return Err(Refusal::Locked);
        }
        match self.call.participants.get(user) {
            Some(person) if person.seated() || person.open() => return Ok(self.noop()),
            Some(person) if person.status == ParticipantStatus::Kicked && !moderator => return Err(NOT_A_MODERATOR),
            _ => {}
        }
        let expected = self.users(|p| p.seated() || p.open()).len();
        if expected >= self.config.max_participants as usize {
            return Err(Refusal::Full);
        }
        self.call.group_rules = true;
        self.log(EventType::Invited, Some(user), json!({ "by": by }));
        self.ring(user, Some(by));
        self.person(user).admitted |= moderator;
        self.settle(EndReason::LastLeft, None);
        self.effects.push(Effect::Updated(user.clone()));
        Ok(self.done(Outcome::Done))
    }

    pub(super) fn kick(mut self, by: &UserId, user: &UserId) -> Result<Transition, Refusal> {
        self.must_moderate(by)?;
        if by == user {
            return Err(Refusal::BadRequest("to go yourself, leave"));
        }
        if self.call.status == CallStatus::Ringing && self.call.initiated_by == *user {
            // Nobody else is in it: without its caller there is no call.
            self.close(CallStatus::Cancelled, EndReason::CallerCancelled, Some(by));
            return Ok(self.done(Outcome::Done));
        }
        let waited = self.call.waiting.remove(user).is_some();
        if !self.call.participants.contains_key(user) && !self.chat.members.contains_key(user) {
            return Ok(self.noop());
        }
        let person = self.person(user);
        if person.status == ParticipantStatus::Kicked {
            return Ok(self.noop());
        }
        person.admitted = false;
        self.log(EventType::ParticipantKicked, Some(user), json!({ "by": by }));
        if self.seated(user) {
            self.free(user, ParticipantStatus::Kicked, "kicked");
            self.effects
                .retain(|effect| *effect != Effect::Left(user.clone(), None));
        } else {
            let person = self.person(user);
            person.status = ParticipantStatus::Kicked;
            person.ring_deadline = None;
        }
        self.effects.push(Effect::Left(user.clone(), Some(by.clone())));
        self.effects.push(Effect::Removed(user.clone()));
        if waited {
            self.effects.push(Effect::Waiters);
        }
        self.tell([user.clone()], Note::Kicked(by.clone()));
        self.settle(EndReason::Hangup, Some(by));
        Ok(self.done(Outcome::Done))
    }

    pub(super) fn mute(
        mut self,
        by: &UserId,
        user: &UserId,
        source: MediaSource,
        muted: bool,
    ) -> Result<Transition, Refusal> {
        self.must_moderate(by)?;
        let Some(person) = self.call.participants.get_mut(user).filter(|p| p.seated()) else {
            return Ok(self.noop());
        };
        if muted == person.mutes.contains_key(&source) {
            return Ok(self.noop());
        }
        if muted {
            person.mutes.insert(source, by.clone());
        } else {
            person.mutes.remove(&source);
        }
        self.log(
            EventType::ParticipantMuted,
            Some(user),
            json!({ "by": by, "source": source, "muted": muted }),
        );
        self.effects.push(Effect::Blocked(user.clone(), source, muted));
        self.effects.push(Effect::Muted {
            user: user.clone(),
            source,
            muted,
            by: by.clone(),
        });
        self.effects.push(Effect::Updated(user.clone()));
        Ok(self.done(Outcome::Done))
    }

    pub(super) fn lock(mut self, by: &UserId, locked: bool) -> Result<Transition, Refusal> {
        self.must_moderate(by)?;
        if self.call.locked == locked {
            return Ok(self.noop());
        }
        self.call.locked = locked;
        self.log(EventType::Locked, Some(by), json!({ "locked": locked }));
        self.effects.push(Effect::Locked(locked, by.clone()));
        if !locked && !self.chat.lobby {
            for user in self.call.waiting.keys().cloned().collect::<Vec<_>>() {
                self.let_in(by, &user);
            }
        }
        Ok(self.done(Outcome::Done))
    }

    pub(super) fn hand(mut self, by: &UserId, user: &UserId, up: bool) -> Result<Transition, Refusal> {
        if by != user {
            self.must_moderate(by)?;
        }
        let now = self.stamp;
        let Some(person) = self.call.participants.get_mut(user).filter(|p| p.seated()) else {
            return if by == user { Err(NOT_IN_CALL) } else { Ok(self.noop()) };
        };
        if person.hand_at.is_some() == up {
            return Ok(self.noop());
        }
        person.hand_at = up.then_some(now);
        self.effects.push(Effect::Updated(user.clone()));
        Ok(self.done(Outcome::Done))
    }
}
