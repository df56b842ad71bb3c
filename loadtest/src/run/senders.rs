//! The tasks that send: reservations in one of three ways, and the confirmations and shipments that follow from them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use quartermaster_proto::v1::{
    ConfirmRequest, ReserveBatchRequest, ReserveResponse, ReserveResult, ReserveStreamRequest, ShipRequest,
    confirm_response, reserve_response, reserve_result, ship_response,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{Mode, RunArgs};
use crate::client::{Client, code_name, reason_name};
use crate::latency::Recorder;
use crate::pace::{Pacer, Slot};
use crate::random::SplitMix64;
use crate::tally::{Live, Tally};
use crate::workload::Workload;

/// Reservations a message of a stream may hold.
const STREAM_MESSAGE_MAX: usize = 1_000;
/// How often one worker opens its stream again after it broke.
const STREAM_REOPEN_MAX: u32 = 100;

/// What all senders share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) pacer: Arc<Pacer>,
    pub(super) workload: Arc<Workload>,
    pub(super) live: Arc<Live>,
    pub(super) latencies: Arc<ByCall>,
    pub(super) follow: Option<mpsc::Sender<Granted>>,
}

/// A hold that may be confirmed.
pub(super) struct Granted {
    index: u64,
    reservation_id: String,
}

/// Latencies by RPC.
#[derive(Default)]
pub(super) struct ByCall {
    pub(super) reserve: Recorder,
    pub(super) confirm: Recorder,
    pub(super) ship: Recorder,
}

/// Sends until the pacer ends.
pub(super) async fn send(args: &RunArgs, shared: Shared) -> Vec<Tally> {
    let in_flight = usize::from(args.in_flight);
    let batch = usize::from(args.batch_size);
    let mut workers = JoinSet::new();
    match args.mode {
        Mode::Unary => (0..in_flight).for_each(|_| {
            workers.spawn(unary(shared.clone()));
        }),
        Mode::Batch => (0..in_flight).for_each(|_| {
            workers.spawn(batches(shared.clone(), batch));
        }),
        Mode::Stream => {
            let streams = shared.client.connections();
            let window = in_flight.div_ceil(streams);
            (0..streams).for_each(|_| {
                workers.spawn(stream(shared.clone(), batch.min(STREAM_MESSAGE_MAX), window));
            });
        }
    }
    // Followers end when nobody can send them anything any more.
    drop(shared);
    workers.join_all().await
}

impl Shared {
    async fn answered(&self, sent: &mut Tally, slot: Slot, response: &ReserveResponse) {
        self.latencies.reserve.record(slot.intended.elapsed());
        sent.reserve(response);
        self.live.reserve(Ok(response));
        if let (Some(follow), Some(reserve_response::Outcome::Hold(hold))) = (&self.follow, &response.outcome) {
            let granted = Granted { index: slot.index, reservation_id: hold.reservation_id.clone() };
            // Followers outlive the senders; a send can fail only while everything ends.
            let _ = follow.send(granted).await;
        }
    }

    fn failed(&self, slot: Slot) {
        self.latencies.reserve.record(slot.intended.elapsed());
        Live::count(&self.live.answered);
        Live::count(&self.live.errors);
    }

    async fn results(&self, sent: &mut Tally, slots: Vec<Slot>, results: Vec<ReserveResult>) {
        let answers = results.into_iter().map(|result| result.result).chain(std::iter::repeat(None));
        for (slot, result) in slots.into_iter().zip(answers) {
            match result {
                Some(reserve_result::Result::Response(response)) => self.answered(sent, slot, &response).await,
                Some(reserve_result::Result::Error(error)) => {
                    let code = code_name(Code::from_i32(error.code));
                    sent.error(code, &reason_name(error.reason()));
                    self.failed(slot);
                }
                None => {
                    sent.error("INTERNAL", "an item without an answer");
                    self.failed(slot);
                }
            }
        }
    }
}

async fn unary(shared: Shared) -> Tally {
    let mut sent = Tally::default();
    while let Some(slot) = shared.pacer.next().await {
        let request = shared.workload.request(slot.index);
        let answered = shared.client.call(&request, |request| {
            let mut allocation = shared.client.allocation();
            async move { allocation.reserve(request).await }
        });
        let answered = answered.await;
        sent.call(&answered);
        match answered.result {
            Ok(response) => shared.answered(&mut sent, slot, &response).await,
            Err(_) => shared.failed(slot),
        }
    }
    sent
}

async fn batches(shared: Shared, size: usize) -> Tally {
    let mut sent = Tally::default();
    loop {
        let slots = shared.pacer.next_many(size).await;
        if slots.is_empty() {
            return sent;
        }
        let requests = slots.iter().map(|slot| shared.workload.request(slot.index)).collect();
        let request = ReserveBatchRequest { requests };
        let answered = shared.client.call(&request, |request| {
            let mut allocation = shared.client.allocation();
            async move { allocation.reserve_batch(request).await }
        });
        let answered = answered.await;
        sent.retries += u64::from(answered.retries);
        match answered.result {
            Ok(response) => shared.results(&mut sent, slots, response.results).await,
            Err(status) => {
                for slot in slots {
                    sent.status(&status);
                    shared.failed(slot);
                }
            }
        }
    }
}

type Pending = Arc<Mutex<VecDeque<Vec<Slot>>>>;

