//! Units that are expected, the promises on them, and transfers: the naive fold.

use std::collections::{BTreeMap, BTreeSet};

use quartermaster_proto::journal::v1 as wire;

use super::{Check, Fault, History, Moment, allotment, reservations::bucket, section::ShardView};
use crate::{
    codec,
    engine::Engine,
    event::{
        Claim, Held, Line, Promise,
        supply::{InboundLine, InboundState, InboundStep, PresoldMove, PresoldTarget, SupplyEvent},
    },
    id::{LocationId, ReservationId, ShardId, SkuId, SupplyId},
    quantity::Quantity,
    reservation::State,
    supply::{InboundHeader, Supply},
    terms::{PresoldLine, Stage},
};

/// What the events left.
#[derive(Default)]
pub(super) struct SupplyFold {
    /// Every supply there ever was, or that the first snapshot has.
    supplies: BTreeMap<SupplyId, Supply>,
    headers: BTreeMap<Box<str>, InboundHeader>,
    presold: BTreeMap<(ReservationId, SupplyId), PresoldLine>,
    /// Number of the newest supply of each shard.
    last: BTreeMap<u8, u64>,
    /// In transit at the start.
    opening: u64,
    /// Left a location for another.
    sent: u64,
    /// Arrived of what was sent.
    landed: u64,
    /// Was sent and did not arrive.
    lost: u64,
}

impl SupplyFold {
    pub(super) fn presold_of(&self, id: ReservationId) -> impl Iterator<Item = &PresoldLine> {
        self.presold.range((id, SupplyId(0))..=(id, SupplyId(u64::MAX))).map(|(_, line)| line)
    }

    fn promise(&mut self, id: ReservationId, one: &PresoldLine) {
        if let Some(supply) = self.supplies.get_mut(&one.supply) {
            supply.promised += one.line.quantity.units();
        }
        let zero = PresoldLine { line: Line { quantity: Quantity::ZERO, ..one.line }, ..*one };
        let kept = self.presold.entry((id, one.supply)).or_insert(zero);
        kept.line.quantity = Quantity(kept.line.quantity.0.saturating_add(one.line.quantity.0));
        kept.promised = kept.promised.min(one.promised);
    }

    /// Whether units of a supply count to the path of the reservation that they are promised to.
    fn is_charged(&self, id: ReservationId, supply: SupplyId) -> bool {
        self.presold.get(&(id, supply)).is_some_and(|kept| kept.charged)
    }

    /// Gives false when fewer were promised.
    fn give_back(&mut self, id: ReservationId, supply: SupplyId, units: Quantity) -> bool {
        let Some(kept) = self.presold.get_mut(&(id, supply)) else { return false };
        let enough = kept.line.quantity >= units;
        kept.line.quantity = Quantity(kept.line.quantity.0.saturating_sub(units.0));
        if kept.line.quantity.is_zero() {
            self.presold.remove(&(id, supply));
        }
        if let Some(supply) = self.supplies.get_mut(&supply) {
            supply.promised = supply.promised.saturating_sub(units.units());
        }
        enough
    }
}

impl History {
    fn supply_fault(&mut self, check: Check, supply: SupplyId, what: &'static str) {
        self.findings.add(check, Fault::Supply { supply: supply.0, what });
    }

    /// What a reservation is promised ahead, in units.
    pub(super) fn presold_units(&self, id: ReservationId) -> u64 {
        self.supply_fold.presold_of(id).map(|one| one.line.quantity.units()).sum()
    }

    pub(super) fn fold_supply(&mut self, at: Moment, event: &SupplyEvent) {
        for line in &event.lines {
            if self.fresh(at.lsn, line.sku.shard()) && self.exists(line.sku, event.location) {
                self.fold_line(at, event, line);
            }
        }
        for moved in &event.moves {
            let location = match moved.to {
                PresoldTarget::Stock(location) | PresoldTarget::Supply { location, .. } => location,
            };
            if self.fresh(at.lsn, moved.sku.shard()) && self.exists(moved.sku, location) {
                self.fold_move(at, event, moved);
            }
        }
        for line in event.lines.iter().filter(|line| self.fresh(at.lsn, line.sku.shard())).copied().collect::<Vec<_>>()
        {
            self.check_uncovered(event, line.sku);
        }
        if self.fresh(at.lsn, event.home()) {
            self.fold_header(at, event);
        }
    }

