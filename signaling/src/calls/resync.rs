//! Rules 6 and 7: what a restart, an outage of the database and a jump of its clock do to deadlines.

use super::{At, MediaLink, Transition, step::Step};
use crate::ids::UserId;
use crate::protocol::Outcome;

impl Step<'_> {
    /// The seats of a restarted process are lost and kept for a whole rejoin period; who is rung gets a little longer, and
    /// a tab that waits has to say so again soon.
    pub(super) fn restart(mut self, seats: &[UserId]) -> Transition {
        let (now, config) = (self.now, self.config);
        let (least, rejoin) = (now.plus_ms(config.restart_ring_ms), now.plus_ms(config.rejoin_ms));
        for user in seats {
            self.link(user, |person| {
                person.socket_lost = true;
                person.media = MediaLink::None;
            });
        }
        at_least(&mut self.call.caller_lost_deadline, least);
        for person in self.call.participants.values_mut() {
            at_least(&mut person.ring_deadline, least);
            at_least(&mut person.rejoin_deadline, rejoin);
        }
        for waiting in self.call.waiting.values_mut() {
            waiting.deadline = waiting.deadline.min(rejoin);
        }
        self.done(Outcome::Done)
    }

    /// Nothing could be noted for a while, or the clock is another one: what was due meanwhile must not all happen at once,
    /// and what was counted from a clock that ran ahead must not take as much longer.
    pub(super) fn resync(mut self, jump_ms: i64) -> Transition {
        let (now, config, before) = (self.now, self.config, self.call.clone());
        let forward = jump_ms.max(0);
        let mend = |deadline: &mut Option<At>, period_ms: u32| {
            if let Some(at) = deadline {
                let least = now.plus_ms(config.restart_ring_ms.min(period_ms));
                *at = At(at.0.saturating_add(forward)).clamp(least, now.plus_ms(period_ms));
            }
        };
        let call = &mut self.call;
        mend(&mut call.caller_lost_deadline, config.caller_lost_ms);
        mend(&mut call.alone_ask_deadline, config.alone_ask_ms);
        mend(&mut call.alone_end_deadline, config.alone_end_ms);
        mend(&mut call.max_deadline, config.max_duration_ms);
        for person in call.participants.values_mut() {
            mend(&mut person.ring_deadline, config.ring_ms.max(config.restart_ring_ms));
            mend(&mut person.rejoin_deadline, config.rejoin_ms);
            mend(&mut person.media_deadline, config.media_connect_ms);
        }
        for waiting in call.waiting.values_mut() {
            let mut deadline = Some(waiting.deadline);
            mend(&mut deadline, config.wait_ms);
            waiting.deadline = deadline.unwrap_or(waiting.deadline);
        }
        if self.call == before {
            return self.noop();
        }
        self.done(Outcome::Done)
    }
}

fn at_least(deadline: &mut Option<At>, least: At) {
    if let Some(at) = deadline {
        *at = (*at).max(least);
    }
}
