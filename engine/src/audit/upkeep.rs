//! Freezes: what stands and the flags that follow agree.

use std::collections::BTreeSet;

use super::{AuditReport, Violation};
use crate::{
    id::{LocationId, SkuId},
    shard::Shard,
    upkeep::Frozen,
};

pub(super) fn audit(shard: &Shard, report: &mut AuditReport) {
    let (mut skus, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for (target, standing) in &shard.upkeep.freezes {
        match target {
            _ if standing.is_empty() => report.violations.push(Violation::Freeze { sku: target.sku(), location: None }),
            Frozen::Sku(sku) => _ = skus.insert(*sku),
            Frozen::Cell(sku, location) => _ = cells.insert((*sku, *location)),
            Frozen::Location(location) => {
                report.violations.push(Violation::Freeze { sku: None, location: Some(*location) });
            }
        }
    }
    let mut flag = |wrong: bool, sku: SkuId, location: Option<LocationId>| {
        if wrong {
            report.violations.push(Violation::Freeze { sku: Some(sku), location });
        }
    };
    for (place, row) in shard.rows.iter().enumerate() {
        let Some(sku) = SkuId::from_row(shard.id, place) else { continue };
        flag(row.frozen() != skus.contains(&sku), sku, None);
        for (location, cell) in row.cells() {
            // Of cells whose SKU is a kit there are none with anything in them.
            let stocked = row.kit() && (cell.promised() > 0 || !cell.on_hand.is_zero());
            flag(cell.frozen != cells.remove(&(sku, location)) || stocked, sku, Some(location));
        }
    }
    cells.into_iter().for_each(|(sku, location)| flag(true, sku, Some(location)));
}
