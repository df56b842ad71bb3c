//! What routing adds to a history: units that were routed anew, orders planned together, work booked at locations, and refusals.
//!
//! Work is kept twice, by reservation and by location, and each must be what the bookings of the events add up to.

use std::collections::BTreeMap;

use quartermaster_journal::Lsn;
use quartermaster_sourcing::fulfilment::{Moment as Second, Slot};

use super::{Check, Fault, History, Moment, reservations::bucket};
use crate::{
    capacity::Booking,
    event::{Held, Line, Promise},
    id::{LocationId, ReservationId, SkuId},
    reservation::{PartLine, State},
    sourced::{Ask, AskLine, DecidedParcel, Merged, Rerouted, Sourcing},
    time::Timestamp,
};

/// Orders and units by location and slot.
pub(super) type Work = BTreeMap<(LocationId, Slot), (i64, i64)>;

/// Slots that ended longer ago than this may be forgotten, in microseconds.
const KEPT: u64 = 2 * 86_400 * 1_000_000;

/// How a reservation was sourced, as the events left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    decided: Lsn,
    promised: Option<Second>,
    merged_with: Option<ReservationId>,
    booked: Work,
    parcels: Vec<DecidedParcel>,
    ask: Ask,
    conditions: Vec<AskLine>,
}

impl Kept {
    /// What a header says.
    pub(super) fn of(sourcing: &Sourcing) -> Self {
        Self {
            decided: sourcing.decided,
            promised: sourcing.promised,
            merged_with: sourcing.merged_with,
            booked: work(&sourcing.bookings),
            parcels: sourcing.parcels.clone(),
            ask: sourcing.ask.clone(),
            conditions: sourcing.conditions.clone(),
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.booked.is_empty()
    }
}

/// Work booked at locations.
#[derive(Default)]
pub(super) struct Table {
    /// Everything up to here came with the first snapshot.
    pub(super) complete_to: Lsn,
    pub(super) work: Work,
}

/// Bookings, added up.
pub(super) fn work(bookings: &[Booking]) -> Work {
    let mut work = Work::new();
    add(&mut work, bookings);
    work
}

fn add(work: &mut Work, bookings: &[Booking]) {
    for booking in bookings {
        let sum = work.entry((booking.location, booking.slot)).or_default();
        *sum = (sum.0.saturating_add(booking.orders.into()), sum.1.saturating_add(booking.units));
        if *sum == (0, 0) {
            work.remove(&(booking.location, booking.slot));
        }
    }
}

/// Whether a slot that ended may be forgotten at a time.
fn is_old(slot: Slot, now: Timestamp) -> bool {
    let end = match slot {
        Slot::Day(day) => (u64::from(day) + 1) * 86_400,
        Slot::Hour(hour) => (u64::from(hour) + 1) * 3_600,
    };
    (end * 1_000_000).saturating_add(KEPT) < now.0
}

impl History {
    /// Folds how a hold was sourced.
    pub(super) fn sourced(&mut self, at: Moment, held: &Held) {
        let Some(sourced) = held.sourced.as_deref() else { return };
        let id = held.reservation;
        let mut decided: Vec<Line> = Vec::new();
        for parcel in &sourced.decision.parcels {
            let line = |(sku, units): &(SkuId, u32)| Line {
                sku: *sku,
                location: parcel.location,
                quantity: crate::quantity::Quantity(*units),
            };
            decided.extend(parcel.lines.iter().map(line));
        }
        decided.sort_unstable();
        if decided != held.lines.to_vec() {
            self.findings.add(Check::Conservation, Fault::NotAsDecided { id });
        }
        if self.fresh(at.lsn, id.home()) {
            self.reservations.part_mut(id).sourcing = Some(Box::new(Kept {
                decided: at.lsn,
                promised: sourced.decision.parcels.iter().map(|parcel| parcel.arrives_at).max(),
                merged_with: None,
                booked: Work::new(),
                parcels: sourced.decision.parcels.clone(),
                ask: sourced.ask.clone(),
                conditions: sourced
                    .wanted
                    .iter()
                    .filter(|line| line.whole || line.only.len() + line.never.len() > 0)
                    .cloned()
                    .collect(),
            }));
        }
        self.book(at, id, &sourced.bookings);
    }

    /// Folds work that a reservation books or gives back.
    pub(super) fn book(&mut self, at: Moment, id: ReservationId, bookings: &[Booking]) {
        if bookings.is_empty() {
            return;
        }
        for booking in bookings {
            if at.lsn > self.names.complete_to && booking.location.index() >= self.names.locations.len() {
                self.findings.add(Check::Catalogue, Fault::Unknown { what: "location", id: booking.location.0 });
            }
        }
        if at.lsn > self.booked.complete_to {
            add(&mut self.booked.work, bookings);
        }
        if !self.fresh(at.lsn, id.home()) {
            return;
        }
        let kept = self.reservations.sourcing_mut(id);
        let covered = kept.is_some_and(|kept| {
            add(&mut kept.booked, bookings);
            kept.booked.values().all(|(orders, units)| *orders >= 0 && *units >= 0)
        });
        if !covered {
            self.findings.add(Check::LifeCycle, Fault::NeverBooked { id });
        }
    }

