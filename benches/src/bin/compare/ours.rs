//! Quartermaster as a new user starts it, and the gRPC lanes that it shares with the echoes.

use std::path::Path;
use std::process::Command;
use std::slice;
use std::time::Duration;

use prost_types::Duration as Ttl;
use quartermaster_benches::matrix::{location_code, sku_code};
use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_loadtest::load::{Opening, load};
use quartermaster_proto::v1::admin_service_client::AdminServiceClient;
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use quartermaster_proto::v1::{self as api, reserve_response, reserve_result};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::Failure;
use crate::contender::{Granted, Kind, Lane as AnyLane, Server, Wire};
use crate::demand::{HELD_FOR, HOT, LOCATIONS, Order, SKUS, SOLD_OUT, UNITS, units_in_all};
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
    Ok(Server { kind: Kind::Ours, process, address, granted: Granted::default() })
}

/// What its books say was granted: reservations, and stock that is no longer to be had.
pub(crate) async fn granted(address: &str) -> Result<Granted, Failure> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let status = AdminServiceClient::new(channel.clone()).get_status(api::GetStatusRequest {}).await?.into_inner();
    let mut inventory = InventoryServiceClient::new(channel);
    let mut left = 0;
    for start in (0..=HOT).step_by(1_000) {
        let skus = (start..(start + 1_000).min(HOT + 1)).map(sku_code).collect();
        let request = api::GetAvailabilityRequest { skus, ..api::GetAvailabilityRequest::default() };
        let answer = inventory.get_availability(request).await?.into_inner();
        left += answer.skus.iter().map(|sku| sku.available).sum::<i64>();
    }
    Ok(Granted { orders: status.reservations_held, units: units_in_all().abs_diff(u64::try_from(left)?) })
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
        ttl: Ttl::try_from(HELD_FOR).ok(),
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
            Wire::Transaction { .. } => return Err("gRPC knows no transactions".into()),
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
    pub(crate) async fn step(&mut self, orders: &[Order]) -> Result<Granted, Failure> {
        let mut granted = Granted::default();
        match self {
            Lane::Single(client) => {
                for order in orders {
                    granted = granted + of_answer(order, client.reserve(request(order)).await?.get_ref())?;
                }
            }
            Lane::Batch(client) => {
                let requests = orders.iter().map(request).collect();
                let answer = client.reserve_batch(api::ReserveBatchRequest { requests }).await?.into_inner();
                granted = all(orders, &answer.results)?;
            }
            Lane::Stream { orders: sender, answers } => {
                for order in orders {
                    sender.send(api::ReserveStreamRequest { requests: vec![request(order)] }).await?;
                }
                for order in orders {
                    let answer = answers.message().await?.ok_or("the stream ended")?;
                    granted = granted + all(slice::from_ref(order), &answer.results)?;
                }
            }
        }
        Ok(granted)
    }
}

fn all(orders: &[Order], results: &[api::ReserveResult]) -> Result<Granted, Failure> {
    if results.len() != orders.len() {
        return Err(format!("{} orders were answered with {}", orders.len(), results.len()).into());
    }
    let of_result = |(order, result): (&Order, &api::ReserveResult)| match &result.result {
        Some(reserve_result::Result::Response(response)) => of_answer(order, response),
        other => Err(format!("an order failed: {other:?}").into()),
    };
    orders.iter().zip(results).map(of_result).sum()
}

/// What an answer grants: all of it, or nothing when it is sold out. Everything else is no answer to this load.
fn of_answer(order: &Order, answer: &api::ReserveResponse) -> Result<Granted, Failure> {
    match &answer.outcome {
        Some(reserve_response::Outcome::Hold(_)) => Ok(Granted::order(order)),
        Some(reserve_response::Outcome::Rejection(rejection))
            if rejection.reason() == api::RejectionReason::InsufficientStock =>
        {
            Ok(Granted::default())
        }
        other => Err(format!("unexpected answer: {other:?}").into()),
    }
}
