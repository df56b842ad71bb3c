//! Reservations: their life cycles, and what they take and give back.

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;
use smallvec::SmallVec;

use super::{Check, Fault, History, Moment, allotment, campaign::Turn, sourcing::Kept, stock::Promises};
use crate::{
    catalog::hasher,
    event::{Claim, EndState, Held, HoldEndReason, Line, Promise},
    id::{ChannelId, LocationId, NodeId, ReservationId, SkuId},
    quantity::Quantity,
    reservation::{PartLine, State},
    terms::Stage,
    time::Timestamp,
};

/// A reservation as the events left it.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub(super) state: State,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) revision: Lsn,
    /// Hash of the buyer.
    pub(super) buyer: u64,
    /// Hash of order, buyer and channel.
    pub(super) origin: u64,
    pub(super) lines: SmallVec<[PartLine; 1]>,
    /// How it was sourced.
    pub(super) sourcing: Option<Box<Kept>>,
    /// Selling nodes that its charged lines count to.
    pub(super) path: Box<[NodeId]>,
}

impl Reservation {
    pub(super) fn open(&self) -> u64 {
        self.lines.iter().map(|line| line.open.units()).sum()
    }

    /// Adds what it has open to the sums of the cells.
    pub(super) fn add_open(&self, sums: &mut Promises) {
        for line in self.lines.iter().filter(|line| !line.open.is_zero()) {
            let sum = sums.entry((line.sku, line.location)).or_default();
            match self.state {
                State::Held => sum.0 += line.open.units(),
                _ => sum.1 += line.open.units(),
            }
        }
    }

    pub(super) fn line_mut(&mut self, sku: SkuId, location: LocationId) -> Option<&mut PartLine> {
        self.lines.iter_mut().find(|line| (line.sku, line.location) == (sku, location))
    }
}

/// Every reservation there ever was.
pub(super) struct Reservations {
    by_id: HashMap<ReservationId, Reservation, RandomState>,
    /// Highest creation sequence.
    pub(super) sequence_max: u64,
    hasher: RandomState,
}

impl Default for Reservations {
    fn default() -> Self {
        Self { by_id: HashMap::with_hasher(hasher()), sequence_max: 0, hasher: hasher() }
    }
}

impl Reservations {
    pub(super) fn get(&self, id: ReservationId) -> Option<&Reservation> {
        self.by_id.get(&id)
    }

    pub(super) fn sourcing_mut(&mut self, id: ReservationId) -> Option<&mut Kept> {
        self.by_id.get_mut(&id).and_then(|reservation| reservation.sourcing.as_deref_mut())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ReservationId, &Reservation)> {
        self.by_id.iter()
    }

    pub(super) fn origin(&self, order: &str, buyer: &str, channel: Option<ChannelId>) -> u64 {
        self.hasher.hash_one((order, buyer, channel))
    }

    fn buyer(&self, buyer: &str) -> u64 {
        self.hasher.hash_one(buyer)
    }

    /// The reservation with this id, made empty if it is not there: in the first snapshot its parts come one by one.
    pub(super) fn part_mut(&mut self, id: ReservationId) -> &mut Reservation {
        self.sequence_max = self.sequence_max.max(id.sequence());
        self.by_id.entry(id).or_insert_with(|| Reservation {
            state: State::Held,
            created_at: Timestamp(0),
            expires_at: Timestamp(0),
            ended_at: None,
            revision: Lsn::ZERO,
            buyer: 0,
            origin: 0,
            lines: SmallVec::new(),
            sourcing: None,
            path: Box::default(),
        })
    }

    /// Fills in what the home shard of a snapshot says.
    pub(super) fn restore_header(&mut self, id: ReservationId, header: &crate::reservation::Header) {
        let (buyer, origin) =
            (self.buyer(&header.buyer_id), self.origin(&header.order_id, &header.buyer_id, header.channel));
        let reservation = self.part_mut(id);
        reservation.state = header.state;
        reservation.created_at = header.created_at;
        reservation.expires_at = header.expires_at;
        reservation.revision = header.revision;
        reservation.sourcing = header.sourcing.as_deref().map(|sourcing| Box::new(Kept::of(sourcing)));
        (reservation.buyer, reservation.origin) = (buyer, origin);
    }
}

