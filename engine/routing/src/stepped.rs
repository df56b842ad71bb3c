//! The phases of a problem whose parcels have tariffs in steps or limits.
//!
//! Capacities let nobody say beforehand how many units can be served, so the shortfall is always a phase of its own where
//! units come first, and each later phase prices a unit short above anything it could save.

use crate::assign::Sent;
use crate::fill::{Charge, Shortfall, fill};
use crate::plan::Value;
use crate::problem::{Objective, Problem};
use crate::reduce::Single;
use crate::search::Ending;
use crate::solve::Solver;
use crate::units::{Money, Units};

impl Solver {
    /// The best plan by way of those with few parcels, tariffs and limits included, when that proves it; its bound, which is
    /// its value. The plan is left in `self.few`.
    pub(crate) fn stepped_few(&mut self, problem: &Problem) -> Option<Value> {
        if problem.ship_complete || problem.parcels_max == Some(0) {
            return None;
        }
        let value = |cost: i64| Value { cost: Money(cost), ..Value::default() };
        if problem.objective == Objective::Money {
            let nothing = problem.all_unserved()?;
            let single = self.reduction.single_with_tariffs(problem, true);
            if !self.reduction.added_up() {
                return None;
            }
            let (known, sure) = match single {
                Some((Single { cost, place }, sure)) if cost < nothing => ((cost, Some(place)), sure),
                Some((_, sure)) => ((nothing, None), sure),
                None => ((nothing, None), false),
            };
            return self.few_parcels(problem, true, known, if sure { 2 } else { 1 }).map(value);
        }
        let lines = 0..problem.lines.len();
        let wanted: i64 = lines.clone().map(|j| problem.worth(j, i64::from(problem.lines[j].demand.0))).sum();
        let possible: i64 = lines.map(|j| problem.worth(j, problem.servable(j))).sum();
        if possible == 0 {
            return None;
        }
        let shortfall = u64::try_from(wanted - possible).ok()?;
        let count_parcels = problem.objective == Objective::UnitsParcelsCost;
        let single = self.reduction.single_with_tariffs(problem, false);
        if !self.reduction.added_up() {
            return None;
        }
        match single {
            Some((Single { cost, place }, _)) if count_parcels || problem.parcels_max == Some(1) => {
                self.few.only(problem, false, Some(place));
                Some(Value { shortfall, parcels: u64::from(count_parcels), ..value(cost) })
            }
            Some((Single { cost, place }, _)) => {
                let cost = self.few_parcels(problem, false, (cost, Some(place)), 2)?;
                Some(Value { shortfall, ..value(cost) })
            }
            None => {
                let (parcels, cost) = self.fewest(problem, count_parcels)?.ok()?;
                Some(Value { shortfall, parcels, ..value(cost) })
            }
        }
    }

    /// What `self.few` holds, as the plan sends it.
    pub(crate) fn few_plan(&self) -> Vec<Sent> {
        let name = |(location, line, units)| {
            let units = Units(u32::try_from(units).unwrap_or(u32::MAX));
            Sent { location, line, units: units.0 }
        };
        self.few.sent().map(name).collect()
    }

