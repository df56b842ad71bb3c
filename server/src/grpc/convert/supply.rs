//! Requests about expected units, to commands, and what is told of them.

use quartermaster_engine::{
    Engine,
    catalog::Catalogue,
    command::{
        self, Command, Request, StockReason,
        supply::{
            AnnounceInbound, ArrivedLine, ChangeInbound, ExpectedLine, LineChange, ReceiveInbound, ShipTransfer,
            SupplyCommand,
        },
    },
    event::supply::{
        InboundKind, InboundLine, InboundState, LatePromise, PresoldMove, PresoldTarget, SupplyEvent, UncoveredPromise,
    },
    id::SupplyId,
    quantity::Quantity,
    query::supply::{Atp, Inbound, PresaleShortfall},
    terms::PresoldLine,
    time::Timestamp,
};
use quartermaster_proto::v1;

use super::{answers::units, checks::Checks, page::Pages, time};
use crate::grpc::{limits, status::ApiError};

type Change = Result<(Request, Command), ApiError>;

/// An AnnounceInbound.
pub(crate) fn announce(message: v1::AnnounceInboundRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let kind = match v1::InboundKind::try_from(message.kind) {
        Ok(v1::InboundKind::Purchase) => InboundKind::Purchase,
        Ok(v1::InboundKind::Transfer) => InboundKind::Transfer,
        Ok(v1::InboundKind::Return) => InboundKind::Return,
        Ok(v1::InboundKind::Unspecified) | Err(_) => {
            checks.refuse("kind", format_args!("is {}; PURCHASE, TRANSFER or RETURN is needed", message.kind));
            InboundKind::Purchase
        }
    };
    let announce = AnnounceInbound {
        code: checks.code("code", message.code),
        kind,
        location: checks.code("location", message.location),
        eta: eta(&mut checks, message.eta.as_ref()),
        lines: expected(&mut checks, message.lines),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    checks.finish((request, Command::Supply(SupplyCommand::Announce(announce))))
}

/// A ShipTransfer.
pub(crate) fn ship(message: v1::ShipTransferRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let ship = ShipTransfer {
        code: checks.code("code", message.code),
        from: checks.code("from_location", message.from_location),
        to: checks.code("to_location", message.to_location),
        eta: eta(&mut checks, message.eta.as_ref()),
        lines: expected(&mut checks, message.lines),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    checks.finish((request, Command::Supply(SupplyCommand::Ship(ship))))
}

/// A ChangeInbound.
pub(crate) fn change(message: v1::ChangeInboundRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    if message.eta.is_none() && message.lines.is_empty() {
        checks.refuse("lines", "is empty and there is no eta; something to change is needed");
    }
    let eta = message.eta.as_ref().map(|eta| time::not_before(&mut checks, "eta", eta));
    let mut lines = Vec::new();
    if checks.length("lines", message.lines.len(), 0, &limits::INBOUND_LINES_MAX) {
        checks.each_once("lines", message.lines.iter().map(|line| line.sku.as_str()));
        for (place, line) in message.lines.into_iter().enumerate() {
            let named = |name: &str| format!("lines[{place}].{name}");
            if line.clear_presale_cap && line.presale_cap.is_some() {
                checks.refuse(named("clear_presale_cap"), "is set together with presale_cap; one of them is needed");
            }
            let cap = line.presale_cap.map(|cap| Some(checks.count(named("presale_cap"), cap)));
            lines.push(LineChange {
                sku: checks.code(named("sku"), line.sku),
                quantity: line.quantity.map(|units| checks.quantity(named("quantity"), units)),
                cap: if line.clear_presale_cap { Some(None) } else { cap },
                confidence: line.confidence_percent.map(|percent| confidence(&mut checks, place, percent)),
                cancel: line.cancel,
            });
        }
    }
    let change = ChangeInbound { code: checks.code("code", message.code), eta, lines };
    checks.finish((request, Command::Supply(SupplyCommand::Change(change))))
}

/// A ReceiveInbound.
pub(crate) fn receive(message: v1::ReceiveInboundRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut lines = Vec::new();
    if checks.length("lines", message.lines.len(), usize::from(!message.r#final), &limits::INBOUND_LINES_MAX) {
        checks.each_once("lines", message.lines.iter().map(|line| line.sku.as_str()));
        for (place, line) in message.lines.into_iter().enumerate() {
            lines.push(ArrivedLine {
                sku: checks.code(format_args!("lines[{place}].sku"), line.sku),
                quantity: checks.count(format_args!("lines[{place}].quantity"), line.quantity),
                reason: reason(&mut checks, &format!("lines[{place}].reason"), line.reason),
            });
        }
    }
    let receive = ReceiveInbound {
        code: checks.code("code", message.code),
        lines,
        is_final: message.r#final,
        reason: reason(&mut checks, "reason", message.reason),
        reference: checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX),
    };
    checks.finish((request, Command::Supply(SupplyCommand::Receive(receive))))
}

/// A CancelInbound.
pub(crate) fn cancel(message: v1::CancelInboundRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let code = checks.code("code", message.code);
    checks.finish((request, Command::Supply(SupplyCommand::Cancel(code))))
}

/// What a Reserve asks of presale.
pub(crate) fn presale(checks: &mut Checks, presale: Option<v1::Presale>, sourced: bool) -> command::Presale {
    let Some(presale) = presale else { return command::Presale::No };
    if sourced {
        checks.refuse("presale", "is set together with sourcing; name locations, or none");
    }
    let by = presale.expected_by.as_ref().map(|by| time::not_before(checks, "presale.expected_by", by));
    match v1::PresaleMode::try_from(presale.mode) {
        Ok(v1::PresaleMode::StockFirst) => command::Presale::StockFirst { by },
        Ok(v1::PresaleMode::Only) => command::Presale::Only { by },
        Ok(v1::PresaleMode::Unspecified) | Err(_) => {
            checks.refuse("presale.mode", format_args!("is {}; STOCK_FIRST or ONLY is needed", presale.mode));
            command::Presale::No
        }
    }
}

/// A GetAtp whose shape is right.
pub(crate) fn atp(message: &v1::GetAtpRequest) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiError> {
    let mut checks = Checks::default();
    if checks.length("skus", message.skus.len(), 1, &limits::ATP_SKUS_MAX) {
        checks.each_once("skus", message.skus.iter().map(String::as_str));
    }
    if checks.length("locations", message.locations.len(), 0, &limits::ATP_SKUS_MAX) {
        checks.each_once("locations", message.locations.iter().map(String::as_str));
    }
    let from = message.from.as_ref().map(|from| time::not_before(&mut checks, "from", from));
    let before = message.before.as_ref().map(|before| time::not_before(&mut checks, "before", before));
    if let (Some(from), Some(before)) = (from, before)
        && before <= from
    {
        checks.refuse("before", "is not later than from; a later time is needed");
    }
    if message.quantity != 0 {
        checks.quantity("quantity", message.quantity);
    }
    checks.finish((from, before))
}

/// Where a page of presale shortfalls begins.
pub(crate) fn shortfalls(message: &v1::ListPresaleShortfallsRequest) -> Result<(Option<SupplyId>, usize), ApiError> {
    let mut checks = Checks::default();
    let size = checks.page_size(message.page_size, 100, &limits::INBOUNDS_PAGE_MAX);
    let after = shortfall_pages().after(&mut checks, &message.page_token).map(SupplyId);
    checks.finish((after, size))
}

/// Tokens of presale shortfalls: their supply's number.
pub(crate) fn shortfall_pages() -> Pages {
    Pages::of("presale_shortfalls", &[])
}

fn eta(checks: &mut Checks, eta: Option<&prost_types::Timestamp>) -> Timestamp {
    let Some(eta) = eta else {
        checks.refuse("eta", "is missing; the time at which the units are expected is needed");
        return Timestamp(0);
    };
    time::not_before(checks, "eta", eta)
}

fn expected(checks: &mut Checks, lines: Vec<v1::ExpectedLine>) -> Vec<ExpectedLine> {
    if !checks.length("lines", lines.len(), 1, &limits::INBOUND_LINES_MAX) {
        return Vec::new();
    }
    checks.each_once("lines", lines.iter().map(|line| line.sku.as_str()));
    let line = |(place, line): (usize, v1::ExpectedLine)| ExpectedLine {
        sku: checks.code(format_args!("lines[{place}].sku"), line.sku),
        quantity: checks.quantity(format_args!("lines[{place}].quantity"), line.quantity),
        cap: line.presale_cap.map(|cap| checks.count(format_args!("lines[{place}].presale_cap"), cap)),
        confidence: line.confidence_percent.map(|percent| confidence(checks, place, percent)),
    };
    lines.into_iter().enumerate().map(line).collect()
}

fn confidence(checks: &mut Checks, place: usize, percent: i32) -> u8 {
    let field = format_args!("lines[{place}].confidence_percent").to_string();
    let percent = checks.range(field, percent.into(), 0, &limits::CONFIDENCE_MAX);
    u8::try_from(percent).unwrap_or_default()
}

fn reason(checks: &mut Checks, field: &str, number: i32) -> StockReason {
    if v1::StockReason::try_from(number).is_err() {
        checks.refuse(field, format_args!("is {number}; no StockReason has this number"));
    }
    StockReason(u32::try_from(number).unwrap_or_default())
}

/// What an event did to a document: a function of it alone.
pub(crate) fn update(catalogue: &Catalogue, event: &SupplyEvent) -> v1::InboundUpdate {
    let directory = catalogue.directory();
    let inbound = v1::Inbound {
        code: event.code.to_string(),
        kind: kind(event.kind).into(),
        location: directory.location_code(event.location).to_owned(),
        from_location: event.from.map_or("", |from| directory.location_code(from)).to_owned(),
        eta: Some(time::to_wire(event.eta)),
        state: state(event.state).into(),
        lines: event.lines.iter().map(|one| line(catalogue, one, 0, 0)).collect(),
        reference: event.reference.to_string(),
        create_time: None,
        close_time: None,
        revision: 0,
    };
    let moved = |one: &PresoldMove| {
        let (location, expected) = match one.to {
            PresoldTarget::Stock(location) => (location, None),
            PresoldTarget::Supply { location, expected_at, .. } => (location, Some(expected_at)),
        };
        v1::PresaleMove {
            reservation_id: one.reservation.to_string(),
            sku: catalogue.sku_code(one.sku).to_owned(),
            location: directory.location_code(location).to_owned(),
            quantity: one.quantity.signed(),
            stock: expected.is_none(),
            expected_time: expected.map(time::to_wire),
        }
    };
    let late = |one: &LatePromise| v1::HurtPromise {
        reservation_id: one.reservation.to_string(),
        sku: catalogue.sku_code(one.sku).to_owned(),
        quantity: one.quantity.signed(),
        promised_time: Some(time::to_wire(one.promised)),
        expected_time: Some(time::to_wire(one.expected)),
    };
    v1::InboundUpdate {
        inbound: Some(inbound),
        moves: event.moves.iter().map(moved).collect(),
        late: event.late.iter().map(late).collect(),
        uncovered: event.uncovered.iter().map(|one| uncovered(catalogue, one)).collect(),
    }
}

fn uncovered(catalogue: &Catalogue, one: &UncoveredPromise) -> v1::HurtPromise {
    v1::HurtPromise {
        reservation_id: one.reservation.to_string(),
        sku: catalogue.sku_code(one.sku).to_owned(),
        quantity: one.quantity.signed(),
        promised_time: None,
        expected_time: None,
    }
}

fn line(catalogue: &Catalogue, line: &InboundLine, presold: u64, uncovered: u64) -> v1::InboundLine {
    v1::InboundLine {
        sku: catalogue.sku_code(line.sku).to_owned(),
        expected: line.expected.signed(),
        received: line.received.signed(),
        outstanding: line.rest().signed(),
        presold: units(presold),
        uncovered: units(uncovered),
        presale_cap: line.cap.map(Quantity::signed),
        confidence_percent: line.confidence.into(),
        open: line.open,
        arrived: line.arrived.signed(),
        difference: line.difference(),
        reason: i32::try_from(line.reason.0).unwrap_or_default(),
    }
}

/// A document as it stands.
pub(crate) fn inbound(catalogue: &Catalogue, inbound: &Inbound) -> v1::Inbound {
    let (header, directory) = (&inbound.header, catalogue.directory());
    let figures = inbound.promised.iter().zip(&inbound.uncovered);
    let lines = header.lines.iter().zip(figures).map(|(one, (presold, short))| {
        // The difference is a matter of the events: a document as it stands tells both figures.
        v1::InboundLine { difference: 0, ..line(catalogue, one, *presold, *short) }
    });
    v1::Inbound {
        code: inbound.code.to_string(),
        kind: kind(header.kind).into(),
        location: directory.location_code(header.location).to_owned(),
        from_location: header.from.map_or("", |from| directory.location_code(from)).to_owned(),
        eta: Some(time::to_wire(header.eta)),
        state: state(header.state).into(),
        lines: lines.collect(),
        reference: header.reference.to_string(),
        create_time: Some(time::to_wire(header.created_at)),
        close_time: header.closed_at.map(time::to_wire),
        revision: header.revision.get(),
    }
}

/// A supply that does not cover what is promised of it.
pub(crate) fn shortfall(catalogue: &Catalogue, short: &PresaleShortfall) -> v1::PresaleShortfall {
    let supply = &short.supply;
    v1::PresaleShortfall {
        inbound: supply.code.to_string(),
        sku: catalogue.sku_code(supply.line.sku).to_owned(),
        location: catalogue.directory().location_code(supply.location).to_owned(),
        presold: units(supply.promised),
        uncovered: units(supply.uncovered()),
        hurt: short.hurt.iter().take(limits::HURT_MAX.size()).map(|one| uncovered(catalogue, one)).collect(),
    }
}

/// What can be promised of a SKU from `from` on.
pub(crate) fn sku_atp(sku: String, atp: &Atp, from: Option<Timestamp>, quantity: i64, now: Timestamp) -> v1::SkuAtp {
    let begins = |time: Timestamp| from.is_none_or(|from| time >= from);
    let opening = atp.steps.iter().take_while(|step| !begins(step.time)).last();
    let steps = atp.steps.iter().filter(|step| begins(step.time)).map(|step| v1::AtpStep {
        time: Some(time::to_wire(step.time)),
        added: units(step.added),
        total: units(step.total),
    });
    let wanted = u64::try_from(quantity).unwrap_or(0);
    let first = if wanted > 0 { atp.first(wanted, now) } else { None };
    v1::SkuAtp {
        sku,
        available: units(atp.available),
        opening: units(opening.map_or(atp.available, |step| step.total)),
        steps: steps.collect(),
        promise_time: first.filter(|_| atp.available < wanted).map(time::to_wire),
        promisable: first.is_some(),
        revision: atp.revision.get(),
    }
}

/// Units promised from what is expected, as they were promised.
pub(crate) fn presold(catalogue: &Catalogue, one: &PresoldLine) -> v1::PresoldLine {
    v1::PresoldLine {
        sku: catalogue.sku_code(one.line.sku).to_owned(),
        location: catalogue.directory().location_code(one.line.location).to_owned(),
        quantity: one.line.quantity.signed(),
        inbound: String::new(),
        promised_time: Some(time::to_wire(one.promised)),
        expected_time: Some(time::to_wire(one.promised)),
    }
}

/// Adds what is known now of the supplies that a reservation is promised.
pub(crate) fn tell_expected(engine: &Engine, presold: &[PresoldLine], told: &mut v1::Reservation) {
    for (one, told) in presold.iter().zip(&mut told.presold) {
        let supply = engine.expected_supply(one.supply);
        told.inbound = supply.as_ref().map_or_else(String::new, |supply| supply.code.to_string());
        told.expected_time = supply.filter(|supply| supply.line.open).map(|supply| time::to_wire(supply.eta));
    }
}

fn kind(kind: InboundKind) -> v1::InboundKind {
    match kind {
        InboundKind::Purchase => v1::InboundKind::Purchase,
        InboundKind::Transfer => v1::InboundKind::Transfer,
        InboundKind::Return => v1::InboundKind::Return,
    }
}

fn state(state: InboundState) -> v1::InboundState {
    match state {
        InboundState::Open => v1::InboundState::Open,
        InboundState::Receiving => v1::InboundState::Receiving,
        InboundState::Received => v1::InboundState::Received,
        InboundState::Cancelled => v1::InboundState::Cancelled,
    }
}
