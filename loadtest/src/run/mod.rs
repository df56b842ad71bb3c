//! `loadtest run`: reservations at a set rate, timed from when each should have started.

mod report;
mod senders;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use quartermaster_proto::v1::{ListSkusRequest, ListSkusResponse};
use tonic::Status;

pub use self::report::{RunReport, ServerSide};
use self::senders::{ByCall, Shared};
use crate::access::Access;
use crate::client::{Client, ConnectError, RetryPolicy, sentence};
use crate::latency::LatencySummary;
use crate::machine::{Machine, command_line};
use crate::pace::{Pacer, Rate};
use crate::progress::during;
use crate::status::{JournalWork, get_status};
use crate::table::grouped;
use crate::tally::{Live, Tally};
use crate::workload::{Place, Shape, Workload};

/// Time after the end of the load in which requests that are late already may still be sent.
const GRACE: Duration = Duration::from_secs(10);
/// Workers that confirm and ship, and holds that may wait for them.
const FOLLOWERS: usize = 64;

/// How reservations travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// `Reserve`, one call each.
    Unary,
    /// `ReserveStream`, one stream a connection, up to `--batch-size` reservations a message.
    Stream,
    /// `ReserveBatch`, up to `--batch-size` reservations a call.
    Batch,
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// Arguments of `loadtest run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Server under test.
    #[arg(long, default_value = "http://127.0.0.1:7070")]
    pub target: String,
    /// How it is reached.
    #[command(flatten)]
    pub access: Access,
    /// Reservations a second (open loop), or "max" (closed loop: as many as --in-flight allows).
    #[arg(long, default_value = "1000")]
    pub rate: Rate,
    /// Seconds of load.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub duration: u64,
    /// Reservations at most, whatever the time.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    pub count: u64,
    /// Connections to the server.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub connections: u16,
    /// Messages waiting for their answer at most, over all connections.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub in_flight: u16,
    /// How reservations travel.
    #[arg(long, value_enum, default_value_t = Mode::Unary)]
    pub mode: Mode,
    /// Reservations a message in the modes stream and batch.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_size: u16,
    /// Shape of the demand.
    #[arg(long, value_enum, default_value_t = Shape::Zipf)]
    pub workload: Shape,
    /// Take the SKUs from here: "server" lists its catalogue.
    #[arg(long, default_value = "server", value_parser = ["server"], conflicts_with = "sku")]
    pub skus_from: String,
    /// A SKU to reserve; may be given several times.
    #[arg(long)]
    pub sku: Vec<String>,
    /// SKUs taken from the server at most.
    #[arg(long, default_value_t = 100_000)]
    pub skus_max: usize,
    /// Share of holds that are confirmed, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub confirm_ratio: f64,
    /// Share of confirmed reservations that are shipped, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub ship_ratio: f64,
    /// Seconds a hold lasts.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub ttl: u64,
    /// Milliseconds a call may take.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub deadline: u64,
    /// Attempts for a call whose outcome is unknown, the first one included; always under the same request id.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub attempts: u32,
    /// Let the router decide where the units come from.
    #[arg(long, conflicts_with = "location")]
    pub routed: bool,
    /// Take every unit from this location, by code. Without it, and without --routed, the server takes by priority.
    #[arg(long)]
    pub location: Option<String>,
    /// Seed of the workload.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Start of the request ids. The same run and seed again gives the same ids: the server should answer all of them as replayed.
    #[arg(long)]
    pub run: Option<String>,
    /// How the report is written.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

/// Why a load could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A call that the load needs failed.
    #[error("{call} failed: {}", sentence(status))]
    Call {
        /// Name of the RPC.
        call: &'static str,
        /// How it ended.
        status: Status,
    },
    /// There is nothing to reserve.
    #[error("the server has no SKUs: import a catalogue first, or load the demo's with `loadtest seed`")]
    NoSkus,
}

