//! Orders that become something else in the other world.

use std::{cmp::Reverse, collections::BTreeMap};

use quartermaster_engine::{
    id::{LocationId, ReservationId, SkuId},
    sourced::{DecidedParcel, Decision},
    time::Timestamp,
};
use quartermaster_sourcing::fulfilment::Moment;

use crate::{
    figures::{count, served_units},
    world::World,
};

/// In what an order differs: the first of these that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Other units are served, or none.
    Units,
    /// The same units leave other places.
    Places,
    /// The same units leave the same places by another service, or at other times.
    Dates,
    /// It costs something else.
    Cost,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Units, Self::Places, Self::Dates, Self::Cost];

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Places => "places",
            Self::Dates => "dates",
            Self::Cost => "cost",
        }
    }

    /// In what two decisions differ; `None` is a refusal.
    #[must_use]
    pub fn of(before: &Decision, after: Option<&Decision>) -> Option<Self> {
        let Some(after) = after else { return Some(Self::Units) };
        if units(before) != units(after) {
            Some(Self::Units)
        } else if places(before) != places(after) {
            Some(Self::Places)
        } else if dates(before) != dates(after) {
            Some(Self::Dates)
        } else if before.cost() != after.cost() {
            Some(Self::Cost)
        } else {
            None
        }
    }
}

fn units(decision: &Decision) -> BTreeMap<SkuId, u64> {
    let mut sums = BTreeMap::new();
    for (sku, units) in decision.parcels.iter().flat_map(|parcel| &parcel.lines) {
        *sums.entry(*sku).or_default() += u64::from(*units);
    }
    sums
}

fn places(decision: &Decision) -> Vec<(LocationId, &[(SkuId, u32)])> {
    sorted(decision, |parcel| (parcel.location, parcel.lines.as_slice()))
}

fn dates(decision: &Decision) -> Vec<(LocationId, &str, Moment, Moment)> {
    sorted(decision, |parcel| (parcel.location, &*parcel.service, parcel.ships_at, parcel.arrives_at))
}

fn sorted<'a, T: Ord>(decision: &'a Decision, of: impl Fn(&'a DecidedParcel) -> T) -> Vec<T> {
    let mut all: Vec<T> = decision.parcels.iter().map(of).collect();
    all.sort();
    all
}

/// An order in one of the worlds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Units by location, in the order of parcels.
    pub places: Vec<(String, u64)>,
    /// Parcels.
    pub parcels: u64,
    /// Units served.
    pub units: u64,
    /// Minor units.
    pub cost: i64,
    /// When the last parcel is promised.
    pub arrives_at: Option<Moment>,
    /// Policy that decided, empty when it was refused.
    pub policy: Box<str>,
}

impl Side {
    fn of(world: &World, decision: &Decision) -> Self {
        let place = |parcel: &DecidedParcel| {
            let units = parcel.lines.iter().map(|(_, units)| u64::from(*units)).sum();
            (world.location(parcel.location), units)
        };
        Self {
            places: decision.parcels.iter().map(place).collect(),
            parcels: count(decision.parcels.len()),
            units: served_units(decision),
            cost: decision.cost(),
            arrives_at: decision.arrives_at(),
            policy: decision.policy.clone(),
        }
    }
}

/// An order that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The reservation in the log.
    pub reservation: ReservationId,
    /// The caller's order number.
    pub order_id: Box<str>,
    /// When it came.
    pub at: Timestamp,
    /// In what it differs.
    pub difference: Difference,
    /// As the log has it.
    pub before: Side,
    /// As the other world has it.
    pub after: Side,
}

impl Changed {
    pub(crate) fn new(
        world: &World,
        (reservation, order_id, at): (ReservationId, &str, Timestamp),
        difference: Difference,
        before: &Decision,
        after: Option<&Decision>,
    ) -> Self {
        Self {
            reservation,
            order_id: order_id.into(),
            at,
            difference,
            before: Side::of(world, before),
            after: after.map_or_else(Side::default, |decision| Side::of(world, decision)),
        }
    }

    /// By how much it costs more; below zero when less.
    #[must_use]
    pub fn dearer_by(&self) -> i64 {
        self.after.cost.saturating_sub(self.before.cost)
    }
}

/// The orders that changed most.
#[derive(Clone, Debug, Default)]
pub struct Foremost {
    kept: Vec<Changed>,
    most: usize,
}

impl Foremost {
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most }
    }

    /// Notes one; forgets the least of them now and then.
    pub(crate) fn add(&mut self, changed: &Changed) {
        if self.most == 0 {
            return;
        }
        self.kept.push(changed.clone());
        if self.kept.len() >= self.most.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.kept.sort_by_key(|one| (Reverse(one.dearer_by().unsigned_abs()), one.reservation));
        self.kept.truncate(self.most);
    }

    /// The largest difference in cost first.
    pub(crate) fn finish(mut self) -> Vec<Changed> {
        self.cut();
        self.kept
    }
}
