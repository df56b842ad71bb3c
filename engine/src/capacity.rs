//! Work booked at locations: how many orders and units, in which day or hour.
//!
//! Bookings are differences in events, so the table is the sum of them. It has a lock and an LSN of its own. A slot is forgotten two days
//! after it is over, by the time of events, so that a replay forgets the same; what is given back later is nobody's any more.

use hashbrown::HashMap;
use quartermaster_journal::Lsn;
use quartermaster_sourcing::fulfilment::{Booked, Bookings, Slot};

use crate::{
    catalog::hasher,
    id::LocationId,
    time::{Micros, Timestamp},
};

/// Work taken up at a location, or given back when negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Booking {
    /// Where.
    pub location: LocationId,
    /// When.
    pub slot: Slot,
    /// Orders.
    pub orders: i32,
    /// Units.
    pub units: i64,
}

impl Booking {
    /// Its opposite.
    #[must_use]
    pub fn given_back(self) -> Self {
        Self { orders: self.orders.saturating_neg(), units: self.units.saturating_neg(), ..self }
    }
}

/// Work in one slot. A location may take more units than its decisions count to, where only its orders are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Work {
    orders: u64,
    units: u64,
}

/// What is booked.
#[derive(Debug)]
pub(crate) struct Capacity {
    booked: HashMap<(LocationId, Slot), Work, ahash::RandomState>,
    /// Last event with bookings that was applied.
    pub(crate) lsn: Lsn,
    /// Slots that ended before this were forgotten.
    pub(crate) swept: Timestamp,
}

/// How long a slot is kept after it ended. Longer than two time zones can differ.
const KEPT: Micros = Micros::from_secs(2 * 86_400);
const HOUR: Micros = Micros::from_secs(3600);

impl Default for Capacity {
    fn default() -> Self {
        Self { booked: HashMap::with_hasher(hasher()), lsn: Lsn::ZERO, swept: Timestamp(0) }
    }
}

impl Capacity {
    /// Adds what an event of time `now` books. Whoever appended the event still holds the lock.
    pub(crate) fn apply(&mut self, lsn: Lsn, now: Timestamp, bookings: &[Booking]) {
        self.lsn = lsn;
        // On the hour, as slots end: so the table is the same whenever it was swept last.
        let horizon = now.minus(KEPT);
        let horizon = Timestamp(horizon.0 - horizon.0 % HOUR.0).max(self.swept);
        for booking in bookings.iter().filter(|booking| end(booking.slot) >= horizon) {
            let booked = self.booked.entry((booking.location, booking.slot)).or_default();
            // Saturating: what was forgotten and is given back was not here to begin with.
            booked.orders = booked.orders.saturating_add_signed(booking.orders.into());
            booked.units = booked.units.saturating_add_signed(booking.units);
            if *booked == Work::default() {
                self.booked.remove(&(booking.location, booking.slot));
            }
        }
        if horizon > self.swept {
            self.swept = horizon;
            self.booked.retain(|(_, slot), _| end(*slot) >= horizon);
        }
    }

    /// Everything booked, by location and slot.
    pub(crate) fn all(&self) -> Vec<Booking> {
        let mut all: Vec<Booking> = self.booked.keys().map(|(location, slot)| self.at(*location, *slot)).collect();
        all.sort_unstable();
        all
    }

    /// What is booked at a location in a slot.
    pub(crate) fn at(&self, location: LocationId, slot: Slot) -> Booking {
        let work = self.booked.get(&(location, slot)).copied().unwrap_or_default();
        Booking {
            location,
            slot,
            orders: i32::try_from(work.orders).unwrap_or(i32::MAX),
            units: i64::try_from(work.units).unwrap_or(i64::MAX),
        }
    }

    /// Whether a slot is not forgotten yet.
    pub(crate) fn keeps(&self, slot: Slot) -> bool {
        end(slot) >= self.swept
    }

    /// Puts back what a snapshot tells.
    pub(crate) fn restore(&mut self, lsn: Lsn, swept: Timestamp, bookings: &[Booking]) {
        self.apply(lsn, Timestamp(0), bookings);
        self.swept = swept;
    }
}

impl Bookings for Capacity {
    fn booked(&self, location: quartermaster_sourcing::LocationId, slot: Slot) -> Booked {
        let work = self.booked.get(&(LocationId(location.0), slot)).copied().unwrap_or_default();
        let clamp = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Booked { orders: clamp(work.orders), units: clamp(work.units) }
    }
}

/// Saturating: a slot is any number in a file, and the end of time is late enough for all of them.
fn end(slot: Slot) -> Timestamp {
    let seconds = match slot {
        Slot::Day(day) => (u64::from(day) + 1) * 86_400,
        Slot::Hour(hour) => (u64::from(hour) + 1) * 3600,
    };
    Timestamp(seconds.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u64) -> Timestamp {
        Timestamp(day * 86_400_000_000)
    }

    fn booking(day: u32, orders: i32, units: i64) -> Booking {
        Booking { location: LocationId(7), slot: Slot::Day(day), orders, units }
    }

    #[test]
    fn a_slot_past_the_end_of_time_is_kept_and_ends_nothing() {
        let mut capacity = Capacity::default();
        let far = booking(u32::MAX >> 1, 1, 2);
        capacity.restore(Lsn::new(1), Timestamp(0), &[far]);
        assert_eq!(capacity.all(), [far]);
        assert!(capacity.keeps(Slot::Day(u32::MAX)));
    }

    #[test]
    fn what_is_given_back_is_free_again_and_old_slots_go() {
        let mut capacity = Capacity::default();
        capacity.apply(Lsn::new(1), at(100), &[booking(100, 1, 5), booking(101, 1, 2)]);
        capacity.apply(Lsn::new(2), at(100), &[booking(100, 1, 5).given_back()]);
        assert_eq!(capacity.all(), [booking(101, 1, 2)]);
        capacity.apply(Lsn::new(3), at(105), &[booking(105, 1, 1), booking(101, -1, -2)]);
        assert_eq!(capacity.all(), [booking(105, 1, 1)]);
        assert_eq!(capacity.lsn, Lsn::new(3));
    }
}
