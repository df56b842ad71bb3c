//! From a problem to its plan: an objective becomes one to three models, solved one after the other, each limited by what
//! the ones before it proved.

use crate::assign::{cost_of, from_open, plan};
use crate::error::ProblemError;
use crate::fill::{Charge, Shortfall, fill};
use crate::general::General;
use crate::model::Model;
use crate::plan::{Plan, Value};
use crate::problem::{Objective, Problem};
use crate::reduce::Reduction;
use crate::search::{Ending, Search};
use crate::units::Money;

/// How much work one plan may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Search nodes over all phases; each phase may always look at its root.
    pub nodes: u64,
}

impl Default for Budget {
    /// Enough for nearly every order to be proved, little enough for the rest to take milliseconds.
    fn default() -> Self {
        Self { nodes: 2_000 }
    }
}

/// The solver. Keep one for many problems: its memory is reused; a plan depends on the problem and budget alone.
#[derive(Clone, Default, Debug)]
pub struct Solver {
    pub(crate) model: Model,
    pub(crate) general: General,
    pub(crate) reduction: Reduction,
    search: Search,
    /// By location of the problem: who ships in the best plan of the last phase.
    set: Vec<bool>,
    /// The same by location of the model.
    model_set: Vec<bool>,
    pub(crate) nodes: u64,
    pub(crate) nodes_max: u64,
}

impl Solver {
    /// The best plan for `problem` within `budget`.
    ///
    /// # Errors
    /// [`ProblemError::TooLarge`] when quantities times costs do not fit the solver's exact arithmetic.
    pub fn solve(&mut self, problem: &Problem, budget: Budget) -> Result<Plan, ProblemError> {
        (self.nodes, self.nodes_max) = (0, budget.nodes);
        if !problem.shipping.is_empty() {
            let bound = self.stepped(problem).ok_or(ProblemError::TooLarge)?;
            return Ok(plan(problem, self.stepped_plan(), bound, self.nodes));
        }
        self.set.clear();
        self.set.resize(problem.locations.len(), false);
        let bound = match problem.objective {
            Objective::Money => self.money(problem),
            Objective::UnitsParcelsCost => self.units_first(problem, true),
            Objective::UnitsCost | Objective::WholeLinesCost => self.units_first(problem, false),
        };
        let bound = bound.ok_or(ProblemError::TooLarge)?;
        Ok(plan(problem, from_open(problem, &self.set), bound, self.nodes))
    }

    // Each objective's function leaves the best set in `self.set` and returns the bound.

    /// Least money, unserved units at their penalty; or, ship-complete, all or nothing.
    fn money(&mut self, problem: &Problem) -> Option<Value> {
        let shortfall = if problem.ship_complete { Shortfall::Impossible } else { Shortfall::Penalty };
        if problem.parcels_max == Some(0) || problem.ship_complete {
            self.reduction.keep_all(problem);
        } else {
            self.reduction.reduce(problem, true);
        }
        let constant = fill(&mut self.model, problem, &self.reduction, Charge::Money, shortfall)?;
        let ending = self.run(problem, problem.parcels_max, false);
        let nothing = problem.all_unserved()?;
        if problem.ship_complete && ending.cost.is_none_or(|cost| cost + constant > nothing) {
            self.set.fill(false);
        }
        let bound = if ending.bound == i64::MAX { nothing } else { (ending.bound + constant).min(nothing) };
        Some(Value { cost: Money(bound), ..Value::default() })
    }

