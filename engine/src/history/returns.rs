//! Units that come back from buyers: the naive fold.

use std::collections::BTreeMap;

use quartermaster_proto::journal::v1 as wire;

use super::{Check, Fault, History, Moment};
use crate::{
    codec,
    engine::Engine,
    event::{
        CellChange, Event,
        returns::{Announced, Inspected, Received, ReturnKind, ReturnUnits, ReturnsEvent, Unmatched, Withdrawn},
    },
    id::{LocationId, ReservationId, ReturnId, ShardId, SkuId},
    quantity::Quantity,
    reservation::State,
    returns::{Arrival, Return, ReturnLine},
};

/// What the events left.
#[derive(Default)]
pub(super) struct ReturnsFold {
    records: BTreeMap<ReturnId, Return>,
    shipped: BTreeMap<SkuId, u64>,
    /// From buyers, undeliverable.
    back: BTreeMap<SkuId, (u64, u64)>,
    exchanges: BTreeMap<ReservationId, ReturnId>,
    disposed: BTreeMap<ShardId, [u64; 5]>,
}

impl ReturnsFold {
    /// Units that left to buyers.
    pub(super) fn count_shipped(&mut self, sku: SkuId, units: Quantity) {
        *self.shipped.entry(sku).or_default() += units.units();
    }

    fn of(&self, id: ReservationId) -> impl Iterator<Item = &Return> {
        self.records.values().filter(move |record| record.reservation == Some(id))
    }

    /// Open returns by reservation.
    fn open(&self) -> BTreeMap<ReservationId, u32> {
        let mut open = BTreeMap::new();
        for record in self.records.values().filter(|record| record.ended_at.is_none()) {
            if let Some(id) = record.reservation {
                *open.entry(id).or_default() += 1;
            }
        }
        open
    }
}

impl History {
    fn broken_return(&mut self, id: ReturnId, rule: &'static str) {
        self.findings.add(Check::LifeCycle, Fault::ReturnRule { id, rule });
    }

    pub(super) fn fold_returns(&mut self, at: Moment, event: &ReturnsEvent) {
        if let Some(id) = event.id() {
            self.reservations.sequence_max = self.reservations.sequence_max.max(id.sequence());
        }
        if let Some(id) = event.reservation() {
            self.expect(at, id, &[State::Confirmed, State::Shipped], "given units back", false);
            self.touch(at, id, None);
        }
        match event {
            ReturnsEvent::Announced(announced) => self.return_announced(at, announced, None),
            ReturnsEvent::Exchanged { announced, held } => {
                let Event::Held(held) = &**held else {
                    self.broken_return(announced.id, "an exchange grants a hold");
                    return;
                };
                self.return_announced(at, announced, Some(held.reservation));
                if self.fresh(at.lsn, held.reservation.home()) {
                    self.returns_fold.exchanges.insert(held.reservation, announced.id);
                }
                self.held(at, held);
            }
            ReturnsEvent::Received(received) => self.return_received(at, received),
            ReturnsEvent::Unmatched(unmatched) => self.return_unmatched(at, unmatched),
            ReturnsEvent::Inspected(inspected) => self.return_inspected(at, inspected),
            ReturnsEvent::Withdrawn(withdrawn) => self.return_withdrawn(at, withdrawn),
            ReturnsEvent::Counted(counted) => {
                for row in &counted.rows {
                    let CellChange { on_hand, safety, quality_control, damaged, in_repair, incoming, .. } = row.change;
                    if row.change.location != counted.location {
                        self.break_cell(&row.change, "what is counted at a location lies there");
                    }
                    if [safety, quality_control, damaged, in_repair, incoming] != [0; 5] {
                        self.break_cell(&row.change, "a count changes on hand alone");
                    }
                    if self.shards.row(row.change.sku).is_some_and(|row| row.retired) {
                        let sku = self.names.sku(row.change.sku);
                        self.findings.add(Check::Catalogue, Fault::Retired { sku });
                    }
                    if self.fresh(at.lsn, row.change.sku.shard()) {
                        let counter = if on_hand > 0 { &mut self.units.added } else { &mut self.units.removed };
                        *counter += on_hand.unsigned_abs();
                    }
                }
                let changes: Vec<CellChange> = counted.rows.iter().map(|row| row.change).collect();
                self.change_cells(at, &changes);
            }
        }
    }

