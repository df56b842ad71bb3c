//! The sale: buyers arrive at a set rate, most want one SKU, some pay, some parcels leave, the rest walk away and their holds expire.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quartermaster_proto::v1::{
    ConfirmRequest, ReserveLine, ReserveRequest, ShipRequest, confirm_response, reserve_response, ship_response,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;

use super::catalogue::HOT_SKU;
use super::ledger::Acked;
use super::{Catalogue, Ledger};
use crate::client::{Client, outcome_unknown};
use crate::latency::{LatencySummary, Recorder};
use crate::pace::{Pacer, Rate};
use crate::random::{SplitMix64, Zipf};
use crate::tally::{Live, Tally};

/// Buyers who wait for an answer at the same time, at most.
const BUYERS_AT_ONCE: usize = 256;
/// Buyers of one worker who think about paying, at most.
const UNDECIDED_MAX: usize = 64;
/// Calls at the same time when unknown outcomes are asked for again.
const RESOLVE_AT_ONCE: usize = 32;

/// What a sale is like.
#[derive(Clone, Debug)]
pub struct SalePlan {
    /// Start of the request ids; a new one for each sale on one server.
    pub run: String,
    /// Seed of the buyers.
    pub seed: u64,
    /// Buyers who arrive a second.
    pub rate: u64,
    /// How long they arrive.
    pub duration: Duration,
    /// How long a hold lasts.
    pub ttl: Duration,
    /// Share of the buyers who want the wanted SKU.
    pub hot_share: f64,
    /// Share of the holds that are paid.
    pub paid_share: f64,
    /// Share of the paid orders that are shipped during the sale.
    pub shipped_share: f64,
}

impl SalePlan {
    /// The demo's sale.
    pub fn new(run: &str, seed: u64, rate: u64, duration: Duration) -> Self {
        SalePlan {
            run: run.to_owned(),
            seed,
            rate,
            duration,
            ttl: Duration::from_secs(2),
            hot_share: 0.5,
            paid_share: 0.7,
            shipped_share: 0.4,
        }
    }
}

/// A request whose outcome is unknown: the answer was lost. It is asked again under the same id.
#[derive(Clone, Debug, PartialEq)]
pub enum Unknown {
    /// A reservation.
    Reserve(Box<ReserveRequest>),
    /// A payment.
    Confirm(ConfirmRequest),
    /// A parcel.
    Ship(ShipRequest),
}

/// What a sale measured.
#[derive(Debug)]
pub struct SaleOutcome {
    /// What came back.
    pub tally: Tally,
    /// Answers of all calls.
    pub calls: u64,
    /// Latencies of Reserve, from the intended start.
    pub reserve: LatencySummary,
    /// Latencies of Confirm.
    pub confirm: LatencySummary,
    /// Latencies of Ship.
    pub ship: LatencySummary,
    /// From the first buyer to the last answer to one.
    pub elapsed: Duration,
    /// Buyers who arrived and could not even be asked for.
    pub unsent: u64,
    /// Requests without an answer.
    pub unknown: Vec<Unknown>,
}

