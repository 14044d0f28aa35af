//! What was overtaken: messages of one call are published after their commits, and the task of an earlier commit may be the
//! later one to run. Whoever believed the last that came would show an old state for ever.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::calls::At;
use crate::ids::{CallId, ChatId, UserId};
use crate::protocol::{MediaSource, RealtimeBody};
use crate::service::{BusMessage, Moment};

/// How long a moment is remembered. A message is overtaken by milliseconds.
const MEMORY: Duration = Duration::from_secs(30);

/// What a message tells the whole state of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Chat(ChatId),
    Person(CallId, UserId),
    Lock(CallId),
    Waiting(CallId),
    Muted(CallId, UserId, MediaSource),
    Blocked(CallId, UserId, MediaSource),
}

fn subject(message: &BusMessage) -> Option<(Subject, &Moment)> {
    let (at, to, body) = match message {
        BusMessage::ChatCall { at, chat, .. } => return Some((Subject::Chat(chat.clone()), at)),
        BusMessage::Blocked { at, user, source, .. } => {
            return Some((Subject::Blocked(at.call.clone(), user.clone(), *source), at));
        }
        BusMessage::ToCall { at, body, .. } => (at, &[][..], body),
        BusMessage::ToUsers { at, users, body } => (at, &users[..], body),
        _ => return None,
    };
    let call = at.call.clone();
    let subject = match body {
        RealtimeBody::CallParticipantJoined(joined) | RealtimeBody::ParticipantUpdated(joined) => {
            Subject::Person(call, joined.user_id.clone())
        }
        RealtimeBody::CallParticipantLeft(left) => Subject::Person(call, left.user_id.clone()),
        RealtimeBody::CallLocked(_) => Subject::Lock(call),
        RealtimeBody::WaitingList(_) => Subject::Waiting(call),
        RealtimeBody::Muted(muted) => Subject::Muted(call, to.first()?.clone(), muted.source),
        _ => return None,
    };
    Some((subject, at))
}

/// The newest moment told of each subject.
#[derive(Debug, Default)]
pub(super) struct Order {
    newest: HashMap<Subject, ((At, i64), Instant)>,
    swept: Option<Instant>,
}

impl Order {
    /// Whether something later about the same was told already.
    pub(super) fn overtaken(&mut self, message: &BusMessage, now: Instant) -> bool {
        let Some((subject, at)) = subject(message) else {
            return false;
        };
        let age = |then: Instant| now.saturating_duration_since(then);
        if age(*self.swept.get_or_insert(now)) > MEMORY {
            self.newest.retain(|_, (_, told)| age(*told) <= MEMORY);
            self.swept = Some(now);
        }
        let moment = (at.created_at, at.rev);
        match self.newest.get(&subject) {
            Some((newest, told)) if *newest > moment && age(*told) <= MEMORY => true,
            _ => {
                self.newest.insert(subject, (moment, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChatId;
    use crate::protocol::CallLocked;
    use crate::protocol::User;

    fn moment(call: &str, created_at: i64, rev: i64) -> Moment {
        Moment {
            call: call.into(),
            created_at: At(created_at),
            rev,
        }
    }

    fn listed(at: Moment) -> BusMessage {
        BusMessage::ChatCall {
            at,
            chat: ChatId::from("chat"),
            bodies: Vec::new(),
        }
    }

    fn locked(at: Moment, locked: bool) -> BusMessage {
        let body = CallLocked {
            call_id: at.call.clone(),
            locked,
            by: User {
                id: "anna".into(),
                name: "Anna".into(),
                avatar: None,
            },
        };
        BusMessage::ToCall {
            at,
            except: None,
            body: RealtimeBody::CallLocked(body),
        }
    }

    #[test]
    fn what_comes_after_something_later_about_the_same_is_overtaken() {
        let (mut order, now) = (Order::default(), Instant::now());
        let mut late = |message: BusMessage| order.overtaken(&message, now);
        assert!(!late(listed(moment("a", 1, 4))));
        assert!(!late(listed(moment("a", 1, 6))));
        assert!(late(listed(moment("a", 1, 5))));
        assert!(!late(listed(moment("a", 1, 6))), "one commit may tell twice");
        assert!(!late(locked(moment("a", 1, 3), true)), "another subject");
        assert!(late(locked(moment("a", 1, 2), false)));
        assert!(!late(listed(moment("b", 2, 0))), "the next call in the chat");
        assert!(late(listed(moment("a", 1, 7))), "its predecessor's last word");
    }

    #[test]
    fn nothing_is_remembered_for_ever_not_even_over_a_clock_that_was_set_back() {
        let (mut order, start) = (Order::default(), Instant::now());
        assert!(!order.overtaken(&listed(moment("a", 100, 1)), start));
        assert!(order.overtaken(&listed(moment("b", 50, 1)), start + MEMORY));
        assert!(!order.overtaken(&listed(moment("b", 50, 1)), start + MEMORY * 2));
        assert!(!order.overtaken(&locked(moment("b", 50, 1), true), start + MEMORY * 4));
        assert_eq!(order.newest.len(), 1);
    }
}