    fn fold_line(&mut self, at: Moment, event: &SupplyEvent, line: &InboundLine) {
        let id = line.supply;
        let new = matches!(event.step, InboundStep::Announced | InboundStep::TransferShipped);
        let before = self.supply_fold.supplies.get(&id).cloned();
        let last = self.supply_fold.last.entry(line.sku.shard().0).or_default();
        let is_next = id.sequence() > *last;
        *last = (*last).max(id.sequence());
        let wrong = match &before {
            Some(_) if new => Some("is announced twice"),
            None if !new => Some("was never announced"),
            None if !is_next => Some("has a number that was given before"),
            None if line.received != Quantity::ZERO || !line.open => Some("begins with more than its announcement"),
            Some(old) if (old.line.sku, old.location) != (line.sku, event.location) => Some("changes its cell"),
            Some(old) if !old.line.open => Some("changes after it was closed"),
            Some(old) if old.line.received.units() + line.arrived.units() != line.received.units() => {
                Some("has received what did not arrive")
            }
            Some(old) if old.line.expected != line.expected && event.step != InboundStep::Changed => {
                Some("expects other units without a change")
            }
            _ => None,
        };
        if let Some(what) = wrong {
            self.supply_fault(Check::Conservation, id, what);
        }
        let rest = before.as_ref().map_or(Quantity::ZERO, |old| old.line.rest());
        if rest != line.rest_before {
            self.supply_fault(Check::Conservation, id, "tells another rest than the one before it left");
        }
        if let (InboundStep::TransferShipped, Some(from)) = (event.step, event.from) {
            if !self.exists(line.sku, from) {
                return;
            }
            let available = self.shards.cell(line.sku, from).available();
            if available < line.expected.signed() {
                let (cell, taken) = (self.cell_code(line.sku, from), line.expected.units());
                self.findings.add(Check::Oversell, Fault::Oversold { cell, taken, available });
            }
            self.change(at.lsn, line.sku, from, &[("on hand", -line.expected.signed())]);
            self.units.sent += line.expected.units();
            self.supply_fold.sent += line.expected.units();
        }
        let incoming = line.rest().signed() - rest.signed();
        let deltas = [("on hand", line.arrived.signed()), ("incoming", incoming)];
        self.change(at.lsn, line.sku, event.location, &deltas);
        self.units.received += line.arrived.units();
        if event.from.is_some() && !new {
            let landed = line.arrived.units().min(rest.units());
            self.supply_fold.landed += landed;
            self.supply_fold.lost += rest.units() - landed - line.rest().units().min(rest.units() - landed);
        }
        let supply = Supply {
            line: InboundLine { rest_before: Quantity::ZERO, arrived: Quantity::ZERO, ..*line },
            code: event.code.clone(),
            location: event.location,
            eta: event.eta,
            in_transit: event.from.is_some(),
            promised: before.map_or(0, |old| old.promised),
        };
        self.supply_fold.supplies.insert(id, supply);
    }

    fn fold_move(&mut self, at: Moment, event: &SupplyEvent, moved: &PresoldMove) {
        let (id, sku, units) = (moved.reservation, moved.sku, moved.quantity);
        if self.fresh(at.lsn, id.home()) {
            let state = self.reservations.get(id).map(|reservation| reservation.state);
            let expected = match moved.promise {
                Promise::Reserved => State::Held,
                Promise::Committed => State::Confirmed,
            };
            if state != Some(expected) {
                self.supply_fault(Check::LifeCycle, moved.from, "moves a promise of a reservation of another state");
            }
        }
        let charged = self.supply_fold.is_charged(id, moved.from);
        if !self.supply_fold.give_back(id, moved.from, units) {
            self.supply_fault(Check::LifeCycle, moved.from, "moves more than was promised of it");
        }
        match moved.to {
            PresoldTarget::Stock(location) => {
                let cell = self.shards.cell(sku, location);
                let arrives = event.step == InboundStep::Received
                    && location == event.location
                    && event.lines.iter().any(|line| line.supply == moved.from && !line.arrived.is_zero());
                // What arrives was promised before it came: safety stock does not stand against it.
                let kept = i64::from(cell.safety.max(cell.kept));
                let free = if arrives { cell.available() + kept } else { cell.available() };
                if free < units.signed() {
                    let (cell, taken) = (self.cell_code(sku, location), units.units());
                    self.findings.add(Check::Oversell, Fault::Oversold { cell, taken, available: free });
                }
                self.change(at.lsn, sku, location, &[(bucket(moved.promise), units.signed())]);
                self.add_open(id, Line { sku, location, quantity: units }, charged);
                match moved.promise {
                    Promise::Reserved => self.units.promoted_held += units.units(),
                    Promise::Committed => self.units.promoted_confirmed += units.units(),
                }
            }
            PresoldTarget::Supply { supply, location, expected_at } => {
                let line = Line { sku, location, quantity: units };
                self.promise_ahead(at, id, &PresoldLine { supply, line, promised: expected_at, charged });
            }
        }
        self.note_revision(at, sku);
    }

