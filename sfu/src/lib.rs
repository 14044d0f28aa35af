//! The media plane's outside: threads and sockets around [`sfu_core`].
//!
//! ```text
//!  Handle (async, names) ── commands ──> shard thread: poll ─ recvmmsg ─ Shard ─ sendmmsg
//!                        <── events ────                                   │ ▲
//!                                                        another shard <───┘ └─ relays
//! ```
//!
//! One thread and one UDP port per shard. A room begins in the shard that its name chooses; one with more members than a
//! shard should have goes on in the next. Rooms and participants are named by text at this edge and are dense numbers inside,
//! the same in all shards.

mod config;
mod delays;
mod desk;
mod doors;
mod events;
mod handle;
pub mod lines;
mod messages;
mod registry;
mod relay;
mod roster;
mod runs;
mod socket;
mod sys;
mod tunnel;
mod worker;

pub use config::{MediaConfig, StartError, TcpListen};
pub use delays::{DELAY_BOUNDS, Delays};
pub use events::Events;
pub use handle::{Handle, start, start_with_tunnels};
pub use lines::{Inlet, Outflow, Piece};
pub use messages::{
    Binding, Intent, MediaError, MediaEvent, OfferRequest, Seat, ShardSnapshot, SlotPolicy, StreamQuality, Way,
};
pub use sfu_core::quality::Reason as QualityReason;
pub use sfu_core::sdp::{CodecKind, CodecPolicy};
pub use sfu_core::shard::{Counters, Drop, MAX_SHARDS, PauseReason};
pub use sfu_core::transport::IceCredentials;
pub use sfu_core::types::{Path, Source};
pub use socket::{SOCKET_BUFFER, SocketCounters, candidates_of};
pub use sys::{clock_is_kept, interface_addresses};
pub use tunnel::{MakeTunnel, Present, Tunnel, Tunnelled};
