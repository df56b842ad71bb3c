//! Requests about stock, to commands.

use quartermaster_engine::{
    command::{
        AdjustStock, Bucket, CellCode, Command, Condition, MoveStock, ReceiveStock, Request, SetStock, StockCommand,
        StockReason,
    },
    id::{LocationId, SkuId},
};
use quartermaster_proto::v1;

use super::{
    checks::{Checks, grouped},
    page::Pages,
};
use crate::grpc::{limits, status::ApiError};

type Change = Result<(Request, Command), ApiError>;

/// A SetStock.
pub(crate) fn set(message: v1::SetStockRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let set = SetStock {
        cell: cell(&mut checks, message.sku, message.location),
        bucket: bucket(&mut checks, message.bucket),
        quantity: checks.count("quantity", message.quantity),
        expected_revision: message.expected_revision,
        reason: reason(&mut checks, message.reason, v1::StockReason::Unspecified),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    checks.finish((request, Command::Stock(StockCommand::Set(set))))
}

/// An AdjustStock.
pub(crate) fn adjust(message: v1::AdjustStockRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let adjust = AdjustStock {
        cell: cell(&mut checks, message.sku, message.location),
        bucket: bucket(&mut checks, message.bucket),
        delta: checks.delta("delta", message.delta),
        reason: reason(&mut checks, message.reason, v1::StockReason::Unspecified),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    checks.finish((request, Command::Stock(StockCommand::Adjust(adjust))))
}

/// A ReceiveStock.
pub(crate) fn receive(message: v1::ReceiveStockRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut receipts = Vec::new();
    if checks.length("receipts", message.receipts.len(), 1, &limits::RECEIPTS_MAX) {
        receipts.extend(message.receipts.into_iter().enumerate().map(|(place, receipt)| {
            let cell = CellCode {
                sku: checks.code(format_args!("receipts[{place}].sku"), receipt.sku),
                location: checks.code(format_args!("receipts[{place}].location"), receipt.location),
            };
            (cell, checks.quantity(format_args!("receipts[{place}].quantity"), receipt.quantity))
        }));
    }
    let receive = ReceiveStock {
        receipts,
        from_incoming: message.from_incoming,
        reason: reason(&mut checks, message.reason, v1::StockReason::Purchase),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    checks.finish((request, Command::Stock(StockCommand::Receive(receive))))
}

/// A MoveStock.
pub(crate) fn step(message: v1::MoveStockRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let cell = cell(&mut checks, message.sku, message.location);
    let (from, to) = (condition(&mut checks, "from", message.from), condition(&mut checks, "to", message.to));
    if from.is_some() && from == to {
        checks.refuse("to", "is where the units are already; another bucket is needed");
    }
    let step = MoveStock {
        cell,
        from: from.unwrap_or(Condition::Sellable),
        to: to.unwrap_or(Condition::Damaged),
        quantity: checks.quantity("quantity", message.quantity),
        reason: reason(&mut checks, message.reason, v1::StockReason::Unspecified),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    checks.finish((request, Command::Stock(StockCommand::Move(step))))
}

fn cell(checks: &mut Checks, sku: String, location: String) -> CellCode {
    CellCode { sku: checks.code("sku", sku), location: checks.code("location", location) }
}

fn bucket(checks: &mut Checks, number: i32) -> Bucket {
    use v1::Bucket as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified | Wire::OnHand) => Bucket::OnHand,
        Ok(Wire::Safety) => Bucket::Safety,
        Ok(Wire::QualityControl) => Bucket::QualityControl,
        Ok(Wire::Damaged) => Bucket::Damaged,
        Ok(Wire::InRepair) => Bucket::InRepair,
        Ok(Wire::Incoming) => Bucket::Incoming,
        Ok(Wire::Sellable) => {
            checks.refuse("bucket", "is BUCKET_SELLABLE, which follows from the others; it is for moves alone");
            Bucket::OnHand
        }
        Err(_) => {
            checks.refuse("bucket", format_args!("is {number}; no Bucket has this number"));
            Bucket::OnHand
        }
    }
}

fn condition(checks: &mut Checks, field: &str, number: i32) -> Option<Condition> {
    use v1::Bucket as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Sellable) => Some(Condition::Sellable),
        Ok(Wire::QualityControl) => Some(Condition::QualityControl),
        Ok(Wire::Damaged) => Some(Condition::Damaged),
        Ok(Wire::InRepair) => Some(Condition::InRepair),
        Ok(wrong @ (Wire::Unspecified | Wire::OnHand | Wire::Safety | Wire::Incoming)) => {
            let name = wrong.as_str_name();
            checks.refuse(
                field,
                format_args!("is {name}; units move between SELLABLE, QUALITY_CONTROL, DAMAGED and IN_REPAIR"),
            );
            None
        }
        Err(_) => {
            checks.refuse(field, format_args!("is {number}; no Bucket has this number"));
            None
        }
    }
}

