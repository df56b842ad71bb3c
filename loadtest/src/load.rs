//! Loads a catalogue with its stock through the calls that anybody would use.

use std::time::{Duration, Instant};

use quartermaster_proto::v1::{
    Channel, ImportRow, ImportStockRequest, Location, Sku, UpsertChannelsRequest, UpsertLocationsRequest,
    UpsertSkusRequest,
};
use tonic::Status;

use crate::client::{Client, RetryPolicy, sentence};

/// Rows a message of the import.
const ROWS_PER_MESSAGE: usize = 5_000;
/// Time for the import of all stock.
const IMPORT_TIME_MAX: Duration = Duration::from_secs(60);

/// A catalogue that could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed: {}", sentence(.status))]
pub struct LoadError {
    /// Name of the RPC.
    pub call: &'static str,
    /// How it ended.
    pub status: Status,
}

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The network.
    pub locations: Vec<Location>,
    /// Where orders come from; may be empty.
    pub channels: Vec<Channel>,
    /// The opening.
    pub skus: Vec<Sku>,
    /// The stock, one row a cell.
    pub rows: Vec<ImportRow>,
}

/// What a load took.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// The server had done it before under the same run.
    pub replayed: bool,
    /// Cells the server took.
    pub cells: u64,
    /// All calls together.
    pub elapsed: Duration,
}

/// Loads `opening` under request ids that begin with `run`: again under the same run it changes nothing.
///
/// # Errors
/// With the call that failed.
pub async fn load(client: &Client, opening: Opening, run: &str) -> Result<Loaded, LoadError> {
    let failed = |call| move |status| LoadError { call, status };
    let client = client.with_retry(RetryPolicy { deadline: IMPORT_TIME_MAX, ..client.retry() });
    let started = Instant::now();
    let request = UpsertLocationsRequest { request_id: format!("{run}-locations"), locations: opening.locations };
    let answered = client.call(&request, |request| {
        let mut catalog = client.catalog();
        async move { catalog.upsert_locations(request).await }
    });
    let replayed = answered.await.result.map_err(failed("UpsertLocations"))?.replayed;
    if !opening.channels.is_empty() {
        let request = UpsertChannelsRequest { request_id: format!("{run}-channels"), channels: opening.channels };
        let answered = client.call(&request, |request| {
            let mut catalog = client.catalog();
            async move { catalog.upsert_channels(request).await }
        });
        answered.await.result.map_err(failed("UpsertChannels"))?;
    }
    for (part, skus) in opening.skus.chunks(ROWS_PER_MESSAGE).enumerate() {
        let request = UpsertSkusRequest { request_id: format!("{run}-skus-{part}"), skus: skus.to_vec() };
        let answered = client.call(&request, |request| {
            let mut catalog = client.catalog();
            async move { catalog.upsert_skus(request).await }
        });
        answered.await.result.map_err(failed("UpsertSkus"))?;
    }
    let cells = import(&client, &opening.rows, &format!("{run}-stock")).await.map_err(failed("ImportStock"))?;
    Ok(Loaded { replayed, cells, elapsed: started.elapsed() })
}

/// Sets `rows` as one import; how many the server took.
async fn import(client: &Client, rows: &[ImportRow], request_id: &str) -> Result<u64, Status> {
    let mut messages: Vec<ImportStockRequest> = rows
        .chunks(ROWS_PER_MESSAGE)
        .map(|rows| ImportStockRequest { rows: rows.to_vec(), ..Default::default() })
        .collect();
    if let Some(first) = messages.first_mut() {
        first.request_id = request_id.to_owned();
        first.reference = request_id.to_owned();
    }
    let answered = client.call(&messages, |request| {
        let mut inventory = client.inventory();
        let deadline = client.retry().deadline;
        async move {
            let mut request = tonic::Request::new(tokio_stream::iter(request.into_inner()));
            request.set_timeout(deadline);
            client.authorize(&mut request);
            inventory.import_stock(request).await
        }
    });
    answered.await.result.map(|response| u64::try_from(response.rows).unwrap_or(0))
}
