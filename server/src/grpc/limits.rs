//! Every limit on what a request may hold: name, value, unit and reason, in one place for the checks and for GetLimits.

use quartermaster_proto::v1;

/// A bound that a request is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    name: &'static str,
    value: u32,
    unit: &'static str,
    description: &'static str,
}

impl Limit {
    const fn new(name: &'static str, value: u32, unit: &'static str, description: &'static str) -> Self {
        Self { name, value, unit, description }
    }

    /// Its value.
    pub(crate) fn get(&self) -> u64 {
        u64::from(self.value)
    }

    /// Its value, for lengths. This project runs on 64-bit machines, where it always fits.
    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.value).unwrap_or(usize::MAX)
    }

    /// What it counts.
    pub(crate) fn unit(&self) -> &'static str {
        self.unit
    }
}

pub(crate) const REQUEST_ID_BYTES_MAX: Limit = Limit::new(
    "request_id_bytes_max",
    64,
    "bytes",
    "A request id. It is remembered for as long as answers can be repeated.",
);
pub(crate) const CODE_BYTES_MAX: Limit = Limit::new(
    "code_bytes_max",
    64,
    "bytes",
    "A code of a SKU, location or channel, and a style, colour, size or region.",
);
pub(crate) const REFERENCE_BYTES_MAX: Limit =
    Limit::new("reference_bytes_max", 64, "bytes", "An order number, a buyer or a document number.");
pub(crate) const NAME_BYTES_MAX: Limit = Limit::new("name_bytes_max", 256, "bytes", "A name of a location or channel.");
pub(crate) const ATTRIBUTES_MAX: Limit =
    Limit::new("attributes_per_sku_max", 32, "attributes", "Free attributes of a SKU.");
pub(crate) const ATTRIBUTE_KEY_BYTES_MAX: Limit =
    Limit::new("attribute_key_bytes_max", 64, "bytes", "A key of a free attribute.");
pub(crate) const ATTRIBUTE_VALUE_BYTES_MAX: Limit =
    Limit::new("attribute_value_bytes_max", 256, "bytes", "A value of a free attribute.");
pub(crate) const SKU_SIDE_MM_MAX: Limit =
    Limit::new("sku_side_mm_max", 100_000, "millimetres", "Length, width or height of a SKU.");
pub(crate) const QUANTITY_MAX: Limit = Limit::new(
    "quantity_max",
    u32::MAX,
    "units",
    "Units of one bucket of a cell, of one line, and of one SKU in a request.",
);
pub(crate) const LINES_MAX: Limit = Limit::new(
    "lines_per_reservation_max",
    2_000,
    "lines",
    "Lines of a reservation: all are decided under one set of locks.",
);
pub(crate) const TTL_SECONDS_MIN: Limit = Limit::new("ttl_seconds_min", 1, "seconds", "Shortest life of a hold.");
pub(crate) const TTL_SECONDS_MAX: Limit =
    Limit::new("ttl_seconds_max", 30 * 24 * 3_600, "seconds", "Longest life of a hold, from now.");
pub(crate) const TTL_SECONDS_DEFAULT: Limit =
    Limit::new("ttl_seconds_default", 15 * 60, "seconds", "Life of a hold that names none.");
pub(crate) const CAMPAIGNS_MAX: Limit =
    Limit::new("campaigns_max", 100, "campaigns", "Campaigns of one UpsertCampaigns, and of a page of them.");
pub(crate) const CAMPAIGN_ITEMS_MAX: Limit =
    Limit::new("items_per_campaign_max", 1_000, "items", "SKUs of a campaign.");
pub(crate) const TRANCHES_MAX: Limit =
    Limit::new("tranches_per_item_max", 100, "tranches", "Tranches of a SKU in a campaign.");
pub(crate) const BATCH_REQUESTS_MAX: Limit =
    Limit::new("batch_requests_max", 10_000, "requests", "Requests of one ReserveBatch.");
pub(crate) const STREAM_REQUESTS_MAX: Limit =
    Limit::new("stream_requests_max", 1_000, "requests", "Requests of one message of a ReserveStream.");
pub(crate) const STREAM_MESSAGES_MAX: Limit = Limit::new(
    "stream_messages_waiting_max",
    64,
    "messages",
    "Decided messages of a ReserveStream that wait to be durable and sent, of those that came together 256 lines as one. Beyond it the stream is not read.",
);
pub(crate) const LINE_LOCATIONS_MAX: Limit = Limit::new(
    "line_locations_max",
    100,
    "locations",
    "Locations that a line allows only, never or rather, each: the router looks at every one of them.",
);
pub(crate) const SPLIT_RULES_MAX: Limit =
    Limit::new("split_rules_max", 8, "rules", "Rules of one split: each key may stand once, and more do not nest.");
