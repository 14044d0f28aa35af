//! The moves that transitions are made of. Each keeps what [`Call::check`] demands, or leaves a state that
//! [`Step::settle`] repairs before the transition is handed out.

use serde_json::{Value, json};

use super::{At, Call, CallConfig, Chat, Effect, EventType, MediaLink, Note, Participant, Transition};
use crate::ids::{DeviceId, UserId};
use crate::protocol::{CallStatus, ChatType, EndReason, Outcome, ParticipantStatus, RejectReason, WaitingOutcome};

/// A transition under way.
pub(super) struct Step<'a> {
    pub(super) call: Call,
    pub(super) chat: &'a Chat,
    pub(super) config: &'a CallConfig,
    /// The database's clock: what deadlines are counted from.
    pub(super) now: At,
    /// The same for the record, where nothing may happen before what happened already.
    pub(super) stamp: At,
    pub(super) effects: Vec<Effect>,
}

impl<'a> Step<'a> {
    pub(super) fn new(call: Call, chat: &'a Chat, now: At, config: &'a CallConfig) -> Self {
        // A clock that was set back must not make an end before its start; deadlines that were counted from such a stamp
        // would lie as far in the future as the clock was set back.
        let stamps = call.participants.values().flat_map(|p| [p.joined_at, p.left_at]);
        let known = stamps.chain([Some(call.created_at), call.started_at]).flatten().max();
        let stamp = known.map_or(now, |known| known.max(now));
        Self {
            call,
            chat,
            config,
            now,
            stamp,
            effects: Vec::new(),
        }
    }

    pub(super) fn done(self, outcome: Outcome) -> Transition {
        let mut call = self.call;
        call.rev += 1;
        Transition {
            call,
            effects: self.effects,
            outcome,
            at: self.stamp,
            now: self.now,
        }
    }

    pub(super) fn noop(self) -> Transition {
        Transition {
            call: self.call,
            effects: Vec::new(),
            outcome: Outcome::Noop,
            at: self.stamp,
            now: self.now,
        }
    }

    pub(super) fn log(&mut self, event: EventType, user: Option<&UserId>, metadata: Value) {
        self.effects.push(Effect::Log(event, user.cloned(), metadata));
    }

    pub(super) fn tell(&mut self, to: impl IntoIterator<Item = UserId>, note: Note) {
        let mut to: Vec<UserId> = to.into_iter().collect();
        to.sort();
        to.dedup();
        if !to.is_empty() {
            self.effects.push(Effect::Tell(to, note));
        }
    }

    pub(super) fn person(&mut self, user: &UserId) -> &mut Participant {
        self.call
            .participants
            .entry(user.clone())
            .or_insert_with(|| Participant::new(ParticipantStatus::Invited))
    }

    /// May know of the call.
    pub(super) fn knows(&self, user: &UserId) -> bool {
        self.chat.members.contains_key(user) || self.call.participants.contains_key(user)
    }

    /// Everybody whom the end of the call concerns: the chat, and who was rung from outside it. A room's members are
    /// all who ever had a token, so there it is the participants alone.
    pub(super) fn everybody(&self) -> Vec<UserId> {
        let members = self
            .chat
            .members
            .keys()
            .filter(|_| self.chat.chat_type != ChatType::Room);
        members.chain(self.call.participants.keys()).cloned().collect()
    }

    /// Rings somebody.
    pub(super) fn ring(&mut self, user: &UserId, by: Option<&UserId>) {
        let deadline = self.now.plus_ms(self.config.ring_ms);
        let by = by.cloned();
        let person = self.person(user);
        person.status = ParticipantStatus::Invited;
        person.ring_deadline = Some(deadline);
        person.invited_by = by;
        self.tell([user.clone()], Note::Incoming(deadline));
    }

    /// Gives somebody the seat; they had none.
    pub(super) fn seat(&mut self, user: &UserId, device: &DeviceId) {
        let now = self.stamp;
        if self.call.waiting.remove(user).is_some_and(|w| w.admitted) {
            self.person(user).admitted = true;
        }
        let person = self.person(user);
        person.status = ParticipantStatus::Joined;
        person.device = Some(device.clone());
        person.joined_at = Some(now);
        person.socket_lost = false;
        person.media = MediaLink::None;
        person.ring_deadline = None;
        let mutes: Vec<_> = person.mutes.keys().copied().collect();
        self.log(EventType::ParticipantJoined, Some(user), json!({}));
        self.effects.push(Effect::Joined(user.clone()));
        for source in mutes {
            self.effects.push(Effect::Blocked(user.clone(), source, true));
        }
    }

    /// The call is answered: talk time begins.
    pub(super) fn start_talking(&mut self) {
        self.call.status = CallStatus::Ongoing;
        self.call.started_at = Some(self.stamp);
        self.call.max_deadline = Some(self.now.plus_ms(self.config.max_duration_ms));
        self.call.caller_lost_deadline = None;
    }

