//! Units that are expected, the promises on them, and transfers: decisions.
//!
//! What is promised ahead is promised of one supply. When that no longer covers it, it is promised anew in the same event, in the order
//! of promise: of free stock at open locations, in the order of their ranks, then of other supplies, the earliest first. What finds
//! neither stays where it is and is told. Each event that concerns a SKU tries again for all that is uncovered of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Decision, location,
    selection::{SkuCodes, Subject},
};
use crate::{
    allotment::reach,
    catalog::Directory,
    command::{
        Bucket, CellCode, LineSelection, Presale, StockReason,
        supply::{AnnounceInbound, ChangeInbound, ExpectedLine, ReceiveInbound, ShipTransfer, SupplyCommand},
    },
    error::{CodedShortage, Error, Rejection},
    event::{
        Event, Line, Lines, Promise,
        supply::{
            InboundKind, InboundLine, InboundState, InboundStep, LatePromise, PresoldMove, PresoldTarget, SupplyEvent,
            UncoveredPromise,
        },
    },
    id::{LocationId, ReservationId, SkuId, SupplyId},
    quantity::Quantity,
    reservation::PartRef,
    shard::{Locked, Shard},
    stock::Buckets,
    supply::{InboundHeader, Supply, home_of},
    terms::{PresoldLine, Terms},
    time::Timestamp,
};

/// Decides a step of a document. `skus` are those of the lines of what is announced or shipped, in their order; `codes` those of the lines
/// of a document that is there.
pub(crate) fn decide(
    locked: &Locked<'_>,
    command: &SupplyCommand,
    skus: &[SkuId],
    codes: &SkuCodes,
    now: Timestamp,
) -> Result<Decision, Error> {
    match command {
        SupplyCommand::Announce(request) => announce(locked, request, skus, now),
        SupplyCommand::Ship(request) => ship(locked, request, skus, now),
        SupplyCommand::Change(request) => change(locked, request, codes, now),
        SupplyCommand::Receive(request) => receive(locked, request, codes),
        SupplyCommand::Cancel(code) => cancel(locked, code),
    }
}

/// Units are expected.
fn announce(locked: &Locked<'_>, request: &AnnounceInbound, skus: &[SkuId], now: Timestamp) -> Result<Decision, Error> {
    is_new(locked, &request.code)?;
    not_past(request.eta, now)?;
    let at = location(locked.directory(), &request.location)?;
    let sure = if request.kind == InboundKind::Return { 0 } else { 100 };
    let lines = expected_lines(locked, &request.lines, skus, (at, &request.location), sure)?;
    let event = SupplyEvent {
        step: InboundStep::Announced,
        code: request.code.as_str().into(),
        kind: request.kind,
        location: at,
        from: None,
        eta: request.eta,
        state: InboundState::Open,
        reference: request.reference.as_str().into(),
        lines,
        moves: Vec::new(),
        late: Vec::new(),
        uncovered: Vec::new(),
    };
    settle(locked, event)
}

/// Units leave one location for another. Only what is available may.
fn ship(locked: &Locked<'_>, request: &ShipTransfer, skus: &[SkuId], now: Timestamp) -> Result<Decision, Error> {
    is_new(locked, &request.code)?;
    not_past(request.eta, now)?;
    let directory = locked.directory();
    let (from, to) = (location(directory, &request.from)?, location(directory, &request.to)?);
    if from == to {
        let sku = request.lines.first().map_or_else(String::new, |line| line.sku.clone());
        return Err(Error::SameLocation { sku, location: request.to.clone() });
    }
    let mut shortages = Vec::new();
    let mut rests_on = directory.revision();
    for (line, sku) in request.lines.iter().zip(skus) {
        let row = locked.shard(sku.shard()).row(*sku);
        rests_on = rests_on.max(row.revision());
        let available = row.available_at(from);
        if available < line.quantity && !row.retired() {
            shortages.push(CodedShortage {
                sku: line.sku.clone(),
                location: request.from.clone(),
                requested: line.quantity.units(),
                available: available.units(),
                limited_by: crate::allotment::LimitedBy::Stock,
                component: String::new(),
            });
        }
    }
    let lines = expected_lines(locked, &request.lines, skus, (to, &request.to), 100)?;
    if !shortages.is_empty() {
        return Ok(Decision::Rejected(Rejection::InsufficientStock { shortages }, rests_on));
    }
    let event = SupplyEvent {
        step: InboundStep::TransferShipped,
        code: request.code.as_str().into(),
        kind: InboundKind::Transfer,
        location: to,
        from: Some(from),
        eta: request.eta,
        state: InboundState::Open,
        reference: request.reference.as_str().into(),
        lines,
        moves: Vec::new(),
        late: Vec::new(),
        uncovered: Vec::new(),
    };
    settle(locked, event)
}

