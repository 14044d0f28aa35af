//! A unit of work: one transaction, the events it writes, and the hints that go out after its commit.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::render::{self, People};
use super::{BusMessage, Moment, Result, Service, whispers};
use crate::calls::{At, Call, Chat, Effect, Note, Participant, Transition};
use crate::ids::{CallId, ChatId, MessageId, UserId};
use crate::protocol::{
    CallActor, CallDevice, CallMissed, CallRejected, CallsSeen, EventBody, Message, MessageKind, ParticipantStatus,
    User, WaitingStatus,
};
use crate::store::calls::Lease;
use crate::store::db::{Tx, args};
use crate::store::outbox::Draft;
use crate::store::words::list;
use crate::store::{StoreError, call_list, calls, chats, messages, outbox, rfc3339, users};

/// One transaction under way. Dropped without [`Unit::commit`] nothing has happened.
pub(super) struct Unit<'a> {
    pub(super) tx: Tx,
    service: &'a Service,
    drafts: BTreeMap<UserId, Vec<Draft>>,
    after: Vec<BusMessage>,
    /// Whose count of missed calls is another now, in a way that no event tells.
    recount: BTreeSet<UserId>,
    people: People,
}

/// A call with the chat it is in, both locked.
pub(super) struct Opened {
    pub(super) chat: Chat,
    pub(super) call: Call,
}

impl<'a> Unit<'a> {
    pub(super) async fn begin(service: &'a Service) -> Result<Self> {
        let tx = service.store.db.begin().await?;
        Ok(Self {
            tx,
            service,
            drafts: BTreeMap::new(),
            after: Vec::new(),
            recount: BTreeSet::new(),
            people: People::default(),
        })
    }