    /// Frees a seat; nothing when there is none.
    pub(super) fn free(&mut self, user: &UserId, status: ParticipantStatus, reason: &str) {
        let now = self.stamp;
        let Some(person) = self.call.participants.get_mut(user).filter(|p| p.seated()) else {
            return;
        };
        let stay = person.joined_at.map_or(0, |since| now.ms_since(since));
        person.duration_ms += stay;
        person.left_at = Some(now);
        person.status = status;
        let device = person.device.take();
        person.socket_lost = false;
        person.media = MediaLink::None;
        person.rejoin_deadline = None;
        person.media_deadline = None;
        person.hand_at = None;
        self.log(
            EventType::ParticipantLeft,
            Some(user),
            json!({ "reason": reason, "durationMs": stay }),
        );
        self.effects.push(Effect::Left(user.clone(), None));
        if let Some(device) = device {
            self.effects.push(Effect::SeatFreed(user.clone(), device));
        }
    }

    /// A callee is not open any more, without having come in.
    pub(super) fn turn_away(&mut self, user: &UserId, reason: RejectReason) {
        let initiator = self.call.initiated_by.clone();
        let Some(person) = self.call.participants.get_mut(user).filter(|p| p.open()) else {
            return;
        };
        person.ring_deadline = None;
        person.status = match reason {
            RejectReason::Declined => ParticipantStatus::Declined,
            RejectReason::Busy => ParticipantStatus::Busy,
            RejectReason::Timeout => ParticipantStatus::Missed,
        };
        let mut told = vec![initiator];
        told.extend(person.invited_by.clone());
        if reason == RejectReason::Timeout {
            self.log(EventType::Missed, Some(user), json!({}));
            self.tell([user.clone()], Note::Missed);
        } else {
            self.log(EventType::Rejected, Some(user), json!({ "reason": reason }));
            told.push(user.clone()); // closes the dialog in their other tabs
        }
        self.tell(told, Note::Rejected(user.clone(), reason));
        self.effects.push(Effect::Left(user.clone(), None));
    }

    /// Ends the call: every seat is freed, every open callee has missed it.
    pub(super) fn close(&mut self, status: CallStatus, reason: EndReason, by: Option<&UserId>) {
        if !self.call.live() {
            return;
        }
        let seated = self.users(Participant::seated);
        for user in &seated {
            self.free(user, ParticipantStatus::Left, "call_ended");
        }
        for user in self.users(Participant::open) {
            let person = self.person(&user);
            person.status = ParticipantStatus::Missed;
            person.ring_deadline = None;
            self.log(EventType::Missed, Some(&user), json!({}));
            self.tell([user], Note::Missed);
        }
        for (user, waiting) in std::mem::take(&mut self.call.waiting) {
            self.tell([user], Note::Waiting(WaitingOutcome::Ended, waiting.device, None));
        }
        let call = &mut self.call;
        call.status = status;
        call.end_reason = Some(reason);
        call.ended_at = Some(self.stamp);
        call.ended_by = by.cloned();
        call.caller_lost_deadline = None;
        call.alone_ask_deadline = None;
        call.alone_end_deadline = None;
        call.max_deadline = None;
        let metadata = json!({ "status": status, "reason": reason, "duration": call.talk_seconds() });
        self.log(EventType::Ended, by, metadata);
        let everybody = self.everybody();
        self.tell(everybody, Note::Ended);
        self.effects.push(Effect::CallMessage);
        self.effects.push(Effect::Over);
    }

    /// What follows from the seats as they are now: nobody left to answer, nobody left to talk, somebody alone.
    /// `reason` is that of the last seat freed, `by` who freed it.
    pub(super) fn settle(&mut self, reason: EndReason, by: Option<&UserId>) {
        match self.call.status {
            CallStatus::Ringing if !self.call.anybody_open() => {
                let reason = self.why_nobody_answered();
                self.close(CallStatus::Rejected, reason, None);
            }
            CallStatus::Ongoing => {
                let present = self.call.seats() + self.call.publishers as usize;
                let two_people_rule = !self.call.group_rules && self.call.seats() < 2;
                if present == 0 || two_people_rule {
                    let reason = match reason {
                        EndReason::Hangup if self.call.group_rules => EndReason::LastLeft,
                        reason => reason,
                    };
                    self.close(CallStatus::Ended, reason, by);
                } else {
                    self.watch_alone(present);
                }
            }
            _ => {}
        }
    }

    fn why_nobody_answered(&self) -> EndReason {
        let rung = || {
            self.call
                .participants
                .iter()
                .filter(|(user, _)| **user != self.call.initiated_by)
        };
        if rung().any(|(_, p)| p.status == ParticipantStatus::Missed) {
            EndReason::Timeout
        } else if rung().all(|(_, p)| p.status == ParticipantStatus::Busy) {
            EndReason::Busy
        } else {
            EndReason::Declined
        }
    }

    fn watch_alone(&mut self, present: usize) {
        let alone = present == 1 && self.call.group_rules && !self.call.anybody_open() && self.call.publishers == 0;
        if !alone {
            self.call.alone_ask_deadline = None;
            self.call.alone_end_deadline = None;
        } else if self.call.alone_end_deadline.is_none() {
            self.call.alone_ask_deadline = Some(self.now.plus_ms(self.config.alone_ask_ms));
            self.call.alone_end_deadline = Some(self.now.plus_ms(self.config.alone_end_ms));
        }
    }

    pub(super) fn users(&self, which: impl Fn(&Participant) -> bool) -> Vec<UserId> {
        self.call
            .participants
            .iter()
            .filter(|(_, p)| which(p))
            .map(|(user, _)| user.clone())
            .collect()
    }
}
