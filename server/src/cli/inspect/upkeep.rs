//! Freezes and repairs: events as JSON.

use quartermaster_engine::event::{
    Event,
    upkeep::{Remedy, UpkeepEvent},
};
use quartermaster_engine::id::{LocationId, ReservationId, SkuId};
use quartermaster_engine::upkeep::Frozen;
use serde_json::{Map, Value, json};

use super::event::{self, location, object, sku};
use super::names::Names;

pub(super) fn body(event: &UpkeepEvent, names: &Names) -> Value {
    match event {
        UpkeepEvent::Frozen { target, reason, reference } => {
            let mut body = thing(*target, names);
            body.extend(object(json!({ "reason": reason.name(), "reference": reference })));
            Value::Object(body)
        }
        UpkeepEvent::Thawed { target, freezes } => {
            let mut body = thing(*target, names);
            body.insert("freezes".into(), json!(freezes));
            Value::Object(body)
        }
        UpkeepEvent::Repaired(repaired) => {
            let remedies = repaired.remedies.iter().map(|remedy| {
                let what = if matches!(remedy, Remedy::Moved(_)) { "moved" } else { "cancelled" };
                let mut body = object(event::body(&alone(remedy), names));
                body.insert("remedy".into(), what.into());
                Value::Object(body)
            });
            let remaining = repaired.remaining.iter().map(|cell| {
                let mut body = sku(cell.sku, names);
                body.extend(location("location", cell.location, names));
                body.insert("shortfall".into(), cell.units.into());
                Value::Object(body)
            });
            json!({
                "remedies": remedies.collect::<Vec<_>>(),
                "remaining": remaining.collect::<Vec<_>>(),
                "more": repaired.more,
            })
        }
    }
}

/// A remedy as the event it would be by itself.
fn alone(remedy: &Remedy) -> Event {
    match remedy {
        Remedy::Moved(moved) => Event::Rerouted(moved.clone()),
        Remedy::Cancelled { claim, promise, end, bookings } => {
            Event::Cancelled { claim: claim.clone(), promise: *promise, end: *end, bookings: bookings.clone() }
        }
    }
}

fn thing(target: Frozen, names: &Names) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(id) = target.sku() {
        body.extend(sku(id, names));
    }
    if let Some(id) = target.location() {
        body.extend(location("location", id, names));
    }
    body
}

/// Whether one of several reservations that the event names is this one.
pub(super) fn concerns(event: &UpkeepEvent, id: ReservationId) -> bool {
    match event {
        UpkeepEvent::Repaired(repaired) => repaired.remedies.iter().any(|remedy| remedy.reservation() == id),
        UpkeepEvent::Frozen { .. } | UpkeepEvent::Thawed { .. } => false,
    }
}

/// Tells `visit` every SKU and location that the event names.
pub(super) fn visit(event: &UpkeepEvent, visit: &mut impl FnMut(Option<SkuId>, Option<LocationId>)) {
    match event {
        UpkeepEvent::Frozen { target, .. } | UpkeepEvent::Thawed { target, .. } => {
            visit(target.sku(), target.location());
        }
        UpkeepEvent::Repaired(repaired) => {
            for remedy in &repaired.remedies {
                let lines: Vec<_> = match remedy {
                    Remedy::Moved(moved) => moved.lines().collect(),
                    Remedy::Cancelled { claim, .. } => claim.lines.iter().collect(),
                };
                lines.into_iter().for_each(|line| visit(Some(line.sku), Some(line.location)));
            }
            repaired.remaining.iter().for_each(|cell| visit(Some(cell.sku), Some(cell.location)));
        }
    }
}
