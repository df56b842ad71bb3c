//! Units that are expected, the promises on them, and transfers: events and snapshot sections as messages.

use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;

use super::{DecodeError, promise_from_wire, promise_to_wire, unknown};
use crate::{
    command::StockReason,
    event::supply::{
        InboundKind, InboundLine, InboundState, InboundStep, LatePromise, PresoldMove, PresoldTarget, SupplyEvent,
        UncoveredPromise,
    },
    id::{LocationId, ReservationId, SkuId, SupplyId},
    quantity::Quantity,
    shard::Shard,
    supply::{InboundHeader, Supply},
    time::Timestamp,
};

pub(super) fn to_wire(event: &SupplyEvent) -> wire::SupplyEvent {
    let inbound = wire::Inbound {
        code: event.code.to_string(),
        kind: kind_to_wire(event.kind),
        location: event.location.0,
        from_location: event.from.map_or(0, |from| from.0 + 1),
        eta_us: event.eta.0,
        state: state_to_wire(event.state),
        reference: event.reference.to_string(),
        lines: event.lines.iter().map(line_to_wire).collect(),
        moves: event.moves.iter().map(move_to_wire).collect(),
        late: event
            .late
            .iter()
            .map(|late| wire::LatePromise {
                reservation: late.reservation.0,
                sku: late.sku.0,
                supply: late.supply.0,
                quantity: late.quantity.0,
                promised_time_us: late.promised.0,
                expected_time_us: late.expected.0,
            })
            .collect(),
        uncovered: event
            .uncovered
            .iter()
            .map(|one| wire::UncoveredPromise {
                reservation: one.reservation.0,
                sku: one.sku.0,
                supply: one.supply.0,
                quantity: one.quantity.0,
            })
            .collect(),
    };
    let event = match event.step {
        InboundStep::Announced => wire::supply_event::Event::Announced(inbound),
        InboundStep::TransferShipped => wire::supply_event::Event::TransferShipped(inbound),
        InboundStep::Changed => wire::supply_event::Event::Changed(inbound),
        InboundStep::Received => wire::supply_event::Event::Received(inbound),
        InboundStep::Cancelled => wire::supply_event::Event::Cancelled(inbound),
    };
    wire::SupplyEvent { event: Some(event) }
}

pub(super) fn from_wire(event: wire::SupplyEvent) -> Result<SupplyEvent, DecodeError> {
    let (step, inbound) = match event.event {
        None | Some(wire::supply_event::Event::None(_)) => return Err(DecodeError::NoEvent),
        Some(wire::supply_event::Event::Announced(inbound)) => (InboundStep::Announced, inbound),
        Some(wire::supply_event::Event::TransferShipped(inbound)) => (InboundStep::TransferShipped, inbound),
        Some(wire::supply_event::Event::Changed(inbound)) => (InboundStep::Changed, inbound),
        Some(wire::supply_event::Event::Received(inbound)) => (InboundStep::Received, inbound),
        Some(wire::supply_event::Event::Cancelled(inbound)) => (InboundStep::Cancelled, inbound),
    };
    Ok(SupplyEvent {
        step,
        kind: kind_from_wire(inbound.kind)?,
        location: LocationId(inbound.location),
        from: inbound.from_location.checked_sub(1).map(LocationId),
        eta: Timestamp(inbound.eta_us),
        state: state_from_wire(inbound.state)?,
        reference: inbound.reference.into(),
        lines: inbound.lines.iter().map(line_from_wire).collect::<Result<_, _>>()?,
        moves: inbound.moves.iter().map(move_from_wire).collect::<Result<_, _>>()?,
        late: inbound
            .late
            .iter()
            .map(|late| LatePromise {
                reservation: ReservationId(late.reservation),
                sku: SkuId(late.sku),
                supply: SupplyId(late.supply),
                quantity: Quantity(late.quantity),
                promised: Timestamp(late.promised_time_us),
                expected: Timestamp(late.expected_time_us),
            })
            .collect(),
        uncovered: inbound
            .uncovered
            .iter()
            .map(|one| UncoveredPromise {
                reservation: ReservationId(one.reservation),
                sku: SkuId(one.sku),
                supply: SupplyId(one.supply),
                quantity: Quantity(one.quantity),
            })
            .collect(),
        code: inbound.code.into(),
    })
}

