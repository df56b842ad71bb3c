//! `quartermaster verify`: proves a data directory while no server uses it.
//!
//! Three opinions must agree: the checksums of the files, a naive fold of the whole history, and what the engine itself recovers.

mod check;
mod report;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use quartermaster_engine::history::Rules;
use quartermaster_engine::time::Micros;

use self::report::Report;
use super::directory::DataDir;
use super::{Output, exit, print};

/// Checks a data directory that no server uses: every checksum, every unit, every reservation.
///
/// Ends with 0 when all is well, with 1 when violations were found, with 2 when the directory cannot be read: in use by a server, written
/// by a newer version, or no data directory; with 5 when files are damaged or missing.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// The data directory.
    directory: PathBuf,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Findings to show; all are counted.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    findings: usize,
    /// How long the server remembers request ids, in hours: within it an id must not be carried out twice.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    dedup_hours: u64,
    /// How many request ids the server remembers: so many records later an id may come again.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    dedup_entries: u64,
}

impl VerifyArgs {
    fn rules(&self) -> Rules {
        Rules {
            dedup_retention: Micros::from_secs(self.dedup_hours.saturating_mul(3_600)),
            dedup_entries_max: self.dedup_entries,
            findings_max: self.findings,
            ..Rules::default()
        }
    }
}

/// Checks and prints the report.
#[must_use]
pub fn run(args: &VerifyArgs) -> ExitCode {
    let checked = DataDir::open(&args.directory).and_then(|directory| {
        let _claim = directory.claim()?;
        check::check(&directory, args.rules())
    });
    match checked {
        Ok(report) => {
            match args.output {
                Output::Text => print(&report.page()),
                Output::Json => print(&(report.json() + "\n")),
            }
            outcome(&report).into()
        }
        Err(unusable) => {
            unusable.report("verify");
            if unusable.is_damage() { exit::DAMAGED.into() } else { exit::UNUSABLE.into() }
        }
    }
}

fn outcome(report: &Report) -> u8 {
    if !report.unreadable.is_empty() {
        exit::DAMAGED
    } else if report.findings_total > 0 {
        exit::FAILED
    } else {
        exit::OK
    }
}
