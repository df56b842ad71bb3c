//! Sends a plan, in parts that each have their own request id. Asking again is always safe, so it is done until it takes too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prost::Message;
use quartermaster_client::Transport;
use quartermaster_proto::v1::catalog_service_client::CatalogServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use quartermaster_proto::v1::{
    ImportStockRequest, UpsertChannelsRequest, UpsertLocationsRequest, UpsertRegionsRequest, UpsertSkusRequest,
};
use tonic::Status;

use super::Stop;
use super::plan::Plan;
use super::progress::Progress;
use crate::cli::remote::may_retry;
use crate::cli::show;

/// Regions or locations in a request; fewer when they are long. Each request has the whole directory compiled anew.
const ENTRIES_MAX: usize = 5_000;
/// SKUs in a request: reservations wait for as many, and pass in between.
const SKUS_MAX: usize = 1_000;
/// Channels in a request.
const CHANNELS_MAX: usize = 1_000;
/// Stock rows in a message of the stream. A server reads a message in one go, and other calls in between.
const ROWS_MAX: usize = 1_000;
/// Bytes of entries in a request: half of what a server takes by default, and of what a record of its journal may be.
pub(super) const MESSAGE_BYTES_MAX: usize = 2 << 20;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) request_id: String,
    pub(super) parts: Vec<Part>,
    pub(super) dry_run: bool,
    pub(super) took: Duration,
}

/// Entries of one kind.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) what: &'static str,
    pub(super) rows: u64,
    pub(super) requests: u64,
    /// Requests that had been carried out before.
    pub(super) replayed: u64,
    created: u64,
    updated: u64,
    shortfalls: u64,
}

impl Part {
    pub(super) fn outcome(&self) -> String {
        let number = show::number;
        if self.what == "stock" {
            return match self.shortfalls {
                0 => "cells set".to_owned(),
                some => format!("cells set, {} of them promise more than they have", number(some)),
            };
        }
        format!("{} new, {} replaced", number(self.created), number(self.updated))
    }
}

impl Sent {
    /// What would have been sent.
    pub(super) fn nothing(plan: &Plan, request_id: String) -> Sent {
        let lengths = [
            ("regions", plan.regions.len()),
            ("locations", plan.locations.len()),
            ("channels", plan.channels.len()),
            ("skus", plan.skus.len()),
            ("stock", plan.stock.len()),
        ];
        let parts = lengths.into_iter().filter(|(_, length)| *length > 0);
        let parts = parts.map(|(what, length)| Part { what, rows: wide(length), ..Part::default() }).collect();
        Sent { request_id, parts, dry_run: true, took: Duration::ZERO }
    }
}

/// Sends to one server under one id.
pub(super) struct Sender<'p> {
    channel: Transport,
    request_id: String,
    patience: Duration,
    progress: &'p Progress,
}

impl<'p> Sender<'p> {
    pub(super) fn new(channel: Transport, request_id: String, patience: Duration, progress: &'p Progress) -> Self {
        Sender { channel, request_id, patience, progress }
    }

    /// Sends what others refer to first: regions, channels, locations, SKUs, and stock last.
    pub(super) async fn send(self, plan: Plan) -> Result<Sent, Stop> {
        let mut sent =
            Sent { request_id: self.request_id.clone(), parts: Vec::new(), dry_run: false, took: Duration::ZERO };
        let Plan { skus, locations, channels, regions, stock, sku_codes, location_codes, region_codes: _ } = plan;
        let catalog = CatalogServiceClient::new(self.channel.clone());
        if !regions.is_empty() {
            let call = async |request_id: &str, regions: &[_]| {
                let request = UpsertRegionsRequest { request_id: request_id.into(), regions: regions.to_vec() };
                let answer = catalog.clone().upsert_regions(request).await?.into_inner();
                Ok((answer.replayed, answer.created, answer.updated))
            };
            sent.parts.push(self.upsert("regions", &regions, ENTRIES_MAX, call).await?);
        }
        if !channels.is_empty() {
            let call = async |request_id: &str, channels: &[_]| {
                let request = UpsertChannelsRequest { request_id: request_id.into(), channels: channels.to_vec() };
                let answer = catalog.clone().upsert_channels(request).await?.into_inner();
                Ok((answer.replayed, answer.created, answer.updated))
            };
            sent.parts.push(self.upsert("channels", &channels, CHANNELS_MAX, call).await?);
        }
        if !locations.is_empty() {
            let call = async |request_id: &str, locations: &[_]| {
                let request = UpsertLocationsRequest { request_id: request_id.into(), locations: locations.to_vec() };
                let answer = catalog.clone().upsert_locations(request).await?.into_inner();
                Ok((answer.replayed, answer.created, answer.updated))
            };
            sent.parts.push(self.upsert("locations", &locations, ENTRIES_MAX, call).await?);
        }
        if !skus.is_empty() {
            let call = async |request_id: &str, skus: &[_]| {
                let request = UpsertSkusRequest { request_id: request_id.into(), skus: skus.to_vec() };
                let answer = catalog.clone().upsert_skus(request).await?.into_inner();
                Ok((answer.replayed, answer.created, answer.updated))
            };
            sent.parts.push(self.upsert("skus", &skus, SKUS_MAX, call).await?);
        }
        if !stock.is_empty() {
            let rows = Arc::new((stock, sku_codes, location_codes));
            sent.parts.push(self.import(&rows).await?);
        }
        Ok(sent)
    }