    /// Checks that a reservation that ended without work has none booked.
    pub(super) fn expect_no_work(&mut self, id: ReservationId, end: State) {
        let works = self.reservations.get(id).and_then(|one| one.sourcing.as_deref()).is_some_and(Kept::has_work);
        if works && end != State::Shipped {
            self.findings.add(Check::LifeCycle, Fault::StillBooked { id });
        }
    }

    pub(super) fn rerouted(&mut self, at: Moment, moved: &Rerouted, group: Option<ReservationId>) {
        let (id, promise) = (moved.reservation, moved.promise);
        let state = match promise {
            Promise::Reserved => State::Held,
            Promise::Committed => State::Confirmed,
        };
        self.expect(at, id, &[state], "routed anew", true);
        self.expect_same_units(moved);
        for line in self.fresh_lines(at, id, &moved.to) {
            self.expect_available(at, line, false);
            self.change(at.lsn, line.sku, line.location, &[(bucket(promise), line.quantity.signed())]);
            self.moved_in(id, line, promise);
            self.units.reassigned += line.quantity.units();
        }
        for line in self.fresh_lines(at, id, &moved.from) {
            self.change(at.lsn, line.sku, line.location, &[(bucket(promise), -line.quantity.signed())]);
            self.recount(id, line, |own, units| super::allotment::add(own.promised_mut(promise), -units));
            self.take_open(id, line, |_| {});
            if let Some(until) = moved.refused_until {
                self.shards.get_mut(line.sku.shard()).refusals.insert((line.sku, line.location), until);
            }
        }
        // A line that never shipped or gave back anything leaves no trace.
        let trace = |part: &mut PartLine| [part.open, part.shipped, part.returned].iter().any(|units| !units.is_zero());
        self.reservations.part_mut(id).lines.retain(trace);
        self.book(at, id, &moved.bookings);
        if self.fresh(at.lsn, id.home())
            && let Some(kept) = self.reservations.sourcing_mut(id)
        {
            kept.promised = moved.promised.or(kept.promised);
            kept.merged_with = group.or(kept.merged_with);
            kept.parcels.clone_from(&moved.parcels);
        }
        self.touch(at, id, None);
    }

    pub(super) fn merged(&mut self, at: Moment, merged: &Merged) {
        let group = merged.moves.iter().map(|part| part.reservation).min();
        let buyer = |id: ReservationId| self.reservations.get(id).map(|one| one.buyer);
        let homes_fresh = merged.moves.iter().all(|part| self.fresh(at.lsn, part.reservation.home()));
        let stranger = merged.moves.iter().map(|part| part.reservation).find(|id| Some(buyer(*id)) != group.map(buyer));
        if let Some(id) = stranger.filter(|_| homes_fresh) {
            self.findings.add(Check::LifeCycle, Fault::OtherBuyer { id });
        }
        for part in &merged.moves {
            self.rerouted(at, part, group);
        }
    }

    /// Checks that of every SKU as many units are taken as are given up.
    fn expect_same_units(&mut self, moved: &Rerouted) {
        let mut sums: BTreeMap<SkuId, i64> = BTreeMap::new();
        moved.to.iter().for_each(|line| *sums.entry(line.sku).or_default() += line.quantity.signed());
        moved.from.iter().for_each(|line| *sums.entry(line.sku).or_default() -= line.quantity.signed());
        for (sku, difference) in sums.into_iter().filter(|(_, difference)| *difference != 0) {
            let fault = Fault::UnitsDiffer { id: moved.reservation, sku: self.names.sku(sku), difference };
            self.findings.add(Check::Conservation, fault);
        }
    }

    /// Compares work booked at locations. What has been over for long may be missing there.
    pub(super) fn compare_work(&mut self, check: Check, found: &[Booking]) {
        let there = work(found);
        let mut slots: Vec<_> = there.keys().chain(self.booked.work.keys()).copied().collect();
        slots.sort_unstable();
        slots.dedup();
        for (location, slot) in slots {
            let told = there.get(&(location, slot)).copied();
            let folded = self.booked.work.get(&(location, slot)).copied();
            if told != folded && !(told.is_none() && is_old(slot, self.newest)) {
                let (found, folded) = (told.unwrap_or_default(), folded.unwrap_or_default());
                let location = self.names.location(location);
                self.findings.add(check, Fault::WorkDiffers { location, slot, found, folded });
            }
        }
    }

    /// Compares refusals of a shard. What has cooled down may be missing there.
    pub(super) fn compare_refusals(&mut self, check: Check, view: &super::section::ShardView) {
        let found: BTreeMap<_, _> = view.refusals.iter().map(|(sku, at, until)| ((*sku, *at), *until)).collect();
        let folded = &self.shards.get(view.shard).refusals;
        let mut cells: Vec<_> = found.keys().chain(folded.keys()).copied().collect();
        cells.sort_unstable();
        cells.dedup();
        let differs = |cell: &(SkuId, LocationId)| match (found.get(cell), folded.get(cell)) {
            (None, Some(until)) => *until > self.newest,
            (found, folded) => found != folded,
        };
        cells.retain(differs);
        for (sku, location) in cells {
            let cell = self.cell_code(sku, location);
            self.findings.add(check, Fault::RefusalDiffers { cell });
        }
    }
}
