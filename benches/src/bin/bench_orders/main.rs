//! Replays order histories against stock, and compares the exact solver with the rules of thumb that others route by.
//!
//! Receipts, stock counts, sales and returns are one stream by time. Every decision maker has a world of its own, whose stock
//! its own decisions use up; and each makes a plan for every sale in the first one's world too, where all meet the same stock.
//! Costs and plans depend on the files alone; times are of the machine, one run of each problem unless `--repeat` says more.
//!
//! What the files leave open is settled so. Lines of one SKU are added up. A receiver without coordinates is at the first
//! location of its country, or of all. Counts apply to the first location and stop at zero. Returns arrive at the first
//! location, at most what was shipped with their sale, in full when that sale is not part of the history. Every sale is served
//! when it is placed, whatever became of it. Capacities and closing times of locations play no part.
#![forbid(unsafe_code)]

mod checks;
mod exact;
mod history;
mod instances;
mod network;
mod reading;
mod replay;
mod report;
mod tally;
mod walks;
mod world;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Parser;
use quartermaster_routing::{Budget, Objective};

use crate::checks::Checks;
use crate::exact::Exact;
use crate::history::History;
use crate::reading::Set;
use crate::replay::{Maker, Replay, Seat};
use crate::report::{Measured, Table};
use crate::walks::Walk;

/// Replay an order history and compare the exact solver with simpler rules.
#[derive(Parser)]
struct Args {
    /// Folder with the data sets.
    #[arg(long)]
    data: PathBuf,
    /// The data set.
    #[arg(long)]
    set: Set,
    /// Stop after so many sales.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// Search nodes allowed for one plan.
    #[arg(long)]
    nodes: Option<u64>,
    /// Solve each problem this often and report the fastest run.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Write every figure here, one to a line.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Write orders that were not proved, or slow, here as `bench-split` reads them.
    #[arg(long)]
    hard: Option<PathBuf>,
}

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let args = Args::parse();
    let mut out = io::stdout().lock();
    let command: Vec<String> = std::env::args().skip(1).collect();
    writeln!(out, "bench-orders {}", command.join(" "))?;
    let history = reading::read(&args.data, args.set)?;
    let budget = args.nodes.map_or_else(Budget::default, |nodes| Budget { nodes });
    let exact = |objective| Maker::Exact(Box::new(Exact::new(objective, budget, args.repeat)));
    let mut makers = vec![exact(Objective::Money), exact(Objective::UnitsParcelsCost)];
    makers.extend(Walk::ALL.map(Maker::Walk));
    let mut hard = args.hard.map(File::create).transpose()?.map(BufWriter::new);
    let mut replay = Replay::new(&history, makers, hard.as_mut().map(|out| -> &mut dyn Write { out }))?;
    replay.run(args.limit)?;
    let (seats, checks) = (replay.seats, replay.checks);
    if let Some(mut hard) = hard {
        hard.flush()?;
    }
    summary(&mut out, &history, &seats, checks)?;
    let tables = tables(&history, &seats);
    tables.iter().try_for_each(|table| write!(out, "{table}"))?;
    if let Some(path) = args.csv {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "table,row,column,value")?;
        tables.iter().try_for_each(|table| table.write_csv(&mut file))?;
        file.flush()?;
    }
    Ok(())
}

fn summary(out: &mut impl Write, history: &History, seats: &[Seat], checks: Checks) -> io::Result<()> {
    let sales = seats.first().map_or(0, |seat| seat.own.orders);
    let (events, skus, locations) = (history.events.len(), history.skus.len(), history.network.len());
    let (placeless, Checks { compared, beaten }) = (history.placeless, checks);
    writeln!(out, "{sales} sales played; the set has {events} events, {skus} SKUs, {locations} locations,")?;
    writeln!(out, "{placeless} sales without coordinates")?;
    writeln!(
        out,
        "{compared} times an exact answer was held against another plan on the same stock: none is below its"
    )?;
    writeln!(out, "bound, none better than a proved answer, {beaten} better than an unproved one")
}

fn tables(history: &History, seats: &[Seat]) -> Vec<Table> {
    let own: Vec<_> = seats.iter().map(|seat| (seat.maker.name(), &seat.own)).collect();
    let same: Vec<_> = seats.iter().map(|seat| (seat.maker.name(), &seat.same_stock)).collect();
    let mut tables = vec![
        report::costs("each in its own world", &own),
        report::costs("all on the stock of the first, order by order", &same),
    ];
    for seat in seats.iter().filter(|seat| !seat.answers.is_empty()) {
        let (name, answers): (_, &[Measured]) = (seat.maker.name(), &seat.answers);
        tables.extend([
            report::proofs(name, answers),
            report::times(name, answers),
            report::slowest(name, answers, &history.documents),
            report::widest(name, answers, &history.documents),
        ]);
    }
    tables
}