pub(crate) const SPLIT_UNITS_MAX: Limit =
    Limit::new("split_line_units_max", 100_000, "units", "Units of a line to be cut up: each may need a package.");
pub(crate) const SUBSTITUTES_MAX: Limit = Limit::new(
    "line_substitutes_max",
    10,
    "SKUs",
    "Substitutes that a line agrees to: each is planned as a line of its own.",
);
pub(crate) const PARCELS_MAX: Limit =
    Limit::new("parcels_max", 1_000, "parcels", "The largest number that an order may set its parcels to.");
pub(crate) const ROUTE_ALTERNATIVES_MAX: Limit =
    Limit::new("route_alternatives_max", 5, "plans", "Other plans of one Route: each takes some solves of its own.");
pub(crate) const ROUTE_BATCH_REQUESTS_MAX: Limit =
    Limit::new("route_batch_requests_max", 1_000, "requests", "Requests of one RouteBatch.");
pub(crate) const MERGE_RESERVATIONS_MAX: Limit = Limit::new(
    "merge_reservations_max",
    20,
    "reservations",
    "Reservations that one Merge names, and plans together: all are decided under one set of locks.",
);
pub(crate) const EXPLANATIONS_AT_ONCE_MAX: Limit = Limit::new(
    "explanations_at_once_max",
    2,
    "calls",
    "Explanations and alternatives made at once; others wait. Each takes a core, and one of the past a segment of the journal in memory.",
);
pub(crate) const RECEIPTS_MAX: Limit = Limit::new(
    "receipts_max",
    10_000,
    "receipts",
    "Receipts of one ReceiveStock: all are taken under one set of locks.",
);
pub(crate) const FACTS_MAX: Limit =
    Limit::new("cell_facts_max", 10_000, "cells", "Cells of one SetCellFacts: all are set under one set of locks.");
pub(crate) const WEEKLY_DEMAND_MILLI_MAX: Limit =
    Limit::new("weekly_demand_milli_max", u32::MAX - 1, "thousandths of units", "Units of a cell sold in a week.");
pub(crate) const IMPORT_MESSAGE_ROWS_MAX: Limit =
    Limit::new("import_message_rows_max", 10_000, "rows", "Rows of one message of an ImportStock.");
pub(crate) const IMPORT_ROWS_MAX: Limit = Limit::new(
    "import_rows_max",
    20_000_000,
    "rows",
    "Rows of an import: they are held in memory until all are checked.",
);
pub(crate) const IMPORT_CHUNK_ROWS: Limit =
    Limit::new("import_chunk_rows", 1_000, "rows", "Rows that an import writes as one event.");
pub(crate) const AVAILABILITY_PAIRS_MAX: Limit = Limit::new(
    "availability_pairs_max",
    10_000,
    "pairs",
    "SKUs times locations of one GetAvailability: all figures are of one moment, under one set of locks.",
);
pub(crate) const GRID_LOCATIONS_MAX: Limit =
    Limit::new("style_grid_locations_max", 10_000, "locations", "Locations that one GetStyleGrid names.");
pub(crate) const GRID_PAIRS_MAX: Limit = Limit::new(
    "style_grid_pairs_max",
    1_000_000,
    "pairs",
    "SKUs of the style times locations counted by one GetStyleGrid.",
);
pub(crate) const SKUS_MAX: Limit =
    Limit::new("skus_per_request_max", 5_000, "SKUs", "SKUs that one request adds, replaces or retires.");
pub(crate) const LOCATIONS_MAX: Limit =
    Limit::new("locations_per_request_max", 5_000, "locations", "Locations that one request adds or replaces.");
pub(crate) const REGIONS_MAX: Limit =
    Limit::new("regions_per_request_max", 5_000, "regions", "Regions that one request adds or replaces.");
pub(crate) const REGIONS_PAGE_MAX: Limit = Limit::new("regions_page_max", 5_000, "regions", "A page of ListRegions.");
pub(crate) const DOCUMENT_BYTES_MAX: Limit =
    Limit::new("document_bytes_max", 1 << 20, "bytes", "Text of a policy or tariff; a policy has 256 KiB at most.");
pub(crate) const STOCK_RULES_BYTES_MAX: Limit =
    Limit::new("stock_rules_bytes_max", 256 << 10, "bytes", "Text of the set of stock rules.");
