//! What is frozen, and what repairs do to those whom shortfalls hurt.

use std::collections::BTreeMap;

use quartermaster_engine::{
    event::upkeep::{Remedy, Repaired, UpkeepEvent},
    id::SkuId,
    upkeep::{FreezeReason, Frozen},
};

use super::{Judged, Model, Place, must};

/// Freezes by what they stand on: the LSN that each is known by, and why.
pub(crate) type Freezes = BTreeMap<Frozen, BTreeMap<u64, FreezeReason>>;

impl Model {
    pub(super) fn upkeep(&mut self, event: &UpkeepEvent) -> Judged {
        match event {
            UpkeepEvent::Frozen { target, reason, .. } => {
                let kit = |sku: SkuId| !self.skus[sku.index()].spec.components.is_empty();
                must!(!matches!(target, Frozen::Cell(sku, _) if kit(*sku)), "a kit lies nowhere");
                self.freezes.entry(*target).or_default().insert(self.lsn, *reason);
                self.note_freeze(*target);
                Ok(())
            }
            UpkeepEvent::Thawed { target, freezes } => {
                must!(!freezes.is_empty(), "nothing thaws");
                let standing = self.freezes.entry(*target).or_default();
                for id in freezes {
                    must!(standing.remove(id).is_some(), "{id} does not stand on {target:?}");
                }
                self.freezes.retain(|_, standing| !standing.is_empty());
                self.note_freeze(*target);
                Ok(())
            }
            UpkeepEvent::Repaired(repaired) => self.repaired(repaired),
        }
    }

    /// A change of what can be taken of a SKU is a new revision of it.
    fn note_freeze(&mut self, target: Frozen) {
        if let Frozen::Cell(sku, location) = target {
            self.cells.entry((sku, location)).or_default();
        }
        if let Some(sku) = target.sku() {
            self.skus[sku.index()].revision = self.lsn;
        }
    }

    pub(crate) fn is_frozen(&self, target: Frozen) -> bool {
        self.freezes.contains_key(&target)
    }

    /// Whether units of a cell may leave: nothing is called back, and its quality is not in doubt.
    pub(super) fn may_leave(&self, (sku, location): Place) -> bool {
        let targets = [Frozen::Sku(sku), Frozen::Cell(sku, location), Frozen::Location(location)];
        let stops = |reason: &FreezeReason| matches!(reason, FreezeReason::Recall | FreezeReason::Quality);
        !targets.iter().filter_map(|target| self.freezes.get(target)).flat_map(BTreeMap::values).any(stops)
    }

    fn repaired(&mut self, repaired: &Repaired) -> Judged {
        must!(!repaired.remedies.is_empty(), "a repair without remedies");
        for remedy in &repaired.remedies {
            let (id, lines) = match remedy {
                Remedy::Moved(moved) => (moved.reservation, &moved.from),
                Remedy::Cancelled { claim, .. } => (claim.reservation, &claim.lines),
            };
            must!(!lines.is_empty(), "a remedy of nothing for {id}");
            for line in lines {
                let short = self.cell((line.sku, line.location)).shortfall();
                must!(line.quantity.units() <= short, "{line:?} is treated, {short} are short");
            }
            match remedy {
                Remedy::Moved(moved) => self.rerouted(moved)?,
                Remedy::Cancelled { claim, promise, end, .. } => self.cancelled(claim, *promise, *end)?,
            }
        }
        for cell in &repaired.remaining {
            let short = self.cell((cell.sku, cell.location)).shortfall();
            must!(cell.units > 0 && cell.units <= short, "{cell:?} is told as short, {short} are");
        }
        Ok(())
    }
}
