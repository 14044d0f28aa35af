//! What a client may ask for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{CallType, MarkCallsSeen, MarkRead, MediaSource, SendMessage};
use crate::ids::{CallId, ChatId, OfferId, UserId};

/// Every operation of a `req`; `op` is the variant's name in snake_case, `d` its fields.
///
/// An op the server does not know is answered with `BAD_REQUEST`; the connection stays open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "op", content = "d", rename_all = "snake_case")]
pub enum Command {
    /// Ring the members of a chat, or the chosen ones.
    StartCall(StartCall),
    /// Answer a ringing call.
    AcceptCall(JoinCall),
    /// Join a call in progress.
    JoinCall(JoinCall),
    /// Say no.
    RejectCall(RejectCall),
    /// End it for everybody (while ringing: the initiator cancels).
    EndCall(CallRef),
    /// Leave it to the others.
    LeaveCall(CallRef),
    /// This device rings now; the caller sees "ringing" instead of "calling".
    RingAck(CallRef),
    /// Ring a further person into the call.
    Invite(CallUser),
    /// Remove somebody.
    Kick(CallUser),
    /// Own source off; with `userId`, a moderator mutes somebody, enforced by the server.
    Mute(Mute),
    /// Own source on; with `userId`, a moderator lifts an enforced mute.
    Unmute(Mute),
    /// Let nobody new in.
    Lock(CallRef),
    /// Let people in again.
    Unlock(CallRef),
    /// Let somebody in from the waiting list; they get `waiting_status` and join.
    Admit(CallUser),
    /// Turn somebody on the waiting list away. They may knock again; `kick` keeps them out.
    Deny(CallUser),
    /// Alone in a call, and staying: the answer to `call_alone`, which asks again later.
    Stay(CallRef),
    /// Raise the own hand.
    RaiseHand(CallRef),
    /// Lower a hand: the own, or as a moderator somebody's.
    LowerHand(LowerHand),
    /// A short-lived emoji.
    Reaction(Reaction),
    /// Write into a chat.
    SendMessage(SendMessage),
    /// Mark a chat read, in all tabs.
    MarkRead(MarkRead),
    /// Mark missed calls seen, in all tabs.
    MarkCallsSeen(MarkCallsSeen),
    /// Offer media, or restart ICE. Never stored with the commands.
    MediaOffer(MediaOffer),
    /// What the page wants to see.
    Intents(Intents),
    /// Whether the own processor limits what is sent of a source, as the browser says; others see it as a stream's quality.
    /// Said when it changes, and again for a new connection.
    Limited(Limited),
    /// A fresh token of the same person for this connection, which ends with 4401 when its token expires. Never stored
    /// with the commands.
    RenewToken(RenewToken),
}

/// Fields of `start_call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StartCall {
    /// Where.
    pub chat_id: ChatId,
    /// audio or video.
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// Whom to ring; everybody else in the chat when absent.
    #[serde(default)]
    #[ts(optional)]
    pub invitees: Option<Vec<UserId>>,
    /// A call to leave in the same transaction.
    #[serde(default)]
    #[ts(optional)]
    pub leave: Option<CallId>,
}

/// Fields of `accept_call` and `join_call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct JoinCall {
    /// Which.
    pub call_id: CallId,
    /// Move the seat here from another device of mine.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub takeover: bool,
    /// Where the call is locked or its room has a waiting list: get on it, instead of `ROOM_LOCKED`. Sent again it is the
    /// same place; `leave_call` gives it up.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub wait: bool,
    /// A call to leave in the same transaction.
    #[serde(default)]
    #[ts(optional)]
    pub leave: Option<CallId>,
}

/// Fields of `reject_call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RejectCall {
    /// Which.
    pub call_id: CallId,
    /// Why.
    #[serde(default)]
    #[ts(optional, as = "Option<RejectReason>")]
    pub reason: RejectReason,
}

/// Why a callee says no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum RejectReason {
    /// Does not want to.
    #[default]
    Declined,
    /// Is in another call.
    Busy,
    /// Rang out. The server's clock decides this; from a client it changes nothing.
    Timeout,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallRef {
    /// Which.
    pub call_id: CallId,
}

/// A person in a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallUser {
    /// Which call.
    pub call_id: CallId,
    /// Who.
    pub user_id: UserId,
}

/// Fields of `mute` and `unmute`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Mute {
    /// Which call.
    pub call_id: CallId,
    /// Whose; absent: my own.
    #[serde(default)]
    #[ts(optional)]
    pub user_id: Option<UserId>,
    /// What. A screen share begins with `unmute{source:"screen"}` and ends with `mute`.
    pub source: MediaSource,
}

/// Fields of `lower_hand`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct LowerHand {
    /// Which call.
    pub call_id: CallId,
    /// Whose; absent: my own.
    #[serde(default)]
    #[ts(optional)]
    pub user_id: Option<UserId>,
}

/// Fields of `reaction`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// Which call.
    pub call_id: CallId,
    /// One emoji.
    pub emoji: String,
}

/// Fields of `renew_token`.
#[derive(Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RenewToken {
    /// JWT of the same person with the same reach (room, chats, grants); else `FORBIDDEN`, and a new connection is needed.
    pub token: String,
}

impl std::fmt::Debug for RenewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RenewToken(..)") // a secret that must not reach a log
    }
}

/// Fields of `media_offer`: a whole offer has `sdp`, an ICE restart `ufrag` and `pwd` alone. The answer comes as the
/// ephemeral event `media_answer` with the same `offerId`; an answer to an older offer is to be dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MediaOffer {
    /// Which call.
    pub call_id: CallId,
    /// Made by the client.
    pub offer_id: OfferId,
    /// RFC 8866 session description.
    #[serde(default)]
    #[ts(optional)]
    pub sdp: Option<String>,
    /// New ICE user fragment of the client.
    #[serde(default)]
    #[ts(optional)]
    pub ufrag: Option<String>,
    /// New ICE password of the client.
    #[serde(default)]
    #[ts(optional)]
    pub pwd: Option<String>,
    /// What each mid of the offer is for: a sending m-line's source, a receiving one's kind of slot. Where absent, the
    /// first audio and video m-lines of a direction are microphone and camera, and further ones the screen's.
    #[serde(default)]
    #[ts(optional, as = "Option<BTreeMap<String, MediaSource>>")]
    pub mids: BTreeMap<String, MediaSource>,
}

/// Fields of `intents`: replaces what was asked before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Intents {
    /// Which call.
    pub call_id: CallId,
    /// One per slot that should show something; a slot that is not named is freed.
    pub slots: Vec<Intent>,
}

/// Fields of `limited`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Limited {
    /// Which call.
    pub call_id: CallId,
    /// Which source.
    pub source: MediaSource,
    /// The processor limits it.
    pub cpu: bool,
}

/// What one slot should show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Which receive m-line.
    pub mid: String,
    /// Whose media.
    pub participant: UserId,
    /// camera or screen.
    pub source: MediaSource,
    /// Height of the tile in device pixels; 0: paused.
    pub height: u32,
    /// Frames per second wanted; 0: as sent.
    #[serde(default)]
    #[ts(optional, as = "Option<u32>")]
    pub fps: u32,
    /// Higher goes first when there is not room for all.
    #[serde(default)]
    #[ts(optional, as = "Option<u32>")]
    pub priority: u32,
}
