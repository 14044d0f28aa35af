//! What the server itself sees: links lost and back, media, WHIP and WHEP sessions.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::unit::Unit;
use super::{Actor, Link, ResourceKind, Result, Service, retrying};
use crate::calls::{self, Input, NewCall, Participant};
use crate::ids::{CallId, ChatId, UserId};
use crate::protocol::{CallType, ParticipantStatus, WireError};
use crate::store::StoreError;
use crate::store::calls::{live_call_of_chat, load, seat_of, waiting};
use crate::store::db::args;

impl Service {
    /// The seat held by this tab has lost its socket or its media path. A tab without a seat loses nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seat_lost(&self, actor: &Actor, what: Link) -> Result<()> {
        self.seat_link(actor, what, true).await
    }

    /// It is back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seat_back(&self, actor: &Actor, what: Link) -> Result<()> {
        self.seat_link(actor, what, false).await
    }

    async fn seat_link(&self, actor: &Actor, what: Link, lost: bool) -> Result<()> {
        let user = actor.user.clone();
        if what == Link::Socket && lost {
            for call in self.waits_for(&user).await? {
                let (user, device) = (user.clone(), actor.device.clone());
                self.observe(&call, &Input::Socket { user, device, lost }).await?;
            }
        }
        let Some((call, device)) = self.seat_of(&actor.user).await? else {
            return Ok(());
        };
        if device != actor.device {
            return Ok(());
        }
        let input = match (what, lost) {
            (Link::Socket, lost) => Input::Socket { user, device, lost },
            (Link::Media, true) => Input::MediaLost(user),
            (Link::Media, false) => Input::MediaConnected(user),
        };
        self.observe(&call, &input).await
    }

    /// The media plane reports a DTLS-connected transport, or packets again, for this participant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn media_connected(&self, call: &CallId, user: &UserId) -> Result<()> {
        self.observe(call, &Input::MediaConnected(user.clone())).await
    }

    /// The media plane reports 5 s without an authenticated packet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn media_lost(&self, call: &CallId, user: &UserId) -> Result<()> {
        self.observe(call, &Input::MediaLost(user.clone())).await
    }

    /// The media plane reports that the transport is gone for good; a new offer is due within T5.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn media_failed(&self, call: &CallId, user: &UserId) -> Result<()> {
        self.observe(call, &Input::MediaClosed(user.clone())).await
    }

    /// The media plane reports that a room failed: the call ends as `failed/server_lost`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn room_failed(&self, call: &CallId) -> Result<()> {
        self.observe(call, &Input::RoomFailed).await
    }

    /// Ends a call for the API: `ended/moderator`, or cancelled when nobody answered yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn terminate(&self, call: &CallId) -> Result<()> {
        self.observe(call, &Input::Terminate).await
    }

    /// Applies what was observed of a call; nothing when there is no such call.
    pub(super) async fn observe(&self, call: &CallId, input: &Input) -> Result<()> {
        retrying!(async {
            let mut unit = Unit::begin(self).await?;
            let Some(opened) = unit.open_one(call).await? else {
                return Ok(());
            };
            let now = unit.now().await?;
            self.decide(&mut unit, opened, input, now).await?;
            unit.commit().await
        })
    }

    /// Opens a WHIP or WHEP session in a room: its call (made by the first publisher) and the id of the session.
    ///
    /// # Errors
    /// `NOT_FOUND` for who is not a member of the room, and for a viewer of a room without a live call.
    pub async fn open_resource(&self, user: &UserId, room: &ChatId, kind: ResourceKind) -> Result<(CallId, String)> {
        retrying!(async {
            let mut unit = Unit::begin(self).await?;
            let chat = unit.lock_chats(BTreeSet::from([room.clone()])).await?.remove(room);
            let chat = chat
                .filter(|chat| chat.members.contains_key(user))
                .ok_or(StoreError::NotFound("room"))?;
            let live = live_call_of_chat(&mut unit.tx, &chat.id).await?;
            let now = unit.now().await?;
            if let Some(id) = &live
                && let Some(call) = load(&mut unit.tx, id).await?
            {
                let kicked = |p: &Participant| p.status == ParticipantStatus::Kicked;
                if call.participants.get(user).is_some_and(kicked) {
                    return Err(WireError::from(calls::Refusal::Kicked).into());
                }
                if !call.may_come_in(&chat, user) {
                    return Err(WireError::from(calls::Refusal::Locked).into());
                }
            }
            let call = match (live, kind) {
                (Some(call), _) => call,
                (None, ResourceKind::Viewer) => return Err(StoreError::NotFound("live call in this room").into()),
                (None, ResourceKind::Publisher) => {
                    let new = NewCall {
                        id: CallId(Uuid::new_v4().to_string()),
                        room_name: Uuid::new_v4().simple().to_string(),
                        call_type: CallType::Video,
                        user: user.clone(),
                        device: None,
                        invitees: None,
                    };
                    let step = calls::start(&chat, new, now, &self.config).map_err(WireError::from)?;
                    unit.carry_out(&chat, None, &step).await?;
                    step.call.id
                }
            };
            let id = Uuid::new_v4().to_string();
            let kind_name = match kind {
                ResourceKind::Publisher => "publisher",
                ResourceKind::Viewer => "viewer",
            };
            unit.tx
                .execute(
                    "INSERT INTO call_resources (id, call_id, user_id, kind, node_id, lease_until, created_at) \
                     VALUES ($1, $2, $3, $4, $5, ts($6), ts($7))",
                    args![
                        id.as_str(),
                        call.as_str(),
                        user.as_str(),
                        kind_name,
                        self.node.as_str(),
                        now.plus_ms(self.config.lease_ms).0,
                        now.0
                    ],
                )
                .await?;
            if kind == ResourceKind::Publisher
                && let Some(opened) = unit.open_one(&call).await?
            {
                self.decide(&mut unit, opened, &Input::Publishers, now).await?;
            }
            unit.commit().await?;
            Ok((call, id))
        })
    }

    /// Closes it; the last publisher out ends a room's call without seats. Closing twice is nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_resource(&self, resource: &str) -> Result<()> {
        let sql = "SELECT call_id FROM call_resources WHERE id = $1 AND ended_at IS NULL";
        let Some(row) = self.store.db.fetch_optional(sql, args![resource]).await? else {
            return Ok(());
        };
        let call = CallId(row.text("call_id")?);
        retrying!(async {
            let mut unit = Unit::begin(self).await?;
            if unit.open_one(&call).await?.is_none() {
                return Ok(());
            }
            let now = unit.now().await?;
            unit.tx
                .execute(
                    "UPDATE call_resources SET ended_at = ts($2) WHERE id = $1 AND ended_at IS NULL",
                    args![resource, now.0],
                )
                .await?;
            // Loaded again, so that the publishers are counted as they are now.
            if let Some(opened) = unit.open_one(&call).await? {
                self.decide(&mut unit, opened, &Input::Publishers, now).await?;
            }
            unit.commit().await
        })
    }

    /// The live calls on whose waiting list a user is: of their chats, and those that they were invited to from outside.
    async fn waits_for(&self, user: &UserId) -> Result<Vec<CallId>> {
        let mut tx = self.store.db.begin_read().await?;
        let rows = tx
            .fetch_all(
                "SELECT c.id, c.waiting::text AS waiting FROM chat_participants m \
                 JOIN calls c ON c.chat_id = m.chat_id AND c.status IN ('ringing', 'ongoing') WHERE m.user_id = $1 \
                 UNION SELECT c.id, c.waiting::text FROM calls c \
                 JOIN call_participants p ON p.call_id = c.id AND p.user_id = $1 WHERE c.status IN ('ringing', 'ongoing')",
                args![user.as_str()],
            )
            .await?;
        let mut calls = Vec::new();
        for row in &rows {
            if waiting(row)?.contains_key(user) {
                calls.push(CallId(row.text("id")?));
            }
        }
        Ok(calls)
    }

    /// Where the user's seat is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seat_of(&self, user: &UserId) -> Result<Option<(CallId, crate::ids::DeviceId)>> {
        let mut tx = self.store.db.begin_read().await?;
        Ok(seat_of(&mut tx, user)
            .await?
            .map(|(call, device)| (call, device.into())))
    }
}
