//! Units that come back from buyers: events and snapshot sections as messages.

use prost::Message as _;
use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;

use super::{DecodeError, event_from_wire, event_to_wire, shards_from_wire, shards_to_wire, unknown};
use crate::{
    command::StockReason,
    event::{
        CellChange, Event,
        returns::{
            Announced, Counted, CountedCell, Disposition, Inspected, InspectedUnits, Received, ReturnKind,
            ReturnReason, ReturnUnits, ReturnsEvent, Unmatched, Withdrawn,
        },
    },
    id::{LocationId, ReservationId, ReturnId, SkuId},
    quantity::Quantity,
    reservation::State,
    returns::{Arrival, CameBack, Pin, Return, ReturnLine, put},
    shard::Shard,
    time::Timestamp,
};

pub(super) fn to_wire(event: &ReturnsEvent) -> wire::ReturnsEvent {
    use wire::returns_event::Event as To;
    let event = match event {
        ReturnsEvent::Announced(announced) => To::Announced(announced_to_wire(announced)),
        ReturnsEvent::Exchanged { announced, held } => To::Exchanged(wire::ReturnExchanged {
            announced: Some(announced_to_wire(announced)),
            held: match event_to_wire(held) {
                wire::record::Event::Held(held) => held.encode_to_vec(),
                _ => Vec::new(),
            },
        }),
        ReturnsEvent::Received(received) => To::Received(wire::ReturnReceived {
            return_id: received.id.0,
            reservation: received.reservation.map_or(0, |id| id.0),
            kind: kind_to_wire(received.kind),
            location: received.location.0,
            lines: units_to_wire(&received.lines),
            withdrawn: units_to_wire(&received.withdrawn),
            cells: received.changes.iter().map(cell_to_wire).collect(),
            ended: received.ended,
            other_shards: shards_to_wire(&received.others),
        }),
        ReturnsEvent::Unmatched(unmatched) => To::Unmatched(wire::ReturnUnmatched {
            return_id: unmatched.id.0,
            kind: kind_to_wire(unmatched.kind),
            reason: unmatched.reason.0,
            reference: unmatched.reference.to_string(),
            location: unmatched.location.0,
            cells: unmatched.changes.iter().map(cell_to_wire).collect(),
        }),
        ReturnsEvent::Inspected(inspected) => To::Inspected(wire::ReturnInspected {
            return_id: inspected.id.0,
            reservation: inspected.reservation.map_or(0, |id| id.0),
            lines: inspected
                .lines
                .iter()
                .map(|line| wire::InspectedUnits {
                    sku: line.sku.0,
                    location: line.location.0,
                    quantity: line.quantity.0,
                    disposition: disposition_to_wire(line.disposition),
                })
                .collect(),
            cells: inspected.changes.iter().map(cell_to_wire).collect(),
            ended: inspected.ended,
            other_shards: shards_to_wire(&inspected.others),
        }),
        ReturnsEvent::Withdrawn(withdrawn) => To::Withdrawn(wire::ReturnWithdrawn {
            return_id: withdrawn.id.0,
            reservation: withdrawn.reservation.0,
            lines: units_to_wire(&withdrawn.lines),
            ended: withdrawn.ended,
            other_shards: shards_to_wire(&withdrawn.others),
        }),
        ReturnsEvent::Counted(counted) => To::Counted(wire::StockCounted {
            location: counted.location.0,
            reference: counted.reference.to_string(),
            rows: counted
                .rows
                .iter()
                .map(|row| wire::CountedCell { cell: Some(cell_to_wire(&row.change)), reason: row.reason.0 })
                .collect(),
        }),
    };
    wire::ReturnsEvent { event: Some(event) }
}

