//! Freezes and repairs: how state follows events.

use super::{Applied, Change, KNOWN_SKU, Misfit, require};
use crate::{
    event::{
        Claim, EndState,
        upkeep::{Remedy, UpkeepEvent},
    },
    shard::Shard,
    terms::Kept,
    upkeep::{Freeze, Frozen, thaw},
};

const NO_KIT: Misfit = Misfit("kits that are given up were part of the reservation");

impl Change {
    pub(super) fn upkeep(&self, shard: &mut Shard, event: &UpkeepEvent) -> Applied {
        match event {
            UpkeepEvent::Frozen { target, reason, reference } => {
                let freeze =
                    Freeze { id: self.lsn.get(), reason: *reason, reference: reference.clone(), frozen_at: self.now };
                // A location's freezes lie in the directory, which whoever holds all the locks puts in its place.
                if target.sku().is_some_and(|sku| sku.shard() == self.here) {
                    shard.upkeep.freezes.entry(*target).or_default().push(freeze);
                    self.follow_freezes(shard, *target)?;
                }
            }
            UpkeepEvent::Thawed { target, freezes } => {
                if target.sku().is_some_and(|sku| sku.shard() == self.here) {
                    thaw(&mut shard.upkeep.freezes, target, freezes);
                    self.follow_freezes(shard, *target)?;
                }
            }
            UpkeepEvent::Repaired(repaired) => {
                for remedy in &repaired.remedies {
                    match remedy {
                        Remedy::Moved(moved) => self.rerouted(shard, moved, None)?,
                        Remedy::Cancelled { claim, promise, end, bookings } => {
                            self.give_back(shard, claim, *promise, end.map(EndState::state))?;
                            self.booked(shard, claim.reservation, bookings)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Kits that are no longer part of a reservation.
    pub(super) fn kits_given_up(&self, shard: &mut Shard, claim: &Claim) -> Applied {
        let Some(extra) = claim.extra.as_deref().filter(|extra| !extra.kits.is_empty()) else { return Ok(()) };
        let Some(header) = shard.parts.whole_mut(&claim.reservation).and_then(|part| part.header.as_mut()) else {
            return require(shard.id != claim.reservation.home(), "an event names a reservation that was made");
        };
        let kept = header.kept.as_deref_mut().ok_or(NO_KIT)?;
        let mut kits = kept.kits.to_vec();
        for gone in &extra.kits {
            let own = kits.iter_mut().find(|own| own.sku == gone.sku).ok_or(NO_KIT)?;
            own.quantity = own.quantity.checked_sub(gone.quantity).ok_or(NO_KIT)?;
        }
        kits.retain(|kit| !kit.quantity.is_zero());
        kept.kits = kits.into();
        // As a snapshot brings it back: what keeps nothing is not kept.
        header.kept = header.kept.take().filter(|kept| **kept != Kept::default());
        Ok(())
    }

    /// The flag of a row or cell says whether any freeze stands on it. Either way what is available has changed.
    fn follow_freezes(&self, shard: &mut Shard, target: Frozen) -> Applied {
        let frozen = shard.upkeep.freezes.contains_key(&target);
        match target {
            Frozen::Sku(sku) => {
                let row = shard.rows.get_mut(sku.row());
                require(row.is_some(), KNOWN_SKU)?;
                if let Some(row) = row {
                    row.set_frozen(frozen);
                    row.set_revision(self.lsn);
                }
                Ok(())
            }
            Frozen::Cell(sku, location) => self.cell(shard, sku, location, |cell| {
                cell.frozen = frozen;
                Ok(())
            }),
            Frozen::Location(_) => Ok(()),
        }
    }
}
