//! The same reservations against Quartermaster, Redis and PostgreSQL in turns, and against what lies below any of them.
//!
//! `cargo build --release --workspace --bins && target/release/compare` runs all of it in less than 20 minutes, `--quick` in less than 4
//! with figures that say little. It writes `results.json`, and from that `table.md`, the charts and `figures.md` (what was asked, what was
//! measured, met or not) into `--out`; `--from results.json` makes them again without measuring. `--tools` has the other tools add theirs.
//! Redis and PostgreSQL come from Debian's packages (redis-server, postgresql-15); what is not installed is said and left out. Every server
//! starts with a directory of its own, on loopback, and ends with the program.
//!
//! Method: the client on one core, the servers on the other; those whose turn it is not are stopped (SIGSTOP). A round is one contender
//! flat out (closed loop), then at half of that rate with latency from when each order was due. Rounds go in turns, each begins with another
//! contender; medians and spread are shown, and ratios are taken round by round. Every server starts anew for each heat with the same stock,
//! and at its end its books must show exactly what its answers granted. Quartermaster runs with its defaults: every answer waits for its
//! fsync.
#![forbid(unsafe_code)]

mod aims;
mod caller;
mod chart;
mod contender;
mod demand;
mod drive;
mod floor;
mod grpc;
mod heats;
mod message;
mod ours;
mod postgres;
mod process;
mod programme;
mod redis;
mod report;
mod results;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use programme::Heat;
use results::Results;

type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(about = "Reservations a second: Quartermaster, Redis, PostgreSQL, and the bounds below them, in turns")]
struct Arguments {
    /// The server to measure.
    #[arg(long, default_value = "target/release/quartermaster")]
    server_bin: PathBuf,
    /// What to run; all of it by default.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Heat::Calls, Heat::Multiplexed, Heat::Connections, Heat::Bulk, Heat::ThreeLines, Heat::SoldOut])]
    heats: Vec<Heat>,
    /// Leaves out contenders whose name holds one of these words.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Rounds of each.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Milliseconds of each half of a round; a third as much goes before, unmeasured.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..))]
    milliseconds: u64,
    /// Load at which latency is taken, in percent of what the contender reached just before.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100))]
    share_percent: u64,
    /// One short round, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Has the other tools that stand beside this program (engine-latency, memory, recovery, scaling) add their figures: some minutes more.
    #[arg(long)]
    tools: bool,
    /// Where the servers' files go; a temporary directory by default. The disk under it is what is measured.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Where the results and what is made of them go.
    #[arg(long, default_value = "target/compare")]
    out: PathBuf,
    /// Measures nothing, and makes everything from these results.
    #[arg(long, conflicts_with_all = ["quick", "tools", "heats"])]
    from: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.out)?;
    let results = match &arguments.from {
        Some(path) => read(path)?,
        None => measure(&arguments)?,
    };
    write(&arguments.out, &results)?;
    print!("\n{}", aims::verdicts(&results));
    println!("\nwritten: results.json, table.md, figures.md and the charts in {}", arguments.out.display());
    Ok(())
}

fn read(path: &Path) -> Result<Results, Failure> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn write(out: &Path, results: &Results) -> Result<(), Failure> {
    fs::write(out.join("results.json"), serde_json::to_string_pretty(results)?)?;
    fs::write(out.join("table.md"), report::readme(results))?;
    fs::write(out.join("figures.md"), report::figures(results))?;
    fs::write(out.join("chart.svg"), chart::svg(results))?;
    if let Some(picture) = chart::connections(results) {
        fs::write(out.join("scaling-connections.svg"), picture)?;
    }
    Ok(())
}

/// Runs the heats, then the tools. What is done is kept, whatever becomes of the rest.
fn measure(arguments: &Arguments) -> Result<Results, Failure> {
    process::end_with_a_panic();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            results = heats::run(arguments, |results| write(&arguments.out, results)) => results,
            _ = interrupted.recv() => Err("interrupted".into()),
            _ = terminated.recv() => Err("terminated".into()),
        }
    })
}
