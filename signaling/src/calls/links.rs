//! Row 11 and T2, T3, T5: what the loss and the return of a seat's connections do.

use serde_json::json;

use super::{Effect, EventType, MediaLink, Participant, Transition, step::Step};
use crate::ids::{DeviceId, UserId};
use crate::protocol::{CallStatus, EndReason, Outcome, ParticipantStatus};

impl Step<'_> {
    /// Changes the links of a seat, then brings its status and deadlines in line with them. Whether anything changed.
    pub(super) fn link(&mut self, user: &UserId, change: impl FnOnce(&mut Participant)) -> bool {
        let (now, config) = (self.now, self.config);
        let ringing_caller = self.call.status == CallStatus::Ringing && self.call.initiated_by == *user;
        let Some(person) = self.call.participants.get_mut(user).filter(|p| p.seated()) else {
            return false;
        };
        let before = person.clone();
        change(person);
        let reachable_before = !before.unreachable();
        let reconnecting = person.socket_lost || person.media == MediaLink::Lost;
        person.status = if reconnecting {
            ParticipantStatus::Reconnecting
        } else {
            ParticipantStatus::Joined
        };
        if person.media == MediaLink::Connected {
            person.media_deadline = None;
        }
        if person.unreachable() {
            if reachable_before || person.rejoin_deadline.is_none() {
                person.rejoin_deadline = Some(now.plus_ms(config.rejoin_ms));
                if ringing_caller {
                    self.call.caller_lost_deadline = Some(now.plus_ms(config.caller_lost_ms));
                }
            }
            person.media_deadline = None; // T3 runs instead
        } else {
            person.rejoin_deadline = None;
            if ringing_caller {
                self.call.caller_lost_deadline = None;
            }
        }
        let (status, unreachable) = (person.status, person.unreachable());
        if *person == before {
            return false;
        }
        if status != before.status {
            if status == ParticipantStatus::Reconnecting {
                self.log(EventType::ParticipantReconnecting, Some(user), json!({}));
            }
            self.effects.push(Effect::Updated(user.clone()));
        }
        if !unreachable && !reachable_before {
            self.expect_media(user); // back, but only by socket: media must follow
        }
        true
    }

    fn linked(self, changed: bool) -> Transition {
        if changed { self.done(Outcome::Done) } else { self.noop() }
    }

    pub(super) fn socket(mut self, user: &UserId, device: &DeviceId, lost: bool) -> Transition {
        if lost && self.gave_up_waiting(user, Some(device)) {
            return self.done(Outcome::Done);
        }
        let held = self.call.participants.get(user).and_then(|p| p.device.as_ref());
        if held != Some(device) {
            return self.noop();
        }
        let changed = self.link(user, |person| person.socket_lost = lost);
        self.linked(changed)
    }

    pub(super) fn media(mut self, user: &UserId, media: MediaLink) -> Transition {
        let changed = self.link(user, |person| {
            // Silence of a transport that never was connected is not a loss.
            if media != MediaLink::Lost || person.media == MediaLink::Connected {
                person.media = media;
            }
        });
        if changed && media == MediaLink::None {
            self.expect_media(user);
        }
        self.linked(changed)
    }

    pub(super) fn room_failed(mut self) -> Transition {
        self.close(CallStatus::Failed, EndReason::ServerLost, None);
        self.done(Outcome::Done)
    }

    /// By the API: a call nobody answered is cancelled, one that was answered is ended.
    pub(super) fn terminate(mut self) -> Transition {
        if self.call.status == CallStatus::Ringing {
            self.close(CallStatus::Cancelled, EndReason::CallerCancelled, None);
        } else {
            self.close(CallStatus::Ended, EndReason::Moderator, None);
        }
        self.done(Outcome::Done)
    }

    pub(super) fn publishers_changed(mut self) -> Transition {
        self.settle(EndReason::LastLeft, None);
        self.done(Outcome::Done)
    }
}
