//! The buyers: each attempt asks for one unit, by a call of its own, in a batch or over a stream, and its answer goes into the books.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quartermaster_loadtest::client::{Client, sentence};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::{
    RejectionReason, ReserveBatchRequest, ReserveLine, ReserveRequest, ReserveResponse, ReserveResult,
    ReserveStreamRequest, reserve_response, reserve_result,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::stage;

/// Longer than any run: no hold comes back.
const TTL_SECONDS: i64 = 24 * 3_600;
/// Wrong answers that are kept.
const WRONG_MAX: usize = 20;
/// How often a stream is opened again, and what it still owes sent again.
const STREAMS_MAX: u32 = 100;

/// How attempts travel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// One a call.
    Unary,
    /// So many a message of a stream.
    Stream(u64),
    /// So many a call.
    Batch(u64),
}

/// What is sold, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Sale {
    pub(super) client: Client,
    /// In all.
    pub(super) attempts: u64,
    /// The next that nobody has made.
    pub(super) next: Arc<AtomicU64>,
    pub(super) campaign: Option<&'static str>,
    /// How many there are.
    pub(super) buyers: u64,
    pub(super) seed: u64,
}

/// A unit that was granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) buyer: u64,
    pub(super) lsn: u64,
}

/// What the senders heard.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) grants: Vec<Grant>,
    /// Refused because there is nothing left.
    pub(super) sold_out: u64,
    /// Least LSN of those.
    pub(super) first_sold_out: Option<u64>,
    /// Refused because the buyer has all that one may have; where that stood.
    pub(super) limited: Vec<Grant>,
    pub(super) wrong: Vec<String>,
    pub(super) wrong_count: u64,
}

impl Books {
    fn response(&mut self, buyer: u64, campaign: bool, response: &ReserveResponse) {
        let lsn = response.position.unwrap_or_default().lsn;
        match &response.outcome {
            Some(reserve_response::Outcome::Hold(hold))
                if hold.allocations.len() == 1 && hold.allocations[0].quantity == 1 =>
            {
                self.grants.push(Grant { buyer, lsn });
            }
            Some(reserve_response::Outcome::Rejection(rejection)) => match rejection.reason() {
                RejectionReason::InsufficientStock if !campaign => self.sold_out(lsn),
                RejectionReason::CampaignSoldOut if campaign => self.sold_out(lsn),
                RejectionReason::BuyerLimitReached if campaign => self.limited.push(Grant { buyer, lsn }),
                _ => self.wrong(format!("{rejection:?}")),
            },
            other => self.wrong(format!("{other:?}")),
        }
    }

    fn sold_out(&mut self, lsn: u64) {
        self.sold_out += 1;
        self.first_sold_out = Some(self.first_sold_out.map_or(lsn, |first| first.min(lsn)));
    }

    fn wrong(&mut self, what: String) {
        self.wrong_count += 1;
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push(what);
        }
    }

    fn merge(&mut self, other: Books) {
        self.grants.extend(other.grants);
        self.sold_out += other.sold_out;
        self.first_sold_out = self.first_sold_out.into_iter().chain(other.first_sold_out).min();
        self.limited.extend(other.limited);
        self.wrong_count += other.wrong_count;
        self.wrong.extend(other.wrong);
    }
}

impl Sale {
    fn buyer(&self, attempt: u64) -> u64 {
        SplitMix64::for_item(self.seed, attempt).below(self.buyers)
    }

    fn request(&self, attempt: u64) -> ReserveRequest {
        ReserveRequest {
            request_id: format!("attempt-{attempt}"),
            buyer_id: format!("buyer-{}", self.buyer(attempt)),
            channel: if self.campaign.is_some() { "app".into() } else { String::new() },
            campaign: self.campaign.unwrap_or_default().into(),
            lines: vec![ReserveLine { sku: stage::sku(0), quantity: 1, ..ReserveLine::default() }],
            ttl: Some(prost_types::Duration { seconds: TTL_SECONDS, nanos: 0 }),
            ..ReserveRequest::default()
        }
    }

    /// The next attempts, at most `count`; none when all are made.
    fn take(&self, count: u64) -> Vec<u64> {
        let from = self.next.fetch_add(count, Ordering::Relaxed);
        (from..from.saturating_add(count).min(self.attempts)).collect()
    }

