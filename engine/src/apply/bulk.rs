//! What comes from outside by the thousand: figures of stock, SKUs, facts of cells.
//!
//! Out of line throughout, so that what every order runs through stays small.

use super::{Applied, Change, KNOWN_SKU, Misfit, require};
use crate::{
    catalog::Sku,
    event::{CellChange, CellFacts, Facts, StockChanged, placed::Placed},
    id::SkuId,
    shard::Shard,
    stock::Row,
};

impl Change {
    #[inline(never)]
    pub(super) fn stock_changed(&self, shard: &mut Shard, stock: &StockChanged, placed: &Placed) -> Applied {
        placed.own(&stock.changes, |cell| cell.sku, self.here).try_for_each(|cell| self.stock(shard, cell))
    }

    /// The figures of a cell change by what was decided.
    pub(super) fn stock(&self, shard: &mut Shard, change: &CellChange) -> Applied {
        self.cell(shard, change.sku, change.location, |cell| {
            for (bucket, delta) in [
                (&mut cell.on_hand, change.on_hand),
                (&mut cell.safety, change.safety),
                (&mut cell.quality_control, change.quality_control),
                (&mut cell.damaged, change.damaged),
                (&mut cell.in_repair, change.in_repair),
                (&mut cell.incoming, change.incoming),
            ] {
                *bucket = bucket.checked_add_signed(delta).ok_or(Misfit("a stock change stays within its bucket"))?;
            }
            require(cell.on_hand == change.on_hand_after, "an event tells the figure it leaves")
        })
    }

    #[inline(never)]
    pub(super) fn skus_upserted(&self, shard: &mut Shard, skus: &[Sku], placed: &Placed) -> Applied {
        for sku in placed.own(skus, |sku| sku.id, self.here) {
            if sku.id.row() < shard.rows.len() {
                shard.row_mut(sku.id).set_sellable(sku.spec.sellable);
                shard.row_mut(sku.id).set_kit(!sku.components.is_empty());
                shard.rules.mark(sku.id, self.now);
            } else {
                require(sku.id.row() == shard.rows.len(), "SKU ids are dense")?;
                let mut row = Row::new(sku.spec.sellable);
                row.set_kit(!sku.components.is_empty());
                shard.rows.push(row);
            }
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn skus_retired(&self, shard: &mut Shard, skus: &[SkuId], placed: &Placed) -> Applied {
        for sku in placed.own(skus, |sku| *sku, self.here) {
            require(sku.row() < shard.rows.len(), KNOWN_SKU)?;
            shard.row_mut(*sku).set_retired();
            shard.rules.mark(*sku, self.now);
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn facts_set(&self, shard: &mut Shard, facts: &[CellFacts], placed: &Placed) -> Applied {
        for cell in placed.own(facts, |cell| cell.sku, self.here) {
            require(cell.sku.row() < shard.rows.len(), KNOWN_SKU)?;
            if cell.facts == Facts::default() {
                shard.facts.remove(&(cell.sku, cell.location));
            } else {
                shard.facts.insert((cell.sku, cell.location), cell.facts);
            }
        }
        Ok(())
    }
}
