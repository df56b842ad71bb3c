//! Requests about returns and counts, to commands; what is told of them.

use quartermaster_engine::{
    Answer, Verdict,
    catalog::Catalogue,
    command::{
        CellCode, Command, Request, Reserve, StockReason,
        returns::{
            AnnounceReturn, CountRow, CountStock, ExchangeReturn, InspectLine, InspectReturn, ReceiveReturn,
            ReceiveUnmatched, ReturnedLine, ReturnsCommand,
        },
    },
    event::{
        CellChange, Event,
        returns::{Disposition, ReturnKind, ReturnReason, ReturnUnits, ReturnsEvent},
    },
    id::{ReturnId, SkuId},
    quantity::Quantity,
    query::returns::{ReturnFilter, ReturnRate},
    returns::{Arrival, Return, ReturnState},
};
use quartermaster_proto::v1;

use super::{
    allocation,
    answers::{self, Told, units},
    checks::Checks,
    levels,
    page::Pages,
    time,
};
use crate::{
    grpc::{limits, status::ApiError},
    node::Node,
};

type Change = Result<(Request, Command), ApiError>;

fn returns(checks: Checks, request: Request, command: ReturnsCommand) -> Change {
    checks.finish((request, Command::Returns(command)))
}

/// An AnnounceReturn.
pub(crate) fn announce(message: v1::AnnounceReturnRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id.clone());
    let announce = announcement(&mut checks, "", message);
    returns(checks, request, ReturnsCommand::Announce(announce))
}

fn announcement(checks: &mut Checks, prefix: &str, message: v1::AnnounceReturnRequest) -> AnnounceReturn {
    let reservation = checks.reservation_id(format_args!("{prefix}reservation_id"), &message.reservation_id);
    let mut lines = Vec::new();
    if checks.length(format_args!("{prefix}lines"), message.lines.len(), 1, &limits::LINES_MAX) {
        lines.extend(message.lines.into_iter().enumerate().map(|(place, line)| ReturnedLine {
            sku: checks.code(format_args!("{prefix}lines[{place}].sku"), line.sku),
            shipped_from: checks.optional_code(format_args!("{prefix}lines[{place}].shipped_from"), line.shipped_from),
            quantity: checks.quantity(format_args!("{prefix}lines[{place}].quantity"), line.quantity),
        }));
    }
    AnnounceReturn {
        reservation,
        kind: kind(checks, format_args!("{prefix}kind"), message.kind),
        reason: reason(checks, format_args!("{prefix}reason"), message.reason),
        lines,
        expected_at: checks.optional_code(format_args!("{prefix}expected_location"), message.expected_location),
        reference: checks.text(format_args!("{prefix}reference"), message.reference, &limits::REFERENCE_BYTES_MAX),
    }
}

/// An ExchangeReturn.
pub(crate) fn exchange(message: v1::ExchangeReturnRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let announce = message.announce.unwrap_or_else(|| {
        checks.refuse("announce", "is missing; what comes back is needed");
        v1::AnnounceReturnRequest::default()
    });
    let mut order = message.reserve.unwrap_or_else(|| {
        checks.refuse("reserve", "is missing; what is taken in its place is needed");
        v1::ReserveRequest::default()
    });
    for (field, id) in [("announce.request_id", &announce.request_id), ("reserve.request_id", &order.request_id)] {
        if !id.is_empty() {
            checks.refuse(field, "is set; an exchange has one request id, its own");
        }
    }
    let announce = announcement(&mut checks, "announce.", announce);
    order.request_id = "of the exchange".to_owned();
    let order = match allocation::reserve(order) {
        Ok((_, Command::Reserve(order))) => Some(order),
        Ok(_) => None,
        Err(error) => {
            for wrong in error.violations() {
                checks.refuse(format_args!("reserve.{}", wrong.field), wrong.problem);
            }
            None
        }
    };
    if order.as_ref().is_some_and(|order: &Reserve| order.asked.is_some()) {
        checks.refuse("reserve", "asks for a campaign, to wait or for presale; an exchange takes from stock alone");
    }
    match order {
        Some(reserve) => {
            returns(checks, request, ReturnsCommand::Exchange(Box::new(ExchangeReturn { announce, reserve })))
        }
        None => {
            checks.finish(())?;
            Err(ApiError::Internal { what: "an order was neither taken nor refused" })
        }
    }
}