/// What was announced is no longer so.
fn change(locked: &Locked<'_>, request: &ChangeInbound, codes: &SkuCodes, now: Timestamp) -> Result<Decision, Error> {
    let header = open(locked, &request.code)?;
    if let Some(eta) = request.eta {
        not_past(eta, now)?;
    }
    let under_way = header.from.is_some();
    let mut lines: BTreeMap<SkuId, InboundLine> = BTreeMap::new();
    if request.eta.is_some_and(|eta| eta != header.eta) {
        lines.extend(header.lines.iter().filter(|line| line.open).map(|line| (line.sku, begin(line))));
    }
    for asked in &request.lines {
        let kept = open_line(header, codes, &request.code, &asked.sku)?;
        if under_way && (asked.cancel || asked.quantity.is_some()) {
            return Err(Error::TransferUnderWay { code: request.code.clone() });
        }
        let line = lines.entry(kept.sku).or_insert_with(|| begin(kept));
        if let Some(quantity) = asked.quantity {
            if quantity < kept.received {
                return Err(Error::BelowReceived {
                    sku: asked.sku.clone(),
                    requested: quantity,
                    received: kept.received,
                });
            }
            line.expected = quantity;
            let more = line.rest().signed() - line.rest_before.signed();
            let incoming = locked.shard(kept.sku.shard()).row(kept.sku).get(header.location).incoming;
            if incoming.checked_add_signed(more).is_none() {
                let location = locked.directory().location_code(header.location).to_owned();
                let cell = CellCode { sku: asked.sku.clone(), location };
                return Err(Error::Overflow { cell, bucket: Bucket::Incoming });
            }
        }
        line.cap = asked.cap.unwrap_or(line.cap);
        line.confidence = asked.confidence.unwrap_or(line.confidence);
        line.open &= !asked.cancel;
    }
    let mut event = step(InboundStep::Changed, &request.code, header, lines);
    event.eta = request.eta.unwrap_or(header.eta);
    close(header, &mut event, false);
    settle(locked, event)
}

/// Units arrived.
fn receive(locked: &Locked<'_>, request: &ReceiveInbound, codes: &SkuCodes) -> Result<Decision, Error> {
    let header = open(locked, &request.code)?;
    let mut lines: BTreeMap<SkuId, InboundLine> = BTreeMap::new();
    let mut reasons: BTreeMap<SkuId, StockReason> = BTreeMap::new();
    for arrived in &request.lines {
        let kept = open_line(header, codes, &request.code, &arrived.sku)?;
        let line = lines.entry(kept.sku).or_insert_with(|| begin(kept));
        let cell = || CellCode {
            sku: arrived.sku.clone(),
            location: locked.directory().location_code(header.location).to_owned(),
        };
        let overflow = || Error::Overflow { cell: cell(), bucket: Bucket::OnHand };
        line.arrived = line.arrived.checked_add(arrived.quantity).ok_or_else(overflow)?;
        line.received = line.received.checked_add(arrived.quantity).ok_or_else(overflow)?;
        if arrived.reason != StockReason::default() {
            reasons.insert(kept.sku, arrived.reason);
        }
        let on_hand = locked.shard(kept.sku.shard()).row(kept.sku).get(header.location).on_hand;
        on_hand.checked_add(line.arrived).ok_or_else(overflow)?;
    }
    let mut event = step(InboundStep::Received, &request.code, header, lines);
    event.reference = request.reference.as_str().into();
    close(header, &mut event, request.is_final);
    for line in &mut event.lines {
        if line.difference() != 0 {
            line.reason = reasons.get(&line.sku).copied().unwrap_or(request.reason);
        }
    }
    settle(locked, event)
}