fn kind_to_wire(kind: InboundKind) -> i32 {
    match kind {
        InboundKind::Purchase => wire::InboundKind::Purchase,
        InboundKind::Transfer => wire::InboundKind::Transfer,
        InboundKind::Return => wire::InboundKind::Return,
    }
    .into()
}

fn kind_from_wire(kind: i32) -> Result<InboundKind, DecodeError> {
    match wire::InboundKind::try_from(kind) {
        Ok(wire::InboundKind::Purchase) => Ok(InboundKind::Purchase),
        Ok(wire::InboundKind::Transfer) => Ok(InboundKind::Transfer),
        Ok(wire::InboundKind::Return) => Ok(InboundKind::Return),
        Ok(wire::InboundKind::Unspecified) | Err(_) => Err(unknown("Inbound.kind", kind)),
    }
}

fn state_to_wire(state: InboundState) -> i32 {
    match state {
        InboundState::Open => wire::InboundState::Open,
        InboundState::Receiving => wire::InboundState::Receiving,
        InboundState::Received => wire::InboundState::Received,
        InboundState::Cancelled => wire::InboundState::Cancelled,
    }
    .into()
}

fn state_from_wire(state: i32) -> Result<InboundState, DecodeError> {
    match wire::InboundState::try_from(state) {
        Ok(wire::InboundState::Open) => Ok(InboundState::Open),
        Ok(wire::InboundState::Receiving) => Ok(InboundState::Receiving),
        Ok(wire::InboundState::Received) => Ok(InboundState::Received),
        Ok(wire::InboundState::Cancelled) => Ok(InboundState::Cancelled),
        Ok(wire::InboundState::Unspecified) | Err(_) => Err(unknown("Inbound.state", state)),
    }
}

fn line_to_wire(line: &InboundLine) -> wire::InboundLine {
    wire::InboundLine {
        supply: line.supply.0,
        sku: line.sku.0,
        expected: line.expected.0,
        received: line.received.0,
        cap_plus_one: line.cap.map_or(0, |cap| cap.units() + 1),
        confidence: line.confidence.into(),
        open: line.open,
        rest_before: line.rest_before.0,
        arrived: line.arrived.0,
        reason: line.reason.0,
    }
}

fn line_from_wire(line: &wire::InboundLine) -> Result<InboundLine, DecodeError> {
    let cap = match line.cap_plus_one.checked_sub(1) {
        None => None,
        Some(cap) => Some(Quantity(u32::try_from(cap).map_err(|_| unknown("InboundLine.cap_plus_one", u32::MAX))?)),
    };
    let confidence = u8::try_from(line.confidence).ok().filter(|confidence| *confidence <= 100);
    Ok(InboundLine {
        supply: SupplyId(line.supply),
        sku: SkuId(line.sku),
        expected: Quantity(line.expected),
        received: Quantity(line.received),
        cap,
        confidence: confidence.ok_or_else(|| unknown("InboundLine.confidence", line.confidence))?,
        open: line.open,
        rest_before: Quantity(line.rest_before),
        arrived: Quantity(line.arrived),
        reason: StockReason(line.reason),
    })
}

fn move_to_wire(moved: &PresoldMove) -> wire::PresoldMove {
    let (to_supply, location, expected) = match moved.to {
        PresoldTarget::Stock(location) => (0, location, 0),
        PresoldTarget::Supply { supply, location, expected_at } => (supply.0, location, expected_at.0),
    };
    wire::PresoldMove {
        reservation: moved.reservation.0,
        sku: moved.sku.0,
        quantity: moved.quantity.0,
        promise: promise_to_wire(moved.promise).cast_unsigned(),
        from_supply: moved.from.0,
        to_supply,
        location: location.0,
        expected_time_us: expected,
    }
}