pub(super) fn from_wire(event: wire::ReturnsEvent) -> Result<ReturnsEvent, DecodeError> {
    use wire::returns_event::Event as From;
    Ok(match event.event {
        None | Some(From::None(_)) => return Err(DecodeError::NoEvent),
        Some(From::Announced(announced)) => ReturnsEvent::Announced(announced_from_wire(announced)?),
        Some(From::Exchanged(exchanged)) => {
            let announced = exchanged.announced.ok_or(DecodeError::Missing { field: "announced" })?;
            let held = wire::Held::decode(&*exchanged.held)?;
            ReturnsEvent::Exchanged {
                announced: announced_from_wire(announced)?,
                held: Box::new(event_from_wire(wire::record::Event::Held(held))?),
            }
        }
        Some(From::Received(received)) => ReturnsEvent::Received(Received {
            id: ReturnId(received.return_id),
            reservation: reservation(received.reservation),
            kind: kind_from_wire(received.kind)?,
            location: LocationId(received.location),
            lines: units_from_wire(&received.lines),
            withdrawn: units_from_wire(&received.withdrawn),
            changes: received.cells.iter().map(cell_from_wire).collect(),
            ended: received.ended,
            others: shards_from_wire(&received.other_shards),
        }),
        Some(From::Unmatched(unmatched)) => ReturnsEvent::Unmatched(Unmatched {
            id: ReturnId(unmatched.return_id),
            kind: kind_from_wire(unmatched.kind)?,
            reason: ReturnReason(unmatched.reason),
            reference: unmatched.reference.into(),
            location: LocationId(unmatched.location),
            changes: unmatched.cells.iter().map(cell_from_wire).collect(),
        }),
        Some(From::Inspected(inspected)) => ReturnsEvent::Inspected(Inspected {
            id: ReturnId(inspected.return_id),
            reservation: reservation(inspected.reservation),
            lines: inspected
                .lines
                .iter()
                .map(|line| {
                    Ok(InspectedUnits {
                        sku: SkuId(line.sku),
                        location: LocationId(line.location),
                        disposition: disposition_from_wire(line.disposition)?,
                        quantity: Quantity(line.quantity),
                    })
                })
                .collect::<Result<_, DecodeError>>()?,
            changes: inspected.cells.iter().map(cell_from_wire).collect(),
            ended: inspected.ended,
            others: shards_from_wire(&inspected.other_shards),
        }),
        Some(From::Withdrawn(withdrawn)) => ReturnsEvent::Withdrawn(Withdrawn {
            id: ReturnId(withdrawn.return_id),
            reservation: ReservationId(withdrawn.reservation),
            lines: units_from_wire(&withdrawn.lines),
            ended: withdrawn.ended,
            others: shards_from_wire(&withdrawn.other_shards),
        }),
        Some(From::Counted(counted)) => ReturnsEvent::Counted(Counted {
            location: LocationId(counted.location),
            reference: counted.reference.into(),
            rows: counted
                .rows
                .iter()
                .map(|row| {
                    let cell = row.cell.as_ref().ok_or(DecodeError::Missing { field: "cell" })?;
                    Ok(CountedCell { change: cell_from_wire(cell), reason: StockReason(row.reason) })
                })
                .collect::<Result<_, DecodeError>>()?,
        }),
    })
}

/// The record's event as a repeat tells it: what the decision about an exchange's hold met stays in the log.
pub(super) fn without_traces(event: &ReturnsEvent) -> Option<Event> {
    let ReturnsEvent::Exchanged { announced, held } = event else { return None };
    let Event::Held(held) = &**held else { return None };
    let mut held = held.clone();
    let sourced = held.sourced.as_mut().filter(|sourced| !sourced.traces.is_empty())?;
    sourced.traces = Vec::new();
    let (announced, held) = (announced.clone(), Box::new(Event::Held(held)));
    Some(Event::Returns(Box::new(ReturnsEvent::Exchanged { announced, held })))
}

fn announced_to_wire(announced: &Announced) -> wire::ReturnAnnounced {
    wire::ReturnAnnounced {
        return_id: announced.id.0,
        reservation: announced.reservation.0,
        kind: kind_to_wire(announced.kind),
        reason: announced.reason.0,
        reference: announced.reference.to_string(),
        expected_at: announced.expected_at.map_or(0, |at| at.0 + 1),
        lines: units_to_wire(&announced.lines),
        other_shards: shards_to_wire(&announced.others),
    }
}

