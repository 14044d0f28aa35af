//! Every option with its default. `config/ringhall.toml` says the same in words; a test compares the two.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use signaling::calls::CallConfig;
use signaling::protocol::VideoCodec;
use signaling::store::RetentionConfig;
use signaling::ws::SocketConfig;

use super::ConfigError;
pub(crate) use super::tls::{Tls, TlsMode};

/// Shortest secret that a host may share, bytes: the output size of HS256 (RFC 7518 section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// All options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where files are kept.
    pub(crate) data: Data,
    /// The page, REST and WebSocket.
    pub(crate) http: Http,
    /// Certificates.
    pub(crate) tls: Tls,
    /// Where records are kept.
    pub(crate) database: Database,
    /// Audio and video.
    pub(crate) media: Media,
    /// For clients behind firewalls.
    pub(crate) turn: Turn,
    /// Who may sign in.
    pub(crate) auth: Auth,
    /// Periods and limits of calls.
    pub(crate) calls: CallConfig,
    /// Periods and limits of WebSockets.
    pub(crate) sockets: SocketConfig,
    /// Numbers for the operator.
    pub(crate) metrics: Metrics,
    /// How long what is only of use for a while is kept.
    pub(crate) retention: RetentionConfig,
    /// What is logged.
    pub(crate) log: Log,
}

/// Where files are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Data {
    /// Folder of the secrets and of the SQLite file.
    pub(crate) dir: PathBuf,
}

/// The page, REST and WebSocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Address and port; port 0: any free one.
    pub(crate) listen: SocketAddr,
    /// URL by which people reach it; empty: made from `listen`.
    pub(crate) public_url: String,
    /// Reverse proxies whose X-Forwarded-For is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Connections in all.
    pub(crate) max_connections: usize,
    /// Connections from one address.
    pub(crate) max_connections_per_address: usize,
}

/// Where records are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// `postgres://...`; empty: SQLite in the data folder.
    pub(crate) url: String,
}

/// Audio and video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Media {
    /// UDP address and port for everybody; port 0: any free one.
    pub(crate) listen: SocketAddr,
    /// Addresses for ICE candidates; empty: those of every interface.
    pub(crate) advertise: Vec<IpAddr>,
    /// Threads that carry media, each on a port of its own from `listen` on.
    pub(crate) shards: u8,
    /// Participants of one call on one of these threads; further ones go to the next.
    pub(crate) room_members_per_shard: u16,
    /// Codecs for video, the preferred first. A call uses the first that everybody in it can decode.
    pub(crate) video_codecs: Vec<VideoCodec>,
    /// Whether audio packets repeat the one before them (RFC 2198), for browsers that know how.
    pub(crate) audio_redundancy: bool,
    /// How many microphones of a call are forwarded: the loudest.
    pub(crate) speakers: u8,
    /// Whether media may come by TCP, on the port of the page.
    pub(crate) tcp: bool,
    /// That port, as browsers know it; 0: the one of `http.listen`.
    pub(crate) tcp_port: u16,
    /// A further address and port for media by TCP alone; empty: none.
    pub(crate) tcp_listen: String,
}

impl Media {
    /// The further address, if there is one.
    pub(crate) fn tcp_address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        address("media.tcp_listen", &self.tcp_listen, "0.0.0.0:7881")
    }
}

/// Numbers for the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Address and port of a listener for `/metrics`; empty: none.
    pub(crate) listen: String,
}

impl Metrics {
    /// Where to listen, if anywhere.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        address("metrics.listen", &self.listen, "127.0.0.1:9464")
    }
}

/// For clients behind firewalls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Turn {
    /// Whether the built-in TURN server answers on the media port.
    pub(crate) enabled: bool,
    /// Another TURN or STUN server, instead or besides: `turn:host:port?transport=tcp`, ...
    pub(crate) external_urls: Vec<String>,
    /// The secret shared with it (`static-auth-secret` of coturn); empty: a fixed user.
    pub(crate) external_secret: String,
    /// The fixed user's name.
    pub(crate) external_username: String,
    /// The fixed user's password.
    pub(crate) external_password: String,
}

/// Who may sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// `iss` of a host application's tokens; empty: local accounts only.
    pub(crate) issuer: String,
    /// The secret shared with it.
    pub(crate) secret: String,
    /// How long a local sign-in lasts, seconds.
    pub(crate) token_ttl_seconds: u64,
    /// Sign-in attempts a minute for one login; one address gets three times as many.
    pub(crate) attempts_per_minute: u32,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// error, warn, info, debug, trace, or a filter like `info,sfu=debug`.
    pub(crate) level: String,
    /// text or json.
    pub(crate) format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// An optional address of a listener.