    fn note_revision(&mut self, at: Moment, sku: SkuId) {
        if let Some(row) = self.shards.row_mut(sku) {
            row.revision = at.lsn;
        }
    }

    /// Checks that a supply may promise units, and promises them.
    fn promise_ahead(&mut self, at: Moment, id: ReservationId, one: &PresoldLine) {
        let wrong = match self.supply_fold.supplies.get(&one.supply) {
            None => Some("is promised and was never announced"),
            Some(supply) if supply.line.sku != one.line.sku => Some("is promised as another SKU"),
            Some(supply) if supply.location != one.line.location => Some("is promised at another location"),
            Some(supply) if supply.eta != one.promised => Some("is promised for another time"),
            Some(supply) if supply.promised + one.line.quantity.units() > supply.may() => {
                Some("promises more than it may")
            }
            _ if at.lsn > self.names.complete_to && !self.names.is_open(one.line.location) => {
                Some("is promised at a location that is not open")
            }
            _ => None,
        };
        if let Some(what) = wrong {
            self.supply_fault(Check::Oversell, one.supply, what);
        }
        self.supply_fold.promise(id, one);
        self.note_revision(at, one.line.sku);
    }

    /// After an event a supply of its SKUs covers what is promised of it, or the event says whom it does not.
    fn check_uncovered(&mut self, event: &SupplyEvent, sku: SkuId) {
        let mut told: BTreeMap<SupplyId, u64> = BTreeMap::new();
        for one in event.uncovered.iter().filter(|one| one.sku == sku) {
            *told.entry(one.supply).or_default() += one.quantity.units();
        }
        let of_sku = self.supply_fold.supplies.iter().filter(|(_, supply)| supply.line.sku == sku);
        let wrong: BTreeSet<SupplyId> = of_sku
            .filter(|(id, supply)| supply.uncovered() != told.get(id).copied().unwrap_or(0))
            .map(|(id, _)| *id)
            .collect();
        for supply in wrong {
            self.supply_fault(Check::Conservation, supply, "does not cover its promises otherwise than was told");
        }
    }

    fn fold_header(&mut self, at: Moment, event: &SupplyEvent) {
        let new = matches!(event.step, InboundStep::Announced | InboundStep::TransferShipped);
        let known = self.supply_fold.headers.get(&event.code).map(|header| header.state);
        let wrong = match known {
            Some(state) if new && state.is_open() => Some("is announced while it is open"),
            None if !new => Some("was never announced"),
            Some(state) if !new && !state.is_open() => Some("changes after it was closed"),
            _ => None,
        };
        if let Some(what) = wrong {
            let code = event.code.to_string();
            self.findings.add(Check::LifeCycle, Fault::Inbound { code, what });
        }
        let plain = |line: &InboundLine| InboundLine { rest_before: Quantity::ZERO, arrived: Quantity::ZERO, ..*line };
        let mut lines: BTreeMap<SkuId, InboundLine> = BTreeMap::new();
        let mut created_at = at.time;
        if let Some(old) = self.supply_fold.headers.get(&event.code).filter(|_| !new) {
            lines.extend(old.lines.iter().map(|line| (line.sku, *line)));
            created_at = old.created_at;
        }
        lines.extend(event.lines.iter().map(|line| (line.sku, plain(line))));
        let open = lines.values().any(|line| line.open && !line.rest().is_zero());
        if open != event.state.is_open() {
            let (code, what) = (event.code.to_string(), "is open with nothing to come, or closed with something");
            self.findings.add(Check::LifeCycle, Fault::Inbound { code, what });
        }
        let reference = match self.supply_fold.headers.get(&event.code).filter(|_| !new) {
            Some(old) => old.reference.clone(),
            None => event.reference.clone(),
        };
        let header = InboundHeader {
            kind: event.kind,
            location: event.location,
            from: event.from,
            eta: event.eta,
            state: event.state,
            reference,
            lines: lines.into_values().collect(),
            created_at,
            closed_at: (!event.state.is_open()).then_some(at.time),
            revision: at.lsn,
        };
        self.supply_fold.headers.insert(event.code.clone(), header);
    }

