//! How the cost of a reserve grows: with the cells of the matrix, the locations of a SKU, the lines of an order.
//!
//! `cargo run --release -p quartermaster-benches --bin scaling [-- --out target/scaling]`
//!
//! Each size is an engine of its own with a journal in memory, on one thread pinned to one core; a figure is the median over the rounds of
//! the mean time of a reserve. Orders go to SKUs drawn evenly, so that larger matrices are colder in the caches. Where valgrind is installed,
//! instructions are counted for the sizes that it manages, which do not depend on what else the machine does. A picture of each is written to
//! `--out`; its exponent is the slope of the line through all points on logarithmic axes: 0 does not grow, 1 grows as the size does. Matrices that the
//! memory does not hold are left out with a word. How the cost grows with connections is for `compare`, which has a server.
#![forbid(unsafe_code)]

mod sizes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use std::{error, fs};

use clap::Parser;
use quartermaster_benches::figures::Report;
use quartermaster_benches::matrix::{self, START, Shape};
use quartermaster_benches::measure::{grouped, median};
use quartermaster_benches::plot::{self, Series};
use quartermaster_benches::traffic::{self, Random, Sent, Skus, measured};
use quartermaster_benches::{callgrind, pin};
use quartermaster_engine::{Engine, EngineConfig, Verdict};
use quartermaster_journal::MemoryJournal;

use sizes::{AXES, Axis, Point};

/// As the server has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Failure = Box<dyn error::Error>;

/// Reserves that are counted at each point, in orders of one line.
const COUNTED_LINES: usize = 2_000;

#[derive(Debug, Parser)]
#[command(about = "How the cost of a reserve grows with cells, locations and lines")]
struct Arguments {
    /// Rounds of each size.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Lines asked for in a round.
    #[arg(long, default_value_t = 20_000)]
    lines: usize,
    /// Cells of the largest matrix.
    #[arg(long, default_value_t = 100_000_000)]
    cells_max: u32,
    /// What is to grow: cells, locations, priority or lines; all of them by default.
    #[arg(long, value_name = "AXIS", value_parser = AXES.map(|axis| axis.key))]
    only: Option<String>,
    /// Small sizes, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Where the pictures go.
    #[arg(long, default_value = "target/scaling")]
    out: PathBuf,
    /// Prints the figures as a line of JSON at the end.
    #[arg(long)]
    json: bool,
    /// Goes through the points that are counted, for callgrind to count.
    #[arg(long, hide = true)]
    count: bool,
}

impl Arguments {
    /// What is gone through.
    fn axes(&self) -> impl Iterator<Item = Axis> {
        AXES.into_iter().filter(|axis| self.only.as_ref().is_none_or(|only| *only == axis.key))
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if arguments.count {
        count_all(&arguments);
        return Ok(());
    }
    let pinned = pin::cores().last().is_some_and(|core| pin::to_core(*core));
    fs::create_dir_all(&arguments.out)?;
    let mut report = Report::new("scaling");
    let counts = counted(&arguments)?;
    println!("{} rounds of {} lines; pinned: {pinned}", arguments.rounds, grouped(u64::try_from(arguments.lines)?));
    for axis in arguments.axes() {
        println!("\n{:<24}{:>12}{:>14}", axis.name, "ns", "instructions");
        let (mut times, mut instructions) = (Vec::new(), Vec::new());
        for point in axis.points(&arguments) {
            let count = counts.get(&(axis.key, point.size)).copied();
            let Some(nanos) = time(&point, &arguments) else {
                println!("{:<24}left out: it needs more memory than there is", grouped(point.size.into()));
                continue;
            };
            println!(
                "{:<24}{:>12}{:>14}",
                grouped(point.size.into()),
                grouped(nanos.into()),
                count.map_or_else(String::new, grouped)
            );
            times.push((point.size, nanos));
            report.add(format!("{}_{}_ns", axis.key, point.size), nanos);
            if let Some(count) = count {
                instructions.push((point.size, u32::try_from(count)?));
                report.count(format!("{}_{}_instructions", axis.key, point.size), count);
            }
        }
        let series = [("ns", times), ("instructions", instructions)];
        for (unit, points) in &series {
            if let Some((exponent, _)) = plot::fit(points) {
                println!("exponent of {unit}: {exponent:.2}");
                report.add(format!("{}_exponent_{unit}", axis.key), exponent);
            }
        }
        let series: Vec<Series> = series
            .into_iter()
            .filter(|(_, points)| !points.is_empty())
            .map(|(unit, points)| Series { name: unit.to_owned(), points })
            .collect();
        let picture = plot::svg(&format!("{} and the cost of a reserve", axis.title), axis.name, &series);
        fs::write(arguments.out.join(format!("scaling-{}.svg", axis.key)), picture)?;
    }
    println!("\npictures are in {}", arguments.out.display());
    report.print(arguments.json);
    Ok(())
}

/// Instructions of a reserve at the sizes that are counted, by axis and size.
fn counted(arguments: &Arguments) -> Result<BTreeMap<(&'static str, u32), u64>, Failure> {
    let mut flags = vec!["--count"];
    flags.extend(arguments.quick.then_some("--quick"));
    flags.extend(arguments.only.iter().flat_map(|only| ["--only", only]));
    let counts = match callgrind::count(&flags) {
        Err(callgrind::Fault::Missing) => {
            println!("instructions are left out: valgrind is not installed");
            return Ok(BTreeMap::new());
        }
        counts => counts?,
    };
    let points =
        arguments.axes().flat_map(|axis| axis.counted(arguments).into_iter().map(move |point| (axis.key, point.size)));
    Ok(points.zip(counts).collect())
}

fn count_all(arguments: &Arguments) {
    for point in arguments.axes().flat_map(|axis| axis.counted(arguments)) {
        let (engine, requests) = (engine(&point), requests(&point, 1, COUNTED_LINES));
        run(&engine, &requests);
        callgrind::lap(requests.len());
    }
}

/// Nanoseconds of a reserve; none when the memory does not hold the matrix.
fn time(point: &Point, arguments: &Arguments) -> Option<u32> {
    if point.bytes() > available_bytes() / 10 * 9 {
        return None;
    }
    let engine = engine(point);
    let mut means: Vec<u32> = (0..arguments.rounds)
        .map(|round| {
            let requests = requests(point, round.into(), arguments.lines);
            let start = Instant::now();
            run(&engine, &requests);
            let count = u128::try_from(requests.len()).unwrap_or(1);
            u32::try_from(start.elapsed().as_nanos() / count).unwrap_or(u32::MAX)
        })
        .collect();
    Some(median(&mut means))
}

fn engine(point: &Point) -> Engine {
    let engine = Engine::new(EngineConfig::default(), Arc::new(MemoryJournal::new()));
    matrix::fill(&engine, Shape { skus: point.skus, sold_out_skus: 0, locations: point.locations }, 1_000_000);
    engine
}

fn requests(point: &Point, seed: u64, lines: usize) -> Vec<Sent> {
    let mut random = Random::new(seed);
    let make = |_| traffic::reserve(&mut random, Skus::Below(point.skus), point.lines, point.named);
    (0..point.requests(lines)).map(make).collect()
}

fn run(engine: &Engine, requests: &[Sent]) {
    for sent in requests {
        let answer = measured(engine, sent, START).expect("every request can stand");
        assert!(matches!(answer.verdict, Verdict::Done(_)), "the stock suffices");
    }
}

/// Memory that a process may still take, as the system estimates it; all there could be where it does not tell.
fn available_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib * 1_024)
}
