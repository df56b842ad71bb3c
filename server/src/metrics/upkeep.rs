//! Figures of freezes and repairs.

use super::{families, page::Page};

/// Freezes that stand, and units that repairs gave a remedy.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    /// Kind (sku, cell, location), reason, and how many stand.
    pub freezes: Vec<(&'static str, &'static str, u64)>,
    /// Units that repairs moved and cancelled, since the start of the process.
    pub repaired: [u64; 2],
}

pub(super) fn publish(upkeep: &Upkeep, page: &mut Page) {
    page.open(&families::FREEZES);
    for (kind, reason, count) in &upkeep.freezes {
        page.sample(&[("kind", kind), ("reason", reason)], *count);
    }
    page.open(&families::REPAIRED);
    for (remedy, units) in ["moved", "cancelled"].into_iter().zip(upkeep.repaired) {
        page.sample(&[("remedy", remedy)], units);
    }
}
