//! From one publisher's packet to many viewers: the packet slab, streams as received, slots as sent, the transmit arena.

mod arena;
mod clock;
mod filter;
mod gaps;
mod history;
mod inspect;
mod rates;
mod receiver;
mod runs;
mod shape;
mod slab;
mod slot;

pub use arena::{Arena, Route};
pub use clock::{MediaClock, ShardClock};
pub use gaps::Gaps;
pub(crate) use inspect::inspect;
pub use rates::Rates;
pub use receiver::{Arrival, KEY_FRAME_INTERVAL, Receiver};
pub use shape::Shape;
pub use slab::{BUFFER_LEN, Meta, PacketBuffer, PacketKey, Payload, Slab};
pub(crate) use slot::Admission;
pub(crate) use slot::GROWTH;
pub use slot::{Answer, Outgoing, SlotConfig};
