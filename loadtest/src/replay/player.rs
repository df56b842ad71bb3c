//! Plays the happenings of a data set on a server, in order as far as order matters, and keeps the books.
//!
//! Orders and returns run beside each other. Goods that arrive, and losses, wait until nothing is under way and keep what follows
//! waiting: an order never sees goods of a later time, and a loss is cut to what is really there.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quartermaster_proto::v1::{
    AdjustStockRequest, GetOutcomeRequest, Receipt, ReceiveStockRequest, RejectionReason, StockReason,
};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::books::Books;
use super::data_set::{Adjustment, CellNo, DataSet, Document, Goods, Happening, Index};
use crate::client::{Client, reason_of, sentence};
use crate::latency::Recorder;
use crate::pace::Slot;
use crate::progress::Progress;
use crate::random::digest;
use crate::table::{counted, grouped};

/// Receipts a message.
const RECEIPTS_PER_MESSAGE: usize = 10_000;
/// Bytes of a request id.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// A clipped loss is taken away in powers of two below this, see [`Player::loss`].
const CLIP_BITS: u32 = 32;

/// How to play.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Start of the request ids. The same run again goes on where an interrupted one stopped.
    pub(super) run: String,
    /// Recorded seconds a second; `None`: as fast as it goes.
    pub(super) speed: Option<u32>,
    /// Orders and returns under way at the same time.
    pub(super) concurrency: usize,
    /// Percent of the orders that are released before payment.
    pub(super) released_percent: u64,
    /// Percent of the orders that are left to expire.
    pub(super) abandoned_percent: u64,
    /// Percent of the orders that are cancelled in part after payment.
    pub(super) cancelled_percent: u64,
    /// How long a hold of an ordinary order lasts.
    pub(super) ttl: Duration,
    /// How long the hold of an abandoned order lasts.
    pub(super) abandoned_ttl: Duration,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// A call failed for good.
    #[error("{call} with request id {request_id} failed: {}{}", sentence(.status), hint(.status))]
    Call {
        /// Name of the RPC.
        call: &'static str,
        /// Its request id.
        request_id: String,
        /// How it ended.
        status: Status,
    },
    /// The server refused what it must accept.
    #[error("{call} with request id {request_id} was rejected: {}", .reason.as_str_name())]
    Rejected {
        /// Name of the RPC.
        call: &'static str,
        /// Its request id.
        request_id: String,
        /// Why.
        reason: RejectionReason,
    },
    /// An answer lacks what the contract says it has.
    #[error("{call} with request id {request_id} was answered without an outcome")]
    NoOutcome {
        /// Name of the RPC.
        call: &'static str,
        /// Its request id.
        request_id: String,
    },
    /// A task of the replay panicked.
    #[error("a task of the replay ended early")]
    Task,
}

fn hint(status: &Status) -> &'static str {
    if reason_of(status) == "REQUEST_ID_REUSED" {
        " (this --run was used before with other files or options: choose another, on an empty data directory)"
    } else {
        ""
    }
}

/// Latencies by RPC.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    pub(super) reserve: Recorder,
    pub(super) confirm: Recorder,
    pub(super) cancel: Recorder,
    pub(super) release: Recorder,
    pub(super) ship: Recorder,
    pub(super) receive: Recorder,
    pub(super) adjust: Recorder,
}

/// Plays one data set on one server.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) client: Client,
    pub(super) set: Arc<DataSet>,
    pub(super) index: Index,
    pub(super) plan: Plan,
    pub(super) latencies: Latencies,
    books: Mutex<Books>,
    again: bool,
}

impl Player {
    /// A player for `set`, whose opening stock is loaded. `again` says that it was loaded before under the same run.
    pub(super) fn new(client: Client, set: Arc<DataSet>, plan: Plan, again: bool) -> Self {
        let documents = || set.happenings.iter().map(|(_, happening)| happening);
        let sales: HashSet<&str> = documents()
            .filter_map(|happening| if let Happening::Sale(sale) = happening { Some(sale.id.as_str()) } else { None })
            .collect();
        let returned_from: HashSet<String> = documents()
            .filter_map(|happening| if let Happening::Return(document) = happening { Some(document) } else { None })
            .flat_map(|document| document.lines.iter().filter_map(|line| line.sold_by.clone()))
            .filter(|order| sales.contains(order.as_str()))
            .collect();
        let books = Mutex::new(Books::open(&set, returned_from));
        Player { client, index: set.index(), set, plan, latencies: Latencies::default(), books, again }
    }

