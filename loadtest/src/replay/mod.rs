//! `loadtest replay`: a retailer's recorded orders with their receipts, corrections, cancellations and returns, played against a
//! live server and reconciled to the unit.
//!
//! # Files
//! CSV with a header line, UTF-8, columns in any order, further columns ignored; `NAME.csv` or gzipped as `NAME.csv.gz`. Times are
//! wall-clock times without a zone, `2010-12-01T08:26:00`; rows with a time are sorted by it.
//!
//! | file | columns | |
//! | --- | --- | --- |
//! | `locations.csv` | `location_id, kind`; `country, city, lat, lng` if known | kinds: dc, rdc, hub, warehouse, store, 3pl, supplier |
//! | `products.csv` | `sku`; `name, median_price, abc` if known | may be missing; SKUs of the other files are added |
//! | `stock.csv` | `location_id, sku, on_hand` | opening stock, a cell once |
//! | `receipts.csv` | `ts, location_id, sku, qty` | may be missing |
//! | `stock-adjustments.csv` | `ts, sku, delta, reason`; `location_id` if known | may be missing; without a location: the first dc |
//! | `retail-orders.csv` | `order_id, ts, line_no, sku, qty, customer_id, is_return, ref_order_id` | lines of a document together |
//!
//! With `--sample`: `sample/orders.csv` and `sample/stock.csv` in place of `retail-orders.csv` and `stock.csv`, nothing else but
//! locations and products. `REPLAY.md` beside this crate tells the same at length.

mod books;
mod csv_file;
mod data_set;
mod local_time;
mod player;
mod reconcile;
mod report;
mod sale;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use quartermaster_proto::v1::ImportRow;
use tonic::Status;

pub use self::books::Totals;
pub use self::csv_file::InputError;
use self::data_set::{DataSet, Selection};
pub use self::player::PlayError;
use self::player::{Plan, Player};
pub use self::report::ReplayReport;
use crate::access::Access;
use crate::client::{Client, ConnectError, RetryPolicy, sentence};
use crate::load::{LoadError, Opening, load};
use crate::machine::command_line;
use crate::run::Output;
use crate::status::{JournalWork, get_status};

/// Arguments of `loadtest replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Server to play against. Start it on an empty data directory.
    #[arg(long, default_value = "http://127.0.0.1:7070")]
    pub target: String,
    /// How it is reached.
    #[command(flatten)]
    pub access: Access,
    /// Directory with the files.
    #[arg(long)]
    pub data: PathBuf,
    /// Recorded seconds a second ("86400": a day a second), or "max": as fast as it goes.
    #[arg(long, default_value = "max", value_parser = speed)]
    pub speed: Speed,
    /// Play the short set in the folder sample.
    #[arg(long)]
    pub sample: bool,
    /// Orders at most.
    #[arg(long)]
    pub limit_orders: Option<u64>,
    /// Days at most, the first one included.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub days: Option<u32>,
    /// Orders and returns under way at the same time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub concurrency: u16,
    /// Connections to the server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,
    /// Name of this replay, part of every request id. An interrupted replay goes on when it is run again under its name.
    #[arg(long, default_value = "1")]
    pub run: String,
    /// Percent of the orders released before payment.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=33))]
    pub released: u64,
    /// Percent of the orders left to expire.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=33))]
    pub abandoned: u64,
    /// Percent of the orders cancelled in part after payment.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=33))]
    pub cancelled: u64,
    /// Currency of the prices, ISO 4217.
    #[arg(long, default_value = "GBP")]
    pub currency: String,
    /// How the report is written.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// How fast recorded time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// As fast as it goes.
    Max,
    /// So many recorded seconds a second.
    Times(u32),
}

fn speed(text: &str) -> Result<Speed, String> {
    match (text, text.parse()) {
        ("max", _) => Ok(Speed::Max),
        (_, Ok(times @ 1..)) => Ok(Speed::Times(times)),
        _ => Err("a speed is \"max\" or a whole number of recorded seconds a second".to_owned()),
    }
}

