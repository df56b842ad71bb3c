//! What the settings say about returns, and the figures that follow from it.

use super::Node;
use crate::metrics::Returns;

impl Node {
    /// From how many of a thousand shipped units that come back, and from how many shipped units on, a SKU is told of.
    pub fn return_alert(&self) -> (u64, u64) {
        (self.config.return_rate_alert.into(), self.config.return_rate_min_units)
    }

    pub(super) fn return_figures(&self) -> Returns {
        let counts = self.core.engine().return_counts();
        let (per_mille, shipped_min) = self.return_alert();
        Returns {
            states: counts.states,
            disposed: counts.disposed,
            above_alert: self.core.engine().return_rates_above(per_mille, shipped_min),
        }
    }
}
