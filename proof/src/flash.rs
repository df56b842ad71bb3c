//! `proof flash`: far more buyers than units of one SKU, all at once. Exactly the stock is granted, everybody else hears that it is sold
//! out, and no read in between shows anything but what had been granted by then.
//!
//! Every answer carries its LSN, so a figure that was read is compared with the grants up to the same place in the log: one unit too many
//! at one instant is seen, not only at the end.

mod senders;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quartermaster_loadtest::client::{Client, sentence};
use quartermaster_loadtest::table::per_second;
use quartermaster_proto::v1::{
    Campaign, CampaignItem, CampaignTranche, GetAvailabilityRequest, GetCampaignRequest, ListCellsRequest,
    UpsertCampaignsRequest, campaign_service_client::CampaignServiceClient, upsert_campaigns_response,
};
use tonic::Status;

use crate::Error;
use crate::process::ServerArgs;
use crate::stage::{self, PATIENT, Stage, patient};
use crate::verdict::Verdict;
use senders::{Books, Mode, Sale};

/// Code of the campaign.
const CAMPAIGN: &str = "FLASH";
/// Units of the campaign a buyer may have.
const BUYER_LIMIT: u64 = 2;

/// Arguments of `proof flash`.
#[derive(Clone, Debug, clap::Args)]
pub struct FlashArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Units there are.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    stock: u64,
    /// Attempts of one unit each.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    attempts: u64,
    /// Connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    connections: u16,
    /// Calls in work on each connection; messages, with --stream or --batch.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    in_flight: u16,
    /// Times, each on a fresh server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Over streams, this many attempts a message.
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    stream: Option<u16>,
    /// In batches, this many attempts a call.
    #[arg(long, value_name = "SIZE", conflicts_with = "stream", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: Option<u16>,
    /// In a campaign that allows each buyer two units.
    #[arg(long)]
    campaign: bool,
    /// Decides who buys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Carries the campaign out.
///
/// # Errors
/// When a server cannot be started or does not do what it is set up with.
pub async fn run(args: &FlashArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("flash");
    let (mut polls, mut exact, mut granted, mut time) = (0, 0_u32, 0, Duration::ZERO);
    for round in 0..args.runs {
        let sold = once(args, u64::from(round), &mut verdict).await?;
        exact += u32::from(sold.granted == args.stock.min(args.attempts));
        (polls, granted, time) = (polls + sold.polls, granted + sold.granted, time + sold.time);
    }
    let attempts = args.attempts * u64::from(args.runs);
    verdict.figure("seed", args.seed);
    verdict.figure("runs", args.runs);
    verdict.figure("runs_that_granted_exactly_the_stock", exact);
    verdict.figure("attempts", attempts);
    verdict.figure("granted", granted);
    verdict.figure("reads_compared_with_the_log", polls);
    verdict.figure("attempts_per_second", per_second(attempts, time));
    Ok(verdict)
}

/// One sale in figures.
struct Sold {
    granted: u64,
    polls: u64,
    time: Duration,
}

async fn once(args: &FlashArgs, round: u64, verdict: &mut Verdict) -> Result<Sold, Error> {
    let mut stage = Stage::start(&args.server, &[])?;
    let client = stage.server().client(usize::from(args.connections), PATIENT).await?;
    stage::catalogue(&client, 1, 1).await?;
    stage::receive(&client, &[(0, 0, args.stock)]).await?;
    if args.campaign {
        campaign(&stage, args.stock).await?;
    }
    let mode = match (args.stream, args.batch) {
        (Some(size), _) => Mode::Stream(u64::from(size)),
        (_, Some(size)) => Mode::Batch(u64::from(size)),
        (None, None) => Mode::Unary,
    };
    let sale = Sale {
        client: client.clone(),
        attempts: args.attempts,
        next: Arc::new(AtomicU64::new(0)),
        campaign: args.campaign.then_some(CAMPAIGN),
        // With two units each they could take the stock twice over.
        buyers: args.stock,
        seed: args.seed.wrapping_add(round.wrapping_mul(1 << 32)),
    };
    let open = Arc::new(AtomicBool::new(true));
    let asker = sale.campaign.unwrap_or_default();
    let reader = tokio::spawn(poll(stage.server().client(1, PATIENT).await?, asker, Arc::clone(&open)));
    let began = Instant::now();
    let books = senders::sell(&sale, mode, usize::from(args.connections), usize::from(args.in_flight)).await;
    let time = began.elapsed();
    open.store(false, Ordering::SeqCst);
    let seen = reader.await?.map_err(|status| sentence(&status))?;

    let told = format!("run {round}");
    let granted = judge(args, &told, &books, &seen, verdict);
    if args.campaign {
        let mut campaigns = CampaignServiceClient::connect(stage.server().url()).await?;
        let message = GetCampaignRequest { code: CAMPAIGN.into() };
        let status = campaigns.get_campaign(patient(message)).await?.into_inner().campaign.unwrap_or_default();
        let held: i64 = status.items.iter().map(|item| item.held).sum();
        verdict.must(u64::try_from(held) == Ok(granted), || format!("{told}: the campaign says {held} units are held"));
    }
    stage.verify(verdict)?;
    Ok(Sold { granted, polls: u64::try_from(seen.len())?, time })
}

