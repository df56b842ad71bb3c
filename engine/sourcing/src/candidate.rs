//! Candidates: every place that has something of an order, with what it would cost there or what keeps it out.
//!
//! This is all that the solver, the explanation and the log see of places, tariffs, calendars and policies.

use quartermaster_routing::{Grams, LocationId, Money, Objective, SkuId};
use smallvec::SmallVec;

use crate::{
    fulfilment::{Moment, Slot},
    removal::Removal,
};

/// What the candidates are candidates for: lines of goods that may share a parcel, and the limits of one step of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Candidates {
    /// By SKU.
    pub lines: Vec<Wanted>,
    /// By priority, then location: the order in which equals win.
    pub places: Vec<Candidate>,
    /// Grouped by line, within a line in the order of the places.
    pub offers: Vec<Offer>,
}

/// Limits and aim of a solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    /// What is best.
    pub objective: Objective,
    /// At most so many parcels.
    pub parcels_max: Option<u16>,
    /// Every unit or nothing.
    pub complete: bool,
    /// Penalty per unit not served.
    pub unserved_unit: Money,
    /// Budget.
    pub nodes_max: u64,
}

/// A line of the problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub sku: SkuId,
    /// Units.
    pub quantity: u32,
    /// Billed weight of a unit.
    pub unit_weight: Grams,
    /// From one place or not at all.
    pub whole: bool,
}

/// A place that has something of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub location: LocationId,
    /// What keeps it out of this step; `None`: nothing.
    pub removed: Option<Removal>,
    /// For a parcel: the place's own cost; nothing when the parcel is open already.
    pub handling: Money,
    /// For a parcel: the policy's preferences. Never so far below zero that a parcel costs less than nothing.
    pub preference: Money,
    /// For a parcel: the place is nearly full.
    pub pressure: Money,
    /// For each unit.
    pub pick: Money,
    /// Units it can still take.
    pub units_max: Option<u32>,
    /// Ways to the destination; none needed for pickup.
    pub lanes: SmallVec<[Way; 2]>,
    /// Where its work would be booked.
    pub slots: SmallVec<[Slot; 2]>,
}

/// A carrier service from a place to the destination; or, without a service, the one way there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Index in the network's services.
    pub service: Option<u32>,
    /// Grams that the first price carries, at least 1.
    pub first_weight: Grams,
    /// Minor units.
    pub first_price: Money,
    /// Grams of a further step, at least 1.
    pub step_weight: Grams,
    /// Minor units for each started step.
    pub step_price: Money,
    /// The heaviest parcel.
    pub weight_max: Option<Grams>,
    /// For a parcel: later than wanted.
    pub lateness: Money,
    /// When the parcel leaves.
    pub ships_at: Moment,
    /// When it arrives.
    pub arrives_at: Moment,
}

impl Way {
    /// The way that costs nothing and carries everything.
    #[must_use]
    pub fn free(lateness: Money, ships_at: Moment, arrives_at: Moment) -> Self {
        Self {
            service: None,
            first_weight: Grams(1),
            first_price: Money(0),
            step_weight: Grams(1),
            step_price: Money(0),
            weight_max: None,
            lateness,
            ships_at,
            arrives_at,
        }
    }

    /// The price of a parcel of `weight`, lateness apart; `None` when it is too heavy.
    #[must_use]
    pub fn price(&self, weight: Grams) -> Option<Money> {
        if self.weight_max.is_some_and(|most| weight > most) {
            return None;
        }
        let steps = weight.0.saturating_sub(self.first_weight.0).div_ceil(self.step_weight.0.max(1));
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        Some(Money(self.first_price.0.saturating_add(self.step_price.0.saturating_mul(steps))))
    }

    /// The same way for a parcel that weighs `base` already and is paid for: what more weight adds.
    #[must_use]
    pub fn on_top_of(self, base: Grams) -> Self {
        if self.service.is_none() {
            return self;
        }
        let room = if base < self.first_weight {
            self.first_weight.0 - base.0
        } else {
            (self.step_weight.0 - (base.0 - self.first_weight.0) % self.step_weight.0) % self.step_weight.0
        };
        let weight_max = self.weight_max.map(|most| Grams(most.0.saturating_sub(base.0)));
        if room == 0 {
            return Self { first_weight: self.step_weight, first_price: self.step_price, weight_max, ..self };
        }
        Self { first_weight: Grams(room), first_price: Money(0), weight_max, ..self }
    }
}

/// What a candidate has for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Index of the line.
    pub line: u32,
    /// Index of the place.
    pub place: u32,
    /// Units, at least 1; cut to what the line wants.
    pub units: u32,
    /// For each unit: the policy's preferences, and what it asks for a substitute.
    pub preference: Money,
    /// For each unit: last pieces, size runs, ageing stock, weeks of cover.
    pub opportunity: Money,
    /// What keeps it out.
    pub removed: Option<Removal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_weight_in_a_paid_parcel_costs_the_difference() {
        let way = Way {
            service: Some(1),
            first_weight: Grams(1000),
            first_price: Money(600),
            step_weight: Grams(500),
            step_price: Money(150),
            weight_max: Some(Grams(3000)),
            ..Way::free(Money(0), Moment(0), Moment(0))
        };
        for base in [1, 400, 999, 1000, 1001, 1499, 1500, 1777, 2900] {
            let top = way.on_top_of(Grams(base));
            for more in [1, 99, 100, 101, 500, 501, 600, 1000, 1500] {
                let whole = way.price(Grams(base + more));
                let paid = way.price(Grams(base)).unwrap();
                assert_eq!(top.price(Grams(more)), whole.map(|price| Money(price.0 - paid.0)), "{base} + {more}");
            }
        }
    }
}
