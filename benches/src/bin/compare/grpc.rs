//! Lanes over gRPC: those of Quartermaster, and of the echoes that lie below it.

use std::sync::Arc;

use http::uri::PathAndQuery;
use quartermaster_proto::v1::RejectionReason;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

use crate::Failure;
use crate::caller::Connection;
use crate::contender::{Granted, Lane as AnyLane, Wire};
use crate::demand::Order;
use crate::message::{Answer, BatchAnswer, ItemAnswer, Orders, Outgoing, StreamAnswer};

const RESERVE: &str = "/quartermaster.v1.AllocationService/Reserve";
const RESERVE_BATCH: PathAndQuery = PathAndQuery::from_static("/quartermaster.v1.AllocationService/ReserveBatch");
const RESERVE_STREAM: PathAndQuery = PathAndQuery::from_static("/quartermaster.v1.AllocationService/ReserveStream");

/// One caller.
pub(crate) enum Lane {
    Single(Connection),
    Batch(Grpc<Channel>),
    Stream { orders: mpsc::Sender<Outgoing>, answers: Streaming<StreamAnswer> },
}

/// Connects.
pub(crate) async fn lanes(address: &str, wire: Wire) -> Result<Vec<AnyLane>, Failure> {
    let (lanes, connections) = wire.lanes();
    if let Wire::Single { .. } = wire {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(address, RESERVE).await?);
        }
        return Ok(opened.iter().cycle().take(lanes).cloned().map(|one| AnyLane::Grpc(Lane::Single(one))).collect());
    }
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(endpoint.connect().await?);
    }
    let mut made = Vec::new();
    for number in 0..lanes {
        let client = Grpc::new(channels[number % channels.len()].clone());
        made.push(AnyLane::Grpc(match wire {
            Wire::Batch { .. } => Lane::Batch(client),
            Wire::Piped { depth, .. } => stream(client, depth).await?,
            Wire::Single { .. } | Wire::Transaction { .. } => return Err("no lane of this kind".into()),
        }));
    }
    Ok(made)
}

async fn stream(mut client: Grpc<Channel>, depth: usize) -> Result<Lane, Failure> {
    let (orders, waiting) = mpsc::channel(depth);
    client.ready().await?;
    let messages = Request::new(ReceiverStream::new(waiting));
    let answers = client.streaming(messages, RESERVE_STREAM, Orders::new()).await?.into_inner();
    Ok(Lane::Stream { orders, answers })
}

impl Lane {
    pub(crate) async fn step(&mut self, orders: &Arc<[Order]>) -> Result<Granted, Failure> {
        let outgoing = |range| Outgoing { orders: Arc::clone(orders), range };
        let mut granted = Granted::default();
        match self {
            Lane::Single(connection) => {
                for order in orders.iter() {
                    granted = granted + of_answer(order, &connection.reserve(order).await?)?;
                }
            }
            Lane::Batch(client) => {
                client.ready().await?;
                let request = Request::new(outgoing(0..orders.len()));
                let answer: BatchAnswer = client.unary(request, RESERVE_BATCH, Orders::new()).await?.into_inner();
                granted = of_items(orders, &answer.results)?;
            }
            Lane::Stream { orders: sender, answers } => {
                for place in 0..orders.len() {
                    sender.send(outgoing(place..place + 1)).await?;
                }
                for order in orders.iter() {
                    let answer = answers.message().await?.ok_or("the stream ended")?;
                    granted = granted + of_items(std::slice::from_ref(order), &answer.results)?;
                }
            }
        }
        Ok(granted)
    }
}

fn of_items(orders: &[Order], items: &[ItemAnswer]) -> Result<Granted, Failure> {
    if items.len() != orders.len() {
        return Err(format!("{} orders were answered with {}", orders.len(), items.len()).into());
    }
    let of_item = |(order, item): (&Order, &ItemAnswer)| match &item.response {
        Some(answer) => of_answer(order, answer),
        None => Err("an order failed".into()),
    };
    orders.iter().zip(items).map(of_item).sum()
}

/// What an answer grants: all of it, or nothing when it is sold out. Everything else is no answer to this load.
fn of_answer(order: &Order, answer: &Answer) -> Result<Granted, Failure> {
    const SOLD_OUT: RejectionReason = RejectionReason::InsufficientStock;
    match (&answer.hold, &answer.rejection) {
        (Some(_), None) => Ok(Granted::order(order)),
        (None, Some(rejection)) if rejection.reason == i32::from(SOLD_OUT) => Ok(Granted::default()),
        _ => Err(format!("unexpected answer: {answer:?}").into()),
    }
}