fn move_from_wire(moved: &wire::PresoldMove) -> Result<PresoldMove, DecodeError> {
    let location = LocationId(moved.location);
    Ok(PresoldMove {
        reservation: ReservationId(moved.reservation),
        sku: SkuId(moved.sku),
        quantity: Quantity(moved.quantity),
        promise: promise_from_wire(moved.promise.cast_signed())?,
        from: SupplyId(moved.from_supply),
        to: match moved.to_supply {
            0 => PresoldTarget::Stock(location),
            supply => PresoldTarget::Supply {
                supply: SupplyId(supply),
                location,
                expected_at: Timestamp(moved.expected_time_us),
            },
        },
    })
}

/// What a snapshot keeps of a shard; `None` when there is nothing.
pub(crate) fn section(shard: &Shard) -> Option<wire::SupplySection> {
    let state = &shard.supply;
    if state.is_unused() {
        return None;
    }
    Some(wire::SupplySection {
        supplies: state.supplies().map(supply_to_wire).collect(),
        headers: state.headers().map(|(code, header)| header_to_wire(code, header)).collect(),
        next_sequence: state.next_sequence(),
    })
}

pub(crate) fn supply_to_wire(supply: &Supply) -> wire::SupplyState {
    wire::SupplyState {
        line: Some(line_to_wire(&supply.line)),
        code: supply.code.to_string(),
        location: supply.location.0,
        eta_us: supply.eta.0,
        in_transit: supply.in_transit,
    }
}

pub(crate) fn supply_from_wire(supply: wire::SupplyState) -> Result<Supply, DecodeError> {
    let line = supply.line.as_ref().ok_or(DecodeError::Missing { field: "SupplyState.line" })?;
    Ok(Supply {
        line: line_from_wire(line)?,
        code: supply.code.into(),
        location: LocationId(supply.location),
        eta: Timestamp(supply.eta_us),
        in_transit: supply.in_transit,
        promised: 0,
    })
}

pub(crate) fn header_to_wire(code: &str, header: &InboundHeader) -> wire::InboundHeader {
    wire::InboundHeader {
        code: code.to_owned(),
        kind: kind_to_wire(header.kind),
        location: header.location.0,
        from_location: header.from.map_or(0, |from| from.0 + 1),
        eta_us: header.eta.0,
        state: state_to_wire(header.state),
        reference: header.reference.to_string(),
        lines: header.lines.iter().map(line_to_wire).collect(),
        create_time_us: header.created_at.0,
        close_time_us: header.closed_at.map_or(0, |at| at.0),
        revision: header.revision.get(),
    }
}

pub(crate) fn header_from_wire(header: wire::InboundHeader) -> Result<(Box<str>, InboundHeader), DecodeError> {
    let kept = InboundHeader {
        kind: kind_from_wire(header.kind)?,
        location: LocationId(header.location),
        from: header.from_location.checked_sub(1).map(LocationId),
        eta: Timestamp(header.eta_us),
        state: state_from_wire(header.state)?,
        reference: header.reference.into(),
        lines: header.lines.iter().map(line_from_wire).collect::<Result<_, _>>()?,
        created_at: Timestamp(header.create_time_us),
        closed_at: (header.close_time_us > 0).then_some(Timestamp(header.close_time_us)),
        revision: Lsn::new(header.revision),
    };
    Ok((header.code.into(), kept))
}

/// Puts back what a snapshot kept. Rows and parts are there already.
pub(crate) fn restore(shard: &mut Shard, section: wire::SupplySection) -> Result<(), &'static str> {
    let unreadable = |_| "an expected supply cannot be read";
    let mut supplies = Vec::with_capacity(section.supplies.len());
    for supply in section.supplies {
        supplies.push(supply_from_wire(supply).map_err(unreadable)?);
    }
    let mut headers = Vec::with_capacity(section.headers.len());
    for header in section.headers {
        headers.push(header_from_wire(header).map_err(unreadable)?);
    }
    shard.restore_supply(supplies, headers, section.next_sequence)
}
