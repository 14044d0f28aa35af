//! Ringhall: a self-hosted call server in one binary.

fn main() {}
