//! Latency inside the engine: decide, append to a journal in memory, apply.
//!
//! `cargo run --release -p quartermaster-benches --bin engine-latency [-- --skus 1000000]`
//!
//! Every request is timed on its own, in rounds that take turns, on one thread pinned to one core; what reading the clock costs is
//! subtracted and stated. Printed are p50, p99 and p99.9 as medians over the rounds, and the least p50. Held against, with 10 million cells
//! (`--skus 1000000`): one-line reserve p50 at most 250 ns and p99 at most 1 us, p50 at most 1 us where SKUs are drawn from the whole matrix and
//! so are cold in the caches; a sold-out answer no slower than a success; two threads at least 1.8 times one. At the end, what
//! one and two threads do per second on spread orders, and what one hot SKU does beside them. Last, the same order in a channel with an
//! allotment and in a campaign with a limit per buyer: held against at most 1.5 times the plain order, and a hot SKU of a campaign against
//! at least 0.8 times what its orders do spread.
#![forbid(unsafe_code)]

mod selling;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use quartermaster_benches::{
    figures::Report,
    matrix::{self, START, Shape},
    measure::{Round, Rounds, clock_cost, grouped, median, per_second, ratio},
    pin,
    traffic::{self, Random, Sent, Skus, granted, measured},
};
use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    command::Step,
    id::ReservationId,
    time::{Micros, Timestamp},
};
use quartermaster_journal::MemoryJournal;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(about = "Latency inside the engine: decide, append to memory, apply")]
struct Arguments {
    /// SKUs with stock; a tenth as many sold-out ones come on top.
    #[arg(long, default_value_t = 100_000)]
    skus: u32,
    /// Locations, each with every SKU.
    #[arg(long, default_value_t = 10)]
    locations: u32,
    /// Rounds.
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// Requests of each kind in a round.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Only kinds whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// The part about allotments and campaigns, whatever `only` says.
    #[arg(long)]
    selling: bool,
    /// Leave out the part with two threads.
    #[arg(long)]
    one_thread: bool,
    /// Leave out the part about allotments and campaigns.
    #[arg(long, conflicts_with = "selling")]
    no_selling: bool,
    /// Prints the figures as a line of JSON at the end.
    #[arg(long)]
    json: bool,
}

/// SKUs that orders of the warm kind ask for: their rows stay in the caches.
const WARM_SKUS: u32 = 1_000;

/// The kinds that the report names: SKUs whose rows are in the caches, and SKUs of the whole matrix.
const WARM: &str = "reserve, 1 line, of 1,000 SKUs";
const COLD: &str = "reserve, 1 line, spread";
/// The kind whose two threads are held against one.
const SPREAD: &str = "spread";

