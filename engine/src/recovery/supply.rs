//! Units that are expected, the promises on them, and transfers: whether a record speaks of what is known.

use super::known::Known;
use crate::event::supply::{PresoldTarget, SupplyEvent};

impl Known {
    pub(super) fn supply(&self, event: &SupplyEvent) -> bool {
        self.location(event.location)
            && event.from.is_none_or(|from| self.location(from))
            && event.lines.iter().all(|line| self.sku(line.sku))
            && event.moves.iter().all(|moved| {
                let location = match moved.to {
                    PresoldTarget::Stock(location) | PresoldTarget::Supply { location, .. } => location,
                };
                self.sku(moved.sku) && self.location(location)
            })
    }
}
