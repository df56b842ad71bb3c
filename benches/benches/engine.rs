//! Mean time of the guarded paths, for comparing two versions; the names are those of the instruction guard.
//!
//! `cargo bench -p quartermaster-benches --bench engine`
//!
//! Percentiles, larger matrices and threads are for the program `engine-latency`.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use quartermaster_benches::paths::PATHS;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    // A matrix is made for each sample: few of them, and not for long.
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for path in PATHS {
        group.bench_function(path.name, |bencher| {
            bencher.iter_custom(|times| {
                let mut prepared = (path.prepare)(usize::try_from(times).unwrap_or(usize::MAX).max(64));
                let start = Instant::now();
                (prepared.run)();
                let each = start.elapsed().as_secs_f64() / f64::from(u32::try_from(prepared.times).unwrap_or(u32::MAX));
                Duration::from_secs_f64(each * f64::from(u32::try_from(times).unwrap_or(u32::MAX)))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, paths);
criterion_main!(benches);