fn announced_from_wire(announced: wire::ReturnAnnounced) -> Result<Announced, DecodeError> {
    Ok(Announced {
        id: ReturnId(announced.return_id),
        reservation: ReservationId(announced.reservation),
        kind: kind_from_wire(announced.kind)?,
        reason: ReturnReason(announced.reason),
        reference: announced.reference.into(),
        expected_at: announced.expected_at.checked_sub(1).map(LocationId),
        lines: units_from_wire(&announced.lines),
        others: shards_from_wire(&announced.other_shards),
    })
}

fn reservation(id: u64) -> Option<ReservationId> {
    (id != 0).then_some(ReservationId(id))
}

fn units_to_wire(lines: &[ReturnUnits]) -> Vec<wire::ReturnUnits> {
    lines
        .iter()
        .map(|line| wire::ReturnUnits {
            sku: line.sku.0,
            shipped_from: line.shipped_from.map_or(0, |at| at.0 + 1),
            quantity: line.quantity.0,
        })
        .collect()
}

fn units_from_wire(lines: &[wire::ReturnUnits]) -> Vec<ReturnUnits> {
    lines
        .iter()
        .map(|line| ReturnUnits {
            sku: SkuId(line.sku),
            shipped_from: line.shipped_from.checked_sub(1).map(LocationId),
            quantity: Quantity(line.quantity),
        })
        .collect()
}

fn cell_to_wire(change: &CellChange) -> wire::ReturnCell {
    wire::ReturnCell {
        sku: change.sku.0,
        location: change.location.0,
        on_hand: change.on_hand,
        quality_control: change.quality_control,
        in_repair: change.in_repair,
        on_hand_after: change.on_hand_after.0,
        available_after: change.available_after.0,
        shortfall_after: change.shortfall_after,
    }
}

fn cell_from_wire(cell: &wire::ReturnCell) -> CellChange {
    CellChange {
        sku: SkuId(cell.sku),
        location: LocationId(cell.location),
        on_hand: cell.on_hand,
        safety: 0,
        quality_control: cell.quality_control,
        damaged: 0,
        in_repair: cell.in_repair,
        incoming: 0,
        on_hand_after: Quantity(cell.on_hand_after),
        available_after: Quantity(cell.available_after),
        shortfall_after: cell.shortfall_after,
    }
}

fn kind_to_wire(kind: ReturnKind) -> i32 {
    match kind {
        ReturnKind::Customer => wire::ReturnKind::Customer,
        ReturnKind::Undeliverable => wire::ReturnKind::Undeliverable,
    }
    .into()
}

fn kind_from_wire(kind: i32) -> Result<ReturnKind, DecodeError> {
    match wire::ReturnKind::try_from(kind) {
        Ok(wire::ReturnKind::Customer) => Ok(ReturnKind::Customer),
        Ok(wire::ReturnKind::Undeliverable) => Ok(ReturnKind::Undeliverable),
        Ok(wire::ReturnKind::Unspecified) | Err(_) => Err(unknown("kind", kind)),
    }
}

fn disposition_to_wire(disposition: Disposition) -> i32 {
    match disposition {
        Disposition::Restock => wire::Disposition::Restock,
        Disposition::QualityControl => wire::Disposition::QualityControl,
        Disposition::Repair => wire::Disposition::Repair,
        Disposition::Scrap => wire::Disposition::Scrap,
        Disposition::ReturnToVendor => wire::Disposition::ReturnToVendor,
    }
    .into()
}

