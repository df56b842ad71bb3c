//! Freezes and repairs: whether a record speaks of what is known.

use super::known::Known;
use crate::event::upkeep::{Remedy, UpkeepEvent};

impl Known {
    pub(super) fn upkeep(&self, event: &UpkeepEvent) -> bool {
        match event {
            UpkeepEvent::Frozen { target, .. } | UpkeepEvent::Thawed { target, .. } => {
                target.sku().is_none_or(|sku| self.sku(sku)) && target.location().is_none_or(|at| self.location(at))
            }
            UpkeepEvent::Repaired(repaired) => {
                let remedies = repaired.remedies.iter().all(|remedy| match remedy {
                    Remedy::Moved(moved) => self.rerouted(moved),
                    Remedy::Cancelled { claim, bookings, .. } => self.lines(&claim.lines) && self.bookings(bookings),
                });
                remedies && repaired.remaining.iter().all(|cell| self.sku(cell.sku) && self.location(cell.location))
            }
        }
    }
}