pub(crate) const RULE_EFFECTS_PAGE_MAX: Limit =
    Limit::new("rule_effects_page_max", 500, "SKUs", "A page of ListRuleEffects, and SKUs that one names.");
pub(crate) const CHANNELS_MAX: Limit =
    Limit::new("channels_per_request_max", 1_000, "channels", "Channels that one request adds or replaces.");
pub(crate) const PLACE_COST_MAX: Limit = Limit::new(
    "location_cost_max",
    1_000_000_000,
    "minor units",
    "Cost of a parcel or of picking a unit at a location.",
);
pub(crate) const PROCESSING_MINUTES_MAX: Limit =
    Limit::new("processing_minutes_max", 43_200, "minutes", "From the start of work at a location to the carrier.");
pub(crate) const RADIUS_METRES_MAX: Limit =
    Limit::new("same_hour_radius_metres_max", 1_000_000_000, "metres", "How far a location delivers within the hour.");
pub(crate) const KEEP_UNITS_MAX: Limit =
    Limit::new("keep_units_max", 1_000_000, "units", "Units of each SKU that sourcing leaves behind at a location.");
pub(crate) const HOLIDAYS_MAX: Limit =
    Limit::new("holidays_per_location_max", 1_000, "days", "Days on which a location does not work.");
pub(crate) const PRIORITY_MAX: Limit =
    Limit::new("location_priority_max", 1_000_000, "places", "Priority of a location; lower goes first.");
pub(crate) const CELLS_PAGE_MAX: Limit = Limit::new("cells_page_max", 10_000, "cells", "A page of ListCells.");
pub(crate) const SHORTFALLS_PAGE_MAX: Limit =
    Limit::new("shortfalls_page_max", 1_000, "shortfalls", "A page of ListShortfalls.");
pub(crate) const INBOUND_LINES_MAX: Limit =
    Limit::new("inbound_lines_max", 1_000, "lines", "Lines of a document of expected units.");
pub(crate) const INBOUNDS_PAGE_MAX: Limit =
    Limit::new("inbounds_page_max", 1_000, "documents", "A page of ListInbounds or ListPresaleShortfalls.");
pub(crate) const ATP_SKUS_MAX: Limit = Limit::new("atp_skus_max", 1_000, "SKUs", "SKUs, and locations, of one GetAtp.");
pub(crate) const CONFIDENCE_MAX: Limit =
    Limit::new("confidence_percent_max", 100, "per cent", "Part of what is expected that may be promised ahead.");
pub(crate) const RESERVATIONS_PAGE_MAX: Limit =
    Limit::new("reservations_page_max", 1_000, "reservations", "A page of ListReservations.");
pub(crate) const ALLOTMENT_ROWS_MAX: Limit = Limit::new(
    "allotment_rows_max",
    500,
    "rows",
    "Rows of one change of allotments: all are decided under one set of locks.",
);
pub(crate) const MILLI_PERCENT_MAX: Limit =
    Limit::new("milli_percent_max", 100_000, "thousandths of a percent", "A quota as a part of what is available.");
pub(crate) const ALLOTMENTS_PAGE_MAX: Limit =
    Limit::new("allotments_page_max", 1_000, "allotments", "A page of ListAllotments.");
pub(crate) const SKUS_PAGE_MAX: Limit = Limit::new("skus_page_max", 5_000, "SKUs", "A page of ListSkus.");
pub(crate) const SKUS_SCAN_MAX: Limit = Limit::new(
    "skus_scan_max",
    100_000,
    "SKUs",
    "SKUs that one ListSkus looks at. A page may hold fewer than asked for although more follow.",
);
pub(crate) const LOCATIONS_PAGE_MAX: Limit =
    Limit::new("locations_page_max", 5_000, "locations", "A page of ListLocations.");
pub(crate) const CHANNELS_PAGE_MAX: Limit =
    Limit::new("channels_page_max", 1_000, "channels", "A page of ListChannels.");
pub(crate) const HURT_MAX: Limit =
    Limit::new("hurt_reservations_max", 100, "reservations", "Reservations named with a shortfall.");
pub(crate) const VIOLATIONS_MAX: Limit = Limit::new(
    "violations_max",
    20,
    "violations",
    "Wrong fields named in one error; what follows is not looked at in detail.",
);
pub(crate) const AUDIT_DETAILS_MAX: Limit =
    Limit::new("audit_details_max", 100, "violations", "Differences that RunAudit tells in words.");

