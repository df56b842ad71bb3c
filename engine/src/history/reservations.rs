//! Reservations: their life cycles, and what they take and give back.

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;
use smallvec::SmallVec;

use super::{Check, Fault, History, Moment, sourcing::Kept, stock::Promises};
use crate::{
    catalog::hasher,
    event::{Claim, EndState, Held, HoldEndReason, Line, Promise},
    id::{ChannelId, LocationId, ReservationId, SkuId},
    quantity::Quantity,
    reservation::{PartLine, State},
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

    fn line_mut(&mut self, sku: SkuId, location: LocationId) -> Option<&mut PartLine> {
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
    fn whole(&self, at: Moment) -> bool {
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
                } else if in_time && state == State::Held && at.time >= expires_at {
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
            self.expect_no_work(id, state);
        }
    }

    /// Units go back from a promise to the pool.
    fn give_back(&mut self, at: Moment, claim: &Claim, promise: Promise) -> u64 {
        let id = claim.reservation;
        let mut units = 0;
        for line in self.fresh_lines(at, id, &claim.lines) {
            self.take_open(id, line, |part| {
                part.returned = Quantity(part.returned.0.saturating_add(line.quantity.0));
            });
            self.change(at.lsn, line.sku, line.location, &[(bucket(promise), -line.quantity.signed())]);
            units += line.quantity.units();
        }
        units
    }

    pub(super) fn held(&mut self, at: Moment, held: &Held) {
        if let Some(replaced) = &held.replaced {
            let id = replaced.reservation;
            self.expect(at, id, &[State::Held], "replaced", false);
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
        if held.lines.is_empty() {
            self.life_cycle(Fault::EmptyLine { id });
        }
        for line in self.fresh_lines(at, id, &held.lines) {
            self.expect_available(at, line, true);
            self.change(at.lsn, line.sku, line.location, &[("reserved", line.quantity.signed())]);
            self.units.held += line.quantity.units();
            self.add_open(id, line);
        }
        let buyer = self.reservations.buyer(&held.buyer_id);
        let origin = self.reservations.origin(&held.order_id, &held.buyer_id, held.channel);
        let reservation = self.reservations.part_mut(id);
        if home_fresh {
            reservation.state = State::Held;
            reservation.created_at = at.time;
            reservation.expires_at = held.expires_at;
            reservation.revision = at.lsn;
            (reservation.buyer, reservation.origin) = (buyer, origin);
        }
        self.sourced(at, held);
    }

    /// Whether an id was given before. Parts of it from other shards of the first snapshot are no earlier use.
    fn is_known(&self, at: Moment, id: ReservationId, held: &Held) -> bool {
        let snapshot_part = held.lines.iter().any(|line| !self.fresh(at.lsn, line.sku.shard()));
        self.reservations.get(id).is_some() && !snapshot_part
    }

    pub(super) fn add_open(&mut self, id: ReservationId, line: Line) {
        let reservation = self.reservations.part_mut(id);
        match reservation.line_mut(line.sku, line.location) {
            Some(part) => part.open = Quantity(part.open.0.saturating_add(line.quantity.0)),
            None => reservation.lines.push(PartLine {
                sku: line.sku,
                location: line.location,
                open: line.quantity,
                shipped: Quantity::ZERO,
                returned: Quantity::ZERO,
            }),
        }
    }

    pub(super) fn confirmed(&mut self, at: Moment, claim: &Claim) {
        let id = claim.reservation;
        self.expect(at, id, &[State::Held], "confirmed", true);
        self.expect_all(at, claim, "confirmed");
        for line in self.fresh_lines(at, id, &claim.lines) {
            let open = self.open_at(id, line.sku, line.location);
            if open < line.quantity {
                let cell = self.cell_code(line.sku, line.location);
                self.life_cycle(Fault::ExceedsOpen { id, cell, units: line.quantity.0, open: open.0 });
            }
            let units = line.quantity.signed();
            self.change(at.lsn, line.sku, line.location, &[("reserved", -units), ("committed", units)]);
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
        self.expect(at, id, &[State::Held], step, reason == HoldEndReason::Released);
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
        self.expect(at, claim.reservation, &[state], "cancelled", true);
        let units = self.give_back(at, claim, promise);
        match promise {
            Promise::Reserved => self.units.cancelled_held += units,
            Promise::Committed => self.units.cancelled_confirmed += units,
        }
        self.settle(at, claim.reservation, state, end);
    }

    pub(super) fn extended(&mut self, at: Moment, id: ReservationId, expires_at: Timestamp) {
        self.expect(at, id, &[State::Held], "extended", true);
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
        for line in self.fresh_lines(at, id, &claim.lines) {
            self.take_open(id, line, |part| {
                part.shipped = Quantity(part.shipped.0.saturating_add(line.quantity.0));
            });
            let units = line.quantity.signed();
            self.change(at.lsn, line.sku, line.location, &[("on hand", -units), ("committed", -units)]);
            self.units.shipped += line.quantity.units();
        }
        self.settle(at, id, State::Confirmed, end);
    }

    /// Checks what an event says has become of a reservation, and believes it.
    fn settle(&mut self, at: Moment, id: ReservationId, before: State, end: Option<EndState>) {
        if let Some(reservation) = self.reservations.get(id)
            && self.whole(at)
        {
            let shipped = reservation.lines.iter().any(|line| !line.shipped.is_zero());
            let folded = match (reservation.open(), shipped) {
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
            self.take_open(id, Line { location: from, ..line }, |_| {});
            // A line that never shipped or gave back anything leaves no trace.
            let traceless = |part: &PartLine| part.open.is_zero() && part.shipped.is_zero() && part.returned.is_zero();
            let reservation = self.reservations.part_mut(id);
            reservation.lines.retain(|part| (part.sku, part.location) != (line.sku, from) || !traceless(part));
            self.add_open(id, line);
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
