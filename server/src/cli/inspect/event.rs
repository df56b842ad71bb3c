//! An event as a line of JSON: what is in the record, with the code beside each id.

use quartermaster_engine::capacity::Booking;
use quartermaster_engine::catalog::documents::DocumentId;
use quartermaster_engine::catalog::{Fulfilment, LocationKind, Sku};
use quartermaster_engine::event::{
    CellChange, Claim, EndState, Event, HoldEndReason, Line, Promise, Record, StockChangeKind,
};
use quartermaster_engine::id::{ChannelId, LocationId, SkuId};
use quartermaster_journal::{Epoch, Lsn};
use quartermaster_proto::v1::StockReason;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::names::Names;
use super::sourced;
use crate::cli::show;

/// A record as it is printed: what all have first and in this order, then what its kind has.
#[derive(Debug, Serialize)]
pub(super) struct EventLine<'a> {
    lsn: u64,
    epoch: u64,
    time: String,
    kind: &'a str,
    request_id: &'a str,
    actor: &'a str,
    #[serde(flatten)]
    body: Value,
}

/// The record at `lsn`.
pub(super) fn line<'a>(lsn: Lsn, epoch: Epoch, record: &'a Record, names: &Names) -> EventLine<'a> {
    EventLine {
        lsn: lsn.get(),
        epoch: epoch.get(),
        time: show::time(record.time),
        kind: record.event.name(),
        request_id: &record.request_id,
        actor: &record.actor,
        body: body(&record.event, names),
    }
}

