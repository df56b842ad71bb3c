//! Recovery: events per second from the log, and a snapshot of a large matrix written, loaded and lived with.
//!
//! `cargo run --release -p quartermaster-benches --bin recovery [-- --events 2000000 --skus 1000000 --locations 10]`
//!
//! Part one writes events (reserve, confirm, ship, in turn over spread SKUs) to a real log on disk in batches of `--batch` and opens it
//! again as the server does: newest whole snapshot, its sections in order, then the log from where the snapshot needs it. Part two takes
//! a snapshot of a full matrix and loads it. While it is taken, another thread keeps reserving: its p99.9 and longest wait are printed
//! beside the same without a snapshot. The files are in the page cache when they are read. Held against: 1 million events a second;
//! 10 million cells loaded within 5 s; p99.9 longer by less than 5 ms.
#![forbid(unsafe_code)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use quartermaster_benches::{
    matrix::{self, START, Shape},
    measure::{Round, grouped, median, per_second},
    traffic::{self, Random, Skus, granted, measured},
};
use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    command::Step,
    recovery::Recovery,
    snapshot::{Section, kind},
    time::{Micros, Timestamp},
};
use quartermaster_journal::{
    Durability, FileStorage, Journal, Log, LogConfig, Lsn, SnapshotStart, SnapshotStore, VisitError,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(about = "Recovery from the log and from a snapshot")]
struct Arguments {
    /// Events in the log, besides those that make the matrix; 0 leaves the part out.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// Events in a batch of the log.
    #[arg(long, default_value_t = 64)]
    batch: u64,
    /// SKUs of the snapshot's matrix; 0 leaves the part out.
    #[arg(long, default_value_t = 1_000_000)]
    skus: u32,
    /// Locations, each with a cell of every SKU.
    #[arg(long, default_value_t = 10)]
    locations: u32,
    /// How often each figure is taken.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Where the files go; a temporary directory by default.
    #[arg(long)]
    directory: Option<std::path::PathBuf>,
}

fn main() {
    let arguments = Arguments::parse();
    let temporary = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }
    .expect("a temporary directory can be made");
    if arguments.events > 0 {
        from_log(&arguments, &temporary.path().join("log"));
    }
    if arguments.skus > 0 {
        from_snapshot(&arguments, &temporary.path().join("snapshot"));
    }
}

/// The engine as a server would bring it back, and how long that took.
struct Recovered {
    engine: Arc<Engine>,
    log: Log,
    events: u64,
    snapshot: Duration,
    replay: Duration,
}

/// The server's start, without its sockets.
fn recover(directory: &Path) -> Recovered {
    let storage = FileStorage::new(directory);
    let started = Instant::now();
    let mut recovery = Recovery::new(EngineConfig::default());
    let newest = SnapshotStore::new(storage.clone()).newest_whole().expect("the snapshot is whole");
    let mut from = Lsn::new(1);
    if let Some(snapshot) = newest.snapshot {
        let mut payload = Vec::new();
        for section in snapshot.sections() {
            snapshot.read(section, &mut payload).expect("the section is whole");
            recovery.load(section.kind, section.unit, section.lsn, &payload).expect("the section is of this version");
        }
        from = snapshot.end().needed_from;
    }
    let snapshot = started.elapsed();
    let started = Instant::now();
    let mut visit =
        |lsn, _epoch, record: &[u8]| recovery.replay(lsn, record).map_err(|error| Box::new(error) as VisitError);
    let (log, report) = Log::open(storage, config(), from, &mut visit).expect("the log is whole");
    let replay = started.elapsed();
    let engine = Arc::new(recovery.finish(Arc::new(log.clone())));
    Recovered { engine, log, events: report.records, snapshot, replay }
}

/// Reading is measured, so writing need not wait for the disk.
fn config() -> LogConfig {
    LogConfig { durability: Durability::None, ..LogConfig::default() }
}

