//! Units that are expected, the promises on them, and transfers: events as JSON.

use quartermaster_engine::event::supply::{InboundLine, PresoldMove, PresoldTarget, SupplyEvent};
use quartermaster_engine::id::{LocationId, SkuId};
use serde_json::{Value, json};

use super::event::{location, object, sku};
use super::names::Names;
use crate::cli::show;

pub(super) fn body(event: &SupplyEvent, names: &Names) -> Value {
    let mut body = object(json!({
        "inbound": event.code,
        "kind": event.kind.name(),
        "eta": show::time(event.eta),
        "state": event.state.name(),
        "reference": event.reference,
        "lines": event.lines.iter().map(|one| line(one, names)).collect::<Vec<_>>(),
        "moves": event.moves.iter().map(|one| moved(one, names)).collect::<Vec<_>>(),
    }));
    body.extend(location("location", event.location, names));
    if let Some(from) = event.from {
        body.extend(location("from_location", from, names));
    }
    let late = event.late.iter().map(|late| {
        let mut entry = sku(late.sku, names);
        entry.insert("reservation".into(), late.reservation.to_string().into());
        entry.insert("quantity".into(), late.quantity.0.into());
        entry.insert("promised_time".into(), show::time(late.promised).into());
        entry.insert("expected_time".into(), show::time(late.expected).into());
        Value::Object(entry)
    });
    body.insert("late".into(), late.collect());
    let uncovered = event.uncovered.iter().map(|one| {
        let mut entry = sku(one.sku, names);
        entry.insert("reservation".into(), one.reservation.to_string().into());
        entry.insert("quantity".into(), one.quantity.0.into());
        Value::Object(entry)
    });
    body.insert("uncovered".into(), uncovered.collect());
    Value::Object(body)
}

fn line(line: &InboundLine, names: &Names) -> Value {
    let mut entry = sku(line.sku, names);
    entry.extend(object(json!({
        "supply": line.supply.0,
        "expected": line.expected.0,
        "received": line.received.0,
        "arrived": line.arrived.0,
        "difference": line.difference(),
        "presale_cap": line.cap.map(|cap| cap.0),
        "confidence_percent": line.confidence,
        "open": line.open,
    })));
    Value::Object(entry)
}

fn moved(moved: &PresoldMove, names: &Names) -> Value {
    let mut entry = sku(moved.sku, names);
    let (place, to) = match moved.to {
        PresoldTarget::Stock(place) => (place, Value::Null),
        PresoldTarget::Supply { supply, location, .. } => (location, supply.0.into()),
    };
    entry.extend(location("location", place, names));
    entry.extend(object(json!({
        "reservation": moved.reservation.to_string(),
        "quantity": moved.quantity.0,
        "from_supply": moved.from.0,
        "to_supply": to,
    })));
    Value::Object(entry)
}

/// Tells `visit` every SKU and location that the event names.
pub(super) fn visit(event: &SupplyEvent, visit: &mut impl FnMut(Option<SkuId>, Option<LocationId>)) {
    visit(None, Some(event.location));
    if event.from.is_some() {
        visit(None, event.from);
    }
    event.lines.iter().for_each(|line| visit(Some(line.sku), None));
    for moved in &event.moves {
        match moved.to {
            PresoldTarget::Stock(location) | PresoldTarget::Supply { location, .. } => {
                visit(Some(moved.sku), Some(location));
            }
        }
    }
}