pub(super) fn body(event: &Event, names: &Names) -> Value {
    match event {
        Event::Held(held) => {
            let short = held.shortages.iter().map(|short| {
                let mut place = sku(short.sku, names);
                if let Some(at) = short.location {
                    place.extend(location("location", at, names));
                }
                place.extend(object(json!({ "requested": short.requested, "available": short.available })));
                Value::Object(place)
            });
            let mut body = object(json!({
                "reservation": held.reservation.to_string(),
                "order_id": held.order_id.as_str(),
                "buyer_id": held.buyer_id.as_str(),
                "expire_time": show::time(held.expires_at),
                "lines": lines(&held.lines, names),
                "shortages": short.collect::<Vec<_>>(),
            }));
            if let Some(id) = held.channel {
                body.extend(channel(id, names));
            }
            if let Some(replaced) = &held.replaced {
                body.insert("replaced".into(), with_work(claim(replaced, names), &held.replaced_bookings, names));
            }
            if let Some(how) = &held.sourced {
                body.insert("sourced".into(), sourced::sourced(how, names));
            }
            if let Some(terms) = held.terms.as_ref().filter(|terms| !terms.kits.is_empty()) {
                let kits = terms
                    .kits
                    .iter()
                    .map(|kit| with(sku(kit.sku, names).into(), json!({ "quantity": kit.quantity.0 })));
                body.insert("kits".into(), kits.collect());
            }
            Value::Object(body)
        }
        Event::Confirmed { claim: all } => claim(all, names),
        Event::HoldEnded { claim: all, reason, bookings } => {
            let reason = match reason {
                HoldEndReason::Released => "released",
                HoldEndReason::Expired => "expired",
            };
            with(with_work(claim(all, names), bookings, names), json!({ "reason": reason }))
        }
        Event::Cancelled { claim: part, promise, end, bookings } => {
            let part = with_work(claim(part, names), bookings, names);
            with(part, json!({ "bucket": bucket(*promise), "end_state": ended(*end) }))
        }
        Event::Extended { reservation, expires_at } => {
            json!({ "reservation": reservation.to_string(), "expire_time": show::time(*expires_at) })
        }
        Event::Shipped { claim: part, end } => with(claim(part, names), json!({ "end_state": ended(*end) })),
        Event::Reassigned { reservation, promise, line, from } => {
            let mut body = object(json!({
                "reservation": reservation.to_string(),
                "bucket": bucket(*promise),
                "quantity": line.quantity.0,
            }));
            body.extend(sku(line.sku, names));
            body.extend(location("from_location", *from, names));
            body.extend(location("to_location", line.location, names));
            Value::Object(body)
        }
        Event::Rerouted(rerouted) => sourced::rerouted(rerouted, names),
        Event::Merged(merged) => sourced::merged(merged, names),
        Event::StockChanged(change) => {
            let kind = match change.kind {
                StockChangeKind::Set => "set",
                StockChangeKind::Adjusted => "adjusted",
                StockChangeKind::Received => "received",
                StockChangeKind::Moved => "moved",
                StockChangeKind::Imported => "imported",
            };
            let reason = i32::try_from(change.reason.0).ok().and_then(|reason| StockReason::try_from(reason).ok());
            let changes: Vec<Value> = change.changes.iter().map(|cell| cell_change(cell, names)).collect();
            json!({
                "change": kind,
                "reason": reason.map(|reason| reason.as_str_name().trim_start_matches("STOCK_REASON_")),
                "reference": change.reference,
                "changes": changes,
            })
        }
        Event::SkusUpserted { skus, created } => {
            json!({ "created": created, "skus": skus.iter().map(sku_entry).collect::<Vec<_>>() })
        }
        Event::SkusRetired { skus } => {
            json!({ "skus": skus.iter().map(|id| sku(*id, names)).collect::<Vec<_>>() })
        }
        Event::LocationsUpserted { locations, created } => {
            let entries = locations.iter().map(|location| {
                let spec = &location.spec;
                json!({
                    "location": spec.code,
                    "location_id": location.id.0,
                    "name": spec.name,
                    "kind": kind(spec.kind),
                    "latitude": spec.coordinates.map(|at| f64::from(at.latitude_e7) / 1e7),
                    "longitude": spec.coordinates.map(|at| f64::from(at.longitude_e7) / 1e7),
                    "region": spec.region,
                    "state": spec.state.name(),
                    "priority": spec.priority,
                    "fulfilment": fulfilment(&spec.fulfilment),
                })
            });
            json!({ "created": created, "locations": entries.collect::<Vec<_>>() })
        }
        Event::ChannelsUpserted { channels, created } => {
            let entries = channels.iter().map(|channel| {
                let spec = &channel.spec;
                json!({ "channel": spec.code, "channel_id": channel.id.0, "name": spec.name, "active": spec.active })
            });
            json!({ "created": created, "channels": entries.collect::<Vec<_>>() })
        }
        Event::RegionsUpserted { regions, created } => {
            let entries = regions.iter().map(|region| {
                json!({
                    "region": region.code,
                    "parent": region.parent,
                    "name": region.name,
                    "latitude": region.coordinates.map(|at| f64::from(at.latitude_e7) / 1e7),
                    "longitude": region.coordinates.map(|at| f64::from(at.longitude_e7) / 1e7),
                })
            });
            json!({ "created": created, "regions": entries.collect::<Vec<_>>() })
        }
        Event::DocumentDrafted { document: id, json } => {
            let text: Value = serde_json::from_str(json).unwrap_or(Value::Null);
            with(document(id), json!({ "document": text }))
        }
        Event::DocumentActivated { document: id, effective_at } => {
            with(document(id), json!({ "effective_time": show::time(*effective_at) }))
        }
        Event::DocumentRetired { document: id } => document(id),
        Event::CellFactsSet { facts } => {
            let entries = facts.iter().map(|cell| {
                let mut entry = sku(cell.sku, names);
                entry.extend(location("location", cell.location, names));
                entry.insert("weekly_demand_milli".into(), cell.facts.weekly_demand_milli.into());
                entry.insert("oldest_receipt_day".into(), cell.facts.oldest_receipt_day.into());
                Value::Object(entry)
            });
            json!({ "facts": entries.collect::<Vec<_>>() })
        }
        Event::Allotment(event) => super::allotment::body(event, names),
        Event::Campaign(event) => super::campaign::body(event, names),
        Event::Supply(event) => super::supply::body(event, names),
        Event::Returns(event) => super::returns::body(event, names),
        Event::Upkeep(event) => super::upkeep::body(event, names),
        Event::Rules(event) => super::rules::body(event, names),
        Event::Summary(summary) => json!({ "entries": summary.entries, "created": summary.created }),
    }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn with(value: Value, more: Value) -> Value {
    let mut map = object(value);
    map.extend(object(more));
    Value::Object(map)
}

fn document(id: &DocumentId) -> Value {
    json!({ "document_kind": id.kind.name(), "name": id.name, "version": id.version })
}

/// With the work that is given back, if any is.
fn with_work(value: Value, bookings: &[Booking], names: &Names) -> Value {
    if bookings.is_empty() {
        return value;
    }
    with(value, json!({ "bookings": sourced::bookings(bookings, names) }))
}

fn claim(claim: &Claim, names: &Names) -> Value {
    json!({ "reservation": claim.reservation.to_string(), "lines": lines(&claim.lines, names) })
}

pub(super) fn lines(lines: &[Line], names: &Names) -> Vec<Value> {
    let one = |line: &Line| {
        let mut map = sku(line.sku, names);
        map.extend(location("location", line.location, names));
        map.insert("quantity".into(), line.quantity.0.into());
        Value::Object(map)
    };
    lines.iter().map(one).collect()
}

pub(super) fn sku(id: SkuId, names: &Names) -> Map<String, Value> {
    object(json!({ "sku": names.sku(id), "sku_id": id.0 }))
}

pub(super) fn location(key: &str, id: LocationId, names: &Names) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), names.location(id).into()), (format!("{key}_id"), id.0.into())])
}