/// A ReceiveReturn.
pub(crate) fn receive(message: v1::ReceiveReturnRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let receive = ReceiveReturn {
        id: return_id(&mut checks, &message.return_id),
        location: checks.code("location", message.location),
        lines: received(&mut checks, message.lines),
        last: message.r#final,
    };
    returns(checks, request, ReturnsCommand::Receive(receive))
}

/// A ReceiveUnmatchedReturn.
pub(crate) fn receive_unmatched(message: v1::ReceiveUnmatchedReturnRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let receive = ReceiveUnmatched {
        kind: kind(&mut checks, "kind", message.kind),
        reason: reason(&mut checks, "reason", message.reason),
        location: checks.code("location", message.location),
        lines: received(&mut checks, message.lines),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    returns(checks, request, ReturnsCommand::ReceiveUnmatched(receive))
}

fn received(checks: &mut Checks, lines: Vec<v1::ReceivedLine>) -> Vec<(String, Quantity)> {
    if !checks.length("lines", lines.len(), 1, &limits::LINES_MAX) {
        return Vec::new();
    }
    let line = |(place, line): (usize, v1::ReceivedLine)| {
        let sku = checks.code(format_args!("lines[{place}].sku"), line.sku);
        (sku, checks.quantity(format_args!("lines[{place}].quantity"), line.quantity))
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// An InspectReturn.
pub(crate) fn inspect(message: v1::InspectReturnRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let id = return_id(&mut checks, &message.return_id);
    let mut lines = Vec::new();
    if checks.length("lines", message.lines.len(), 1, &limits::LINES_MAX) {
        lines.extend(message.lines.into_iter().enumerate().map(|(place, line)| InspectLine {
            sku: checks.code(format_args!("lines[{place}].sku"), line.sku),
            location: checks.optional_code(format_args!("lines[{place}].location"), line.location),
            quantity: checks.quantity(format_args!("lines[{place}].quantity"), line.quantity),
            disposition: disposition(&mut checks, place, line.disposition),
        }));
    }
    returns(checks, request, ReturnsCommand::Inspect(InspectReturn { id, lines }))
}

/// A CancelReturn.
pub(crate) fn cancel(message: v1::CancelReturnRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let id = return_id(&mut checks, &message.return_id);
    returns(checks, request, ReturnsCommand::Cancel(id))
}

/// A CountStock.
pub(crate) fn count(message: v1::CountStockRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let location = checks.code("location", message.location);
    let mut rows = Vec::new();
    if checks.length("rows", message.rows.len(), 1, &limits::RECEIPTS_MAX) {
        checks.each_once("rows", message.rows.iter().map(|row| row.sku.as_str()));
        rows.extend(message.rows.into_iter().enumerate().map(|(place, row)| CountRow {
            cell: CellCode { sku: checks.code(format_args!("rows[{place}].sku"), row.sku), location: location.clone() },
            counted: checks.count(format_args!("rows[{place}].counted"), row.counted),
            reason: count_reason(&mut checks, place, row.reason),
        }));
    }
    let reference = checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX);
    returns(checks, request, ReturnsCommand::Count(CountStock { rows, reference }))
}

fn count_reason(checks: &mut Checks, place: usize, number: i32) -> StockReason {
    let reason = v1::StockReason::try_from(number).unwrap_or_else(|_| {
        let field = format_args!("rows[{place}].reason").to_string();
        checks.refuse(field, format_args!("is {number}; no StockReason has this number"));
        v1::StockReason::Count
    });
    let reason = if reason == v1::StockReason::Unspecified { v1::StockReason::Count } else { reason };
    StockReason(u32::try_from(i32::from(reason)).unwrap_or_default())
}

fn return_id(checks: &mut Checks, id: &str) -> ReturnId {
    ReturnId::parse(id).unwrap_or_else(|| {
        checks.refuse("return_id", "is no return id; the 13 characters that AnnounceReturn gave are needed");
        ReturnId(0)
    })
}

fn kind(checks: &mut Checks, field: impl std::fmt::Display, number: i32) -> ReturnKind {
    match v1::ReturnKind::try_from(number) {
        Ok(v1::ReturnKind::Unspecified | v1::ReturnKind::Customer) => ReturnKind::Customer,
        Ok(v1::ReturnKind::Undeliverable) => ReturnKind::Undeliverable,
        Err(_) => {
            checks.refuse(field, format_args!("is {number}; no ReturnKind has this number"));
            ReturnKind::Customer
        }
    }
}

fn reason(checks: &mut Checks, field: impl std::fmt::Display, number: i32) -> ReturnReason {
    if v1::ReturnReason::try_from(number).is_err() {
        checks.refuse(field, format_args!("is {number}; no ReturnReason has this number"));
    }
    ReturnReason(u32::try_from(number).unwrap_or_default())
}

fn disposition(checks: &mut Checks, place: usize, number: i32) -> Disposition {
    let field = format_args!("lines[{place}].disposition").to_string();
    match v1::Disposition::try_from(number) {
        Ok(v1::Disposition::Restock) => return Disposition::Restock,
        Ok(v1::Disposition::QualityControl) => return Disposition::QualityControl,
        Ok(v1::Disposition::Repair) => return Disposition::Repair,
        Ok(v1::Disposition::Scrap) => return Disposition::Scrap,
        Ok(v1::Disposition::ReturnToVendor) => return Disposition::ReturnToVendor,
        Ok(v1::Disposition::Unspecified) => {
            checks.refuse(field, "is missing; what becomes of the units is needed");
        }
        Err(_) => checks.refuse(field, format_args!("is {number}; no Disposition has this number")),
    }
    Disposition::QualityControl
}

/// The id of a GetReturn.
pub(crate) fn get(message: &v1::GetReturnRequest) -> Result<ReturnId, ApiError> {
    let mut checks = Checks::default();
    let id = return_id(&mut checks, &message.return_id);
    checks.finish(id)
}

/// A page of returns that is asked for.
#[derive(Debug)]
pub(crate) struct ReturnPage {
    pub(crate) filter: ReturnFilter,
    pub(crate) after: Option<ReturnId>,
    pub(crate) size: usize,
    pub(crate) pages: Pages,
}

/// A ListReturns.
pub(crate) fn list(message: v1::ListReturnsRequest) -> Result<ReturnPage, ApiError> {
    let mut checks = Checks::default();
    let reservation =
        (!message.reservation_id.is_empty()).then(|| checks.reservation_id("reservation_id", &message.reservation_id));
    let buyer_id = checks.text("buyer_id", message.buyer_id, &limits::REFERENCE_BYTES_MAX);
    let state = match v1::ReturnState::try_from(message.state) {
        Ok(v1::ReturnState::Unspecified) => None,
        Ok(v1::ReturnState::Announced) => Some(ReturnState::Announced),
        Ok(v1::ReturnState::PartiallyReceived) => Some(ReturnState::PartiallyReceived),
        Ok(v1::ReturnState::Received) => Some(ReturnState::Received),
        Ok(v1::ReturnState::Inspected) => Some(ReturnState::Inspected),
        Ok(v1::ReturnState::Closed) => Some(ReturnState::Closed),
        Err(_) => {
            checks.refuse("state", format_args!("is {}; no ReturnState has this number", message.state));
            None
        }
    };
    let size = checks.page_size(message.page_size, 100, &limits::RESERVATIONS_PAGE_MAX);
    let filter = [message.reservation_id.as_bytes(), buyer_id.as_bytes(), &message.state.to_le_bytes()];
    let pages = Pages::of("returns", &filter);
    let after = pages.after(&mut checks, &message.page_token).map(ReturnId);
    checks.finish(ReturnPage { filter: ReturnFilter { reservation, buyer_id, state }, after, size, pages })
}

/// A page of return rates that is asked for.
#[derive(Debug)]
pub(crate) struct RatePage {
    pub(crate) per_mille: u64,
    pub(crate) shipped_min: u64,
    pub(crate) after: Option<(u64, SkuId)>,
    pub(crate) size: usize,
    pages: Pages,
}

impl RatePage {
    /// The token of the page after a rate.
    pub(crate) fn token(&self, rate: &ReturnRate) -> String {
        self.pages.token(rate.per_mille().min(u64::from(u32::MAX)) << 32 | u64::from(rate.sku.0))
    }
}

/// A ListReturnRates. `alert` is what the settings say: per mille, units.
pub(crate) fn rates(message: &v1::ListReturnRatesRequest, alert: (u64, u64)) -> Result<RatePage, ApiError> {
    let mut checks = Checks::default();
    let per_mille = match u64::try_from(message.at_least_per_mille) {
        Ok(0) => alert.0,
        Ok(rate) if rate <= 1_000_000 => rate,
        Ok(_) | Err(_) => {
            let problem =
                format_args!("is {}; 1 to 1,000,000 are allowed, 0 for {}", message.at_least_per_mille, alert.0);
            checks.refuse("at_least_per_mille", problem);
            alert.0
        }
    };
    let shipped_min = checks.count("shipped_min", message.shipped_min).units();
    let shipped_min = if shipped_min == 0 { alert.1 } else { shipped_min };
    let size = checks.page_size(message.page_size, 100, &limits::RESERVATIONS_PAGE_MAX);
    let pages = Pages::of("return_rates", &[&per_mille.to_le_bytes(), &shipped_min.to_le_bytes()]);
    let after = pages.after(&mut checks, &message.page_token).map(|position| {
        let sku = u32::try_from(position & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        (position >> 32, SkuId(sku))
    });
    checks.finish(RatePage { per_mille, shipped_min, after, size, pages })
}

/// A rate with its code.
pub(crate) fn rate(catalogue: &Catalogue, rate: &ReturnRate) -> v1::ReturnRate {
    v1::ReturnRate {
        sku: catalogue.sku_code(rate.sku).to_owned(),
        shipped: units(rate.shipped),
        returned: units(rate.returned),
        undelivered: units(rate.undelivered),
        per_mille: units(rate.per_mille()),
    }
}

/// Reservations that the cells of an event hurt now. Asked before the catalogue is locked, which no other call of the engine may follow.
fn hurt(node: &Node, answer: &Answer) -> Vec<Vec<String>> {
    match &answer.verdict {
        Verdict::Done(Event::Returns(event)) => event.changes().map(|change| levels::hurt(node, change)).collect(),
        Verdict::Done(_) | Verdict::Rejected(_) | Verdict::Nothing => Vec::new(),
    }
}

/// What a change did to a return.
pub(crate) fn told(node: &Node, answer: Answer) -> Result<Told<v1::ReturnUpdate>, ApiError> {
    let hurt = hurt(node, &answer);
    Told::of(node, answer, |catalogue, event| match event {
        Event::Returns(event) => update(catalogue, event, hurt),
        _ => None,
    })
}

/// An exchange that was granted.
pub(crate) fn exchanged(node: &Node, answer: Answer) -> Result<Told<v1::Exchange>, ApiError> {
    Told::of(node, answer, |catalogue, event| match event {
        Event::Returns(event) => {
            let hold = Some(answers::hold(catalogue, event.held()?));
            Some(v1::Exchange { announced: update(catalogue, event, Vec::new()), hold })
        }
        _ => None,
    })
}

fn update(catalogue: &Catalogue, event: &ReturnsEvent, hurt: Vec<Vec<String>>) -> Option<v1::ReturnUpdate> {
    let (ended, lines) = match event {
        ReturnsEvent::Announced(announced) | ReturnsEvent::Exchanged { announced, .. } => (false, &announced.lines[..]),
        ReturnsEvent::Received(received) => (received.ended, &received.withdrawn[..]),
        ReturnsEvent::Unmatched(_) => (false, &[][..]),
        ReturnsEvent::Inspected(inspected) => (inspected.ended, &[][..]),
        ReturnsEvent::Withdrawn(withdrawn) => (withdrawn.ended, &withdrawn.lines[..]),
        ReturnsEvent::Counted(_) => return None,
    };
    let level = |(change, hurt): (&CellChange, Vec<String>)| levels::level(catalogue, change, hurt);
    Some(v1::ReturnUpdate {
        return_id: event.id()?.to_string(),
        reservation_id: event.reservation().map_or_else(String::new, |id| id.to_string()),
        ended,
        lines: lines.iter().map(|line| announced_line(catalogue, line)).collect(),
        levels: event.changes().zip(hurt).map(level).collect(),
    })
}

fn announced_line(catalogue: &Catalogue, line: &ReturnUnits) -> v1::AnnouncedLine {
    let from = line.shipped_from.map_or("", |at| catalogue.directory().location_code(at));
    v1::AnnouncedLine {
        sku: catalogue.sku_code(line.sku).to_owned(),
        shipped_from: from.to_owned(),
        quantity: line.quantity.signed(),
    }
}

/// Cells that were counted.
pub(crate) fn counted(node: &Node, answer: Answer) -> Result<v1::CountStockResponse, ApiError> {
    let hurt = hurt(node, &answer);
    let told = Told::of(node, answer, |catalogue, event| {
        let Event::Returns(event) = event else { return None };
        let ReturnsEvent::Counted(counted) = &**event else { return None };
        let cells = counted.rows.iter().zip(hurt).map(|(row, hurt)| v1::CountedCell {
            level: Some(levels::level(catalogue, &row.change, hurt)),
            difference: row.change.on_hand,
            reason: i32::try_from(row.reason.0).unwrap_or_default(),
        });
        Some(cells.collect::<Vec<_>>())
    })?;
    let (position, replayed, cells) = told.done()?;
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let short = |cell: &&v1::CountedCell| cell.level.as_ref().is_some_and(|level| level.shortfall > 0);
    Ok(v1::CountStockResponse {
        position: Some(position),
        replayed,
        differences: number(cells.iter().filter(|cell| cell.difference != 0).count()),
        shortfalls: number(cells.iter().filter(short).count()),
        cells,
    })
}

/// A return with its codes. The lines keep the SKU codes under which they were sold.
pub(crate) fn record(catalogue: &Catalogue, record: &Return) -> v1::Return {
    let directory = catalogue.directory();
    let place = |at| directory.location_code(at).to_owned();
    let arrival = |arrival: &Arrival| v1::ReturnArrival {
        sku: catalogue.sku_code(arrival.sku).to_owned(),
        location: place(arrival.location),
        received: arrival.received.signed(),
        inspected: units(arrival.inspected_units()),
        dispositions: Disposition::ALL
            .into_iter()
            .filter(|disposition| !arrival.with(*disposition).is_zero())
            .map(|disposition| v1::DispositionUnits {
                disposition: i32::from(disposition_of(disposition)),
                quantity: arrival.with(disposition).signed(),
            })
            .collect(),
    };
    v1::Return {
        return_id: record.id.to_string(),
        state: i32::from(match record.state() {
            ReturnState::Announced => v1::ReturnState::Announced,
            ReturnState::PartiallyReceived => v1::ReturnState::PartiallyReceived,
            ReturnState::Received => v1::ReturnState::Received,
            ReturnState::Inspected => v1::ReturnState::Inspected,
            ReturnState::Closed => v1::ReturnState::Closed,
        }),
        reservation_id: record.reservation.map_or_else(String::new, |id| id.to_string()),
        kind: i32::from(match record.kind {
            ReturnKind::Customer => v1::ReturnKind::Customer,
            ReturnKind::Undeliverable => v1::ReturnKind::Undeliverable,
        }),
        reason: i32::try_from(record.reason.0).unwrap_or_default(),
        reference: record.reference.to_string(),
        expected_location: record.expected_at.map_or_else(String::new, place),
        exchange_reservation_id: record.exchanged_for.map_or_else(String::new, |id| id.to_string()),
        create_time: Some(time::to_wire(record.created_at)),
        end_time: record.ended_at.map(time::to_wire),
        revision: record.revision.get(),
        lines: record
            .lines
            .iter()
            .map(|line| v1::ReturnLine {
                sku: catalogue.sku_code(line.sku).to_owned(),
                shipped_from: line.shipped_from.map_or_else(String::new, place),
                announced: line.announced.signed(),
                received: line.received.signed(),
                withdrawn: line.withdrawn.signed(),
            })
            .collect(),
        arrivals: record.arrivals.iter().map(arrival).collect(),
    }
}

fn disposition_of(disposition: Disposition) -> v1::Disposition {
    match disposition {
        Disposition::Restock => v1::Disposition::Restock,
        Disposition::QualityControl => v1::Disposition::QualityControl,
        Disposition::Repair => v1::Disposition::Repair,
        Disposition::Scrap => v1::Disposition::Scrap,
        Disposition::ReturnToVendor => v1::Disposition::ReturnToVendor,
    }
}