    /// A hold's promises ahead.
    pub(super) fn presold_held(&mut self, at: Moment, held: &Held) {
        for one in held.presold() {
            if self.fresh(at.lsn, one.line.sku.shard()) && self.exists(one.line.sku, one.line.location) {
                let stage = held.terms.as_deref().map_or(Stage::Held, |terms| terms.stage);
                let path = held.terms.as_deref().map_or(&[][..], |terms| &terms.path);
                let charged = self.charge(path, one.line, stage.promise());
                self.promise_ahead(at, held.reservation, &PresoldLine { charged, ..*one });
            }
        }
    }

    /// Promises ahead are of a confirmed order from now on.
    pub(super) fn presold_confirmed(&mut self, at: Moment, claim: &Claim) {
        for one in claim.presold() {
            if self.fresh(at.lsn, one.line.sku.shard()) && self.supply_fold.is_charged(claim.reservation, one.supply) {
                self.count_on_path(claim.reservation, one.line, |own, units| {
                    allotment::add(&mut own.reserved, -units) && allotment::add(&mut own.committed, units)
                });
            }
        }
    }

    /// A claim gives promises ahead back.
    pub(super) fn presold_given_back(&mut self, at: Moment, claim: &Claim, promise: Promise) {
        for one in claim.presold() {
            if !self.fresh(at.lsn, one.line.sku.shard()) {
                continue;
            }
            if self.supply_fold.is_charged(claim.reservation, one.supply) {
                self.count_on_path(claim.reservation, one.line, |own, units| {
                    allotment::add(own.promised_mut(promise), -units)
                });
            }
            if !self.supply_fold.give_back(claim.reservation, one.supply, one.line.quantity) {
                self.supply_fault(Check::LifeCycle, one.supply, "gets back more than was promised of it");
            }
            self.note_revision(at, one.line.sku);
        }
    }

    /// Counts again from the other end.
    pub(super) fn balance_supply(&mut self) {
        let fold = &self.supply_fold;
        let mut promised: BTreeMap<SupplyId, u64> = BTreeMap::new();
        for ((_, supply), line) in &fold.presold {
            *promised.entry(*supply).or_default() += line.line.quantity.units();
        }
        let mut wrong: Vec<SupplyId> = Vec::new();
        let mut rests: BTreeMap<(SkuId, LocationId), u64> = BTreeMap::new();
        let mut in_transit = 0;
        for (id, supply) in &fold.supplies {
            if promised.remove(id).unwrap_or(0) != supply.promised {
                wrong.push(*id);
            }
            *rests.entry((supply.line.sku, supply.location)).or_default() += supply.line.rest().units();
            if supply.in_transit {
                in_transit += supply.line.rest().units();
            }
        }
        wrong.extend(promised.into_keys());
        let (came, went) = (fold.opening + fold.sent, fold.landed + fold.lost);
        if came.checked_sub(went) != Some(in_transit) {
            let fault = Fault::Total { bucket: "in transit", figure: in_transit, came, went };
            self.findings.add(Check::Conservation, fault);
        }
        for supply in wrong {
            self.supply_fault(Check::Conservation, supply, "is promised otherwise than the reservations sum to");
        }
        for ((sku, location), announced) in rests {
            let incoming = u64::from(self.shards.cell(sku, location).incoming);
            if incoming < announced {
                let cell = self.cell_code(sku, location);
                self.findings.add(Check::Conservation, Fault::Incoming { cell, incoming, announced });
            }
        }
    }

