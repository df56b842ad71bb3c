//! Safety stock of many levels, and rules that set it and allotments: whether a record speaks of what is known.

use super::known::Known;
use crate::event::rules::RulesEvent;

impl Known {
    pub(super) fn rules(&self, event: &RulesEvent) -> bool {
        match event {
            RulesEvent::Put { .. } => true,
            RulesEvent::Applied(applied) => {
                self.sku(applied.sku) && applied.cells.iter().all(|cell| self.location(cell.location))
            }
        }
    }
}
