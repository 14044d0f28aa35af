//! Load programs: `ringhall-load` (a crowd of real WebRTC clients). Micro benchmarks come beside it.

pub mod client;
pub mod cpu;
pub mod door;
