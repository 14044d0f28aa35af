//! T1 to T6: what time does.

use super::moderate::NOT_IN_CALL;
use super::{At, Effect, Participant, Refusal, Transition, step::Step};
use crate::ids::UserId;
use crate::protocol::{CallStatus, EndReason, Outcome, ParticipantStatus, RejectReason};

impl Step<'_> {
    pub(super) fn tick(mut self) -> Transition {
        let due = |deadline: Option<At>| deadline.is_some_and(|at| at <= self.now);
        if self.call.next_deadline().is_none_or(|(at, _)| at > self.now) {
            return self.noop();
        }
        let (too_long, caller_lost) = (due(self.call.max_deadline), due(self.call.caller_lost_deadline));
        let (ask, alone) = (due(self.call.alone_ask_deadline), due(self.call.alone_end_deadline));
        let unanswered = self.users(|p| due(p.ring_deadline));
        let no_media = self.users(|p| due(p.media_deadline));
        let gone = self.users(|p| due(p.rejoin_deadline));
        let waited = self.call.waiting.iter().filter(|(_, w)| w.deadline <= self.now);
        let waited: Vec<UserId> = waited.map(|(user, _)| user.clone()).collect();

        if too_long {
            self.close(CallStatus::Ended, EndReason::MaxDuration, None);
        } else if caller_lost {
            self.close(CallStatus::Cancelled, EndReason::CallerLost, None);
        }
        self.waited_too_long(&waited);
        for user in &unanswered {
            self.turn_away(user, RejectReason::Timeout);
        }
        self.settle(EndReason::LastLeft, None);
        self.without_media(&no_media);
        self.not_back(&gone);
        if alone && self.call.alone_end_deadline.is_some() {
            self.close(CallStatus::Ended, EndReason::LastLeft, None);
        } else if ask && self.call.alone_ask_deadline.take().is_some() {
            for user in self.users(Participant::seated) {
                self.effects.push(Effect::Alone(user));
            }
        }
        self.done(Outcome::Done)
    }

    /// The answer to T4's question: whoever is alone goes on, and is asked again.
    pub(super) fn stay(mut self, user: &UserId) -> Result<Transition, Refusal> {
        if !self.seated(user) {
            return Err(NOT_IN_CALL);
        }
        if self.call.alone_end_deadline.is_none() {
            return Ok(self.noop());
        }
        self.call.alone_ask_deadline = Some(self.now.plus_ms(self.config.alone_ask_ms));
        self.call.alone_end_deadline = Some(self.now.plus_ms(self.config.alone_end_ms));
        Ok(self.done(Outcome::Done))
    }

    fn without_media(&mut self, users: &[UserId]) {
        if users.is_empty() || !self.call.live() {
            return;
        }
        if !self.call.group_rules {
            self.close(CallStatus::Failed, EndReason::MediaFailed, None);
            return;
        }
        for user in users {
            self.free(user, ParticipantStatus::Left, "media_failed");
        }
        self.settle(EndReason::LastLeft, None);
    }

    fn not_back(&mut self, users: &[UserId]) {
        let caller = users.contains(&self.call.initiated_by);
        if users.is_empty() || !self.call.live() {
            return;
        }
        // Possible only with a rejoin period shorter than T2: the loss of a ringing caller is T2's to name.
        if self.call.status == CallStatus::Ringing {
            self.close(CallStatus::Cancelled, EndReason::CallerLost, None);
            return;
        }
        for user in users {
            self.free(user, ParticipantStatus::Left, "connection_lost");
        }
        if caller && self.config.end_when_initiator_lost {
            self.close(CallStatus::Ended, EndReason::ConnectionLost, None);
        }
        self.settle(EndReason::ConnectionLost, None);
    }
}
