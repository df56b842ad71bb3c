//! Safety stock of many levels, and rules that set it and allotments: events and snapshot sections as messages.

use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;

use super::DecodeError;
use crate::{
    event::rules::{Applied, KeptCell, RuledAllotment, RuledLeave, RuledTerms, RulesEvent},
    id::{LocationId, NodeId, SkuId},
    quantity::Quantity,
    rules::{Ruled, RulesInForce},
    shard::Shard,
    time::Timestamp,
};

pub(super) fn to_wire(event: &RulesEvent) -> wire::RulesEvent {
    let event = match event {
        RulesEvent::Put { version, json } => {
            wire::rules_event::Event::Put(wire::StockRulesPut { version: *version, json: json.to_string() })
        }
        RulesEvent::Applied(applied) => wire::rules_event::Event::Applied(wire::StockRulesApplied {
            sku: applied.sku.0,
            version: applied.version,
            cells: applied
                .cells
                .iter()
                .map(|cell| wire::KeptCell { location: cell.location.0, kept: cell.kept.0 })
                .collect(),
            allotments: applied.allotments.iter().map(allotment_to_wire).collect(),
            leaves: applied.leaves.iter().map(leave_to_wire).collect(),
        }),
    };
    wire::RulesEvent { event: Some(event) }
}

pub(super) fn from_wire(event: wire::RulesEvent) -> Result<RulesEvent, DecodeError> {
    Ok(match event.event {
        None => return Err(DecodeError::NoEvent),
        Some(wire::rules_event::Event::Put(put)) => RulesEvent::Put { version: put.version, json: put.json.into() },
        Some(wire::rules_event::Event::Applied(applied)) => RulesEvent::Applied(Applied {
            sku: SkuId(applied.sku),
            version: applied.version,
            cells: applied
                .cells
                .iter()
                .map(|cell| KeptCell { location: LocationId(cell.location), kept: Quantity(cell.kept) })
                .collect(),
            allotments: applied.allotments.iter().map(allotment_from_wire).collect::<Result<_, _>>()?,
            leaves: applied.leaves.iter().map(leave_from_wire).collect(),
        }),
    })
}

fn allotment_to_wire(allotment: &RuledAllotment) -> wire::RuledAllotment {
    let terms = allotment.terms;
    wire::RuledAllotment {
        node: allotment.node.0,
        quota: terms.map_or(0, |terms| u64::from(terms.quota) + 1),
        ceiling: terms.and_then(|terms| terms.ceiling).map_or(0, |ceiling| u64::from(ceiling) + 1),
        spill_over: terms.is_some_and(|terms| terms.spill_over),
    }
}

fn allotment_from_wire(allotment: &wire::RuledAllotment) -> Result<RuledAllotment, DecodeError> {
    let figure = |field: &'static str, value: u64| {
        let figure = value.checked_sub(1).map(u32::try_from).transpose();
        figure.map_err(|_| DecodeError::Unknown { field, value: i64::try_from(value).unwrap_or(i64::MAX) })
    };
    let quota = figure("ruled_allotment.quota", allotment.quota)?;
    let ceiling = figure("ruled_allotment.ceiling", allotment.ceiling)?;
    Ok(RuledAllotment {
        node: NodeId(allotment.node),
        terms: quota.map(|quota| RuledTerms { quota, ceiling, spill_over: allotment.spill_over }),
    })
}

fn leave_to_wire(leave: &RuledLeave) -> wire::RuledLeave {
    wire::RuledLeave { node: leave.node.0, units: leave.units.0 }
}

fn leave_from_wire(leave: &wire::RuledLeave) -> RuledLeave {
    RuledLeave { node: NodeId(leave.node), units: Quantity(leave.units) }
}

/// The answer of a set that was put, without its text.
pub(super) fn brief(event: &RulesEvent) -> Option<RulesEvent> {
    match event {
        RulesEvent::Put { version, .. } => Some(RulesEvent::Put { version: *version, json: "".into() }),
        RulesEvent::Applied(_) => None,
    }
}

/// The set in force, for a snapshot.
pub(crate) fn in_force_to_wire(rules: &RulesInForce) -> wire::StockRules {
    wire::StockRules {
        version: rules.version,
        json: rules.json.to_string(),
        put_time_us: rules.put_at.0,
        revision: rules.revision.get(),
    }
}

/// The set in force, from a snapshot.
pub(crate) fn in_force_from_wire(rules: wire::StockRules) -> RulesInForce {
    RulesInForce::new(rules.version, rules.json.into(), Timestamp(rules.put_time_us), Lsn::new(rules.revision))
}

/// What a snapshot keeps of a shard; `None` when there is nothing.
pub(crate) fn section(shard: &Shard) -> Option<wire::RulesSection> {
    let skus = shard.rules.skus.iter().map(|(sku, ruled)| wire::RuledSku {
        sku: sku.0,
        allotments: ruled
            .allotments
            .iter()
            .map(|(node, terms)| allotment_to_wire(&RuledAllotment { node: *node, terms: Some(*terms) }))
            .collect(),
        leaves: ruled
            .leaves
            .iter()
            .map(|(node, units)| leave_to_wire(&RuledLeave { node: *node, units: *units }))
            .collect(),
    });
    let skus: Vec<_> = skus.collect();
    (!skus.is_empty()).then_some(wire::RulesSection { skus })
}

/// Puts back what a snapshot kept. Rows and parts are there already.
pub(crate) fn restore(shard: &mut Shard, section: wire::RulesSection) -> Result<(), &'static str> {
    for kept in section.skus {
        let sku = SkuId(kept.sku);
        if sku.shard() != shard.id || sku.row() >= shard.rows.len() {
            return Err("it names a SKU that it does not have");
        }
        let mut ruled = Ruled::default();
        for allotment in &kept.allotments {
            let allotment = allotment_from_wire(allotment).map_err(|_| "an allotment is out of range")?;
            ruled.allotments.insert(allotment.node, allotment.terms.ok_or("an allotment has no quota")?);
        }
        ruled.leaves = kept.leaves.iter().map(|leave| (NodeId(leave.node), Quantity(leave.units))).collect();
        shard.rules.skus.insert(sku, ruled);
    }
    Ok(())
}
