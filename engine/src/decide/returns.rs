//! Units that come back from buyers: decisions.
//!
//! Each unit goes each step once: announced is at most what was shipped, received at most what was announced, inspected at most what
//! was received. Codes are those of the SKUs that were shipped, retired or not: what was sold before its SKU was retired comes back.

use super::{Decision, lifecycle, location, selection::SkuCodes, stock::Change};
use crate::{
    command::{
        Bucket, CellCode,
        returns::{AnnounceReturn, CountStock, InspectReturn, ReceiveReturn, ReceiveUnmatched},
    },
    error::{CodedShortage, Error, Rejection},
    event::{
        CellChange, Event, ShardSet,
        returns::{
            Announced, Counted, CountedCell, Inspected, InspectedUnits, Received, ReturnUnits, ReturnsEvent, Unmatched,
            Withdrawn,
        },
    },
    id::{LocationId, ReservationId, ReturnId, SkuId},
    quantity::Quantity,
    reservation::PartLine,
    returns::{Arrival, RETURNS_PER_RESERVATION_MAX, Return, ReturnLine},
    shard::Locked,
};

fn event(event: ReturnsEvent) -> Decision {
    Decision::Event(Event::Returns(Box::new(event)))
}

/// Decides an announcement. `id` is the id it shall have.
pub(crate) fn announce(
    locked: &Locked<'_>,
    codes: &SkuCodes,
    request: &AnnounceReturn,
    id: ReturnId,
) -> Result<Decision, Error> {
    Ok(announced(locked, codes, request, id)?
        .map_or_else(|decision| decision, |announced| event(ReturnsEvent::Announced(announced))))
}

/// Decides an exchange: `held` is what was decided about the hold.
pub(crate) fn exchange(
    locked: &Locked<'_>,
    codes: &SkuCodes,
    request: &AnnounceReturn,
    id: ReturnId,
    held: Decision,
) -> Result<Decision, Error> {
    let Decision::Event(held) = held else { return Ok(held) };
    Ok(announced(locked, codes, request, id)?.map_or_else(
        |decision| decision,
        |announced| event(ReturnsEvent::Exchanged { announced, held: Box::new(held) }),
    ))
}

fn announced(
    locked: &Locked<'_>,
    codes: &SkuCodes,
    request: &AnnounceReturn,
    id: ReturnId,
) -> Result<Result<Announced, Decision>, Error> {
    let reservation = request.reservation;
    let subject = lifecycle::subject(locked, codes, reservation)?;
    let header = subject.header;
    // A part that its shard has already forgotten means that the reservation's time is over.
    let forgotten = |shard| !locked.shard(shard).parts.contains_key(&reservation) && !header.lies_without_part(shard);
    if header.shards().iter().any(forgotten) {
        return Err(Error::UnknownReservation { id: reservation });
    }
    let returns = locked.shard(reservation.home()).returns.of.get(&reservation).map_or(0, Vec::len);
    if returns >= RETURNS_PER_RESERVATION_MAX {
        let limit = u64::try_from(RETURNS_PER_RESERVATION_MAX).unwrap_or(u64::MAX);
        return Err(Error::TableFull { what: "returns of one reservation", limit });
    }
    let directory = locked.directory();
    let expected_at = match request.expected_at.as_str() {
        "" => None,
        code => Some(location(directory, code)?),
    };
    let returnable = |line: &PartLine| line.shipped.units() - line.announced.units();
    let mut wanted: Vec<Wanted<'_, (SkuId, LocationId)>> = Vec::new();
    for line in &request.lines {
        let at = match line.shipped_from.as_str() {
            "" => None,
            code => Some(location(directory, code)?),
        };
        let matching: Vec<&PartLine> = subject
            .lines
            .iter()
            .filter(|one| codes.code(one.sku) == line.sku && at.is_none_or(|at| at == one.location))
            .filter(|one| returnable(one) > 0)
            .collect();
        if matching.len() > 1 {
            return Err(Error::AmbiguousLine { sku: line.sku.clone(), locations: matching.len() });
        }
        let found = matching.first();
        Wanted::add(
            &mut wanted,
            found.map(|one| (one.sku, one.location)),
            (&line.sku, &line.shipped_from),
            line.quantity,
            found.map_or(0, |one| returnable(one)),
        );
    }
    let lines = match Wanted::granted(&wanted) {
        Ok(granted) => granted,
        Err(shortages) => {
            let rejection = Rejection::ExceedsShipped { reservation, shortages };
            return Ok(Err(Decision::Rejected(rejection, header.revision())));
        }
    };
    let mut lines: Vec<ReturnUnits> = lines
        .into_iter()
        .map(|((sku, from), quantity)| ReturnUnits { sku, shipped_from: Some(from), quantity })
        .collect();
    lines.sort_unstable();
    let named = lines.iter().map(|line| line.sku.shard()).chain([reservation.home()]).collect();
    Ok(Ok(Announced {
        id,
        reservation,
        kind: request.kind,
        reason: request.reason,
        reference: request.reference.as_str().into(),
        expected_at,
        lines,
        others: header.shards().without(&named),
    }))
}

