//! The load harness `ringhall-load`: crowds of real WebRTC clients, and reports of what people would feel and what it cost.

pub mod client;
pub mod cpu;
pub mod door;
pub mod floor;
pub mod impair;
pub mod lab;
pub mod peers;
pub mod report;
pub mod scenario;