impl History {
    /// Whether every shard is folded at this record, so that a whole reservation can be judged.
    pub(super) fn whole(&self, at: Moment) -> bool {
        at.lsn > self.shards.all_complete_to()
    }

    fn life_cycle(&mut self, fault: Fault) {
        self.findings.add(Check::LifeCycle, fault);
    }

    /// Checks that a reservation is in one of `states`, and that a hold is used before its time is up.
    pub(super) fn expect(
        &mut self,
        at: Moment,
        id: ReservationId,
        states: &[State],
        step: &'static str,
        in_time: bool,
    ) {
        if !self.fresh(at.lsn, id.home()) {
            return;
        }
        match self.reservations.get(id) {
            None => self.life_cycle(Fault::UnknownReservation { id }),
            Some(reservation) => {
                let (state, expires_at) = (reservation.state, reservation.expires_at);
                if !states.contains(&state) {
                    self.life_cycle(Fault::WrongState { id, state, step });
                } else if in_time && matches!(state, State::Held | State::Placed) && at.time >= expires_at {
                    self.findings.add(Check::Expiry, Fault::UsedLate { id, step, expires_at, time: at.time });
                }
            }
        }
    }

    /// Checks that a claim names all that is open.
    fn expect_all(&mut self, at: Moment, claim: &Claim, step: &'static str) {
        let id = claim.reservation;
        let open = self.reservations.get(id).map_or(0, Reservation::open);
        let units = claim.lines.iter().map(|line| line.quantity.units()).sum();
        if self.whole(at) && units != open {
            self.life_cycle(Fault::NotAll { id, step, units, open });
        }
        let ahead = claim.presold().iter().map(|one| one.line.quantity.units()).sum();
        let open_ahead = self.presold_units(id);
        if self.whole(at) && ahead != open_ahead {
            self.life_cycle(Fault::NotAll { id, step, units: ahead, open: open_ahead });
        }
    }

    /// Lines of an event that are to be folded. The rest came with the first snapshot, or names what was never made.
    pub(super) fn fresh_lines(&mut self, at: Moment, id: ReservationId, lines: &[Line]) -> SmallVec<[Line; 2]> {
        let mut fresh = SmallVec::new();
        for line in lines {
            if line.quantity.is_zero() {
                self.life_cycle(Fault::EmptyLine { id });
            }
            if self.fresh(at.lsn, line.sku.shard()) && self.exists(line.sku, line.location) {
                fresh.push(*line);
            }
        }
        fresh
    }

    /// Takes units off what a line has open, and books them where `book` says.
    pub(super) fn take_open(&mut self, id: ReservationId, line: Line, book: impl FnOnce(&mut PartLine)) {
        let found = self.reservations.part_mut(id).line_mut(line.sku, line.location);
        let open = found.as_ref().map_or(Quantity::ZERO, |part| part.open);
        if let Some(part) = found {
            part.open = Quantity(part.open.0.saturating_sub(line.quantity.0));
            book(part);
        }
        if open < line.quantity {
            let cell = self.cell_code(line.sku, line.location);
            self.life_cycle(Fault::ExceedsOpen { id, cell, units: line.quantity.0, open: open.0 });
        }
    }

    /// Checks that a cell has units to promise.
    pub(super) fn expect_available(&mut self, at: Moment, line: Line, new: bool) {
        let available = self.shards.cell(line.sku, line.location).available();
        if available < line.quantity.signed() {
            let cell = self.cell_code(line.sku, line.location);
            self.findings.add(Check::Oversell, Fault::Oversold { cell, taken: line.quantity.units(), available });
        }
        self.expect_thawed(at, line);
        let row = self.shards.row(line.sku).copied();
        if new && row.is_some_and(|row| row.retired) {
            let sku = self.names.sku(line.sku);
            self.findings.add(Check::Catalogue, Fault::Retired { sku });
        }
        if new && row.is_some_and(|row| !row.sellable) {
            let sku = self.names.sku(line.sku);
            self.findings.add(Check::Catalogue, Fault::NotSellable { sku });
        }
        if at.lsn > self.names.complete_to && !self.names.is_open(line.location) {
            let location = self.names.location(line.location);
            self.findings.add(Check::Catalogue, Fault::NotOpen { location });
        }
    }

