//! The exact solver as a decision maker: states an order as a problem, times the answer, and says what any plan of the same
//! order is worth to it.

use std::time::{Duration, Instant};

use quartermaster_routing::{
    Budget, Grams, Line, Location, Money, Objective, Plan, Problem, ProblemError, Proof, Solver, Value,
};

use crate::history::Wanted;
use crate::network::Site;
use crate::tally::Bill;
use crate::world::Stock;

/// A solver with one objective; its memory is kept from order to order, as a service would.
#[derive(Debug)]
pub(crate) struct Exact {
    objective: Objective,
    budget: Budget,
    /// Each problem is solved so often, and the fastest time counts.
    repeat: u32,
    solver: Solver,
}

/// An answer, with what it was asked and how long it took.
#[derive(Debug)]
pub(crate) struct Solved {
    pub(crate) plan: Plan,
    /// From stock rows to a checked problem.
    pub(crate) building: Duration,
    pub(crate) solving: Duration,
    /// Locations with stock of any line.
    pub(crate) locations: usize,
    objective: Objective,
    penalty: Money,
    wanted: u64,
    servable: u64,
}

impl Exact {
    pub(crate) fn new(objective: Objective, budget: Budget, repeat: u32) -> Self {
        Self { objective, budget, repeat, solver: Solver::default() }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.objective {
            Objective::Money => "exact, money",
            Objective::UnitsParcelsCost => "exact, parcels",
            Objective::UnitsCost => "exact, units",
            Objective::WholeLinesCost => "exact, whole lines",
        }
    }

    /// # Errors
    /// Quantities or costs beyond what a problem may hold.
    pub(crate) fn solve(&mut self, lines: &[Wanted], stock: &Stock, sites: &[Site]) -> Result<Solved, ProblemError> {
        let start = Instant::now();
        let (problem, locations) = self.problem(lines, stock, sites)?;
        let building = start.elapsed();
        let start = Instant::now();
        let plan = self.solver.solve(&problem, self.budget)?;
        let mut solving = start.elapsed();
        for _ in 1..self.repeat {
            let start = Instant::now();
            std::hint::black_box(self.solver.solve(&problem, self.budget)?);
            solving = solving.min(start.elapsed());
        }
        Ok(Solved {
            plan,
            building,
            solving,
            locations,
            objective: self.objective,
            penalty: penalty(sites),
            wanted: problem.demand(),
            servable: lines.iter().map(|line| stock.servable(*line)).sum(),
        })
    }

    /// The order and every location that has stock of any of its lines; how many those are.
    fn problem(&self, lines: &[Wanted], stock: &Stock, sites: &[Site]) -> Result<(Problem, usize), ProblemError> {
        let mut builder = Problem::builder(self.objective);
        let mut places = Vec::with_capacity(sites.len());
        let has_any = |site: &&Site| lines.iter().any(|line| stock.at(site.id, line.sku).0 > 0);
        for site in sites.iter().filter(has_any) {
            let Site { id, parcel_cost, pick_unit_cost, .. } = *site;
            places.push((id, builder.location(Location { id, parcel_cost, pick_unit_cost })?));
        }
        builder.reserve(lines.len() * places.len());
        let unserved_penalty = penalty(sites);
        for Wanted { sku, units } in lines {
            let (unit_weight, whole) = (Grams(0), false);
            let line = builder.line(Line { sku: *sku, demand: *units, unit_weight, unserved_penalty, whole })?;
            for (id, place) in &places {
                builder.offer(line, *place, stock.at(*id, *sku), Money(0));
            }
        }
        Ok((builder.build()?, places.len()))
    }
}

/// Dearer than any unit can be: a parcel of its own from the dearest location, and picking. As a location's stock is its only
/// limit, a unit left over somewhere can always be added at that price, so the cheapest plan leaves none.
fn penalty(sites: &[Site]) -> Money {
    let parcel = sites.iter().map(|site| site.parcel_cost.0).max().unwrap_or(0);
    let pick = sites.iter().map(|site| site.pick_unit_cost.0).max().unwrap_or(0);
    Money(parcel + pick + 1)
}

impl Solved {
    pub(crate) fn proved(&self) -> bool {
        self.plan.proof == Proof::Proved
    }

    /// Units that the stock could serve.
    pub(crate) fn servable(&self) -> u64 {
        self.servable
    }

    /// What a plan with this bill, made for the same order, is worth under the solver's objective.
    pub(crate) fn value_of(&self, bill: &Bill) -> Value {
        let shortfall = self.wanted - bill.units;
        match self.objective {
            Objective::Money => Value { cost: Money(bill.cost.0 + self.penalties(shortfall)), ..Value::default() },
            _ => Value { shortfall, parcels: bill.parcels, cost: bill.cost },
        }
    }

    /// How far the plan's cost can be above the least, in millionths of its cost. Penalties of units that no stock could
    /// serve are no part of the cost. `None` when units or parcels are not proved either.
    pub(crate) fn gap_ppm(&self) -> Option<u64> {
        let (value, bound) = (self.plan.value, self.plan.lower_bound);
        if (value.shortfall, value.parcels) != (bound.shortfall, bound.parcels) {
            return None;
        }
        let cost = match self.objective {
            Objective::Money => value.cost.0 - self.penalties(self.wanted - self.servable),
            _ => value.cost.0,
        };
        let above = (value.cost.0 - bound.cost.0).checked_mul(1_000_000)?;
        u64::try_from(above.checked_div(cost).unwrap_or(0)).ok()
    }

    fn penalties(&self, units: u64) -> i64 {
        self.penalty.0 * i64::try_from(units).expect("an order's units are far below the range")
    }
}

#[cfg(test)]
mod tests {
    use quartermaster_routing::Units;

    use super::*;
    use crate::walks::Walk;
    use crate::walks::tests::example;

    /// B is at location 2 alone, and A needs 1 or 0 besides: 0 and 2 leave one of A, so 1 and 2 are the only pair.
    #[test]
    fn the_cheapest_plan_of_the_example_is_found_and_proved() {
        let (lines, stock, sites) = example();
        let solved = Exact::new(Objective::Money, Budget::default(), 1).solve(&lines, &stock, &sites).unwrap();
        let bill = Bill::of(&solved.plan.allocations, &sites);
        assert_eq!(bill, Bill { units: 6, parcels: 2, cost: Money(760 + 385 + 6 * 10) });
        assert_eq!(solved.value_of(&bill), solved.plan.value);
        assert_eq!((solved.proved(), solved.gap_ppm(), solved.locations), (true, Some(0), 3));
        for walk in Walk::ALL {
            let walked = Bill::of(&walk.plan(&lines, &stock, &sites), &sites);
            assert!(solved.plan.value <= solved.value_of(&walked), "{}", walk.name());
        }
    }

    #[test]
    fn a_unit_that_is_there_is_always_shipped() {
        let (mut lines, stock, sites) = example();
        lines[0].units = Units(1_000);
        for objective in [Objective::Money, Objective::UnitsParcelsCost] {
            let solved = Exact::new(objective, Budget::default(), 2).solve(&lines, &stock, &sites).unwrap();
            let bill = Bill::of(&solved.plan.allocations, &sites);
            assert_eq!((bill.units, solved.servable()), (9, 9));
            assert_eq!(solved.value_of(&bill), solved.plan.value);
            assert_eq!(solved.gap_ppm(), Some(0));
        }
    }
}
