//! Micro benchmarks by the clock: `tools/bench-micro`. Under `cargo test` each case runs once.

mod cases;

use std::time::Duration;

use cases::CASES;
use criterion::{Criterion, criterion_group, criterion_main};

fn micro(criterion: &mut Criterion) {
    for case in CASES {
        // Made only when this case is run, and once for all of its samples.
        criterion.bench_function(case.name, |bencher| {
            let mut work = (case.make)();
            bencher.iter_custom(|count| work.run(count));
        });
    }
}

criterion_group! {
    name = benches;
    // What is not measured (the clients of a forwarded packet) takes far longer than what is: short windows.
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400));
    targets = micro
}
criterion_main!(benches);