fn disposition_from_wire(disposition: i32) -> Result<Disposition, DecodeError> {
    match wire::Disposition::try_from(disposition) {
        Ok(wire::Disposition::Restock) => Ok(Disposition::Restock),
        Ok(wire::Disposition::QualityControl) => Ok(Disposition::QualityControl),
        Ok(wire::Disposition::Repair) => Ok(Disposition::Repair),
        Ok(wire::Disposition::Scrap) => Ok(Disposition::Scrap),
        Ok(wire::Disposition::ReturnToVendor) => Ok(Disposition::ReturnToVendor),
        Ok(wire::Disposition::Unspecified) | Err(_) => Err(unknown("disposition", disposition)),
    }
}

fn record_to_wire(record: &Return) -> wire::ReturnRecord {
    wire::ReturnRecord {
        return_id: record.id.0,
        reservation: record.reservation.map_or(0, |id| id.0),
        kind: kind_to_wire(record.kind),
        reason: record.reason.0,
        reference: record.reference.to_string(),
        expected_at: record.expected_at.map_or(0, |at| at.0 + 1),
        exchanged_for: record.exchanged_for.map_or(0, |id| id.0),
        create_time_us: record.created_at.0,
        end_time_us: record.ended_at.map_or(0, |at| at.0),
        revision: record.revision.get(),
        lines: record
            .lines
            .iter()
            .map(|line| wire::ReturnRecordLine {
                sku: line.sku.0,
                shipped_from: line.shipped_from.map_or(0, |at| at.0 + 1),
                announced: line.announced.0,
                received: line.received.0,
                withdrawn: line.withdrawn.0,
            })
            .collect(),
        arrivals: record
            .arrivals
            .iter()
            .map(|arrival| wire::ReturnArrival {
                sku: arrival.sku.0,
                location: arrival.location.0,
                received: arrival.received.0,
                inspected: arrival.inspected.iter().map(|units| units.0).collect(),
            })
            .collect(),
    }
}

/// A return as a snapshot keeps it.
pub(crate) fn record_from_wire(record: wire::ReturnRecord) -> Result<Return, &'static str> {
    Ok(Return {
        id: ReturnId(record.return_id),
        reservation: reservation(record.reservation),
        kind: kind_from_wire(record.kind).map_err(|_| "a return has an unknown kind")?,
        reason: ReturnReason(record.reason),
        reference: record.reference.into(),
        expected_at: record.expected_at.checked_sub(1).map(LocationId),
        exchanged_for: reservation(record.exchanged_for),
        created_at: Timestamp(record.create_time_us),
        ended_at: (record.end_time_us > 0).then_some(Timestamp(record.end_time_us)),
        revision: Lsn::new(record.revision),
        lines: record
            .lines
            .iter()
            .map(|line| ReturnLine {
                sku: SkuId(line.sku),
                shipped_from: line.shipped_from.checked_sub(1).map(LocationId),
                announced: Quantity(line.announced),
                received: Quantity(line.received),
                withdrawn: Quantity(line.withdrawn),
            })
            .collect(),
        arrivals: record
            .arrivals
            .iter()
            .map(|arrival| {
                let inspected: [u32; 5] = arrival
                    .inspected
                    .as_slice()
                    .try_into()
                    .map_err(|_| "an arrival of a return has another number of dispositions")?;
                Ok(Arrival {
                    sku: SkuId(arrival.sku),
                    location: LocationId(arrival.location),
                    received: Quantity(arrival.received),
                    inspected: inspected.map(Quantity),
                })
            })
            .collect::<Result<_, &'static str>>()?,
    })
}

