//! Words that all of the media core shares.

use std::net::SocketAddr;

/// How datagrams travel between us and a peer; never a bare address, because one peer may be reached in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// A UDP socket pair. `local` is where the packet came in (PKTINFO), so that the answer leaves from there.
    Udp {
        /// Our address.
        local: SocketAddr,
        /// The peer's address; v4-mapped addresses are normalised.
        remote: SocketAddr,
    },
    /// An ICE-TCP connection (RFC 4571 framing), by the number the listener gave it.
    Tcp {
        /// Connection number.
        connection: u64,
        /// The peer's address.
        remote: SocketAddr,
    },
    /// Through our own TURN server, by allocation number.
    Turn {
        /// Allocation number.
        allocation: u64,
        /// Our address that the client sends to.
        local: SocketAddr,
        /// The relayed address at which the client appears.
        remote: SocketAddr,
    },
}

/// What a participant publishes, and what a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Microphone.
    Mic,
    /// Camera.
    Camera,
    /// Shared screen or window.
    Screen,
    /// Sound of the shared screen.
    ScreenAudio,
}

impl Source {
    /// Whether it is carried as audio.
    pub fn is_audio(self) -> bool {
        matches!(self, Self::Mic | Self::ScreenAudio)
    }
}

/// A room in this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u32);

/// A participant in this shard. Never reused while the shard lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantId(pub u32);

/// Randomness, injected so that a run repeats from its seed.
pub trait Random {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// A random 32-bit number.
    fn u32(&mut self) -> u32 {
        let mut b = [0; 4];
        self.fill(&mut b);
        u32::from_le_bytes(b)
    }
}
