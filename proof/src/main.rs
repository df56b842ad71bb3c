//! `proof`: tries to break a real server, one campaign a command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
#[cfg(feature = "fuse")]
use quartermaster_proof::fuse::{power, stall};
use quartermaster_proof::verdict::Verdict;
use quartermaster_proof::{
    Error, crash, flash, full, hostile, inject, oom, overload, quantities, race, record, repeat, sigterm, soak,
};

/// Every promise held.
const OK: u8 = 0;
/// A promise was broken, or the campaign could not be carried out.
const FAILED: u8 = 1;

/// Tries to make a Quartermaster server lose or sell something twice.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    /// Prints one JSON object instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    campaign: Campaign,
}

#[derive(Debug, Subcommand)]
enum Campaign {
    /// Five times the load that the server can bear: what still gets done, who is refused, how quickly it is over.
    Overload(overload::OverloadArgs),
    /// Clients that hold places, flood, lie and babble, beside one that does not.
    Hostile(hostile::HostileArgs),
    /// A steady load for long: memory, files, disk and latency as curves.
    Soak(soak::SoakArgs),
    /// Far more buyers than units of one SKU: exactly the stock is granted.
    Flash(flash::FlashArgs),
    /// Writes down what many clients ask and hear, with kill -9 in between, and looks for one sequence of events that explains it.
    History(record::HistoryArgs),
    /// Every figure of units in every request, at its edges and beyond: refused by name.
    Quantities(quantities::QuantitiesArgs),
    /// Calls about one reservation at the same moment: exactly one wins.
    Race(race::RaceArgs),
    /// Every change sent up to five times over a wire that breaks, with kill -9 in between: it happens once.
    Repeat(repeat::RepeatArgs),
    /// kill -9 under full load, in snapshots and while the server starts: every answer is still true, everything else whole or not there.
    Crash(crash::CrashArgs),
    /// One system call of the server fails, the n-th write, sync, open or rename, by strace: it ends at once and has forgotten no answer.
    Inject(inject::InjectArgs),
    /// The disk fills up under load and is freed again: new promises are refused, kept ones go on, all comes back within 5 s.
    Full(full::FullArgs),
    /// SIGTERM at full load: health says so at once, what is under way is finished, nothing is lost, the exit is 0.
    Sigterm(sigterm::SigtermArgs),
    /// The kernel kills the server for its memory, under load: as with kill -9, nothing that was answered is lost.
    Oom(oom::OomArgs),
    /// The disk does not answer for seconds: nothing is acknowledged, memory stays, readiness says so, liveness does not, all comes back.
    #[cfg(feature = "fuse")]
    Stall(stall::StallArgs),
    /// The power fails under load and the disk forgets, keeps or tears what was not synced, sector by sector: no answer is lost.
    #[cfg(feature = "fuse")]
    Power(power::PowerArgs),
}

impl Campaign {
    async fn run(&self) -> Result<Verdict, Error> {
        match self {
            Campaign::Overload(args) => overload::run(args).await,
            Campaign::Hostile(args) => hostile::run(args).await,
            Campaign::Soak(args) => soak::run(args).await,
            Campaign::Flash(args) => flash::run(args).await,
            Campaign::History(args) => record::run(args).await,
            Campaign::Quantities(args) => quantities::run(args).await,
            Campaign::Race(args) => race::run(args).await,
            Campaign::Repeat(args) => repeat::run(args).await,
            Campaign::Crash(args) => crash::run(args).await,
            Campaign::Inject(args) => inject::run(args).await,
            Campaign::Full(args) => full::run(args).await,
            Campaign::Sigterm(args) => sigterm::run(args).await,
            Campaign::Oom(args) => oom::run(args).await,
            #[cfg(feature = "fuse")]
            Campaign::Stall(args) => stall::run(args).await,
            #[cfg(feature = "fuse")]
            Campaign::Power(args) => power::run(args).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match cli.campaign.run().await {
        Ok(verdict) => {
            if cli.json {
                println!("{}", verdict.to_json());
            } else {
                print!("{verdict}");
            }
            if verdict.holds() { OK } else { FAILED }
        }
        Err(error) => {
            eprintln!("proof: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            FAILED
        }
    };
    ExitCode::from(code)
}
