//! Safety stock of many levels, and rules that set it and allotments: what must add up.

use super::{AuditReport, Violation};
use crate::shard::Shard;

/// What rules made is there: each allotment among those of its SKU, each of a SKU that the shard has. What rules keep at cells is in the
/// sums of the rows, and `verify` folds it.
pub(super) fn audit(shard: &Shard, report: &mut AuditReport) {
    for (sku, ruled) in &shard.rules.skus {
        let known = sku.shard() == shard.id && sku.row() < shard.rows.len();
        let entries = shard.allotments.get(sku);
        // One that was returned by hand is made again by the evaluation that its SKU waits for.
        let stand = ruled.allotments.keys().all(|node| entries.is_some_and(|entries| entries.contains_key(node)));
        let stand = stand || shard.rules.waits(*sku);
        let none_empty = ruled.leaves.values().all(|units| !units.is_zero());
        if !known || !stand || !none_empty || ruled.is_empty() {
            report.violations.push(Violation::Ruled { sku: *sku });
        }
    }
}
