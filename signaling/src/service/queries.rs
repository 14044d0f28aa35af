//! What the service is asked.

use std::collections::BTreeSet;

use super::render::{self, People};
use super::unit::{Unit, in_call};
use super::{CallDetails, Result, Service, retrying};
use crate::calls::{Call, Chat};
use crate::ids::{CallId, ChatId, UserId};
use crate::protocol::{
    ActiveCall, ChatType, Event, EventBody, MediaSource, Roster, Snapshot, UserPresence, WaitingList,
};
use crate::store::db::{Tx, args};
use crate::store::{CallRecord, StoreError, call_list, calls, chats, outbox, users};

impl Service {
    /// State for a page that starts. `presence` is asked for everybody who shares a chat with the user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot(
        &self,
        user: &UserId,
        presence: &(dyn Fn(&[UserId]) -> Vec<UserPresence> + Send + Sync),
    ) -> Result<Snapshot> {
        Ok(self.snapshot_at(user, presence).await?.0)
    }

    /// The same with the sequence of the last event that is in it: what comes later, and nothing before, must follow.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot_at(
        &self,
        user: &UserId,
        presence: &(dyn Fn(&[UserId]) -> Vec<UserPresence> + Send + Sync),
    ) -> Result<(Snapshot, u64)> {
        // One consistent state: an event between two looks would be counted in both, or in neither.
        let mut tx = self.store.db.begin_read().await?;
        let seq = outbox::last_seq(&mut tx, user).await?;
        let chats = chats::chats_of(&mut tx, user, None).await?;
        let now = crate::calls::At(self.clock_ms(&mut tx).await?);
        let rows = tx
            .fetch_all(
                "SELECT call_id FROM call_participants WHERE user_id = $1 AND status IN ('invited', 'ringing') \
                 AND ring_deadline > ts($2)",
                args![user.as_str(), now.0],
            )
            .await?;
        let busy = in_call(&mut tx, std::slice::from_ref(user)).await?.contains(user);
        let mut incoming = Vec::new();
        for row in &rows {
            let Some(call) = calls::look(&mut tx, &row.text("call_id")?.into()).await? else {
                continue;
            };
            let Some(deadline) = call.participants.get(user).and_then(|p| p.ring_deadline) else {
                continue;
            };
            let mut people = People::default();
            let invited_by = call.participants.get(user).and_then(|p| p.invited_by.clone());
            let named: Vec<UserId> = invited_by.into_iter().chain([call.initiated_by.clone()]).collect();
            people.add(users::users_by_id(&mut tx, &named).await?);
            incoming.push(render::incoming(&call, &people, user, deadline, now, busy));
        }
        let missed_calls = call_list::unseen(&mut tx, user).await?;
        drop(tx);
        // Not of a room: who ever held its link is no acquaintance.
        let contacts: BTreeSet<&UserId> = chats
            .iter()
            .filter(|chat| chat.chat_type != ChatType::Room)
            .flat_map(|chat| chat.members.iter().map(|member| &member.user.id))
            .collect();
        let contacts: Vec<UserId> = contacts.into_iter().cloned().collect();
        let snapshot = Snapshot {
            chats,
            presence: presence(&contacts),
            incoming,
            missed_calls,
        };
        Ok((snapshot, seq))
    }

    /// Events of a user's outbox after `seq`, in order, at most `limit`; `ringMsLeft` is computed now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_after(&self, user: &UserId, seq: u64, limit: u32) -> Result<Vec<Event>> {
        Ok(outbox::read(&self.store.db, user, seq, limit).await?)
    }

    /// Sequence of the newest event of a user; 0 when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_seq(&self, user: &UserId) -> Result<u64> {
        Ok(self
            .last_seqs(std::slice::from_ref(user))
            .await?
            .pop()
            .map_or(0, |(_, seq)| seq))
    }

    /// Whether every event of a user after `seq` is still kept: those that were missed can be replayed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept_after(&self, user: &UserId, seq: u64) -> Result<bool> {
        let oldest = outbox::oldest(&self.store.db, user).await?;
        Ok(oldest.is_some_and(|oldest| oldest <= seq.saturating_add(1)))
    }

    /// Newest sequence of each of these users: the query every 2 s that heals lost hints. Who was erased is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_seqs(&self, users: &[UserId]) -> Result<Vec<(UserId, u64)>> {
        Ok(outbox::last_seqs(&self.store.db, users).await?)
    }

    /// The epoch of the database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn epoch(&self) -> Result<u64> {
        Ok(self.store.epoch().await?)
    }

    /// Everybody in a live call, those still rung included. Of `sources` only `muted_by` is filled in; what is live
    /// belongs to whoever hears own `mute` and `unmute`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such call.
    pub async fn roster(&self, call: &CallId) -> Result<Roster> {
        let mut tx = self.store.db.begin_read().await?;
        let (chat, call) = look(&mut tx, call).await?.ok_or(StoreError::NotFound("call"))?;
        let mut people = People::default();
        let ids: Vec<UserId> = call.participants.keys().cloned().collect();
        people.add(users::users_by_id(&mut tx, &ids).await?);
        Ok(render::roster(&call, &chat, &people))
    }

    /// Who waits to be let into a live call; none when this user does not moderate it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such call.
    pub async fn waiting_list(&self, call: &CallId, moderator: &UserId) -> Result<Option<WaitingList>> {
        let mut tx = self.store.db.begin_read().await?;
        let (chat, call) = look(&mut tx, call).await?.ok_or(StoreError::NotFound("call"))?;
        if call.waiting.is_empty() || !call.moderator(&chat, moderator) {
            return Ok(None);
        }
        let mut people = People::default();
        let ids: Vec<UserId> = call.waiting.keys().cloned().collect();
        people.add(users::users_by_id(&mut tx, &ids).await?);
        Ok(Some(render::waiting_list(&call, &chat, &people)))
    }

    /// What moderators muted of a participant: to be blocked again whenever their media is set up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn muted_sources(&self, call: &CallId, user: &UserId) -> Result<Vec<MediaSource>> {
        let mut tx = self.store.db.begin_read().await?;
        let call = calls::look(&mut tx, call).await?;
        let person = call.as_ref().and_then(|call| call.participants.get(user));
        Ok(person
            .map(|person| person.mutes.keys().copied().collect())
            .unwrap_or_default())
    }

    /// The live call of a chat as this user sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn active_call(&self, user: &UserId, chat: &ChatId) -> Result<Option<ActiveCall>> {
        let mut tx = self.store.db.begin_read().await?;
        let Some(id) = calls::live_call_of_chat(&mut tx, chat).await? else {
            return Ok(None);
        };
        Ok(calls::look(&mut tx, &id)
            .await?
            .and_then(|call| render::active(&call, user)))
    }

    /// Who of these holds a seat in some call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn in_call(&self, users: &[UserId]) -> Result<Vec<UserId>> {
        let mut tx = self.store.db.begin_read().await?;
        Ok(in_call(&mut tx, users).await?.into_iter().collect())
    }

    /// A call with participants and events; none when there is no such call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_details(&self, id: &CallId) -> Result<Option<CallDetails>> {
        let Some(call) = self.store.call(id).await? else {
            return Ok(None);
        };
        let participants = self.store.participants(id).await?;
        let events = self.store.call_events(id).await?;
        let quality = self.store.quality(id).await?;
        Ok(Some(CallDetails {
            call,
            participants,
            events,
            quality,
        }))
    }

    /// Calls of a chat (or of all), newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calls(&self, chat: Option<&ChatId>, limit: u32) -> Result<Vec<CallRecord>> {
        Ok(self.store.calls(chat, limit).await?)
    }

    /// Tells every member of a chat that it appeared or changed (`chat_updated`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such chat.
    pub async fn announce_chat(&self, chat: &ChatId) -> Result<()> {
        self.announce(chat, |_| true).await
    }

    /// Tells one member of a chat that it appeared: their pages are open already and know nothing of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such chat.
    pub async fn announce_chat_to(&self, chat: &ChatId, user: &UserId) -> Result<()> {
        self.announce(chat, |member| member == user).await
    }

    async fn announce(&self, chat: &ChatId, to: impl Fn(&UserId) -> bool) -> Result<()> {
        retrying!(async {
            let mut unit = Unit::begin(self).await?;
            let locked = unit.lock_chats(BTreeSet::from([chat.clone()])).await?.remove(chat);
            let members = locked.ok_or(StoreError::NotFound("chat"))?.members;
            for user in members.keys().filter(|member| to(member)) {
                if let Some(seen) = chats::chats_of(&mut unit.tx, user, Some(chat)).await?.pop() {
                    unit.tell(
                        user,
                        render::draft(&EventBody::ChatUpdated(Box::new(seen)), None, None)?,
                    );
                }
            }
            unit.commit().await
        })
    }
}

async fn look(tx: &mut Tx, id: &CallId) -> Result<Option<(Chat, Call)>> {
    let Some(call) = calls::look(tx, id).await? else {
        return Ok(None);
    };
    let chat = chats::look_at_chat(tx, &call.chat).await?;
    Ok(Some((chat.ok_or(StoreError::NotFound("chat"))?, call)))
}
