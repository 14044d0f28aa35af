//! Ringhall: a self-hosted call server in one binary.

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

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringhall: {error}");
            ExitCode::FAILURE
        }
    }
}
