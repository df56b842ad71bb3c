//! Recovery: events per second from the log, and a snapshot of a large matrix written, loaded and lived with.
//!
//! `cargo run --release -p quartermaster-benches --bin recovery [-- --events 10000000 --skus 10000000 --locations 10]`
//!
//! Everything goes through the crate `node`, as in the server. Part one writes events (reserve, confirm, ship, in turn over spread SKUs) past
//! a snapshot of a small matrix, in batches of `--batch`, and opens the directory again: by one hand and by as many as the machine runs.
//! Part two takes a snapshot of a full matrix and loads it, beside reading the file's bytes alone. Then it takes more, by a thread of the
//! lowest priority as in the server, while another thread keeps reserving: its rate, p99.9 and longest wait are printed beside the same
//! without a snapshot. The files are in the page cache when they are read. Held against: 10 million events in 4 s; 100 million cells written
//! in 15 s and loaded in as much; at most 5 % of the rate and 2 ms at p99.9 while a snapshot is taken.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use quartermaster_benches::{
    figures::Report,
    matrix::{self, START, Shape},
    measure::{Round, grouped, median, per_second, ratio},
    traffic::{self, Random, Skus, granted, measured},
};
use quartermaster_engine::{Engine, EngineConfig, Verdict, command::Step, crew::Threads, time::Micros};
use quartermaster_journal::{Durability, FileStorage, Journal, Log, LogConfig, Lsn, SnapshotStore};
use quartermaster_node::{Clock, Core, CoreConfig, SnapshotTaken};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(about = "Recovery from the log and from a snapshot")]
struct Arguments {
    /// Events in the log, past a snapshot of the matrix; 0 leaves the part out.
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
    /// Hands that recover; 0 for one and for as many as the machine runs, in turns.
    #[arg(long, default_value_t = 0)]
    hands: usize,
    /// Where the files go; a temporary directory by default.
    #[arg(long)]
    directory: Option<std::path::PathBuf>,
    /// Prints the figures, medians over the rounds, as a line of JSON at the end.
    #[arg(long)]
    json: bool,
}

/// Figures by name, one a round.
#[derive(Debug, Default)]
struct Found(BTreeMap<&'static str, Vec<f64>>);

impl Found {
    fn note(&mut self, name: &'static str, figure: f64) {
        self.0.entry(name).or_default().push(figure);
    }

    /// Notes nanoseconds of one of so many.
    fn note_each(&mut self, name: &'static str, took: Duration, count: u64) {
        self.note(name, ratio(nanos(took), count));
    }
}

fn main() {
    let arguments = Arguments::parse();
    let temporary = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }
    .expect("a temporary directory can be made");
    let crews = match arguments.hands {
        0 => vec![Threads::new(1), Threads::of_the_machine()],
        hands => vec![Threads::new(hands)],
    };
    let mut found = Found::default();
    if arguments.events > 0 {
        from_log(&arguments, &crews, &temporary.path().join("log"), &mut found);
    }
    if arguments.skus > 0 {
        from_snapshot(&arguments, &crews, &temporary.path().join("snapshot"), &mut found);
    }
    let mut report = Report::new("recovery");
    for (name, mut figures) in found.0 {
        report.add(name, median(&mut figures));
    }
    report.print(arguments.json);
}

/// This machine's clocks.
struct Clocks(Instant);

