//! Units ring-fenced for channels and campaigns: events and snapshot sections as messages.

use quartermaster_proto::journal::v1 as wire;

use super::{DecodeError, unknown};
use crate::{
    allotment::Allotment,
    event::allotment::{AllotmentChange, AllotmentEvent, AllotmentRow, AllotmentsSet},
    id::{NodeId, SkuId},
    shard::Shard,
};

pub(super) fn to_wire(event: &AllotmentEvent) -> wire::AllotmentEvent {
    let event = match event {
        AllotmentEvent::Set(set) => wire::allotment_event::Event::Set(wire::AllotmentsSet {
            kind: match set.kind {
                AllotmentChange::Set => wire::AllotmentChange::Set,
                AllotmentChange::Raised => wire::AllotmentChange::Raised,
                AllotmentChange::Lowered => wire::AllotmentChange::Lowered,
                AllotmentChange::Moved => wire::AllotmentChange::Moved,
                AllotmentChange::Returned => wire::AllotmentChange::Returned,
            }
            .into(),
            rows: set.rows.iter().map(row_to_wire).collect(),
        }),
    };
    wire::AllotmentEvent { event: Some(event) }
}

pub(super) fn from_wire(event: wire::AllotmentEvent) -> Result<AllotmentEvent, DecodeError> {
    match event.event.ok_or(DecodeError::NoEvent)? {
        wire::allotment_event::Event::Set(set) => Ok(AllotmentEvent::Set(AllotmentsSet {
            kind: match set.kind() {
                wire::AllotmentChange::Set => AllotmentChange::Set,
                wire::AllotmentChange::Raised => AllotmentChange::Raised,
                wire::AllotmentChange::Lowered => AllotmentChange::Lowered,
                wire::AllotmentChange::Moved => AllotmentChange::Moved,
                wire::AllotmentChange::Returned => AllotmentChange::Returned,
                wire::AllotmentChange::Unspecified => return Err(unknown("AllotmentsSet.kind", set.kind)),
            },
            rows: set.rows.iter().map(row_from_wire).collect(),
        })),
    }
}

fn row_to_wire(row: &AllotmentRow) -> wire::AllotmentRow {
    wire::AllotmentRow {
        sku: row.sku.0,
        node: row.node.0,
        quota: row.quota,
        ceiling: row.ceiling,
        spill_over: row.spill_over,
        clipped: row.clipped,
    }
}

fn row_from_wire(row: &wire::AllotmentRow) -> AllotmentRow {
    AllotmentRow {
        sku: SkuId(row.sku),
        node: NodeId(row.node),
        quota: row.quota,
        ceiling: row.ceiling,
        spill_over: row.spill_over,
        clipped: row.clipped,
    }
}

/// What a snapshot keeps of a shard; `None` when there is nothing.
pub(crate) fn section(shard: &Shard) -> Option<wire::AllotmentSection> {
    let entries = shard.allotments.iter().flat_map(|(sku, nodes)| nodes.iter().map(|(node, own)| (*sku, *node, own)));
    let entries: Vec<_> = entries.map(|(sku, node, own)| entry_to_wire(sku, node, own)).collect();
    (!entries.is_empty()).then_some(wire::AllotmentSection { entries })
}

/// Puts back what a snapshot kept. Rows and parts are there already.
pub(crate) fn restore(shard: &mut Shard, section: &wire::AllotmentSection) -> Result<(), &'static str> {
    for entry in &section.entries {
        let (sku, node, own) = entry_from_wire(entry);
        if sku.shard() != shard.id || sku.row() >= shard.rows.len() {
            return Err("an allotment is of a SKU that is not of its shard");
        }
        if shard.allotments.entry(sku).or_default().insert(node, own).is_some() {
            return Err("an allotment stands twice");
        }
    }
    Ok(())
}

fn entry_to_wire(sku: SkuId, node: NodeId, own: &Allotment) -> wire::AllotmentEntry {
    wire::AllotmentEntry {
        sku: sku.0,
        node: node.0,
        quota: own.quota,
        ceiling: own.ceiling,
        spill_over: own.spill_over,
        reserved: own.reserved,
        committed: own.committed,
        shipped: own.shipped,
        granted: own.granted,
    }
}

pub(crate) fn entry_from_wire(entry: &wire::AllotmentEntry) -> (SkuId, NodeId, Allotment) {
    let own = Allotment {
        quota: entry.quota,
        ceiling: entry.ceiling,
        spill_over: entry.spill_over,
        reserved: entry.reserved,
        committed: entry.committed,
        shipped: entry.shipped,
        granted: entry.granted,
    };
    (SkuId(entry.sku), NodeId(entry.node), own)
}
