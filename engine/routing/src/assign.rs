//! Who sends what once it is known who sends at all, and the plan that says so.
//!
//! Without steps or capacities the lines do not meet, so each takes from its cheapest open locations, the lower id first
//! among equals.

use crate::plan::{Allocation, Parcel, Plan, Proof, Unserved, Value};
use crate::problem::{Objective, Offer, Problem};
use crate::tariff::cheapest;
use crate::units::{Grams, Money, Units};

/// Units of line `line` of the problem that location `location` sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Sent {
    pub(crate) location: u16,
    pub(crate) line: usize,
    pub(crate) units: u32,
}

/// What the locations marked in `open` send.
pub(crate) fn from_open(problem: &Problem, open: &[bool]) -> Vec<Sent> {
    let mut sent = Vec::with_capacity(problem.lines.len() + 4);
    let mut scratch = Vec::new();
    for line in 0..problem.lines.len() {
        take(problem, open, line, &mut scratch, &mut sent);
    }
    sent
}

/// Serves one line from the open locations.
fn take(problem: &Problem, open: &[bool], j: usize, scratch: &mut Vec<(i64, Offer)>, sent: &mut Vec<Sent>) {
    let line = problem.lines[j];
    let (mut left, whole) = (line.demand.0, problem.is_whole(j));
    scratch.clear();
    for offer in problem.offers_of(j) {
        let unit = problem.unit_cost(offer);
        let too_dear =
            problem.objective == Objective::Money && !problem.ship_complete && unit > line.unserved_penalty.0;
        if open[usize::from(offer.location)] && !too_dear && !(whole && offer.available < left) {
            scratch.push((unit, *offer));
        }
    }
    scratch.sort_unstable_by_key(|&(unit, offer)| (unit, offer.location));
    for &(_, offer) in scratch.iter() {
        let units = left.min(offer.available);
        left -= units;
        sent.push(Sent { location: offer.location, line: j, units });
        if left == 0 {
            break;
        }
    }
}

/// The cost of what is sent, penalties and carriage left out.
pub(crate) fn cost_of(problem: &Problem, sent: &[Sent]) -> i64 {
    parcels(problem, &mut sent.to_vec()).iter().map(|parcel| parcel.cost().0).sum()
}

/// Writes the plan down.
pub(crate) fn plan(problem: &Problem, mut sent: Vec<Sent>, lower_bound: Value, nodes: u64) -> Plan {
    let parcels = parcels(problem, &mut sent);
    let name = |sent: &Sent| Allocation {
        location: problem.locations[usize::from(sent.location)].id,
        sku: problem.lines[sent.line].sku,
        quantity: Units(sent.units),
    };
    let allocations = sent.iter().map(name).collect();
    let unserved = unserved(problem, &sent);
    let value = value(problem, &parcels, &unserved);
    let proof = if value == lower_bound { Proof::Proved } else { Proof::Bounded };
    Plan { allocations, parcels, unserved, value, lower_bound, proof, nodes }
}

fn parcels(problem: &Problem, sent: &mut [Sent]) -> Vec<Parcel> {
    sent.sort_unstable();
    let mut parcels = Vec::new();
    for group in sent.chunk_by(|a, b| a.location == b.location) {
        let i = usize::from(group[0].location);
        let location = problem.locations[i];
        let mut parcel = Parcel {
            location: location.id,
            service: None,
            units: 0,
            weight: Grams(0),
            parcel_cost: location.parcel_cost,
            carriage: Money(0),
            picking: Money(0),
            extras: Money(0),
        };
        for share in group {
            let offers = problem.offers_of(share.line);
            let at = offers.partition_point(|offer| offer.location < share.location);
            parcel.units += u64::from(share.units);
            parcel.weight.0 += problem.lines[share.line].unit_weight.0 * u64::from(share.units);
            parcel.picking.0 += location.pick_unit_cost.0 * i64::from(share.units);
            parcel.extras.0 += offers[at].extra * i64::from(share.units);
        }
        if let Some((service, price)) = cheapest(problem.services_of(i), parcel.weight) {
            (parcel.service, parcel.carriage) = (Some(service), price);
        }
        parcels.push(parcel);
    }
    parcels
}

fn unserved(problem: &Problem, sent: &[Sent]) -> Vec<Unserved> {
    let mut left: Vec<u32> = problem.lines.iter().map(|line| line.demand.0).collect();
    sent.iter().for_each(|share| left[share.line] -= share.units);
    let short = problem.lines.iter().zip(left).filter(|&(_, left)| left > 0);
    let counted = problem.objective == Objective::Money;
    let name = |(line, left): (&crate::problem::Line, u32)| {
        let penalty = if counted { line.unserved_penalty.0 * i64::from(left) } else { 0 };
        Unserved { sku: line.sku, quantity: Units(left), penalty: Money(penalty) }
    };
    short.map(name).collect()
}

fn value(problem: &Problem, parcels: &[Parcel], unserved: &[Unserved]) -> Value {
    let units = unserved.iter().map(|line| u64::from(line.quantity.0)).sum();
    let count = u64::try_from(parcels.len()).unwrap_or(u64::MAX);
    let penalties: i64 = unserved.iter().map(|line| line.penalty.0).sum();
    let cost = Money(parcels.iter().map(|parcel| parcel.cost().0).sum::<i64>() + penalties);
    match problem.objective {
        Objective::Money => Value { shortfall: 0, parcels: 0, cost },
        Objective::UnitsParcelsCost => Value { shortfall: units, parcels: count, cost },
        Objective::UnitsCost => Value { shortfall: units, parcels: 0, cost },
        Objective::WholeLinesCost => {
            Value { shortfall: u64::try_from(unserved.len()).unwrap_or(u64::MAX), parcels: 0, cost }
        }
    }
}