/// What a snapshot keeps of a shard; `None` when there is nothing.
pub(crate) fn section(shard: &Shard) -> Option<wire::ReturnsSection> {
    let state = &shard.returns;
    let has_header = |id: &ReservationId| shard.parts.header(id).is_some();
    let elsewhere = state.shipped_ended.iter().map(|(_, id)| id).filter(|id| !has_header(id));
    let mut shipped_elsewhere: Vec<u64> = elsewhere.map(|id| id.0).collect();
    shipped_elsewhere.sort_unstable();
    let disposed = if state.counts.disposed == [0; 5] { Vec::new() } else { state.counts.disposed.to_vec() };
    let section = wire::ReturnsSection {
        returns: state.records.values().map(record_to_wire).collect(),
        pins: state
            .pins
            .iter()
            .map(|(id, pin)| wire::ReturnPin { reservation: id.0, returns: pin.returns, shipped: pin.shipped })
            .collect(),
        kept_since: state
            .kept_since
            .iter()
            .map(|(id, since)| wire::KeptSince { reservation: id.0, since_us: since.0 })
            .collect(),
        shipped: state.shipped.clone(),
        came_back: state
            .came_back
            .iter()
            .map(|(sku, back)| wire::CameBack { sku: sku.0, returned: back.returned, undelivered: back.undelivered })
            .collect(),
        exchanges: state
            .exchanges
            .iter()
            .map(|(id, of)| wire::ExchangedHold { reservation: id.0, return_id: of.0 })
            .collect(),
        disposed,
        shipped_elsewhere,
    };
    (section != wire::ReturnsSection::default()).then_some(section)
}

/// Puts back what a snapshot kept. Rows and parts are there already, and all ended parts in one queue.
pub(crate) fn restore(shard: &mut Shard, section: wire::ReturnsSection) -> Result<(), &'static str> {
    let state = &mut shard.returns;
    for pin in &section.pins {
        if pin.returns == 0 || !shard.parts.contains_key(&ReservationId(pin.reservation)) {
            return Err("it has open returns of a reservation that it does not have");
        }
        state.pins.insert(ReservationId(pin.reservation), Pin { returns: pin.returns, shipped: pin.shipped });
    }
    for kept in &section.kept_since {
        state.kept_since.insert(ReservationId(kept.reservation), Timestamp(kept.since_us));
    }
    let mut kept = Vec::new();
    for (ended_at, id) in shard.ended.drain(..) {
        let header = shard.parts.header(&id);
        let shipped = match header {
            Some(header) => header.state() == State::Shipped,
            None => {
                section.shipped_elsewhere.binary_search(&id.0).is_ok()
                    || state.pins.get(&id).is_some_and(|pin| pin.shipped)
            }
        };
        match state.pins.get(&id) {
            _ if !shipped => kept.push((ended_at, id)),
            Some(pin) if pin.shipped => {}
            Some(_) => return Err("a shipped reservation with open returns is not marked as shipped"),
            None => {
                let since = state.kept_since.get(&id).copied().unwrap_or(ended_at);
                state.shipped_ended.push_back((since, id));
            }
        }
    }
    state.shipped_ended.make_contiguous().sort_unstable();
    shard.ended = kept.into();
    for record in section.returns {
        let record = record_from_wire(record)?;
        if record.id.home() != shard.id {
            return Err("it has a return of another shard");
        }
        state.counts.states[record.state().index()] += 1;
        match (record.reservation, record.ended_at) {
            (Some(id), _) => state.of.entry(id).or_default().push(record.id),
            (None, Some(ended_at)) => put(&mut state.unmatched_ended, (ended_at, record.id)),
            (None, None) => {}
        }
        if state.records.insert(record.id, record).is_some() {
            return Err("a return stands twice");
        }
    }
    for exchange in &section.exchanges {
        state.exchanges.insert(ReservationId(exchange.reservation), ReturnId(exchange.return_id));
    }
    if section.shipped.len() > shard.rows.len() {
        return Err("it counts shipped units of a SKU that it does not have");
    }
    state.shipped = section.shipped;
    for back in &section.came_back {
        let sku = SkuId(back.sku);
        if sku.shard() != shard.id || sku.row() >= shard.rows.len() {
            return Err("it names a SKU that it does not have");
        }
        state.came_back.insert(sku, CameBack { returned: back.returned, undelivered: back.undelivered });
    }
    if !section.disposed.is_empty() {
        let disposed = section.disposed.as_slice().try_into();
        state.counts.disposed = disposed.map_err(|_| "it has another number of dispositions")?;
    }
    Ok(())
}