pub(crate) const FREEZES_PAGE_MAX: Limit = Limit::new("freezes_page_max", 1_000, "freezes", "A page of ListFreezes.");
pub(crate) const KIT_COMPONENTS_MAX: Limit =
    Limit::new("kit_components_max", 50, "components", "SKUs that a kit consists of.");
pub(crate) const KIT_UNITS_MAX: Limit =
    Limit::new("kit_units_max", 10_000, "units", "Units of a component in one kit.");
pub(crate) const REPAIR_PRIORITIES_MAX: Limit =
    Limit::new("repair_priorities_max", 2, "entries", "Priorities of a RepairShortfalls.");

const ALL: &[Limit] = &[
    REQUEST_ID_BYTES_MAX,
    CODE_BYTES_MAX,
    REFERENCE_BYTES_MAX,
    NAME_BYTES_MAX,
    ATTRIBUTES_MAX,
    ATTRIBUTE_KEY_BYTES_MAX,
    ATTRIBUTE_VALUE_BYTES_MAX,
    SKU_SIDE_MM_MAX,
    QUANTITY_MAX,
    LINES_MAX,
    TTL_SECONDS_MIN,
    TTL_SECONDS_MAX,
    TTL_SECONDS_DEFAULT,
    BATCH_REQUESTS_MAX,
    STREAM_REQUESTS_MAX,
    STREAM_MESSAGES_MAX,
    LINE_LOCATIONS_MAX,
    SUBSTITUTES_MAX,
    SPLIT_RULES_MAX,
    SPLIT_UNITS_MAX,
    PARCELS_MAX,
    ROUTE_ALTERNATIVES_MAX,
    ROUTE_BATCH_REQUESTS_MAX,
    MERGE_RESERVATIONS_MAX,
    EXPLANATIONS_AT_ONCE_MAX,
    RECEIPTS_MAX,
    FACTS_MAX,
    WEEKLY_DEMAND_MILLI_MAX,
    IMPORT_MESSAGE_ROWS_MAX,
    IMPORT_ROWS_MAX,
    IMPORT_CHUNK_ROWS,
    AVAILABILITY_PAIRS_MAX,
    GRID_LOCATIONS_MAX,
    GRID_PAIRS_MAX,
    SKUS_MAX,
    LOCATIONS_MAX,
    REGIONS_MAX,
    REGIONS_PAGE_MAX,
    DOCUMENT_BYTES_MAX,
    STOCK_RULES_BYTES_MAX,
    RULE_EFFECTS_PAGE_MAX,
    CHANNELS_MAX,
    PLACE_COST_MAX,
    PROCESSING_MINUTES_MAX,
    RADIUS_METRES_MAX,
    KEEP_UNITS_MAX,
    HOLIDAYS_MAX,
    PRIORITY_MAX,
    CELLS_PAGE_MAX,
    SHORTFALLS_PAGE_MAX,
    INBOUND_LINES_MAX,
    INBOUNDS_PAGE_MAX,
    ATP_SKUS_MAX,
    CONFIDENCE_MAX,
    RESERVATIONS_PAGE_MAX,
    ALLOTMENT_ROWS_MAX,
    MILLI_PERCENT_MAX,
    ALLOTMENTS_PAGE_MAX,
    SKUS_PAGE_MAX,
    SKUS_SCAN_MAX,
    LOCATIONS_PAGE_MAX,
    CHANNELS_PAGE_MAX,
    HURT_MAX,
    VIOLATIONS_MAX,
    AUDIT_DETAILS_MAX,
    FREEZES_PAGE_MAX,
    KIT_COMPONENTS_MAX,
    KIT_UNITS_MAX,
    REPAIR_PRIORITIES_MAX,
];

/// All of them, in the order of their names.
#[must_use]
pub fn all() -> Vec<v1::Limit> {
    let mut limits: Vec<v1::Limit> = ALL
        .iter()
        .map(|limit| v1::Limit {
            name: limit.name.into(),
            value: i64::from(limit.value),
            unit: limit.unit.into(),
            description: limit.description.into(),
        })
        .collect();
    limits.sort_by(|one, other| one.name.cmp(&other.name));
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_names_of_their_own_and_reasons() {
        let limits = all();
        assert!(limits.is_sorted_by(|one, other| one.name < other.name), "sorted, each name once");
        assert!(limits.iter().all(|limit| limit.value > 0 && limit.description.ends_with('.')));
        let lines = limits.iter().find(|limit| limit.name == "lines_per_reservation_max").unwrap();
        assert!(lines.value >= 2_000, "real orders pass 1,000 lines");
    }
}
