//! Words that several messages share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::ids::{CallId, ChatId, MessageId, UserId};

/// What is rung for. It decides what the page switches on first; a participant may publish anything later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum CallType {
    /// Microphone only at first.
    Audio,
    /// Microphone and camera.
    Video,
}

/// Kind of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ChatType {
    /// Two people.
    Direct,
    /// Any number of people; calls ring its members.
    Group,
    /// Joined by link or token; rings nobody.
    Room,
}

/// A member's role in a chat. Owner and admin are moderators of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    /// Made the chat.
    Owner,
    /// May moderate.
    Admin,
    /// May talk.
    Member,
}

/// Life of a call: `ringing -> ongoing -> ended`, `ringing -> rejected | cancelled`, any live one `-> failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum CallStatus {
    /// Nobody has answered yet.
    Ringing,
    /// At least one answered.
    Ongoing,
    /// Was answered and is over.
    Ended,
    /// Nobody answered: all declined, were busy, or the ring ran out.
    Rejected,
    /// The caller gave up, or was lost, before anybody answered.
    Cancelled,
    /// The server or its media failed it.
    Failed,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// rejected: somebody declined and nobody was still open.
    Declined,
    /// rejected: all were busy.
    Busy,
    /// rejected: the ring ran out.
    Timeout,
    /// cancelled: by the caller.
    CallerCancelled,
    /// cancelled: the caller's connection was lost while ringing.
    CallerLost,
    /// ended: a moderator, or one of two people, hung up.
    Hangup,
    /// ended: the last participant left.
    LastLeft,
    /// ended: by a moderator through the API.
    Moderator,
    /// ended: the longest allowed duration was reached.
    MaxDuration,
    /// ended: the last participants' connections were lost.
    ConnectionLost,
    /// failed: no media connection came about.
    MediaFailed,
    /// failed: the server lost the call.
    ServerLost,
}

/// One person's part in a call; one row per (call, user), never per tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantStatus {
    /// Rung, but no device has confirmed it yet.
    Invited,
    /// A device of theirs is ringing.
    Ringing,
    /// Holds the seat.
    Joined,
    /// Holds the seat, connection lost.
    Reconnecting,
    /// Was in, is out.
    Left,
    /// Removed by a moderator.
    Kicked,
    /// Said no.
    Declined,
    /// Was in another call.
    Busy,
    /// Did not answer in time.
    Missed,
}

/// What a participant publishes, and what a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum MediaSource {
    /// Microphone.
    Mic,
    /// Camera.
    Camera,
    /// Shared screen or window.
    Screen,
    /// Sound of the shared screen.
    ScreenAudio,
}

/// A codec for video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// VP8: every browser has it.
    Vp8,
    /// VP9.
    Vp9,
    /// H.264.
    H264,
    /// AV1.
    Av1,
}

/// A person as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Who.
    pub id: UserId,
    /// Display name.
    pub name: String,
    /// URL of a picture.
    pub avatar: Option<String>,
}

/// Whether a person can be reached now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// A tab is connected.
    Online,
    /// Holds a seat in some call.
    InCall,
    /// No tab is connected.
    Offline,
}

/// A person with presence, as a chat list needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct UserPresence {
    /// Who.
    pub user_id: UserId,
    /// Reachable?
    pub presence: Presence,
    /// RFC 3339; only for somebody offline who was here before.
    pub last_seen: Option<String>,
}

/// A member of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ChatMember {
    /// The person.
    #[serde(flatten)]
    pub user: User,
    /// Their role here.
    pub role: ChatRole,
}

/// A chat in the list of chats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// Which.
    pub id: ChatId,
    /// direct, group or room.
    #[serde(rename = "type")]
    pub chat_type: ChatType,
    /// A group's name; a direct chat has none and shows the other person.
    pub name: Option<String>,
    /// Everybody in it, the reader included.
    pub members: Vec<ChatMember>,
    /// Of a room: who comes by its link waits until a moderator lets them in.
    #[serde(default)]
    pub lobby: bool,
    /// The live call, if there is one.
    pub active_call: Option<ActiveCall>,
    /// Newest message, for the list.
    pub last_message: Option<Message>,
    /// Messages that the reader has not seen.
    pub unread: u32,
}

/// A live call as somebody outside sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ActiveCall {
    /// Which.
    pub call_id: CallId,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// ringing or ongoing.
    pub status: CallStatus,
    /// How many are in it now.
    pub count: u32,
    /// The reader's own part in it, if any.
    pub mine: Option<ParticipantStatus>,
    /// The device that holds the reader's seat, if they hold one.
    pub my_device: Option<String>,
    /// A moderator lets nobody new in: a join is refused, or waits.
    #[serde(default)]
    pub locked: bool,
    /// The reader is on its waiting list.
    #[serde(default)]
    pub waiting: bool,
    /// Who started it.
    pub initiated_by: UserId,
    /// RFC 3339: when the ring began.
    pub created_at: String,
    /// RFC 3339: the first answer.
    pub started_at: Option<String>,
}

/// A message in a chat; calls leave one of kind `call`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Which.
    pub id: MessageId,
    /// Where.
    pub chat_id: ChatId,
    /// Who wrote it, or who started the call.
    pub sender_id: UserId,
    /// text or call.
    pub kind: MessageKind,
    /// The text; empty for a call.
    pub content: String,
    /// The call, for kind `call`.
    pub call: Option<CallSummary>,
    /// The call in which a text was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub in_call: Option<CallId>,
    /// RFC 3339.
    pub created_at: String,
}

/// Kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// Written by a person.
    Text,
    /// Left by a call that is over.
    Call,
}

/// A finished call as the history shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallSummary {
    /// Which.
    pub call_id: CallId,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// Final status.
    pub status: CallStatus,
    /// Why it is over.
    pub end_reason: Option<EndReason>,
    /// Whole seconds of talk: `ended_at - started_at`, 0 when nobody answered.
    pub duration: u32,
    /// The reader's own final status in it.
    pub mine: Option<ParticipantStatus>,
}

/// Which of a participant's sources are live, and which a moderator has switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Sources {
    /// Microphone is live.
    pub mic: bool,
    /// Camera is live.
    pub camera: bool,
    /// Screen is live.
    pub screen: bool,
    /// Screen sound is live.
    pub screen_audio: bool,
    /// Moderator who muted the microphone; it stays so until lifted.
    pub muted_by: Option<UserId>,
    /// Every source that a moderator switched off, the microphone included, and who did. Enforced until lifted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[ts(optional, as = "Option<BTreeMap<MediaSource, UserId>>")]
    pub blocked_by: BTreeMap<MediaSource, UserId>,
}

/// One person in the call, as the others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RosterEntry {
    /// The person.
    #[serde(flatten)]
    pub user: User,
    /// joined, reconnecting, or while ringing also invited and ringing.
    pub status: ParticipantStatus,
    /// May moderate this call.
    pub moderator: bool,
    /// What is live.
    pub sources: Sources,
    /// Place in the ordered list of raised hands, from 1; null when not raised.
    pub hand: Option<u32>,
}

/// An ICE server for the client, as `RTCIceServer` wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct IceServer {
    /// `turn:`, `turns:` or `stun:` URLs.
    pub urls: Vec<String>,
    /// TURN user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub username: Option<String>,
    /// TURN password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub credential: Option<String>,
}

/// How media travels between a page and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum MediaWay {
    /// UDP: the best calls.
    Udp,
    /// ICE-TCP, through the port of the page.
    Tcp,
    /// The built-in TURN server by TCP or TLS, which looks like any other HTTPS.
    Relay,
}
