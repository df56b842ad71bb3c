//! The same reservations against Quartermaster, Redis and PostgreSQL in turns, and against what lies below any of them.
//!
//! `cargo build --release --workspace --bins && target/release/compare` runs all of it; `--help` tells how to run less. Redis and
//! PostgreSQL come from Debian's packages (redis-server, postgresql-15); what is not installed is said and left out. Every server
//! starts with a directory of its own, on loopback, and ends with the program.
//!
//! Method: the client on one core, the servers on the other; those whose turn it is not are stopped (SIGSTOP). A round is one contender
//! flat out (closed loop), then at half of that rate with latency from when each order was due. Rounds go in turns; medians and spread
//! are shown, and ratios are taken round by round between neighbours in time. Quartermaster runs with its defaults: every answer waits for
//! its fsync.
#![forbid(unsafe_code)]

mod chart;
mod contender;
mod demand;
mod drive;
mod floor;
mod ours;
mod postgres;
mod process;
mod redis;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use quartermaster_benches::measure::grouped;
use quartermaster_benches::pin;

use contender::{Kind, Server, Wire};
use demand::{Demand, Scenario};
use drive::Times;
use process::Cores;
use report::{Discipline, Outcome};

type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(about = "Reservations a second: Quartermaster, Redis, PostgreSQL, and the bounds below them, in turns")]
struct Arguments {
    /// The server to measure.
    #[arg(long, default_value = "target/release/quartermaster")]
    server_bin: PathBuf,
    /// Shapes of demand.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "hot,zipf,three-lines,sold-out")]
    scenarios: Vec<Scenario>,
    /// Ways to send: "single:CONNECTIONSxEACH", "piped:CONNECTIONSxDEPTH", "batch:ORDERS".
    #[arg(long, value_parser = wire, value_delimiter = ',', default_value = "single:4x16,single:64x1,single:4x256,piped:4x100,batch:100,batch:1000")]
    wires: Vec<Wire>,
    /// Leaves out contenders whose name holds one of these words.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Rounds of each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds of each half of a round; a third as much goes before, unmeasured.
    #[arg(long, default_value_t = 2_000)]
    milliseconds: u64,
    /// Where the servers' files go; a temporary directory by default. The disk under it is what is measured.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Writes a picture there.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Writes JSON lines there.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn wire(text: &str) -> Result<Wire, String> {
    let wrong = || format!("{text:?} is no way to send; write single:4x16, piped:4x100 or batch:1000");
    let number = |text: &str| text.parse().ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(wrong);
    let (way, size) = text.split_once(':').ok_or_else(wrong)?;
    if way == "batch" {
        return Ok(Wire::Batch { orders: number(size)? });
    }
    let (connections, each) = size.split_once('x').ok_or_else(wrong)?;
    let (connections, each) = (number(connections)?, number(each)?);
    match way {
        "single" => Ok(Wire::Single { connections, each }),
        "piped" => Ok(Wire::Piped { connections, depth: each }),
        _ => Err(wrong()),
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let cores = Cores::choose()?;
    if !pin::to_core(cores.client) {
        return Err("the client cannot be pinned to a core".into());
    }
    let temporary = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let disciplines = runtime.block_on(compare(&arguments, temporary.path(), cores))?;
    if let Some(path) = &arguments.svg {
        std::fs::write(path, chart::svg(&disciplines))?;
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, disciplines.iter().map(Discipline::lines).collect::<String>())?;
    }
    Ok(())
}

async fn compare(arguments: &Arguments, directory: &Path, cores: Cores) -> Result<Vec<Discipline>, Failure> {
    println!(
        "client on core {}, servers on core {}; {} rounds of 2 x {} ms in turns",
        cores.client, cores.server, arguments.rounds, arguments.milliseconds
    );
    let disk = floor::fdatasync(directory, Duration::from_secs(1))?;
    println!(
        "fdatasync of 4 KiB in a file of zeros: p50 {} us, p99 {} us",
        grouped(disk.percentile(50.0) / 1_000),
        grouped(disk.percentile(99.0) / 1_000)
    );
    let servers = start(arguments, directory, cores).await?;
    println!("\n  {:<22}a power cut takes of what was acknowledged", "");
    servers.iter().for_each(|server| println!("  {:<22}{}", server.kind.name(), server.kind.may_lose()));
    servers.iter().for_each(|server| server.process.pause());
    let demand = Demand::new();
    let mut disciplines = Vec::new();
    for &scenario in &arguments.scenarios {
        for &wire in &arguments.wires {
            let discipline = discipline(arguments, &servers, &demand.of(scenario), scenario, wire).await?;
            print!("{}", discipline.table());
            disciplines.push(discipline);
        }
    }
    Ok(disciplines)
}

/// Starts who takes part. A server that was started is stopped until its turn.
async fn start(arguments: &Arguments, directory: &Path, cores: Cores) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for kind in Kind::ALL {
        let name = kind.name();
        if arguments.without.iter().any(|word| name.to_lowercase().contains(&word.to_lowercase())) {
            continue;
        }
        let server = match kind {
            Kind::Ours => Some(ours::start(&arguments.server_bin, directory, cores).await?),
            Kind::BareEcho | Kind::DurableEcho => Some(floor::start(kind, directory, cores).await?),
            Kind::RedisAlways | Kind::RedisEverysec | Kind::RedisOff => redis::start(kind, directory, cores).await?,
            Kind::Postgres => postgres::start(directory, cores).await?,
        };
        match server {
            Some(server) => {
                server.process.pause();
                servers.push(server);
            }
            None => println!("left out: {name} is not installed"),
        }
    }
    Ok(servers)
}

async fn discipline(
    arguments: &Arguments,
    servers: &[Server],
    demand: &Demand,
    scenario: Scenario,
    wire: Wire,
) -> Result<Discipline, Failure> {
    let measured = Duration::from_millis(arguments.milliseconds);
    let times = Times { warm_up: measured / 3, measured };
    let speakers = servers.iter().filter(|server| server.kind.speaks(wire));
    let mut outcomes: Vec<Outcome> = speakers.map(|server| Outcome { kind: server.kind, rounds: Vec::new() }).collect();
    for _ in 0..arguments.rounds {
        for outcome in &mut outcomes {
            let server = servers.iter().find(|server| server.kind == outcome.kind).ok_or("it was started")?;
            server.process.resume();
            let lanes = server.lanes(wire).await?;
            let figures = drive::round(server, lanes, demand, wire.per_step(), times).await;
            server.process.pause();
            outcome.rounds.push(figures.map_err(|failure| format!("{}, {wire}: {failure}", server.kind.name()))?);
        }
    }
    Ok(Discipline { scenario, wire, outcomes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_send_are_read_and_mistakes_named() {
        assert_eq!(wire("single:4x16"), Ok(Wire::Single { connections: 4, each: 16 }));
        assert_eq!(wire("batch:1000"), Ok(Wire::Batch { orders: 1_000 }));
        for wrong in ["single:4", "batch:0", "batch:20000", "carrier-pigeon:1x1", ""] {
            assert!(wire(wrong).unwrap_err().contains("single:4x16"), "{wrong}");
        }
    }
}
