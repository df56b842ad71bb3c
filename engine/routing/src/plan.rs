//! The answer: what goes where, what it costs, and how far from the best it can be.

use crate::units::{Grams, LocationId, Money, ServiceId, SkuId, Units};

/// How much is known about a plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Proof {
    /// No plan is better: bound and value are the same.
    Proved,
    /// The node budget ran out; no plan is better than the bound.
    Bounded,
}

/// Units of one SKU from one location.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Allocation {
    /// Where from.
    pub location: LocationId,
    /// What.
    pub sku: SkuId,
    /// How many, at least one.
    pub quantity: Units,
}

/// What one location sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parcel {
    /// Where from.
    pub location: LocationId,
    /// The carrier service chosen; `None` when the location names none.
    pub service: Option<ServiceId>,
    /// Units in it.
    pub units: u64,
    /// Its weight.
    pub weight: Grams,
    /// The location's cost for sending a parcel at all.
    pub parcel_cost: Money,
    /// The carrier's price.
    pub carriage: Money,
    /// Picking, all units.
    pub picking: Money,
    /// The offers' extra costs, all units; below zero when bonuses outweigh them.
    pub extras: Money,
}

impl Parcel {
    /// All it costs.
    pub fn cost(&self) -> Money {
        Money(self.parcel_cost.0 + self.carriage.0 + self.picking.0 + self.extras.0)
    }
}

/// Units of a line that no parcel carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unserved {
    /// The SKU.
    pub sku: SkuId,
    /// How many, at least one.
    pub quantity: Units,
    /// What that costs; zero under objectives that put units first.
    pub penalty: Money,
}

/// The objective as a list, the more important first; smaller is better at the first difference.
///
/// `[cost]` for money; `[unserved units, parcels, cost]`; `[unserved units, cost]`; `[unserved lines, cost]`.
/// A part that the objective does not have is zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Value {
    /// Units (or, with whole lines, lines) not served.
    pub shortfall: u64,
    /// Parcels, where the objective counts them.
    pub parcels: u64,
    /// Cost of all parcels, and of penalties where money decides.
    pub cost: Money,
}

impl Value {
    /// Below every value: the bound when all or nothing was asked for and the budget ended before either was known.
    pub const UNKNOWN: Self = Self { shortfall: 0, parcels: 0, cost: Money(i64::MIN) };
}

/// A decision, with its proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Ascending by location, then SKU.
    pub allocations: Vec<Allocation>,
    /// Ascending by location.
    pub parcels: Vec<Parcel>,
    /// Ascending by SKU.
    pub unserved: Vec<Unserved>,
    /// What the plan is worth.
    pub value: Value,
    /// No plan is worth less than this. Equal to `value` when proved.
    pub lower_bound: Value,
    /// Whether the search ended.
    pub proof: Proof,
    /// Nodes the search looked at, over all its phases.
    pub nodes: u64,
}

impl Plan {
    /// How far above the bound the cost is, in millionths of the cost; zero when proved, `None` when plan and bound differ in
    /// a more important part than cost or the bound is not above zero.
    pub fn gap_ppm(&self) -> Option<u64> {
        if self.proof == Proof::Proved {
            return Some(0);
        }
        let same = self.value.shortfall == self.lower_bound.shortfall && self.value.parcels == self.lower_bound.parcels;
        if !same || self.lower_bound.cost.0 <= 0 {
            return None;
        }
        let above = i128::from(self.value.cost.0 - self.lower_bound.cost.0) * 1_000_000;
        u64::try_from(above / i128::from(self.value.cost.0)).ok()
    }
}