/// Nothing more will come.
fn cancel(locked: &Locked<'_>, code: &str) -> Result<Decision, Error> {
    let header = open(locked, code)?;
    if header.from.is_some() {
        return Err(Error::TransferUnderWay { code: code.to_owned() });
    }
    let lines = header.lines.iter().filter(|line| line.open).map(|line| (line.sku, begin(line))).collect();
    let mut event = step(InboundStep::Cancelled, code, header, lines);
    event.lines.iter_mut().for_each(|line| line.open = false);
    event.state = InboundState::Cancelled;
    settle(locked, event)
}

fn is_new(locked: &Locked<'_>, code: &str) -> Result<(), Error> {
    match locked.shard(home_of(code)).supply.header(code) {
        Some(header) if header.state.is_open() => {
            Err(Error::InboundExists { code: code.to_owned(), state: header.state })
        }
        _ => Ok(()),
    }
}

fn not_past(eta: Timestamp, now: Timestamp) -> Result<(), Error> {
    if eta < now { Err(Error::EtaPast { eta, now }) } else { Ok(()) }
}

fn open<'a>(locked: &'a Locked<'_>, code: &str) -> Result<&'a InboundHeader, Error> {
    let header = locked.shard(home_of(code)).supply.header(code);
    let header = header.ok_or_else(|| Error::UnknownInbound { code: code.to_owned() })?;
    if header.state.is_open() {
        Ok(header)
    } else {
        Err(Error::InboundClosed { code: code.to_owned(), state: header.state })
    }
}

fn open_line<'a>(header: &'a InboundHeader, codes: &SkuCodes, code: &str, sku: &str) -> Result<&'a InboundLine, Error> {
    let line = header.lines.iter().find(|line| line.open && codes.code(line.sku) == sku);
    line.ok_or_else(|| Error::NoSuchInboundLine { code: code.to_owned(), sku: sku.to_owned() })
}

/// A line at the beginning of an event.
fn begin(line: &InboundLine) -> InboundLine {
    InboundLine { rest_before: line.rest(), arrived: Quantity::ZERO, ..*line }
}

/// The lines of a new document, by SKU, with their ids.
fn expected_lines(
    locked: &Locked<'_>,
    asked: &[ExpectedLine],
    skus: &[SkuId],
    (at, place): (LocationId, &str),
    sure: u8,
) -> Result<Vec<InboundLine>, Error> {
    let mut lines: Vec<(SkuId, &ExpectedLine)> = skus.iter().copied().zip(asked).collect();
    lines.sort_by_key(|(sku, _)| *sku);
    let mut sequences: BTreeMap<u8, u64> = BTreeMap::new();
    let mut expected = Vec::with_capacity(lines.len());
    for (sku, line) in lines {
        let shard = locked.shard(sku.shard());
        if shard.row(sku).retired() {
            return Err(Error::UnknownSku { code: line.sku.clone() });
        }
        if shard.row(sku).kit() {
            return Err(Error::KitHasNoStock { sku: line.sku.clone() });
        }
        if shard.row(sku).get(at).incoming.checked_add(line.quantity).is_none() {
            let cell = CellCode { sku: line.sku.clone(), location: place.to_owned() };
            return Err(Error::Overflow { cell, bucket: Bucket::Incoming });
        }
        let sequence = sequences.entry(shard.id.0).or_insert_with(|| shard.supply.next_sequence());
        expected.push(InboundLine {
            supply: SupplyId::new(*sequence, shard.id),
            sku,
            expected: line.quantity,
            received: Quantity::ZERO,
            cap: line.cap,
            confidence: line.confidence.unwrap_or(sure),
            open: true,
            rest_before: Quantity::ZERO,
            arrived: Quantity::ZERO,
            reason: StockReason::default(),
        });
        *sequence += 1;
    }
    Ok(expected)
}

