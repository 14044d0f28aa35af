//! From one publisher's packet to many viewers: the packet slab, streams as received, slots as sent, the transmit arena.

mod arena;
mod clock;
mod gaps;
mod history;
mod receiver;
mod slab;
mod slot;

pub use arena::{Arena, Route};
pub use clock::{MediaClock, ShardClock};
pub use gaps::Gaps;
pub use receiver::{Arrival, KEY_FRAME_INTERVAL, Receiver};
pub use slab::{BUFFER_LEN, Meta, PacketBuffer, PacketKey, Slab};
pub(crate) use slot::GROWTH;
pub use slot::{Answer, Outgoing, SlotConfig};
