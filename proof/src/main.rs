//! `proof`: tries to break a real server, one campaign a command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use quartermaster_proof::Error;
use quartermaster_proof::crash::{self, CrashArgs};
use quartermaster_proof::full::{self, FullArgs};
#[cfg(feature = "fuse")]
use quartermaster_proof::fuse::{
    power::{self, PowerArgs},
    stall::{self, StallArgs},
};
use quartermaster_proof::inject::{self, InjectArgs};
use quartermaster_proof::oom::{self, OomArgs};
use quartermaster_proof::sigterm::{self, SigtermArgs};
use quartermaster_proof::verdict::Verdict;

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
    Crash(CrashArgs),
    Inject(InjectArgs),
    Full(FullArgs),
    Sigterm(SigtermArgs),
    Oom(OomArgs),
    #[cfg(feature = "fuse")]
    Stall(StallArgs),
    #[cfg(feature = "fuse")]
    Power(PowerArgs),
}

impl Campaign {
    async fn run(&self) -> Result<Verdict, Error> {
        match self {
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
