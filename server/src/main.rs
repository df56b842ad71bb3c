//! The command line of Quartermaster.
#![forbid(unsafe_code)]

use std::error::Error;
use std::iter;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use quartermaster_server::config::{Config, Flags, Loaded};
use quartermaster_server::serve::Server;
use quartermaster_server::shutdown::{self, exit};
use quartermaster_server::{config, logging};
use tonic::service::Routes;

/// Small objects by the million, freed by other threads than made them: jemalloc keeps both fast and compact.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Inventory allocation and order routing over gRPC.
#[derive(Parser)]
#[command(name = "quartermaster", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server.
    Serve(Box<Flags>),
    /// Shows every setting with its value and where it came from, without starting anything.
    Config(Box<Flags>),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(flags) => load(&flags).and_then(|loaded| serve(&loaded)),
        Command::Config(flags) => load(&flags).map(|loaded| show(&loaded)),
    };
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("quartermaster: {}", with_causes(failure.error.as_ref()));
            failure.code.into()
        }
    }
}

/// What ended the process, and the code it ends with.
struct Failure {
    error: Box<dyn Error>,
    code: u8,
}

fn failed(error: impl Error + 'static) -> Failure {
    Failure { error: Box::new(error), code: exit::FAILED }
}

fn misused(error: config::ConfigError) -> Failure {
    Failure { error: Box::new(error), code: exit::USAGE }
}

fn load(flags: &Flags) -> Result<Loaded, Failure> {
    Config::load(flags, std::env::vars_os()).map_err(misused)
}

fn show(loaded: &Loaded) -> u8 {
    for (key, value, origin) in loaded.rows() {
        println!("{key:<28} {value:<20} {origin}");
    }
    println!("{}", loaded.config.loss_window());
    exit::OK
}

fn serve(loaded: &Loaded) -> Result<u8, Failure> {
    loaded.config.data_dir().map_err(misused)?;
    logging::start(&loaded.config).map_err(failed)?;
    loaded.log();
    let threads = usize::try_from(loaded.config.worker_threads).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.map_err(failed)?.block_on(serve_until_stopped(&loaded.config))
}

async fn serve_until_stopped(config: &Config) -> Result<u8, Failure> {
    let stop = shutdown::on_signals().map_err(failed)?;
    let (server, port) = Server::bind(config).await.map_err(failed)?;
    let services = Routes::default();
    let drained = server.run(port, services, stop, |grpc| server.announce(grpc)).await.map_err(failed)?;
    if drained.cut_off > 0 {
        tracing::warn!(connections = drained.cut_off, "the grace ran out; calls were cut off");
        return Ok(exit::CUT_OFF);
    }
    tracing::info!("stopped");
    Ok(exit::OK)
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