    fn answered(&self, books: &mut Books, attempt: u64, response: &ReserveResponse) {
        books.response(self.buyer(attempt), self.campaign.is_some(), response);
    }

    fn results(&self, books: &mut Books, attempts: &[u64], results: &[ReserveResult]) {
        if attempts.len() != results.len() {
            books.wrong(format!("{} answers to {} requests", results.len(), attempts.len()));
        }
        for (attempt, result) in attempts.iter().zip(results) {
            match &result.result {
                Some(reserve_result::Result::Response(response)) => self.answered(books, *attempt, response),
                other => books.wrong(format!("{other:?}")),
            }
        }
    }
}

/// Makes all attempts.
pub(super) async fn sell(sale: &Sale, mode: Mode, connections: usize, in_flight: usize) -> Books {
    let mut buyers = JoinSet::new();
    match mode {
        Mode::Unary => (0..connections * in_flight).for_each(|_| drop(buyers.spawn(unary(sale.clone())))),
        Mode::Batch(size) => (0..connections * in_flight).for_each(|_| drop(buyers.spawn(batches(sale.clone(), size)))),
        Mode::Stream(size) => (0..connections).for_each(|_| drop(buyers.spawn(streams(sale.clone(), size, in_flight)))),
    }
    let mut books = Books::default();
    buyers.join_all().await.into_iter().for_each(|own| books.merge(own));
    books
}

async fn unary(sale: Sale) -> Books {
    let mut books = Books::default();
    while let Some(attempt) = sale.take(1).first().copied() {
        let request = sale.request(attempt);
        let answered = sale.client.call(&request, |request| {
            let mut allocation = sale.client.allocation();
            async move { allocation.reserve(request).await }
        });
        match answered.await.result {
            Ok(response) => sale.answered(&mut books, attempt, &response),
            Err(status) => books.wrong(sentence(&status)),
        }
    }
    books
}

async fn batches(sale: Sale, size: u64) -> Books {
    let mut books = Books::default();
    loop {
        let attempts = sale.take(size);
        if attempts.is_empty() {
            return books;
        }
        let message = ReserveBatchRequest { requests: attempts.iter().map(|one| sale.request(*one)).collect() };
        let answered = sale.client.call(&message, |request| {
            let mut allocation = sale.client.allocation();
            async move { allocation.reserve_batch(request).await }
        });
        match answered.await.result {
            Ok(response) => sale.results(&mut books, &attempts, &response.results),
            Err(status) => attempts.iter().for_each(|_| books.wrong(sentence(&status))),
        }
    }
}

/// One stream after the other: what a broken one owes is sent again, under the same ids.
async fn streams(sale: Sale, size: u64, window: usize) -> Books {
    let mut books = Books::default();
    let mut owed: VecDeque<Vec<u64>> = VecDeque::new();
    for _ in 0..STREAMS_MAX {
        match stream(&sale, size, window, &mut owed, &mut books).await {
            Ok(()) => return books,
            Err(_broken) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    owed.iter().flatten().for_each(|_| books.wrong("no stream lasted long enough to answer".to_owned()));
    books
}

/// Sends and receives until all attempts are made and answered. `owed` are the messages without an answer, oldest first.
async fn stream(
    sale: &Sale,
    size: u64,
    window: usize,
    owed: &mut VecDeque<Vec<u64>>,
    books: &mut Books,
) -> Result<(), Status> {
    let gone = || Status::unavailable("the stream is gone");
    let message =
        |attempts: &[u64]| ReserveStreamRequest { requests: attempts.iter().map(|one| sale.request(*one)).collect() };
    let (outbound, messages) = mpsc::channel(window.max(owed.len()).max(1));
    for attempts in &*owed {
        outbound.send(message(attempts)).await.map_err(|_| gone())?;
    }
    let mut answers = sale.client.allocation().reserve_stream(ReceiverStream::new(messages)).await?.into_inner();
    loop {
        while owed.len() < window {
            let attempts = sale.take(size);
            if attempts.is_empty() {
                break;
            }
            let next = message(&attempts);
            owed.push_back(attempts);
            outbound.send(next).await.map_err(|_| gone())?;
        }
        let Some(attempts) = owed.front().cloned() else { return Ok(()) };
        let answer = answers.message().await?.ok_or_else(gone)?;
        owed.pop_front();
        sale.results(books, &attempts, &answer.results);
    }
}
