//! An order of one line, decided in one pass: the best single parcel, and why two cannot beat it.
//!
//! Two parcels cost at least the two lowest parcel costs, the lowest carriage twice, and every unit at the lowest unit cost.
//! Nearly always the best single parcel costs no more than that; where it does, the general ways decide.

use crate::plan::Value;
use crate::problem::{Objective, Problem};
use crate::units::{Grams, Money, Units};

/// The best plan of an order of one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OneLine {
    pub(crate) value: Value,
    /// Location and units; `None`: nothing ships.
    pub(crate) sent: Option<(u16, Units)>,
}

/// Longer lines are left to ways that check their sums.
const UNITS_MAX: u32 = 1 << 16;

/// The best plan, when one parcel or none is it and one pass can tell.
pub(crate) fn one_line(problem: &Problem) -> Option<OneLine> {
    let [line] = problem.lines[..] else { return None };
    let money = problem.objective == Objective::Money;
    let wanted = if money { i64::from(line.demand.0) } else { problem.servable(0) };
    let whole = problem.is_whole(0);
    if problem.ship_complete || problem.parcels_max == Some(0) || wanted == 0 || line.demand.0 > UNITS_MAX {
        return None;
    }
    let penalty = if money { line.unserved_penalty.0 } else { 0 };
    let nothing = penalty * wanted;
    let carriage_least = problem.carriage_least();
    let mut best = if money { Some((nothing, None)) } else { None };
    let (mut first, mut second, mut unit_least) =
        (i64::MAX >> 2, i64::MAX >> 2, if money { penalty } else { i64::MAX });
    for offer in problem.offers_of(0) {
        let location = &problem.locations[usize::from(offer.location)];
        let cost = location.pick_unit_cost.0 + offer.extra;
        let units = i64::from(offer.available);
        if (money && cost > penalty) || (whole && units < wanted) {
            continue;
        }
        unit_least = unit_least.min(cost);
        second = second.min(location.parcel_cost.0.max(first));
        first = first.min(location.parcel_cost.0);
        if !money && units < wanted {
            continue;
        }
        let bare = location.parcel_cost.0 + nothing + (cost - penalty) * units;
        if best.is_some_and(|(least, _)| bare + carriage_least >= least) {
            continue;
        }
        let carriage = carriage(problem, usize::from(offer.location), offer.available)?;
        // Fewer units might be worth more than all of them where the steps are steep.
        if money && !whole && penalty - cost < carriage - carriage_least {
            return None;
        }
        if best.is_none_or(|(least, _)| bare + carriage < least) {
            best = Some((bare + carriage, Some(offer)));
        }
    }
    let (cost, offer) = best?;
    let one_is_all = whole || problem.parcels_max == Some(1) || problem.objective == Objective::UnitsParcelsCost;
    if !one_is_all && cost > first + second + 2 * carriage_least + unit_least * wanted {
        return None;
    }
    let short = problem.worth(0, i64::from(line.demand.0)) - problem.worth(0, wanted);
    let value = Value {
        shortfall: u64::try_from(short).ok()?,
        parcels: u64::from(problem.objective == Objective::UnitsParcelsCost),
        cost: Money(cost),
    };
    Some(OneLine { value, sent: offer.map(|offer| (offer.location, Units(offer.available))) })
}

/// The carriage of so many units; `None` when the location may not send them.
fn carriage(problem: &Problem, place: usize, units: u32) -> Option<i64> {
    if problem.rules.is_empty() {
        return Some(0);
    }
    let rules = problem.rules_of(place);
    let weight = Grams(problem.lines[0].unit_weight.0.checked_mul(u64::from(units))?);
    let within =
        rules.weight_max.is_none_or(|most| weight <= most) && rules.unit_capacity.is_none_or(|most| units <= most.0);
    problem.carriage(place, weight).filter(|&price| within && price <= Money::MAX.0)
}