impl Clock for Clocks {
    fn wall(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

type Node = Core<FileStorage, Clocks>;

/// A rest before waits of a millisecond are measured. A host that rations the time of the cores has a machine that used up its share stand for 15
/// to 35 ms of each tenth of a second, both cores alike.
const REST: Duration = Duration::from_secs(10);

/// The server's start, without its sockets. Reading is measured, so writing need not wait for the disk.
fn open(directory: &Path, crew: Threads) -> Arc<Node> {
    std::fs::create_dir_all(directory).expect("a directory can be made");
    let config = CoreConfig {
        engine: EngineConfig::default(),
        log: LogConfig { durability: Durability::None, ..LogConfig::default() },
        snapshot_interval: Duration::ZERO,
        snapshot_after_bytes: 0,
        journal_keep: Duration::ZERO,
        disk_budget_bytes: 0,
    };
    let journal = |log: &Log| Arc::new(log.clone()) as Arc<dyn Journal>;
    let opened = Core::open_with(FileStorage::new(directory), &config, Clocks(Instant::now()), &crew, journal);
    Arc::new(opened.expect("the directory is as it was left"))
}

fn from_log(arguments: &Arguments, crews: &[Threads], directory: &Path, found: &mut Found) {
    let shape = Shape { skus: 100_000, sold_out_skus: 0, locations: arguments.locations };
    let first = open(directory, crews[0]);
    matrix::fill_with(first.engine(), shape, 1_000_000, || _ = first.log().step().expect("the log is written"));
    first.take_snapshot().expect("the disk has room");
    let bytes = first.log().stats().bytes;
    write_events(&first, shape, arguments);
    let expected = first.log().appended_lsn();
    first.log().close().expect("the log is closed");
    println!(
        "log: {} events past a snapshot of {} cells, {} bytes, batches of {}",
        grouped(arguments.events),
        grouped(shape.cells()),
        grouped(first.log().stats().bytes - bytes),
        arguments.batch
    );
    drop(first);
    for _ in 0..arguments.rounds {
        let reading = read_alone(directory, expected.get() - arguments.events);
        println!("  reading alone {:.2} s", reading.as_secs_f64());
        found.note_each("event_read_ns", reading, arguments.events);
        for (crew, name) in crews.iter().zip(hands(crews, ["event_one_hand_ns", "event_ns"])) {
            let back = open(directory, *crew);
            let recovered = back.recovered();
            assert_eq!(
                (back.log().appended_lsn(), recovered.records),
                (expected, arguments.events),
                "everything is back"
            );
            let took = recovered.duration;
            let each = took.as_nanos() / u128::from(arguments.events);
            println!("  {crew:?}: recovered in {:.2} s: {each} ns an event", took.as_secs_f64());
            found.note_each(name, took, arguments.events);
        }
    }
}

/// A third each of reserve, confirm and ship, some thousand reservations apart, so that none is warm in a cache.
fn write_events(node: &Node, shape: Shape, arguments: &Arguments) {
    const APART: usize = 5_000;
    let engine = node.engine();
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
            node.log().step().expect("the log is written");
        }
    }
}

/// How long the log takes past `done` to be read and checked when nobody wants its records.
fn read_alone(directory: &Path, done: u64) -> Duration {
    let started = Instant::now();
    let mut visit = |_, _, _: &[u8]| Ok(());
    let from = Lsn::new(done).next();
    quartermaster_journal::open_read_only(FileStorage::new(directory), from, &mut visit).expect("it is whole");
    started.elapsed()
}

fn from_snapshot(arguments: &Arguments, crews: &[Threads], directory: &Path, found: &mut Found) {
    let shape = Shape { skus: arguments.skus, sold_out_skus: 0, locations: arguments.locations };
    let node = open(directory, crews[0]);
    let committer = node.log().spawn_committer().expect("the system gives a thread");
    fill_slowly(node.engine(), node.log(), shape);
    println!(
        "snapshot: {} cells ({} SKUs x {})",
        grouped(shape.cells()),
        grouped(u64::from(shape.skus)),
        shape.locations
    );
    let taken = take_snapshot(&node);
    println!("  written in {:.2} s, {} bytes", taken.duration.as_secs_f64(), grouped(taken.bytes));
    found.note_each("cell_written_ns", taken.duration, shape.cells());
    drop(node);
    committer.stop().expect("the log is closed");
    for _ in 0..arguments.rounds {
        load(shape, crews, directory, found);
    }
    let node = open(directory, crews[crews.len() - 1]);
    let committer = node.log().spawn_committer().expect("the system gives a thread");
    for _ in 0..arguments.rounds {
        live_with(&node, shape, found);
    }
    committer.stop().expect("the log is closed");
}

/// Loads the snapshot by each crew, beside reading its bytes.
fn load(shape: Shape, crews: &[Threads], directory: &Path, found: &mut Found) {
    let reading = snapshot_alone(directory);
    println!("  reading its bytes alone {:.2} s", reading.as_secs_f64());
    found.note_each("cell_read_ns", reading, shape.cells());
    for (crew, name) in crews.iter().zip(hands(crews, ["cell_loaded_one_hand_ns", "cell_loaded_ns"])) {
        let back = open(directory, *crew);
        assert_eq!(back.engine().counts().cells, shape.cells(), "every cell is back");
        let took = back.recovered().duration;
        found.note_each(name, took, shape.cells());
        println!(
            "  {crew:?}: loaded in {:.2} s: {} cells/s",
            took.as_secs_f64(),
            grouped(per_second(shape.cells(), took))
        );
    }
}