/// Holds the books of the senders and what was read against each other; gives how many units were granted.
fn judge(args: &FlashArgs, told: &str, books: &Books, seen: &[Seen], verdict: &mut Verdict) -> u64 {
    let mut grants: Vec<u64> = books.grants.iter().map(|grant| grant.lsn).collect();
    grants.sort_unstable();
    let granted = count(books.grants.len());
    verdict.must(granted == args.stock.min(args.attempts), || {
        format!("{told}: {granted} of {} units were granted to {} attempts", args.stock, args.attempts)
    });
    verdict.must(grants.windows(2).all(|pair| pair[0] < pair[1]), || format!("{told}: two grants share an event"));
    books.wrong.iter().for_each(|wrong| verdict.violation(format!("{told}: {wrong}")));
    let answered = granted + books.sold_out + count(books.limited.len());
    verdict
        .must(answered + books.wrong_count == args.attempts, || format!("{told}: {answered} attempts were answered"));
    if let (Some(first), Some(last)) = (books.first_sold_out, grants.last()) {
        verdict.must(first >= *last, || format!("{told}: sold out at {first}, the last unit was granted at {last}"));
    }

    let mut buyers: HashMap<u64, Vec<u64>> = HashMap::new();
    books.grants.iter().for_each(|grant| buyers.entry(grant.buyer).or_default().push(grant.lsn));
    if args.campaign {
        for (buyer, lsns) in &buyers {
            verdict
                .must(count(lsns.len()) <= BUYER_LIMIT, || format!("{told}: buyer {buyer} got {} units", lsns.len()));
        }
        for refusal in &books.limited {
            let had =
                buyers.get(&refusal.buyer).map_or(0, |lsns| lsns.iter().filter(|lsn| **lsn <= refusal.lsn).count());
            verdict.must(count(had) == BUYER_LIMIT, || {
                format!("{told}: buyer {} was refused at {} and had {had} units", refusal.buyer, refusal.lsn)
            });
        }
    }
    for seen in seen {
        let by_then = count(grants.partition_point(|lsn| *lsn <= seen.lsn));
        let left = args.stock.saturating_sub(by_then);
        verdict.must(seen.is_sound && u64::try_from(seen.available) == Ok(left), || {
            format!("{told}: {by_then} units were granted by then, and a reader saw {seen:?}")
        });
    }
    granted
}

/// What a reader saw.
#[derive(Debug)]
struct Seen {
    lsn: u64,
    available: i64,
    /// Nothing contradicts itself: no bucket below 0, no more promised than there is.
    is_sound: bool,
}

/// Reads availability and the cell by turns for as long as the sale goes on.
async fn poll(client: Client, campaign: &'static str, open: Arc<AtomicBool>) -> Result<Vec<Seen>, Status> {
    let mut seen = Vec::new();
    while open.load(Ordering::SeqCst) {
        let message =
            GetAvailabilityRequest { skus: vec![stage::sku(0)], campaign: campaign.into(), ..Default::default() };
        let answer = client.inventory().get_availability(patient(message)).await?.into_inner();
        let lsn = answer.position.unwrap_or_default().lsn;
        let available = answer.skus.first().map_or(-1, |sku| sku.available);
        seen.push(Seen { lsn, available, is_sound: answer.skus.len() == 1 });
        let message = ListCellsRequest { sku: stage::sku(0), ..ListCellsRequest::default() };
        let answer = client.inventory().list_cells(patient(message)).await?.into_inner();
        let lsn = answer.position.unwrap_or_default().lsn;
        let cell = answer.cells.first().cloned().unwrap_or_default();
        let available = cell.on_hand - cell.reserved - cell.committed;
        let is_sound = available == cell.available && available >= 0 && cell.reserved >= 0 && cell.shortfall == 0;
        seen.push(Seen { lsn, available, is_sound });
    }
    Ok(seen)
}

/// Gives the campaign all of the stock.
async fn campaign(stage: &Stage, stock: u64) -> Result<(), Error> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let tranche = CampaignTranche { release_time: None, quantity: i64::try_from(stock)? };
    let campaign = Campaign {
        code: CAMPAIGN.into(),
        channel: "app".into(),
        start_time: at(now - 3_600),
        end_time: at(now + 24 * 3_600),
        buyer_limit: i64::try_from(BUYER_LIMIT)?,
        items: vec![CampaignItem { sku: stage::sku(0), tranches: vec![tranche] }],
        ..Campaign::default()
    };
    let message = UpsertCampaignsRequest { request_id: "campaign".into(), campaigns: vec![campaign], clip: false };
    let mut campaigns = CampaignServiceClient::connect(stage.server().url()).await?;
    match campaigns.upsert_campaigns(patient(message)).await.map_err(|status| sentence(&status))?.into_inner().outcome {
        Some(upsert_campaigns_response::Outcome::Done(_)) => Ok(()),
        other => Err(format!("no campaign was made: {other:?}").into()),
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
