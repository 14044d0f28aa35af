//! The wire protocol `ringhall.v1`: JSON text frames on one WebSocket per tab.
//!
//! These types are the single source: the TypeScript types in `web-client/packages/core/src/protocol/` and the
//! reference in `docs/protocol.md` are generated from them (`cargo run -p signaling --bin protocol-docs`), and a test
//! fails when either is stale. Field names are camelCase. Unknown fields are ignored by both sides.

mod command;
mod error;
mod event;
mod frame;
mod history;
mod media;
mod result;
mod ring;
mod room;
mod types;

pub use command::*;
pub use error::*;
pub use event::*;
pub use frame::*;
pub use history::*;
pub use media::*;
pub use result::*;
pub use ring::*;
pub use room::*;
pub use types::*;

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "ringhall.v1";

/// Largest client frame in bytes, except for the ops that carry SDP. A larger one closes the socket with 4400.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Largest client frame in bytes for `media_offer`. A larger one closes the socket with 4400.
pub const MAX_SDP_FRAME_BYTES: usize = 512 * 1024;
