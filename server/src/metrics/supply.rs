//! Names and explains the figures of expected units.

use quartermaster_engine::query::supply::SupplyCounts;

use super::page::Page;

pub(super) fn publish(supply: &SupplyCounts, page: &mut Page) {
    page.gauge("quartermaster_inbounds_open", "Documents of expected units that are open.");
    page.single(supply.inbounds);
    page.gauge("quartermaster_inbound_units", "Units that open documents still expect.");
    page.single(supply.incoming);
    page.gauge("quartermaster_in_transit_units", "Of those, units that left another location.");
    page.single(supply.in_transit);
    page.gauge("quartermaster_presold_units", "Units promised from what is expected.");
    page.single(supply.presold);
    page.gauge("quartermaster_presale_shortfall_units", "Of those, units that nothing expected covers.");
    page.single(supply.uncovered);
}
