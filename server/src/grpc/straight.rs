//! The straight lane: Reserve, ReserveBatch and ReserveStream, decoded from the bytes of their frames into commands and answered from
//! events into the bytes of frames.
//!
//! It takes what nearly every message is, and steps aside for all else: a message that is unusual or wrong is decoded by prost, checked and
//! converted as those of all other methods are, and an answer that is rare is made as theirs. Both ways lead to the same commands and the
//! same bytes, which `tests` holds them to. A call that asks for what gRPC allows and nobody uses, such as compression, goes to the
//! generated service as it came.

mod answer;
mod fields;
pub(super) mod frame;
mod inbound;
mod request;
pub(super) mod results;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use prost::Message;
use quartermaster_engine::{Answer, engine::Ordered};
use quartermaster_journal::Lsn;
use quartermaster_proto::v1;
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use self::{answer::Told, request::Order, results::Results};
use super::{
    batch::{self, Answers, Item},
    caller::Caller,
    convert::{answers, checks::Checks},
    legible,
    limits::{self, Limit},
    status::ApiError,
    stream,
};
use crate::node::Node;

/// How messages are compressed.
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes of an order of one line in a batch, to make room for.
const ORDER_BYTES: usize = 48;

/// Bytes of an answer to a Reserve of one line.
const ANSWER_BYTES: usize = 128;

/// Room before the answers of a batch for what is known when all stand: the head of the frame and the position, its numbers at their
/// longest.
const BATCH_HEAD_BYTES: usize = frame::HEAD_BYTES + 30;

/// A service of which the methods of the lane are answered in it.
#[derive(Clone)]
pub(crate) struct Straight<S> {
    node: Arc<Node>,
    message_bytes_max: usize,
    others: S,
}

/// Methods of the lane.
#[derive(Clone, Copy, Debug)]
enum Method {
    Reserve,
    ReserveBatch,
    ReserveStream,
}

impl Method {
    fn of<B>(request: &Request<B>) -> Option<Self> {
        let encoding = request.headers().get(&GRPC_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            return None;
        }
        match request.uri().path().strip_prefix("/quartermaster.v1.AllocationService/")? {
            "Reserve" => Some(Self::Reserve),
            "ReserveBatch" => Some(Self::ReserveBatch),
            "ReserveStream" => Some(Self::ReserveStream),
            _ => None,
        }
    }
}

impl<S> Straight<S> {
    /// Messages of more than `message_bytes_max` are refused before they are read.
    pub(crate) fn new(node: &Arc<Node>, message_bytes_max: usize, others: S) -> Self {
        Self { node: Arc::clone(node), message_bytes_max, others }
    }
}

impl<S> Straight<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync,
{
    /// Answers a call.
    pub(crate) async fn answer(&self, request: &mut Request<Body>) -> Response<Body> {
        let limit = self.message_bytes_max;
        match Method::of(request) {
            None => self.pass(request).await,
            Some(Method::Reserve) => self.reserve(request).await,
            Some(Method::ReserveBatch) => answered(Box::pin(reserve_batch(&self.node, limit, request)).await),
            Some(Method::ReserveStream) => {
                let caller = Caller::of_http(request);
                let inbound = inbound::messages(mem::take(request.body_mut()), limit);
                frame::response(stream::answers(Arc::clone(&self.node), caller, inbound))
            }
        }
    }

    /// Leaves a call to the generated service. Boxed, so that those of the lane do not carry about the room that this needs.
    async fn pass(&self, request: &mut Request<Body>) -> Response<Body> {
        Box::pin(self.others.clone().call(mem::take(request))).await.unwrap_or_else(|never| match never {})
    }

    /// Answers a Reserve; one that is unusual is passed on.
    async fn reserve(&self, request: &mut Request<Body>) -> Response<Body> {
        let caller = Caller::of_http(request);
        // Bounds are held against messages, not against commands.
        if caller.is_bound() {
            return self.pass(request).await;
        }
        let whole = inbound::whole(mem::take(request.body_mut())).await;
        let decided = whole.message(self.message_bytes_max).and_then(|message| decide(&self.node, &caller, message));
        let Some((lsn, answer)) = decided else {
            *request.body_mut() = Body::new(whole);
            return self.pass(request).await;
        };
        let settled = self.node.settle(lsn).await;
        answered(settled.and(answer).map_err(Status::from))
    }
}

impl<S> Service<Request<Body>> for Straight<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.others.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let lane = self.clone();
        Box::pin(async move { Ok(lane.answer(&mut request).await) })
    }
}

impl<S: NamedService> NamedService for Straight<S> {
    const NAME: &'static str = S::NAME;
}

fn answered(answer: Result<Bytes, Status>) -> Response<Body> {
    match answer {
        Ok(frame) => frame::response_of_one(frame),
        Err(status) => legible::status(status).into_http(),
    }
}

