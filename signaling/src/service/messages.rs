//! Texts, and what was seen of them and of missed calls.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::render::draft;
use super::unit::Unit;
use super::{Result, Service};
use crate::calls::{Chat, Participant};
use crate::ids::{ChatId, MessageId, UserId};
use crate::protocol::{
    ChatType, Done, ErrorCode, EventBody, MarkCallsSeen, MarkRead, Message, MessageKind, Outcome, SendMessage,
    WireError,
};
use crate::store::{StoreError, call_list, chats, messages, rfc3339};

fn refuse<T>(code: ErrorCode, message: &str) -> Result<T> {
    Err(WireError::new(code, message).into())
}

impl Unit<'_> {
    pub(super) async fn send(&mut self, sender: &UserId, send: &SendMessage) -> Result<Message> {
        let limit = self.service().config().max_message_bytes as usize;
        if send.content.trim().is_empty() {
            return refuse(ErrorCode::BadRequest, "the message is empty");
        }
        if send.content.len() > limit {
            return refuse(
                ErrorCode::BadRequest,
                &format!("the message is longer than {limit} bytes"),
            );
        }
        if send.content.contains('\0') {
            return refuse(ErrorCode::BadRequest, "a message has no NUL character");
        }
        let (chat, readers) = self.readers(sender, send).await?;
        let now = self.now().await?;
        let id = MessageId(Uuid::now_v7().to_string());
        let new = messages::NewMessage {
            id: &id,
            chat: &chat,
            sender,
            call: None,
            in_call: send.call_id.as_ref(),
            content: &send.content,
            now_ms: now.0,
        };
        messages::insert(&mut self.tx, &new).await?;
        let message = Message {
            id,
            chat_id: chat,
            sender_id: sender.clone(),
            kind: MessageKind::Text,
            content: send.content.clone(),
            call: None,
            in_call: send.call_id.clone(),
            created_at: rfc3339(now.0),
        };
        let draft = draft(&EventBody::Message(Box::new(message.clone())), None, None)?;
        for user in &readers {
            self.tell(user, draft.clone());
        }
        Ok(message)
    }

    /// The chat of a text, locked, and who gets it: the chat's members, and for a text written in a call also those in it
    /// who are not in the chat. A room's members are all who ever had a token: a call's text stays with its people.
    async fn readers(&mut self, sender: &UserId, send: &SendMessage) -> Result<(ChatId, BTreeSet<UserId>)> {
        let Some(call) = &send.call_id else {
            let chat = self.member_chat(sender, &send.chat_id).await?;
            return Ok((chat.id, chat.members.into_keys().collect()));
        };
        let opened = self.open_one(call).await?.filter(|o| o.chat.id == send.chat_id);
        let opened = opened.ok_or(StoreError::NotFound("call"))?;
        let (chat, people) = (opened.chat, opened.call.participants);
        if !people.get(sender).is_some_and(Participant::seated) {
            if !chat.members.contains_key(sender) && !people.contains_key(sender) {
                return Err(StoreError::NotFound("call").into());
            }
            return refuse(
                ErrorCode::Forbidden,
                "only who is in the call writes in it; without callId it goes to the chat",
            );
        }
        let seated = people.iter().filter(|(_, p)| p.seated()).map(|(user, _)| user.clone());
        let mut readers: BTreeSet<UserId> = seated.collect();
        if chat.chat_type != ChatType::Room {
            readers.extend(chat.members.into_keys());
        }
        Ok((chat.id, readers))
    }

    pub(super) async fn mark_read(&mut self, user: &UserId, mark: &MarkRead) -> Result<Done> {
        let chat = self.member_chat(user, &mark.chat_id).await?;
        if !messages::mark_read(&mut self.tx, &chat.id, user, mark.up_to.as_ref()).await? {
            return Ok(Done { outcome: Outcome::Noop });
        }
        if let Some(seen) = chats::chats_of(&mut self.tx, user, Some(&chat.id)).await?.pop() {
            self.tell(user, draft(&EventBody::ChatUpdated(Box::new(seen)), None, None)?);
        }
        Ok(Done { outcome: Outcome::Done })
    }

    pub(super) async fn mark_calls_seen(&mut self, user: &UserId, mark: &MarkCallsSeen) -> Result<Done> {
        if call_list::mark_seen(&mut self.tx, user, mark.up_to.as_ref()).await? == 0 {
            return Ok(Done { outcome: Outcome::Noop });
        }
        self.recount(user);
        Ok(Done { outcome: Outcome::Done })
    }

    async fn member_chat(&mut self, user: &UserId, chat: &ChatId) -> Result<Chat> {
        let chat = self.lock_chats(BTreeSet::from([chat.clone()])).await?.remove(chat);
        let chat = chat.filter(|chat| chat.members.contains_key(user));
        chat.ok_or_else(|| StoreError::NotFound("chat").into())
    }
}

impl Service {
    /// Messages of a chat that the user has not read; none when they are not in it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unread(&self, user: &UserId, chat: &ChatId) -> Result<Option<u32>> {
        Ok(self.store().chat_for(user, chat).await?.map(|chat| chat.unread))
    }

    /// Missed calls that the user has not seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unseen_calls(&self, user: &UserId) -> Result<u32> {
        let mut tx = self.store().db.begin_read().await?;
        Ok(call_list::unseen(&mut tx, user).await?)
    }
}
