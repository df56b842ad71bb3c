//! The bare echo, the durable echo and Quartermaster in turns, with one client.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use prost_types::Duration as Ttl;
use quartermaster_benches::{
    matrix::{location_code, sku_code},
    measure::{Round, grouped, median, per_second},
    pin,
    traffic::Random,
};
use quartermaster_proto::v1::{
    self as api, allocation_service_client::AllocationServiceClient, catalog_service_client::CatalogServiceClient,
    inventory_service_client::InventoryServiceClient,
};
use tonic::transport::{Channel, Endpoint};

type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The server to measure beside the echo; without it only the echoes run.
    #[arg(long)]
    server_bin: Option<PathBuf>,
    /// Requests in flight, one figure after another.
    #[arg(long, value_delimiter = ',', default_value = "64,1024")]
    in_flight: Vec<usize>,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Rounds of each.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Length of a round in milliseconds; a third as much goes before it unmeasured.
    #[arg(long, default_value_t = 1_500)]
    round_ms: u64,
    /// SKUs that orders are spread over, each with stock at one location.
    #[arg(long, default_value_t = 10_000)]
    skus: u32,
    /// Where the servers' files go; a temporary directory by default.
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// A server that runs, and what it did in each round.
struct Contender {
    name: &'static str,
    child: Child,
    address: String,
    rounds: Vec<Figures>,
}

impl Drop for Contender {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Copy)]
struct Figures {
    rate: u64,
    cpu_nanos: u64,
    p50: u64,
    p99: u64,
}

pub(crate) fn compare(arguments: &Compare) -> Result<(), Failure> {
    let temporary = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }?;
    let cores = pin::cores();
    let (client, server) = match cores[..] {
        [.., client, server] => (client, server),
        _ => return Err("two cores are needed: one for the client, one for the servers".into()),
    };
    let mut pinned = pin::to_core(server);
    let mut contenders = start(arguments, temporary.path())?;
    pinned &= pin::to_core(client);
    println!(
        "client on core {client}, servers on core {server} (pinned: {pinned}); {} connections, closed loop, {} rounds of {} ms in turns",
        arguments.connections, arguments.rounds, arguments.round_ms
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(ours) = contenders.iter().find(|contender| contender.name == OURS) {
        runtime.block_on(stock(&ours.address, arguments.skus))?;
    }
    for in_flight in &arguments.in_flight {
        for seed in 0..arguments.rounds {
            for contender in &mut contenders {
                let figures = runtime.block_on(round(contender, arguments, *in_flight, seed))?;
                contender.rounds.push(figures);
            }
        }
        print(*in_flight, &contenders);
        contenders.iter_mut().for_each(|contender| contender.rounds.clear());
    }
    Ok(())
}

const BARE: &str = "bare echo";
const DURABLE: &str = "durable echo";
const OURS: &str = "quartermaster";

fn start(arguments: &Compare, directory: &std::path::Path) -> Result<Vec<Contender>, Failure> {
    let itself = std::env::current_exe()?;
    let echo = |flags: &[&str]| {
        let mut command = Command::new(&itself);
        command.arg("serve").args(flags).arg("--directory").arg(directory);
        command
    };
    let mut contenders = vec![contender(BARE, echo(&["--no-sync"]))?, contender(DURABLE, echo(&[]))?];
    if let Some(binary) = &arguments.server_bin {
        let mut command = Command::new(binary);
        command.arg("serve").arg("--data-dir").arg(directory.join("data"));
        command.args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        contenders.push(contender(OURS, command)?);
    }
    Ok(contenders)
}

fn contender(name: &'static str, mut command: Command) -> Result<Contender, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("its output is a pipe")?;
    let mut lines = BufReader::new(output).lines();
    let address = loop {
        let line = lines.next().ok_or_else(|| format!("{name} ended before it was ready"))??;
        if let Some(found) = line.split_whitespace().find_map(|word| word.strip_prefix("grpc=")) {
            break found.to_owned();
        }
    };
    // Whatever else it prints must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(Contender { name, child, address, rounds: Vec::new() })
}

async fn channel(address: &str) -> Result<Channel, Failure> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?)
}

/// Gives the server what the orders ask for.
async fn stock(address: &str, skus: u32) -> Result<(), Failure> {
    const PART: u32 = 500;
    let channel = channel(address).await?;
    let mut catalogue = CatalogServiceClient::new(channel.clone());
    let mut inventory = InventoryServiceClient::new(channel);
    let location = api::Location { code: location_code(0), ..api::Location::default() };
    catalogue
        .upsert_locations(api::UpsertLocationsRequest { request_id: "locations".into(), locations: vec![location] })
        .await?;
    for start in (0..skus).step_by(500) {
        let part = start..(start + PART).min(skus);
        let sku = |number| api::Sku { code: sku_code(number), sellable: Some(true), ..api::Sku::default() };
        let request =
            api::UpsertSkusRequest { request_id: format!("skus-{start}"), skus: part.clone().map(sku).collect() };
        catalogue.upsert_skus(request).await?;
        let receipt =
            |number| api::Receipt { sku: sku_code(number), location: location_code(0), quantity: 4_000_000_000 };
        let request = api::ReceiveStockRequest {
            request_id: format!("stock-{start}"),
            receipts: part.map(receipt).collect(),
            ..api::ReceiveStockRequest::default()
        };
        inventory.receive_stock(request).await?;
    }
    Ok(())
}