    fn break_cell(&mut self, change: &CellChange, rule: &'static str) {
        let cell = self.cell_code(change.sku, change.location);
        self.findings.add(Check::Conservation, Fault::IllegalChange { cell, rule });
    }

    fn change_cells(&mut self, at: Moment, changes: &[CellChange]) {
        for pair in changes.windows(2) {
            if (pair[0].sku, pair[0].location) >= (pair[1].sku, pair[1].location) {
                let cell = self.cell_code(pair[1].sku, pair[1].location);
                self.findings.add(Check::Conservation, Fault::CellTwice { cell });
            }
        }
        for change in changes {
            if self.fresh(at.lsn, change.sku.shard()) && self.exists(change.sku, change.location) {
                let deltas = [
                    ("on hand", change.on_hand),
                    ("safety", change.safety),
                    ("quality control", change.quality_control),
                    ("damaged", change.damaged),
                    ("in repair", change.in_repair),
                    ("incoming", change.incoming),
                ];
                let cell = self.change(at.lsn, change.sku, change.location, &deltas);
                self.check_after(change, &cell);
            }
        }
    }

    fn return_announced(&mut self, at: Moment, announced: &Announced, exchanged_for: Option<ReservationId>) {
        for line in &announced.lines {
            if !self.fresh(at.lsn, line.sku.shard()) {
                continue;
            }
            let reservation = self.reservations.part_mut(announced.reservation);
            let part = line.shipped_from.and_then(|from| reservation.line_mut(line.sku, from));
            let within = part.is_some_and(|part| {
                part.announced = Quantity(part.announced.0.saturating_add(line.quantity.0));
                part.announced <= part.shipped
            });
            if !within || line.quantity.is_zero() {
                self.broken_return(announced.id, "no more is announced than was shipped");
            }
        }
        if !self.fresh(at.lsn, announced.id.home()) {
            return;
        }
        let lines = announced.lines.iter().map(|line| ReturnLine {
            sku: line.sku,
            shipped_from: line.shipped_from,
            announced: line.quantity,
            received: Quantity::ZERO,
            withdrawn: Quantity::ZERO,
        });
        let record = Return {
            id: announced.id,
            reservation: Some(announced.reservation),
            kind: announced.kind,
            reason: announced.reason,
            reference: announced.reference.clone(),
            expected_at: announced.expected_at,
            exchanged_for,
            created_at: at.time,
            ended_at: None,
            revision: at.lsn,
            lines: lines.collect(),
            arrivals: Vec::new(),
        };
        if self.returns_fold.records.insert(record.id, record).is_some() {
            self.broken_return(announced.id, "an id is given out once");
        }
    }

    /// Units that arrived, by cell.
    fn arrive(&mut self, at: Moment, kind: ReturnKind, changes: &[CellChange]) {
        for change in changes {
            let CellChange { on_hand, safety, quality_control, damaged, in_repair, incoming, .. } = *change;
            if on_hand <= 0 || on_hand != quality_control || [safety, damaged, in_repair, incoming] != [0; 4] {
                self.break_cell(change, "what comes back adds as much to on hand as to quality control");
            }
            if self.fresh(at.lsn, change.sku.shard()) {
                let back = self.returns_fold.back.entry(change.sku).or_default();
                let counter = match kind {
                    ReturnKind::Customer => &mut back.0,
                    ReturnKind::Undeliverable => &mut back.1,
                };
                *counter += on_hand.unsigned_abs();
                self.units.came_back += on_hand.unsigned_abs();
            }
        }
        self.change_cells(at, changes);
    }

