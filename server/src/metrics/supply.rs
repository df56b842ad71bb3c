//! Names and explains the figures of expected units.

use quartermaster_engine::query::supply::SupplyCounts;

use super::{families, page::Page};

pub(super) fn publish(supply: &SupplyCounts, page: &mut Page) {
    page.one(&families::INBOUNDS_OPEN, supply.inbounds);
    page.one(&families::INBOUND_UNITS, supply.incoming);
    page.one(&families::IN_TRANSIT, supply.in_transit);
    page.one(&families::PRESOLD, supply.presold);
    page.one(&families::UNCOVERED, supply.uncovered);
}
