//! What is sold: one SKU that everybody wants, and a tail that lasts.

use std::collections::BTreeMap;

use quartermaster_loadtest::client::{Client, sentence};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::{Location, SetStockRequest, Sku, UpsertLocationsRequest, UpsertSkusRequest};

use super::operation::{Operation, Units};
use crate::Error;

/// Locations of the shop.
const LOCATIONS: [&str; 3] = ["L0", "L1", "L2"];
/// The SKU that sells out again and again.
pub const HOT: &str = "HOT";
/// SKUs of the tail.
const TAIL: u64 = 12;
/// Units of the hot SKU at each location, at the start.
const HOT_UNITS: i64 = 20;
/// Units of a SKU of the tail at each location: more than any campaign takes.
const TAIL_UNITS: i64 = 50_000_000;
/// Holds outlast every campaign.
const TTL_S: i64 = 6 * 3_600;

/// The units on hand before the first order, by SKU and location.
pub fn first_stock() -> BTreeMap<(String, String), i64> {
    skus()
        .flat_map(|sku| LOCATIONS.map(|location| (sku.clone(), location.to_owned())))
        .map(|cell| {
            let units = if cell.0 == HOT { HOT_UNITS } else { TAIL_UNITS };
            (cell, units)
        })
        .collect()
}

/// SKU codes.
pub fn skus() -> impl Iterator<Item = String> {
    std::iter::once(HOT.to_owned()).chain((0..TAIL).map(|number| format!("T{number}")))
}

/// Makes the catalogue and brings the stock in.
///
/// # Errors
/// When the server refuses.
pub async fn open(client: &Client) -> Result<(), Error> {
    let mut catalog = client.catalog();
    let locations = LOCATIONS.map(|code| Location { code: code.into(), ..Location::default() }).into();
    let request = UpsertLocationsRequest { request_id: "locations".into(), locations };
    catalog.upsert_locations(request).await.map_err(|status| sentence(&status))?;
    let all = skus().map(|code| Sku { code, ..Sku::default() }).collect();
    let request = UpsertSkusRequest { request_id: "skus".into(), skus: all };
    catalog.upsert_skus(request).await.map_err(|status| sentence(&status))?;
    for ((sku, location), quantity) in first_stock() {
        let request_id = format!("first-{sku}-{location}");
        let set = SetStockRequest { request_id, sku, location, quantity, ..SetStockRequest::default() };
        client.inventory().set_stock(set).await.map_err(|status| sentence(&status))?;
    }
    Ok(())
}

/// An order: half of them for the hot SKU, one in three with several lines.
pub fn order(random: &mut SplitMix64) -> Operation {
    let mut lines = BTreeMap::new();
    let mut sku = if random.chance(0.5) { HOT.to_owned() } else { tail(random) };
    let more = if random.chance(0.33) { 1 + random.index(3) } else { 0 };
    for _ in 0..=more {
        let location = if random.chance(0.3) { LOCATIONS[random.index(3)] } else { "" };
        let quantity = 1 + i64::try_from(random.below(3)).unwrap_or(0);
        lines.insert(sku.clone(), Units { sku, location: location.to_owned(), quantity });
        sku = tail(random);
    }
    Operation::Reserve { lines: lines.into_values().collect(), ttl_s: TTL_S }
}

/// A correction of the stock: more of the hot SKU, more or less of the tail, which never runs out by it.
pub fn adjustment(random: &mut SplitMix64) -> Operation {
    let location = LOCATIONS[random.index(3)].to_owned();
    let units = 1 + i64::try_from(random.below(20)).unwrap_or(0);
    let (sku, delta) = match random.below(3) {
        0 => (HOT.to_owned(), units),
        1 => (tail(random), units),
        _ => (tail(random), -units),
    };
    Operation::Adjust { sku, location, delta }
}

/// A new expiry.
pub fn extension(random: &mut SplitMix64, reservation: String) -> Operation {
    Operation::Extend { reservation, ttl_s: TTL_S + i64::try_from(random.below(3_600)).unwrap_or(0) }
}

fn tail(random: &mut SplitMix64) -> String {
    format!("T{}", random.below(TAIL))
}