/// Keeps so many requests in flight for a while.
async fn round(contender: &Contender, arguments: &Compare, in_flight: usize, seed: usize) -> Result<Figures, Failure> {
    let measuring = Arc::new(AtomicBool::new(false));
    let running = Arc::new(AtomicBool::new(true));
    let answered = Arc::new(AtomicU64::new(0));
    let mut channels = Vec::new();
    for _ in 0..arguments.connections {
        channels.push(channel(&contender.address).await?);
    }
    let workers: Vec<_> = (0..in_flight)
        .map(|number| {
            let client = AllocationServiceClient::new(channels[number % channels.len()].clone());
            let (measuring, running, answered) = (Arc::clone(&measuring), Arc::clone(&running), Arc::clone(&answered));
            let place = u64::try_from(seed * 100_000 + number).unwrap_or(0);
            tokio::spawn(worker(client, Random::new(place << 20), arguments.skus, measuring, running, answered))
        })
        .collect();
    let length = Duration::from_millis(arguments.round_ms);
    tokio::time::sleep(length / 3).await;
    measuring.store(true, Ordering::Relaxed);
    let (start, cpu, count) = (Instant::now(), cpu_nanos(contender.child.id()), answered.load(Ordering::Relaxed));
    tokio::time::sleep(length).await;
    let count = answered.load(Ordering::Relaxed) - count;
    let (took, cpu) = (start.elapsed(), cpu_nanos(contender.child.id()).saturating_sub(cpu));
    measuring.store(false, Ordering::Relaxed);
    running.store(false, Ordering::Relaxed);
    let mut times = Round::default();
    for worker in workers {
        worker
            .await?
            .map_err(|status| format!("{}: {status}", contender.name))?
            .into_iter()
            .for_each(|took| times.record(took));
    }
    Ok(Figures {
        rate: per_second(count, took),
        cpu_nanos: cpu.checked_div(count).unwrap_or(0),
        p50: times.percentile(50.0),
        p99: times.percentile(99.0),
    })
}

async fn worker(
    mut client: AllocationServiceClient<Channel>,
    mut random: Random,
    skus: u32,
    measuring: Arc<AtomicBool>,
    running: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) -> Result<Vec<Duration>, Box<tonic::Status>> {
    let mut times = Vec::new();
    while running.load(Ordering::Relaxed) {
        let request = request(&mut random, skus);
        let start = Instant::now();
        let answer = client.reserve(request).await.map_err(Box::new)?.into_inner();
        if measuring.load(Ordering::Relaxed) {
            times.push(start.elapsed());
        }
        assert!(
            matches!(answer.outcome, Some(api::reserve_response::Outcome::Hold(_))),
            "the stock suffices: {:?}",
            answer.outcome
        );
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(times)
}

fn request(random: &mut Random, skus: u32) -> api::ReserveRequest {
    let number = random.draw();
    api::ReserveRequest {
        request_id: format!("{:016x}{number:016x}", random.draw()),
        order_id: format!("O{:015}", number % 1_000_000_000_000_000),
        buyer_id: format!("B{:09}", number % 1_000_000_000),
        lines: vec![api::ReserveLine {
            sku: sku_code(random.below(skus)),
            quantity: 1,
            location: String::new(),
            sourcing: None,
        }],
        ttl: Some(Ttl { seconds: 900, nanos: 0 }),
        ..api::ReserveRequest::default()
    }
}

/// CPU time of a process so far; 0 where the system does not tell. The kernel counts it in ticks of 10 ms, and its scheduler in
/// nanoseconds per thread.
fn cpu_nanos(process: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanos.sum()
}

fn print(in_flight: usize, contenders: &[Contender]) {
    println!(
        "\n{in_flight} in flight {:>16}{:>10}{:>12}{:>14}{:>10}{:>10}",
        "requests/s", "best", "of durable", "CPU us each", "p50 us", "p99 us"
    );
    let medians = |contender: &Contender, figure: fn(&Figures) -> u64| {
        median(&mut contender.rounds.iter().map(figure).collect::<Vec<_>>())
    };
    let durable = contenders.iter().find(|contender| contender.name == DURABLE);
    for contender in contenders {
        // The share is taken round by round, between neighbours in time, and its median shown.
        let mut shares: Vec<u64> = durable.map_or_else(Vec::new, |durable| {
            let pairs = contender.rounds.iter().zip(&durable.rounds);
            pairs.map(|(mine, theirs)| mine.rate * 1_000 / theirs.rate.max(1)).collect()
        });
        let share = median(&mut shares);
        let best = contender.rounds.iter().map(|figures| figures.rate).max().unwrap_or(0);
        let cpu = medians(contender, |figures| figures.cpu_nanos);
        println!(
            "  {:<22}{:>10}{:>10}{:>10}.{}%{:>12}.{}{:>10}{:>10}",
            contender.name,
            grouped(medians(contender, |figures| figures.rate)),
            grouped(best),
            share / 10,
            share % 10,
            cpu / 1_000,
            cpu % 1_000 / 100,
            grouped(medians(contender, |figures| figures.p50) / 1_000),
            grouped(medians(contender, |figures| figures.p99) / 1_000)
        );
    }
}
