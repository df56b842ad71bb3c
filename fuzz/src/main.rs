//! Fuzzes one target, or all in turn, for as long as it is told.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use quartermaster_fuzz::{
    Target,
    campaign::{self, Plan},
    corpus, find, harness,
    targets::ALL,
};

/// Runs a target on mutations of its corpus; a failing input is made smaller and written down. Ends with 1 when something broke.
#[derive(Debug, Parser)]
#[command(name = "quartermaster-fuzz", version)]
struct Arguments {
    /// Which target; "all" for one after the other, "list" to be told what there is.
    target: String,
    /// How long for each target, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Most inputs for each target.
    #[arg(long, default_value_t = u64::MAX)]
    executions: u64,
    /// Decides all inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where failing inputs are written; by default the target's folder in the corpus, from where the tests run them.
    #[arg(long, value_name = "FOLDER")]
    found: Option<PathBuf>,
    /// Writes the inputs that mutations begin with there, and runs nothing.
    #[arg(long, value_name = "FOLDER")]
    seeds: Option<PathBuf>,
    /// Runs this input instead.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let targets: Vec<&Target> = match arguments.target.as_str() {
        "list" => {
            ALL.iter().for_each(|target| println!("{:<10} {}", target.name, target.story));
            return ExitCode::SUCCESS;
        }
        "all" => ALL.iter().collect(),
        name => find(name).into_iter().collect(),
    };
    if targets.is_empty() {
        eprintln!("quartermaster-fuzz: there is no target {:?}; try \"list\"", arguments.target);
        return ExitCode::from(2);
    }
    let mut failed = false;
    for target in targets {
        match one(target, &arguments) {
            Ok(passed) => failed |= !passed,
            Err(error) => {
                eprintln!("quartermaster-fuzz: {}: {error}", target.name);
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

/// Whether nothing broke.
fn one(target: &Target, arguments: &Arguments) -> std::io::Result<bool> {
    if let Some(folder) = &arguments.seeds {
        for seed in (target.seeds)() {
            corpus::put(&folder.join(target.name), "seed", &seed)?;
        }
        return Ok(true);
    }
    if let Some(file) = &arguments.input {
        let outcome = harness::run(target, &std::fs::read(file)?);
        println!("{}: {outcome:?}", target.name);
        return Ok(outcome.is_ok());
    }
    let plan =
        Plan { seed: arguments.seed, executions: arguments.executions, time: Duration::from_secs(arguments.seconds) };
    let report = campaign::run(target, &plan)?;
    let rate = report.executions.saturating_mul(1_000) / u64::try_from(report.took.as_millis()).unwrap_or(1).max(1);
    println!(
        "{:<10} seed {}: {} executions of {} pieces in {:.1?}, {rate} a second; most {:.1?} and {} KiB",
        target.name,
        plan.seed,
        report.executions,
        report.pieces,
        report.took,
        report.most.time,
        report.most.bytes >> 10
    );
    let Some(failure) = report.failure else { return Ok(true) };
    let folder = arguments.found.clone().unwrap_or_else(|| corpus::folder(target));
    let file = corpus::put(&folder, "found", &failure.input)?;
    println!("{:<10} input {} {}\n  kept as {}", "", failure.number, failure.broken, file.display());
    Ok(false)
}
