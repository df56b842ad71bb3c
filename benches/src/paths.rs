//! The paths whose cost is guarded, each under one name for all tools: `instructions` counts them, criterion times them.

use std::hint::black_box;
use std::sync::Arc;

use quartermaster_engine::command::{PlainOrder, Request, Step};
use quartermaster_engine::engine::{Ahead, ORDERS_AHEAD, Ordered};
use quartermaster_engine::recovery::Recovery;
use quartermaster_engine::snapshot::Section;
use quartermaster_engine::time::Micros;
use quartermaster_engine::{Engine, EngineConfig};
use quartermaster_journal::{Durability, FileStorage, Journal, Log, LogConfig, Lsn, MemoryJournal};

use crate::callgrind::counted;
use crate::matrix::{self, START, Shape};
use crate::traffic::{self, Random, Sent, Skus, granted, measured};

const SHAPE: Shape = Shape { skus: 5_000, sold_out_skus: 500, locations: 10 };
const ALL: Skus = Skus::Below(SHAPE.skus);

/// Length of a record of the journal: about that of a one-line reserve.
const RECORD_BYTES: usize = 120;
/// Records that are written together.
const RECORDS_WRITTEN: usize = 64;

/// A path.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// What the tools call it.
    pub name: &'static str,
    /// Makes everything that is needed to go it about so many times.
    pub prepare: fn(usize) -> Prepared,
}

/// A path ready to be gone.
pub struct Prepared {
    /// How many times it will be gone.
    pub times: usize,
    /// Goes it; to be called once.
    pub run: Box<dyn FnMut()>,
}

/// All of them.
pub const PATHS: [Path; 14] = [
    Path { name: "reserve-1-line-priority", prepare: |calls| reserves(calls, ALL, 1, None) },
    Path { name: "reserve-1-line-located", prepare: |calls| reserves(calls, ALL, 1, Some(3)) },
    Path { name: "reserve-1-line-hot", prepare: |calls| reserves(calls, Skus::Only(7), 1, Some(3)) },
    Path { name: "reserve-1-line-seen-ahead", prepare: seen_ahead },
    Path { name: "reserve-5-lines", prepare: |calls| reserves(calls, ALL, 5, None) },
    Path {
        name: "sold-out-1-line",
        prepare: |calls| reserves(calls, Skus::From(SHAPE.skus, SHAPE.sold_out_skus), 1, None),
    },
    Path { name: "confirm", prepare: |calls| steps(calls, &Step::Confirm) },
    Path { name: "release", prepare: |calls| steps(calls, &Step::Release) },
    Path { name: "repeat-of-a-reserve", prepare: repeats },
    Path { name: "import-a-cell", prepare: imports },
    Path { name: "journal-append-and-write", prepare: journal },
    Path { name: "recover-an-event", prepare: recover },
    Path { name: "snapshot-a-cell", prepare: |_| snapshot() },
    Path { name: "load-a-cell", prepare: |_| load() },
];

fn engine(journal: impl Journal) -> Engine {
    let engine = Engine::new(EngineConfig::default(), Arc::new(journal));
    matrix::fill(&engine, SHAPE, 1_000_000);
    engine
}

fn requests(count: usize, skus: Skus, lines: usize, location: Option<u32>) -> Vec<Sent> {
    let mut random = Random::new(5);
    (0..count).map(|_| traffic::reserve(&mut random, skus, lines, location)).collect()
}

fn prepared(times: usize, run: impl FnMut() + 'static) -> Prepared {
    Prepared { times, run: Box::new(run) }
}

fn reserves(count: usize, skus: Skus, lines: usize, location: Option<u32>) -> Prepared {
    let (engine, requests) = (engine(MemoryJournal::new()), requests(count, skus, lines, location));
    prepared(count, move || {
        for sent in &requests {
            black_box(measured(&engine, sent, START)).expect("every request can stand");
        }
    })
}

/// Orders as batches have them decided: so many are looked at together before the first.
fn seen_ahead(count: usize) -> Prepared {
    let (engine, requests) = (engine(MemoryJournal::new()), requests(count, ALL, 1, Some(3)));
    prepared(count, move || {
        let orders: Vec<PlainOrder<'_>> = requests.iter().filter_map(Sent::plain).collect();
        for group in orders.chunks(ORDERS_AHEAD) {
            counted(|| {
                let seen = engine.look_ahead(group.iter().map(Ahead::of_plain));
                for (order, seen) in group.iter().zip(seen) {
                    let ordered = engine.submit_plain(order, "", START, seen).expect("every order can stand");
                    assert!(matches!(black_box(ordered), Ordered::Granted(_)), "every order can be granted");
                }
            });
        }
    })
}

