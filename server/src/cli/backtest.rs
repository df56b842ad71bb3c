//! `quartermaster backtest`: the orders of a log, decided again under other policies and tariffs.
//!
//! Reads beside a running server, takes no lock and changes nothing there. What comes of it is a table on stdout and, with `--out`, CSV
//! files and one HTML page that needs nothing else.

mod files;
mod html;
mod read;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use quartermaster_backtest::{Fault, Instead, Options, Outcome};
use quartermaster_engine::catalog::documents::{Content, DocumentFault, DocumentKind};

use self::files::Files;
use super::directory::{DataDir, Unusable};
use super::{exit, print};

/// Runs the orders of a log again under another policy, offline, and tells what would have been different.
///
/// The orders come in the order of the log, at their times, and use up stock by their new decisions; confirmations, expiries,
/// cancellations, shipments and returns follow as they did. Without --policy and --tariff the log is run under its own, which shows
/// whether it can be repeated: nothing should change then.
///
/// Orders that were refused are not in the log, so they are not asked again. Ends with 0 when it was run, with 2 when the directory or a
/// document cannot be used. A running server is not disturbed.
#[derive(Clone, Debug, clap::Args)]
pub struct BacktestArgs {
    /// The data directory.
    directory: PathBuf,
    /// A policy in TOML or JSON that decides instead of the log's. One decides about every order; of several an order gets the one that
    /// it named, or by scope.
    #[arg(short, long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// A tariff in TOML or JSON. With one or more, none of the log's count.
    #[arg(short, long, value_name = "FILE")]
    tariff: Vec<PathBuf>,
    /// Where to write report.html, figures.csv, days.csv, locations.csv, orders.csv and unfillable.csv; made when it is not there.
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What was run, and what came of it.
struct Report {
    directory: String,
    /// Names of the policies and tariffs that were tried; none when it is the log's own.
    policies: Vec<String>,
    tariffs: Vec<String>,
    span: Duration,
    outcome: Outcome,
}

impl Report {
    /// What the new decisions were taken under, for people.
    fn tried(&self) -> String {
        let list = |what: &str, names: &[String]| match names {
            [] => None,
            [one] => Some(format!("{what} {one}")),
            several => Some(format!("{what} {}", several.join(", "))),
        };
        let tried = [list("policy", &self.policies), list("tariff", &self.tariffs)];
        let tried: Vec<String> = tried.into_iter().flatten().collect();
        if tried.is_empty() { "the policies and tariffs of the log itself".to_owned() } else { tried.join("; ") }
    }
}

/// Runs it and prints the table.
#[must_use]
pub fn run(args: &BacktestArgs) -> ExitCode {
    match backtest(args) {
        Ok(report) => {
            print(&table::page(&report, args.out.as_deref()));
            exit::OK.into()
        }
        Err(Stop::Unusable(unusable)) => {
            unusable.report("backtest");
            exit::UNUSABLE.into()
        }
        Err(stop) => {
            eprintln!("quartermaster backtest: {stop}");
            let code = if matches!(stop, Stop::Write { .. }) { exit::FAILED } else { exit::UNUSABLE };
            code.into()
        }
    }
}

fn backtest(args: &BacktestArgs) -> Result<Report, Stop> {
    let directory = DataDir::open(&args.directory)?;
    let instead = instead(args)?;
    let policies = instead.policies.iter().map(|policy| policy.name.clone()).collect();
    let tariffs = instead.tariffs.iter().map(|tariff| tariff.name.clone()).collect();
    let mut files = args.out.as_deref().map(Files::create).transpose()?;
    let started = Instant::now();
    let outcome = read::run(&directory, Options { instead, ..Options::default() }, |changed| match &mut files {
        Some(files) => files.order(changed),
        None => Ok(()),
    })?;
    let directory = args.directory.display().to_string();
    let report = Report { directory, policies, tariffs, span: started.elapsed(), outcome };
    if let Some(files) = files {
        files.finish(&report)?;
    }
    Ok(report)
}

/// Reads the documents.
fn instead(args: &BacktestArgs) -> Result<Instead, Stop> {
    let mut instead = Instead::default();
    for (kind, file) in of_kind(DocumentKind::Policy, &args.policy).chain(of_kind(DocumentKind::Tariff, &args.tariff)) {
        let text = fs::read_to_string(file).map_err(|source| Stop::Read { file: file.to_owned(), source })?;
        match Content::read(kind, &text).map_err(|fault| Stop::Document { file: file.to_owned(), fault })? {
            Content::Policy(policy) => instead.policies.push(*policy),
            Content::Tariff(tariff) => instead.tariffs.push(tariff),
        }
    }
    Ok(instead)
}

fn of_kind(kind: DocumentKind, files: &[PathBuf]) -> impl Iterator<Item = (DocumentKind, &Path)> {
    files.iter().map(move |file| (kind, file.as_path()))
}

/// What ends a backtest early.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("{}: {source}", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{}: {fault}", file.display())]
    Document { file: PathBuf, fault: DocumentFault },
    #[error(transparent)]
    Run(#[from] Fault),
    #[error("cannot write {}: {source}", file.display())]
    Write { file: PathBuf, source: io::Error },
}