/// Runs the load and reports it.
///
/// # Errors
/// When the load cannot start. Errors of single requests are part of the report.
pub async fn run(args: &RunArgs) -> Result<RunReport, RunError> {
    let retry = RetryPolicy {
        deadline: Duration::from_millis(args.deadline),
        attempts_max: args.attempts,
        ..RetryPolicy::default()
    };
    let client = Client::connect_as(&args.target, usize::from(args.connections), retry, &args.access).await?;
    let call = |call| move |status| RunError::Call { call, status };
    let before = get_status(&client).await.map_err(call("GetStatus"))?;
    let skus = if args.sku.is_empty() {
        list_skus(&client, args.skus_max).await.map_err(call("ListSkus"))?
    } else {
        args.sku.clone()
    };
    if skus.is_empty() {
        return Err(RunError::NoSkus);
    }
    let skus_count = skus.len();
    let run = args.run.clone().unwrap_or_else(fresh_run);
    let workload = Workload::new(args.workload, skus, args.seed, run, Duration::from_secs(args.ttl));
    let place = match &args.location {
        Some(location) => Place::Named(location.clone()),
        None if args.routed => Place::Routed,
        None => Place::Priority,
    };
    let workload = workload.placed(place);
    let measured = drive(args, &client, workload).await;
    let after = get_status(&client).await.map_err(call("GetStatus"))?;
    Ok(RunReport {
        command: command_line(),
        machine: Machine::here(),
        server: ServerSide {
            version: after.version.clone(),
            durability: after.durability.clone(),
            journal: JournalWork::between(&before, &after),
        },
        skus: skus_count,
        seconds: measured.elapsed.as_secs_f64(),
        unsent: measured.unsent,
        tally: measured.tally,
        latency: measured.latency,
        elapsed: measured.elapsed,
    })
}

struct Measured {
    elapsed: Duration,
    unsent: u64,
    tally: Tally,
    latency: BTreeMap<&'static str, LatencySummary>,
}

async fn drive(args: &RunArgs, client: &Client, workload: Workload) -> Measured {
    let duration = Duration::from_secs(args.duration);
    let start = tokio::time::Instant::now() + Duration::from_millis(20);
    let pacer = Arc::new(Pacer::new(args.rate, start, duration, args.count));
    let live = Arc::new(Live::default());
    let latencies = Arc::new(ByCall::default());
    let (follow, followers) = senders::followers(args, client, &live, &latencies, FOLLOWERS);
    let shared = Shared {
        client: client.clone(),
        pacer: Arc::clone(&pacer),
        workload: Arc::new(workload),
        live,
        latencies: Arc::clone(&latencies),
        follow,
    };
    tokio::time::sleep_until(start).await;
    pacer.start_thread();
    let stopper = {
        let pacer = Arc::clone(&pacer);
        tokio::spawn(async move {
            tokio::time::sleep(duration + GRACE).await;
            pacer.stop();
        })
    };
    let began = Instant::now();
    let live = Arc::clone(&shared.live);
    let message = |elapsed: Duration| {
        let counts = live.snapshot();
        format!(
            "{:>3} s   {:>9} answered   {:>9} held   {:>9} sold out   {} errors",
            elapsed.as_secs(),
            grouped(counts.answered),
            grouped(counts.holds),
            grouped(counts.sold_out),
            grouped(counts.errors)
        )
    };
    let (sent, elapsed, followed) = during("load", duration, message, async {
        let sent = senders::send(args, shared).await;
        let elapsed = began.elapsed();
        let mut followed = Vec::new();
        for follower in followers {
            followed.extend(follower.await);
        }
        (sent, elapsed, followed)
    })
    .await;
    stopper.abort();
    let unsent = pacer.unsent();
    let mut tally = Tally::default();
    sent.iter().chain(&followed).for_each(|part| tally.merge(part));
    let ByCall { reserve, confirm, ship } = &*latencies;
    let by_call = [("Reserve", reserve), ("Confirm", confirm), ("Ship", ship)];
    let mut latency: BTreeMap<_, _> = by_call.map(|(name, recorder)| (name, recorder.summary())).into();
    latency.retain(|_, summary| summary.count > 0);
    Measured { elapsed, unsent, tally, latency }
}

/// A run name that was not used before.
pub fn fresh_run() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("lt-{:x}", since.as_millis())
}

async fn list_skus(client: &Client, skus_max: usize) -> Result<Vec<String>, Status> {
    let mut codes = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListSkusRequest { page_size: 5_000, page_token, ..ListSkusRequest::default() };
        let answered = client.call(&request, |request| {
            let mut catalog = client.catalog();
            async move { catalog.list_skus(request).await }
        });
        let ListSkusResponse { skus, next_page_token, .. } = answered.await.result?;
        codes.extend(skus.into_iter().map(|sku| sku.code).take(skus_max - codes.len()));
        if next_page_token.is_empty() || codes.len() >= skus_max {
            return Ok(codes);
        }
        page_token = next_page_token;
    }
}
