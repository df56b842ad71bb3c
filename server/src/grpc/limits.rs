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
pub(crate) const BATCH_REQUESTS_MAX: Limit =
    Limit::new("batch_requests_max", 10_000, "requests", "Requests of one ReserveBatch.");
pub(crate) const STREAM_REQUESTS_MAX: Limit =
    Limit::new("stream_requests_max", 1_000, "requests", "Requests of one message of a ReserveStream.");
pub(crate) const STREAM_MESSAGES_MAX: Limit = Limit::new(
    "stream_messages_waiting_max",
    64,
    "messages",
    "Decided messages of a ReserveStream that wait to be durable and sent. Beyond it the stream is not read.",
);
pub(crate) const RECEIPTS_MAX: Limit = Limit::new(
    "receipts_max",
    10_000,
    "receipts",
    "Receipts of one ReceiveStock: all are taken under one set of locks.",
);
pub(crate) const IMPORT_MESSAGE_ROWS_MAX: Limit =
    Limit::new("import_message_rows_max", 10_000, "rows", "Rows of one message of an ImportStock.");
pub(crate) const IMPORT_ROWS_MAX: Limit = Limit::new(
    "import_rows_max",
    20_000_000,
    "rows",
    "Rows of an import: they are held in memory until all are checked.",
);
pub(crate) const IMPORT_CHUNK_ROWS: Limit =
    Limit::new("import_chunk_rows", 10_000, "rows", "Rows that an import writes as one event.");
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
pub(crate) const CHANNELS_MAX: Limit =
    Limit::new("channels_per_request_max", 1_000, "channels", "Channels that one request adds or replaces.");
pub(crate) const PRIORITY_MAX: Limit =
    Limit::new("location_priority_max", 1_000_000, "places", "Priority of a location; lower goes first.");
pub(crate) const CELLS_PAGE_MAX: Limit = Limit::new("cells_page_max", 10_000, "cells", "A page of ListCells.");
pub(crate) const SHORTFALLS_PAGE_MAX: Limit =
    Limit::new("shortfalls_page_max", 1_000, "shortfalls", "A page of ListShortfalls.");
pub(crate) const RESERVATIONS_PAGE_MAX: Limit =
    Limit::new("reservations_page_max", 1_000, "reservations", "A page of ListReservations.");
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

const ALL: [Limit; 36] = [
    REQUEST_ID_BYTES_MAX,
    CODE_BYTES_MAX,
    REFERENCE_BYTES_MAX,
    NAME_BYTES_MAX,
    ATTRIBUTES_MAX,
    ATTRIBUTE_KEY_BYTES_MAX,
    ATTRIBUTE_VALUE_BYTES_MAX,
    QUANTITY_MAX,
    LINES_MAX,
    TTL_SECONDS_MIN,
    TTL_SECONDS_MAX,
    TTL_SECONDS_DEFAULT,
    BATCH_REQUESTS_MAX,
    STREAM_REQUESTS_MAX,
    STREAM_MESSAGES_MAX,
    RECEIPTS_MAX,
    IMPORT_MESSAGE_ROWS_MAX,
    IMPORT_ROWS_MAX,
    IMPORT_CHUNK_ROWS,
    AVAILABILITY_PAIRS_MAX,
    GRID_LOCATIONS_MAX,
    GRID_PAIRS_MAX,
    SKUS_MAX,
    LOCATIONS_MAX,
    CHANNELS_MAX,
    PRIORITY_MAX,
    CELLS_PAGE_MAX,
    SHORTFALLS_PAGE_MAX,
    RESERVATIONS_PAGE_MAX,
    SKUS_PAGE_MAX,
    SKUS_SCAN_MAX,
    LOCATIONS_PAGE_MAX,
    CHANNELS_PAGE_MAX,
    HURT_MAX,
    VIOLATIONS_MAX,
    AUDIT_DETAILS_MAX,
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
