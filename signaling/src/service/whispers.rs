//! What is told to those who are connected now, and written down nowhere.

use super::render::{self, People};
use super::{BusMessage, Moment};
use crate::calls::{At, Call, Chat, Effect};
use crate::ids::UserId;
use crate::protocol::{CallAlone, CallLocked, Muted, RealtimeBody};

/// The hint of an effect; none for what is written down instead. `at` is when it happened, `now` what deadlines are counted from.
pub(super) fn of(
    chat: &Chat,
    call: &Call,
    effect: &Effect,
    people: &People,
    (at, now): (At, At),
) -> Option<BusMessage> {
    let to_call = |except: Option<&UserId>, body| BusMessage::ToCall {
        at: Moment::of(call),
        except: except.cloned(),
        body,
    };
    let to_users = |users, body| BusMessage::ToUsers {
        at: Moment::of(call),
        users,
        body,
    };
    match effect {
        Effect::Joined(user) => render::joined(call, chat, people, user, at)
            .map(|joined| to_call(Some(user), RealtimeBody::CallParticipantJoined(joined))),
        Effect::Updated(user) => render::joined(call, chat, people, user, at)
            .map(|joined| to_call(None, RealtimeBody::ParticipantUpdated(joined))),
        Effect::Left(user, by) => Some(to_call(
            Some(user),
            RealtimeBody::CallParticipantLeft(render::left(call, people, user, by.as_ref(), at)),
        )),
        Effect::Removed(user) => Some(BusMessage::Removed {
            call: call.id.clone(),
            user: user.clone(),
        }),
        Effect::Waiters => Some(to_users(
            call.moderators(chat),
            RealtimeBody::WaitingList(render::waiting_list(call, chat, people)),
        )),
        Effect::Locked(locked, by) => Some(to_call(
            None,
            RealtimeBody::CallLocked(CallLocked {
                call_id: call.id.clone(),
                locked: *locked,
                by: people.user(by),
            }),
        )),
        Effect::Ringing(user) => Some(to_users(
            vec![call.initiated_by.clone()],
            RealtimeBody::CallRinging(render::person(call, people, user, at)),
        )),
        Effect::Muted {
            user,
            source,
            muted,
            by,
        } => Some(to_users(
            vec![user.clone()],
            RealtimeBody::Muted(Muted {
                call_id: call.id.clone(),
                source: *source,
                muted: *muted,
                by: people.user(by),
            }),
        )),
        Effect::Alone(user) => Some(to_users(
            vec![user.clone()],
            RealtimeBody::CallAlone(CallAlone {
                call_id: call.id.clone(),
                ends_in_ms: call
                    .alone_end_deadline
                    .map_or(0, |end| u32::try_from(end.ms_since(now)).unwrap_or(u32::MAX)),
            }),
        )),
        Effect::Blocked(user, source, blocked) => Some(BusMessage::Blocked {
            at: Moment::of(call),
            user: user.clone(),
            source: *source,
            blocked: *blocked,
        }),
        Effect::SeatFreed(user, device) => Some(BusMessage::SeatFreed {
            call: call.id.clone(),
            user: user.clone(),
            device: device.clone(),
        }),
        Effect::Over => Some(BusMessage::CallOver { call: call.id.clone() }),
        Effect::Log(..) | Effect::Tell(..) | Effect::CallMessage => None,
    }
}