    /// The books, for a moment.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays everything; how many happenings were played before `interrupted` resolved, if it did.
    pub(super) async fn play(self: &Arc<Self>, interrupted: impl Future<Output = ()>) -> Result<usize, PlayError> {
        tokio::pin!(interrupted);
        let set = Arc::clone(&self.set);
        let total = set.happenings.len();
        let mut progress = Progress::new("replay", u64::try_from(total).unwrap_or(u64::MAX));
        let Some(&(first, _)) = set.happenings.first() else { return Ok(0) };
        let started = Instant::now();
        let mut under_way = JoinSet::new();
        for (number, (time, happening)) in set.happenings.iter().enumerate() {
            let mut intended = Instant::now();
            if let Some(speed) = self.plan.speed {
                intended = started + Duration::from_secs(time.seconds_since(first)) / speed.max(1);
                tokio::select! {
                    () = tokio::time::sleep_until(intended) => {}
                    () = &mut interrupted => { settle(&mut under_way, 0).await?; return Ok(number) }
                }
            } else if futures_ready(&mut interrupted).await {
                settle(&mut under_way, 0).await?;
                return Ok(number);
            }
            match happening {
                Happening::Receipts(goods) => {
                    settle(&mut under_way, 0).await?;
                    self.receipts(number, goods).await?;
                }
                Happening::Adjusted(adjustment) if adjustment.delta < 0 => {
                    settle(&mut under_way, 0).await?;
                    self.loss(adjustment).await?;
                }
                Happening::Adjusted(adjustment) => {
                    let (player, adjustment) = (Arc::clone(self), adjustment.clone());
                    under_way.spawn(async move { player.adjust(&adjustment).await });
                }
                Happening::Sale(sale) => {
                    let (player, sale) = (Arc::clone(self), sale.clone());
                    let slot = Slot { index: u64::try_from(number).unwrap_or(0), intended };
                    under_way.spawn(async move { player.sale(&sale, slot).await });
                }
                Happening::Return(document) => {
                    if !self.sales_finished(document) {
                        settle(&mut under_way, 0).await?;
                    }
                    let request = self.take_back(document);
                    let player = Arc::clone(self);
                    under_way.spawn(async move { player.give_back(request).await });
                }
            }
            settle(&mut under_way, self.plan.concurrency.saturating_sub(1)).await?;
            progress.set(u64::try_from(number).unwrap_or(0), || self.message(started.elapsed()));
        }
        settle(&mut under_way, 0).await?;
        progress.finish();
        Ok(total)
    }

    /// A request id of this run.
    pub(super) fn request_id(&self, of: impl Display, step: &str) -> String {
        let id = format!("replay-{}-{of}-{step}", self.plan.run);
        if id.len() <= REQUEST_ID_BYTES_MAX {
            return id;
        }
        // Long order numbers: two digests of 64 bits tell them apart.
        format!("replay-{:016x}{:016x}", digest(&id), digest(&format!("{id}.")))
    }

    fn message(&self, elapsed: Duration) -> String {
        let totals = self.books().totals;
        format!(
            "{:>4} s   {:>14}   {:>14} shipped   {:>12} unfilled   {} returned",
            elapsed.as_secs(),
            counted(totals.orders, "order"),
            grouped(totals.shipped),
            grouped(totals.unfilled),
            grouped(totals.returned)
        )
    }

    async fn receipts(&self, number: usize, goods: &[Goods]) -> Result<(), PlayError> {
        for (part, goods) in goods.chunks(RECEIPTS_PER_MESSAGE).enumerate() {
            let request = ReceiveStockRequest {
                request_id: self.request_id(format_args!("receipts-{number}"), &part.to_string()),
                receipts: goods.iter().map(|goods| self.receipt(goods.cell, goods.units.into())).collect(),
                reason: StockReason::Purchase.into(),
                ..ReceiveStockRequest::default()
            };
            self.receive(&request).await?;
            let mut books = self.books();
            goods.iter().for_each(|goods| books.received(goods.cell, goods.units));
        }
        Ok(())
    }

    fn receipt(&self, cell: CellNo, units: u64) -> Receipt {
        let (sku, location) = self.codes(cell);
        Receipt { sku, location, quantity: i64::try_from(units).unwrap_or(i64::MAX) }
    }

    pub(super) fn codes(&self, (sku, place): CellNo) -> (String, String) {
        (self.set.sku_code(sku).to_owned(), self.set.place_code(place).to_owned())
    }

    async fn receive(&self, request: &ReceiveStockRequest) -> Result<(), PlayError> {
        let began = Instant::now();
        let answered = self.client.call(request, |request| {
            let mut inventory = self.client.inventory();
            async move { inventory.receive_stock(request).await }
        });
        let result = answered.await.result;
        self.latencies.receive.record(began.elapsed());
        result.map(|_| ()).map_err(failed("ReceiveStock", &request.request_id))
    }

    async fn adjust(&self, adjustment: &Adjustment) -> Result<(), PlayError> {
        let request_id = self.request_id(format_args!("adjust-{}", adjustment.number), "all");
        self.adjust_by(adjustment, adjustment.delta, request_id).await?;
        self.books().adjusted(adjustment.cell, adjustment.delta, 0);
        Ok(())
    }