    pub(super) fn touch(&mut self, at: Moment, id: ReservationId, end: Option<State>) {
        let fresh = self.fresh(at.lsn, id.home());
        if let Some(reservation) = self.reservations.by_id.get_mut(&id) {
            if fresh {
                reservation.revision = at.lsn;
            }
            if let Some(state) = end {
                reservation.ended_at = Some(at.time);
                if fresh {
                    reservation.state = state;
                }
            }
        }
        if let Some(state) = end.filter(|_| fresh) {
            self.left_line(at, id);
            self.expect_no_work(id, state);
        }
    }

    /// A reservation that had taken nothing has taken its units.
    pub(super) fn begin_state(&mut self, at: Moment, id: ReservationId, state: State, expires_at: Timestamp) {
        if self.fresh(at.lsn, id.home())
            && let Some(reservation) = self.reservations.by_id.get_mut(&id)
        {
            reservation.state = state;
            reservation.expires_at = expires_at;
            reservation.revision = at.lsn;
        }
    }

    /// Units go back from a promise to the pool.
    fn give_back(&mut self, at: Moment, claim: &Claim, promise: Promise) -> u64 {
        let id = claim.reservation;
        let mut units = 0;
        self.turned(at, claim, Turn::GivenBack(promise));
        for line in self.fresh_lines(at, id, &claim.lines) {
            self.recount(id, line, |own, units| allotment::add(own.promised_mut(promise), -units));
            self.take_open(id, line, |part| {
                part.returned = Quantity(part.returned.0.saturating_add(line.quantity.0));
            });
            self.change(at.lsn, line.sku, line.location, &[(bucket(promise), -line.quantity.signed())]);
            units += line.quantity.units();
        }
        self.presold_given_back(at, claim, promise);
        units
    }

    pub(super) fn held(&mut self, at: Moment, held: &Held) {
        if let Some(replaced) = &held.replaced {
            let id = replaced.reservation;
            self.expect(at, id, &[State::Held, State::Placed, State::Waiting], "replaced", false);
            let buyer = self.reservations.buyer(&held.buyer_id);
            if self.reservations.get(id).is_some_and(|old| old.buyer != buyer && self.fresh(at.lsn, id.home())) {
                self.life_cycle(Fault::OtherBuyer { id });
            }
            self.expect_all(at, replaced, "replaced");
            self.units.replaced += self.give_back(at, replaced, Promise::Reserved);
            self.book(at, id, &held.replaced_bookings);
            self.touch(at, id, Some(State::Replaced));
        }
        let id = held.reservation;
        if let Some(channel) = held.channel
            && at.lsn > self.names.complete_to
            && channel.index() >= self.names.channels.len()
        {
            self.findings.add(Check::Catalogue, Fault::Unknown { what: "channel", id: channel.0 });
        }
        let home_fresh = self.fresh(at.lsn, id.home());
        if home_fresh && self.is_known(at, id, held) {
            self.life_cycle(Fault::ReservationTwice { id });
        }
        let stage = held.terms.as_deref().map_or(Stage::Held, |terms| terms.stage);
        let pending = matches!(stage, Stage::Placed | Stage::Waiting);
        let wants = held.terms.as_deref().is_some_and(|terms| !terms.wanted.is_empty());
        if (held.lines.is_empty() && held.presold().is_empty()) != pending || wants != pending {
            self.life_cycle(Fault::EmptyLine { id });
        }
        let path = held.terms.as_deref().map_or(&[][..], |terms| &terms.path);
        self.reservations.part_mut(id).path = path.into();
        for line in self.fresh_lines(at, id, &held.lines) {
            self.expect_available(at, line, true);
            self.change(at.lsn, line.sku, line.location, &[(bucket(stage.promise()), line.quantity.signed())]);
            self.units.held += line.quantity.units();
            if stage == Stage::Committed {
                self.units.confirmed += line.quantity.units();
            }
            let charged = self.charge(path, line, stage.promise());
            self.add_open(id, line, charged);
        }
        self.begun(at, held);
        self.presold_held(at, held);
        let buyer = self.reservations.buyer(&held.buyer_id);
        let origin = self.reservations.origin(&held.order_id, &held.buyer_id, held.channel);
        let reservation = self.reservations.part_mut(id);
        if home_fresh {
            reservation.state = stage.state();
            reservation.created_at = at.time;
            reservation.expires_at = held.expires_at;
            reservation.revision = at.lsn;
            (reservation.buyer, reservation.origin) = (buyer, origin);
        }
        self.sourced(at, held);
        self.kits_held(at, held);
    }

