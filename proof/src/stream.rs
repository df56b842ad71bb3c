//! An open-loop stream of single attempts, and what became of them: taken, refused, failed, and how long each took.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quartermaster_loadtest::client::{code_name, reason_of};
use quartermaster_loadtest::latency::Recorder;
use quartermaster_loadtest::pace::{Pacer, Rate};
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::{ConfirmRequest, reserve_response};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::{Error, shop};

/// Calls that may wait for their answer: more than any server that sheds lets wait.
const WORKERS: u64 = 4_096;
/// Confirmations at once.
const CONFIRMERS: usize = 64;
/// Every so manieth hold is confirmed.
const CONFIRM_EVERY: u64 = 8;
/// What a caller waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// One caller with connections of its own.
#[derive(Clone, Debug)]
pub struct Caller {
    channels: Arc<[Channel]>,
}

/// What to send.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Start of the request ids.
    pub run: String,
    /// Orders a second, or as many as `in_flight` allows.
    pub rate: Rate,
    /// How long.
    pub time: Duration,
    /// Lines of an order.
    pub lines: u64,
    /// Calls at once.
    pub in_flight: u64,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Orders held.
    pub taken: u64,
    /// Time of those, from when each should have been sent.
    pub taken_time: Recorder,
    /// The same, from when it was.
    pub answered_time: Recorder,
    /// Orders refused as the server's contract says: UNAVAILABLE, OVERLOADED, with a delay.
    pub refused: u64,
    /// Time of those, from when they were sent.
    pub refused_time: Recorder,
    /// When the last one was refused, from the start.
    pub last_refusal: Duration,
    /// Everything else, by code and reason.
    pub failed: BTreeMap<String, u64>,
    /// Orders due and never sent.
    pub unsent: u64,
    /// Confirmations asked for once, and those that were done.
    pub confirms: (u64, u64),
    /// Time of confirmations.
    pub confirm_time: Recorder,
    /// From the first to the last answer.
    pub time: Duration,
}

impl Caller {
    /// Connects `connections` times to `url`, from `address`.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn connect(url: &str, address: IpAddr, connections: usize) -> Result<Caller, Error> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.local_address(Some(address)).tcp_nodelay(true);
        let mut channels = Vec::new();
        for _ in 0..connections {
            channels.push(endpoint.connect().await?);
        }
        Ok(Caller { channels: channels.into() })
    }

    fn service(&self, at: u64) -> AllocationServiceClient<Channel> {
        let at = usize::try_from(at).unwrap_or(0) % self.channels.len();
        AllocationServiceClient::new(self.channels[at].clone())
    }

    /// Sends `plan`; every eighth hold is confirmed, once.
    pub async fn send(&self, plan: Plan) -> Outcome {
        let plan = Arc::new(plan);
        let start = Instant::now() + Duration::from_millis(5);
        let pacer = Arc::new(Pacer::new(plan.rate, start, plan.time, u64::MAX));
        pacer.start_thread();
        let shared = Arc::new(Shared::default());
        let (holds, waiting) = mpsc::channel::<String>(CONFIRMERS);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        let mut workers = JoinSet::new();
        for worker in 0..plan.in_flight.min(WORKERS) {
            let (caller, plan, pacer, shared, holds) =
                (self.clone(), Arc::clone(&plan), Arc::clone(&pacer), Arc::clone(&shared), holds.clone());
            workers.spawn(async move {
                let mut service = caller.service(worker);
                while let Some(slot) = pacer.next().await {
                    let request = timed(shop::order(&plan.run, slot.index, plan.lines));
                    let sent = Instant::now();
                    match service.reserve(request).await {
                        Ok(response) => {
                            shared.outcome.lock().taken += 1;
                            shared.taken_time.record(slot.intended.elapsed());
                            shared.answered_time.record(sent.elapsed());
                            if let Some(reserve_response::Outcome::Hold(hold)) = response.into_inner().outcome
                                && slot.index.is_multiple_of(CONFIRM_EVERY)
                            {
                                // Those that find no room are left to expire.
                                let _full = holds.try_send(hold.reservation_id);
                            }
                        }
                        Err(status) => shared.refused(&status, sent, start),
                    }
                }
            });
        }
        drop(holds);
        for worker in 0..CONFIRMERS {
            let (shared, waiting) = (Arc::clone(&shared), Arc::clone(&waiting));
            let mut service = self.service(u64::try_from(worker).unwrap_or(0));
            workers.spawn(async move {
                loop {
                    let hold = waiting.lock().await.recv().await;
                    let Some(reservation_id) = hold else { return };
                    let request = ConfirmRequest { request_id: format!("c-{reservation_id}"), reservation_id };
                    let sent = Instant::now();
                    let answer = service.confirm(timed(request)).await;
                    shared.confirm_time.record(sent.elapsed());
                    shared.confirms.fetch_add(1, Ordering::Relaxed);
                    shared.confirmed.fetch_add(u64::from(answer.is_ok()), Ordering::Relaxed);
                }
            });
        }
        let stop = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            let over = start + plan.time;
            async move {
                tokio::time::sleep_until(over).await;
                pacer.stop();
            }
        });
        while workers.join_next().await.is_some() {}
        stop.abort();
        let shared = Arc::into_inner(shared).unwrap_or_default();
        let confirms = (shared.confirms.into_inner(), shared.confirmed.into_inner());
        Outcome {
            unsent: pacer.unsent(),
            confirms,
            time: start.elapsed().min(plan.time),
            taken_time: shared.taken_time,
            answered_time: shared.answered_time,
            refused_time: shared.refused_time,
            confirm_time: shared.confirm_time,
            ..shared.outcome.into_inner()
        }
    }
}

impl Outcome {
    /// Orders held a second.
    pub fn goodput(&self) -> u64 {
        let millis = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX).max(1);
        self.taken * 1_000 / millis
    }

    /// Millionths of confirmations that were done; all when there were none.
    pub fn confirmed_ppm(&self) -> u64 {
        let (asked, done) = self.confirms;
        (done * 1_000_000).checked_div(asked).unwrap_or(1_000_000)
    }
}

#[derive(Debug, Default)]
struct Shared {
    outcome: Mutex<Outcome>,
    taken_time: Recorder,
    answered_time: Recorder,
    refused_time: Recorder,
    confirm_time: Recorder,
    confirms: AtomicU64,
    confirmed: AtomicU64,
}

impl Shared {
    fn refused(&self, status: &Status, sent: Instant, start: Instant) {
        let reason = reason_of(status);
        let mut outcome = self.outcome.lock();
        if status.code() == Code::Unavailable && reason == "OVERLOADED" {
            outcome.refused += 1;
            outcome.last_refusal = start.elapsed();
            self.refused_time.record(sent.elapsed());
        } else {
            *outcome
                .failed
                .entry(format!("{} {reason} {}", code_name(status.code()), status.message()))
                .or_default() += 1;
        }
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}
