//! The ceiling for unary calls: tonic answering a Reserve that decides nothing, behind a group commit of 64 bytes.
//!
//! `cargo run --release -p quartermaster-benches --bin durable-echo -- serve [--no-sync] [--listen ADDRESS]` prints
//! `ready grpc=ADDRESS` and answers `AllocationService.Reserve` with the same bytes every time, so that any load generator that can
//! measure Quartermaster can measure it. Each request puts 64 bytes into a plain file of zeros; one thread writes what has gathered,
//! calls fdatasync, and lets the answers go. With `--no-sync` it answers at once. `compare --heats multiplexed` sets it beside the server.
#![forbid(unsafe_code)]

mod commit;
mod echo;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "An echo with a group commit: what tonic and the disk allow a unary Reserve to reach")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until killed.
    Serve(echo::Serve),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Command::Serve(serve) = Arguments::parse().command;
    echo::serve(&serve)
}