/// Units that lines of a request ask for of one thing that there is so much of.
struct Wanted<'a, K> {
    /// The thing; `None` where there is none.
    of: Option<K>,
    /// SKU and location codes, for messages.
    codes: (&'a str, &'a str),
    units: u64,
    available: u64,
}

impl<'a, K: Copy + PartialEq> Wanted<'a, K> {
    fn add(all: &mut Vec<Self>, of: Option<K>, codes: (&'a str, &'a str), units: Quantity, available: u64) {
        match all.iter_mut().find(|one| one.of == of && (of.is_some() || one.codes == codes)) {
            Some(one) => one.units += units.units(),
            None => all.push(Self { of, codes, units: units.units(), available }),
        }
    }

    /// What is granted, if there is enough of everything; what there is too little of otherwise.
    fn granted(all: &[Self]) -> Result<Vec<(K, Quantity)>, Vec<CodedShortage>> {
        let short = |one: &&Self| one.of.is_none() || one.units > one.available;
        let shortages: Vec<CodedShortage> = all
            .iter()
            .filter(short)
            .map(|one| CodedShortage {
                sku: one.codes.0.into(),
                location: one.codes.1.into(),
                requested: one.units,
                available: one.available,
                limited_by: crate::allotment::LimitedBy::Stock,
                component: String::new(),
            })
            .collect();
        if !shortages.is_empty() {
            return Err(shortages);
        }
        Ok(all.iter().filter_map(|one| Some((one.of?, Quantity::clamp(one.units)))).collect())
    }
}

fn record<'a>(locked: &'a Locked<'_>, id: ReturnId) -> Result<&'a Return, Error> {
    locked.shard(id.home()).returns.records.get(&id).ok_or(Error::UnknownReturn { id })
}

/// Shards of a return's reservation that an event must name besides `named` when the return ends.
fn others(locked: &Locked<'_>, reservation: Option<ReservationId>, ended: bool, named: &ShardSet) -> ShardSet {
    let header = reservation.filter(|_| ended).and_then(|id| lifecycle::header(locked, id).ok());
    header.map_or_else(ShardSet::default, |header| header.shards().without(named))
}

fn named(id: ReturnId, units: &[ReturnUnits], changes: &[CellChange]) -> ShardSet {
    let cells = changes.iter().map(|change| change.sku.shard());
    units.iter().map(|line| line.sku.shard()).chain(cells).chain([id.home()]).collect()
}

/// Decides what arrived of an announced return.
pub(crate) fn receive(locked: &Locked<'_>, codes: &SkuCodes, request: &ReceiveReturn) -> Result<Decision, Error> {
    let record = record(locked, request.id)?;
    if !record.state().is_open() {
        let wanted = "only of an open one can units arrive";
        return Err(Error::ReturnState { id: request.id, state: record.state(), wanted });
    }
    let at = location(locked.directory(), &request.location)?;
    let of_code =
        |code: &str| -> Vec<&ReturnLine> { record.lines.iter().filter(|line| codes.code(line.sku) == code).collect() };
    let mut wanted: Vec<Wanted<'_, usize>> = Vec::new();
    for (place, (code, units)) in request.lines.iter().enumerate() {
        let expected = of_code(code).iter().map(|line| line.expected()).sum();
        let first = request.lines.iter().position(|(other, _)| other == code).unwrap_or(place);
        Wanted::add(&mut wanted, Some(first), (code, ""), *units, expected);
    }
    let granted = match Wanted::granted(&wanted) {
        Ok(granted) => granted,
        Err(shortages) => {
            let rejection = Rejection::ExceedsAnnounced { id: request.id, shortages };
            return Ok(Decision::Rejected(rejection, record.revision));
        }
    };
    let mut lines: Vec<ReturnUnits> = Vec::new();
    for (place, units) in granted {
        let mut missing = units.units();
        for line in of_code(&request.lines[place].0) {
            let arrived = missing.min(line.expected());
            missing -= arrived;
            if arrived > 0 {
                lines.push(ReturnUnits {
                    sku: line.sku,
                    shipped_from: line.shipped_from,
                    quantity: Quantity::clamp(arrived),
                });
            }
        }
    }
    lines.sort_unstable();
    let arrived = |line: &ReturnLine| {
        let found = lines.iter().find(|one| (one.sku, one.shipped_from) == (line.sku, line.shipped_from));
        found.map_or(0, |one| one.quantity.units())
    };
    let mut withdrawn: Vec<ReturnUnits> = Vec::new();
    if request.last {
        withdrawn.extend(record.lines.iter().filter_map(|line| {
            let missing = line.expected() - arrived(line);
            let quantity = Quantity::clamp(missing);
            (missing > 0).then_some(ReturnUnits { sku: line.sku, shipped_from: line.shipped_from, quantity })
        }));
        withdrawn.sort_unstable();
    }
    let mut cells: Vec<(SkuId, CellCode, u64)> = Vec::new();
    for line in &lines {
        match cells.last_mut().filter(|(sku, ..)| *sku == line.sku) {
            Some((_, _, units)) => *units += line.quantity.units(),
            None => {
                let code = CellCode { sku: codes.code(line.sku).to_owned(), location: request.location.clone() };
                cells.push((line.sku, code, line.quantity.units()));
            }
        }
    }
    let changes = arrivals(locked, at, &cells)?;
    // Something has just arrived and is not inspected.
    let ended = false;
    Ok(event(ReturnsEvent::Received(Received {
        id: request.id,
        reservation: record.reservation,
        kind: record.kind,
        location: at,
        lines,
        withdrawn,
        changes,
        ended,
        others: ShardSet::default(),
    })))
}

