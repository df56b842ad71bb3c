//! Units that come back from buyers: events as JSON.

use quartermaster_engine::event::returns::{Announced, ReturnUnits, ReturnsEvent};
use quartermaster_engine::id::{LocationId, SkuId};
use quartermaster_proto::v1::{ReturnReason, StockReason};
use serde_json::{Value, json};

use super::event::{body as event_body, cell_change, location, object, sku};
use super::names::Names;

pub(super) fn body(event: &ReturnsEvent, names: &Names) -> Value {
    let mut map = object(match event {
        ReturnsEvent::Announced(announced) => announcement(announced, names),
        ReturnsEvent::Exchanged { announced, held } => {
            let mut map = object(announcement(announced, names));
            map.insert("held".into(), event_body(held, names));
            Value::Object(map)
        }
        ReturnsEvent::Received(received) => json!({
            "kind": received.kind.name(),
            "location": names.location(received.location),
            "lines": units(&received.lines, names),
            "withdrawn": units(&received.withdrawn, names),
            "ended": received.ended,
        }),
        ReturnsEvent::Unmatched(unmatched) => json!({
            "kind": unmatched.kind.name(),
            "reason": reason(unmatched.reason.0),
            "reference": unmatched.reference,
            "location": names.location(unmatched.location),
        }),
        ReturnsEvent::Inspected(inspected) => {
            let lines = inspected.lines.iter().map(|line| {
                let mut map = sku(line.sku, names);
                map.extend(location("location", line.location, names));
                map.insert("disposition".into(), line.disposition.name().into());
                map.insert("quantity".into(), line.quantity.0.into());
                Value::Object(map)
            });
            json!({ "lines": lines.collect::<Vec<_>>(), "ended": inspected.ended })
        }
        ReturnsEvent::Withdrawn(withdrawn) => {
            json!({ "lines": units(&withdrawn.lines, names), "ended": withdrawn.ended })
        }
        ReturnsEvent::Counted(counted) => {
            let rows = counted.rows.iter().map(|row| {
                let number = i32::try_from(row.reason.0).ok().and_then(|number| StockReason::try_from(number).ok());
                let mut map = object(cell_change(&row.change, names));
                map.insert(
                    "reason".into(),
                    number.map(|one| one.as_str_name().trim_start_matches("STOCK_REASON_")).into(),
                );
                Value::Object(map)
            });
            json!({
                "location": names.location(counted.location),
                "reference": counted.reference,
                "rows": rows.collect::<Vec<_>>(),
            })
        }
    });
    if let Some(id) = event.id() {
        map.insert("return".into(), id.to_string().into());
    }
    if let Some(id) = event.reservation() {
        map.insert("reservation".into(), id.to_string().into());
    }
    let counted = matches!(event, ReturnsEvent::Counted(_));
    let changes: Vec<Value> = event.changes().map(|change| cell_change(change, names)).collect();
    if !changes.is_empty() && !counted {
        map.insert("changes".into(), changes.into());
    }
    Value::Object(map)
}

fn announcement(announced: &Announced, names: &Names) -> Value {
    json!({
        "kind": announced.kind.name(),
        "reason": reason(announced.reason.0),
        "reference": announced.reference,
        "expected_location": announced.expected_at.map(|at| names.location(at)),
        "lines": units(&announced.lines, names),
    })
}

fn reason(number: u32) -> Option<&'static str> {
    let reason = i32::try_from(number).ok().and_then(|number| ReturnReason::try_from(number).ok())?;
    Some(reason.as_str_name().trim_start_matches("RETURN_REASON_"))
}

fn units(lines: &[ReturnUnits], names: &Names) -> Vec<Value> {
    let line = |line: &ReturnUnits| {
        let mut map = sku(line.sku, names);
        if let Some(from) = line.shipped_from {
            map.extend(location("shipped_from", from, names));
        }
        map.insert("quantity".into(), line.quantity.0.into());
        Value::Object(map)
    };
    lines.iter().map(line).collect()
}

/// Tells `visit` every SKU and location that the event names.
pub(super) fn visit(event: &ReturnsEvent, visit: &mut impl FnMut(Option<SkuId>, Option<LocationId>)) {
    event.changes().for_each(|change| visit(Some(change.sku), Some(change.location)));
    let lines = match event {
        ReturnsEvent::Announced(announced) | ReturnsEvent::Exchanged { announced, .. } => &announced.lines[..],
        ReturnsEvent::Received(received) => &received.withdrawn[..],
        ReturnsEvent::Withdrawn(withdrawn) => &withdrawn.lines[..],
        ReturnsEvent::Unmatched(_) | ReturnsEvent::Inspected(_) | ReturnsEvent::Counted(_) => &[],
    };
    lines.iter().for_each(|line| visit(Some(line.sku), line.shipped_from));
    if let Some(held) = event.held() {
        held.lines.iter().for_each(|line| visit(Some(line.sku), Some(line.location)));
    }
}
