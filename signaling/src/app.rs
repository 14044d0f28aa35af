//! Everything that connections and requests share.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, broadcast, watch};

use crate::auth::{Attempts, Claims, Grant, Passwords, TokenError, Tokens};
use crate::http::{ServerInfo, Setup, WhipSessions};
use crate::ids::UserId;
use crate::live::{Live, MediaLinks, Networks, Presences, Qualities, Updates};
use crate::media::MediaPlane;
use crate::protocol::{ChatRole, ErrorCode, IceServer, RealtimeBody, ServerDraining, User, WireError, close};
use crate::service::{BusMessage, Service};
use crate::store::{Subject, UserRecord};
use crate::ws::{Realtime, Registry, SocketConfig};

/// Milliseconds after which a client may come back to a server that goes down.
const DRAIN_RETRY_MS: u32 = 1_000;

/// What a page is told to connect with.
#[derive(Clone, Debug, Default)]
pub struct IceAdvice {
    /// For `RTCConfiguration.iceServers`.
    pub servers: Vec<IceServer>,
    /// Besides, for connections by relays alone; see `protocol::Welcome::relays`.
    pub relays: Vec<IceServer>,
}

/// Makes the advice for one user: credentials are personal.
pub type IceServers = Arc<dyn Fn(&UserId) -> IceAdvice + Send + Sync>;

/// What [`App::new`] is made of.
pub struct Parts {
    /// Calls, users, chats.
    pub service: Arc<Service>,
    /// Hints of the service.
    pub bus: broadcast::Receiver<Arc<BusMessage>>,
    /// Audio and video.
    pub media: Arc<dyn MediaPlane>,
    /// Signed tokens.
    pub tokens: Tokens,
    /// Passwords of local accounts.
    pub passwords: Passwords,
    /// The brake on guessing them.
    pub attempts: Attempts,
    /// How long a local sign-in lasts.
    pub token_ttl: std::time::Duration,
    /// Periods and limits of WebSockets.
    pub sockets: SocketConfig,
    /// What `GET /api/v1/server` says.
    pub info: ServerInfo,
    /// The one-time code of a first start.
    pub setup: Setup,
    /// What pages are told to connect with.
    pub ice: IceServers,
}

/// Everything that connections and requests share.
pub struct App {
    pub(crate) service: Arc<Service>,
    pub(crate) media: Arc<dyn MediaPlane>,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) attempts: Attempts,
    pub(crate) token_ttl: std::time::Duration,
    pub(crate) sockets: SocketConfig,
    pub(crate) info: ServerInfo,
    pub(crate) setup: Setup,
    pub(crate) ice: IceServers,
    pub(crate) sessions: Registry,
    pub(crate) live: Live,
    pub(crate) presences: Presences,
    pub(crate) updates: Updates,
    pub(crate) media_links: MediaLinks,
    pub(crate) quality: Qualities,
    pub(crate) networks: Networks,
    pub(crate) whip: WhipSessions,
    /// Places for connections that have not said hello.
    pub(crate) waiting_room: Arc<Semaphore>,
    pub(crate) shutdown: watch::Sender<bool>,
}

impl App {
    /// Puts the parts together and starts what runs beside the connections: the readers of the bus and of the media
    /// plane's events, healing, presence. They end with [`App::drain`].
    pub fn start(parts: Parts) -> Arc<Self> {
        let waiting_room = Arc::new(Semaphore::new(parts.sockets.max_unauthenticated.max(1) as usize));
        let app = Arc::new(Self {
            service: parts.service,
            media: parts.media,
            tokens: parts.tokens,
            passwords: parts.passwords,
            attempts: parts.attempts,
            token_ttl: parts.token_ttl,
            sockets: parts.sockets,
            info: parts.info,
            setup: parts.setup,
            ice: parts.ice,
            sessions: Registry::default(),
            live: Live::default(),
            presences: Presences::default(),
            updates: Updates::default(),
            media_links: MediaLinks::default(),
            quality: Qualities::default(),
            networks: Networks::default(),
            whip: WhipSessions::default(),
            waiting_room,
            shutdown: watch::Sender::new(false),
        });
        crate::live::start(&app, parts.bus);
        app
    }

    /// Tells every tab that the server goes down, closes their sockets with 4503, and ends what [`App::start`] began.
    pub fn drain(&self) {
        let goodbye = Realtime::new(&RealtimeBody::ServerDraining(ServerDraining {
            retry_after_ms: DRAIN_RETRY_MS,
        }));
        for session in self.sessions.all() {
            session.send_realtime(&goodbye);
            session.close((close::DRAINING, "the server is going down"));
        }
        self.shutdown.send_replace(true);
    }

    /// Ends WHIP and WHEP sessions; call it before the store is closed.
    pub async fn end_sessions(self: &Arc<Self>) {
        self.whip.end_all(self).await;
    }

    /// Whether [`App::drain`] was called.
    pub(crate) fn draining(&self) -> bool {
        *self.shutdown.borrow()
    }

    /// Checks a token and finds its person; a host's user and a room's guest are made when they come first.
    pub(crate) async fn identify(&self, token: &str) -> Result<(User, Claims), WireError> {
        let claims = self.tokens.verify(token).map_err(|e| {
            let code = match e {
                TokenError::Expired => ErrorCode::TokenExpired,
                TokenError::Invalid => ErrorCode::Unauthenticated,
            };
            WireError::new(code, e.to_string())
        })?;
        let store = self.service.store();
        let user = if claims.is_local() && claims.room.is_none() {
            let known = store.user(&claims.sub).await.map_err(WireError::from)?;
            known.map(|record: UserRecord| record.user).ok_or_else(|| {
                WireError::new(
                    ErrorCode::Unauthenticated,
                    "the account of this token does not exist any more",
                )
            })?
        } else {
            let name = claims.name.as_deref().unwrap_or(claims.sub.as_str());
            let subject = Subject {
                issuer: &claims.iss,
                subject: claims.sub.as_str(),
            };
            store
                .admit(subject, name, claims.avatar.as_deref(), claims.iat.unwrap_or(0))
                .await?
        };
        Ok((user, claims))
    }

    /// Makes the bearer of a room token a member of that room.
    pub(crate) async fn enter_room(&self, user: &UserId, claims: &Claims) -> Result<(), WireError> {
        let Some(room) = &claims.room else { return Ok(()) };
        let store = self.service.store();
        let chat = store.ensure_room(room.as_str()).await?;
        let role = if claims.allows(Grant::Moderate) {
            ChatRole::Admin
        } else {
            ChatRole::Member
        };
        store.add_member(&chat, user, role).await?;
        Ok(())
    }

    /// Counts a sign-in attempt.
    pub(crate) fn count_attempt(&self, login: &str, address: IpAddr) -> Result<(), WireError> {
        self.attempts.count(login, address).map_err(|e| WireError {
            code: ErrorCode::RateLimited,
            message: e.to_string(),
            retry_after_ms: u32::try_from(e.retry_after.as_millis()).unwrap_or(u32::MAX).max(1),
        })
    }
}
