//! What was said and what was rung: the shapes of history, over REST and in the commands that mark it seen.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{CallStatus, CallType, Chat, EndReason, Message, ParticipantStatus, QualityReason, User};
use crate::ids::{CallId, ChatId, MessageId, UserId};

/// Fields of `send_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// Where.
    pub chat_id: ChatId,
    /// The text.
    pub content: String,
    /// Written in this call, in which the sender holds a seat: it reaches those in it who are not in the chat, too.
    #[serde(default)]
    #[ts(optional)]
    pub call_id: Option<CallId>,
}

/// Fields of `mark_read`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MarkRead {
    /// Where.
    pub chat_id: ChatId,
    /// The newest message that was seen; absent: all of them. The marker never goes back.
    #[serde(default)]
    #[ts(optional)]
    pub up_to: Option<MessageId>,
}

/// Fields of `mark_calls_seen`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MarkCallsSeen {
    /// The newest missed call that was seen; absent: all of them.
    #[serde(default)]
    #[ts(optional)]
    pub up_to: Option<CallId>,
}

/// Fields of `calls_seen`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallsSeen {
    /// Missed calls that are still unseen.
    pub unseen: u32,
}

/// Answer of `GET /api/v1/chats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ChatList {
    /// All chats of the user, newest first.
    pub chats: Vec<Chat>,
}

/// Answer of `GET /api/v1/chats/{chat}/messages` and `GET /api/v1/calls/{call}/messages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MessagePage {
    /// Newest first.
    pub messages: Vec<Message>,
    /// There are older ones: ask with `before` = the last one's id.
    pub more: bool,
}

/// Answer of `POST /api/v1/chats/{chat}/read`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// Messages of the chat that are still unread.
    pub unread: u32,
}

/// Answer of `GET /api/v1/calls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallEntry>,
    /// Give it back as `cursor` for the calls before these; null: there are no more.
    pub next: Option<String>,
    /// Missed calls that the reader has not seen, whatever the filter.
    pub unseen: u32,
}

/// A call in the reader's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallEntry {
    /// Which.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// A group's or room's name; null in a direct chat, and for who is not in the chat.
    pub chat_name: Option<String>,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// Now.
    pub status: CallStatus,
    /// Why it is over; null while it lives.
    pub end_reason: Option<EndReason>,
    /// Who started it.
    pub initiator: User,
    /// The others, by name: at most ten.
    pub others: Vec<User>,
    /// How many others there are.
    pub others_count: u32,
    /// RFC 3339: the ring.
    pub created_at: String,
    /// RFC 3339: the first answer.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Whole seconds of talk; 0 when nobody answered.
    pub duration: u32,
    /// The reader's own status in it.
    pub mine: ParticipantStatus,
    /// A missed call that the reader has seen; true for one that was not missed.
    pub seen: bool,
}

/// Answer of `GET /api/v1/calls/{call}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallDetails {
    /// Which.
    pub call_id: CallId,
    /// Where.
    pub chat_id: ChatId,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// Now.
    pub status: CallStatus,
    /// Why it is over; null while it lives.
    pub end_reason: Option<EndReason>,
    /// Who started it.
    pub initiated_by: UserId,
    /// RFC 3339: the ring.
    pub created_at: String,
    /// RFC 3339: the first answer.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Who ended it, if a person did.
    pub ended_by: Option<UserId>,
    /// Whole seconds of talk.
    pub duration: u32,
    /// Everybody who was rung or in it.
    pub participants: Vec<CallDetailsParticipant>,
}

/// One person's part in a past or present call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallDetailsParticipant {
    /// The person.
    pub user: User,
    /// Now, or in the end.
    pub status: ParticipantStatus,
    /// RFC 3339: when they took the seat last; null for who was never in it.
    pub joined_at: Option<String>,
    /// RFC 3339: when they freed it last.
    pub left_at: Option<String>,
    /// Whole seconds in the seat, over all stays.
    pub duration: u32,
    /// Each stay, from the call's events, in order.
    pub stays: Vec<Stay>,
    /// How good their connection was, minute by minute; a minute is there once it is over.
    pub quality: Vec<QualityMinute>,
}

/// How good the connection to one participant was in one minute of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct QualityMinute {
    /// RFC 3339: its beginning.
    pub minute: String,
    /// Milliseconds of it with score 4. The four are less than a minute for who was connected for a part of it.
    pub good_ms: u32,
    /// With score 3.
    pub fair_ms: u32,
    /// With score 2.
    pub poor_ms: u32,
    /// With score 1.
    pub bad_ms: u32,
    /// Why it was not good, for most of that time; null when it was.
    pub reason: Option<QualityReason>,
}

/// From taking the seat to freeing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Stay {
    /// RFC 3339.
    pub joined_at: String,
    /// RFC 3339; null while they sit.
    pub left_at: Option<String>,
    /// `left`, `kicked`, `call_ended`, `connection_lost` or `media_failed`; null while they sit.
    pub reason: Option<String>,
}