/// Why a replay could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The directory is not there.
    #[error("there is no directory {}; the format of the files is in loadtest/REPLAY.md", .0.display())]
    NoData(PathBuf),
    /// The files cannot be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The server cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The opening stock could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A step failed.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// The end could not be compared.
    #[error("reading the server's state failed: {}", sentence(.0))]
    Read(Status),
    /// The user stopped it.
    #[error("stopped after {played} of {total} steps; run it again with --run {run} and it goes on from there")]
    Interrupted {
        /// Steps played.
        played: usize,
        /// Steps in all.
        total: usize,
        /// Name of the run.
        run: String,
    },
}

/// Plays the files of `args` and reconciles. Stops early, and cleanly, when `interrupted` resolves.
///
/// # Errors
/// When it cannot be played to its end; a difference at the end is part of the report.
pub async fn replay(args: &ReplayArgs, interrupted: impl Future<Output = ()>) -> Result<ReplayReport, ReplayError> {
    if !args.data.is_dir() {
        return Err(ReplayError::NoData(args.data.clone()));
    }
    let set = Arc::new(DataSet::read(&Selection {
        directory: args.data.clone(),
        sample: args.sample,
        orders_max: args.limit_orders,
        days: args.days,
        currency: args.currency.clone(),
    })?);
    let retry = RetryPolicy { deadline: Duration::from_secs(30), attempts_max: 10, ..RetryPolicy::default() };
    let client = Client::connect_as(&args.target, usize::from(args.connections), retry, &args.access).await?;
    let before = get_status(&client).await.map_err(ReplayError::Read)?;
    let loaded = load(&client, opening(&set), &format!("replay-{}-opening", args.run)).await?;
    let plan = Plan {
        run: args.run.clone(),
        speed: match args.speed {
            Speed::Max => None,
            Speed::Times(times) => Some(times),
        },
        concurrency: usize::from(args.concurrency),
        released_percent: args.released,
        abandoned_percent: args.abandoned,
        cancelled_percent: args.cancelled,
        ttl: Duration::from_secs(30 * 60),
        abandoned_ttl: Duration::from_secs(2),
    };
    let player = Arc::new(Player::new(client.clone(), Arc::clone(&set), plan, loaded.replayed));
    let started = Instant::now();
    let played = player.play(interrupted).await?;
    let elapsed = started.elapsed();
    let total = set.happenings.len();
    if played < total {
        return Err(ReplayError::Interrupted { played, total, run: args.run.clone() });
    }
    let after = get_status(&client).await.map_err(ReplayError::Read)?;
    let proof = player.reconcile(played).await.map_err(ReplayError::Read)?;
    let latencies = &player.latencies;
    let by_call = [
        ("Reserve", &latencies.reserve),
        ("Confirm", &latencies.confirm),
        ("Cancel", &latencies.cancel),
        ("Release", &latencies.release),
        ("Ship", &latencies.ship),
        ("ReceiveStock", &latencies.receive),
        ("AdjustStock", &latencies.adjust),
    ];
    let latency = by_call.map(|(name, recorder)| (name, recorder.summary()));
    Ok(ReplayReport {
        command: command_line(),
        durability: after.durability.clone(),
        again: loaded.replayed,
        seconds: elapsed.as_secs_f64(),
        calls: latency.iter().map(|(_, summary)| summary.count).sum(),
        totals: player.books().totals,
        latency: latency.into_iter().filter(|(_, summary)| summary.count > 0).collect(),
        journal: JournalWork::between(&before, &after),
        proof,
        elapsed,
    })
}

fn opening(set: &DataSet) -> Opening {
    let row = |goods: &data_set::Goods| ImportRow {
        sku: set.sku_code(goods.cell.0).to_owned(),
        location: set.place_code(goods.cell.1).to_owned(),
        on_hand: goods.units.into(),
        ..ImportRow::default()
    };
    Opening {
        locations: set.locations.clone(),
        channels: Vec::new(),
        skus: set.skus.clone(),
        rows: set.opening.iter().map(row).collect(),
    }
}
