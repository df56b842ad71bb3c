//! `loadtest`: load, demo catalogue and replay against a running Quartermaster.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use quartermaster_loadtest::access::Access;
use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_loadtest::demo::Catalogue;
use quartermaster_loadtest::load::load;
use quartermaster_loadtest::replay::{ReplayArgs, ReplayError, replay};
use quartermaster_loadtest::run::{Output, RunArgs, run};
use quartermaster_loadtest::table::grouped;

/// The load did what it should and what it checked holds.
const OK: u8 = 0;
/// Something failed, or a check did not hold.
const FAILED: u8 = 1;
/// The command cannot be run as given; the same as clap's.
const USAGE: u8 = 2;

/// Load against a running Quartermaster, from outside.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends reservations at a set rate and times each from when it should have started.
    Run(Box<RunArgs>),
    /// Plays a retailer's recorded orders and reconciles stock to the unit.
    Replay(Box<ReplayArgs>),
    /// Loads the demo's apparel catalogue with its stock.
    Seed(SeedArgs),
}

#[derive(Debug, Args)]
struct SeedArgs {
    /// Server to load.
    #[arg(long, default_value = "http://127.0.0.1:7070")]
    target: String,
    #[command(flatten)]
    access: Access,
    /// Seed of the stock.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Run(args) => match run(&args).await {
            Ok(report) => {
                match args.output {
                    Output::Table => println!("{report}"),
                    Output::Json => println!("{}", report.to_json()),
                }
                OK
            }
            Err(error) => complain(&error, FAILED),
        },
        Command::Replay(args) => {
            let interrupted = async {
                // Without a handler the replay cannot be interrupted cleanly, and that is all.
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            match replay(&args, interrupted).await {
                Ok(report) => {
                    match args.output {
                        Output::Table => println!("{report}"),
                        Output::Json => println!("{}", report.to_json()),
                    }
                    if report.proof.holds() { OK } else { FAILED }
                }
                Err(error @ (ReplayError::NoData(_) | ReplayError::Input(_))) => complain(&error, USAGE),
                Err(error) => complain(&error, FAILED),
            }
        }
        Command::Seed(args) => match seed(&args).await {
            Ok(()) => OK,
            Err(error) => complain(error.as_ref(), FAILED),
        },
    };
    ExitCode::from(code)
}

async fn seed(args: &SeedArgs) -> Result<(), Box<dyn Error>> {
    let client = Client::connect_as(&args.target, 1, RetryPolicy::default(), &args.access).await?;
    let catalogue = Catalogue::apparel(args.seed);
    let loaded = load(&client, catalogue.to_load(), &format!("seed-{}", args.seed)).await?;
    println!(
        "{} SKUs, {} locations, {} cells loaded in {:.1} s",
        grouped(u64::try_from(catalogue.skus.len())?),
        grouped(u64::try_from(catalogue.locations.len())?),
        grouped(loaded.cells),
        loaded.elapsed.as_secs_f64()
    );
    Ok(())
}

fn complain(error: &dyn Error, code: u8) -> u8 {
    eprintln!("loadtest: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    code
}