    /// The bound of the best plan, which is left in `self.general`; `None` when the numbers are too large.
    pub(crate) fn stepped(&mut self, problem: &Problem) -> Option<Value> {
        let money = problem.objective == Objective::Money && !problem.ship_complete;
        self.reduction.open(problem);
        if !(money && self.few.cost.is_some()) {
            self.reduction.keep_all(problem);
        }
        self.start_from_few(problem);
        if money {
            let constant = fill(&mut self.model, problem, &self.reduction, Charge::Money, Shortfall::Penalty)?;
            let ending = self.search_general(problem, Charge::Money);
            return Some(Value { cost: Money(ending.bound + constant), ..Value::default() });
        }
        fill(&mut self.model, problem, &self.reduction, Charge::Nothing, Shortfall::Each(1))?;
        let ending = self.search_general(problem, Charge::Nothing);
        let short = ending.cost?;
        let mut bound = Value { shortfall: u64::try_from(ending.bound).ok()?, ..Value::default() };
        if problem.ship_complete && short > 0 {
            return self.ships_nothing(problem, bound);
        }
        let mut parcels_max = problem.parcels_max;
        if problem.objective == Objective::UnitsParcelsCost {
            let price = i64::from(problem.parcels_max.unwrap_or(u16::MAX)) + 1;
            fill(&mut self.model, problem, &self.reduction, Charge::Parcels, Shortfall::Each(price))?;
            let ending = self.search_general(problem, Charge::Parcels);
            bound.parcels = u64::try_from((ending.bound - price * short).max(0)).ok()?;
            parcels_max = u16::try_from(self.parcels_of_best()).ok();
        }
        fill(&mut self.model, problem, &self.reduction, Charge::Money, Shortfall::Each(0))?;
        self.general.begin(&self.model, problem, &self.reduction.places, false);
        // Costs of models are never below zero, so this is more than any plan could save; see `dearer_than_the_plan`.
        let price = self.general.cost_of(&self.model, &self.general.best_shares)? / self.model.scale + 1;
        let constant = fill(&mut self.model, problem, &self.reduction, Charge::Money, Shortfall::Each(price))?;
        let ending = self.search_general_within(problem, Charge::Money, parcels_max);
        bound.cost = Money(ending.bound + constant - price.checked_mul(short)?);
        if problem.ship_complete && problem.objective == Objective::Money {
            let nothing = problem.all_unserved()?;
            let cost = ending.cost? + constant;
            if cost > nothing {
                self.general.best_shares.clear();
            }
            return Some(Value { cost: Money(bound.cost.0.min(nothing)), ..Value::default() });
        }
        Some(bound)
    }

    /// The search starts from the best plan that was found among those with few parcels, if any was.
    fn start_from_few(&mut self, problem: &Problem) {
        self.general.best_shares.clear();
        for (place, line, units) in self.few.sent() {
            let location = usize::from(self.reduction.position[usize::from(place)]);
            let bundle = if problem.is_whole(line) { i64::from(problem.lines[line].demand.0) } else { 1 };
            self.general.best_shares.push(crate::general::Share { location, line, count: units / bundle });
        }
    }

    /// Ship-complete and short of something: proved if the bound says so too.
    fn ships_nothing(&mut self, problem: &Problem, bound: Value) -> Option<Value> {
        self.general.best_shares.clear();
        if bound.shortfall == 0 {
            return Some(Value::UNKNOWN);
        }
        if problem.objective == Objective::Money {
            return Some(Value { cost: Money(problem.all_unserved()?), ..Value::default() });
        }
        let units = |j: usize| problem.worth(j, i64::from(problem.lines[j].demand.0));
        let wanted: i64 = (0..problem.lines.len()).map(units).sum();
        Some(Value { shortfall: u64::try_from(wanted).ok()?, ..Value::default() })
    }

    fn search_general(&mut self, problem: &Problem, charge: Charge) -> Ending {
        self.search_general_within(problem, charge, problem.parcels_max)
    }

    fn search_general_within(&mut self, problem: &Problem, charge: Charge, parcels_max: Option<u16>) -> Ending {
        self.model.parcels_max = parcels_max.map_or(problem.locations.len(), usize::from);
        let known = std::mem::take(&mut self.general.best_shares);
        self.general.begin(&self.model, problem, &self.reduction.places, charge != Charge::Money);
        self.general.suggest(&self.model, &known);
        self.general.run(&self.model, &mut self.nodes, self.nodes_max)
    }

    fn parcels_of_best(&self) -> usize {
        let mut places: Vec<usize> = self.general.best_shares.iter().map(|share| share.location).collect();
        places.sort_unstable();
        places.dedup();
        places.len()
    }

    /// What the best plan sends, in the problem's own lines and units.
    pub(crate) fn stepped_plan(&self) -> Vec<Sent> {
        let name = |share: &crate::general::Share| {
            let (line, bundle) = self.model.source[share.line];
            let units = Units(u32::try_from(share.count * bundle).unwrap_or(u32::MAX));
            Sent { location: self.reduction.places[share.location], line, units: units.0 }
        };
        self.general.best_shares.iter().map(name).collect()
    }
}
