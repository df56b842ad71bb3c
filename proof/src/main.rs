//! `proof`: tries to break a real server, one campaign a command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use quartermaster_proof::Error;
use quartermaster_proof::hostile::{self, HostileArgs};
use quartermaster_proof::overload::{self, OverloadArgs};
use quartermaster_proof::soak::{self, SoakArgs};
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
    /// Five times the load that the server can bear: what still gets done, who is refused, how quickly it is over.
    Overload(OverloadArgs),
    /// Clients that hold places, flood, lie and babble, beside one that does not.
    Hostile(HostileArgs),
    /// A steady load for long: memory, files, disk and latency as curves.
    Soak(SoakArgs),
}

impl Campaign {
    async fn run(&self) -> Result<Verdict, Error> {
        match self {
            Campaign::Overload(args) => overload::run(args).await,
            Campaign::Hostile(args) => hostile::run(args).await,
            Campaign::Soak(args) => soak::run(args).await,
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
