//! The server against a client that is written on the library's messages, not on ours.

mod bad_input;
mod lifecycle;
mod properties;
mod support;
