//! Frames: the outermost JSON objects.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use super::{IceServer, MediaWay, User, VideoCodec, WireError};
use crate::ids::{CallId, CommandId, DeviceId, SessionId};

/// From the client.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum ClientFrame {
    /// First frame: authenticates, and resumes a session.
    Hello(Hello),
    /// A command.
    Req(Request),
    /// Answer to the server's `ping`.
    Pong {
        /// The ping's number.
        n: u64,
    },
}

/// First frame of a connection.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// JWT of the user. Never in the URL, where it would be logged.
    pub token: String,
    /// This tab.
    pub device: DeviceId,
    /// Where the last connection of this tab ended.
    #[serde(default)]
    #[ts(optional)]
    pub resume: Option<Resume>,
    /// BCP 47 language of the page, for what the server sends later (mail, push).
    #[serde(default)]
    #[ts(optional)]
    pub lang: Option<String>,
}

/// Where a session was left.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// As `welcome` gave it.
    pub session: SessionId,
    /// Sequence of the last event seen.
    pub seq: u64,
    /// As `welcome` gave it.
    pub epoch: u64,
}

/// A command: `op` and its fields, as in `Command`.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
pub struct Request {
    /// Made by the client; a repeat returns the stored answer.
    pub id: CommandId,
    /// Name of the operation.
    pub op: String,
    /// Its fields.
    #[serde(default)]
    #[ts(type = "unknown")]
    pub d: Value,
}

/// From the server.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum ServerFrame {
    /// Answer to `hello`.
    Welcome(Welcome),
    /// Answer to a `req`.
    Res(Response),
    /// A durable event: at least once, with a gapless sequence per user, replayed on resume.
    Ev(Event),
    /// An ephemeral event: the live room, presence. Not replayed; a snapshot follows a reconnect.
    Rt(Realtime),
    /// Asks the client for a `pong`.
    Ping {
        /// Counts up.
        n: u64,
    },
}

/// Answer to `hello`. Then come either `replay` events, or one `snapshot` event.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// For `resume`.
    pub session: SessionId,
    /// The signed-in person.
    pub user: User,
    /// Changes when the database was restored; forces a snapshot.
    pub epoch: u64,
    /// The newest event's sequence.
    pub seq: u64,
    /// How many events are replayed; null: a snapshot follows instead.
    pub replay: Option<u32>,
    /// For `RTCConfiguration.iceServers`.
    pub ice: Vec<IceServer>,
    /// Besides, for connections with `iceTransportPolicy: "relay"` alone: TURN by UDP, at the addresses of the media itself.
    /// Beside direct candidates it keeps Chromium from hearing answers to its checks by UDP.
    #[serde(default)]
    pub relays: Vec<IceServer>,
    /// How media gets through from this network, the best first: what failed there lately stands last.
    #[serde(default)]
    pub ways: Vec<MediaWay>,
    /// What the server will accept.
    pub limits: Limits,
}

/// What the server will accept.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Most people in one call.
    pub max_participants: u32,
    /// Most people rung by one `start_call`.
    pub ring_max_members: u32,
    /// How long a call rings, milliseconds.
    pub ring_ms: u32,
    /// Longest text message, in UTF-8 bytes.
    pub max_message_bytes: u32,
    /// Codecs that a call's video may use, the preferred first.
    #[serde(default)]
    pub video_codecs: Vec<VideoCodec>,
}

/// Answer to a `req`: exactly one of `d` and `err`.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
pub struct Response {
    /// The request's id.
    pub id: CommandId,
    /// Whether it was carried out.
    pub ok: bool,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "unknown")]
    pub d: Option<Value>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub err: Option<WireError>,
}

/// A durable event: `op` and `d` as in `EventBody`.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Gapless per user; drop what you have seen.
    pub seq: u64,
    /// Name of the event.
    pub op: String,
    /// The call it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub call_id: Option<CallId>,
    /// Revision of the call after it; an older one than known is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub rev: Option<u64>,
    /// Its fields.
    #[ts(type = "unknown")]
    pub d: Value,
}

/// An ephemeral event: `op` and `d` as in `RealtimeBody`.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
pub struct Realtime {
    /// Name of the event.
    pub op: String,
    /// Counts up per connection.
    pub n: u64,
    /// Its fields.
    #[ts(type = "unknown")]
    pub d: Value,
}