/// One kind of request: its name, and how one is made.
struct Kind {
    name: &'static str,
    skus: Skus,
    lines: usize,
    location: Option<u32>,
    then: Option<(&'static str, Step)>,
}

fn main() {
    let arguments = Arguments::parse();
    let cores = pin::cores();
    let pinned = cores.last().is_some_and(|core| pin::to_core(*core));
    let shape =
        Shape { skus: arguments.skus, sold_out_skus: (arguments.skus / 10).max(1), locations: arguments.locations };
    let engine = Engine::new(EngineConfig::default(), Arc::new(MemoryJournal::new()));
    let started = Instant::now();
    matrix::fill(&engine, shape, 1_000_000);
    let clock = clock_cost();
    println!(
        "{} cells ({} SKUs x {} locations) filled in {:.1} s; {} rounds of {} requests; pinned: {pinned}; clock {clock} ns, \
         subtracted",
        grouped(shape.cells()),
        grouped(u64::from(shape.skus + shape.sold_out_skus)),
        shape.locations,
        started.elapsed().as_secs_f64(),
        arguments.rounds,
        arguments.requests,
    );
    println!("{:<34}{:>9}{:>9}{:>9}{:>11}", "ns", "p50", "p99", "p99.9", "least p50");

    let all = Skus::Below(shape.skus);
    let none = Skus::From(shape.skus, shape.sold_out_skus);
    let kind = |name, skus, lines, location, then| Kind { name, skus, lines, location, then };
    let warm = Skus::Below(WARM_SKUS.min(shape.skus));
    let kinds = [
        kind(WARM, warm, 1, None, None),
        kind(COLD, all, 1, None, Some(("  confirm", Step::Confirm))),
        kind("reserve, 1 line at a location", all, 1, Some(3), Some(("  release", Step::Release))),
        kind("reserve, 1 line, hot SKU", Skus::Only(7), 1, None, Some(("  release, hot", Step::Release))),
        kind("reserve, 5 lines, spread", all, 5, None, Some(("  release, 5 lines", Step::Release))),
        kind("sold out, 1 line, spread", none, 1, None, None),
        kind("sold out, 1 line, hot SKU", Skus::Only(shape.skus), 1, None, None),
    ];
    let mut now = START;
    let mut figures: Vec<(&'static str, Rounds)> = Vec::new();
    for seed in 0..arguments.rounds {
        for kind in kinds.iter().filter(|kind| kind.name.contains(&arguments.only)) {
            let mut random = Random::new(u64::from(seed));
            let make = |_| traffic::reserve(&mut random, kind.skus, kind.lines, kind.location);
            let requests: Vec<Sent> = (0..arguments.requests).map(make).collect();
            let (round, held) = run(&engine, &requests, &mut now);
            add(&mut figures, kind.name, round);
            if let Some((name, step)) = &kind.then {
                let steps: Vec<Sent> = held.into_iter().map(|id| traffic::step(id, step.clone())).collect();
                let (round, _) = run(&engine, &steps, &mut now);
                add(&mut figures, name, round);
            }
        }
    }
    let mut report = Report::new("engine-latency");
    report.count("cells", shape.cells());
    for (name, rounds) in &figures {
        let of = |percent| rounds.of(percent, clock);
        let ((p50, least), (p99, _), (p999, _)) = (of(50.0), of(99.0), of(99.9));
        println!("{name:<34}{p50:>9}{p99:>9}{p999:>9}{least:>11}");
        for (short, _) in [("reserve", WARM), ("cold", COLD)].iter().filter(|(_, long)| long == name) {
            report.count(format!("{short}_p50_ns"), p50);
            report.count(format!("{short}_p99_ns"), p99);
        }
    }
    if !arguments.one_thread && arguments.only.is_empty() && cores.len() >= 2 {
        throughput(&engine, shape, &arguments, &cores, now, &mut report);
    }
    if (arguments.only.is_empty() && !arguments.no_selling) || arguments.selling {
        drop(engine);
        selling::measure(&arguments, &cores, clock);
    }
    report.print(arguments.json);
}

fn add(figures: &mut Vec<(&'static str, Rounds)>, name: &'static str, round: Round) {
    let place = figures.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        figures.push((name, Rounds::default()));
        figures.len() - 1
    });
    figures[place].1.push(round);
}

/// Times each request; gives the reservations that were granted.
fn run(engine: &Engine, requests: &[Sent], now: &mut Timestamp) -> (Round, Vec<ReservationId>) {
    let (mut round, mut held) = (Round::default(), Vec::with_capacity(requests.len()));
    for sent in requests {
        *now = now.plus(Micros(10));
        let start = Instant::now();
        let answer = black_box(measured(engine, black_box(sent), *now));
        let took = start.elapsed();
        round.record(took);
        let answer = answer.expect("every request can stand");
        if matches!(answer.verdict, Verdict::Done(quartermaster_engine::event::Event::Held(_))) {
            held.push(granted(&answer));
        }
    }
    (round, held)
}

/// Requests per second of one thread and of two, spread and hot, in turns.
fn throughput(
    engine: &Engine,
    shape: Shape,
    arguments: &Arguments,
    cores: &[usize],
    now: Timestamp,
    report: &mut Report,
) {
    let kinds = [(SPREAD, Skus::Below(shape.skus)), ("one hot SKU", Skus::Only(7))];
    let mut rates = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for seed in 0..arguments.rounds {
        for (rates, (_, skus)) in rates.iter_mut().zip(kinds) {
            for (threads, rates) in (1_usize..).zip(rates.iter_mut()) {
                let make = |random: &mut Random| traffic::reserve(random, skus, 1, None);
                let took = together(engine, arguments.requests, &make, &cores[cores.len() - threads..], seed, now);
                let count = u64::try_from(arguments.requests * threads).unwrap_or(u64::MAX);
                rates.push(per_second(count, took));
            }
        }
    }
    println!("{:<34}{:>14}{:>14}{:>9}", "one-line reserves per second", "1 thread", "2 threads", "ratio");
    for ((name, _), [one, two]) in kinds.iter().zip(&mut rates) {
        let (one, two) = (median(one), median(two));
        // Percent first, so that no float is needed for a ratio of two decimals.
        let percent = two * 100 / one.max(1);
        println!("{name:<34}{:>14}{:>14}{:>6}.{:02}", grouped(one), grouped(two), percent / 100, percent % 100);
        if *name == SPREAD {
            report.count("one_thread_a_second", one);
            report.add("two_threads_ratio", ratio(two, one));
        }
    }
}

/// Lets one thread per core send its requests; gives the time from the first start to the last end.
fn together(
    engine: &Engine,
    count: usize,
    make: &(impl Fn(&mut Random) -> Sent + Sync),
    cores: &[usize],
    seed: u32,
    now: Timestamp,
) -> Duration {
    let barrier = std::sync::Barrier::new(cores.len());
    let spans: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let worker = |core: usize| {
            let barrier = &barrier;
            scope.spawn(move || {
                let _ = pin::to_core(core);
                let mut random = Random::new(u64::from(seed) << 32 | u64::try_from(core).unwrap_or(0));
                let requests: Vec<Sent> = (0..count).map(|_| make(&mut random)).collect();
                barrier.wait();
                let start = Instant::now();
                for sent in &requests {
                    black_box(measured(engine, sent, now)).expect("every request can stand");
                }
                (start, Instant::now())
            })
        };
        let workers: Vec<_> = cores.iter().copied().map(worker).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker ends by itself")).collect()
    });
    let first = spans.iter().map(|(start, _)| *start).min().expect("there are workers");
    let last = spans.iter().map(|(_, end)| *end).max().expect("there are workers");
    last.duration_since(first)
}
