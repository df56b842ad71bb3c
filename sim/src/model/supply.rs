//! What is expected: documents, what each line may promise ahead, and how promises become stock.

use std::collections::BTreeMap;

use quartermaster_engine::{
    event::{
        Claim, Held, Promise,
        supply::{InboundLine, InboundState, InboundStep, PresoldMove, PresoldTarget, SupplyEvent},
    },
    id::{LocationId, ReservationId, SkuId, SupplyId},
    reservation::State,
    terms::PresoldLine,
    time::Timestamp,
};

use super::{
    Judged, Model, must,
    stock::{minus, plus},
};

/// A line of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Supply {
    pub(crate) code: String,
    pub(crate) sku: SkuId,
    pub(crate) location: LocationId,
    pub(crate) eta: Timestamp,
    pub(crate) expected: u64,
    pub(crate) received: u64,
    pub(crate) cap: Option<u64>,
    pub(crate) confidence: u64,
    pub(crate) open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) location: LocationId,
    pub(crate) from: Option<LocationId>,
    pub(crate) eta: Timestamp,
    pub(crate) state: InboundState,
    pub(crate) lines: Vec<SupplyId>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) supplies: BTreeMap<SupplyId, Supply>,
    pub(crate) documents: BTreeMap<String, Document>,
}

/// Units of a reservation that are promised of a supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) units: u64,
    /// When they were promised for.
    pub(crate) promised: Timestamp,
    /// They count to the path.
    pub(crate) charged: bool,
}

impl Supply {
    pub(crate) fn rest(&self) -> u64 {
        if self.open { self.expected.saturating_sub(self.received) } else { 0 }
    }

    /// Units that may stand promised of it.
    pub(crate) fn may(&self) -> u64 {
        (self.rest() * self.confidence / 100).min(self.cap.unwrap_or(u64::MAX))
    }
}

impl Model {
    /// Units promised of a supply: the sum over all reservations.
    pub(crate) fn promised_of(&self, supply: SupplyId) -> u64 {
        self.reservations.values().filter_map(|one| one.ahead.get(&supply)).map(|ahead| ahead.units).sum()
    }

    pub(crate) fn room(&self, id: SupplyId) -> u64 {
        self.expected.supplies[&id].may().saturating_sub(self.promised_of(id))
    }

    /// Supplies of a SKU that can be promised of, the earliest first.
    pub(crate) fn open_supplies(&self, sku: SkuId, by: Timestamp) -> Vec<SupplyId> {
        let own = self
            .expected
            .supplies
            .iter()
            .filter(|(_, one)| one.sku == sku && one.open && one.eta <= by && self.place_is_open(one.location));
        let mut own: Vec<_> = own.map(|(id, one)| (one.eta, *id)).collect();
        own.sort_unstable();
        own.into_iter().map(|(_, id)| id).collect()
    }

    /// Units of a hold are promised ahead of what may promise them. Gives what it has ahead then.
    pub(super) fn presold(&mut self, held: &Held, promise: Promise) -> Judged<BTreeMap<SupplyId, Ahead>> {
        let mut ahead = BTreeMap::new();
        let path = held.terms.as_ref().map_or(Vec::new(), |terms| terms.path.to_vec());
        for PresoldLine { supply, line, promised, .. } in held.presold() {
            let Some(known) = self.expected.supplies.get(supply) else {
                return Err(format!("{supply:?} is not expected"));
            };
            must!((known.sku, known.location) == (line.sku, line.location), "{line:?} is not {known:?}");
            must!(known.open && known.eta == *promised, "{known:?} is promised for {promised:?}");
            must!(self.place_is_open(line.location), "units are promised of a place that is not open");
            let units = line.quantity.units();
            let room = self.room(*supply);
            must!(units > 0 && units <= room, "{units} are promised of {known:?}, there is room for {room}");
            self.skus[line.sku.index()].revision = self.lsn;
            let charged = self.selling.charge(&path, line.sku, units, promise);
            let one = Ahead { units, promised: *promised, charged };
            must!(ahead.insert(*supply, one).is_none(), "a supply stands twice in a hold");
        }
        Ok(ahead)
    }

    /// Units promised ahead go back to their supplies.
    pub(super) fn ahead_given_back(&mut self, claim: &Claim, promise: Promise) -> Judged {
        for PresoldLine { supply, line, .. } in claim.presold() {
            let path = self.reservations[&claim.reservation].path.clone();
            let charged = self.less_ahead(claim.reservation, *supply, line.quantity.units())?;
            if charged {
                self.selling.discharge(&path, line.sku, line.quantity.units(), promise)?;
            }
            self.skus[line.sku.index()].revision = self.lsn;
        }
        Ok(())
    }