fn from_log(arguments: &Arguments, directory: &Path) {
    let shape = Shape { skus: 100_000, sold_out_skus: 0, locations: arguments.locations };
    let first = recover(directory);
    matrix::fill(&first.engine, shape, 1_000_000);
    let matrix = first.log.appended_lsn().get();
    first.log.step().expect("the log is written");
    write_events(&first, shape, arguments);
    let expected = first.log.appended_lsn();
    first.log.close().expect("the log is closed");
    let bytes = first.log.stats().bytes;
    drop(first);
    println!(
        "log: {} events ({} of them the matrix of {} cells), {} bytes, batches of {}",
        grouped(expected.get()),
        grouped(matrix),
        grouped(shape.cells()),
        grouped(bytes),
        arguments.batch
    );
    // The matrix is thousands of cells an event, so its time is taken apart from that of the others.
    let mut rates = Vec::new();
    for _ in 0..arguments.rounds {
        let reading = read_alone(directory);
        let making = matrix_alone(directory, matrix);
        let back = recover(directory);
        assert_eq!(back.engine.journal().appended_lsn(), expected, "everything is back");
        let rate = per_second(back.events - matrix, back.replay.saturating_sub(making));
        println!(
            "  recovered in {:.2} s, of which the matrix {:.2} s and reading alone {:.2} s: {} events/s",
            back.replay.as_secs_f64(),
            making.as_secs_f64(),
            reading.as_secs_f64(),
            grouped(rate)
        );
        rates.push(rate);
    }
    println!("recovery: median {} events/s, best {}", grouped(median(&mut rates)), grouped(rates[rates.len() - 1]));
}

/// A third each of reserve, confirm and ship, some thousand reservations apart, so that none is warm in a cache.
fn write_events(recovered: &Recovered, shape: Shape, arguments: &Arguments) {
    const APART: usize = 5_000;
    let engine = &recovered.engine;
    let mut random = Random::new(7);
    let mut now = START;
    let (mut held, mut confirmed) = (std::collections::VecDeque::new(), std::collections::VecDeque::new());
    for count in 0..arguments.events {
        now = now.plus(Micros(100));
        let reservation = if confirmed.len() > APART {
            confirmed.pop_front().map(|id| (id, Step::Ship(Vec::new())))
        } else if held.len() > APART {
            held.pop_front().map(|id| (id, Step::Confirm))
        } else {
            None
        };
        let sent = match &reservation {
            Some((id, step)) => traffic::step(*id, step.clone()),
            None => traffic::reserve(&mut random, Skus::Below(shape.skus), 1, None),
        };
        let answer = measured(engine, &sent, now).expect("every request can stand");
        match reservation {
            None => held.push_back(granted(&answer)),
            Some((id, Step::Confirm)) => confirmed.push_back(id),
            Some(_) => assert!(matches!(answer.verdict, Verdict::Done(_))),
        }
        if count % arguments.batch == 0 {
            recovered.log.step().expect("the log is written");
        }
    }
}

/// How long the log takes to be read and checked when nobody wants its records.
fn read_alone(directory: &Path) -> Duration {
    let started = Instant::now();
    let mut visit = |_, _, _: &[u8]| Ok(());
    quartermaster_journal::open_read_only(FileStorage::new(directory), Lsn::new(1), &mut visit).expect("it is whole");
    started.elapsed()
}

/// How long the events that make the matrix take.
fn matrix_alone(directory: &Path, last: u64) -> Duration {
    let mut recovery = Recovery::new(EngineConfig::default());
    let mut reader =
        quartermaster_journal::LogReader::open(FileStorage::new(directory), Lsn::new(1)).expect("the log is whole");
    let started = Instant::now();
    while let Some(record) = reader.next_record().expect("the log is whole")
        && record.lsn.get() <= last
    {
        recovery.replay(record.lsn, record.bytes).expect("the record is of this version");
    }
    started.elapsed()
}

