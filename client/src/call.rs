//! One call: its tries under one request id, within one deadline.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use quartermaster_proto::Unary;
use tokio::time::{Instant, timeout_at};
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::answer::Called;
use crate::builder::Builder;
use crate::error::{CallError, Refusal, Verdict};
use crate::id::request_id;
use crate::pool::{Pool, Transport};
use crate::retry::{Budget, Retry};

/// Largest answer that is taken: a page of the largest reservations stays well below.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Calls servers of Quartermaster. Cheap to clone; clones share connections and the retry budget.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) pool: Arc<Pool>,
    budget: Arc<Budget>,
    pub(crate) retry: Retry,
    pub(crate) deadline: Duration,
}

impl Client {
    /// Says how to call the server at `target`: `http://HOST:PORT`, `https://HOST:PORT`, or `HOST:PORT` for the first.
    pub fn builder(target: &str) -> Builder {
        Builder::new(target)
    }

    pub(crate) fn new(pool: Arc<Pool>, budget: Arc<Budget>, retry: Retry, deadline: Duration) -> Client {
        Client { pool, budget, retry, deadline }
    }

    /// The same connections with another time for a call and all its tries.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Client {
        Client { deadline, ..self.clone() }
    }

    /// The same connections and budget under another policy.
    #[must_use]
    pub fn with_retry(&self, retry: Retry) -> Client {
        Client { retry, ..self.clone() }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.pool.len()
    }

    /// The next connection, for a generated stub: `CatalogServiceClient::new(client.transport())`. It sends the token; deadline, request
    /// id and retries are the caller's.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.pool.take().1
    }

    /// Calls the method that `request` belongs to. A change without a request id gets one; it is sent again under that id while its
    /// outcome is not known and policy, budget and deadline allow.
    ///
    /// # Errors
    /// As [`CallError`] tells what is known about the effect.
    pub async fn call<Q: Unary>(&self, mut request: Q) -> Result<Called<Q::Answer>, CallError> {
        let id = request.request_id_mut().map(|id| {
            if id.is_empty() {
                *id = request_id();
            }
            id.clone()
        });
        let done = self.run(id.as_deref(), || request.clone(), unary::<Q>).await;
        done.map(|(answer, tries)| Called { answer, request_id: id.unwrap_or_default(), tries })
    }

    /// Sends what `request` makes until there is an answer. `id`: of a change, under which it is told when the outcome is unknown.
    pub(crate) async fn run<Q, A, F>(
        &self,
        id: Option<&str>,
        request: impl Fn() -> Q,
        send: impl Fn(Transport, Request<Q>) -> F,
    ) -> Result<(A, u32), CallError>
    where
        F: Future<Output = Result<A, Status>>,
    {
        self.budget.earn();
        let end = Instant::now() + self.deadline;
        let (mut tries, mut in_doubt) = (0, false);
        loop {
            tries += 1;
            let (way, transport) = self.pool.take();
            let until = self.retry.try_time.map_or(end, |time| end.min(Instant::now() + time));
            let mut attempt = Request::new(request());
            attempt.set_timeout(until.saturating_duration_since(Instant::now()));
            let sent = timeout_at(until, send(transport, attempt)).await;
            let status = match sent {
                Ok(Ok(answer)) => return Ok((answer, tries)),
                Ok(Err(status)) => status,
                Err(_elapsed) => Status::deadline_exceeded("no answer in the time of the try"),
            };
            let last = Refusal::of(&status);
            match last.verdict {
                Verdict::Final => return Err(CallError::of_final(last)),
                Verdict::NotDone => {}
                Verdict::Unknown => in_doubt = true,
            }
            if last.verdict == Verdict::Unknown || last.code == tonic::Code::Unavailable {
                self.pool.failed(way);
            }
            let wait = self.retry.wait(tries, last.retry_after);
            let again = tries < self.retry.tries_max && Instant::now() + wait < end && self.budget.spend();
            if !again {
                return Err(ended(id.filter(|_| in_doubt), tries, last));
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// The end of a call that may not be sent again. `in_doubt`: the id of a change that may have been done.
fn ended(in_doubt: Option<&str>, tries: u32, last: Refusal) -> CallError {
    let last = Box::new(last);
    match in_doubt {
        Some(id) => CallError::UnknownOutcome { request_id: id.to_owned(), tries, last },
        None if last.code == tonic::Code::ResourceExhausted => CallError::Full(last),
        None => CallError::Unavailable { tries, last },
    }
}

/// One try of a call.
pub(crate) async fn unary<Q: Unary>(transport: Transport, request: Request<Q>) -> Result<Q::Answer, Status> {
    let mut grpc = Grpc::new(transport).max_decoding_message_size(ANSWER_BYTES_MAX);
    ready(&mut grpc).await?;
    let codec: ProstCodec<Q, Q::Answer> = ProstCodec::default();
    grpc.unary(request, PathAndQuery::from_static(Q::PATH), codec).await.map(tonic::Response::into_inner)
}

/// Waits until the connection takes a call. What goes wrong there was not sent, or the connection broke before: told by its cause.
pub(crate) async fn ready(grpc: &mut Grpc<Transport>) -> Result<(), Status> {
    grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))
}