/// Units that arrived: on hand and in quality control.
fn arrivals(locked: &Locked<'_>, at: LocationId, cells: &[(SkuId, CellCode, u64)]) -> Result<Vec<CellChange>, Error> {
    let change = |(sku, code, units): &(SkuId, CellCode, u64)| {
        let mut change = Change::at(locked, code, *sku, at);
        let units = Quantity::clamp(*units).signed();
        change.add(Bucket::OnHand, units)?;
        change.add(Bucket::QualityControl, units)?;
        Ok(change.finish())
    };
    cells.iter().map(change).collect()
}

/// Decides what arrived without a reservation. `skus` are those of its lines, in the same order; `id` is the id it shall have.
pub(crate) fn receive_unmatched(
    locked: &Locked<'_>,
    request: &ReceiveUnmatched,
    skus: &[SkuId],
    id: ReturnId,
) -> Result<Decision, Error> {
    let at = location(locked.directory(), &request.location)?;
    let mut cells: Vec<(SkuId, CellCode, u64)> = Vec::new();
    for ((code, units), sku) in request.lines.iter().zip(skus) {
        if locked.shard(sku.shard()).row(*sku).retired() {
            return Err(Error::UnknownSku { code: code.clone() });
        }
        if locked.shard(sku.shard()).row(*sku).kit() {
            return Err(Error::KitHasNoStock { sku: code.clone() });
        }
        match cells.iter_mut().find(|(known, ..)| known == sku) {
            Some((_, _, sum)) => *sum += units.units(),
            None => {
                let code = CellCode { sku: code.clone(), location: request.location.clone() };
                cells.push((*sku, code, units.units()));
            }
        }
    }
    cells.sort_unstable_by_key(|(sku, ..)| *sku);
    if let Some((_, code, requested)) = cells.iter().find(|(_, _, units)| *units > u64::from(u32::MAX)) {
        return Err(Error::SumOverflow { sku: code.sku.clone(), requested: *requested });
    }
    Ok(event(ReturnsEvent::Unmatched(Unmatched {
        id,
        kind: request.kind,
        reason: request.reason,
        reference: request.reference.as_str().into(),
        location: at,
        changes: arrivals(locked, at, &cells)?,
    })))
}

