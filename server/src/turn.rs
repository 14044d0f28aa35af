//! The TURN server on the media port, and the credentials that pages are told.
//!
//! A relayed client's peer is always our own media server, so an allocation is a number and an address that nobody listens
//! on: what the client sends to one of our ICE addresses goes to the shard by a function call, and any other peer is
//! refused (docs/decisions names the reasons).

use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crypto::RTCCryptoProvider;
use crypto::providers::AwsLcRsProvider;
use sfu::{Path, Present, Tunnel, Tunnelled};
use signaling::app::IceAdvice;
use signaling::ids::UserId;
use signaling::protocol::IceServer;
use turn_server::credential::{self, Credentials};
use turn_server::{AllocationId, Client, Config, Family, OpenError, Outcome, Quota, Relay, Server, Time};

use crate::config::Turn as Options;

/// First port of the synthetic relayed addresses: the dynamic ones (RFC 6335).
pub(crate) const FIRST_PORT: u16 = 49_152;
/// How long a credential can be used to allocate, seconds. A tab gets a new one with every welcome; without taking part in
/// a call an allocation leads nowhere.
const CREDENTIAL_SECONDS: u64 = 24 * 3600;
/// Addresses of ours named to a page: each costs the browser an allocation.
const MAX_URLS: usize = 2;

/// The TURN server of one shard.
pub(crate) struct Turn {
    server: Server,
    peers: Vec<SocketAddr>,
    next_port: u16,
}

impl Turn {
    /// A server whose clients reach `peers`, the shard's ICE addresses, and nothing else.
    pub(crate) fn new(realm: &str, secret: &[u8], peers: &[SocketAddr]) -> Self {
        let config = Config {
            realm: realm.to_owned(),
            credentials: Credentials {
                secret: secret.to_vec(),
                ..Credentials::default()
            },
            nonce_secret: rand::random(),
            quota: Quota::default(),
        };
        Self {
            server: Server::new(config),
            peers: peers.to_vec(),
            next_port: FIRST_PORT,
        }
    }
}

/// The server's view of us, for one request.
struct Rooms<'a> {
    peers: &'a [SocketAddr],
    next_port: &'a mut u16,
    present: Present<'a>,
}

impl Relay for Rooms<'_> {
    fn open(&mut self, _: AllocationId, _: &str, family: Family, even: bool) -> Result<SocketAddr, OpenError> {
        let ours = self.peers.iter().map(SocketAddr::ip);
        let ip = { ours }.find(|ip| Family::of(*ip) == family).ok_or(OpenError::Family)?;
        if even && *self.next_port % 2 == 1 {
            *self.next_port = after(*self.next_port);
        }
        let port = *self.next_port;
        *self.next_port = after(port);
        Ok(SocketAddr::new(ip, port))
    }

    fn close(&mut self, _: AllocationId) {
        // An address that nobody listens on needs no closing; the allocation's number tells two with one port apart.
    }

    fn permits(&self, peer: SocketAddr) -> bool {
        // Browsers ask for permission by address alone, and some name port 0 or the port of another candidate.
        self.peers.iter().any(|ours| ours.ip() == peer.ip())
    }

    fn knows(&self, user: &str) -> bool {
        (self.present)(user)
    }
}

/// The next synthetic port; after the last one the first.
pub(crate) fn after(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(FIRST_PORT)
}

impl Tunnel for Turn {
    fn claims(&self, datagram: &[u8]) -> bool {
        turn_server::claims(datagram)
    }

    fn handle(
        &mut self,
        now: Instant,
        from: Path,
        datagram: &[u8],
        present: Present<'_>,
        reply: &mut Vec<u8>,
    ) -> Tunnelled {
        let Some(client) = client(from) else {
            return Tunnelled::Nothing;
        };
        let mut rooms = Rooms {
            peers: &self.peers,
            next_port: &mut self.next_port,
            present,
        };
        let time = Time { now, unix: unix() };
        match self.server.handle(time, client, datagram, &mut rooms, reply) {
            Outcome::Reply => Tunnelled::Reply,
            Outcome::Payload {
                allocation,
                relayed,
                peer,
                data,
            } if self.peers.contains(&peer) => Tunnelled::Payload {
                allocation: allocation.0,
                relayed,
                peer,
                data,
            },
            Outcome::Payload { .. } | Outcome::Dropped(_) => Tunnelled::Nothing,
        }
    }