fn step(step: InboundStep, code: &str, header: &InboundHeader, lines: BTreeMap<SkuId, InboundLine>) -> SupplyEvent {
    SupplyEvent {
        step,
        code: code.into(),
        kind: header.kind,
        location: header.location,
        from: header.from,
        eta: header.eta,
        state: header.state,
        reference: header.reference.clone(),
        lines: lines.into_values().collect(),
        moves: Vec::new(),
        late: Vec::new(),
        uncovered: Vec::new(),
    }
}

/// Says what has become of the document. It is closed when nothing is expected any more, so that a receipt that is told twice is an error
/// and no surplus.
fn close(header: &InboundHeader, event: &mut SupplyEvent, is_final: bool) {
    let others: Vec<&InboundLine> =
        header.lines.iter().filter(|line| event.lines.iter().all(|touched| touched.supply != line.supply)).collect();
    let done = event.lines.iter().chain(others.iter().copied()).all(|line| line.rest().is_zero());
    if is_final || done {
        let rest: Vec<InboundLine> = others.iter().filter(|line| line.open).map(|line| begin(line)).collect();
        event.lines.extend(rest);
        event.lines.sort_unstable_by_key(|line| line.sku);
        event.lines.iter_mut().for_each(|line| line.open = false);
    }
    let mut all = event.lines.iter().chain(others);
    let arrived = all.any(|line| !line.received.is_zero());
    event.state = match (is_final || done, arrived || is_final) {
        (true, true) => InboundState::Received,
        (true, false) => InboundState::Cancelled,
        (false, true) => InboundState::Receiving,
        (false, false) => InboundState::Open,
    };
}

/// Fills in what an event means for the promises ahead of its SKUs.
fn settle(locked: &Locked<'_>, mut event: SupplyEvent) -> Result<Decision, Error> {
    let directory = locked.directory();
    let (mut moves, mut late, mut uncovered) = (Vec::new(), Vec::new(), Vec::new());
    for line in &event.lines {
        let shard = locked.shard(line.sku.shard());
        let mut desk = Desk::new(shard, directory, &event, line);
        desk.arrive(&event, line);
        desk.bring_forward(&event, line);
        desk.cover();
        moves.append(&mut desk.moves);
        late.append(&mut desk.late);
        uncovered.append(&mut desk.uncovered);
    }
    late.sort_unstable();
    uncovered.sort_unstable();
    (event.moves, event.late, event.uncovered) = (moves, late, uncovered);
    Ok(Decision::Event(Event::Supply(Box::new(event))))
}

/// A supply while a decision works on it.
struct Work {
    line: InboundLine,
    location: LocationId,
    eta: Timestamp,
    promised: u64,
}

impl Work {
    fn room(&self) -> u64 {
        crate::supply::may(&self.line).saturating_sub(self.promised)
    }

    fn excess(&self) -> u64 {
        self.promised.saturating_sub(crate::supply::may(&self.line))
    }
}

/// The supplies, promises and stock of one SKU while a decision works on them.
struct Desk<'a> {
    shard: &'a Shard,
    directory: &'a Directory,
    sku: SkuId,
    supplies: BTreeMap<SupplyId, Work>,
    /// By when they are expected, then by id.
    order: Vec<(Timestamp, SupplyId)>,
    /// Units that moves so far took from promises, and gave to them.
    taken: BTreeMap<(SupplyId, ReservationId), u64>,
    /// Cells that changed.
    cells: BTreeMap<LocationId, Buckets>,
    moves: Vec<PresoldMove>,
    late: Vec<LatePromise>,
    uncovered: Vec<UncoveredPromise>,
}

