//! Units ring-fenced for channels and campaigns: events as JSON.

use quartermaster_engine::event::allotment::{AllotmentChange, AllotmentEvent, AllotmentRow};
use quartermaster_engine::id::{LocationId, NodeId, SkuId};
use serde_json::{Map, Value, json};

use super::event::{channel, object, sku};
use super::names::Names;

pub(super) fn body(event: &AllotmentEvent, names: &Names) -> Value {
    match event {
        AllotmentEvent::Set(set) => {
            let change = match set.kind {
                AllotmentChange::Set => "set",
                AllotmentChange::Raised => "raised",
                AllotmentChange::Lowered => "lowered",
                AllotmentChange::Moved => "moved",
                AllotmentChange::Returned => "returned",
            };
            json!({ "change": change, "allotments": set.rows.iter().map(|one| row(one, names)).collect::<Vec<_>>() })
        }
    }
}

/// Tells `visit` every SKU and location that the event names.
pub(super) fn visit(event: &AllotmentEvent, visit: &mut impl FnMut(Option<SkuId>, Option<LocationId>)) {
    match event {
        AllotmentEvent::Set(set) => set.rows.iter().for_each(|row| visit(Some(row.sku), None)),
    }
}

fn row(row: &AllotmentRow, names: &Names) -> Value {
    let mut map = sku(row.sku, names);
    map.extend(node(row.node, names));
    map.extend(object(json!({ "quota": row.quota, "ceiling": row.ceiling, "spill_over": row.spill_over })));
    if row.clipped > 0 {
        map.insert("clipped".into(), row.clipped.into());
    }
    Value::Object(map)
}

/// A node by what it is.
fn node(node: NodeId, names: &Names) -> Map<String, Value> {
    match (node.channel(), node.campaign()) {
        (Some(id), _) => channel(id, names),
        (_, campaign) => object(json!({ "campaign_id": campaign.map(|id| id.0) })),
    }
}
