//! The answer: parcels with their costs and dates, what is not served and why, and how sure it is that nothing is better.

use quartermaster_routing::{Grams, LocationId, Money, Proof, SkuId};
use smallvec::SmallVec;

use crate::{
    fulfilment::{Moment, Slot},
    order::Order,
};

/// What a parcel costs, term by term, in minor units. Bonuses are negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Terms {
    /// The place's cost for a parcel.
    pub handling: Money,
    /// The carrier's price.
    pub carriage: Money,
    /// Picking, all units.
    pub picking: Money,
    /// Being later than wanted.
    pub lateness: Money,
    /// The policy's preferences, per parcel and per unit.
    pub preference: Money,
    /// Last pieces, size runs, ageing stock and weeks of cover.
    pub opportunity: Money,
    /// The place is nearly full.
    pub pressure: Money,
}

impl Terms {
    /// Term by term.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        // Saturating: what comes from a log may be anything.
        let sum = |one: Money, other: Money| Money(one.0.saturating_add(other.0));
        Self {
            handling: sum(self.handling, other.handling),
            carriage: sum(self.carriage, other.carriage),
            picking: sum(self.picking, other.picking),
            lateness: sum(self.lateness, other.lateness),
            preference: sum(self.preference, other.preference),
            opportunity: sum(self.opportunity, other.opportunity),
            pressure: sum(self.pressure, other.pressure),
        }
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> Money {
        let terms = [
            self.handling,
            self.carriage,
            self.picking,
            self.lateness,
            self.preference,
            self.opportunity,
            self.pressure,
        ];
        Money(terms.iter().map(|term| term.0).fold(0, i64::saturating_add))
    }
}

/// What one place sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// From where.
    pub location: LocationId,
    /// Index of the carrier service in the tariffs; `None` without carriers, and for pickup and same-hour.
    pub service: Option<u32>,
    /// What is in it, by SKU.
    pub lines: SmallVec<[(SkuId, u32); 2]>,
    /// Billed weight.
    pub weight: Grams,
    /// When it leaves.
    pub ships_at: Moment,
    /// When it arrives.
    pub arrives_at: Moment,
    /// What it costs.
    pub terms: Terms,
    /// Capacity it takes up: slots of its place, one order and so many units each.
    pub slots: SmallVec<[Slot; 2]>,
}

impl Parcel {
    /// Units in it. Lines of many SKUs together may pass 32 bits.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.lines.iter().map(|(_, units)| u64::from(*units)).sum()
    }
}

/// Why units are not served. The most telling of what holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnservedReason {
    /// No place has them.
    NoStock,
    /// Every place that has them is removed by a rule.
    NoPlace,
    /// Places that may serve have no carrier to the destination.
    NoCarrier,
    /// Places that may serve have no capacity left.
    NoCapacity,
    /// Serving them would cost more than leaving them, or break the limit of parcels.
    NotWorthIt,
}

/// Units of a line that no parcel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unserved {
    /// Which.
    pub sku: SkuId,
    /// How many, at least 1.
    pub units: u32,
    /// Why.
    pub reason: UnservedReason,
}

/// What the objective counts, the more important first; parts it does not count are zero.
pub use quartermaster_routing::Value;

/// The values of two plans that stand side by side.
pub(crate) fn sum(one: Value, other: Value) -> Value {
    Value {
        shortfall: one.shortfall + other.shortfall,
        parcels: one.parcels + other.parcels,
        cost: Money(one.cost.0.saturating_add(other.cost.0)),
    }
}

/// A plan with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which step of the policy gave it: 0 for the policy itself, n for its n-th fallback.
    pub step: usize,
    /// By location.
    pub parcels: Vec<Parcel>,
    /// By SKU.
    pub unserved: Vec<Unserved>,
    /// What the plan is worth under the step's objective.
    pub value: Value,
    /// No plan of the step is worth less.
    pub lower_bound: Value,
    /// Whether that is proved.
    pub proof: Proof,
    /// Search nodes used.
    pub nodes: u64,
    /// Units served by another SKU.
    pub substitutions: Vec<Substitution>,
}

/// Units served by a SKU that the buyer agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Substitution {
    /// What was asked for.
    pub sku: SkuId,
    /// What is served.
    pub substitute: SkuId,
    /// Units.
    pub units: u32,
}

impl Plan {
    /// The plan of a step that has nothing in it yet.
    pub(crate) fn nothing(step: usize) -> Self {
        Self {
            step,
            parcels: Vec::new(),
            unserved: Vec::new(),
            value: Value::default(),
            lower_bound: Value::default(),
            proof: Proof::Proved,
            nodes: 0,
            substitutions: Vec::new(),
        }
    }

    /// Drops every parcel: all was asked for, and not all can be had.
    pub(crate) fn serve_nothing(&mut self, order: &Order<'_>) {
        self.parcels.clear();
        for line in &order.lines {
            match self.unserved.iter_mut().find(|unserved| unserved.sku == line.sku) {
                Some(unserved) => unserved.units = line.quantity,
                None => self.unserved.push(Unserved {
                    sku: line.sku,
                    units: line.quantity,
                    reason: UnservedReason::NotWorthIt,
                }),
            }
        }
    }

    /// Cost of all parcels together, without penalties.
    #[must_use]
    pub fn cost(&self) -> Money {
        Money(self.parcels.iter().map(|parcel| parcel.terms.total().0).sum())
    }

    /// Units that are served.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.parcels.iter().map(Parcel::units).sum()
    }

    /// When the last parcel arrives.
    #[must_use]
    pub fn arrives_at(&self) -> Option<Moment> {
        self.parcels.iter().map(|parcel| parcel.arrives_at).max()
    }
}
