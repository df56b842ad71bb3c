//! The file of locations.

use std::io;
use std::path::Path;

use quartermaster_proto::v1::{LatLng, Location, LocationCapability, LocationKind, LocationState};

use super::codes::Codes;
use super::digest::Digest;
use super::fulfilment;
use super::problem::{Problems, Wrong};
use super::table::{self, CODE_BYTES_MAX, Row};

const NAME_BYTES_MAX: usize = 256;
const PRIORITY_MAX: i64 = 1_000_000;

struct Found {
    code: usize,
    name: Option<usize>,
    kind: Option<usize>,
    latitude: Option<usize>,
    longitude: Option<usize>,
    region: Option<usize>,
    status: Option<usize>,
    capabilities: Option<usize>,
    priority: Option<usize>,
    fulfilment: fulfilment::Found,
}

/// Reads locations; gives them with the names of the columns that mean nothing here.
pub(super) fn read(
    path: &Path,
    digest: &mut Digest,
    codes: &mut Codes,
    problems: &mut Problems,
) -> io::Result<(Vec<Location>, Vec<String>)> {
    let mut locations = Vec::new();
    let mut ignored = Vec::new();
    table::read(
        path,
        ("locations", digest),
        problems,
        |columns| {
            let code = columns.require(&["location", "location_id", "location_code", "code"]);
            let found = Found {
                code: code?,
                name: columns.find(&["name", "city"]),
                kind: columns.find(&["kind", "type"]),
                latitude: columns.find(&["lat", "latitude"]),
                longitude: columns.find(&["lng", "lon", "longitude"]),
                region: columns.find(&["region", "adcode", "state", "country"]),
                status: columns.find(&["status"]),
                capabilities: columns.find(&["capabilities"]),
                priority: columns.find(&["priority"]),
                fulfilment: fulfilment::Found::of(columns),
            };
            ignored = columns.rest().into_iter().map(|(_, name)| name).collect();
            Some(found)
        },
        |found, row| locations.extend(location(found, row, codes)),
    )?;
    Ok((locations, ignored))
}

fn location(found: &Found, row: &mut Row<'_>, codes: &mut Codes) -> Option<Location> {
    let code = row.code(found.code)?;
    if let Some(first) = codes.make(&code, row.line) {
        row.wrong(found.code, Wrong::Twice { text: code, first });
        return None;
    }
    let (kind, priority) = kind(found, row);
    let capabilities = capabilities(found, row, kind);
    let priority = row.number(found.priority, 0, PRIORITY_MAX).unwrap_or(priority);
    Some(Location {
        code,
        name: row.text(found.name, NAME_BYTES_MAX),
        kind: kind.into(),
        coordinates: coordinates(found.latitude, found.longitude, row),
        region: row.text(found.region, CODE_BYTES_MAX),
        capabilities: capabilities.into_iter().map(i32::from).collect(),
        state: state(found, row).into(),
        priority: i32::try_from(priority).unwrap_or(i32::MAX),
        fulfilment: fulfilment::read(&found.fulfilment, row),
    })
}

/// A kind and the priority that goes with it.
fn kind(found: &Found, row: &mut Row<'_>) -> (LocationKind, i64) {
    let text = row.text(found.kind, CODE_BYTES_MAX);
    match text.to_lowercase().replace([' ', '-'], "_").as_str() {
        "dc" | "hub" | "distribution_centre" | "distribution_center" => (LocationKind::DistributionCentre, 10),
        "rdc" | "regional" => (LocationKind::DistributionCentre, 20),
        "forward" | "forward_warehouse" | "front" => (LocationKind::ForwardWarehouse, 30),
        "store" | "shop" => (LocationKind::Store, 50),
        "3pl" | "third_party" => (LocationKind::ThirdParty, 40),
        "supplier" => (LocationKind::Supplier, 40),
        "" | "node" | "warehouse" => (LocationKind::Unspecified, 40),
        _ => {
            let choices = "dc, rdc, forward, store, 3pl, supplier, node";
            row.wrong(found.kind.unwrap_or(0), Wrong::NoChoice { text, choices });
            (LocationKind::Unspecified, 40)
        }
    }
}

fn state(found: &Found, row: &mut Row<'_>) -> LocationState {
    let text = row.text(found.status, CODE_BYTES_MAX);
    match text.to_lowercase().as_str() {
        "" | "open" => LocationState::Open,
        "paused" => LocationState::Paused,
        "closed" => LocationState::Closed,
        _ => {
            row.wrong(found.status.unwrap_or(0), Wrong::NoChoice { text, choices: "open, paused, closed" });
            LocationState::Open
        }
    }
}

/// Without the column: a place sends, and a store hands over as well.
fn capabilities(found: &Found, row: &mut Row<'_>, kind: LocationKind) -> Vec<LocationCapability> {
    let Some(column) = found.capabilities else {
        return match kind {
            LocationKind::Store => vec![LocationCapability::Ship, LocationCapability::Pickup],
            _ => vec![LocationCapability::Ship],
        };
    };
    let text = row.text(Some(column), NAME_BYTES_MAX).to_lowercase().replace('-', "_");
    let mut capabilities = Vec::new();
    for word in text.split([' ', ',', ';', '|', '+']).filter(|word| !word.is_empty()) {
        let capability = match word {
            "ship" => LocationCapability::Ship,
            "pickup" => LocationCapability::Pickup,
            "same_hour" => LocationCapability::SameHour,
            "dangerous_goods" => LocationCapability::DangerousGoods,
            _ => {
                let choices = "ship, pickup, same_hour, dangerous_goods";
                row.wrong(column, Wrong::NoChoice { text: word.to_owned(), choices });
                continue;
            }
        };
        if !capabilities.contains(&capability) {
            capabilities.push(capability);
        }
    }
    capabilities
}

/// A point of two columns, both or neither.
pub(super) fn coordinates(north: Option<usize>, east: Option<usize>, row: &mut Row<'_>) -> Option<LatLng> {
    let latitude = degrees(north, row, 90);
    let longitude = degrees(east, row, 180);
    match (latitude, longitude) {
        (Degrees::Of(latitude), Degrees::Of(longitude)) => return Some(LatLng { latitude, longitude }),
        (Degrees::Of(_), Degrees::None) => row.wrong(north.unwrap_or(0), Wrong::HalfAPlace),
        (Degrees::None, Degrees::Of(_)) => row.wrong(east.unwrap_or(0), Wrong::HalfAPlace),
        _ => {}
    }
    None
}

enum Degrees {
    None,
    Wrong,
    Of(f64),
}

fn degrees(column: Option<usize>, row: &mut Row<'_>, limit: u32) -> Degrees {
    let text = row.text(column, CODE_BYTES_MAX);
    if text.is_empty() {
        return Degrees::None;
    }
    match text.parse::<f64>().ok().filter(|degrees| degrees.abs() <= f64::from(limit)) {
        Some(degrees) => Degrees::Of(degrees),
        None => {
            row.wrong(column.unwrap_or(0), Wrong::NotDegrees { text, limit });
            Degrees::Wrong
        }
    }
}