pub(super) fn channel(id: ChannelId, names: &Names) -> Map<String, Value> {
    object(json!({ "channel": names.channel(id), "channel_id": id.0 }))
}

/// Differences of 0 are left out.
pub(super) fn cell_change(cell: &CellChange, names: &Names) -> Value {
    let mut map = sku(cell.sku, names);
    map.extend(location("location", cell.location, names));
    let deltas = [
        ("on_hand", cell.on_hand),
        ("safety", cell.safety),
        ("quality_control", cell.quality_control),
        ("damaged", cell.damaged),
        ("in_repair", cell.in_repair),
        ("incoming", cell.incoming),
    ];
    map.extend(deltas.into_iter().filter(|(_, delta)| *delta != 0).map(|(name, delta)| (name.into(), delta.into())));
    map.extend(object(json!({
        "on_hand_after": cell.on_hand_after.0,
        "available_after": cell.available_after.0,
        "shortfall_after": cell.shortfall_after,
    })));
    Value::Object(map)
}

fn sku_entry(sku: &Sku) -> Value {
    let spec = &sku.spec;
    let attributes: Map<String, Value> =
        spec.attributes.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    json!({
        "sku": spec.code,
        "sku_id": sku.id.0,
        "style": spec.style,
        "colour": spec.colour,
        "size": spec.size,
        "attributes": attributes,
        "weight_grams": spec.weight_grams,
        "currency": spec.currency,
        "unit_value": spec.unit_value,
        "sellable": spec.sellable,
        "category": spec.goods.category,
        "dimensions_mm": spec.goods.dimensions_mm,
        "dangerous_goods": spec.goods.dangerous_goods,
        "temperature": spec.goods.temperature,
        "components": spec.components.iter().map(|(sku, units)| json!({ "sku": sku, "units": units })).collect::<Vec<_>>(),
    })
}

/// Nothing for a place that costs nothing, works always and takes everything.
fn fulfilment(fulfilment: &Fulfilment) -> Option<&Fulfilment> {
    (*fulfilment != Fulfilment::default()).then_some(fulfilment)
}

pub(super) fn bucket(promise: Promise) -> &'static str {
    match promise {
        Promise::Reserved => "reserved",
        Promise::Committed => "committed",
    }
}

fn ended(end: Option<EndState>) -> Option<&'static str> {
    end.map(|end| end.state().name())
}

fn kind(kind: LocationKind) -> &'static str {
    match kind {
        LocationKind::Unspecified => "unspecified",
        LocationKind::DistributionCentre => "distribution_centre",
        LocationKind::ForwardWarehouse => "forward_warehouse",
        LocationKind::Store => "store",
        LocationKind::ThirdParty => "third_party",
        LocationKind::Supplier => "supplier",
    }
}