    /// Takes what a first snapshot's shard says as the beginning. What is promised comes with its parts.
    pub(super) fn begin_supply(&mut self, shard: ShardId, section: &wire::SupplySection) {
        for supply in &section.supplies {
            if let Ok(supply) = codec::supply::supply_from_wire(supply.clone()) {
                if supply.in_transit {
                    self.supply_fold.opening += supply.line.rest().units();
                }
                self.supply_fold.supplies.insert(supply.line.supply, supply);
            }
        }
        for header in &section.headers {
            if let Ok((code, header)) = codec::supply::header_from_wire(header.clone()) {
                self.supply_fold.headers.insert(code, header);
            }
        }
        self.supply_fold.last.insert(shard.0, section.next_sequence.saturating_sub(1));
    }

    /// Takes a part's promises ahead as the beginning.
    pub(super) fn begin_presold(&mut self, id: ReservationId, presold: &[PresoldLine]) {
        presold.iter().for_each(|one| self.supply_fold.promise(id, one));
    }

    /// Compares with a shard: of an engine, or of a snapshot.
    pub(super) fn compare_supply(&mut self, check: Check, shard: ShardId, found: &wire::SupplySection) {
        let mut faults = Vec::new();
        let fold = &self.supply_fold;
        let mut supplies: BTreeMap<SupplyId, wire::SupplyState> = found
            .supplies
            .iter()
            .map(|supply| (SupplyId(supply.line.as_ref().map_or(0, |line| line.supply)), supply.clone()))
            .collect();
        for (id, folded) in fold.supplies.iter().filter(|(id, _)| id.shard() == shard) {
            let same = match supplies.remove(id) {
                Some(found) => found == codec::supply::supply_to_wire(folded),
                None => !folded.line.open && folded.promised == 0,
            };
            if !same {
                faults.push(Fault::Supply { supply: id.0, what: "differs from the fold" });
            }
        }
        let stray = supplies.into_keys().map(|id| Fault::Supply { supply: id.0, what: "is not in the fold" });
        faults.extend(stray);
        let mut headers: BTreeMap<&str, &wire::InboundHeader> =
            found.headers.iter().map(|header| (header.code.as_str(), header)).collect();
        for (code, folded) in fold.headers.iter().filter(|(code, _)| crate::supply::home_of(code) == shard) {
            let same = match headers.remove(&**code) {
                Some(found) => *found == codec::supply::header_to_wire(code, folded),
                // Closed documents are forgotten in time.
                None => matches!(folded.state, InboundState::Received | InboundState::Cancelled),
            };
            if !same {
                faults.push(Fault::Inbound { code: code.to_string(), what: "differs from the fold" });
            }
        }
        let stray = headers.into_keys().map(|code| Fault::Inbound { code: code.into(), what: "is not in the fold" });
        faults.extend(stray);
        let last = fold.last.get(&shard.0).copied().unwrap_or(0);
        let found_last = found.next_sequence.saturating_sub(1);
        if found_last != last {
            let what = "the newest supply's number";
            faults.push(Fault::NumberDiffers { what, found: found_last, folded: last });
        }
        faults.into_iter().for_each(|fault| self.findings.add(check, fault));
    }

    /// Compares what the reservations of a shard are promised ahead.
    pub(super) fn compare_presold(&mut self, check: Check, view: &ShardView) {
        let mut found: BTreeMap<(ReservationId, SupplyId), PresoldLine> = BTreeMap::new();
        for part in &view.parts {
            found.extend(part.presold.iter().map(|one| ((part.id, one.supply), *one)));
        }
        let folded = self.supply_fold.presold.iter().filter(|((_, supply), _)| supply.shard() == view.shard);
        let mut wrong: BTreeSet<ReservationId> = BTreeSet::new();
        for (key, line) in folded {
            if found.remove(key) != Some(*line) {
                wrong.insert(key.0);
            }
        }
        wrong.extend(found.into_keys().map(|(id, _)| id));
        for id in wrong {
            self.findings.add(check, Fault::ReservationDiffers { id, figure: "units promised ahead" });
        }
    }

    /// Compares with an engine what lies in no shard: nothing does.
    pub(super) fn compare_supply_whole(&mut self, _engine: &Engine) {}
}
