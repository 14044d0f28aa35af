//! Scenarios: what a crowd of clients does, as a TOML file. `benches/scenarios/` holds those that come with the program.

use serde::{Deserialize, Serialize};

mod reading;

pub use reading::ScenarioError;

/// One scenario. What is absent does not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short, unique, what the command line takes.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What it shows and what to look at.
    #[serde(default)]
    pub description: String,
    /// Sets that it belongs to: `short` (make bench), `full` (make bench-full).
    #[serde(default)]
    pub sets: Vec<String>,
    /// Length of the measuring window, seconds.
    pub duration_seconds: f64,
    /// Joins (or sockets, or calls) are spread over this long, seconds; 0: as fast as it goes.
    #[serde(default)]
    pub ramp_seconds: f64,
    /// After the last join and before the window, seconds.
    #[serde(default = "two")]
    pub settle_seconds: f64,
    /// Seed of everything random.
    #[serde(default = "one")]
    pub seed: u64,
    /// Threads of the generator that carry media; 0: half of the processors.
    #[serde(default)]
    pub threads: usize,
    /// Rooms with media.
    #[serde(default)]
    pub rooms: Option<Rooms>,
    /// People who ring each other, without media.
    #[serde(default)]
    pub calls: Option<Calls>,
    /// People who are connected and do nothing.
    #[serde(default)]
    pub idle: Option<Idle>,
    /// People who come back and have missed much.
    #[serde(default)]
    pub resume: Option<Resume>,
    /// What stands between clients and server (UDP); absent: nothing.
    #[serde(default)]
    pub link: Option<crate::impair::Impairment>,
}

fn one() -> u64 {
    1
}

fn two() -> f64 {
    2.0
}

/// How a client gets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DoorKind {
    /// The WebSocket protocol: one connection that publishes and watches, slots and intents.
    WebSocket,
    /// WHIP to publish, WHEP to watch: two connections per person who does both.
    #[default]
    Whip,
}

/// Whose WebRTC a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// str0m: thousands of streams in one process.
    #[default]
    Str0m,
    /// The `webrtc` crate: another implementation of everything, relays and ICE over TCP; a few dozen streams.
    Webrtc,
}

/// How packets get to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// UDP.
    #[default]
    Direct,
    /// The server's own TURN, over UDP, and nothing else.
    Turn,
    /// ICE over TCP (RFC 6544).
    Tcp,
}

/// Rooms with media.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rooms {
    /// How many rooms.
    #[serde(default = "one_room")]
    pub count: usize,
    /// People in each who publish and watch the others.
    #[serde(default)]
    pub members: usize,
    /// People in each who only publish.
    #[serde(default)]
    pub publishers: usize,
    /// People in each who only watch.
    #[serde(default)]
    pub viewers: usize,
    /// The way in.
    #[serde(default)]
    pub door: DoorKind,
    /// Whether members ring and accept (the first starts a call in a group chat) instead of joining a room by its token.
    #[serde(default)]
    pub ringing: bool,
    /// Whose WebRTC the clients are.
    #[serde(default)]
    pub client: ClientKind,
    /// Their way to the server.
    #[serde(default)]
    pub route: Route,
    /// What publishers say.
    #[serde(default)]
    pub audio: Audio,
    /// What they show; absent: nothing.
    #[serde(default)]
    pub video: Option<Video>,
    /// What viewers want.
    #[serde(default)]
    pub view: View,
    /// People who come and go in the window.
    #[serde(default)]
    pub churn: Option<Churn>,
    /// Connections that break and come back.
    #[serde(default)]
    pub reconnect: Option<Reconnect>,
}

fn one_room() -> usize {
    1
}

/// Opus at 50 packets/s with levels (RFC 6464).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// bit/s; 0: no audio.
    pub bitrate: u32,
    /// How many of a room talk at a time (loud); the others send silence at its level. 0: everybody talks.
    pub talkers: usize,
    /// The talkers change this often, seconds; 0: never.
    pub change_seconds: f64,
}

impl Default for Audio {
    fn default() -> Self {
        Self {
            bitrate: 32_000,
            talkers: 0,
            change_seconds: 0.0,
        }
    }
}

/// A video codec, for its payload format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 7741.
    #[default]
    Vp8,
    /// RFC 6184.
    H264,
    /// RFC 9628.
    Vp9,
    /// The AV1 RTP specification.
    Av1,
}

impl Codec {
    /// As configuration and scenario files write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vp8 => "vp8",
            Self::H264 => "h264",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }
}

/// Synthetic video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Video {
    /// Payload format.
    #[serde(default)]
    pub codec: Codec,
    /// Layers, the smallest first; one: no simulcast.
    pub layers: Vec<Layer>,
    /// A key frame unasked this often, seconds; 0: only when asked.
    #[serde(default)]
    pub key_frame_seconds: f64,
}

/// One simulcast layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// RTP stream id (`q`, `h`, `f`); empty with a single layer.
    #[serde(default)]
    pub rid: String,
    /// Picture height, pixels.
    pub height: u32,
    /// bit/s.
    pub bitrate: u32,
    /// Frames a second.
    pub fps: u32,
}

/// What a viewer wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct View {
    /// Audio slots.
    pub audio: usize,
    /// Small tiles; `None`: one for everybody.
    pub small: Option<usize>,
    /// Height of a small tile, pixels; 0: as large as it gets.
    pub small_height: u32,
    /// Large tiles, beside the small ones.
    pub large: usize,
    /// Height of a large tile, pixels.
    pub large_height: u32,
    /// The large tile goes to another person this often, seconds; 0: never.
    pub change_seconds: f64,
    /// The first small tile becomes as high as a large one and small again, this often, seconds; 0: never. By the WebSocket.
    pub resize_seconds: f64,
}

impl Default for View {
    fn default() -> Self {
        Self {
            audio: 5,
            small: None,
            small_height: 0,
            large: 0,
            large_height: 720,
            change_seconds: 0.0,
            resize_seconds: 0.0,
        }
    }
}

/// People who come and go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// One person leaves and another comes this often (over all rooms), seconds.
    pub every_seconds: f64,
}

/// Connections that break.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconnect {
    /// Seconds after the window's begin.
    pub at_seconds: f64,
    /// Share of the members, 0 to 1.
    pub share: f64,
    /// How long they are away, seconds.
    pub away_seconds: f64,
}

/// A call storm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Users connected.
    pub users: usize,
    /// Calls begun a second.
    pub rate: f64,
    /// Weights of what callees do.
    #[serde(default = "Mix::default")]
    pub mix: Mix,
    /// How long an accepted call lasts, seconds.
    #[serde(default = "two")]
    pub talk_seconds: f64,
    /// Ring time configured at the server for this scenario, seconds (so that timeouts happen within the window).
    #[serde(default = "five")]
    pub ring_seconds: f64,
}

fn five() -> f64 {
    5.0
}

/// Weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Accepts.
    pub accept: f64,
    /// Declines.
    pub decline: f64,
    /// Lets it ring.
    pub timeout: f64,
    /// The caller gives up.
    pub cancel: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            accept: 6.0,
            decline: 2.0,
            timeout: 1.0,
            cancel: 1.0,
        }
    }
}

/// Idle people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// How many sockets, each another user.
    pub users: usize,
    /// Sockets opened at a time.
    #[serde(default = "fifty")]
    pub at_a_time: usize,
}

fn fifty() -> usize {
    50
}

/// Resume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Users who come back.
    pub users: usize,
    /// Events that each has missed.
    pub missed: usize,
}