pub(super) fn address(option: &str, text: &str, example: &str) -> Result<Option<SocketAddr>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| {
        ConfigError::Value(format!(
            "{option} {text:?} is not an address with a port, like {example}"
        ))
    };
    text.parse().map(Some).map_err(wrong)
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: "./data".into() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            max_connections: 20_000,
            max_connections_per_address: 2_000,
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7882)),
            advertise: Vec::new(),
            shards: 1,
            room_members_per_shard: 200,
            video_codecs: vec![VideoCodec::Vp8],
            audio_redundancy: true,
            speakers: 5,
            tcp: true,
            tcp_port: 0,
            tcp_listen: String::new(),
        }
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            enabled: true,
            external_urls: Vec::new(),
            external_secret: String::new(),
            external_username: String::new(),
            external_password: String::new(),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            secret: String::new(),
            token_ttl_seconds: 12 * 3600,
            attempts_per_minute: 20,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Text,
        }
    }
}

impl Config {
    /// Refuses what fits the types but makes no sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let no = |text: &str| Err(ConfigError::Value(text.to_owned()));
        if self.media.video_codecs.is_empty() {
            return no("media.video_codecs is empty: name at least \"vp8\", which every browser has");
        }
        if !(1..=50).contains(&self.media.speakers) {
            return no("media.speakers must be 1 to 50");
        }
        if self.auth.issuer.is_empty() != self.auth.secret.is_empty() {
            return no("auth.issuer and auth.secret belong together: set both or neither");
        }
        if !self.auth.secret.is_empty() && self.auth.secret.len() < MIN_SECRET_BYTES {
            return no("auth.secret is shorter than 32 bytes; make one with: openssl rand -hex 32");
        }
        if self.auth.attempts_per_minute == 0 || self.auth.token_ttl_seconds == 0 {
            return no("auth.attempts_per_minute and auth.token_ttl_seconds must be above 0");
        }
        if self.retention.commands_hours == 0 || self.retention.every_seconds == 0 {
            return no("retention.commands_hours and retention.every_seconds must be above 0");
        }
        let schemes = ["stun:", "stuns:", "turn:", "turns:"];
        if let Some(url) = { &self.turn.external_urls }
            .iter()
            .find(|url| !schemes.iter().any(|scheme| url.starts_with(scheme)))
        {
            return no(&format!(
                "turn.external_urls: {url:?} has to begin with stun:, stuns:, turn: or turns:"
            ));
        }
        // A browser refuses every call that names one of these without a credential.
        let open = self.turn.external_secret.is_empty()
            && (self.turn.external_username.is_empty() || self.turn.external_password.is_empty());
        if let Some(url) = self
            .turn
            .external_urls
            .iter()
            .find(|url| open && url.starts_with("turn"))
        {
            return no(&format!(
                "turn.external_urls: {url:?} needs turn.external_secret, or turn.external_username and \
                 turn.external_password: browsers use no TURN server without"
            ));
        }
        if !self.turn.external_secret.is_empty() && !self.turn.external_username.is_empty() {
            return no("turn.external_secret and turn.external_username exclude each other: set one of them");
        }
        let url = &self.database.url;
        let known = ["postgres://", "postgresql://", "sqlite:"];
        if !url.is_empty() && !known.iter().any(|k| url.starts_with(k)) {
            return no("database.url must begin with postgres:// or sqlite: (empty: SQLite in the data folder)");
        }
        let last = usize::from(self.media.listen.port()) + usize::from(self.media.shards);
        if self.media.shards > sfu::MAX_SHARDS {
            return no("media.shards must not be above 64; more than there are cores are of no use");
        }
        if self.media.room_members_per_shard == 0 {
            return no("media.room_members_per_shard must be above 0: how many people of one call a thread carries");
        }
        if self.media.shards == 0 || (self.media.listen.port() != 0 && last > 1 << 16) {
            return no("media.shards must be above 0, and each of them needs a port from media.listen on, up to 65535");
        }
        self.metrics.address()?;
        self.media.tcp_address()?;
        self.tls.check(&self.http)?;
        if let Err(e) = self.log.level.parse::<tracing_subscriber::filter::Targets>() {
            return no(&format!("log.level {:?}: {e}", self.log.level));
        }
        Ok(())
    }
}