/// Decides a Reserve of the lane. Its answer may be told when everything up to the position is durable.
fn decide(node: &Node, caller: &Caller, message: &[u8]) -> Option<(Lsn, Result<Bytes, ApiError>)> {
    let answer = match request::reserve(message)? {
        Order::Plain(order) => match node.submit_plain(&order, caller.name()) {
            Ok(Ordered::Granted(granted)) => {
                let frame = framed(|bytes| put_told(bytes, node, (granted.lsn, false), Told::Plain(&granted)));
                return Some((granted.lsn, Ok(frame)));
            }
            Ok(Ordered::Answered(answer)) => Ok(*answer),
            Err(error) => Err(error),
        },
        Order::More(mut order) => {
            let (request, command) = &mut *order;
            caller.sign(request);
            node.submit_now(request, command)
        }
    };
    Some(match answer {
        Ok(answer) => (answer.lsn, told(node, answer)),
        Err(error) => (node.rests_on(&error), Err(error)),
    })
}

/// The frame that tells an answer to a Reserve.
fn told(node: &Node, answer: Answer) -> Result<Bytes, ApiError> {
    if let Some(told) = Told::of(&answer) {
        return Ok(framed(|bytes| put_told(bytes, node, (answer.lsn, answer.replayed), told)));
    }
    let response = answers::reserve(node, answer)?;
    Ok(framed(|bytes| bytes.append(&mut response.encode_to_vec())))
}

fn put_told(bytes: &mut Vec<u8>, node: &Node, (lsn, replayed): (Lsn, bool), told: Told<'_>) {
    answer::put_response(bytes, &node.engine().catalogue(), &node.position(lsn), replayed, told);
}

/// A frame of one message.
fn framed(put: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = Vec::with_capacity(frame::HEAD_BYTES + ANSWER_BYTES);
    let start = frame::begin(&mut bytes);
    put(&mut bytes);
    frame::end(&mut bytes, start);
    bytes.into()
}

/// Answers a ReserveBatch.
async fn reserve_batch(node: &Node, limit: usize, request: &mut Request<Body>) -> Result<Bytes, Status> {
    let caller = Caller::of_http(request);
    let message = inbound::single(mem::take(request.body_mut()), limit).await?;
    let mut items = Vec::new();
    read(&caller, &message, &limits::BATCH_REQUESTS_MAX, &mut items)?;
    caller.charge(items.len())?;
    Ok(batch(node, &caller, items).await?)
}

/// Decides a batch and gives the frame of its answer.
async fn batch(node: &Node, caller: &Caller, items: Vec<Item<'_>>) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::with_capacity(BATCH_HEAD_BYTES + items.len() * ANSWER_BYTES);
    bytes.resize(BATCH_HEAD_BYTES, 0);
    let mut lsn = Lsn::ZERO;
    let tell = |answers: &mut Answers| {
        let mut results = Results::new(node);
        answers.drain(..).for_each(|answer| results.put(&mut bytes, 2, answer));
        lsn = lsn.max(results.lsn());
    };
    batch::decide(node, caller, items, tell).await;
    node.settle(lsn).await?;
    let mut position = Vec::with_capacity(BATCH_HEAD_BYTES);
    answer::put_position(&mut position, &node.position(lsn));
    let head = frame::head(bytes.len() - BATCH_HEAD_BYTES + position.len());
    let start = BATCH_HEAD_BYTES - position.len() - head.len();
    bytes[start..start + head.len()].copy_from_slice(&head);
    bytes[start + head.len()..BATCH_HEAD_BYTES].copy_from_slice(&position);
    Ok(Bytes::from(bytes).slice(start..))
}

/// Appends the reservations of a message that is a `ReserveBatchRequest` or a `ReserveStreamRequest`, which have the same field, and gives
/// how many they are. All are read before the first is decided: a message that cannot be read changes nothing.
///
/// # Errors
/// INVALID_ARGUMENT when it cannot be read, or has none or more than it may have.
pub(super) fn read<'a>(
    caller: &Caller,
    message: &'a [u8],
    limit: &Limit,
    items: &mut Vec<Item<'a>>,
) -> Result<usize, Status> {
    let before = items.len();
    items.reserve((message.len() / ORDER_BYTES).min(limit.size()));
    if caller.is_bound() || each(message, limit, items).is_none() {
        items.truncate(before);
        let decoded = v1::ReserveBatchRequest::decode(message);
        // As tonic would, so that it is told the same.
        let decoded = decoded.map_err(|error| legible::status(Status::internal(error.to_string())))?;
        items.extend(decoded.requests.into_iter().map(|message| Item::Message(Box::new(message))));
    }
    let read = items.len() - before;
    let mut checks = Checks::default();
    checks.length("requests", read, 1, limit);
    checks.finish(read).map_err(|wrong| {
        items.truncate(before);
        wrong.into()
    })
}

/// Reads each request; none when one of them is no message, or they are too many.
fn each<'a>(message: &'a [u8], limit: &Limit, items: &mut Vec<Item<'a>>) -> Option<()> {
    for (place, request) in request::requests(message).enumerate() {
        let request = request.filter(|_| place < limit.size())?;
        items.push(match request::reserve(request) {
            Some(Order::Plain(order)) => Item::Plain(order),
            Some(Order::More(order)) => Item::Order(order),
            None => Item::Message(Box::new(v1::ReserveRequest::decode(request).ok()?)),
        });
    }
    Some(())
}