/// A sale under way.
#[derive(Clone)]
pub struct Sale {
    client: Client,
    catalogue: Arc<Catalogue>,
    ledger: Arc<Ledger>,
    plan: Arc<SalePlan>,
    zipf: Arc<Zipf>,
    pacer: Arc<Pacer>,
    live: Arc<Live>,
    latencies: Arc<ByCall>,
    unknown: Arc<Mutex<Vec<Unknown>>>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Measured {
    tally: Tally,
    calls: u64,
}

#[derive(Default)]
struct ByCall {
    reserve: Recorder,
    confirm: Recorder,
    ship: Recorder,
}

/// How one call ended.
enum Ended<T> {
    Answered(T),
    Unknown,
    Failed,
}

impl Sale {
    /// A sale of `catalogue` over `client`, acknowledged in `ledger`. The first buyer arrives at once.
    pub fn new(client: Client, catalogue: Arc<Catalogue>, ledger: Arc<Ledger>, plan: SalePlan) -> Self {
        let ranks = u32::try_from(catalogue.skus.len() - 1).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let start = tokio::time::Instant::now();
        let pacer = Pacer::new(Rate::PerSecond(plan.rate), start, plan.duration, u64::MAX);
        Sale {
            client,
            catalogue,
            ledger,
            plan: Arc::new(plan),
            zipf: Arc::new(Zipf::new(ranks, 1.0)),
            pacer: Arc::new(pacer),
            live: Arc::default(),
            latencies: Arc::default(),
            unknown: Arc::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// Counts as they rise.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Ends the sale now: nobody arrives any more, nobody pays any more; what is under way is answered or becomes unknown.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.pacer.stop();
    }

    /// Runs it to its end: the last buyer has been answered, has paid or walked away.
    pub async fn run(self) -> SaleOutcome {
        let began = Instant::now();
        self.pacer.start_thread();
        let mut workers = JoinSet::new();
        for _ in 0..BUYERS_AT_ONCE {
            workers.spawn(self.clone().buyers());
        }
        let mut all = Measured::default();
        let mut elapsed = Duration::ZERO;
        while let Some(worker) = workers.join_next().await {
            let (measured, last_answer) = worker.unwrap_or_default();
            elapsed = elapsed.max(last_answer.map_or(Duration::ZERO, |at| at.duration_since(began)));
            all.merge(&measured);
        }
        let unknown = std::mem::take(&mut *self.unknown.lock().unwrap_or_else(PoisonError::into_inner));
        let Measured { tally, calls } = all;
        let ByCall { reserve, confirm, ship } = &*self.latencies;
        let (reserve, confirm, ship) = (reserve.summary(), confirm.summary(), ship.summary());
        SaleOutcome { tally, calls, reserve, confirm, ship, elapsed, unsent: self.pacer.unsent(), unknown }
    }

    /// What the `index`-th buyer wants.
    pub fn order(&self, index: u64) -> ReserveRequest {
        let mut random = SplitMix64::for_item(self.plan.seed, index);
        let channels = &self.catalogue.channels;
        let channel = channels[random.index(channels.len())].code.clone();
        let line = |sku: &str, quantity| ReserveLine {
            sku: sku.to_owned(),
            quantity,
            location: String::new(),
            sourcing: None,
        };
        let lines = if random.chance(self.plan.hot_share) {
            vec![line(HOT_SKU, 1)]
        } else {
            let count = 1 + random.below(5);
            let mut pick = || {
                let sku = &self.catalogue.skus[1 + self.zipf.sample(&mut random)].code;
                line(sku, 1 + i64::try_from(random.below(2)).unwrap_or(0))
            };
            (0..count).map(|_| pick()).collect()
        };
        ReserveRequest {
            request_id: format!("{}-{index}", self.plan.run),
            order_id: format!("{}-{index}", self.plan.run),
            buyer_id: format!("{}-buyer-{index}", self.plan.run),
            channel,
            lines,
            ttl: prost_types::Duration::try_from(self.plan.ttl).ok(),
            ..ReserveRequest::default()
        }
    }

    async fn buyers(self) -> (Measured, Option<Instant>) {
        let mut measured = Measured::default();
        let mut last_answer = None;
        let mut undecided = JoinSet::new();
        while let Some(slot) = self.pacer.next().await {
            let order = self.order(slot.index);
            let answered = self.client.call(&order, |request| {
                let mut allocation = self.client.allocation();
                async move { allocation.reserve(request).await }
            });
            let answered = answered.await;
            last_answer = Some(Instant::now());
            self.latencies.reserve.record(slot.intended.elapsed());
            measured.calls += 1 + u64::from(answered.retries);
            measured.tally.call(&answered);
            self.live.reserve(answered.result.as_ref());
            let response = match self.ended(answered.result, || Unknown::Reserve(Box::new(order.clone()))) {
                Ended::Answered(response) => response,
                Ended::Unknown | Ended::Failed => continue,
            };
            measured.tally.reserve(&response);
            if let Some(reserve_response::Outcome::Hold(hold)) = response.outcome {
                self.ledger.held(&order.request_id, &hold);
                let mut random = SplitMix64::for_item(!self.plan.seed, slot.index);
                if random.chance(self.plan.paid_share) {
                    undecided.spawn(self.clone().pays(hold.reservation_id, random));
                }
            }
            while let Some(done) = undecided.try_join_next() {
                measured.merge(&done.unwrap_or_default());
            }
            if undecided.len() >= UNDECIDED_MAX
                && let Some(done) = undecided.join_next().await
            {
                measured.merge(&done.unwrap_or_default());
            }
        }
        while let Some(done) = undecided.join_next().await {
            measured.merge(&done.unwrap_or_default());
        }
        (measured, last_answer)
    }

    /// A buyer pays after a while; the parcel may leave a while later.
    async fn pays(self, reservation_id: String, mut random: SplitMix64) -> Measured {
        let mut measured = Measured::default();
        if !self.thinks(20 + random.below(1_200)).await {
            return measured;
        }
        let request =
            ConfirmRequest { request_id: format!("pay-{reservation_id}"), reservation_id: reservation_id.clone() };
        let started = Instant::now();
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.confirm(request).await }
        });
        let answered = answered.await;
        self.latencies.confirm.record(started.elapsed());
        measured.calls += 1 + u64::from(answered.retries);
        measured.tally.call(&answered);
        let ended = self.ended(answered.result, || Unknown::Confirm(request.clone()));
        let Ended::Answered(response) = ended else { return measured };
        match response.outcome {
            Some(confirm_response::Outcome::Update(_)) => {
                self.ledger.advanced(&reservation_id, Acked::Confirmed);
                measured.tally.confirmed += 1;
                Live::count(&self.live.confirmed);
            }
            Some(confirm_response::Outcome::Rejection(rejection)) => {
                measured.tally.rejection(rejection.reason());
                return measured;
            }
            None => return measured,
        }
        if !random.chance(self.plan.shipped_share) || !self.thinks(20 + random.below(600)).await {
            return measured;
        }
        let request = ShipRequest {
            request_id: format!("ship-{reservation_id}"),
            reservation_id: reservation_id.clone(),
            lines: Vec::new(),
        };
        let started = Instant::now();
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.ship(request).await }
        });
        let answered = answered.await;
        self.latencies.ship.record(started.elapsed());
        measured.calls += 1 + u64::from(answered.retries);
        measured.tally.call(&answered);
        let ended = self.ended(answered.result, || Unknown::Ship(request.clone()));
        if let Ended::Answered(response) = ended
            && let Some(ship_response::Outcome::Update(_)) = response.outcome
        {
            self.ledger.advanced(&reservation_id, Acked::Shipped);
            measured.tally.shipped += 1;
            Live::count(&self.live.shipped);
        }
        measured
    }

    /// Waits; false when the sale was stopped meanwhile.
    async fn thinks(&self, millis: u64) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(millis)) => !*self.stop.borrow(),
            _ = stop.wait_for(|&stopped| stopped) => false,
        }
    }

    fn ended<T>(&self, result: Result<T, Status>, request: impl FnOnce() -> Unknown) -> Ended<T> {
        match result {
            Ok(response) => Ended::Answered(response),
            Err(status) if outcome_unknown(status.code()) => {
                self.unknown.lock().unwrap_or_else(PoisonError::into_inner).push(request());
                Ended::Unknown
            }
            Err(_) => Ended::Failed,
        }
    }
}

