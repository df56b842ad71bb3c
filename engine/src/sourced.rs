//! How an order was sourced: what was asked of the router, what it decided, and what a reservation keeps of both.

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    Proof,
    fulfilment::{Coordinates, Mode, Moment, Slot},
    plan::{Terms, UnservedReason, Value},
};

use crate::{
    capacity::Booking,
    event::{Line, Lines, Promise},
    id::{LocationId, ReservationId, SkuId},
    reservation::PartLine,
    time::Timestamp,
};

/// A hold's sourcing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced {
    /// What was asked.
    pub ask: Ask,
    /// What was wanted, by SKU.
    pub wanted: Vec<AskLine>,
    /// What was decided.
    pub decision: Decision,
    /// Work that the parcels take up.
    pub bookings: Box<[Booking]>,
    /// What the decision met, one message for each class of goods; empty when the policy keeps a summary only.
    pub traces: Vec<Box<[u8]>>,
}

/// What was asked of the router, lines apart.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ask {
    /// Region code, or empty.
    pub region: Box<str>,
    /// The point, when known.
    pub point: Option<Coordinates>,
    /// Service level, or empty.
    pub service_level: Box<str>,
    /// Kind of order, or empty.
    pub order_type: Box<str>,
    /// Tier of the buyer, or empty.
    pub buyer_tier: Box<str>,
    /// How it reaches the buyer.
    pub mode: Mode,
    /// For pickup: where.
    pub pickup_at: Option<LocationId>,
    /// When it should be there.
    pub wanted_by: Option<Moment>,
    /// At most so many parcels.
    pub parcels_max: Option<u16>,
    /// Policy asked for by name, or empty.
    pub policy: Box<str>,
    /// Who receives it, or empty.
    pub receiver_key: Box<str>,
    /// Open parcels count as paid.
    pub join_open_parcels: bool,
    /// Units may stay unserved.
    pub allow_partial: bool,
}

/// A line that was asked of the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskLine {
    /// Which.
    pub sku: SkuId,
    /// Units.
    pub quantity: u32,
    /// From one location or not at all.
    pub whole: bool,
    /// Only these.
    pub only: Vec<LocationId>,
    /// Not these.
    pub never: Vec<LocationId>,
    /// Rather these.
    pub rather: Vec<LocationId>,
    /// Agreed to, the better first.
    pub substitutes: Vec<SkuId>,
}

/// What the router decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Name of the policy.
    pub policy: Box<str>,
    /// Its version; 0 for the built-in one.
    pub policy_version: u32,
    /// Currency of the money.
    pub currency: Box<str>,
    /// Index of the policy's step.
    pub step: u32,
    /// Name of that step.
    pub step_name: Box<str>,
    /// The value.
    pub value: Value,
    /// No plan of the step is worth less.
    pub lower_bound: Value,
    /// How sure that is.
    pub proof: Proof,
    /// Search nodes.
    pub nodes: u64,
    /// By location.
    pub parcels: Vec<DecidedParcel>,
    /// By SKU.
    pub unserved: Vec<(SkuId, u32, UnservedReason)>,
    /// Units served by another SKU: asked for, served, units.
    pub substitutions: Vec<(SkuId, SkuId, u32)>,
}

/// A parcel of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedParcel {
    /// From where.
    pub location: LocationId,
    /// What is in it, by SKU.
    pub lines: Vec<(SkuId, u32)>,
    /// Code of the carrier service, or empty.
    pub service: Box<str>,
    /// Billed grams.
    pub weight_grams: u64,
    /// When it leaves.
    pub ships_at: Moment,
    /// When it arrives.
    pub arrives_at: Moment,
    /// What it costs.
    pub terms: Terms,
}

impl Decision {
    /// Cost of all parcels, in minor units.
    #[must_use]
    pub fn cost(&self) -> i64 {
        self.parcels.iter().map(|parcel| parcel.terms.total().0).fold(0, i64::saturating_add)
    }

    /// When the last parcel arrives.
    #[must_use]
    pub fn arrives_at(&self) -> Option<Moment> {
        self.parcels.iter().map(|parcel| parcel.arrives_at).max()
    }
}

/// Units of a reservation were routed anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerouted {
    /// Whose.
    pub reservation: ReservationId,
    /// Bucket they are in.
    pub promise: Promise,
    /// Given up, by SKU and location.
    pub from: Lines,
    /// Taken, by SKU and location.
    pub to: Lines,
    /// Work booked and given back.
    pub bookings: Box<[Booking]>,
    /// The places given up refused the units: sourcing leaves them out until then.
    pub refused_until: Option<Timestamp>,
    /// When the last parcel is promised to arrive now.
    pub promised: Option<Moment>,
    /// All parcels of the reservation after it.
    pub parcels: Vec<DecidedParcel>,
    /// How the units taken were planned, when a policy decided. In a merge the event's own holds it.
    pub decision: Option<Box<Decision>>,
}

