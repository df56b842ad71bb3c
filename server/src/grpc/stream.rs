//! Reservations as they come: one task reads and decides, the answers follow in order as their events become durable.
//!
//! Between the two stands a bounded queue. While it is full nothing is read, and HTTP/2's flow control holds the caller back.

use std::sync::Arc;

use quartermaster_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

use super::{batch::Decided, caller::Caller, convert::checks::Checks, legible, limits, status::ApiError};
use crate::node::Node;

/// The answers to the messages of `inbound`. They end with it, or after the answer to the last good message with its error.
pub(crate) fn answers(
    node: Arc<Node>,
    caller: Caller,
    inbound: Streaming<v1::ReserveStreamRequest>,
) -> impl Stream<Item = Result<v1::ReserveStreamResponse, Status>> + Send + 'static {
    let (queue, decided) = mpsc::channel(limits::STREAM_MESSAGES_MAX.size());
    tokio::spawn(read(Arc::clone(&node), caller, inbound, queue));
    ReceiverStream::new(decided).then(move |decided| {
        let node = Arc::clone(&node);
        async move { settled(&node, decided?).await }
    })
}

/// Reads and decides until the caller has no more, makes a mistake or leaves.
async fn read(
    node: Arc<Node>,
    caller: Caller,
    mut inbound: Streaming<v1::ReserveStreamRequest>,
    queue: mpsc::Sender<Result<Decided, Status>>,
) {
    // A place in the queue comes first: what is decided can be told.
    while let Ok(place) = queue.reserve().await {
        let message = tokio::select! {
            message = inbound.message() => message,
            () = queue.closed() => return,
        };
        let requests = match message {
            Ok(Some(message)) => message.requests,
            Ok(None) => return,
            Err(broken) => return place.send(Err(legible::status(broken))),
        };
        if let Err(error) = check(requests.len()) {
            return place.send(Err(error.into()));
        }
        tokio::select! {
            () = caller.charge_in_time(requests.len()) => {}
            () = queue.closed() => return,
        }
        place.send(Ok(Decided::of(&node, &caller, requests).await));
    }
}

fn check(requests: usize) -> Result<(), ApiError> {
    let mut checks = Checks::default();
    checks.length("requests", requests, 1, &limits::STREAM_REQUESTS_MAX);
    checks.finish(())
}

async fn settled(node: &Node, decided: Decided) -> Result<v1::ReserveStreamResponse, Status> {
    node.settle(decided.lsn).await?;
    Ok(v1::ReserveStreamResponse { results: decided.results })
}
