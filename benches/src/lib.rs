//! The load harness `ringhall-load`: crowds of real WebRTC clients, and reports of what people would feel and what it cost.

pub mod engine;
pub mod floor;
pub mod http;
pub mod impair;
pub mod lab;
pub mod library;
pub mod media;
pub mod peers;
pub mod proc;
pub mod report;
pub mod ringhall;
pub mod run;
pub mod scenario;