    fn return_received(&mut self, at: Moment, received: &Received) {
        let mut units: BTreeMap<SkuId, i64> = BTreeMap::new();
        for line in &received.lines {
            *units.entry(line.sku).or_default() += line.quantity.signed();
        }
        let cells: BTreeMap<SkuId, i64> = received.changes.iter().map(|change| (change.sku, change.on_hand)).collect();
        let elsewhere = received.changes.iter().any(|change| change.location != received.location);
        if units != cells || elsewhere {
            self.broken_return(received.id, "what arrives is what is on hand more");
        }
        self.arrive(at, received.kind, &received.changes);
        if let Some(id) = received.reservation {
            self.take_announced(at, received.id, id, &received.withdrawn);
        }
        self.settle_return(at, received.id, received.ended, |record| {
            if record.kind != received.kind || record.reservation != received.reservation {
                return Some("a return's events agree on what it is");
            }
            for line in &received.lines {
                let found =
                    record.lines.iter_mut().find(|one| (one.sku, one.shipped_from) == (line.sku, line.shipped_from));
                let Some(kept) = found else { return Some("a return's events name lines that it has") };
                kept.received = Quantity(kept.received.0.saturating_add(line.quantity.0));
                arrival(record, line.sku, received.location).received.0 += line.quantity.0;
            }
            take_lines(record, &received.withdrawn)
        });
    }

    fn return_unmatched(&mut self, at: Moment, unmatched: &Unmatched) {
        self.arrive(at, unmatched.kind, &unmatched.changes);
        if !self.fresh(at.lsn, unmatched.id.home()) {
            return;
        }
        let units = |change: &CellChange| Quantity(u32::try_from(change.on_hand).unwrap_or(0));
        let record = Return {
            id: unmatched.id,
            reservation: None,
            kind: unmatched.kind,
            reason: unmatched.reason,
            reference: unmatched.reference.clone(),
            expected_at: Some(unmatched.location),
            exchanged_for: None,
            created_at: at.time,
            ended_at: None,
            revision: at.lsn,
            lines: unmatched
                .changes
                .iter()
                .map(|change| ReturnLine {
                    sku: change.sku,
                    shipped_from: None,
                    announced: units(change),
                    received: units(change),
                    withdrawn: Quantity::ZERO,
                })
                .collect(),
            arrivals: unmatched
                .changes
                .iter()
                .map(|change| Arrival {
                    sku: change.sku,
                    location: change.location,
                    received: units(change),
                    inspected: [Quantity::ZERO; 5],
                })
                .collect(),
        };
        if self.returns_fold.records.insert(record.id, record).is_some() {
            self.broken_return(unmatched.id, "an id is given out once");
        }
    }

    fn return_inspected(&mut self, at: Moment, inspected: &Inspected) {
        let mut wanted: BTreeMap<(SkuId, LocationId), [i64; 3]> = BTreeMap::new();
        for line in &inspected.lines {
            let sums = wanted.entry((line.sku, line.location)).or_default();
            for (sum, delta) in sums.iter_mut().zip(line.disposition.deltas()) {
                *sum += delta * line.quantity.signed();
            }
        }
        let cells: BTreeMap<(SkuId, LocationId), [i64; 3]> = inspected
            .changes
            .iter()
            .map(|cell| ((cell.sku, cell.location), [cell.on_hand, cell.quality_control, cell.in_repair]))
            .collect();
        let others = |cell: &CellChange| [cell.safety, cell.damaged, cell.incoming] != [0; 3];
        if wanted != cells || inspected.changes.iter().any(others) {
            self.broken_return(inspected.id, "cells change by what becomes of the units");
        }
        for change in &inspected.changes {
            if self.fresh(at.lsn, change.sku.shard()) {
                self.units.disposed += change.on_hand.unsigned_abs();
            }
        }
        self.change_cells(at, &inspected.changes);
        if self.fresh(at.lsn, inspected.id.home()) {
            let disposed = self.returns_fold.disposed.entry(inspected.id.home()).or_default();
            for line in &inspected.lines {
                disposed[line.disposition.index()] += line.quantity.units();
            }
        }
        self.settle_return(at, inspected.id, inspected.ended, |record| {
            for line in &inspected.lines {
                arrival(record, line.sku, line.location).inspected[line.disposition.index()].0 += line.quantity.0;
            }
            None
        });
    }

