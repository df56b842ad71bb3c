//! Plays a year of a seller through the engine with everything it can do, and keeps a second set of books that must agree.
//!
//! `cargo run --release -p quartermaster-benches --bin bench-year -- --data DIR --set retail|apparel`
//!
//! Orders, returns, receipts and corrections are those of the data set at their own times; what the seller does about them follows rules
//! of counting that stand beside the code: two channels with allotments, a campaign in the busiest weeks, purchase orders announced two
//! weeks ahead and promised before they arrive, some of them short or late, unpaid and cancelled orders, every return with what became of
//! it, exchanges, counts, repaired shortfalls, transfers, a kit, a place that is frozen for a week. Books kept from requests and answers
//! alone are compared with the engine cell by cell and reservation by reservation, at twelve moments and at the end; the engine audits
//! itself, `verify`'s fold reads every record, and a restart from the log must bring back the same state. Any difference is printed, and
//! makes the exit code 1.
#![forbid(unsafe_code)]

mod book;
mod calendar;
mod desk;
mod ledger;
mod player;
mod reading;
mod report;
mod tally;
#[cfg(test)]
mod tests;
mod world;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use quartermaster_benches::files::Fault;

use crate::{player::Player, world::World};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A data set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Set {
    /// Nine months of a gift-ware retailer with receipts, corrections and returns.
    Retail,
    /// Wholesale orders of a clothing brand against short stock, and a shop beside them.
    Apparel,
}

/// Play a year through the engine and compare two sets of books.
#[derive(Debug, Parser)]
struct Args {
    /// Folder with the data sets.
    #[arg(long)]
    data: PathBuf,
    /// The data set.
    #[arg(long)]
    set: Set,
    /// Stop after so many orders of the data set.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
    /// Keep the log in this empty directory, and restart from there; by default it is in memory.
    #[arg(long)]
    journal: Option<PathBuf>,
}

fn main() -> Result<ExitCode, Fault> {
    let args = Args::parse();
    let command: Vec<String> = std::env::args().skip(1).collect();
    println!("bench-year {}", command.join(" "));
    let world = match args.set {
        Set::Retail => reading::retail(&args.data, args.limit)?,
        Set::Apparel => reading::apparel(&args.data, args.limit)?,
    };
    let found = year(&world, args.journal.as_deref())?;
    print!("{found}");
    Ok(if found.balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays a world, and checks all that can be checked afterwards.
fn year(world: &World, directory: Option<&std::path::Path>) -> Result<report::Report, Fault> {
    let mut player = Player::new(world, directory)?;
    let runs_before = report::SizeRuns::of(world, &player.desk.ledger);
    player.run()?;
    report::Report::of(world, player, runs_before, directory)
}
