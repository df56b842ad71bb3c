//! Quartermaster as a new user starts it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use quartermaster_benches::matrix::{location_code, sku_code};
use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_loadtest::load::{Opening, load};
use quartermaster_proto::v1 as api;
use quartermaster_proto::v1::admin_service_client::AdminServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use tonic::transport::Endpoint;

use crate::Failure;
use crate::contender::{Granted, Kind, Server};
use crate::demand::{HOT, LOCATIONS, SKUS, SOLD_OUT, UNITS, units_in_all};
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