    fn return_withdrawn(&mut self, at: Moment, withdrawn: &Withdrawn) {
        self.take_announced(at, withdrawn.id, withdrawn.reservation, &withdrawn.lines);
        self.settle_return(at, withdrawn.id, withdrawn.ended, |record| take_lines(record, &withdrawn.lines));
    }

    fn take_announced(&mut self, at: Moment, returned: ReturnId, id: ReservationId, lines: &[ReturnUnits]) {
        for line in lines {
            if !self.fresh(at.lsn, line.sku.shard()) {
                continue;
            }
            let reservation = self.reservations.part_mut(id);
            let part = line.shipped_from.and_then(|from| reservation.line_mut(line.sku, from));
            let within = part.is_some_and(|part| {
                let enough = part.announced >= line.quantity;
                part.announced = Quantity(part.announced.0.saturating_sub(line.quantity.0));
                enough
            });
            if !within {
                self.broken_return(returned, "no more is withdrawn than was announced");
            }
        }
    }

    /// Changes a return, and checks what must hold of it afterwards.
    fn settle_return(
        &mut self,
        at: Moment,
        id: ReturnId,
        ended: bool,
        change: impl FnOnce(&mut Return) -> Option<&'static str>,
    ) {
        if !self.fresh(at.lsn, id.home()) {
            return;
        }
        let Some(record) = self.returns_fold.records.get_mut(&id) else {
            self.broken_return(id, "a return's events come after it was made");
            return;
        };
        let mut broken = Vec::new();
        if record.ended_at.is_some() {
            broken.push("a return ends once");
        }
        broken.extend(change(record));
        let (mut expected, mut waiting) = (false, false);
        for line in &record.lines {
            if line.received > line.announced {
                broken.push("no more arrives than was announced");
            }
            expected |= line.received < line.announced;
        }
        for arrival in &record.arrivals {
            let inspected: u64 = arrival.inspected.iter().map(|units| u64::from(units.0)).sum();
            if inspected > u64::from(arrival.received.0) {
                broken.push("no more is inspected than arrived");
            }
            waiting |= inspected < u64::from(arrival.received.0);
        }
        if ended == (expected || waiting) {
            broken.push("an event tells whether its return ended");
        }
        record.revision = at.lsn;
        record.ended_at = ended.then_some(at.time);
        broken.into_iter().for_each(|rule| self.broken_return(id, rule));
    }

    /// Counts again from the other end.
    pub(super) fn balance_returns(&mut self) {
        let mut announced: BTreeMap<(ReservationId, SkuId, Option<LocationId>), u64> = BTreeMap::new();
        for record in self.returns_fold.records.values() {
            for line in record.lines.iter().filter(|_| record.reservation.is_some()) {
                let id = record.reservation.unwrap_or(ReservationId(0));
                *announced.entry((id, line.sku, line.shipped_from)).or_default() += line.announced.units();
            }
        }
        let mut faults = Vec::new();
        for (id, reservation) in self.reservations.iter() {
            for line in &reservation.lines {
                let sum = announced.remove(&(*id, line.sku, Some(line.location))).unwrap_or(0);
                if sum != line.announced.units() {
                    faults.push(*id);
                }
            }
        }
        faults.extend(announced.into_iter().filter(|(_, units)| *units > 0).map(|((id, ..), _)| id));
        for id in faults {
            let fault = Fault::ReservationDiffers { id, figure: "announced units from the sum of its returns" };
            self.findings.add(Check::Conservation, fault);
        }
    }