impl Measured {
    fn merge(&mut self, other: &Measured) {
        self.tally.merge(&other.tally);
        self.calls += other.calls;
    }
}

/// What asking again brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The server had done it before the answer was lost: it replayed that answer.
    pub done_before: u64,
    /// The server did it now.
    pub done_now: u64,
    /// The server refused it: sold out, expired.
    pub refused: u64,
    /// Still unknown, or an error, in words. Must be empty.
    pub failed: Vec<String>,
}

/// Asks again, under the same ids, for everything whose outcome is unknown, and enters the answers into `ledger`.
pub async fn resolve(client: &Client, ledger: &Arc<Ledger>, unknown: Vec<Unknown>) -> Resolved {
    let mut resolved = Resolved::default();
    let mut asked = JoinSet::new();
    let mut waiting = unknown.into_iter();
    loop {
        while asked.len() < RESOLVE_AT_ONCE
            && let Some(unknown) = waiting.next()
        {
            asked.spawn(ask_again(client.clone(), Arc::clone(ledger), unknown));
        }
        let Some(answer) = asked.join_next().await else { return resolved };
        match answer.unwrap_or_else(|_| Err("a task ended early".to_owned())) {
            Ok(Again::DoneBefore) => resolved.done_before += 1,
            Ok(Again::DoneNow) => resolved.done_now += 1,
            Ok(Again::Refused) => resolved.refused += 1,
            Err(why) => resolved.failed.push(why),
        }
    }
}

