//! Mean time of the engine's steps with a journal in memory, for comparing two versions.
//!
//! `cargo bench -p quartermaster-benches --bench engine`
//!
//! Percentiles, larger matrices and threads are for the program `engine-latency`.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quartermaster_benches::{
    matrix::{self, START, Shape},
    traffic::{self, Random, Sent, Skus, granted, measured},
};
use quartermaster_engine::{Engine, EngineConfig, command::Step};
use quartermaster_journal::MemoryJournal;

const SHAPE: Shape = Shape { skus: 100_000, sold_out_skus: 1_000, locations: 10 };

fn engine() -> Engine {
    // Few ids are remembered, so that a long run measures a full table and not a growing one.
    let config = EngineConfig { dedup_entries_max: 500_000, ended_entries_max: 500_000, ..EngineConfig::default() };
    let engine = Engine::new(config, Arc::new(MemoryJournal::new()));
    matrix::fill(&engine, SHAPE, 1_000_000_000);
    engine
}

fn steps(criterion: &mut Criterion) {
    let engine = engine();
    let mut random = Random::new(1);
    let submit = |sent: &Sent| measured(&engine, sent, START).expect("every request can stand");
    let mut group = criterion.benchmark_group("engine");
    // Reservations pile up while it runs: not for long.
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let all = Skus::Below(SHAPE.skus);
    let none = Skus::From(SHAPE.skus, SHAPE.sold_out_skus);
    let reserves = [
        ("reserve/1 line, spread", all, 1, None),
        ("reserve/1 line at a location", all, 1, Some(3)),
        ("reserve/1 line, hot SKU", Skus::Only(7), 1, None),
        ("reserve/5 lines, spread", all, 5, None),
        ("reserve/sold out", none, 1, None),
    ];
    for (name, skus, lines, location) in reserves {
        group.bench_function(name, |bencher| {
            let make = || traffic::reserve(&mut random, skus, lines, location);
            bencher.iter_batched_ref(make, |sent| black_box(submit(sent)), BatchSize::SmallInput);
        });
    }
    for (name, step) in [("confirm", Step::Confirm), ("release", Step::Release)] {
        group.bench_function(name, |bencher| {
            let make = || {
                let held = submit(&traffic::reserve(&mut random, all, 1, None));
                traffic::step(granted(&held), step.clone())
            };
            bencher.iter_batched_ref(make, |sent| black_box(submit(sent)), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
