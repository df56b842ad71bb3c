//! Safety stock of many levels, and rules that set it and allotments: events as JSON.

use quartermaster_engine::event::rules::RulesEvent;
use quartermaster_engine::id::{LocationId, NodeId, SkuId};
use serde_json::{Value, json};

use super::names::Names;

pub(super) fn body(event: &RulesEvent, names: &Names) -> Value {
    match event {
        RulesEvent::Put { version, json } => {
            // A text that is no JSON was never put; shown as it is.
            let rules = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_string()));
            json!({ "version": version, "rules": rules })
        }
        RulesEvent::Applied(applied) => {
            let cells = applied.cells.iter().map(|cell| {
                json!({ "location_id": cell.location.0, "location": names.location(cell.location), "kept": cell.kept.0 })
            });
            let allotments = applied.allotments.iter().map(|one| {
                let terms = one.terms.map(
                    |terms| json!({ "quota": terms.quota, "ceiling": terms.ceiling, "spill_over": terms.spill_over }),
                );
                json!({ "node_id": one.node.0, "channel": channel(one.node, names), "terms": terms })
            });
            let leaves = applied
                .leaves
                .iter()
                .map(|one| json!({ "node_id": one.node.0, "channel": channel(one.node, names), "units": one.units.0 }));
            json!({
                "sku_id": applied.sku.0,
                "sku": names.sku(applied.sku),
                "version": applied.version,
                "cells": cells.collect::<Vec<_>>(),
                "allotments": allotments.collect::<Vec<_>>(),
                "leaves": leaves.collect::<Vec<_>>(),
            })
        }
    }
}

fn channel(node: NodeId, names: &Names) -> String {
    node.channel().map_or_else(String::new, |id| names.channel(id).to_owned())
}

/// Tells `visit` every SKU and location that the event names.
pub(super) fn visit(event: &RulesEvent, visit: &mut impl FnMut(Option<SkuId>, Option<LocationId>)) {
    match event {
        RulesEvent::Put { .. } => {}
        RulesEvent::Applied(applied) => {
            visit(Some(applied.sku), None);
            applied.cells.iter().for_each(|cell| visit(Some(applied.sku), Some(cell.location)));
        }
    }
}