    /// Takes away what an adjustment says is lost, or what there is when that is less.
    ///
    /// How much there is depends on how earlier orders ran, so a run that is repeated could find another amount under the same
    /// request id. A clipped loss is therefore sent as powers of two, each under its own id, and a repeated run asks which of them
    /// the first one sent.
    async fn loss(&self, adjustment: &Adjustment) -> Result<(), PlayError> {
        let lost = -adjustment.delta;
        let whole = self.request_id(format_args!("adjust-{}", adjustment.number), "all");
        let bit_id = |bit: u32| self.request_id(format_args!("adjust-{}", adjustment.number), &format!("bit{bit}"));
        let there = self.books().on_hand(adjustment.cell).max(0);
        let mut take = there.min(lost);
        if self.again {
            if self.is_known(&whole).await? {
                take = lost;
            } else {
                let mut before = 0;
                for bit in (0..CLIP_BITS).filter(|bit| 1_i64 << bit < lost) {
                    if self.is_known(&bit_id(bit)).await? {
                        before |= 1_i64 << bit;
                    }
                }
                if before > 0 {
                    take = before;
                }
            }
        }
        if take == lost {
            self.adjust_by(adjustment, -lost, whole).await?;
        } else {
            for bit in (0..CLIP_BITS).filter(|bit| take & (1_i64 << bit) != 0) {
                self.adjust_by(adjustment, -(1_i64 << bit), bit_id(bit)).await?;
            }
        }
        self.books().adjusted(adjustment.cell, -take, u64::try_from(lost - take).unwrap_or(0));
        Ok(())
    }

    async fn is_known(&self, request_id: &str) -> Result<bool, PlayError> {
        let request = GetOutcomeRequest { request_id: request_id.to_owned() };
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.get_outcome(request).await }
        });
        answered.await.result.map(|response| response.known).map_err(failed("GetOutcome", request_id))
    }

    async fn adjust_by(&self, adjustment: &Adjustment, delta: i64, request_id: String) -> Result<(), PlayError> {
        let (sku, location) = self.codes(adjustment.cell);
        let request = AdjustStockRequest {
            request_id,
            sku,
            location,
            delta,
            reason: adjustment.reason.into(),
            reference: adjustment.said.chars().take(16).collect(),
            ..AdjustStockRequest::default()
        };
        let began = Instant::now();
        let answered = self.client.call(&request, |request| {
            let mut inventory = self.client.inventory();
            async move { inventory.adjust_stock(request).await }
        });
        let result = answered.await.result;
        self.latencies.adjust.record(began.elapsed());
        result.map(|_| ()).map_err(failed("AdjustStock", &request.request_id))
    }

    fn sales_finished(&self, document: &Document) -> bool {
        let books = self.books();
        document.lines.iter().filter_map(|line| line.sold_by.as_ref()).all(|order| books.is_finished(order))
    }

    /// Decides where a return comes back to: where each unit was shipped from when the sale is known, else the main location.
    fn take_back(&self, document: &Document) -> (ReceiveStockRequest, Vec<(CellNo, u64)>) {
        let mut books = self.books();
        books.totals.returns += 1;
        let mut back = Vec::new();
        for line in &document.lines {
            match line.sold_by.as_ref().filter(|order| books.is_finished(order)) {
                Some(order) => {
                    let places = books.take_back(order, line.sku, line.units);
                    back.extend(places.into_iter().map(|(place, units)| ((line.sku, place), units)));
                }
                None => back.push(((line.sku, self.set.main), line.units.into())),
            }
        }
        let request = ReceiveStockRequest {
            request_id: self.request_id(&document.id, "return"),
            receipts: back.iter().map(|&(cell, units)| self.receipt(cell, units)).collect(),
            reason: StockReason::CustomerReturn.into(),
            reference: document.id.chars().take(16).collect(),
            ..ReceiveStockRequest::default()
        };
        (request, back)
    }

    async fn give_back(&self, (request, back): (ReceiveStockRequest, Vec<(CellNo, u64)>)) -> Result<(), PlayError> {
        if back.is_empty() {
            return Ok(());
        }
        self.receive(&request).await?;
        let mut books = self.books();
        back.into_iter().for_each(|(cell, units)| books.returned(cell, units));
        Ok(())
    }
}

/// An error of the call with `request_id`.
pub(super) fn failed(call: &'static str, request_id: &str) -> impl FnOnce(Status) -> PlayError {
    let request_id = request_id.to_owned();
    move |status| PlayError::Call { call, request_id, status }
}

/// Waits until at most `left` tasks are under way.
async fn settle(under_way: &mut JoinSet<Result<(), PlayError>>, left: usize) -> Result<(), PlayError> {
    while under_way.len() > left {
        if let Some(done) = under_way.join_next().await {
            done.unwrap_or(Err(PlayError::Task))?;
        }
    }
    Ok(())
}

/// Whether `future` is ready at this moment.
async fn futures_ready(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready()))
        .await
}

/// Whether a status says that the reservation's time was up.
pub(super) fn is_expired_state(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && reason_of(status) == "RESERVATION_STATE"
}
