//! The bare forwarder: what a selective forwarder costs at the least, as the floor under every measured server.
//!
//! One socket, one thread: receive a batch, open each packet once, seal a copy for each viewer (AES-128-GCM, the library
//! that the server uses too), send the batch with `sendmmsg`, or as segments of one call with UDP GSO. ICE, DTLS and SRTP
//! are `sfu-core`'s, so that keys, ciphers and the RTCP that viewers send are the same. What it leaves out is the work of a
//! server: it chooses no layers, repeats nothing, estimates and paces nothing, and remembers no packet.
//!
//! It can be broken on purpose ([`Fault`]), to prove that the report notices.

pub mod command;
mod fault;
mod forwarder;
#[cfg(test)]
mod tests;
mod wire;

pub use fault::{Fault, FaultError, Faults};
pub use forwarder::{FloorError, Forwarder};
