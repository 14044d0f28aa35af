//! Ringhall: a self-hosted call server in one binary. It is a library so that the fuzzer reaches what strangers reach; nothing
//! else depends on it.

mod backup;
mod cli;
mod config;
mod demo;
mod doctor;
mod door;
mod logs;
mod media;
mod metrics;
mod page;
mod people;
mod secrets;
mod serve;
mod tls;
mod turn;

use std::process::ExitCode;

#[cfg(feature = "fuzzing")]
pub use door::fuzzing;

/// The program: does what its command line says.
pub fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringhall: {error}");
            ExitCode::FAILURE
        }
    }
}