    fn wrap(
        &mut self,
        now: Instant,
        allocation: u64,
        local: SocketAddr,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Path> {
        let client = self.server.wrap(now, AllocationId(allocation), local, datagram, out)?;
        Some(match client {
            Client::Udp { local, remote } => Path::Udp { local, remote },
            Client::Stream { connection, remote } => Path::Tcp { connection, remote },
        })
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.server.next_deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        let mut rooms = Rooms {
            peers: &self.peers,
            next_port: &mut self.next_port,
            present: &|_| false,
        };
        self.server.handle_timeout(now, &mut rooms);
    }
}

fn client(path: Path) -> Option<Client> {
    match path {
        Path::Udp { local, remote } => Some(Client::Udp { local, remote }),
        Path::Tcp { connection, remote } => Some(Client::Stream { connection, remote }),
        Path::Turn { .. } => None,
    }
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    unix_ms() / 1_000
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How clients reach the TURN server by TCP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    /// Addresses, the best first; one of each family is named.
    pub(crate) plain: Vec<SocketAddr>,
    /// `host:port` by TLS, where the certificate is one that browsers trust: they check it, and nobody is asked.
    pub(crate) tls: Option<String>,
}

/// What a page is told to use.
pub(crate) struct IceServers {
    /// URLs of the built-in server by TCP and TLS; none when it is off.
    own: Vec<String>,
    /// And by UDP, for pages that connect by a relay alone. Chromium takes everything that comes from the address of a TURN
    /// server for that server's, and our TURN server and our media share theirs: with these URLs beside direct candidates
    /// it never hears an answer to a check by UDP, and goes by TCP. Whoever reaches the one by UDP reaches the other.
    own_by_udp: Vec<String>,
    secret: Vec<u8>,
    options: Options,
}

impl IceServers {
    /// `candidates`: our ICE addresses as clients know them, the best first; `streams`: how to reach us by TCP.
    pub(crate) fn new(options: &Options, secret: &[u8], candidates: &[SocketAddr], streams: &Streams) -> Self {
        let mut named: Vec<IpAddr> = Vec::new();
        let (mut own, mut own_by_udp) = (Vec::new(), Vec::new());
        // A browser allocates an IPv4 address and says nothing of IPv6: a server that has none of IPv4 is of no use to it, and
        // while it is refused it takes our answers to its checks, from the same address, for the TURN server's.
        let usable = options.enabled && candidates.iter().any(|c| Family::of(c.ip()) == Family::V4);
        for address in candidates {
            if usable && own_by_udp.len() < MAX_URLS && !named.contains(&address.ip()) {
                named.push(address.ip());
                own_by_udp.push(format!("turn:{address}?transport=udp"));
            }
        }
        if usable {
            let mut families: Vec<Family> = Vec::new();
            for address in &streams.plain {
                if !families.contains(&Family::of(address.ip())) {
                    families.push(Family::of(address.ip()));
                    own.push(format!("turn:{address}?transport=tcp"));
                }
            }
            own.extend(streams.tls.as_ref().map(|host| format!("turns:{host}?transport=tcp")));
        }
        Self {
            own,
            own_by_udp,
            secret: secret.to_vec(),
            options: options.clone(),
        }
    }

    /// What this user's page is told.
    pub(crate) fn of(&self, user: &UserId) -> IceAdvice {
        let relays = match self.own_by_udp.is_empty() {
            true => None,
            false => self.issued(&self.own_by_udp, &self.secret, user),
        };
        IceAdvice {
            servers: self.servers(user),
            relays: relays.into_iter().collect(),
        }
    }

    /// For `RTCConfiguration.iceServers` of this user.
    fn servers(&self, user: &UserId) -> Vec<IceServer> {
        let mut servers = Vec::new();
        if !self.own.is_empty() {
            servers.extend(self.issued(&self.own, &self.secret, user));
        }
        let external = &self.options.external_urls;
        if external.is_empty() {
            return servers;
        }
        if self.options.external_secret.is_empty() {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            servers.push(IceServer {
                urls: external.clone(),
                username: some(&self.options.external_username),
                credential: some(&self.options.external_password),
            });
        } else {
            servers.extend(self.issued(external, self.options.external_secret.as_bytes(), user));
        }
        servers
    }

