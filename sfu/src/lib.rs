//! The media plane's outside: threads and sockets around [`sfu_core`].
//!
//! ```text
//!  Handle (async, names) ── commands ──> shard thread: poll ─ recvmmsg ─ Shard ─ sendmmsg
//!                        <── events ────
//! ```
//!
//! One thread and one UDP port per shard; a room lives on one shard, chosen by its name. Rooms and participants are named
//! by text at this edge and are dense numbers inside.

mod config;
mod delays;
mod desk;
mod handle;
mod messages;
mod names;
mod runs;
mod socket;
mod sys;
mod tunnel;
mod worker;

pub use config::{MediaConfig, StartError};
pub use delays::{DELAY_BOUNDS, Delays};
pub use handle::{Handle, start, start_with_tunnels};
pub use messages::{Binding, Intent, MediaError, MediaEvent, OfferRequest, Seat, ShardSnapshot, SlotPolicy};
pub use sfu_core::quality::Reason as QualityReason;
pub use sfu_core::sdp::{CodecKind, CodecPolicy};
pub use sfu_core::shard::{Counters, Drop, PauseReason};
pub use sfu_core::transport::IceCredentials;
pub use sfu_core::types::{Path, Source};
pub use socket::SocketCounters;
pub use tunnel::{MakeTunnel, Present, Tunnel, Tunnelled};
