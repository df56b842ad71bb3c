//! The ceiling for unary calls: tonic answering a Reserve that decides nothing, behind a group commit of 64 bytes.
//!
//! `cargo run --release -p quartermaster-benches --bin durable-echo -- serve [--no-sync] [--listen ADDRESS]` prints
//! `ready grpc=ADDRESS` and answers `AllocationService.Reserve` with the same bytes every time, so that any load generator that can
//! measure Quartermaster can measure it. Each request puts 64 bytes into a plain file of zeros; one thread writes what has gathered,
//! calls fdatasync, and lets the answers go. With `--no-sync` it answers at once.
//!
//! `cargo run --release -p quartermaster-benches --bin durable-echo -- compare --server-bin target/release/quartermaster` runs the
//! bare echo, the durable echo and Quartermaster in turns with the same closed-loop client, the client on one core and the servers on
//! the other, and prints requests per second, server CPU per request and the share of the durable echo that Quartermaster reaches.
//! Held against: at least 75 %.
#![forbid(unsafe_code)]

mod commit;
mod compare;
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
    /// Measures it beside Quartermaster.
    Compare(compare::Compare),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Arguments::parse().command {
        Command::Serve(serve) => echo::serve(&serve),
        Command::Compare(compare) => compare::compare(&compare),
    }
}