    /// Takes units off what a reservation has ahead. Whether they counted to its path.
    fn less_ahead(&mut self, id: ReservationId, supply: SupplyId, units: u64) -> Judged<bool> {
        let Some(reservation) = self.reservations.get_mut(&id) else { return Err(format!("{id} was never made")) };
        let Some(ahead) = reservation.ahead.get_mut(&supply) else {
            return Err(format!("{id} has nothing of {supply:?}"));
        };
        minus(&mut ahead.units, units, "promised ahead")?;
        let charged = ahead.charged;
        reservation.ahead.retain(|_, ahead| ahead.units > 0);
        Ok(charged)
    }

    pub(super) fn inbound(&mut self, event: &SupplyEvent) -> Judged {
        let is_new = matches!(event.step, InboundStep::Announced | InboundStep::TransferShipped);
        let known = self.expected.documents.get(&*event.code).cloned();
        let was_open = known.as_ref().is_some_and(|known| known.state.is_open());
        must!(is_new != was_open, "{} is open: {was_open}", event.code);
        must!(!is_new || event.eta >= self.now, "an ETA in the past");
        let may_be_empty = matches!(event.step, InboundStep::Received | InboundStep::Changed);
        must!(!event.lines.is_empty() || may_be_empty, "an event about nothing");
        if let Some(known) = known.filter(|known| known.state.is_open()) {
            must!(known.location == event.location && known.from == event.from, "a document goes elsewhere");
            must!(event.step == InboundStep::Changed || known.eta == event.eta, "its ETA changes by itself");
            must!(known.from.is_none() || event.step != InboundStep::Cancelled, "what is under way is not cancelled");
        }
        for line in &event.lines {
            self.inbound_line(event, line, is_new)?;
        }
        let mut lines =
            self.expected.documents.get(&*event.code).filter(|_| !is_new).map_or(Vec::new(), |one| one.lines.clone());
        lines.extend(event.lines.iter().filter(|_| is_new).map(|line| line.supply));
        let (location, from, eta, state) = (event.location, event.from, event.eta, event.state);
        let document = Document { location, from, eta, state, lines };
        let all_closed = document.lines.iter().all(|id| !self.expected.supplies[id].open);
        must!(state.is_open() != all_closed, "{} is {state:?}, and all lines closed is {all_closed}", event.code);
        self.expected.documents.insert(event.code.to_string(), document);
        let mut arrived: BTreeMap<SupplyId, u64> =
            event.lines.iter().map(|line| (line.supply, line.arrived.units())).collect();
        for moved in &event.moves {
            self.promise_moved(event, moved, &mut arrived)?;
        }
        self.judge_uncovered(event)
    }

    fn inbound_line(&mut self, event: &SupplyEvent, line: &InboundLine, is_new: bool) -> Judged {
        let known = self.expected.supplies.get(&line.supply);
        must!(is_new == known.is_none(), "{:?} is known: {}", line.supply, known.is_some());
        let before = known.map_or(0, Supply::rest);
        let received = known.map_or(0, |known| known.received) + line.arrived.units();
        must!(line.rest_before.units() == before, "{} were expected, not {before}", line.rest_before);
        must!(line.received.units() == received, "{} have arrived, not {received}", line.received);
        must!(line.confidence <= 100, "more than certain");
        must!(known.is_none_or(|known| known.open || !line.open), "what was closed opens again");
        if let Some(known) = known {
            must!((known.sku, &*known.code) == (line.sku, &*event.code), "a line of another document");
            let changes = event.step == InboundStep::Changed;
            must!(changes || known.expected == line.expected.units(), "what is expected changes by itself");
        }
        if event.step == InboundStep::TransferShipped {
            let Some(from) = event.from else { return Err("a transfer leaves a location".into()) };
            let (units, left) = (line.expected.units(), self.cell((line.sku, from)).available());
            must!(units <= left, "{units} leave {from:?}, where {left} are free");
            minus(&mut self.cell_mut((line.sku, from)).on_hand, units, "on hand")?;
        }
        let supply = Supply {
            code: event.code.to_string(),
            sku: line.sku,
            location: event.location,
            eta: event.eta,
            expected: line.expected.units(),
            received,
            cap: line.cap.map(|cap| cap.units()),
            confidence: u64::from(line.confidence),
            open: line.open,
        };
        let after = supply.rest();
        self.expected.supplies.insert(line.supply, supply);
        let cell = self.cell_mut((line.sku, event.location));
        plus(&mut cell.on_hand, line.arrived.units(), "on hand")?;
        minus(&mut cell.incoming, before, "incoming")?;
        plus(&mut cell.incoming, after, "incoming")
    }