/// Decides what becomes of units that arrived. They must still be in quality control: who took them out of it otherwise has decided
/// about them already.
pub(crate) fn inspect(locked: &Locked<'_>, codes: &SkuCodes, request: &InspectReturn) -> Result<Decision, Error> {
    let record = record(locked, request.id)?;
    if !record.state().is_open() {
        let wanted = "only of an open one can units be inspected";
        return Err(Error::ReturnState { id: request.id, state: record.state(), wanted });
    }
    let directory = locked.directory();
    let mut wanted: Vec<Wanted<'_, (SkuId, LocationId)>> = Vec::new();
    let mut lines: Vec<InspectedUnits> = Vec::new();
    for line in &request.lines {
        let at = match line.location.as_str() {
            "" => None,
            code => Some(location(directory, code)?),
        };
        let matching: Vec<&Arrival> = record
            .arrivals
            .iter()
            .filter(|one| codes.code(one.sku) == line.sku && at.is_none_or(|at| at == one.location))
            .filter(|one| one.waiting() > 0)
            .collect();
        if matching.len() > 1 {
            return Err(Error::AmbiguousLine { sku: line.sku.clone(), locations: matching.len() });
        }
        let found = matching.first();
        Wanted::add(
            &mut wanted,
            found.map(|one| (one.sku, one.location)),
            (&line.sku, &line.location),
            line.quantity,
            found.map_or(0, |one| one.waiting()),
        );
        let Some(found) = found else { continue };
        let (sku, location, disposition) = (found.sku, found.location, line.disposition);
        match lines.iter_mut().find(|one| (one.sku, one.location, one.disposition) == (sku, location, disposition)) {
            Some(one) => one.quantity = Quantity::clamp(one.quantity.units() + line.quantity.units()),
            None => lines.push(InspectedUnits { sku, location, disposition, quantity: line.quantity }),
        }
    }
    let granted = match Wanted::granted(&wanted) {
        Ok(granted) => granted,
        Err(shortages) => {
            let rejection = Rejection::ExceedsReceived { id: request.id, shortages };
            return Ok(Decision::Rejected(rejection, record.revision));
        }
    };
    lines.sort_unstable();
    let mut changes = Vec::with_capacity(granted.len());
    for ((sku, at), units) in &granted {
        let code = CellCode { sku: codes.code(*sku).to_owned(), location: directory.location_code(*at).to_owned() };
        let mut change = Change::at(locked, &code, *sku, *at);
        let held = change.before().quality_control;
        if held < *units {
            return Err(Error::ExceedsBucket {
                cell: code,
                bucket: Bucket::QualityControl.name(),
                requested: units.units(),
                held: held.units(),
            });
        }
        for line in lines.iter().filter(|line| (line.sku, line.location) == (*sku, *at)) {
            let buckets = [Bucket::OnHand, Bucket::QualityControl, Bucket::InRepair];
            for (bucket, delta) in buckets.into_iter().zip(line.disposition.deltas()) {
                change.add(bucket, delta * line.quantity.signed())?;
            }
        }
        changes.push(change.finish());
    }
    changes.sort_unstable_by_key(|change| (change.sku, change.location));
    let mut after = record.clone();
    for line in &lines {
        let units = &mut after.arrival_mut(line.sku, line.location).inspected[line.disposition.index()];
        *units = Quantity::clamp(units.units() + line.quantity.units());
    }
    let ended = !after.state().is_open();
    let others = others(locked, record.reservation, ended, &named(request.id, &[], &changes));
    let (id, reservation) = (request.id, record.reservation);
    Ok(event(ReturnsEvent::Inspected(Inspected { id, reservation, lines, changes, ended, others })))
}

/// Decides that what has not arrived will not come.
pub(crate) fn cancel(locked: &Locked<'_>, id: ReturnId) -> Result<Decision, Error> {
    let record = record(locked, id)?;
    let lines: Vec<ReturnUnits> = record
        .lines
        .iter()
        .filter(|line| line.expected() > 0)
        .map(|line| ReturnUnits {
            sku: line.sku,
            shipped_from: line.shipped_from,
            quantity: Quantity::clamp(line.expected()),
        })
        .collect();
    let (Some(reservation), false) = (record.reservation, lines.is_empty()) else {
        let wanted = "nothing of it is expected that could be withdrawn";
        return Err(Error::ReturnState { id, state: record.state(), wanted });
    };
    let mut after = record.clone();
    after.lines.iter_mut().for_each(|line| line.announced = line.received);
    let ended = !after.state().is_open();
    let others = others(locked, Some(reservation), ended, &named(id, &lines, &[]));
    Ok(event(ReturnsEvent::Withdrawn(Withdrawn { id, reservation, lines, ended, others })))
}

/// Decides a count: truth from outside. `skus` are those of its rows, in the same order.
pub(crate) fn count(locked: &Locked<'_>, request: &CountStock, skus: &[SkuId]) -> Result<Decision, Error> {
    let mut rows = Vec::with_capacity(skus.len());
    for (row, sku) in request.rows.iter().zip(skus) {
        let mut change = Change::begin(locked, &row.cell, *sku)?;
        change.set(Bucket::OnHand, row.counted)?;
        rows.push(CountedCell { change: change.finish(), reason: row.reason });
    }
    rows.sort_unstable_by_key(|row| (row.change.sku, row.change.location));
    let place = rows.first().map_or(LocationId(0), |row| row.change.location);
    let reference = request.reference.as_str().into();
    Ok(event(ReturnsEvent::Counted(Counted { location: place, reference, rows })))
}
