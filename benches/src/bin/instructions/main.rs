//! Instructions of the paths that must stay fast, counted by callgrind: the same on a busy machine as on a quiet one.
//!
//! `cargo run --release -p quartermaster-benches --bin instructions` counts each path and compares with benches/instructions.txt: it ends with 1
//! when one grew by more than 5 % or is new, and says which shrank. `--write` keeps what was counted, for the same
//! commit as the change. Where valgrind is missing it says so and ends with 0. `--budget` shows where the instructions and the time of a path go.
//!
//! Requests are counted from the converted request to the engine's answer: decide, encode, append to memory, apply. `quartermaster_benches::paths` has
//! what each path is.
#![forbid(unsafe_code)]

mod budget;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{self, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use quartermaster_benches::callgrind::{self, Fault};
use quartermaster_benches::figures::Report;
use quartermaster_benches::measure::grouped;
use quartermaster_benches::paths::{PATHS, Path};

/// As the server has it: allocations are part of a path.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Times that each path is gone; growth of tables is part of it, spread over as many.
const TIMES: usize = 20_000;

/// Difference in percent from which a figure is another one.
const TOLERANCE_PERCENT: u64 = 5;

type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(about = "Instructions of the guarded paths against the kept figures")]
struct Arguments {
    /// Goes one path, for callgrind to count.
    #[arg(long, hide = true, value_name = "PATH")]
    go: Option<String>,
    /// Shows instead where the instructions and the time of one path go.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "reserve-1-line-located")]
    budget: Option<String>,
    /// Keeps what was counted.
    #[arg(long)]
    write: bool,
    /// The kept figures.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt"))]
    figures: PathBuf,
    /// Prints the figures as a line of JSON at the end.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match (&arguments.go, &arguments.budget) {
        (Some(name), _) => go(name),
        (None, Some(name)) => budget(name, &arguments),
        (None, None) => compare(&arguments),
    };
    ended.unwrap_or_else(|failure| {
        eprintln!("instructions: {failure}");
        ExitCode::FAILURE
    })
}

/// Goes the path of that name, and no other: what another left free would change what an allocation costs.
fn go(name: &str) -> Result<ExitCode, Failure> {
    let mut prepared = (path(name)?.prepare)(TIMES);
    (prepared.run)();
    callgrind::lap(prepared.times);
    Ok(ExitCode::SUCCESS)
}

fn path(name: &str) -> Result<&'static Path, Failure> {
    let names = || PATHS.iter().map(|path| path.name).collect::<Vec<_>>().join(", ");
    PATHS.iter().find(|path| path.name == name).ok_or_else(|| format!("{name} is none of {}", names()).into())
}

fn budget(name: &str, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let path = path(name)?;
    let mut report = Report::new("budget");
    match budget::print(path, &mut report) {
        Err(Fault::Missing) => println!("skipped: valgrind is not installed"),
        printed => printed?,
    }
    report.print(arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn compare(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if !callgrind::is_installed() {
        println!("skipped: valgrind is not installed");
        return Ok(ExitCode::SUCCESS);
    }
    let kept = read(&arguments.figures)?;
    let mut report = Report::new("instructions");
    let (mut counted, mut grown) = (String::new(), 0);
    println!("{:<28}{:>14}{:>14}", "instructions a time", "counted", "kept");
    for Path { name, .. } in &PATHS {
        let name = *name;
        let figure =
            callgrind::count(&["--go", name])?.first().copied().ok_or_else(|| format!("{name} was not gone"))?;
        report.count(name, figure);
        // Writing to a string does not fail.
        let _ = writeln!(counted, "{name} {figure}");
        let (verdict, is_wrong) = match kept.get(name) {
            None => ("not kept yet", true),
            Some(&before) if figure * 100 > before * (100 + TOLERANCE_PERCENT) => ("GREW", true),
            Some(&before) if figure * (100 + TOLERANCE_PERCENT) < before * 100 => ("shrank: keep it", false),
            Some(_) => ("", false),
        };
        grown += u32::from(is_wrong);
        let before = kept.get(name).map_or_else(String::new, |before| grouped(*before));
        println!("{name:<28}{:>14}{before:>14}  {verdict}", grouped(figure));
    }
    report.print(arguments.json);
    if arguments.write {
        fs::write(&arguments.figures, counted)?;
        return Ok(ExitCode::SUCCESS);
    }
    if grown > 0 {
        println!(
            "{grown} grew past {} by more than {TOLERANCE_PERCENT} %, or are new; mend them, or keep them with --write, in the",
            arguments.figures.display()
        );
        println!("commit that changed them and with its reason");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The kept figures: a name and a number a line.
fn read(path: &path::Path) -> Result<BTreeMap<String, u64>, Failure> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let (name, figure) = line.split_once(' ')?;
        Some((name.to_owned(), figure.parse().ok()?))
    };
    text.lines()
        .map(|text| line(text).ok_or_else(|| format!("{}: {text:?} is no figure", path.display()).into()))
        .collect()
}
