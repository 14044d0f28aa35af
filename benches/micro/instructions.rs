//! One case of the micro benchmarks for callgrind, which counts what happens inside of `measured`: the same cases for changes
//! that are smaller than the clock's noise. `tools/bench-micro instructions` runs it.
//!
//!     instructions            names the cases
//!     instructions NAME N     does N operations of a case, after as many to warm up

mod cases;

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use cases::{CASES, WARMING};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, count] = arguments.as_slice() else {
        for case in CASES.iter().filter(|case| case.counted) {
            println!("{}", case.name);
        }
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|case| case.name == name);
    let (Some(case), Ok(count)) = (case, count.parse()) else {
        eprintln!(
            "there is no case {name:?}, or {count:?} is not a number of operations; without arguments the cases are named"
        );
        return ExitCode::FAILURE;
    };
    let mut work = (case.make)();
    WARMING.store(true, Ordering::Relaxed);
    work.run(count);
    WARMING.store(false, Ordering::Relaxed);
    work.run(count);
    ExitCode::SUCCESS
}