    /// Takes what a first snapshot's shard says as the beginning.
    pub(super) fn begin_returns(&mut self, shard: ShardId, section: &wire::ReturnsSection) {
        let fold = &mut self.returns_fold;
        for record in &section.returns {
            self.reservations.sequence_max = self.reservations.sequence_max.max(ReturnId(record.return_id).sequence());
            if let Ok(record) = codec::returns::record_from_wire(record.clone()) {
                fold.records.insert(record.id, record);
            }
        }
        for (row, units) in section.shipped.iter().enumerate().filter(|(_, units)| **units > 0) {
            if let Some(sku) = SkuId::from_row(shard, row) {
                fold.shipped.insert(sku, *units);
            }
        }
        fold.back.extend(section.came_back.iter().map(|back| (SkuId(back.sku), (back.returned, back.undelivered))));
        let exchanges = section.exchanges.iter();
        fold.exchanges.extend(exchanges.map(|one| (ReservationId(one.reservation), ReturnId(one.return_id))));
        if let Ok(disposed) = section.disposed.as_slice().try_into() {
            fold.disposed.insert(shard, disposed);
        }
    }

    /// Compares with a shard: of an engine, or of a snapshot.
    pub(super) fn compare_returns(&mut self, check: Check, shard: ShardId, found: &wire::ReturnsSection) {
        let mut faults = Vec::new();
        let fold = &mut self.returns_fold;
        if check == Check::Snapshots && *found == wire::ReturnsSection::default() {
            // Written before shipped units were counted: the count begins here.
            fold.shipped.retain(|sku, _| sku.shard() != shard);
        }
        for record in &found.returns {
            let id = ReturnId(record.return_id);
            let figure = match (codec::returns::record_from_wire(record.clone()), fold.records.get(&id)) {
                (Err(what), _) => what,
                (Ok(_), None) => "being there at all",
                (Ok(found), Some(folded)) if found.lines != folded.lines => "lines",
                (Ok(found), Some(folded)) if found.arrivals != folded.arrivals => "arrivals",
                (Ok(found), Some(folded)) if found.ended_at != folded.ended_at => "end",
                (Ok(found), Some(folded)) if found != *folded => "revision, reason or reservation",
                (Ok(_), Some(_)) => continue,
            };
            faults.push(Fault::ReturnDiffers { id, figure });
        }
        let missing = |id: &ReturnId| found.returns.binary_search_by_key(&id.0, |record| record.return_id).is_err();
        let open = fold.records.values().filter(|record| record.ended_at.is_none() && record.id.home() == shard);
        for record in open.filter(|record| missing(&record.id)) {
            faults.push(Fault::ReturnDiffers { id: record.id, figure: "being there: it is open" });
        }
        let open = fold.open();
        let pinned: BTreeMap<ReservationId, u32> =
            found.pins.iter().map(|pin| (ReservationId(pin.reservation), pin.returns)).collect();
        let pin_differs = |id: &ReservationId| Fault::ReservationDiffers { id: *id, figure: "open returns" };
        faults.extend(pinned.iter().filter(|(id, count)| open.get(*id) != Some(*count)).map(|(id, _)| pin_differs(id)));
        let lies_here = |id: &ReservationId| {
            id.home() == shard || fold.of(*id).any(|record| record.lines.iter().any(|line| line.sku.shard() == shard))
        };
        faults.extend(open.keys().filter(|id| lies_here(id) && !pinned.contains_key(*id)).map(pin_differs));
        for kept in &found.kept_since {
            let id = ReservationId(kept.reservation);
            if fold.of(id).all(|record| record.ended_at.is_none_or(|at| at.0 != kept.since_us)) {
                faults.push(Fault::ReservationDiffers { id, figure: "time since when it is kept" });
            }
        }
        let shipped: BTreeMap<SkuId, u64> = (0..)
            .zip(&found.shipped)
            .filter(|(_, units)| **units > 0)
            .filter_map(|(row, units)| Some((SkuId::from_row(shard, row)?, *units)))
            .collect();
        let back: BTreeMap<SkuId, (u64, u64)> =
            found.came_back.iter().map(|back| (SkuId(back.sku), (back.returned, back.undelivered))).collect();
        let folded_shipped: BTreeMap<SkuId, u64> = here(&fold.shipped, shard);
        let folded_back: BTreeMap<SkuId, (u64, u64)> = here(&fold.back, shard);
        let differing = differing(&shipped, &folded_shipped).or_else(|| differing(&back, &folded_back));
        if let Some(sku) = differing {
            let figure = "units shipped or come back";
            faults.push(Fault::EntryDiffers { what: "SKU", id: sku.0, figure });
        }
        for exchange in &found.exchanges {
            let id = ReservationId(exchange.reservation);
            if fold.exchanges.get(&id) != Some(&ReturnId(exchange.return_id)) {
                faults.push(Fault::ReservationDiffers { id, figure: "return that it was exchanged with" });
            }
        }
        let disposed = fold.disposed.get(&shard).copied().unwrap_or_default();
        for (place, folded) in disposed.into_iter().enumerate() {
            let found = found.disposed.get(place).copied().unwrap_or(0);
            if found != folded {
                faults.push(Fault::NumberDiffers { what: "units inspected", found, folded });
            }
        }
        faults.into_iter().for_each(|fault| self.findings.add(check, fault));
    }