impl<'a> Desk<'a> {
    fn new(shard: &'a Shard, directory: &'a Directory, event: &SupplyEvent, touched: &InboundLine) -> Self {
        let sku = touched.sku;
        let work = |supply: &Supply| Work {
            line: supply.line,
            location: supply.location,
            eta: supply.eta,
            promised: supply.promised,
        };
        let known = shard.supply.expected(sku).chain(shard.supply.uncovered_of(sku));
        let mut supplies: BTreeMap<SupplyId, Work> = known.map(|supply| (supply.line.supply, work(supply))).collect();
        let promised = supplies.get(&touched.supply).map_or(0, |work| work.promised);
        let work = Work { line: *touched, location: event.location, eta: event.eta, promised };
        supplies.insert(touched.supply, work);
        let mut order: Vec<_> =
            supplies.iter().filter(|(_, work)| work.line.open).map(|(id, work)| (work.eta, *id)).collect();
        order.sort_unstable();
        let mut desk = Self {
            shard,
            directory,
            sku,
            supplies,
            order,
            taken: BTreeMap::new(),
            cells: BTreeMap::new(),
            moves: Vec::new(),
            late: Vec::new(),
            uncovered: Vec::new(),
        };
        if let (InboundStep::TransferShipped, Some(from)) = (event.step, event.from) {
            let mut cell = desk.cell(from);
            cell.on_hand = Quantity(cell.on_hand.0.saturating_sub(touched.expected.0));
            desk.cells.insert(from, cell);
        }
        desk
    }

    fn cell(&self, location: LocationId) -> Buckets {
        self.cells.get(&location).copied().unwrap_or_else(|| self.shard.row(self.sku).get(location))
    }

    /// What is promised of a supply and was not moved yet, in the order of promise.
    fn promises(&self, supply: SupplyId) -> Vec<(ReservationId, u64)> {
        let promises = self.shard.supply.promises(supply);
        let rest = |(id, units): (ReservationId, Quantity)| {
            (id, units.units() - self.taken.get(&(supply, id)).copied().unwrap_or(0))
        };
        promises.map(rest).filter(|(_, units)| *units > 0).collect()
    }

    /// When a promise was given for.
    fn promised_for(&self, supply: SupplyId, id: ReservationId) -> Timestamp {
        let part = self.shard.parts.get(&id);
        let line = part.and_then(|part| part.presold().iter().find(|line| line.supply == supply));
        line.map_or(Timestamp::MAX, |line| line.promised)
    }

    /// What arrived becomes stock of those who were promised it, in the order of promise, as far as the cell can sell it: what a count
    /// left short there comes first.
    fn arrive(&mut self, event: &SupplyEvent, line: &InboundLine) {
        if line.arrived.is_zero() {
            return;
        }
        let mut cell = self.cell(event.location);
        cell.on_hand = Quantity::clamp(cell.on_hand.units() + line.arrived.units());
        self.cells.insert(event.location, cell);
        let free = cell.sellable().saturating_sub(cell.promised());
        let mut left = line.arrived.units().min(free);
        for (id, units) in self.promises(line.supply) {
            let units = units.min(left);
            left -= units;
            self.take_stock(id, line.supply, event.location, units);
        }
    }

    /// Those who were promised a supply that comes later now are promised earlier ones, as far as there are any; the rest is told.
    fn bring_forward(&mut self, event: &SupplyEvent, line: &InboundLine) {
        let before = self.shard.supply.supply(line.supply).map(|supply| supply.eta);
        if before.is_none_or(|before| before >= event.eta) || !line.open {
            return;
        }
        for (id, units) in self.promises(line.supply) {
            let promised = self.promised_for(line.supply, id);
            if promised >= event.eta {
                continue;
            }
            let earlier = self.order.iter().take_while(|(eta, _)| *eta < event.eta).copied().collect::<Vec<_>>();
            let left = self.promise_again(id, line.supply, units, &earlier);
            self.note_late(id, line.supply, left, promised, event.eta);
        }
    }