async fn stream(shared: Shared, size: usize, window: usize) -> Tally {
    let mut sent = Tally::default();
    for _ in 0..STREAM_REOPEN_MAX {
        let pending = Pending::default();
        let broken = one_stream(&shared, &mut sent, &pending, size, window).await;
        let Err(status) = broken else { break };
        let lost = std::mem::take(&mut *pending.lock().unwrap_or_else(PoisonError::into_inner));
        for slot in lost.into_iter().flatten() {
            sent.status(&status);
            shared.failed(slot);
        }
    }
    sent
}

/// Sends on one stream until the pacer ends; what is left in `pending` after an error was not answered.
async fn one_stream(
    shared: &Shared,
    sent: &mut Tally,
    pending: &Pending,
    size: usize,
    window: usize,
) -> Result<(), Status> {
    let (outbound, messages) = mpsc::channel(window);
    let mut allocation = shared.client.allocation();
    let mut request = tonic::Request::new(ReceiverStream::new(messages));
    shared.client.authorize(&mut request);
    let mut inbound = allocation.reserve_stream(request).await?.into_inner();
    let places = Arc::new(Semaphore::new(window));
    let sender = {
        let (shared, pending, places) = (shared.clone(), Arc::clone(pending), Arc::clone(&places));
        tokio::spawn(async move {
            loop {
                let Ok(place) = places.acquire().await else { return };
                place.forget();
                let slots = shared.pacer.next_many(size).await;
                if slots.is_empty() {
                    return;
                }
                let requests = slots.iter().map(|slot| shared.workload.request(slot.index)).collect();
                pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(slots);
                if outbound.send(ReserveStreamRequest { requests }).await.is_err() {
                    return;
                }
            }
        })
    };
    let ended = loop {
        match inbound.message().await {
            Ok(Some(response)) => {
                let slots = pending.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default();
                places.add_permits(1);
                shared.results(sent, slots, response.results).await;
            }
            Ok(None) if pending.lock().unwrap_or_else(PoisonError::into_inner).is_empty() => break Ok(()),
            Ok(None) => break Err(Status::unknown("the stream ended before its answers")),
            Err(status) => break Err(status),
        }
    };
    sender.abort();
    // Wait for it, so that nothing is added to `pending` any more.
    let _ = sender.await;
    ended
}

/// Workers that confirm and ship holds as the ratios say; none when nothing is to be confirmed.
pub(super) fn followers(
    args: &RunArgs,
    client: &Client,
    live: &Arc<Live>,
    latencies: &Arc<ByCall>,
    count: usize,
) -> (Option<mpsc::Sender<Granted>>, Vec<JoinHandle<Tally>>) {
    if args.confirm_ratio <= 0.0 {
        return (None, Vec::new());
    }
    let (sender, receiver) = mpsc::channel::<Granted>(count);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let follower = |_| {
        let follower = Follower { client: client.clone(), live: Arc::clone(live), latencies: Arc::clone(latencies) };
        let receiver = Arc::clone(&receiver);
        let (confirm, ship, seed) = (args.confirm_ratio, args.ship_ratio, args.seed);
        tokio::spawn(async move {
            let mut tally = Tally::default();
            loop {
                let granted = receiver.lock().await.recv().await;
                let Some(granted) = granted else { return tally };
                // Not the stream that chose the SKU: else some SKUs would always be paid for.
                let mut random = SplitMix64::for_item(!seed, granted.index);
                if random.chance(confirm) {
                    follower.follow(&mut tally, &granted, random.chance(ship)).await;
                }
            }
        })
    };
    (Some(sender), (0..count).map(follower).collect())
}

struct Follower {
    client: Client,
    live: Arc<Live>,
    latencies: Arc<ByCall>,
}

impl Follower {
    /// Confirms a hold, and ships it when `ship` says so.
    async fn follow(&self, tally: &mut Tally, granted: &Granted, ship: bool) {
        let Follower { client, live, latencies } = self;
        let reservation_id = granted.reservation_id.clone();
        let request =
            ConfirmRequest { request_id: format!("c-{reservation_id}"), reservation_id: reservation_id.clone() };
        let started = std::time::Instant::now();
        let answered = client.call(&request, |request| {
            let mut allocation = client.allocation();
            async move { allocation.confirm(request).await }
        });
        let answered = answered.await;
        latencies.confirm.record(started.elapsed());
        tally.call(&answered);
        let Ok(response) = answered.result else { return Live::count(&live.errors) };
        tally.replayed += u64::from(response.replayed);
        match response.outcome {
            Some(confirm_response::Outcome::Update(_)) => {
                tally.confirmed += 1;
                Live::count(&live.confirmed);
            }
            Some(confirm_response::Outcome::Rejection(rejection)) => return tally.rejection(rejection.reason()),
            None => return tally.error("INTERNAL", "an answer without an outcome"),
        }
        if !ship {
            return;
        }
        let request = ShipRequest { request_id: format!("s-{reservation_id}"), reservation_id, lines: Vec::new() };
        let started = std::time::Instant::now();
        let answered = client.call(&request, |request| {
            let mut allocation = client.allocation();
            async move { allocation.ship(request).await }
        });
        let answered = answered.await;
        latencies.ship.record(started.elapsed());
        tally.call(&answered);
        let Ok(response) = answered.result else { return Live::count(&live.errors) };
        tally.replayed += u64::from(response.replayed);
        match response.outcome {
            Some(ship_response::Outcome::Update(_)) => {
                tally.shipped += 1;
                Live::count(&live.shipped);
            }
            Some(ship_response::Outcome::Rejection(rejection)) => tally.rejection(rejection.reason()),
            None => tally.error("INTERNAL", "an answer without an outcome"),
        }
    }
}
