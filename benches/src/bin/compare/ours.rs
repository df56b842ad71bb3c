//! Quartermaster as a new user starts it, and the gRPC lanes that it shares with the echoes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use prost_types::Duration as Ttl;
use quartermaster_benches::matrix::{location_code, sku_code};
use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_loadtest::load::{Opening, load};
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::{self as api, reserve_response, reserve_result};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::Failure;
use crate::contender::{Kind, Lane as AnyLane, Server, Taken, Wire};
use crate::demand::{HOT, LOCATIONS, Order, SKUS, SOLD_OUT, UNITS};
use crate::process::{Cores, Process};

/// Starts `binary` with its defaults and loads the catalogue.
pub(crate) async fn start(binary: &Path, directory: &Path, cores: Cores) -> Result<Server, Failure> {
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data-dir").arg(directory.join("quartermaster"));
    command.args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    let log = directory.join("quartermaster.log");
    let mut process = Process::start(command, cores, &log)?;
    let address = ready(&mut process, &log).await?;
    let client = Client::connect(&format!("http://{address}"), 1, RetryPolicy::default()).await?;
    load(&client, opening(), "compare").await?;
    Ok(Server { kind: Kind::Ours, process, address })
}

/// The address in the line that servers of ours print when they are ready.
pub(crate) async fn ready(process: &mut Process, log: &Path) -> Result<String, Failure> {
    loop {
        let printed = std::fs::read_to_string(log)?;
        let complete = printed.rsplit_once('\n').map_or("", |(lines, _)| lines);
        if let Some(address) = complete.split_whitespace().find_map(|word| word.strip_prefix("grpc=")) {
            return Ok(address.to_owned());
        }
        if process.has_ended() {
            return Err("the server ended before it was ready".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn opening() -> Opening {
    let location = |number| api::Location { code: location_code(number), ..api::Location::default() };
    let sku = |number| api::Sku { code: sku_code(number), sellable: Some(true), ..api::Sku::default() };
    let row = |sku, location, units: u32| api::ImportRow {
        sku: sku_code(sku),
        location: location_code(location),
        on_hand: units.into(),
        ..api::ImportRow::default()
    };
    let spread = (0..SKUS).flat_map(|sku| (0..LOCATIONS).map(move |location| row(sku, location, UNITS)));
    let rows = spread.chain([row(HOT, 0, UNITS), row(SOLD_OUT, 0, 0)]).collect();
    let locations = (0..LOCATIONS).map(location).collect();
    Opening { locations, skus: (0..=SOLD_OUT).map(sku).collect(), rows, ..Opening::default() }
}

/// An order as a gateway sends it.
fn request(order: &Order) -> api::ReserveRequest {
    let lines = order.lines.iter().map(|line| api::ReserveLine {
        sku: sku_code(line.sku),
        quantity: 1,
        location: location_code(line.location),
        sourcing: None,
    });
    api::ReserveRequest {
        request_id: order.request_id(),
        order_id: format!("O{:015}", order.id),
        buyer_id: format!("B{:09}", order.buyer()),
        lines: lines.collect(),
        ttl: Some(Ttl { seconds: 900, nanos: 0 }),
        ..api::ReserveRequest::default()
    }
}

/// One caller over gRPC.
pub(crate) enum Lane {
    Single(AllocationServiceClient<Channel>),
    Batch(AllocationServiceClient<Channel>),
    Stream { orders: mpsc::Sender<api::ReserveStreamRequest>, answers: Streaming<api::ReserveStreamResponse> },
}

/// Connects.
pub(crate) async fn lanes(address: &str, wire: Wire) -> Result<Vec<AnyLane>, Failure> {
    let (lanes, connections) = wire.lanes();
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(endpoint.connect().await?);
    }
    let mut made = Vec::new();
    for number in 0..lanes {
        let client = AllocationServiceClient::new(channels[number % channels.len()].clone());
        made.push(AnyLane::Grpc(match wire {
            Wire::Single { .. } => Lane::Single(client),
            Wire::Batch { .. } => Lane::Batch(client),
            Wire::Piped { depth, .. } => stream(client, depth).await?,
        }));
    }
    Ok(made)
}

async fn stream(mut client: AllocationServiceClient<Channel>, depth: usize) -> Result<Lane, Failure> {
    let (orders, waiting) = mpsc::channel(depth);
    let answers = client.reserve_stream(ReceiverStream::new(waiting)).await?.into_inner();
    Ok(Lane::Stream { orders, answers })
}

impl Lane {
    pub(crate) async fn step(&mut self, orders: &[Order]) -> Result<Taken, Failure> {
        let mut taken = 0;
        match self {
            Lane::Single(client) => {
                for order in orders {
                    taken += granted(client.reserve(request(order)).await?.get_ref())?;
                }
            }
            Lane::Batch(client) => {
                let requests = orders.iter().map(request).collect();
                let answer = client.reserve_batch(api::ReserveBatchRequest { requests }).await?.into_inner();
                taken = all(answer.results, orders.len())?;
            }
            Lane::Stream { orders: sender, answers } => {
                for order in orders {
                    sender.send(api::ReserveStreamRequest { requests: vec![request(order)] }).await?;
                }
                for _ in orders {
                    let answer = answers.message().await?.ok_or("the stream ended")?;
                    taken += all(answer.results, 1)?;
                }
            }
        }
        Ok(Taken(taken))
    }
}

fn all(results: Vec<api::ReserveResult>, asked: usize) -> Result<u64, Failure> {
    if results.len() != asked {
        return Err(format!("{asked} orders were answered with {}", results.len()).into());
    }
    results.into_iter().try_fold(0, |taken, result| match result.result {
        Some(reserve_result::Result::Response(response)) => Ok(taken + granted(&response)?),
        other => Err(format!("an order failed: {other:?}").into()),
    })
}

/// 1 for a hold, 0 for sold out; everything else is no answer to this load.
fn granted(answer: &api::ReserveResponse) -> Result<u64, Failure> {
    match &answer.outcome {
        Some(reserve_response::Outcome::Hold(_)) => Ok(1),
        Some(reserve_response::Outcome::Rejection(rejection))
            if rejection.reason() == api::RejectionReason::InsufficientStock =>
        {
            Ok(0)
        }
        other => Err(format!("unexpected answer: {other:?}").into()),
    }
}