    /// Promises that their supplies do not cover, those given last, are given anew, those given first before the others.
    fn cover(&mut self) {
        let mut excess: Vec<(ReservationId, SupplyId, u64)> = Vec::new();
        for (supply, work) in &self.supplies {
            let mut over = work.excess();
            if over == 0 {
                continue;
            }
            for (id, units) in self.promises(*supply).into_iter().rev() {
                let units = units.min(over);
                over -= units;
                if units == 0 {
                    break;
                }
                excess.push((id, *supply, units));
            }
        }
        if excess.is_empty() {
            return;
        }
        excess.sort_unstable();
        let row = self.shard.row(self.sku);
        let mut places: Vec<LocationId> =
            row.stocked().map(|(location, _)| location).chain(self.cells.keys().copied()).collect();
        places.sort_unstable_by_key(|location| (self.directory.rank(*location), *location));
        places.dedup();
        places.retain(|location| self.directory.takes(*location));
        for (id, supply, units) in excess {
            let mut left = units;
            for location in &places {
                let free = self.free(*location);
                let units = left.min(free);
                left -= units;
                self.take_stock(id, supply, *location, units);
            }
            let order = self.order.clone();
            left = self.promise_again(id, supply, left, &order);
            if let Some(quantity) = some(left) {
                let one = UncoveredPromise { reservation: id, sku: self.sku, supply, quantity };
                self.uncovered.push(one);
                // It was told as late for as long as it had a supply.
                self.late.retain(|late| (late.reservation, late.supply) != (id, supply));
            }
        }
    }

    /// Units of a location's stock that a promise ahead may be moved to: what nobody keeps, as with any move.
    fn free(&self, location: LocationId) -> u64 {
        let here = self.cell(location).available().units();
        let Some(entries) = self.shard.allotments.get(&self.sku).filter(|_| here > 0) else { return here };
        let places = self.shard.row(self.sku).cells().map(|(at, _)| at).chain(self.cells.keys().copied());
        let open: BTreeSet<LocationId> = places.filter(|at| self.directory.takes(*at)).collect();
        let pool = open.into_iter().map(|at| self.cell(at).available().units()).sum();
        here.min(reach(self.directory, entries, &[], pool))
    }

    fn take_stock(&mut self, id: ReservationId, from: SupplyId, location: LocationId, units: u64) {
        let Some(quantity) = some(units) else { return };
        let promise = self.shard.parts.get(&id).map_or(Promise::Reserved, PartRef::promise);
        let mut cell = self.cell(location);
        let bucket = cell.promise_mut(promise);
        *bucket = Quantity::clamp(bucket.units() + units);
        self.cells.insert(location, cell);
        self.note(id, from, units);
        let to = PresoldTarget::Stock(location);
        self.moves.push(PresoldMove { reservation: id, sku: self.sku, quantity, promise, from, to });
    }

    /// Moves units to supplies of open locations, in this order; gives what is left.
    fn promise_again(&mut self, id: ReservationId, from: SupplyId, units: u64, order: &[(Timestamp, SupplyId)]) -> u64 {
        let mut left = units;
        for (eta, supply) in order {
            let Some(work) = self.supplies.get_mut(supply) else { continue };
            if *supply == from || !self.directory.takes(work.location) {
                continue;
            }
            let units = left.min(work.room());
            let Some(quantity) = some(units) else { continue };
            work.promised += units;
            let to = PresoldTarget::Supply { supply: *supply, location: work.location, expected_at: *eta };
            left -= units;
            let promised = self.promised_for(from, id);
            let promise = self.shard.parts.get(&id).map_or(Promise::Reserved, PartRef::promise);
            self.note(id, from, units);
            self.moves.push(PresoldMove { reservation: id, sku: self.sku, quantity, promise, from, to });
            self.note_late(id, *supply, units, promised, *eta);
        }
        left
    }

