//! Instructions of the paths that must stay fast, counted by callgrind: the same on a busy machine as on a quiet one.
//!
//! `cargo run --release -p quartermaster-benches --bin instructions` counts each path and compares with benches/instructions.txt: it ends with 1
//! when one grew by more than 5 %, or shrank by more than that without the file saying so. `--write` keeps what was counted, for the same
//! commit as the change. Where valgrind is missing it says so and ends with 0.
//!
//! Only what stands between a converted request and the engine's answer is counted: decide, encode, append to memory, apply.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::{env, fs};

use clap::Parser;
use quartermaster_benches::matrix::{self, START, Shape};
use quartermaster_benches::measure::grouped;
use quartermaster_benches::traffic::{self, Random, Sent, Skus, granted, measured};
use quartermaster_engine::command::Step;
use quartermaster_engine::time::Micros;
use quartermaster_engine::{Engine, EngineConfig};
use quartermaster_journal::MemoryJournal;

/// As the server has it: allocations are part of a path.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The function whose instructions are counted, with all that it calls.
const COUNTED: &str = "quartermaster_benches::traffic::measured";

/// Calls counted of each path; growth of tables is part of them, spread over as many.
const CALLS: usize = 20_000;

/// Difference in percent from which a figure is another one.
const TOLERANCE_PERCENT: u64 = 5;

const SKUS: u32 = 5_000;
const SOLD_OUT_SKUS: u32 = 500;

type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(about = "Instructions of the guarded paths against the kept figures")]
struct Arguments {
    /// Runs this path and nothing else, for callgrind to count.
    #[arg(long, hide = true)]
    path: Option<String>,
    /// Keeps what was counted.
    #[arg(long)]
    write: bool,
    /// The kept figures.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt"))]
    figures: PathBuf,
}

/// Runs a path, of which only what goes through [`COUNTED`] is counted.
type Drive = fn(&Engine);

/// What is counted, by name.
const PATHS: [(&str, Drive); 8] = [
    ("reserve-1-line-priority", |engine| reserves(engine, Skus::Below(SKUS), 1, None)),
    ("reserve-1-line-located", |engine| reserves(engine, Skus::Below(SKUS), 1, Some(3))),
    ("reserve-1-line-hot", |engine| reserves(engine, Skus::Only(7), 1, Some(3))),
    ("reserve-5-lines", |engine| reserves(engine, Skus::Below(SKUS), 5, None)),
    ("sold-out-1-line", |engine| reserves(engine, Skus::From(SKUS, SOLD_OUT_SKUS), 1, None)),
    ("confirm", |engine| steps(engine, &Step::Confirm)),
    ("release", |engine| steps(engine, &Step::Release)),
    ("repeat-of-a-reserve", repeats),
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match &arguments.path {
        Some(path) => run(path),
        None => compare(&arguments),
    };
    ended.unwrap_or_else(|failure| {
        eprintln!("instructions: {failure}");
        ExitCode::FAILURE
    })
}

fn run(path: &str) -> Result<ExitCode, Failure> {
    let (_, path) = PATHS.iter().find(|(name, _)| *name == path).ok_or_else(|| format!("there is no path {path}"))?;
    let engine = Engine::new(EngineConfig::default(), Arc::new(MemoryJournal::new()));
    matrix::fill(&engine, Shape { skus: SKUS, sold_out_skus: SOLD_OUT_SKUS, locations: 10 }, 1_000_000);
    path(&engine);
    Ok(ExitCode::SUCCESS)
}

fn requests(skus: Skus, lines: usize, location: Option<u32>) -> Vec<Sent> {
    let mut random = Random::new(5);
    (0..CALLS).map(|_| traffic::reserve(&mut random, skus, lines, location)).collect()
}

fn reserves(engine: &Engine, skus: Skus, lines: usize, location: Option<u32>) {
    for sent in requests(skus, lines, location) {
        measured(engine, &sent, START).expect("every request can stand");
    }
}

/// The reserves before are not counted: only `measured` is.
fn steps(engine: &Engine, step: &Step) {
    let held: Vec<_> = requests(Skus::Below(SKUS), 1, Some(3))
        .into_iter()
        .map(|sent| granted(&engine.submit(&sent.request, &sent.command, START).expect("the stock suffices")))
        .collect();
    let later = START.plus(Micros::from_secs(1));
    for id in held {
        measured(engine, &traffic::step(id, step.clone()), later).expect("every hold can go on");
    }
}

fn repeats(engine: &Engine) {
    let sent = requests(Skus::Below(SKUS), 1, Some(3));
    for sent in &sent {
        engine.submit(&sent.request, &sent.command, START).expect("the stock suffices");
    }
    for sent in &sent {
        assert!(measured(engine, sent, START).expect("it was done before").replayed);
    }
}

fn compare(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return Ok(ExitCode::SUCCESS);
    }
    let kept = read(&arguments.figures)?;
    let (mut counted, mut wrong) = (String::new(), 0);
    println!("{:<28}{:>14}{:>14}", "instructions a call", "counted", "kept");
    for (name, _) in PATHS {
        let figure = count(name)?;
        // Writing to a string does not fail.
        let _ = writeln!(counted, "{name} {figure}");
        let verdict = match kept.get(name) {
            None => "not kept yet",
            Some(&before) if figure * 100 > before * (100 + TOLERANCE_PERCENT) => "GREW",
            Some(&before) if figure * (100 + TOLERANCE_PERCENT) < before * 100 => "shrank: keep it",
            Some(_) => "",
        };
        wrong += u32::from(!verdict.is_empty());
        let before = kept.get(name).map_or_else(String::new, |before| grouped(*before));
        println!("{name:<28}{:>14}{before:>14}  {verdict}", grouped(figure));
    }
    if arguments.write {
        fs::write(&arguments.figures, counted)?;
        return Ok(ExitCode::SUCCESS);
    }
    if wrong > 0 {
        println!(
            "{wrong} differ from {} by more than {TOLERANCE_PERCENT} %; keep them with --write, in the commit that",
            arguments.figures.display()
        );
        println!("changed them and with its reason");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The kept figures: a name and a number a line.
fn read(path: &Path) -> Result<BTreeMap<String, u64>, Failure> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let (name, figure) = line.split_once(' ')?;
        Some((name.to_owned(), figure.parse().ok()?))
    };
    text.lines()
        .map(|text| line(text).ok_or_else(|| format!("{}: {text:?} is no figure", path.display()).into()))
        .collect()
}

/// Instructions of one call of a path.
fn count(path: &str) -> Result<u64, Failure> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("callgrind.out");
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--toggle-collect={COUNTED}")])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(["--path", path])
        .output()?;
    if !ended.status.success() {
        return Err(format!("{path}: valgrind: {}", String::from_utf8_lossy(&ended.stderr)).into());
    }
    let text = fs::read_to_string(&out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    let total: u64 = total.and_then(|total| total.trim().parse().ok()).ok_or("callgrind wrote no total")?;
    if total == 0 {
        return Err(format!("{path}: nothing was counted; was {COUNTED} inlined?").into());
    }
    Ok(total / u64::try_from(CALLS)?)
}
