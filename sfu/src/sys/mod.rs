//! The system calls that the standard library has no safe form of: batches of datagrams with their local addresses, a
//! wake-up, waiting for several descriptors. The only module of the project that may say `unsafe`: at 25,000 packets a
//! second one call per packet would cost more than everything else (recvmmsg and sendmmsg save 4 to 7 %, and sending from
//! the right address needs control messages either way).
#![allow(unsafe_code, reason = "see above; every block says why it is sound")]

mod address;
mod batch;
mod wake;

pub(crate) use address::interface_addresses;
pub(crate) use batch::{BATCH, Outbound, ask_for_local_addresses, receive, send};
pub(crate) use wake::{Waker, wait};