    fn note(&mut self, id: ReservationId, from: SupplyId, units: u64) {
        *self.taken.entry((from, id)).or_default() += units;
        if let Some(work) = self.supplies.get_mut(&from) {
            work.promised -= units;
        }
        // What is promised of something else now is not late there.
        for late in self.late.iter_mut().filter(|late| (late.reservation, late.supply) == (id, from)) {
            late.quantity = Quantity::clamp(late.quantity.units().saturating_sub(units));
        }
        self.late.retain(|late| !late.quantity.is_zero());
    }

    fn note_late(&mut self, id: ReservationId, supply: SupplyId, units: u64, promised: Timestamp, expected: Timestamp) {
        if let Some(quantity) = some(units).filter(|_| promised < expected) {
            self.late.push(LatePromise { reservation: id, sku: self.sku, supply, quantity, promised, expected });
        }
    }
}

/// Units as a quantity, if there are any. They come out of quantities, so they fit.
fn some(units: u64) -> Option<Quantity> {
    (units > 0).then(|| Quantity::clamp(units))
}

/// Promises up to `wanted` units of a SKU's supplies, the earliest first; gives how many. `freed` is what a hold that is given up in the
/// same step is promised.
pub(crate) fn presell(
    shard: &Shard,
    presale: Presale,
    sku: SkuId,
    at: Option<LocationId>,
    wanted: u64,
    freed: &[PresoldLine],
    presold: &mut Vec<PresoldLine>,
) -> u64 {
    let by = match presale {
        Presale::No => return 0,
        Presale::StockFirst { by } | Presale::Only { by } => by.unwrap_or(Timestamp::MAX),
    };
    let mut missing = wanted;
    for supply in shard.supply.expected(sku).take_while(|supply| supply.eta <= by) {
        if missing == 0 {
            break;
        }
        let here = at.is_none_or(|at| at == supply.location);
        if !here || !shard.directory.takes(supply.location) {
            continue;
        }
        let id = supply.line.supply;
        let of = |lines: &[PresoldLine]| -> u64 {
            lines.iter().filter(|line| line.supply == id).map(|line| line.line.quantity.units()).sum()
        };
        let promised = supply.promised.saturating_sub(of(freed)) + of(presold);
        let units = missing.min(supply.may().saturating_sub(promised));
        let Some(quantity) = some(units) else { continue };
        missing -= units;
        match presold.iter_mut().find(|line| line.supply == id) {
            Some(line) => line.line.quantity = Quantity::clamp(line.line.quantity.units() + units),
            None => presold.push(PresoldLine {
                supply: id,
                line: Line { sku, location: supply.location, quantity },
                promised: supply.eta,
                charged: false,
            }),
        }
    }
    wanted - missing
}

/// The terms of a hold that is promised units ahead.
pub(crate) fn terms(mut presold: Vec<PresoldLine>, terms: Option<Box<Terms>>) -> Option<Box<Terms>> {
    if presold.is_empty() {
        return terms;
    }
    presold.sort_unstable();
    let mut terms = terms.unwrap_or_default();
    terms.presold = presold.into();
    Some(terms)
}

