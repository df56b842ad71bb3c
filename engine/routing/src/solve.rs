//! From a problem to its plan: an objective becomes one to three models, solved one after the other, each limited by what
//! the ones before it proved.

use crate::assign::{Sent, cost_of, from_open, plan};
use crate::error::ProblemError;
use crate::few::{self, Few, Pass};
use crate::fill::{Charge, Shortfall, fill};
use crate::general::General;
use crate::model::Model;
use crate::one_line::{OneLine, one_line};
use crate::plan::{Plan, Value};
use crate::problem::{Objective, Problem};
use crate::reduce::{Reduction, SCALE_BITS, Single};
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

/// What is known of the fewest parcels that serve all there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fewest {
    at_least: u16,
    /// The same, once a plan of so many is found.
    found: Option<u16>,
}

/// So many looks at a set of locations count as one node.
const LOOKS_PER_NODE: u64 = 512;
const LOOKS_MIN: u64 = 10_000;
const LOOKS_PER_OFFER: u64 = 400;
/// Entries of the table that [`Few`] keeps, at most; larger problems are the search's alone.
const TABLE_MAX: usize = 1 << 16;

/// The solver. Keep one for many problems: its memory is reused; a plan depends on the problem and budget alone.
#[derive(Clone, Default, Debug)]
pub struct Solver {
    pub(crate) model: Model,
    pub(crate) general: General,
    pub(crate) reduction: Reduction,
    pub(crate) few: Few,
    search: Search,
    /// The next search need not look for plans below this; spent by it.
    at_least: i64,
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
        self.at_least = 0;
        if let Some(OneLine { value, sent }) = one_line(problem) {
            let sent = sent.map(|(location, units)| Sent { location, line: 0, units: units.0 });
            return Ok(plan(problem, sent.into_iter().collect(), value, 0));
        }
        self.few.forget();
        self.set.clear();
        self.set.resize(problem.locations.len(), false);
        if problem.rules.is_empty() {
            self.reduction.open(problem);
        } else if !self.reduction.open_with_tariffs(problem) {
            if let Some(bound) = self.stepped_few(problem) {
                return Ok(plan(problem, self.few_plan(), bound, self.nodes));
            }
            let bound = self.stepped(problem).ok_or(ProblemError::TooLarge)?;
            return Ok(plan(problem, self.stepped_plan(), bound, self.nodes));
        }
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
        let value = |cost: i64| Value { cost: Money(cost), ..Value::default() };
        let shortfall = if problem.ship_complete { Shortfall::Impossible } else { Shortfall::Penalty };
        let nothing = problem.all_unserved()?;
        let mut suggested = false;
        let single = if problem.parcels_max == Some(0) || problem.ship_complete {
            None
        } else {
            self.reduction.single(problem, true)
        };
        if let Some(Single { cost, place }) = single {
            let known = if nothing <= cost { (nothing, None) } else { (cost, Some(place)) };
            if let Some(cost) = self.few_parcels(problem, true, known, 2) {
                return Some(value(cost));
            }
            suggested = true;
        } else {
            self.reduction.keep_all(problem);
        }
        let constant = fill(&mut self.model, problem, &self.reduction, Charge::Money, shortfall)?;
        let ending = self.run(problem, problem.parcels_max, suggested);
        if problem.ship_complete && ending.cost.is_none_or(|cost| cost + constant > nothing) {
            self.set.fill(false);
        }
        Some(value(if ending.bound == i64::MAX { nothing } else { (ending.bound + constant).min(nothing) }))
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
        if possible == 0 {
            return Some(value);
        }
        let limited = problem.parcels_max.is_some_and(|most| usize::from(most) < problem.locations.len());
        let mut parcels_max = problem.parcels_max;
        let mut suggested;
        let mut short_price = None;
        let single = if parcels_max == Some(0) { None } else { self.reduction.single(problem, false) };
        let fewest = match single {
            Some(Single { cost, place }) if count_parcels || parcels_max == Some(1) => {
                // One parcel serves all that there is; none is fewer, and this is the cheapest one.
                self.set[place] = true;
                let parcels = u64::from(count_parcels);
                return Some(Value { parcels, cost: Money(cost), ..value });
            }
            Some(Single { cost, place }) => {
                if let Some(cost) = self.few_parcels(problem, false, (cost, Some(place)), 2) {
                    return Some(Value { cost: Money(cost), ..value });
                }
                suggested = true;
                Fewest { at_least: 1, found: Some(1) }
            }
            None => match self.fewest(problem, count_parcels)? {
                Ok((parcels, cost)) => {
                    return Some(Value {
                        parcels: if count_parcels { parcels } else { 0 },
                        cost: Money(cost),
                        ..value
                    });
                }
                Err(fewest) => {
                    suggested = fewest.found.is_some();
                    fewest
                }
            },
        };
        if count_parcels && let Some(parcels) = fewest.found {
            (value.parcels, bound.parcels) = (u64::from(parcels), u64::from(parcels));
            parcels_max = Some(parcels);
        }
        if (count_parcels || limited) && fewest.found.is_none() {
            self.reduction.keep_all(problem);
            fill(&mut self.model, problem, &self.reduction, Charge::Parcels, Shortfall::Forbidden)?;
            self.at_least = i64::from(fewest.at_least);
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
        let shortfall = short_price.map_or(Shortfall::Forbidden, Shortfall::Each);
        let constant = fill(&mut self.model, problem, &self.reduction, Charge::Money, shortfall)?;
        let ending = self.run(problem, parcels_max, suggested);
        let short = short_price.unwrap_or(0).checked_mul(i64::try_from(value.shortfall).ok()?)?;
        bound.cost = Money(ending.bound + constant - short);
        Some(bound)
    }