    async fn upsert<T: Message + Clone>(
        &self,
        what: &'static str,
        entries: &[T],
        most: usize,
        call: impl AsyncFn(&str, &[T]) -> Result<(bool, i64, i64), Status>,
    ) -> Result<Part, Stop> {
        let mut part = Part { what, rows: wide(entries.len()), ..Part::default() };
        let mut rest = entries;
        let mut done = 0;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_length(rest, most));
            rest = after;
            part.requests += 1;
            let request_id = format!("{}-{what}-{}", self.request_id, part.requests);
            let (replayed, created, updated) =
                self.patiently(what, &request_id, async || call(&request_id, chunk).await).await?;
            part.replayed += u64::from(replayed);
            part.created += u64::try_from(created).unwrap_or(0);
            part.updated += u64::try_from(updated).unwrap_or(0);
            done += wide(chunk.len());
            self.progress.rows(what, done, part.rows);
        }
        Ok(part)
    }

    /// One stream for all stock: the server checks every row before it writes the first.
    async fn import(&self, rows: &Arc<StockRows>) -> Result<Part, Stop> {
        let request_id = format!("{}-stock", self.request_id);
        let all = wide(rows.0.len());
        let answer = self
            .patiently("stock", &request_id, async || {
                let pulled = Arc::new(AtomicU64::new(0));
                let stream = tokio_stream::iter(messages(Arc::clone(rows), request_id.clone(), Arc::clone(&pulled)));
                let mut inventory = InventoryServiceClient::new(self.channel.clone());
                let call = inventory.import_stock(stream);
                tokio::pin!(call);
                loop {
                    tokio::select! {
                        answer = &mut call => return Ok(answer?.into_inner()),
                        () = tokio::time::sleep(Duration::from_millis(200)) => {
                            self.progress.rows("stock", pulled.load(Ordering::Relaxed), all);
                        }
                    }
                }
            })
            .await?;
        self.progress.rows("stock", all, all);
        Ok(Part {
            what: "stock",
            rows: all,
            requests: 1,
            replayed: u64::from(answer.replayed),
            shortfalls: u64::try_from(answer.shortfalls).unwrap_or(0),
            ..Part::default()
        })
    }

    /// Calls until the server answers or patience ends. It ends after so long without an answer, however much was sent before.
    async fn patiently<T>(
        &self,
        what: &'static str,
        request_id: &str,
        call: impl AsyncFn() -> Result<T, Status>,
    ) -> Result<T, Stop> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match call().await {
                Ok(answer) => return Ok(answer),
                Err(status) if may_retry(&status) && started.elapsed() + pause < self.patience => {
                    self.progress.waiting(status.message());
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(status) => return Err(Stop::Refused(what, request_id.to_owned(), Box::new(status))),
            }
        }
    }
}

type StockRows = (Vec<super::stock::StockRow>, super::codes::Codes, super::codes::Codes);

/// The stream's messages, made as they are pulled.
fn messages(
    rows: Arc<StockRows>,
    request_id: String,
    pulled: Arc<AtomicU64>,
) -> impl Iterator<Item = ImportStockRequest> + Send + 'static {
    let mut from = 0;
    std::iter::from_fn(move || {
        let (stock, skus, locations) = &*rows;
        let chunk = &stock[from..stock.len().min(from + ROWS_MAX)];
        if chunk.is_empty() {
            return None;
        }
        let request_id = if from == 0 { request_id.clone() } else { String::new() };
        from += chunk.len();
        pulled.store(wide(from), Ordering::Relaxed);
        let rows = chunk.iter().map(|row| row.message(skus, locations)).collect();
        Some(ImportStockRequest { request_id, rows, reference: String::new() })
    })
}

/// How many entries go into the next request: the same for the same entries, always.
fn chunk_length<T: Message>(entries: &[T], most: usize) -> usize {
    let mut bytes = 0;
    let fitting = entries.iter().take(most).take_while(|entry| {
        bytes += entry.encoded_len() + 8;
        bytes <= MESSAGE_BYTES_MAX
    });
    fitting.count().max(1)
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
