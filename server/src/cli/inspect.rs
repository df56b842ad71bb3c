//! `quartermaster inspect`: the events of a log as JSON lines, with codes beside ids.
//!
//! Reads beside a running server, takes no lock and changes nothing. A torn tail is simply the end.

mod allotment;
mod campaign;
mod event;
mod filter;
mod names;
mod read;
mod returns;
mod rules;
mod sourced;
mod supply;
mod table;
#[cfg(test)]
mod tests;
mod upkeep;

use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use self::filter::FilterArgs;
use super::directory::{DataDir, Unusable};
use super::exit;

/// Prints the events of a data directory as JSON lines; works beside a running server.
#[derive(Clone, Debug, clap::Args)]
pub struct InspectArgs {
    /// The data directory.
    directory: PathBuf,
    #[command(flatten)]
    filter: FilterArgs,
    /// Stop after so many events.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Show the files instead: segments and snapshots with their first LSN, epoch and size.
    #[arg(long)]
    summary: bool,
}

/// Prints what was asked for.
#[must_use]
pub fn run(args: &InspectArgs) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = DataDir::open(&args.directory).map_err(Stop::Unusable).and_then(|directory| {
        if args.summary {
            table::print(&directory, &mut out)
        } else {
            read::print(&directory, &args.filter, args.limit.unwrap_or(u64::MAX), &mut out)
        }
    });
    match printed.and_then(|()| out.flush().map_err(Stop::Output)) {
        Ok(()) => exit::OK.into(),
        // Whoever reads has seen enough.
        Err(Stop::Output(error)) if error.kind() == ErrorKind::BrokenPipe => exit::OK.into(),
        Err(Stop::Output(error)) => {
            eprintln!("quartermaster inspect: cannot write: {error}");
            exit::FAILED.into()
        }
        Err(Stop::Unusable(unusable)) => {
            drop(out);
            unusable.report("inspect");
            exit::UNUSABLE.into()
        }
    }
}

/// What ends an inspection early.
#[derive(Debug)]
enum Stop {
    Unusable(Unusable),
    Output(io::Error),
}

impl<E: Into<Unusable>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Unusable(error.into())
    }
}