/// Takes a snapshot twice while another thread reserves: at a pace, and as fast as it goes.
fn live_with(node: &Arc<Node>, shape: Shape, found: &mut Found) {
    std::thread::sleep(REST);
    for (how, pace) in [("every 50 us", Some(Duration::from_micros(50))), ("as fast as it goes", None)] {
        let quiet = reserve_during(node, shape, pace, || std::thread::sleep(Duration::from_secs(2)));
        let mut taken = None;
        let busy = reserve_during(node, shape, pace, || taken = Some(take_snapshot(node)));
        let taken = taken.expect("it was taken");
        let longer = |percent| busy.times.percentile(percent).saturating_sub(quiet.times.percentile(percent));
        if pace.is_some() {
            found.note("snapshot_p999_longer_ms", ratio(longer(99.9), 1_000_000));
        } else {
            let rate = |seen: &Seen| per_second(seen.count, seen.span);
            found.note("snapshot_throughput_ratio", ratio(rate(&busy), rate(&quiet)));
            // With the reservations that were made up to then, which take as many bytes as the cells and more.
            found.note_each("cell_written_beside_ns", taken.duration, shape.cells());
        }
        println!(
            "  written in {:.2} s, {} bytes; reserving {how}:",
            taken.duration.as_secs_f64(),
            grouped(taken.bytes)
        );
        for (what, seen) in [("without", &quiet), ("meanwhile", &busy)] {
            println!(
                "    {what}: {} a second, p99.9 {:.3} ms, longest {:.2} ms",
                grouped(per_second(seen.count, seen.span)),
                millis_of(seen.times.percentile(99.9)),
                millis_of(seen.times.max())
            );
        }
    }
}

/// On a thread of the lowest priority, as the server's does.
fn take_snapshot(node: &Arc<Node>) -> SnapshotTaken {
    let node = Arc::clone(node);
    let taking = std::thread::spawn(move || {
        rustix::process::setpriority_process(None, 19).expect("a thread may be less than it is");
        node.take_snapshot().expect("the disk has room")
    });
    taking.join().expect("the thread ends by itself")
}

/// How long the newest snapshot takes to be read and checked.
fn snapshot_alone(directory: &Path) -> Duration {
    let started = Instant::now();
    let newest = SnapshotStore::new(FileStorage::new(directory)).newest_whole().expect("it is whole");
    assert!(newest.snapshot.is_some(), "there is one");
    started.elapsed()
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

/// Names of a figure by the hands it was taken with: the last crew is the one that counts.
fn hands(crews: &[Threads], [one, counting]: [&'static str; 2]) -> Vec<&'static str> {
    (1..=crews.len()).map(|place| if place == crews.len() { counting } else { one }).collect()
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// What reserving was like.
struct Seen {
    times: Round,
    count: u64,
    span: Duration,
}

/// Reserves on another thread while `work` is done: a request each `pace`, timed from when it was due, or without a pace as soon as the one
/// before it is answered.
fn reserve_during(node: &Arc<Node>, shape: Shape, pace: Option<Duration>, work: impl FnOnce()) -> Seen {
    let running = Arc::new(AtomicBool::new(true));
    let reserving = {
        let (node, running) = (Arc::clone(node), Arc::clone(&running));
        std::thread::spawn(move || {
            let (mut times, mut random) = (Round::default(), Random::new(3));
            let (mut now, mut count, began) = (START, 0, Instant::now());
            let mut due = began;
            while running.load(Ordering::Relaxed) {
                let sent = traffic::reserve(&mut random, Skus::Below(shape.skus), 1, None);
                now = now.plus(Micros(50));
                let asked = match pace {
                    None => Instant::now(),
                    Some(pace) => {
                        due += pace;
                        // Not by turning: where a host gives a machine less than all of its cores' time, that alone would use it up, and
                        // the machine would stand for the rest of every tenth of a second.
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        due
                    }
                };
                measured(node.engine(), &sent, now).expect("every request can stand");
                times.record(asked.elapsed());
                count += 1;
            }
            Seen { times, count, span: began.elapsed() }
        })
    };
    work();
    running.store(false, Ordering::Relaxed);
    reserving.join().expect("the thread ends by itself")
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

fn millis_of(nanos: u64) -> f64 {
    millis(Duration::from_nanos(nanos))
}