fn reason(checks: &mut Checks, number: i32, default: v1::StockReason) -> StockReason {
    let reason = v1::StockReason::try_from(number).unwrap_or_else(|_| {
        checks.refuse("reason", format_args!("is {number}; no StockReason has this number"));
        default
    });
    let reason = if reason == v1::StockReason::Unspecified { default } else { reason };
    StockReason(u32::try_from(i32::from(reason)).unwrap_or_default())
}

/// A GetAvailability whose shape is right: SKUs times locations are within the limit, each stands once.
pub(crate) fn availability(message: &v1::GetAvailabilityRequest) -> Result<(), ApiError> {
    let mut checks = Checks::default();
    let most = &limits::AVAILABILITY_PAIRS_MAX;
    let (skus, locations) = (message.skus.len(), message.locations.len());
    if checks.length("skus", skus, 1, most) && checks.length("locations", locations, 0, most) {
        let pairs = skus.saturating_mul(locations);
        if pairs > most.size() {
            let most = grouped(most.get());
            checks.refuse("skus", format_args!("times locations are {pairs} pairs; at most {most} are allowed"));
        }
        codes(&mut checks, "skus", &message.skus);
        codes(&mut checks, "locations", &message.locations);
    }
    checks.finish(())
}

/// A GetStyleGrid whose shape is right.
pub(crate) fn style_grid(message: &v1::GetStyleGridRequest) -> Result<(), ApiError> {
    let mut checks = Checks::default();
    checks.code("style", message.style.clone());
    if checks.length("locations", message.locations.len(), 0, &limits::GRID_LOCATIONS_MAX) {
        codes(&mut checks, "locations", &message.locations);
    }
    checks.finish(())
}

fn codes(checks: &mut Checks, field: &str, codes: &[String]) {
    if let Some(empty) = codes.iter().position(String::is_empty) {
        checks.refuse(format_args!("{field}[{empty}]"), "is empty; a code of 1 to 64 bytes is needed");
    }
    checks.each_once(field, codes.iter().map(String::as_str));
}

/// A page of cells that is asked for.
#[derive(Debug)]
pub(crate) struct CellPage {
    pub(crate) sku: String,
    pub(crate) after: Option<LocationId>,
    pub(crate) size: usize,
    pub(crate) pages: Pages,
}

/// A ListCells.
pub(crate) fn list_cells(message: v1::ListCellsRequest) -> Result<CellPage, ApiError> {
    let mut checks = Checks::default();
    let sku = checks.code("sku", message.sku);
    let size = checks.page_size(message.page_size, 1_000, &limits::CELLS_PAGE_MAX);
    let pages = Pages::of("cells", &[sku.as_bytes()]);
    let after = pages.after(&mut checks, &message.page_token);
    let after = after.and_then(|position| u32::try_from(position).ok()).map(LocationId);
    checks.finish(CellPage { sku, after, size, pages })
}