    /// Most units (or whole lines), then fewest parcels if `count_parcels`, then least cost.
    fn units_first(&mut self, problem: &Problem, count_parcels: bool) -> Option<Value> {
        let lines = 0..problem.lines.len();
        let wanted: i64 = lines.clone().map(|j| problem.worth(j, i64::from(problem.lines[j].demand.0))).sum();
        let possible: i64 = lines.map(|j| problem.worth(j, problem.servable(j))).sum();
        let wanted = u64::try_from(wanted).ok()?;
        let shortfall = wanted - u64::try_from(possible).ok()?;
        let mut value = Value { shortfall, ..Value::default() };
        let mut bound = value;
        if problem.ship_complete && value.shortfall > 0 {
            return Some(self.nothing_ships(wanted, true));
        }
        let limited = problem.parcels_max.is_some_and(|most| usize::from(most) < problem.locations.len());
        let mut parcels_max = problem.parcels_max;
        let mut suggested = false;
        let mut short_price = None;
        let single = if problem.parcels_max == Some(0) { None } else { self.reduction.single(problem) };
        if let Some((cost, place)) = single
            && possible > 0
            && (count_parcels || problem.parcels_max == Some(1))
        {
            // One parcel serves all that there is; none is fewer, and this is the cheapest one.
            self.set[place] = true;
            let parcels = u64::from(count_parcels);
            return Some(Value { parcels, cost: Money(cost), ..value });
        }
        self.reduction.keep_all(problem);
        if (count_parcels || limited) && single.is_none() {
            fill(&mut self.model, problem, &self.reduction, Charge::Parcels, Shortfall::Forbidden)?;
            let ending = self.run(problem, None, false);
            let fewest = ending.cost.and_then(|parcels| u16::try_from(parcels).ok())?;
            let at_least = u64::try_from(ending.bound).ok()?;
            suggested = true;
            if problem.parcels_max.is_none_or(|most| fewest <= most) {
                if count_parcels {
                    (value.parcels, bound.parcels) = (u64::from(fewest), at_least);
                    parcels_max = Some(fewest);
                }
            } else {
                if problem.ship_complete {
                    let impossible = problem.parcels_max.is_some_and(|most| at_least > u64::from(most));
                    return Some(self.nothing_ships(wanted, impossible));
                }
                self.limited_units(problem, &mut value, &mut bound)?;
                if count_parcels {
                    let most = i64::from(problem.parcels_max.unwrap_or(u16::MAX)) + 1;
                    fill(&mut self.model, problem, &self.reduction, Charge::Parcels, Shortfall::Each(most))?;
                    let ending = self.run(problem, problem.parcels_max, true);
                    let short = most * i64::try_from(value.shortfall).ok()?;
                    // Counted, as a hurried search may end with less short than the phase before.
                    let parcels = self.set.iter().filter(|&&ships| ships).count();
                    value.parcels = u64::try_from(parcels).ok()?;
                    bound.parcels = u64::try_from((ending.bound - short).max(0)).ok()?;
                    parcels_max = u16::try_from(value.parcels).ok();
                }
                short_price = Some(self.dearer_than_the_plan(problem)?);
            }
        }
        if short_price.is_none() && !suggested && single.is_some() {
            self.reduction.reduce(problem, false);
        }
        let shortfall = short_price.map_or(Shortfall::Forbidden, Shortfall::Each);
        let constant = fill(&mut self.model, problem, &self.reduction, Charge::Money, shortfall)?;
        let ending = self.run(problem, parcels_max, suggested);
        let short = short_price.unwrap_or(0).checked_mul(i64::try_from(value.shortfall).ok()?)?;
        bound.cost = Money(ending.bound + constant - short);
        Some(bound)
    }

    /// The fewest units short when not all that there is fits into the parcels allowed.
    fn limited_units(&mut self, problem: &Problem, value: &mut Value, bound: &mut Value) -> Option<()> {
        fill(&mut self.model, problem, &self.reduction, Charge::Nothing, Shortfall::Each(1))?;
        let ending = self.run(problem, problem.parcels_max, false);
        value.shortfall = u64::try_from(ending.cost?).ok()?;
        bound.shortfall = u64::try_from(ending.bound).ok()?;
        Some(())
    }

    /// Ship-complete, and not all of it can be shipped; or, not `proved`, it is not known whether it can.
    fn nothing_ships(&mut self, wanted: u64, proved: bool) -> Value {
        self.set.fill(false);
        if proved { Value { shortfall: wanted, ..Value::default() } } else { Value::UNKNOWN }
    }

    /// A price of a unit short so high that no saving of money is worth one: above all that the present plan could lose.
    fn dearer_than_the_plan(&mut self, problem: &Problem) -> Option<i64> {
        let constant = fill(&mut self.model, problem, &self.reduction, Charge::Money, Shortfall::Each(0))?;
        cost_of(problem, &from_open(problem, &self.set)).checked_sub(constant)?.checked_add(1)
    }

    /// Searches the model, with the set of the phase before as a start if `suggested`; leaves the best set in `self.set`.
    fn run(&mut self, problem: &Problem, parcels_max: Option<u16>, suggested: bool) -> Ending {
        self.model.parcels_max = parcels_max.map_or(problem.locations.len(), usize::from);
        self.search.begin(&self.model);
        if suggested {
            self.model_set.clear();
            self.model_set.extend(self.reduction.places.iter().map(|&i| self.set[usize::from(i)]));
            self.search.suggest(&self.model, &self.model_set);
        }
        let ending = self.search.run(&mut self.model, &mut self.nodes, self.nodes_max);
        self.set.fill(false);
        for (&i, &ships) in self.reduction.places.iter().zip(&self.search.incumbent.set) {
            self.set[usize::from(i)] = ships;
        }
        ending
    }
}