/// The units that selections name of a reservation that has some promised ahead: of a SKU at a location those promised ahead are given
/// back first, the latest first, because they are what its buyer still waits for.
pub(crate) fn select(
    subject: &Subject<'_, '_>,
    selections: &[LineSelection],
) -> Result<(Lines, Vec<PresoldLine>), Error> {
    if selections.is_empty() {
        return Ok((subject.open(), subject.presold.clone()));
    }
    let mut wanted: BTreeMap<(SkuId, LocationId), u64> = BTreeMap::new();
    for selection in selections {
        let (place, open) = place(subject, selection)?;
        let sum = wanted.entry(place).or_default();
        *sum += selection.quantity.map_or(open, Quantity::units);
        if *sum > open {
            return Err(Error::ExceedsOpen {
                sku: selection.sku.clone(),
                location: subject.locked.directory().location_code(place.1).to_owned(),
                requested: *sum,
                open: Quantity::clamp(open),
            });
        }
    }
    let (mut lines, mut presold) = (Lines::new(), Vec::new());
    for ((sku, location), units) in wanted {
        let mut left = units;
        let here = |one: &&PresoldLine| (one.line.sku, one.line.location) == (sku, location);
        let mut ahead: Vec<&PresoldLine> = subject.presold.iter().filter(here).collect();
        let supplies = &subject.locked.shard(sku.shard()).supply;
        ahead.sort_by_key(|one| (supplies.supply(one.supply).map(|supply| supply.eta), one.supply));
        for one in ahead.into_iter().rev() {
            let units = left.min(one.line.quantity.units());
            if let Some(quantity) = some(units) {
                presold.push(PresoldLine { line: Line { quantity, ..one.line }, ..*one });
                left -= units;
            }
        }
        if let Some(quantity) = some(left) {
            lines.push(Line { sku, location, quantity });
        }
    }
    presold.sort_unstable();
    Ok((lines, presold))
}

/// The place that a selection names, and what is open there, as stock and promised ahead.
fn place(subject: &Subject<'_, '_>, selection: &LineSelection) -> Result<((SkuId, LocationId), u64), Error> {
    let at = match selection.location.as_str() {
        "" => None,
        code => Some(location(subject.locked.directory(), code)?),
    };
    let stock = subject.lines.iter().map(|line| (line.sku, line.location, line.open.units()));
    let ahead = subject.presold.iter().map(|one| (one.line.sku, one.line.location, one.line.quantity.units()));
    let mut places: BTreeMap<(SkuId, LocationId), u64> = BTreeMap::new();
    for (sku, location, units) in stock.chain(ahead).filter(|(.., units)| *units > 0) {
        if at.is_none_or(|at| at == location) && subject.codes.code(sku) == selection.sku {
            *places.entry((sku, location)).or_default() += units;
        }
    }
    match places.len() {
        1 => places.pop_first().ok_or(()),
        _ => Err(()),
    }
    .map_err(|()| Error::NoSuchLine {
        id: subject.id,
        sku: selection.sku.clone(),
        location: selection.location.clone(),
        lines: places.len(),
    })
}

/// Refuses to ship what has not arrived.
pub(crate) fn arrived(subject: &Subject<'_, '_>, selections: &[LineSelection]) -> Result<(), Error> {
    let waiting = |sku: &str, at: Option<LocationId>| -> u64 {
        let matching = subject
            .presold
            .iter()
            .filter(|one| subject.codes.code(one.line.sku) == sku && at.is_none_or(|at| at == one.line.location));
        matching.map(|one| one.line.quantity.units()).sum()
    };
    let not_arrived = |sku: &str, presold| Error::NotArrived { id: subject.id, sku: sku.to_owned(), presold };
    if selections.is_empty() && subject.lines.iter().all(|line| line.open.is_zero()) {
        let first = subject.presold.first().map_or("", |one| subject.codes.code(one.line.sku));
        return Err(not_arrived(first, waiting(first, None)));
    }
    for selection in selections {
        let at = match selection.location.as_str() {
            "" => None,
            code => Some(location(subject.locked.directory(), code)?),
        };
        let stock: u64 = subject
            .lines
            .iter()
            .filter(|line| subject.codes.code(line.sku) == selection.sku && at.is_none_or(|at| at == line.location))
            .map(|line| line.open.units())
            .sum();
        let presold = waiting(&selection.sku, at);
        let wanted = selection.quantity.map_or(1, Quantity::units);
        if presold > 0 && stock < wanted {
            return Err(not_arrived(&selection.sku, presold));
        }
    }
    Ok(())
}
