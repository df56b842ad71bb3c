//! Safety stock of many levels, and rules that set it and allotments: how state follows events.

use super::{Applied, Change, KNOWN_SKU, allotment::prune, require};
use crate::{
    event::rules::{Applied as Effects, RuledAllotment, RulesEvent},
    shard::Shard,
};

impl Change {
    pub(super) fn rules(&self, shard: &mut Shard, event: &RulesEvent) -> Applied {
        match event {
            // Every shard gets the new directory from whoever holds all the locks.
            RulesEvent::Put { .. } => Ok(()),
            RulesEvent::Applied(applied) => self.rules_applied(shard, applied),
        }
    }

    fn rules_applied(&self, shard: &mut Shard, applied: &Effects) -> Applied {
        let sku = applied.sku;
        require(sku.row() < shard.rows.len(), KNOWN_SKU)?;
        for cell in &applied.cells {
            self.cell(shard, sku, cell.location, |buckets| {
                buckets.kept = cell.kept;
                Ok(())
            })?;
        }
        for allotment in &applied.allotments {
            allot(shard, sku, allotment);
        }
        let ruled = shard.rules.skus.entry(sku).or_default();
        for allotment in &applied.allotments {
            match allotment.terms {
                Some(terms) => _ = ruled.allotments.insert(allotment.node, terms),
                None => _ = ruled.allotments.remove(&allotment.node),
            }
        }
        for leave in &applied.leaves {
            if leave.units.is_zero() {
                ruled.leaves.remove(&leave.node);
            } else {
                ruled.leaves.insert(leave.node, leave.units);
            }
        }
        if ruled.is_empty() {
            shard.rules.skus.remove(&sku);
        }
        // What a channel can reach has changed, cells or not.
        shard.row_mut(sku).set_revision(self.lsn);
        Ok(())
    }
}

/// Sets quota, ceiling and spill-over of a node's allotment, or returns it; what was promised on it stays counted.
fn allot(shard: &mut Shard, sku: crate::id::SkuId, allotment: &RuledAllotment) {
    let entries = shard.allotments.entry(sku).or_default();
    match allotment.terms {
        Some(terms) => {
            let entry = entries.entry(allotment.node).or_default();
            entry.set(Some(terms.quota), terms.ceiling, terms.spill_over);
        }
        None => {
            if let Some(entry) = entries.get_mut(&allotment.node) {
                entry.set(None, None, false);
            }
        }
    }
    prune(&mut shard.allotments, sku);
}
