//! What the media plane is told at its start.

use std::net::{IpAddr, SocketAddr};

use sfu_core::sdp::{CodecKind, CodecPolicy};
use sfu_core::shard::MAX_SHARDS;
use sfu_core::transport::IdentityError;

/// Configuration of the media plane.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// UDP addresses to listen on. Shard n takes port + n; port 0 takes a free one (tests). An unspecified address
    /// (`0.0.0.0`, `[::]`, the latter for both families) is answered from the address that was asked.
    pub listen: Vec<SocketAddr>,
    /// Addresses named in SDP answers, the best first. Empty: those of `listen`, or of all interfaces where unspecified.
    pub advertise: Vec<IpAddr>,
    /// Where somebody takes TCP connections for us, if anybody does: named in SDP answers too.
    pub tcp: Option<TcpListen>,
    /// Number of shards: threads and ports; 64 at the most.
    pub shards: u8,
    /// Participants of one room in one shard; further ones are placed in the next shard.
    pub room_members_per_shard: usize,
    /// Node number in user fragments.
    pub node: u16,
    /// Codecs that rooms use, the preferred first.
    pub codecs: CodecPolicy,
    /// How many microphones each room forwards: the loudest.
    pub speakers: usize,
}

/// A TCP port that leads to the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpListen {
    /// The address it is bound to.
    pub ip: IpAddr,
    /// The port, as clients know it.
    pub port: u16,
}

impl TcpListen {
    /// The addresses among `candidates` at which it is reached, with this port. `translated`: they are not those of this
    /// machine, a NAT is in between.
    pub fn addresses(&self, candidates: &[SocketAddr], translated: bool) -> Vec<SocketAddr> {
        let mut served: Vec<SocketAddr> = Vec::new();
        for candidate in candidates.iter().filter(|c| self.serves(c.ip(), translated)) {
            let address = SocketAddr::new(candidate.ip(), self.port);
            if !served.contains(&address) {
                served.push(address);
            }
        }
        served
    }

    /// Whether a client that is told `advertised`, an address of ours, reaches it there. Behind a NAT (`translated`) the
    /// addresses differ, and what does not only listen on loopback is taken to be reached.
    fn serves(&self, advertised: IpAddr, translated: bool) -> bool {
        match self.ip.to_canonical() {
            IpAddr::V4(ip) if ip.is_unspecified() => advertised.is_ipv4(),
            IpAddr::V6(ip) if ip.is_unspecified() => true,
            ip => ip == advertised || (translated && !ip.is_loopback() && ip.is_ipv4() == advertised.is_ipv4()),
        }
    }
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 0))],
            advertise: Vec::new(),
            tcp: None,
            shards: 1,
            room_members_per_shard: 200,
            node: 0,
            codecs: CodecPolicy {
                // Redundant audio where both sides know it: Chromium does, Firefox gets it without the redundancy.
                audio: vec![CodecKind::Red, CodecKind::Opus],
                video: vec![CodecKind::Vp8],
            },
            speakers: 5,
        }
    }
}

/// The media plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No listening address, or no shard.
    #[error("the media plane needs at least one listening address and one shard")]
    Nothing,
    /// More shards than a call can span.
    #[error("the media plane has at most {MAX_SHARDS} shards, not {0}")]
    TooMany(u8),
    /// A socket.
    #[error("cannot listen for media on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A system resource.
    #[error("cannot start a media shard: {0}")]
    System(#[from] std::io::Error),
    /// The DTLS certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_of_a_tcp_port_only_where_it_listens() {
        let serves = |ip: &str, advertised: &str, translated| {
            let listen = TcpListen {
                ip: ip.parse().unwrap(),
                port: 443,
            };
            listen.serves(advertised.parse().unwrap(), translated)
        };
        assert!(serves("0.0.0.0", "192.0.2.1", false) && !serves("0.0.0.0", "2001:db8::1", false));
        assert!(serves("::", "192.0.2.1", false) && serves("::", "2001:db8::1", false));
        assert!(serves("192.0.2.1", "192.0.2.1", false) && !serves("192.0.2.1", "192.0.2.2", false));
        assert!(serves("10.0.0.5", "192.0.2.1", true) && !serves("10.0.0.5", "2001:db8::1", true));
        assert!(
            !serves("127.0.0.1", "192.0.2.1", true),
            "a reverse proxy stands before it"
        );
    }
}
