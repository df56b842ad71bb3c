//! Units that come back from buyers: whether a record speaks of what is known.

use super::known::Known;
use crate::event::returns::{ReturnUnits, ReturnsEvent};

impl Known {
    pub(super) fn returns(&self, event: &ReturnsEvent) -> bool {
        let units = |lines: &[ReturnUnits]| {
            lines.iter().all(|line| self.sku(line.sku) && line.shipped_from.is_none_or(|at| self.location(at)))
        };
        let cells = event.changes().all(|change| self.sku(change.sku) && self.location(change.location));
        let rest = match event {
            ReturnsEvent::Announced(announced) | ReturnsEvent::Exchanged { announced, .. } => {
                units(&announced.lines)
                    && announced.expected_at.is_none_or(|at| self.location(at))
                    && event.held().is_none_or(|held| self.held(held))
            }
            ReturnsEvent::Received(received) => {
                units(&received.lines) && units(&received.withdrawn) && self.location(received.location)
            }
            ReturnsEvent::Unmatched(unmatched) => self.location(unmatched.location),
            ReturnsEvent::Inspected(inspected) => {
                inspected.lines.iter().all(|line| self.sku(line.sku) && self.location(line.location))
            }
            ReturnsEvent::Withdrawn(withdrawn) => units(&withdrawn.lines),
            ReturnsEvent::Counted(counted) => self.location(counted.location),
        };
        cells && rest
    }
}