/// A step of reservations that were made before.
fn steps(count: usize, step: &Step) -> Prepared {
    let engine = engine(MemoryJournal::new());
    let held = |sent: Sent| granted(&engine.submit(&sent.request, &sent.command, START).expect("the stock suffices"));
    let held = requests(count, ALL, 1, Some(3)).into_iter().map(held);
    let steps: Vec<Sent> = held.map(|id| traffic::step(id, step.clone())).collect();
    let later = START.plus(Micros::from_secs(1));
    prepared(count, move || {
        for sent in &steps {
            black_box(measured(&engine, sent, later)).expect("every hold can go on");
        }
    })
}

/// The same requests again.
fn repeats(count: usize) -> Prepared {
    let (engine, requests) = (engine(MemoryJournal::new()), requests(count, ALL, 1, Some(3)));
    for sent in &requests {
        engine.submit(&sent.request, &sent.command, START).expect("the stock suffices");
    }
    prepared(count, move || {
        for sent in &requests {
            assert!(measured(&engine, sent, START).expect("it was done before").replayed);
        }
    })
}

/// Imports of a thousand rows, by SKU as files of stock have them, per cell.
fn imports(count: usize) -> Prepared {
    const ROWS: usize = 1_000;
    const SKUS: u32 = 1_000 / SHAPE.locations;
    let engine = engine(MemoryJournal::new());
    let parts = (0..SHAPE.skus / SKUS).map(|part| part * SKUS..(part + 1) * SKUS).cycle().zip(1_000_001_u32..);
    let imports: Vec<_> =
        parts.map(|(skus, on_hand)| matrix::import(SHAPE, skus, on_hand)).take(count / ROWS).collect();
    prepared(imports.len() * ROWS, move || {
        for import in &imports {
            let answer = counted(|| engine.submit(&Request::unnamed(), import, START));
            black_box(answer).expect("every cell can be set");
        }
    })
}

/// A record into the log, and its share of the write of some dozens; nothing waits for the disk.
fn journal(count: usize) -> Prepared {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let config = LogConfig { durability: Durability::None, ..LogConfig::default() };
    let storage = FileStorage::new(directory.path());
    let (log, _) = Log::open(storage, config, Lsn::new(1), &mut |_, _, _: &[u8]| Ok(())).expect("it is a new log");
    prepared(count, move || {
        let _stays = &directory;
        for record in 1..=count {
            counted(|| log.append(&[0x5A; RECORD_BYTES])).expect("the log takes it");
            if record % RECORDS_WRITTEN == 0 || record == count {
                counted(|| log.step()).expect("the log is written");
            }
        }
    })
}

/// Half reserves, half confirms, out of the log.
fn recover(count: usize) -> Prepared {
    let journal = Arc::new(MemoryJournal::keeping_records());
    let engine = Engine::new(EngineConfig::default(), journal.clone());
    matrix::fill(&engine, SHAPE, 1_000_000);
    let matrix = journal.records().len();
    for sent in requests(count / 2, ALL, 1, None) {
        let id = granted(&engine.submit(&sent.request, &sent.command, START).expect("the stock suffices"));
        let confirm = traffic::step(id, Step::Confirm);
        engine.submit(&confirm.request, &confirm.command, START).expect("the hold can go on");
    }
    let mut recovery = Recovery::new(EngineConfig::default());
    let mut lsn = Lsn::ZERO;
    let mut records = journal.records();
    let events = records.split_off(matrix);
    for record in records {
        lsn = lsn.next();
        recovery.replay(lsn, &record).expect("the record is of this version");
    }
    prepared(events.len(), move || {
        for record in &events {
            lsn = lsn.next();
            counted(|| recovery.replay(lsn, record)).expect("the record is of this version");
        }
    })
}

/// The sections of a full matrix.
fn sections(engine: &Engine) -> Vec<Section> {
    let mut sections = Vec::new();
    let kept: Result<_, ()> = engine.snapshot(START, |section| {
        sections.push(section);
        Ok(())
    });
    kept.expect("a list takes every section");
    sections
}

fn cells() -> usize {
    usize::try_from(SHAPE.cells()).expect("the matrix is small")
}

/// A whole snapshot into memory, per cell.
fn snapshot() -> Prepared {
    let engine = engine(MemoryJournal::new());
    prepared(cells(), move || {
        black_box(counted(|| sections(&engine)));
    })
}

/// The same snapshot loaded, per cell.
fn load() -> Prepared {
    let sections = sections(&engine(MemoryJournal::new()));
    let recovery = Recovery::new(EngineConfig::default());
    prepared(cells(), move || {
        counted(|| {
            for Section { kind, unit, lsn, payload } in &sections {
                let loaded = recovery.load(*kind, *unit, *lsn, payload);
                loaded.expect("the section is of this version");
            }
        });
    })
}