/// A page of shortfalls that is asked for.
#[derive(Debug)]
pub(crate) struct ShortfallPage {
    pub(crate) after: Option<(SkuId, LocationId)>,
    pub(crate) size: usize,
    pages: Pages,
}

impl ShortfallPage {
    /// The token of the page after a cell.
    pub(crate) fn token(&self, sku: SkuId, location: LocationId) -> String {
        self.pages.token(u64::from(sku.0) << 32 | u64::from(location.0))
    }
}

/// A ListShortfalls.
pub(crate) fn list_shortfalls(message: &v1::ListShortfallsRequest) -> Result<ShortfallPage, ApiError> {
    let mut checks = Checks::default();
    let size = checks.page_size(message.page_size, 100, &limits::SHORTFALLS_PAGE_MAX);
    let pages = Pages::of("shortfalls", &[]);
    let after = pages.after(&mut checks, &message.page_token).map(|position| {
        let half = |bits: u64| u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        (SkuId(half(position >> 32)), LocationId(half(position)))
    });
    checks.finish(ShortfallPage { after, size, pages })
}

#[cfg(test)]
mod tests {
    use quartermaster_engine::quantity::Quantity;

    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> Vec<String> {
        let violations = result.unwrap_err().violations();
        violations.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect()
    }

    fn set_message() -> v1::SetStockRequest {
        v1::SetStockRequest {
            request_id: "s".into(),
            sku: "A".into(),
            location: "L".into(),
            quantity: 5,
            ..Default::default()
        }
    }

    #[test]
    fn a_count_is_of_on_hand_unless_told_otherwise() {
        let (_, Command::Stock(StockCommand::Set(set))) = set(set_message()).unwrap() else { panic!("not a set") };
        assert_eq!((set.bucket, set.quantity, set.expected_revision), (Bucket::OnHand, Quantity(5), None));
        assert_eq!(set.reason, StockReason(0));
    }

    #[test]
    fn every_wrong_field_of_a_count_is_named() {
        let message = v1::SetStockRequest {
            sku: String::new(),
            bucket: i32::from(v1::Bucket::Sellable),
            quantity: -1,
            reason: 99,
            reference: "r".repeat(65),
            ..set_message()
        };
        let expected = [
            "sku: is missing; a code of 1 to 64 bytes is needed",
            "bucket: is BUCKET_SELLABLE, which follows from the others; it is for moves alone",
            "quantity: is -1; 0 to 4,294,967,295 are allowed",
            "reason: is 99; no StockReason has this number",
            "reference: has 65 bytes; at most 64 are allowed",
        ];
        assert_eq!(refused(set(message)), expected);
        let message = v1::SetStockRequest { bucket: 8, ..set_message() };
        assert_eq!(refused(set(message)), ["bucket: is 8; no Bucket has this number"]);
    }

    #[test]
    fn a_difference_is_not_zero() {
        let message = |delta| v1::AdjustStockRequest {
            request_id: "a".into(),
            sku: "A".into(),
            location: "L".into(),
            bucket: i32::from(v1::Bucket::Incoming),
            delta,
            ..Default::default()
        };
        let (_, Command::Stock(StockCommand::Adjust(adjust))) = adjust(message(-3)).unwrap() else { panic!() };
        assert_eq!((adjust.bucket, adjust.delta), (Bucket::Incoming, -3));
        let expected = ["delta: is 0; a difference is needed, negative to take away"];
        assert_eq!(refused(super::adjust(message(0))), expected);
    }

    #[test]
    fn receipts_are_purchases_unless_told_otherwise() {
        let receipt = |quantity| v1::Receipt { sku: "A".into(), location: "L".into(), quantity };
        let message = |receipts| v1::ReceiveStockRequest { request_id: "r".into(), receipts, ..Default::default() };
        let (_, Command::Stock(StockCommand::Receive(receive))) = receive(message(vec![receipt(4)])).unwrap() else {
            panic!()
        };
        assert_eq!((receive.receipts.len(), receive.reason), (1, StockReason(5)));
        let wrong = super::receive(message(vec![receipt(1), receipt(0)]));
        assert_eq!(refused(wrong), ["receipts[1].quantity: is 0; 1 to 4,294,967,295 are allowed"]);
        let none = super::receive(message(Vec::new()));
        assert_eq!(refused(none), ["receipts: has 0 entries; 1 to 10,000 receipts are allowed"]);
    }

