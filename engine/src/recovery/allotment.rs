//! Units ring-fenced for channels and campaigns: whether a record speaks of what is known.

use super::known::Known;
use crate::event::allotment::AllotmentEvent;

impl Known {
    pub(super) fn allotment(self, event: &AllotmentEvent) -> bool {
        match event {
            AllotmentEvent::Set(set) => set.rows.iter().all(|row| self.sku(row.sku)),
        }
    }
}
