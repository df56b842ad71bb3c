//! Units ring-fenced for channels and campaigns: what must add up.

use std::collections::BTreeMap;

use super::{AuditReport, Violation};
use crate::{
    event::Promise,
    id::{NodeId, SkuId},
    shard::Shard,
};

/// Counts again from the lines of reservations what counts to each node.
pub(super) fn audit(shard: &Shard, report: &mut AuditReport) {
    let mut sums: BTreeMap<(SkuId, NodeId), (u64, u64)> = BTreeMap::new();
    for (_, part) in shard.parts.iter().filter(|(_, part)| !part.path().is_empty()) {
        let lines = part.lines().filter(|line| line.charged).map(|line| (line.sku, line.open.units()));
        let ahead = part.presold().iter().filter(|one| one.charged);
        let ahead = ahead.map(|one| (one.line.sku, one.line.quantity.units()));
        for (sku, units) in lines.chain(ahead).filter(|(_, units)| *units > 0) {
            for node in part.path() {
                let sum = sums.entry((sku, *node)).or_default();
                match part.promise() {
                    Promise::Reserved => sum.0 += units,
                    Promise::Committed => sum.1 += units,
                }
            }
        }
    }
    let mut check = |(sku, node), promise, entry: u64, reservations: u64| {
        if entry != reservations {
            report.violations.push(Violation::Charged { sku, node, promise, entry, reservations });
        }
    };
    for (sku, entries) in &shard.allotments {
        for (node, own) in entries {
            let place = (*sku, *node);
            let (reserved, committed) = sums.remove(&place).unwrap_or_default();
            check(place, Promise::Reserved, own.reserved.into(), reserved);
            check(place, Promise::Committed, own.committed.into(), committed);
        }
    }
    for (place, (reserved, committed)) in sums {
        check(place, Promise::Reserved, 0, reserved);
        check(place, Promise::Committed, 0, committed);
    }
}
