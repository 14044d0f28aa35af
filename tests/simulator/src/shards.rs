//! The shards of a simulation.

use std::net::SocketAddr;
use std::time::Instant;

use link_model::Seeded;
use sfu_core::sdp::{CodecKind, CodecPolicy};
use sfu_core::shard::{Shard, ShardConfig};
use sfu_core::transport::Identity;
use sfu_core::types::{Path, Random};

struct Source(Seeded);

impl Random for Source {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let bits = self.0.bits().to_le_bytes();
            chunk.copy_from_slice(&bits[..chunk.len()]);
        }
    }
}

/// Where a shard listens.
pub(crate) fn address(shard: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5_000 + u16::from(shard)))
}

/// The way between a shard and a client at its `place`-th address.
pub(crate) fn path(shard: u8, client: usize, place: u8) -> Path {
    let [high, low] = (client as u16).to_be_bytes();
    Path::Udp {
        local: address(shard),
        remote: SocketAddr::from(([10, 1 + place, high, low], 6_000)),
    }
}

/// Which client a datagram is for, and at which of its addresses.
pub(crate) fn client(path: &Path) -> Option<(usize, u8)> {
    let Path::Udp {
        remote: SocketAddr::V4(remote),
        ..
    } = path
    else {
        return None;
    };
    let [_, place, high, low] = remote.ip().octets();
    Some((usize::from(u16::from_be_bytes([high, low])), place - 1))
}

#[allow(clippy::expect_used, reason = "without a certificate there is nothing to simulate")]
pub(crate) fn shard(number: u8, seed: u64, start: Instant) -> Shard {
    let config = ShardConfig {
        node: 0,
        shard: number,
        candidates: vec![address(number)],
        tcp_candidates: Vec::new(),
        codecs: CodecPolicy {
            audio: vec![CodecKind::Opus],
            video: vec![CodecKind::Vp8],
        },
        speakers: 5,
    };
    let random = Box::new(Source(Seeded::new(seed ^ 0x5eed ^ u64::from(number) << 32)));
    let identity = Identity::generate().expect("a certificate");
    Shard::new(config, identity, random, start)
}
