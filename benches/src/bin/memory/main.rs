//! Memory: bytes of a populated cell with its indexes, of an open reservation, of a remembered request id.
//!
//! `cargo run --release -p quartermaster-benches --bin memory [-- --skus 10000000 --locations 10]`
//!
//! Fills a matrix through the engine and reads the allocator's own account (jemalloc, as in the server: what it handed out, rounded up
//! to its size classes) before and after, and what of the process is in memory. The catalogue, which is strings, is stated apart; the
//! rows that it makes for its SKUs count as cells. Held against: at most 20 bytes a cell at 100 million cells, at most 160 bytes an open
//! reservation.
//!
//! `-- --churn 24` runs a day of reservations that come and go instead, and tells what of memory grows with the hours.
#![forbid(unsafe_code)]

mod churn;

use std::{sync::Arc, time::Instant};

use clap::Parser;
use quartermaster_benches::{
    figures::Report,
    matrix::{self, START, Shape},
    measure::{grouped, ratio, resident_bytes},
    traffic::{self, Random, Skus, measured},
};
use quartermaster_engine::{Engine, EngineConfig, Verdict, id::SHARDS, stock::Row};
use quartermaster_journal::MemoryJournal;
use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(about = "Bytes of a populated cell with its indexes, of an open reservation, of a remembered request id")]
struct Arguments {
    /// SKUs.
    #[arg(long, default_value_t = 1_000_000)]
    skus: u32,
    /// Locations, each with a cell of every SKU.
    #[arg(long, default_value_t = 10)]
    locations: u32,
    /// Open one-line reservations.
    #[arg(long, default_value_t = 1_000_000)]
    reservations: u32,
    /// Hours of churn, of as many reservations each, instead of reservations that stay open; 0 for none.
    #[arg(long, default_value_t = 0)]
    churn: u64,
    /// Prints the figures as a line of JSON at the end.
    #[arg(long)]
    json: bool,
}

/// What is in use at one moment.
#[derive(Clone, Copy)]
struct Use {
    allocated: u64,
    resident: u64,
}

impl Use {
    fn now() -> Self {
        epoch::advance().expect("jemalloc keeps statistics");
        let allocated = stats::allocated::read().expect("jemalloc keeps statistics");
        Self { allocated: u64::try_from(allocated).unwrap_or(u64::MAX), resident: resident_bytes() }
    }

    fn since(self, before: Self) -> Self {
        Self {
            allocated: self.allocated.saturating_sub(before.allocated),
            resident: self.resident.saturating_sub(before.resident),
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    let shape = Shape { skus: arguments.skus, sold_out_skus: 0, locations: arguments.locations };
    let started = Instant::now();
    let begin = Use::now();
    // No dedup entry is ever to be pushed out, and no reservation ends here.
    let open = EngineConfig { dedup_entries_max: usize::MAX, ..EngineConfig::default() };
    let config = if arguments.churn > 0 { churn::config() } else { open };
    let engine = Engine::new(config, Arc::new(MemoryJournal::new()));
    let empty = Use::now();
    matrix::catalogue(&engine, shape, &mut || {});
    let catalogue = Use::now();
    matrix::stock(&engine, shape, 1_000_000, &mut || {});
    let stocked = Use::now();

    println!(
        "{} SKUs x {} locations = {} cells, filled in {:.1} s",
        grouped(u64::from(shape.skus)),
        shape.locations,
        grouped(shape.cells()),
        started.elapsed().as_secs_f64()
    );
    let rows = row_bytes(shape.skus);
    let strings = catalogue.since(empty).allocated.saturating_sub(rows);
    let cells = stocked.since(catalogue).allocated + rows;
    print("an empty engine", empty.since(begin), 0, "");
    print("catalogue: codes and their index", Use { allocated: strings, resident: 0 }, u64::from(shape.skus), "SKU");
    print("cells and their rows", Use { allocated: cells, resident: 0 }, shape.cells(), "cell");
    print("  of that, rows", Use { allocated: rows, resident: 0 }, shape.cells(), "cell");
    print("all of it", stocked.since(begin), shape.cells(), "cell");

    let mut report = Report::new("memory");
    if arguments.churn > 0 {
        churn::run(&engine, shape, arguments.churn, u64::from(arguments.reservations), &mut report);
        report.print(arguments.json);
        return;
    }
    let (plain, named) = reservations(&engine, shape, arguments.reservations);
    let count = u64::from(arguments.reservations);
    print("open one-line reservations", plain, count, "reservation");
    let ids = named.allocated.saturating_sub(plain.allocated);
    let resident = named.resident.saturating_sub(plain.resident);
    print("remembered request ids", Use { allocated: ids, resident }, count, "request id");
    report.count("cells", shape.cells());
    report.add("cell_bytes", ratio(cells, shape.cells()));
    report.add("sku_catalogue_bytes", ratio(strings, u64::from(shape.skus)));
    report.add("reservation_bytes", ratio(plain.allocated, count));
    report.add("request_id_bytes", ratio(ids, count));
    report.print(arguments.json);
}

/// Bytes of the rows themselves: each shard's list of them grows by an eighth, and the allocator rounds up.
fn row_bytes(skus: u32) -> u64 {
    let skus = usize::try_from(skus).unwrap_or(usize::MAX);
    let bytes = |shard: usize| {
        let rows = skus.saturating_sub(shard).div_ceil(SHARDS);
        let mut room = 0;
        while room < rows {
            room += 32 + room / 8;
        }
        size_class(room * size_of::<Row>())
    };
    u64::try_from((0..SHARDS).map(bytes).sum::<usize>()).unwrap_or(u64::MAX)
}

/// What jemalloc hands out for so many bytes: four sizes to each doubling.
fn size_class(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16))
}

/// What reservations without and with request ids take.
fn reservations(engine: &Engine, shape: Shape, count: u32) -> (Use, Use) {
    let mut random = Random::new(1);
    let mut made = |remembered: bool| {
        let before = Use::now();
        for _ in 0..count {
            let mut sent = traffic::reserve(&mut random, Skus::Below(shape.skus), 1, None);
            if !remembered {
                sent.request.id.clear();
            }
            let answer = measured(engine, &sent, START).expect("every request can stand");
            assert!(matches!(answer.verdict, Verdict::Done(_)), "the stock suffices");
        }
        Use::now().since(before)
    };
    // The second half doubles the tables, as the first half does: each is measured at the same load of them.
    (made(false), made(true))
}

fn print(what: &str, used: Use, count: u64, unit: &str) {
    let per = |bytes: u64| match bytes.checked_mul(100).and_then(|bytes| bytes.checked_div(count)) {
        Some(hundredths) => format!("{}.{:02} bytes a {unit}", hundredths / 100, hundredths % 100),
        None => String::new(),
    };
    let resident = if used.resident == 0 {
        String::new()
    } else {
        format!("; resident {} bytes {}", grouped(used.resident), per(used.resident))
    };
    println!("{what:<34}{:>15} bytes {}{resident}", grouped(used.allocated), per(used.allocated));
}
