//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104): a compound packet read and written without an allocation.
//!
//! The `rtc-rtcp` crate is the oracle of the tests; its packets own boxed vectors, and reports are sent and read all the
//! time.

mod feedback;
mod twcc;
mod view;
mod write;

pub use feedback::Statuses;
pub use twcc::{Arrivals, FEEDBACK_INTERVAL};
pub use view::{Blocks, NackIter, Packet, Packets, ReportBlock};
pub use write::Compound;