    /// Whether an id was given before. Parts of it from other shards of the first snapshot are no earlier use.
    fn is_known(&self, at: Moment, id: ReservationId, held: &Held) -> bool {
        let skus = held.lines.iter().map(|line| line.sku).chain(held.presold().iter().map(|one| one.line.sku));
        let snapshot_part = skus.into_iter().any(|sku| !self.fresh(at.lsn, sku.shard()));
        self.reservations.get(id).is_some() && !snapshot_part
    }

    pub(super) fn add_open(&mut self, id: ReservationId, line: Line, charged: bool) {
        let reservation = self.reservations.part_mut(id);
        match reservation.line_mut(line.sku, line.location) {
            Some(part) => part.open = Quantity(part.open.0.saturating_add(line.quantity.0)),
            None => {
                reservation.lines.push(PartLine { charged, ..PartLine::open(line.sku, line.location, line.quantity) });
            }
        }
    }

    /// Units come to a line, which counts to the path if the others of its SKU do.
    pub(super) fn moved_in(&mut self, id: ReservationId, line: Line, promise: Promise) {
        let own = self.reservations.part_mut(id);
        let charged = own.lines.iter().any(|own| own.sku == line.sku && own.charged);
        self.add_open(id, line, charged);
        self.recount(id, line, |own, units| allotment::add(own.promised_mut(promise), units));
    }

    pub(super) fn confirmed(&mut self, at: Moment, claim: &Claim) {
        let id = claim.reservation;
        self.expect(at, id, &[State::Held], "confirmed", true);
        self.expect_all(at, claim, "confirmed");
        self.turned(at, claim, Turn::Confirmed);
        self.presold_confirmed(at, claim);
        for line in self.fresh_lines(at, id, &claim.lines) {
            let open = self.open_at(id, line.sku, line.location);
            if open < line.quantity {
                let cell = self.cell_code(line.sku, line.location);
                self.life_cycle(Fault::ExceedsOpen { id, cell, units: line.quantity.0, open: open.0 });
            }
            let units = line.quantity.signed();
            self.change(at.lsn, line.sku, line.location, &[("reserved", -units), ("committed", units)]);
            self.recount(id, line, |own, units| {
                allotment::add(&mut own.committed, units);
                allotment::add(&mut own.reserved, -units)
            });
            self.units.confirmed += line.quantity.units();
        }
        if self.fresh(at.lsn, id.home())
            && let Some(reservation) = self.reservations.by_id.get_mut(&id)
        {
            reservation.state = State::Confirmed;
            reservation.revision = at.lsn;
        }
    }

    fn open_at(&self, id: ReservationId, sku: SkuId, location: LocationId) -> Quantity {
        let reservation = self.reservations.get(id);
        let line = reservation
            .and_then(|reservation| reservation.lines.iter().find(|line| (line.sku, line.location) == (sku, location)));
        line.map_or(Quantity::ZERO, |line| line.open)
    }

    pub(super) fn hold_ended(&mut self, at: Moment, claim: &Claim, reason: HoldEndReason) {
        let id = claim.reservation;
        let (step, state) = match reason {
            HoldEndReason::Released => ("released", State::Released),
            HoldEndReason::Expired => ("expired", State::Expired),
        };
        let states: &[State] = match reason {
            HoldEndReason::Released => &[State::Held, State::Placed, State::Waiting],
            HoldEndReason::Expired => &[State::Held, State::Placed],
        };
        self.expect(at, id, states, step, reason == HoldEndReason::Released);
        if reason == HoldEndReason::Expired
            && self.fresh(at.lsn, id.home())
            && let Some(expires_at) = self.reservations.get(id).map(|reservation| reservation.expires_at)
            && at.time < expires_at
        {
            self.findings.add(Check::Expiry, Fault::ExpiredEarly { id, expires_at, time: at.time });
        }
        self.expect_all(at, claim, step);
        let units = self.give_back(at, claim, Promise::Reserved);
        match reason {
            HoldEndReason::Released => self.units.released += units,
            HoldEndReason::Expired => self.units.expired += units,
        }
        self.touch(at, id, Some(state));
    }