enum Again {
    DoneBefore,
    DoneNow,
    Refused,
}

impl Again {
    fn done(replayed: bool) -> Self {
        if replayed { Again::DoneBefore } else { Again::DoneNow }
    }
}

async fn ask_again(client: Client, ledger: Arc<Ledger>, unknown: Unknown) -> Result<Again, String> {
    let failed =
        |request_id: &str, status: &Status| format!("request {request_id}: {}", crate::client::sentence(status));
    match unknown {
        Unknown::Reserve(request) => {
            let answered = client.call(request.as_ref(), |request| {
                let mut allocation = client.allocation();
                async move { allocation.reserve(request).await }
            });
            let response = answered.await.result.map_err(|status| failed(&request.request_id, &status))?;
            match response.outcome {
                Some(reserve_response::Outcome::Hold(hold)) => {
                    ledger.held(&request.request_id, &hold);
                    Ok(Again::done(response.replayed))
                }
                Some(reserve_response::Outcome::Rejection(_)) => Ok(Again::Refused),
                None => Err(format!("request {}: an answer without an outcome", request.request_id)),
            }
        }
        Unknown::Confirm(request) => {
            let answered = client.call(&request, |request| {
                let mut allocation = client.allocation();
                async move { allocation.confirm(request).await }
            });
            let answered = answered.await;
            match answered.result {
                Ok(response) => match response.outcome {
                    Some(confirm_response::Outcome::Update(_)) => {
                        ledger.advanced(&request.reservation_id, Acked::Confirmed);
                        Ok(Again::done(response.replayed))
                    }
                    Some(confirm_response::Outcome::Rejection(_)) => Ok(Again::Refused),
                    None => Err(format!("request {}: an answer without an outcome", request.request_id)),
                },
                Err(status) => Err(failed(&request.request_id, &status)),
            }
        }
        Unknown::Ship(request) => {
            let answered = client.call(&request, |request| {
                let mut allocation = client.allocation();
                async move { allocation.ship(request).await }
            });
            let response = answered.await.result.map_err(|status| failed(&request.request_id, &status))?;
            match response.outcome {
                Some(ship_response::Outcome::Update(_)) => {
                    ledger.advanced(&request.reservation_id, Acked::Shipped);
                    Ok(Again::done(response.replayed))
                }
                Some(ship_response::Outcome::Rejection(_)) => Ok(Again::Refused),
                None => Err(format!("request {}: an answer without an outcome", request.request_id)),
            }
        }
    }
}