    /// The best plan by way of those with few parcels, given the best with one parcel or none; its cost when proved. Else
    /// `self.set` is the best so far, and the reduction leaves the locations that a better one may need.
    pub(crate) fn few_parcels(
        &mut self,
        problem: &Problem,
        penalties: bool,
        known: (i64, Option<usize>),
        from: usize,
    ) -> Option<i64> {
        let (cost, place) = known;
        let most = problem.parcels_max.map_or(usize::MAX, usize::from);
        let proved = |solver: &mut Self| {
            place.into_iter().for_each(|i| solver.set[i] = true);
            if !solver.reduction.slope.is_empty() {
                solver.few.only(problem, penalties, place);
            }
            Some(cost)
        };
        if from == 2 && (most < 2 || cost <= self.reduction.two_at_least()) {
            return proved(self);
        }
        self.reduction.raise(problem, penalties);
        self.reduction.keep_below(problem, cost, from, |i| place == Some(i));
        if from == 2 && self.reduction.places.len() < 2 {
            return proved(self);
        }
        if self.reduction.places.len() * problem.lines.len() > TABLE_MAX {
            place.into_iter().for_each(|i| self.set[i] = true);
            return None;
        }
        let looks = self.looks(problem);
        self.few.begin(problem, &self.reduction, penalties, looks);
        self.few.know(cost, place);
        self.few.grow(problem, most);
        self.sets_of(problem, from, most)
    }

    /// Tries sets of `parcels` locations and more while that is cheap; see [`Solver::few_parcels`].
    fn sets_of(&mut self, problem: &Problem, mut parcels: usize, most: usize) -> Option<i64> {
        // Where even the most parcels tried here would not settle it, trying fewer is in vain.
        let mut complete = most <= few::PARCELS_MAX || self.few.settled(few::PARCELS_MAX + 1);
        while complete && parcels <= most && !self.few.settled(parcels) {
            complete = self.few.sets(problem, parcels) == Pass::Complete;
            parcels += usize::from(complete);
        }
        self.nodes += self.few.work() / LOOKS_PER_NODE;
        self.few.best().for_each(|i| self.set[i] = true);
        if complete {
            return self.few.cost;
        }
        let (cost, set) = (self.few.cost.unwrap_or(i64::MAX >> SCALE_BITS), &self.set);
        self.reduction.keep_below(problem, cost, parcels, |i| set[i]);
        None
    }

    /// The fewest parcels that serve all there is, two at least, and the cheapest plan with so many; without
    /// `count_parcels` the cheapest of all. Else what is known of them, with the best plan so far as in
    /// [`Solver::few_parcels`]. `None` when the numbers are too large.
    pub(crate) fn fewest(&mut self, problem: &Problem, count_parcels: bool) -> Option<Result<(u64, i64), Fewest>> {
        let mut known = Fewest { at_least: 1, found: None };
        self.reduction.keep_all(problem);
        let most = problem.parcels_max.map_or(usize::MAX, usize::from).min(few::PARCELS_MAX);
        if !self.reduction.added_up() || self.reduction.places.len() * problem.lines.len() > TABLE_MAX {
            return Some(Err(known));
        }
        self.reduction.raise(problem, false);
        let looks = self.looks(problem);
        self.few.begin(problem, &self.reduction, false, looks);
        let mut parcels = self.few.parcels_at_least().max(2);
        known.at_least = u16::try_from(parcels).ok()?;
        let mut complete = true;
        while complete && parcels <= most {
            complete = self.few.sets(problem, parcels) == Pass::Complete;
            if let Some(cost) = self.few.cost {
                known.found = Some(known.at_least);
                if complete && count_parcels {
                    self.nodes += self.few.work() / LOOKS_PER_NODE;
                    self.few.best().for_each(|i| self.set[i] = true);
                    return Some(Ok((u64::from(known.at_least), cost)));
                }
                break;
            }
            if complete {
                parcels += 1;
                known.at_least += 1;
            }
        }
        if known.found.is_some() && !count_parcels {
            let most = problem.parcels_max.map_or(usize::MAX, usize::from);
            // Without time left, those of just so many parcels are still to be tried.
            let next = if complete { parcels + 1 } else { parcels };
            return Some(self.sets_of(problem, next, most).map(|cost| (0, cost)).ok_or(known));
        }
        self.nodes += self.few.work() / LOOKS_PER_NODE;
        if known.found.is_some() {
            self.few.best().for_each(|i| self.set[i] = true);
            let (cost, set) = (self.few.cost?, &self.set);
            self.reduction.keep_below(problem, cost, usize::from(known.at_least), |i| set[i]);
        }
        Some(Err(known))
    }

    /// How many locations [`Few`] may look at: as many as pay for themselves, within the budget.
    fn looks(&self, problem: &Problem) -> u64 {
        let offers = u64::try_from(problem.offers()).unwrap_or(u64::MAX);
        let left = self.nodes_max.saturating_sub(self.nodes).saturating_mul(LOOKS_PER_NODE);
        (left / 4).min(LOOKS_MIN + LOOKS_PER_OFFER * offers)
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
        self.search.know_at_least(&self.model, std::mem::take(&mut self.at_least));
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
