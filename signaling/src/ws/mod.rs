//! The WebSocket: one connection per tab.

mod audit;
mod bucket;
mod commands;
mod config;
mod connection;
mod hello;
mod session;
#[cfg(test)]
mod sim;
mod writer;

pub(crate) use commands::refused;
pub use config::SocketConfig;
pub(crate) use connection::upgrade;
pub(crate) use session::{Realtime, Registry};
