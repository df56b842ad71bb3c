//! `proof history`: many clients, a few SKUs, kill -9 in between; everything that was asked and heard is written down and must be explained by
//! one sequence of events.
//!
//! A client whose connection breaks sends the same request again after the restart, under the same id, or, one time in four, gives up:
//! then nobody knows what became of it, and the checkers are not told either.

mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quartermaster_loadtest::client::sentence;
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_loadtest::table::per_second;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Error;
use crate::history::{History, search, witness};
use crate::process::ServerArgs;
use crate::stage::{self, PATIENT, Stage};
use crate::verdict::Verdict;
use client::{Notebook, Recorder};

/// Arguments of `proof history`.
#[derive(Clone, Debug, clap::Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Operations of each history.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    operations: u64,
    /// Clients, each with a connection of its own and one call at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
    /// SKUs; 1 for a hot one, which the search is best left out of.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    skus: u16,
    /// kill -9 and restart, so many times in each history.
    #[arg(long, default_value_t = 3)]
    kills: u64,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Histories, each with the next seed on a fresh server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Leaves the black-box search out.
    #[arg(long)]
    witness_only: bool,
    /// Steps of the search for each SKU; one that needs more is counted as undecided.
    #[arg(long, default_value_t = 20_000_000)]
    steps_max: u64,
}

/// Carries the campaign out.
///
/// # Errors
/// When a server cannot be started or does not do what it is set up with.
pub async fn run(args: &HistoryArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("history");
    let mut total = witness::Witnessed::default();
    let mut searched = search::Searched::default();
    let (mut operations, mut time) = (0, Duration::ZERO);
    for seed in args.seed..args.seed + args.seeds {
        let (history, took) = record(args, seed, &mut verdict).await?;
        operations += u64::try_from(history.operations.len())?;
        time += took;
        match witness::check(&history) {
            Ok(one) => {
                total.changes += one.changes;
                total.reads += one.reads;
                total.refusals += one.refusals;
                total.errors += one.errors;
                total.unknown += one.unknown;
                total.holes += one.holes;
                total.undecided += one.undecided;
            }
            Err(violation) => verdict.violation(format!("seed {seed}, by the witness: {violation}")),
        }
        if args.witness_only {
            continue;
        }
        match search::check(&history, args.steps_max) {
            Ok(one) => {
                searched.explained += one.explained;
                searched.undecided += one.undecided;
                searched.steps += one.steps;
            }
            Err(violation) => verdict.violation(format!("seed {seed}, by the search: {violation}")),
        }
    }
    verdict.figure("first_seed", args.seed);
    verdict.figure("histories", args.seeds);
    verdict.figure("kills", args.seeds * args.kills);
    verdict.figure("operations", operations);
    verdict.figure("operations_per_second", per_second(operations, time));
    verdict.figure("changes_at_their_event", total.changes);
    verdict.figure("reads_at_their_lsn", total.reads);
    verdict.figure("refusals_with_a_place", total.refusals);
    verdict.figure("errors_with_a_place", total.errors);
    verdict.figure("ends_unknown", total.unknown);
    verdict.figure("events_nobody_heard_of", total.holes);
    verdict.figure("skus_undecided_by_the_witness", total.undecided);
    if !args.witness_only {
        verdict.figure("skus_explained_by_the_search", searched.explained);
        verdict.figure("skus_undecided_by_the_search", searched.undecided);
        verdict.figure("steps_of_the_search", searched.steps);
    }
    Ok(verdict)
}

/// One history and how long it took.
async fn record(args: &HistoryArgs, seed: u64, verdict: &mut Verdict) -> Result<(History, Duration), Error> {
    let mut stage = Stage::start(&args.server, &[])?;
    let client = stage.server().client(1, PATIENT).await?;
    let mut random = SplitMix64::new(seed);
    let skus = usize::from(args.skus);
    let stock: Vec<_> = (0..skus).map(|_| [20 + random.below(40), random.below(30), random.below(30)]).collect();
    stage::catalogue(&client, 3, skus).await.map_err(|status| sentence(&status))?;
    let cells = stock.iter().enumerate().flat_map(|(sku, at)| (0..3).map(move |place| (sku, place, at[place])));
    let since = stage::receive(&client, &cells.collect::<Vec<_>>()).await.map_err(|status| sentence(&status))?;
    drop(client);

    let (address, addresses) = watch::channel(stage.server().url());
    let notebook = Arc::new(Notebook {
        began: Instant::now(),
        operations: args.operations,
        next: AtomicU64::new(0),
        holds: (0..skus).map(|_| Mutex::default()).collect(),
        numbers: Mutex::default(),
    });
    let mut clients = JoinSet::new();
    for number in 0..u64::from(args.clients) {
        let recorder = Recorder::new(Arc::clone(&notebook), addresses.clone(), SplitMix64::for_item(seed, number));
        clients.spawn(recorder.run());
    }
    let mut history = History { stock, since, operations: Vec::new() };
    let mut kills = 0;
    let mut look = tokio::time::interval(Duration::from_millis(2));
    loop {
        tokio::select! {
            ended = clients.join_next() => match ended {
                None => break,
                Some(ended) => {
                    let (own, wrong) = ended?;
                    history.operations.extend(own);
                    wrong.into_iter().for_each(|wrong| verdict.violation(format!("seed {seed}: {wrong}")));
                }
            },
            _ = look.tick() => {
                let due = (kills + 1) * args.operations / (args.kills + 1);
                if kills < args.kills && notebook.next.load(Ordering::Relaxed) >= due {
                    kills += 1;
                    tokio::task::block_in_place(|| stage.again())?;
                    address.send_replace(stage.server().url());
                }
            }
        }
    }
    let time = notebook.began.elapsed();
    verdict.must(kills == args.kills, || format!("seed {seed}: only {kills} kills"));
    stage.verify(verdict)?;
    Ok((history, time))
}