    fn issued(&self, urls: &[String], secret: &[u8], user: &UserId) -> Option<IceServer> {
        static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();
        let expiry = unix() + CREDENTIAL_SECONDS;
        match credential::issue(PROVIDER.crypto(), secret, user.as_str(), expiry) {
            Ok(made) => Some(IceServer {
                urls: urls.to_vec(),
                username: Some(made.username),
                credential: Some(made.password),
            }),
            Err(error) => {
                tracing::error!(%error, "no TURN credential could be made");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_page_is_told_our_addresses_with_a_credential_of_its_own() {
        let candidates = addresses(&["192.0.2.1:7882", "[2001:db8::1]:7882", "10.0.0.1:7882"]);
        let servers = IceServers::new(&Options::default(), b"north", &candidates, &Streams::default());
        let advice = servers.of(&UserId("ivan".into()));
        assert_eq!(
            advice.servers,
            [],
            "a browser that uses them beside direct candidates has no UDP"
        );
        let told = advice.relays;
        let urls = [
            "turn:192.0.2.1:7882?transport=udp",
            "turn:[2001:db8::1]:7882?transport=udp",
        ];
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].urls, urls);
        let name = told[0].username.clone().unwrap();
        let expiry: u64 = name.strip_suffix(":ivan").unwrap().parse().unwrap();
        assert!(expiry.abs_diff(unix() + CREDENTIAL_SECONDS) < 5);
        let maria = servers.of(&UserId("maria".into()));
        assert_ne!(told[0].credential, maria.relays[0].credential);
    }

    #[test]
    fn an_external_server_takes_its_place_or_stands_beside_it() {
        let mut options = Options {
            enabled: false,
            external_urls: vec!["turns:turn.example:443".into()],
            external_username: "u".into(),
            external_password: "p".into(),
            ..Options::default()
        };
        let candidates = addresses(&["192.0.2.1:7882"]);
        let streams = Streams {
            plain: addresses(&["192.0.2.1:443", "192.0.2.2:443", "[2001:db8::1]:443"]),
            tls: Some("calls.example:443".into()),
        };
        let all =
            |options: &Options| IceServers::new(options, b"north", &candidates, &streams).of(&UserId("ivan".into()));
        assert_eq!(all(&options).relays, []);
        let told = all(&options).servers;
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].username.as_deref(), told[0].credential.as_deref()),
            (Some("u"), Some("p"))
        );
        options.enabled = true;
        options.external_secret = "south".into();
        let told = all(&options).servers;
        let by_stream = [
            "turn:192.0.2.1:443?transport=tcp",
            "turn:[2001:db8::1]:443?transport=tcp",
            "turns:calls.example:443?transport=tcp",
        ];
        assert_eq!(told[0].urls, by_stream, "one of each family, and the name for TLS");
        assert_eq!(told.len(), 2);
        assert_ne!(told[0].credential, told[1].credential, "each by its own secret");
    }

    #[test]
    fn only_our_own_addresses_can_be_reached() {
        let peers = addresses(&["192.0.2.1:7882"]);
        let mut port = 65_535;
        let mut rooms = Rooms {
            peers: &peers,
            next_port: &mut port,
            present: &|_| true,
        };
        assert!(
            rooms.permits("192.0.2.1:1".parse().unwrap()),
            "the port is checked with each payload"
        );
        for other in ["127.0.0.1:7882", "10.0.0.1:80", "192.0.2.2:7882"] {
            assert!(!rooms.permits(other.parse().unwrap()), "{other}");
        }
        let open = |rooms: &mut Rooms<'_>, family, even| rooms.open(AllocationId(1), "ivan", family, even);
        assert_eq!(open(&mut rooms, Family::V6, false), Err(OpenError::Family));
        assert_eq!(open(&mut rooms, Family::V4, false).unwrap().port(), 65_535);
        assert_eq!(open(&mut rooms, Family::V4, false).unwrap().port(), FIRST_PORT);
        assert_eq!(open(&mut rooms, Family::V4, true).unwrap().port() % 2, 0);
    }
}
