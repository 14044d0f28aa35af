//! The call state machine: `(state, command, now) -> (new state, effects, deadlines)`.
//!
//! Pure: no clock, no randomness, no database. Everything a decision needs is handed in, everything it causes is handed out.

mod config;

pub use config::CallConfig;
