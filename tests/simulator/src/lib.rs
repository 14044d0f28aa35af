//! Calls on bad networks, simulated: `sfu-core` shards, the call state machine of `signaling`, and made-up clients behind
//! modelled links, in one thread with one event heap from one seed.
//!
//! ```text
//!  Plan ─► World ── heap of (time, what happens) ──┬─ Desk (signaling::calls) ─► who may have a transport
//!            │                                     ├─ Shard (sfu-core) ◄─► other shards
//!            │                                     └─ Publisher, Viewer ◄─ Link (link-model) ─► Shard
//!            └─► Report ─► oracles
//! ```
//!
//! The shards are what the server runs, but for the handshake and the ciphers: a transport is connected by decree and seals
//! into packets of the same length (feature `simulation` of `sfu-core`). The same plan with the same seed gives the same
//! decisions; [`Report::decisions`] is their hash.

mod desk;
pub mod oracles;
pub mod plan;
pub mod plans;
mod publisher;
mod relays;
mod report;
mod shards;
mod viewer;
mod wire;
mod world;

pub use plan::{Person, Plan};
pub use report::{Report, Witness};
pub use viewer::Seen;
pub use world::run;