impl Rerouted {
    /// All lines, given up and taken.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.from.iter().chain(&self.to)
    }
}

/// Reservations of one receiver were planned together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What each gives up and takes, by reservation; a reservation that keeps its places gives up and takes nothing.
    pub moves: Vec<Rerouted>,
    /// The parcels of all of them together.
    pub decision: Decision,
    /// Cost of their parcels before, in minor units.
    pub cost_before: i64,
}

impl Merged {
    /// What they are known by from now on: the smallest of their ids.
    #[must_use]
    pub fn group(&self) -> Option<ReservationId> {
        self.moves.iter().map(|part| part.reservation).min()
    }
}

/// What a reservation keeps of its sourcing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourcing {
    /// LSN of the decision it was made by.
    pub decided: Lsn,
    /// When the last parcel is promised to arrive.
    pub promised: Option<Moment>,
    /// Work it has booked, by location and slot.
    pub bookings: Vec<Booking>,
    /// The smallest id of the reservations it was merged with.
    pub merged_with: Option<ReservationId>,
    /// Its parcels, by location, with what each was decided to cost. In a merge each parcel's cost stands with one of the reservations.
    pub parcels: Vec<DecidedParcel>,
    /// What was asked.
    pub ask: Ask,
    /// Lines that named their locations: they hold when units move.
    pub conditions: Vec<AskLine>,
}

impl AskLine {
    /// Whether it says where its units may come from.
    pub(crate) fn is_conditioned(&self) -> bool {
        self.whole || !self.only.is_empty() || !self.never.is_empty()
    }
}

impl Sourcing {
    /// What the units of a SKU were asked for with; a substitute stands for the line it fills in for.
    pub(crate) fn conditions_of(&self, sku: SkuId) -> Option<&AskLine> {
        let own = self.conditions.iter().find(|line| line.sku == sku);
        own.or_else(|| self.conditions.iter().find(|line| line.substitutes.contains(&sku)))
    }

    /// Adds differences to what is booked; `None` if more is given back than was booked.
    pub(crate) fn book(&mut self, changes: &[Booking]) -> Option<()> {
        for change in changes {
            match self.bookings.iter_mut().find(|own| (own.location, own.slot) == (change.location, change.slot)) {
                Some(own) => {
                    own.orders = own.orders.checked_add(change.orders)?;
                    own.units = own.units.checked_add(change.units)?;
                }
                None => self.bookings.push(*change),
            }
        }
        self.bookings.retain(|own| own.orders != 0 || own.units != 0);
        self.bookings.sort_unstable();
        self.bookings.iter().all(|own| own.orders >= 0 && own.units >= 0).then_some(())
    }

    /// What giving up these units frees; `own` are the reservation's lines as they are. The order itself is given back with the last
    /// unit at a location, unless something left it: that work is done.
    pub(crate) fn freed(&self, own: &[PartLine], given_up: &[Line]) -> Box<[Booking]> {
        let mut freed: Vec<Booking> = Vec::new();
        let mut locations: Vec<LocationId> = given_up.iter().map(|line| line.location).collect();
        locations.sort_unstable();
        locations.dedup();
        for location in locations {
            let there = own.iter().filter(|line| line.location == location);
            let (open, shipped) =
                there.fold((0, 0), |(open, shipped), line| (open + line.open.units(), shipped + line.shipped.units()));
            let gone: u64 =
                given_up.iter().filter(|line| line.location == location).map(|line| line.quantity.units()).sum();
            let whole = gone >= open && shipped == 0;
            let mut left = [i64::try_from(gone).unwrap_or(i64::MAX); 2];
            // A slot of each kind counts every unit. Where units came to a location later, the latest are given back first.
            for booked in self.bookings.iter().rev().filter(|booked| booked.location == location) {
                let left = match booked.slot {
                    Slot::Day(_) => &mut left[0],
                    Slot::Hour(_) => &mut left[1],
                };
                let units = if whole { booked.units } else { booked.units.min(*left) };
                *left -= units.min(*left);
                let orders = if whole { booked.orders } else { 0 };
                if (orders, units) != (0, 0) {
                    freed.push(Booking { orders: -orders, units: -units, ..*booked });
                }
            }
        }
        freed.sort_unstable();
        freed.into()
    }
}