    pub(super) fn service(&self) -> &'a Service {
        self.service
    }

    /// The database's clock; asked when the locks are held.
    pub(super) async fn now(&mut self) -> Result<At> {
        Ok(At(self.service.clock_ms(&mut self.tx).await?))
    }

    /// Locks chats, in the order of their ids; a chat that does not exist is left out.
    pub(super) async fn lock_chats(&mut self, ids: BTreeSet<ChatId>) -> Result<BTreeMap<ChatId, Chat>> {
        let mut locked = BTreeMap::new();
        for id in ids {
            if let Some(chat) = chats::lock_chat(&mut self.tx, &id).await? {
                locked.insert(id, chat);
            }
        }
        Ok(locked)
    }

    /// Locks the chats of calls, in the order of their ids.
    pub(super) async fn lock_chats_of(
        &mut self,
        ids: &BTreeSet<CallId>,
    ) -> Result<(BTreeMap<CallId, ChatId>, BTreeMap<ChatId, Chat>)> {
        let mut where_: BTreeMap<CallId, ChatId> = BTreeMap::new();
        for id in ids {
            if let Some(chat) = calls::chat_of_call(&mut self.tx, id).await? {
                where_.insert(id.clone(), chat);
            }
        }
        let chats = self.lock_chats(where_.values().cloned().collect()).await?;
        Ok((where_, chats))
    }

    /// Locks and loads calls: first their chats, then the calls, each in the order of their ids. Those that do not
    /// exist are left out.
    pub(super) async fn open(&mut self, ids: &BTreeSet<CallId>) -> Result<BTreeMap<CallId, Opened>> {
        let (where_, chats) = self.lock_chats_of(ids).await?;
        let mut opened = BTreeMap::new();
        for (id, chat) in where_ {
            if let (Some(chat), Some(call)) = (chats.get(&chat), calls::load(&mut self.tx, &id).await?) {
                opened.insert(
                    id,
                    Opened {
                        chat: chat.clone(),
                        call,
                    },
                );
            }
        }
        Ok(opened)
    }

    pub(super) async fn open_one(&mut self, id: &CallId) -> Result<Option<Opened>> {
        Ok(self.open(&BTreeSet::from([id.clone()])).await?.remove(id))
    }

    pub(super) fn tell(&mut self, user: &UserId, draft: Draft) {
        self.drafts.entry(user.clone()).or_default().push(draft);
    }

    /// Tells a user, last of all, how many missed calls they have not seen.
    pub(super) fn recount(&mut self, user: &UserId) {
        self.recount.insert(user.clone());
    }

    /// Writes a transition down: state, record, events. Ephemeral effects wait for the commit.
    pub(super) async fn carry_out(&mut self, chat: &Chat, before: Option<&Call>, step: &Transition) -> Result<()> {
        let (call, at, now) = (&step.call, step.at, step.now);
        if before == Some(call) && step.effects.is_empty() {
            return Ok(());
        }
        let lease = Lease {
            node: &self.service.node,
            until_ms: now.plus_ms(self.service.config.lease_ms).0,
        };
        calls::save(&mut self.tx, before, call, lease).await?;
        let log = step.effects.iter().filter_map(|effect| match effect {
            Effect::Log(event, user, metadata) => Some((*event, user.clone(), metadata.clone())),
            _ => None,
        });
        let log: Vec<_> = log.collect();
        calls::log(&mut self.tx, &call.id, &log, at.0).await?;

        let concerned: BTreeSet<&UserId> = call
            .participants
            .keys()
            .chain([&call.initiated_by])
            .chain(call.ended_by.as_ref())
            .chain(call.waiting.keys())
            .chain(step.effects.iter().filter_map(actor))
            .collect();
        let unknown = self.people.missing(concerned);
        if !unknown.is_empty() {
            let found = users::users_by_id(&mut self.tx, &unknown).await?;
            self.people.add(found);
        }
        let no_longer_missed = call.participants.iter().filter(|(user, now)| {
            let missed = |p: &Participant| p.status == ParticipantStatus::Missed;
            let was = before.and_then(|call| call.participants.get(*user));
            !missed(now) && was.is_some_and(missed)
        });
        self.recount.extend(no_longer_missed.map(|(user, _)| user.clone()));
        for effect in &step.effects {
            match effect {
                Effect::Log(..) => {}
                Effect::Tell(to, note) => self.write(call, to, note, (at, now)).await?,
                Effect::CallMessage => self.call_message(chat, call, at).await?,
                other => self
                    .after
                    .extend(whispers::of(chat, call, other, &self.people, (at, now))),
            }
        }
        let bodies = render::updates(call, chat);
        if before.map(|call| render::updates(call, chat)).as_ref() != Some(&bodies) {
            self.after.push(BusMessage::ChatCall {
                at: Moment::of(call),
                chat: chat.id.clone(),
                bodies,
            });
        }
        Ok(())
    }

    /// `at` is when it happened, for the record; `now` what deadlines are counted from.
    async fn write(&mut self, call: &Call, to: &[UserId], note: &Note, (at, now): (At, At)) -> Result<()> {
        let call_id = call.id.clone();
        let body = match note {
            Note::Incoming(deadline) => return self.write_incoming(call, to, *deadline, now).await,
            Note::Created => EventBody::CallCreated(render::created(call)),
            Note::Accepted(user) => EventBody::CallAccepted(render::person(call, &self.people, user, at)),
            Note::Rejected(user, reason) => EventBody::CallRejected(CallRejected {
                call_id,
                user_id: user.clone(),
                user_name: self.people.name(user),
                reason: *reason,
                timestamp: rfc3339(at.0),
            }),
            Note::Missed => EventBody::CallMissed(CallMissed {
                call_id,
                chat_id: call.chat.clone(),
                initiator: self.people.user(&call.initiated_by),
                timestamp: rfc3339(at.0),
            }),
            Note::AnsweredElsewhere(device) => EventBody::CallAnsweredElsewhere(CallDevice {
                call_id,
                device: device.to_string(),
            }),
            Note::SeatMoved(device) => EventBody::SeatMoved(CallDevice {
                call_id,
                device: device.to_string(),
            }),
            Note::Kicked(by) => EventBody::Kicked(CallActor {
                call_id,
                by: self.people.user(by),
            }),
            Note::Waiting(status, device, by) => EventBody::WaitingStatus(WaitingStatus {
                call_id,
                chat_id: call.chat.clone(),
                status: *status,
                device: device.to_string(),
                by: by.as_ref().map(|by| self.people.user(by)),
                timestamp: rfc3339(at.0),
            }),
            Note::Ended => EventBody::CallEnded(render::ended(call, &self.people)),
        };
        let draft = render::draft(&body, Some(call), None)?;
        for user in to {
            self.tell(user, draft.clone());
        }
        Ok(())
    }

    /// Being busy elsewhere does not reject: it rings without a sound.
    async fn write_incoming(&mut self, call: &Call, to: &[UserId], deadline: At, now: At) -> Result<()> {
        let busy = in_call(&mut self.tx, to).await?;
        for user in to {
            let incoming = render::incoming(call, &self.people, user, deadline, now, busy.contains(user));
            let draft = render::draft(&EventBody::IncomingCall(incoming), Some(call), Some(deadline))?;
            self.tell(user, draft);
        }
        Ok(())
    }

    async fn call_message(&mut self, chat: &Chat, call: &Call, at: At) -> Result<()> {
        let id = MessageId(Uuid::now_v7().to_string());
        let new = messages::NewMessage {
            id: &id,
            chat: &call.chat,
            sender: &call.initiated_by,
            call: Some(&call.id),
            in_call: None,
            content: "",
            now_ms: at.0,
        };
        messages::insert(&mut self.tx, &new).await?;
        messages::read_by_participants(&mut self.tx, &call.id, &call.chat).await?;
        for user in chat.members.keys() {
            let message = Message {
                id: id.clone(),
                chat_id: call.chat.clone(),
                sender_id: call.initiated_by.clone(),
                kind: MessageKind::Call,
                content: String::new(),
                call: Some(render::summary(call, user)),
                in_call: None,
                created_at: rfc3339(at.0),
            };
            let draft = render::draft(&EventBody::Message(Box::new(message)), Some(call), None)?;
            self.tell(user, draft);
        }
        Ok(())
    }

    /// Writes the events, commits, and only then publishes.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.tell_counts().await?;
        if !self.drafts.is_empty() {
            outbox::append(&mut self.tx, &self.drafts).await?;
        }
        self.tx.commit().await?;
        if !self.drafts.is_empty() {
            self.service.bus.publish(BusMessage::Outbox {
                users: self.drafts.into_keys().collect(),
            });
        }
        for message in self.after {
            self.service.bus.publish(message);
        }
        Ok(())
    }

    /// A count is a state, not a difference: it is taken where no other transaction can put one before it that knows more.
    async fn tell_counts(&mut self) -> Result<()> {
        let recount = std::mem::take(&mut self.recount);
        if recount.is_empty() {
            return Ok(());
        }
        let counters = self.drafts.keys().chain(&recount).collect();
        outbox::lock(&mut self.tx, &counters).await?;
        for user in &recount {
            let unseen = call_list::unseen(&mut self.tx, user).await?;
            self.tell(
                user,
                render::draft(&EventBody::CallsSeen(CallsSeen { unseen }), None, None)?,
            );
        }
        Ok(())
    }

    /// Name and picture of somebody.
    pub(super) async fn user(&mut self, id: &UserId) -> Result<User> {
        let mut found = users::users_by_id(&mut self.tx, std::slice::from_ref(id)).await?;
        Ok(found.pop().ok_or(StoreError::NotFound("user"))?)
    }
}

fn actor(effect: &Effect) -> Option<&UserId> {
    match effect {
        Effect::Tell(_, Note::Kicked(by) | Note::Waiting(_, _, Some(by)))
        | Effect::Muted { by, .. }
        | Effect::Locked(_, by) => Some(by),
        _ => None,
    }
}

/// Who of these holds a seat in some call.
pub(super) async fn in_call(tx: &mut Tx, users: &[UserId]) -> Result<BTreeSet<UserId>> {
    let rows = tx
        .fetch_all(
            "SELECT user_id FROM call_participants WHERE status IN ('joined', 'reconnecting') \
             AND user_id IN (SELECT value FROM each($1))",
            args![list(users)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| row.text("user_id").map(UserId::from))
        .collect::<std::result::Result<_, _>>()?)
}
