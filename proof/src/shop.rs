//! A small catalogue with more stock than a campaign can sell, and the calls of a sale on it.

use quartermaster_loadtest::client::Client;
use quartermaster_loadtest::load::{LoadError, Opening, load};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::{ImportRow, Location, ReserveLine, ReserveRequest, Sku};

/// The one place that has it all.
const LOCATION: &str = "DC-1";
/// SKUs of the catalogue.
const SKUS: u64 = 1_000;
/// Units of each.
const UNITS: i64 = 1_000_000_000;
/// Seconds a hold lasts: long enough to be confirmed, short enough that what is not comes back within a campaign.
const TTL_SECONDS: i64 = 30;

/// Loads it.
///
/// # Errors
/// With the call that failed.
pub async fn open(client: &Client) -> Result<(), LoadError> {
    let codes = || (0..SKUS).map(code);
    let opening = Opening {
        locations: vec![Location { code: LOCATION.to_owned(), name: LOCATION.to_owned(), ..Location::default() }],
        skus: codes().map(|code| Sku { code, ..Sku::default() }).collect(),
        rows: codes()
            .map(|sku| ImportRow { sku, location: LOCATION.to_owned(), on_hand: UNITS, ..ImportRow::default() })
            .collect(),
        ..Opening::default()
    };
    load(client, opening, "shop").await.map(|_loaded| ())
}

/// Reservation `index` of `run`: `lines` lines of one unit, of SKUs drawn by the index.
pub fn order(run: &str, index: u64, lines: u64) -> ReserveRequest {
    let first = SplitMix64::for_item(1, index).below(SKUS);
    let line = |at| ReserveLine { sku: code((first + at) % SKUS), quantity: 1, ..ReserveLine::default() };
    ReserveRequest {
        request_id: format!("{run}-{index}"),
        order_id: format!("{run}-{index}"),
        buyer_id: format!("buyer-{}", index % 1_000),
        lines: (0..lines).map(line).collect(),
        ttl: Some(prost_types::Duration { seconds: TTL_SECONDS, nanos: 0 }),
        ..ReserveRequest::default()
    }
}

fn code(at: u64) -> String {
    format!("SKU-{at:04}")
}
