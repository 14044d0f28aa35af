//! The server over real sockets: a real service on SQLite behind real HTTP and WebSockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(unreachable_pub, missing_docs, reason = "tests")]

mod abuse;
mod common;
mod connection;
mod delivery;
mod guests;
mod history;
mod quality;
mod rest;
mod ringing;
mod rooms;
mod tabs;
mod whip;