    pub(super) fn cancelled(&mut self, at: Moment, claim: &Claim, promise: Promise, end: Option<EndState>) {
        let state = match promise {
            Promise::Reserved => State::Held,
            Promise::Committed => State::Confirmed,
        };
        let states: &[State] = match promise {
            Promise::Reserved => &[State::Held, State::Placed, State::Waiting],
            Promise::Committed => &[State::Confirmed],
        };
        self.expect(at, claim.reservation, states, "cancelled", true);
        let units = self.give_back(at, claim, promise);
        self.kits_cancelled(at, claim);
        match promise {
            Promise::Reserved => self.units.cancelled_held += units,
            Promise::Committed => self.units.cancelled_confirmed += units,
        }
        self.settle(at, claim.reservation, state, end);
    }

    pub(super) fn extended(&mut self, at: Moment, id: ReservationId, expires_at: Timestamp) {
        self.expect(at, id, &[State::Held, State::Placed], "extended", true);
        if self.fresh(at.lsn, id.home())
            && let Some(reservation) = self.reservations.by_id.get_mut(&id)
        {
            reservation.expires_at = expires_at;
            reservation.revision = at.lsn;
        }
    }

    pub(super) fn shipped(&mut self, at: Moment, claim: &Claim, end: Option<EndState>) {
        let id = claim.reservation;
        self.expect(at, id, &[State::Confirmed], "shipped", false);
        self.turned(at, claim, Turn::Shipped);
        for line in self.fresh_lines(at, id, &claim.lines) {
            self.recount(id, line, |own, units| {
                own.shipped += units.unsigned_abs();
                allotment::add(&mut own.committed, -units)
            });
            self.take_open(id, line, |part| {
                part.shipped = Quantity(part.shipped.0.saturating_add(line.quantity.0));
            });
            self.expect_shippable(at, line);
            let units = line.quantity.signed();
            self.change(at.lsn, line.sku, line.location, &[("on hand", -units), ("committed", -units)]);
            self.units.shipped += line.quantity.units();
            self.returns_fold.count_shipped(line.sku, line.quantity);
        }
        self.settle(at, id, State::Confirmed, end);
    }

    /// Checks what an event says has become of a reservation, and believes it.
    fn settle(&mut self, at: Moment, id: ReservationId, before: State, end: Option<EndState>) {
        if let Some(reservation) = self.reservations.get(id)
            && self.whole(at)
        {
            let shipped = reservation.lines.iter().any(|line| !line.shipped.is_zero());
            let folded = match (reservation.open() + self.presold_units(id), shipped) {
                (0, true) => State::Shipped,
                (0, false) => State::Cancelled,
                _ => before,
            };
            let said = end.map_or(before, EndState::state);
            if said != folded {
                self.life_cycle(Fault::WrongEnd { id, said, folded });
            }
        }
        self.touch(at, id, end.map(EndState::state));
    }

    pub(super) fn reassigned(&mut self, at: Moment, id: ReservationId, promise: Promise, line: Line, from: LocationId) {
        let state = match promise {
            Promise::Reserved => State::Held,
            Promise::Committed => State::Confirmed,
        };
        self.expect(at, id, &[state], "reassigned", true);
        if self.fresh(at.lsn, line.sku.shard()) && self.exists(line.sku, line.location) && self.exists(line.sku, from) {
            if line.quantity.is_zero() {
                self.life_cycle(Fault::EmptyLine { id });
            }
            self.expect_available(at, line, false);
            let units = line.quantity.signed();
            self.change(at.lsn, line.sku, line.location, &[(bucket(promise), units)]);
            self.change(at.lsn, line.sku, from, &[(bucket(promise), -units)]);
            self.moved_in(id, line, promise);
            let left = Line { location: from, ..line };
            self.recount(id, left, |own, units| allotment::add(own.promised_mut(promise), -units));
            self.take_open(id, left, |_| {});
            // A line that never shipped or gave back anything leaves no trace.
            let traceless = |part: &PartLine| part.open.is_zero() && part.shipped.is_zero() && part.returned.is_zero();
            let reservation = self.reservations.part_mut(id);
            reservation.lines.retain(|part| (part.sku, part.location) != (line.sku, from) || !traceless(part));
            self.units.reassigned += line.quantity.units();
        }
        self.touch(at, id, None);
    }
}

pub(super) fn bucket(promise: Promise) -> &'static str {
    match promise {
        Promise::Reserved => "reserved",
        Promise::Committed => "committed",
    }
}
