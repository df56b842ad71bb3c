//! Brings a problem to a model: which of its costs count in this phase, and what becomes of units not served.

use crate::model::{Cell, Model};
use crate::problem::Problem;
use crate::reduce::Reduction;

/// What opening a location and shipping a unit cost in a phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Charge {
    /// The problem's money.
    Money,
    /// One for a parcel, nothing for units.
    Parcels,
    /// Nothing: only the shortfall counts.
    Nothing,
}

/// What a unit not served costs in a phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shortfall {
    /// It may not be: every line gets all that there is for it.
    Forbidden,
    /// Nothing short at all: a line that cannot be filled makes the model infeasible.
    Impossible,
    /// The line's penalty.
    Penalty,
    /// The same for every unit, or every line where lines are counted.
    Each(i64),
}

/// States the phase over the locations of `reduction`, which number the model's and say what opening them costs; returns the
/// phase's constant part, to be added to any cost of its model: bonuses make unit costs negative, which models do not have.
pub(crate) fn fill(
    model: &mut Model,
    problem: &Problem,
    reduction: &Reduction,
    charge: Charge,
    shortfall: Shortfall,
) -> Option<i64> {
    model.clear();
    model.fixed.extend(reduction.places.iter().map(|&i| match charge {
        Charge::Money => reduction.opening[usize::from(i)],
        Charge::Parcels => 1,
        Charge::Nothing => 0,
    }));
    let mut constant: i64 = 0;
    for j in 0..problem.lines.len() {
        let line = problem.lines[j];
        let demand = i64::from(line.demand.0);
        let whole = problem.is_whole(j);
        // Units that travel as one: the whole line, or each by itself.
        let bundle = if whole { demand } else { 1 };
        let first = model.cells.len();
        let mut least = 0;
        let mut supply: i64 = 0;
        for offer in problem.offers_of(j) {
            let location = reduction.position[usize::from(offer.location)];
            if location == u16::MAX || (whole && offer.available < line.demand.0) {
                continue;
            }
            let unit = match charge {
                Charge::Money => problem.locations[usize::from(offer.location)].pick_unit_cost.0 + offer.extra,
                Charge::Parcels | Charge::Nothing => 0,
            };
            if shortfall == Shortfall::Penalty && unit > line.unserved_penalty.0 {
                continue;
            }
            let cost = unit.checked_mul(bundle)?;
            least = cost.min(least);
            let avail = if whole { 1 } else { offer.available };
            supply += i64::from(avail);
            model.cells.push(Cell { cost, avail, location });
        }
        let wanted = demand / bundle;
        let (wanted, penalty) = match shortfall {
            Shortfall::Forbidden => (wanted.min(supply), None),
            Shortfall::Impossible => (wanted, None),
            Shortfall::Penalty => (wanted, Some(line.unserved_penalty.0.checked_mul(bundle)?)),
            Shortfall::Each(price) => (wanted, Some(price.checked_mul(problem.worth(j, bundle))?)),
        };
        if wanted == 0 {
            model.cells.truncate(first);
            continue;
        }
        if least < 0 {
            model.cells[first..].iter_mut().for_each(|cell| cell.cost -= least);
            constant = constant.checked_add(least.checked_mul(wanted)?)?;
        }
        for cell in &mut model.cells[first..] {
            cell.avail = cell.avail.min(u32::try_from(wanted).unwrap_or(u32::MAX));
        }
        let penalty = match penalty {
            None => None,
            Some(penalty) => Some(penalty.checked_sub(least)?),
        };
        model.end_line((j, bundle), wanted, penalty);
    }
    if charge == Charge::Money {
        model.carriage_max = problem.carriage_max();
    }
    model.finish().then_some(constant)
}
