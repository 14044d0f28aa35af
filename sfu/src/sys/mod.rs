//! The system calls that the standard library has no safe form of: batches of datagrams with their local addresses, a
//! wake-up, waiting for several descriptors. The only module of the project that may say `unsafe`: at 25,000 packets a
//! second one call per packet would cost more than everything else (GSO over two datagrams of one size to one address saves
//! a third to a half, and sending from the right address needs control messages either way).
#![allow(unsafe_code, reason = "see above; every block says why it is sound")]

mod address;
mod clock;
mod control;
mod option;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod wake;

pub use address::interface_addresses;
pub use clock::clock_is_kept;
#[cfg(test)]
pub(crate) use option::refuse_runs;
pub(crate) use receive::{Inbox, RECEIVE_BATCH, allow_merged, ask_for_local_addresses, ask_for_times};
pub(crate) use send::{MAX_RUN, MAX_RUN_BYTES, Run, SEND_BATCH, SEND_DATAGRAMS, send};
pub(crate) use wake::{Waker, readable, wait, writable};