    /// Compares with an engine what lies in no shard.
    pub(super) fn compare_returns_whole(&mut self, engine: &Engine) {
        let open = self.returns_fold.open();
        for id in open.into_keys().filter(|id| engine.reservation(*id).is_err()) {
            let fault = Fault::ReservationDiffers { id, figure: "being there: it has an open return" };
            self.findings.add(Check::Recovery, fault);
        }
        for violation in engine.audit_returns() {
            self.findings.add(Check::Audit, Fault::Audit { violation });
        }
    }
}

fn here<T: Copy>(all: &BTreeMap<SkuId, T>, shard: ShardId) -> BTreeMap<SkuId, T> {
    all.iter().filter(|(sku, _)| sku.shard() == shard).map(|(sku, value)| (*sku, *value)).collect()
}

fn differing<T: PartialEq>(one: &BTreeMap<SkuId, T>, other: &BTreeMap<SkuId, T>) -> Option<SkuId> {
    let mut all = one.keys().chain(other.keys());
    all.find(|sku| one.get(sku) != other.get(sku)).copied()
}

fn arrival(record: &mut Return, sku: SkuId, location: LocationId) -> &mut Arrival {
    let found = record.arrivals.iter().position(|one| (one.sku, one.location) == (sku, location));
    let place = found.unwrap_or_else(|| {
        let before = record.arrivals.iter().take_while(|one| (one.sku, one.location) < (sku, location)).count();
        let inspected = [Quantity::ZERO; 5];
        record.arrivals.insert(before, Arrival { sku, location, received: Quantity::ZERO, inspected });
        before
    });
    &mut record.arrivals[place]
}

fn take_lines(record: &mut Return, lines: &[ReturnUnits]) -> Option<&'static str> {
    for line in lines {
        let found = record.lines.iter_mut().find(|one| (one.sku, one.shipped_from) == (line.sku, line.shipped_from));
        let Some(kept) = found.filter(|kept| kept.announced >= line.quantity) else {
            return Some("no more is withdrawn than was announced");
        };
        kept.announced.0 -= line.quantity.0;
        kept.withdrawn.0 += line.quantity.0;
    }
    None
}
