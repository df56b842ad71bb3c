//! Reservations over one stream: the cheapest way for a gateway with many orders in flight. A stream that breaks is opened again, perhaps at
//! another server, and what was not answered is sent again under the same ids.

use std::collections::VecDeque;
use std::time::Duration;

use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::{Hold, ReserveRequest, ReserveResult, ReserveStreamRequest, reserve_result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::answer::{Answer, Called, outcome};
use crate::call::{ANSWER_BYTES_MAX, Client};
use crate::error::{CallError, Refusal};
use crate::id::request_id;

/// Reservations that a server takes in a message of the stream.
const MESSAGE_MAX: usize = 1_000;
/// Messages that may wait for the connection.
const MESSAGES_AHEAD: usize = 4;
/// Reservations that may wait for their answers; whoever comes then waits for a place.
const PENDING_MAX: usize = 10_000;

type Answered = Result<Answer<Hold>, CallError>;

/// Takes reservations from any number of tasks. Cheap to clone; the stream ends when all clones are gone.
#[derive(Clone, Debug)]
pub struct ReserveStream {
    items: mpsc::Sender<Item>,
    deadline: Duration,
}

/// A reservation that waits for its answer.
#[derive(Debug)]
struct Item {
    request: ReserveRequest,
    reply: oneshot::Sender<Answered>,
    end: Instant,
    tries: u32,
}

impl Client {
    /// A stream of reservations. It is opened with the first of them. Needs a running tokio runtime.
    #[must_use]
    pub fn reserve_stream(&self) -> ReserveStream {
        let (items, queue) = mpsc::channel(MESSAGE_MAX);
        tokio::spawn(drive(self.clone(), queue));
        ReserveStream { items, deadline: self.deadline }
    }
}

impl ReserveStream {
    /// As [`Client::reserve`]. What comes while a message is on its way goes into the next one together.
    ///
    /// # Errors
    /// What [`CallError`] lists, for this reservation alone.
    pub async fn reserve(&self, mut request: ReserveRequest) -> Answered {
        if request.request_id.is_empty() {
            request.request_id = request_id();
        }
        let id = request.request_id.clone();
        let end = Instant::now() + self.deadline;
        let (reply, answer) = oneshot::channel();
        let item = Item { request, reply, end, tries: 0 };
        if timeout_at(end, self.items.send(item)).await.is_err() {
            let last = Refusal::of(&Status::deadline_exceeded("too many reservations wait for the stream"));
            return Err(CallError::Unavailable { tries: 0, last: Box::new(last) });
        }
        match timeout_at(end, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_gone)) => Err(unknown(&id, 1, &Status::cancelled("the runtime of the stream has ended"))),
            Err(_elapsed) => Err(unknown(&id, 1, &Status::deadline_exceeded("no answer on the stream in time"))),
        }
    }
}

fn unknown(id: &str, tries: u32, status: &Status) -> CallError {
    CallError::UnknownOutcome { request_id: id.to_owned(), tries, last: Box::new(Refusal::of(status)) }
}

/// Opens stream after stream until nobody can send any more.
async fn drive(client: Client, mut queue: mpsc::Receiver<Item>) {
    let mut pending = VecDeque::new();
    let mut failures = 0;
    loop {
        if pending.is_empty() {
            match queue.recv().await {
                Some(item) => pending.push_back(item),
                None => return,
            }
        }
        let before = pending.front().map(|item: &Item| item.request.request_id.clone());
        let Some(status) = one_stream(&client, &mut queue, &mut pending).await else { return };
        let progress = pending.front().map(|item| item.request.request_id.clone()) != before;
        failures = if progress { 1 } else { failures + 1 };
        let last = Refusal::of(&status);
        // Whose caller has left is not sent again; who was tried often enough learns how it stands.
        pending.retain(|item| !item.reply.is_closed());
        let (tried_out, rest): (VecDeque<Item>, _) =
            pending.into_iter().partition(|item| item.tries >= client.retry.tries_max);
        pending = rest;
        for item in tried_out {
            let error = unknown(&item.request.request_id, item.tries, &status);
            // The caller may leave at any time.
            let _left = item.reply.send(Err(error));
        }
        tokio::time::sleep(client.retry.wait(failures, last.retry_after)).await;
    }
}

/// Sends and answers until the stream breaks, which gives why, or until nobody can send and all is answered.
async fn one_stream(client: &Client, queue: &mut mpsc::Receiver<Item>, pending: &mut VecDeque<Item>) -> Option<Status> {
    let (messages, outgoing) = mpsc::channel(MESSAGES_AHEAD);
    let (way, transport) = client.pool.take();
    let mut stub = AllocationServiceClient::new(transport).max_decoding_message_size(ANSWER_BYTES_MAX);
    let opening = async move { stub.reserve_stream(ReceiverStream::new(outgoing)).await };
    tokio::pin!(opening);
    let mut answers: Option<Streaming<_>> = None;
    let (mut sent, mut closed) = (0, false);
    let broken = loop {
        if closed && pending.is_empty() {
            return None;
        }
        let oldest = pending.front().map(|item| item.end);
        tokio::select! {
            place = messages.reserve(), if sent < pending.len() => match place {
                Ok(place) => {
                    let until = pending.len().min(sent + MESSAGE_MAX);
                    place.send(message(pending.range_mut(sent..until)));
                    sent = until;
                }
                Err(_dropped) => break Status::unavailable("the stream takes no more"),
            },
            opened = &mut opening, if answers.is_none() => match opened {
                Ok(opened) => answers = Some(opened.into_inner()),
                Err(status) => break status,
            },
            answer = next(&mut answers), if answers.is_some() => match answer {
                Ok(results) => for result in results {
                    if let Some(item) = pending.pop_front() {
                        sent = sent.saturating_sub(1);
                        answer_one(item, result);
                    }
                },
                Err(status) => break status,
            },
            item = queue.recv(), if !closed && pending.len() < PENDING_MAX => match item {
                Some(item) => pending.push_back(item),
                None => closed = true,
            },
            // A server that leaves the oldest without an answer for all its time is left; what came after is tried anew.
            () = sleep_until(oldest.unwrap_or_else(Instant::now)), if oldest.is_some() => {
                break Status::deadline_exceeded("the stream gave no answer in time");
            }
        }
    };
    client.pool.failed(way);
    Some(broken)
}

fn message<'a>(items: impl Iterator<Item = &'a mut Item>) -> ReserveStreamRequest {
    let request = |item: &mut Item| {
        item.tries += 1;
        item.request.clone()
    };
    ReserveStreamRequest { requests: items.map(request).collect() }
}

async fn next(
    answers: &mut Option<Streaming<quartermaster_proto::v1::ReserveStreamResponse>>,
) -> Result<Vec<ReserveResult>, Status> {
    match answers {
        Some(answers) => match answers.message().await? {
            Some(message) => Ok(message.results),
            None => Err(Status::unavailable("the server ended the stream")),
        },
        None => std::future::pending().await,
    }
}

fn answer_one(item: Item, result: ReserveResult) {
    let id = item.request.request_id;
    let answered = match result.result {
        Some(reserve_result::Result::Response(answer)) => {
            Ok(outcome(Called { answer, request_id: id, tries: item.tries }))
        }
        Some(reserve_result::Result::Error(error)) => Err(CallError::of_item(&id, &error)),
        None => Err(unknown(&id, item.tries, &Status::unknown("the server answered with nothing"))),
    };
    // The caller may have left.
    let _left = item.reply.send(answered);
}