    #[test]
    fn units_move_between_conditions() {
        let message = |from: v1::Bucket, to: v1::Bucket| v1::MoveStockRequest {
            request_id: "m".into(),
            sku: "A".into(),
            location: "L".into(),
            from: i32::from(from),
            to: i32::from(to),
            quantity: 2,
            ..Default::default()
        };
        let moved = step(message(v1::Bucket::Sellable, v1::Bucket::QualityControl)).unwrap();
        let (_, Command::Stock(StockCommand::Move(moved))) = moved else { panic!() };
        assert_eq!((moved.from, moved.to), (Condition::Sellable, Condition::QualityControl));
        let same = step(message(v1::Bucket::Damaged, v1::Bucket::Damaged));
        assert_eq!(refused(same), ["to: is where the units are already; another bucket is needed"]);
        let none = step(message(v1::Bucket::OnHand, v1::Bucket::Unspecified));
        let allowed = "units move between SELLABLE, QUALITY_CONTROL, DAMAGED and IN_REPAIR";
        let expected = [format!("from: is BUCKET_ON_HAND; {allowed}"), format!("to: is BUCKET_UNSPECIFIED; {allowed}")];
        assert_eq!(refused(none), expected);
    }

    #[test]
    fn availability_is_asked_for_ten_thousand_pairs_at_most() {
        let codes = |letter: &str, count: usize| (0..count).map(|number| format!("{letter}{number}")).collect();
        let ask = |skus: usize, locations: usize| {
            let (skus, locations) = (codes("A", skus), codes("L", locations));
            availability(&v1::GetAvailabilityRequest { skus, locations, ..Default::default() })
        };
        assert!(ask(10_000, 0).is_ok() && ask(10_000, 1).is_ok() && ask(100, 100).is_ok());
        assert_eq!(refused(ask(0, 0)), ["skus: has 0 entries; 1 to 10,000 pairs are allowed"]);
        assert_eq!(refused(ask(101, 100)), ["skus: times locations are 10100 pairs; at most 10,000 are allowed"]);
        let twice = v1::GetAvailabilityRequest {
            skus: vec!["A".into(), String::new(), "A".into()],
            locations: vec!["L".into(), "L".into()],
            ..Default::default()
        };
        let expected = [
            "skus[1]: is empty; a code of 1 to 64 bytes is needed",
            "skus[2]: repeats \"A\" of skus[0]",
            "locations[1]: repeats \"L\" of locations[0]",
        ];
        assert_eq!(refused(availability(&twice)), expected);
    }

    #[test]
    fn pages_begin_where_the_token_says() {
        let message = v1::ListCellsRequest { sku: "A".into(), page_size: 10_000, ..Default::default() };
        let page = list_cells(message.clone()).unwrap();
        assert_eq!((page.size, page.after), (10_000, None));
        let page_token = page.pages.token(7);
        let next = list_cells(v1::ListCellsRequest { page_token: page_token.clone(), ..message }).unwrap();
        assert_eq!(next.after, Some(LocationId(7)));
        let other = v1::ListCellsRequest { sku: "B".into(), page_token, ..Default::default() };
        assert_eq!(refused(list_cells(other)).len(), 1);

        let page = list_shortfalls(&v1::ListShortfallsRequest::default()).unwrap();
        let page_token = page.token(SkuId(u32::MAX), LocationId(3));
        let next = list_shortfalls(&v1::ListShortfallsRequest { page_size: 5, page_token }).unwrap();
        assert_eq!((next.size, next.after), (5, Some((SkuId(u32::MAX), LocationId(3)))));
    }
}