    /// Units promised ahead become stock, as far as it arrived or is free, or are promised of another supply that has room.
    fn promise_moved(
        &mut self,
        event: &SupplyEvent,
        moved: &PresoldMove,
        arrived: &mut BTreeMap<SupplyId, u64>,
    ) -> Judged {
        let (id, sku, units) = (moved.reservation, moved.sku, moved.quantity.units());
        must!(units > 0, "nothing moves");
        let known = self.expected.supplies.get(&moved.from).cloned();
        must!(known.as_ref().is_some_and(|known| known.sku == sku), "units of another SKU move");
        let bucket = match self.known(id)?.state {
            State::Held => Promise::Reserved,
            State::Confirmed => Promise::Committed,
            state => return Err(format!("{id} is {state:?} and is promised more")),
        };
        must!(moved.promise == bucket, "{id} is in another bucket than {bucket:?}");
        match moved.to {
            PresoldTarget::Stock(location) => {
                let own = arrived.get_mut(&moved.from).filter(|own| location == event.location && **own > 0);
                let cell = self.cell((sku, location));
                if let Some(own) = own {
                    // It arrived for them: never more than arrived, and those who were promised first come first.
                    must!(units <= *own, "{units} become stock, {own} arrived");
                    *own -= units;
                    let free = cell.sellable().saturating_sub(cell.reserved + cell.committed);
                    must!(units <= free, "{units} become stock at {location:?}, where {free} are free");
                    let older = self.reservations.range(..id).find(|(_, one)| one.ahead.contains_key(&moved.from));
                    must!(older.is_none(), "{id} comes before {older:?}");
                } else {
                    let over = self.promised_of(moved.from).saturating_sub(self.expected.supplies[&moved.from].may());
                    must!(units <= over, "{units} leave a supply that does not cover {over}");
                    let left = self.takeable_by_promise((sku, location));
                    must!(units <= left, "oversold: {units} become stock at {location:?}, where {left} can be");
                }
                let charged = self.less_ahead(id, moved.from, units)?;
                plus(self.cell_mut((sku, location)).promised(bucket), units, "promised")?;
                let lines = &mut self.reservations.get_mut(&id).expect("asked before").lines;
                let line = lines.entry((sku, location)).or_default();
                line.open += units;
                line.charged |= charged;
            }
            PresoldTarget::Supply { supply, location, expected_at } => {
                must!(supply != moved.from, "units stay where they are");
                let Some(target) = self.expected.supplies.get(&supply) else {
                    return Err(format!("{supply:?} is not expected"));
                };
                must!((target.sku, target.location, target.eta) == (sku, location, expected_at), "not {target:?}");
                must!(target.open && self.place_is_open(location), "units are promised of what is closed");
                let room = self.room(supply);
                must!(units <= room, "{units} are promised of {target:?}, there is room for {room}");
                let charged = self.less_ahead(id, moved.from, units)?;
                let ahead = &mut self.reservations.get_mut(&id).expect("asked before").ahead;
                let one = ahead.entry(supply).or_insert(Ahead { units: 0, promised: expected_at, charged });
                one.units += units;
                one.promised = one.promised.min(expected_at);
            }
        }
        self.skus[sku.index()].revision = self.lsn;
        Ok(())
    }

    /// Free stock that a promise given before may take: the SKU need not be for sale any more.
    fn takeable_by_promise(&self, place: super::Place) -> u64 {
        if self.place_is_open(place.1) { self.free(place) } else { 0 }
    }

    /// What the event tells as uncovered is, and could not be covered.
    fn judge_uncovered(&self, event: &SupplyEvent) -> Judged {
        let mut told = BTreeMap::<SupplyId, u64>::new();
        for one in &event.uncovered {
            *told.entry(one.supply).or_default() += one.quantity.units();
            let ahead = self.known(one.reservation)?.ahead.get(&one.supply).map_or(0, |ahead| ahead.units);
            must!(one.quantity.units() <= ahead, "{one:?} is told, {ahead} are ahead");
        }
        for line in &event.lines {
            let own = self.expected.supplies.iter().filter(|(_, one)| one.sku == line.sku);
            for (id, one) in own {
                let over = self.promised_of(*id).saturating_sub(one.may());
                must!(told.get(id).copied().unwrap_or(0) == over, "{over} of {id:?} are uncovered, told are {told:?}");
                if over > 0 && !self.selling.speaks_of(line.sku) {
                    let free: u64 = self.all_locations().map(|at| self.takeable_by_promise((line.sku, at))).sum();
                    let others = self.open_supplies(line.sku, Timestamp::MAX).into_iter().filter(|other| other != id);
                    let room: u64 = others.map(|other| self.room(other)).sum();
                    must!(free + room == 0, "{over} are uncovered, {free} free and {room} ahead");
                }
            }
        }
        for late in &event.late {
            must!(late.promised < late.expected, "{late:?} is not late");
            let ahead = self.known(late.reservation)?.ahead.get(&late.supply).map_or(0, |ahead| ahead.units);
            must!(late.quantity.units() <= ahead, "{late:?} is told, {ahead} are ahead");
        }
        Ok(())
    }

    /// Incoming covers what documents announce.
    pub(crate) fn judge_incoming(&self) -> Judged {
        let mut announced = BTreeMap::<super::Place, u64>::new();
        for one in self.expected.supplies.values() {
            *announced.entry((one.sku, one.location)).or_default() += one.rest();
        }
        for (place, units) in announced {
            must!(self.cell(place).incoming >= units, "{units} are announced at {place:?}");
        }
        Ok(())
    }
}