fn from_snapshot(arguments: &Arguments, directory: &Path) {
    let shape = Shape { skus: arguments.skus, sold_out_skus: 0, locations: arguments.locations };
    let Recovered { engine, log, .. } = recover(directory);
    let committer = log.spawn_committer().expect("the system gives a thread");
    fill_slowly(&engine, &log, shape);
    println!(
        "snapshot: {} cells ({} SKUs x {})",
        grouped(shape.cells()),
        grouped(u64::from(shape.skus)),
        shape.locations
    );
    for _ in 0..arguments.rounds {
        let quiet = reserve_during(&engine, shape, || std::thread::sleep(Duration::from_secs(2)));
        let mut took = Taken::default();
        let busy = reserve_during(&engine, shape, || took = take(&engine, &log, directory));
        println!(
            "  written in {:.2} s, {} bytes; longest shard copied and encoded in {:.2} ms, other section {:.2} ms",
            took.whole.as_secs_f64(),
            grouped(took.bytes),
            millis(took.shard),
            millis(took.other)
        );
        println!(
            "  reserving meanwhile: p99.9 {:.3} ms, longest {:.2} ms; without: p99.9 {:.3} ms, longest {:.2} ms",
            millis_of(busy.percentile(99.9)),
            millis_of(busy.max()),
            millis_of(quiet.percentile(99.9)),
            millis_of(quiet.max())
        );
    }
    let cells = engine.counts().cells;
    drop(engine);
    committer.stop().expect("the log is closed");
    drop(log);
    for _ in 0..arguments.rounds {
        let back = recover(directory);
        assert_eq!(back.engine.counts().cells, cells, "every cell is back");
        println!(
            "  loaded in {:.2} s: {} cells/s; {} events past it in {:.2} s",
            back.snapshot.as_secs_f64(),
            grouped(per_second(cells, back.snapshot)),
            grouped(back.events),
            back.replay.as_secs_f64()
        );
    }
}

/// Fills in steps that the log can keep up with.
fn fill_slowly(engine: &Engine, log: &Log, shape: Shape) {
    let unwritten = || log.stats().backlog_bytes > 16 << 20;
    let wait = || {
        while unwritten() {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    matrix::fill_with(engine, shape, 1_000_000, wait);
}

#[derive(Default)]
struct Taken {
    whole: Duration,
    shard: Duration,
    other: Duration,
    bytes: u64,
}

/// Takes a snapshot as the server does. A shard is copied under its lock and encoded after it; both together bound how long the lock
/// is held.
fn take(engine: &Engine, log: &Log, directory: &Path) -> Taken {
    let mut taken = Taken::default();
    let started = Instant::now();
    let position = log.position();
    let start = SnapshotStart {
        shard: 0,
        epoch: log.epoch(),
        lsn: log.appended_lsn(),
        batch_index: position.batch_index,
        chain: position.chain,
    };
    let store = SnapshotStore::new(FileStorage::new(directory));
    let mut writer = store.begin(&start).expect("the disk has room");
    let mut last = Instant::now();
    let span = engine.snapshot(START, |section: Section| {
        let made = last.elapsed();
        let longest = if section.kind == kind::SHARD { &mut taken.shard } else { &mut taken.other };
        *longest = (*longest).max(made);
        let written = writer.section(section.kind, section.unit, section.lsn, &section.payload);
        last = Instant::now();
        written
    });
    let span = span.expect("the disk has room");
    log.sync().expect("the log is written");
    taken.bytes = writer.bytes();
    writer.finish(span.complete_to.next(), 0).expect("the disk has room");
    taken.whole = started.elapsed();
    taken
}

/// Reserves on another thread, a request every 50 us, while `work` is done; gives its times.
fn reserve_during(engine: &Arc<Engine>, shape: Shape, work: impl FnOnce()) -> Round {
    let running = Arc::new(AtomicBool::new(true));
    let reserving = {
        let (engine, running) = (Arc::clone(engine), Arc::clone(&running));
        std::thread::spawn(move || {
            let (mut round, mut random) = (Round::default(), Random::new(3));
            let mut due = Instant::now();
            let mut now = START;
            while running.load(Ordering::Relaxed) {
                let sent = traffic::reserve(&mut random, Skus::Below(shape.skus), 1, None);
                while Instant::now() < due {
                    std::hint::spin_loop();
                }
                now = now.plus(Micros(50));
                step(&engine, &sent, now);
                // From when it was due: a request that had to wait for the one before it has waited, too.
                round.record(due.elapsed());
                due += Duration::from_micros(50);
            }
            round
        })
    };
    work();
    running.store(false, Ordering::Relaxed);
    reserving.join().expect("the thread ends by itself")
}

fn step(engine: &Engine, sent: &traffic::Sent, now: Timestamp) {
    measured(engine, sent, now).expect("every request can stand");
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

fn millis_of(nanos: u64) -> f64 {
    millis(Duration::from_nanos(nanos))
}
