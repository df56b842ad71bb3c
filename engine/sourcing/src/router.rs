//! The router: an order through the steps of its policy to the best plan of the first step that serves all of it.
//!
//! Goods of different temperature or dangerous-goods classes never share a parcel, so an order is planned class by class; limits on the
//! number of parcels hold for each class. What a line cannot get is tried with the substitutes that its buyer agreed to, in a second
//! solve over both, so that the plan is the best one for what is served in the end.

use quartermaster_routing::{LocationId, Money, ProblemError, Proof, SkuId};
use smallvec::SmallVec;

use crate::{
    candidate::{Aim, Candidates},
    fulfilment::{Booked, Bookings, Slot},
    gather::{Gatherer, Query, apply_step, facts, region_codes},
    network::{Target, TargetError},
    order::{Order, OrderLine},
    plan::{Parcel, Plan, Substitution, Unserved, UnservedReason, sum},
    policy::{Bound, Step},
    removal::Removal,
    solve::{Desk, Solved, solve},
};

/// Why an order cannot be routed at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The destination is not understood.
    #[error("destination: {0}")]
    Target(#[from] TargetError),
    /// Figures beyond what can be added exactly.
    #[error("the order's figures are too large to be planned exactly: {0}")]
    Problem(#[from] ProblemError),
}

/// What a decision met: the problem of each class of goods under the step that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The candidates.
    pub candidates: Candidates,
    /// The aim and limits.
    pub aim: Aim,
}

/// Routes one order at a time; keeps its memory from order to order.
#[derive(Default)]
pub struct Router {
    desk: Desk,
    gatherer: Gatherer,
    met: Vec<Met>,
    /// Memory of what was met before.
    spare: Vec<Met>,
}

impl Router {
    /// The best plan for the query's order.
    ///
    /// # Errors
    /// A destination that is not understood, figures too large to be added exactly.
    pub fn route(&mut self, query: &Query<'_>) -> Result<Plan, RouteError> {
        let target = query.network.target(&query.order.destination)?;
        if query.order.substitutes.is_empty() {
            return self.steps(query, &target, query.order.complete);
        }
        let first = self.steps(query, &target, false)?;
        let Some(order) = with_substitutes(query.order, &first) else {
            return if query.order.complete { self.steps(query, &target, true) } else { Ok(first) };
        };
        let mut plan = self.steps(&Query { order: &order, ..*query }, &target, query.order.complete)?;
        plan.substitutions = substitutions(query.order, &plan);
        Ok(plan)
    }

    /// Takes a decision again from what it met: the same plan, as the solver draws no number and counts its work in nodes.
    ///
    /// # Errors
    /// Figures too large to be added exactly; a decision that was taken never had them.
    pub fn replan(&mut self, step: usize, met: &[Met]) -> Result<Plan, RouteError> {
        let mut plan = Plan::nothing(step);
        for problem in met {
            let solved = solve(&mut self.desk, &problem.candidates, &problem.aim)?;
            add(&mut plan, solved, &problem.candidates);
        }
        plan.unserved.sort_unstable_by_key(|unserved| unserved.sku);
        plan.parcels.sort_by_key(|parcel| parcel.location);
        Ok(plan)
    }

    /// What the last decision met, class by class: enough to explain it.
    #[must_use]
    pub fn met(&self) -> &[Met] {
        &self.met
    }

    /// The solver at its desk, to ask further questions of what was met.
    pub fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn steps(&mut self, query: &Query<'_>, target: &Target, complete: bool) -> Result<Plan, RouteError> {
        let codes = region_codes(query.network, target);
        let facts = facts(query.order, &codes);
        let bound = query.policy.for_order(&facts, query.places);
        let steps = query.policy.steps();
        let mut plan = None;
        for (number, step) in steps.iter().enumerate() {
            let found = self.step(query, target, &bound, (number, step), complete)?;
            let served = found.unserved.is_empty();
            plan = Some(found);
            if served {
                break;
            }
        }
        Ok(plan.expect("Invariant: a policy has at least one step"))
    }

    fn step(
        &mut self,
        query: &Query<'_>,
        target: &Target,
        bound: &Bound<'_>,
        (number, step): (usize, &Step),
        complete: bool,
    ) -> Result<Plan, RouteError> {
        let complete = complete || !step.partial();
        let aim = Aim {
            objective: step.objective(),
            parcels_max: [step.parcels_max(), query.order.parcels_max].into_iter().flatten().min(),
            complete,
            unserved_unit: Money(query.policy.prices().unserved_unit),
            nodes_max: u64::from(query.policy.document().nodes_max),
        };
        let mut plan = Plan::nothing(number);
        self.spare.append(&mut self.met);
        self.spare.truncate(4);
        for lines in classes(query.order) {
            // Classes share the capacity of places: what those before take up is gone.
            let bookings = Taken { booked: query.bookings, order: query.order, parcels: &plan.parcels };
            let query = &Query { bookings: &bookings, ..*query };
            let mut candidates = self.spare.pop().map_or_else(Candidates::default, |met| met.candidates);
            self.gatherer.gather(query, target, bound, &lines, &mut candidates);
            apply_step(query, target, bound, step, &lines, &mut candidates);
            let solved = solve(&mut self.desk, &candidates, &aim)?;
            add(&mut plan, solved, &candidates);
            self.met.push(Met { candidates, aim });
        }
        if complete && self.met.len() > 1 && !plan.unserved.is_empty() {
            plan.serve_nothing(query.order);
        }
        plan.unserved.sort_unstable_by_key(|unserved| unserved.sku);
        plan.parcels.sort_by_key(|parcel| parcel.location);
        Ok(plan)
    }
}

/// What is booked, with what a plan's own parcels take up.
struct Taken<'a> {
    booked: &'a dyn Bookings,
    order: &'a Order<'a>,
    parcels: &'a [Parcel],
}

impl Bookings for Taken<'_> {
    fn booked(&self, location: LocationId, slot: Slot) -> Booked {
        let mut booked = self.booked.booked(location, slot);
        let joins = self.order.open_parcels.iter().any(|open| open.location == location);
        for parcel in self.parcels.iter().filter(|own| own.location == location && own.slots.contains(&slot)) {
            booked.orders = booked.orders.saturating_add(u32::from(!joins));
            let units = u32::try_from(parcel.units()).unwrap_or(u32::MAX);
            booked.units = booked.units.saturating_add(units);
        }
        booked
    }
}

/// Lines that may share a parcel, class by class, in the order of their first lines.
fn classes<'o, 'a>(order: &'o Order<'a>) -> SmallVec<[SmallVec<[&'o OrderLine<'a>; 4]>; 1]> {
    let mut classes: SmallVec<[SmallVec<[&OrderLine<'a>; 4]>; 1]> = SmallVec::new();
    for line in &order.lines {
        let class = |line: &OrderLine<'a>| (line.goods.dangerous_goods, line.goods.temperature);
        match classes.iter_mut().find(|lines| lines.first().is_some_and(|first| class(first) == class(line))) {
            Some(lines) => lines.push(line),
            None => classes.push(SmallVec::from_iter([line])),
        }
    }
    classes
}

/// Puts the plan of one class to those before it.
fn add(plan: &mut Plan, solved: Solved, met: &Candidates) {
    plan.value = sum(plan.value, solved.plan.value);
    plan.lower_bound = sum(plan.lower_bound, solved.plan.lower_bound);
    if solved.plan.proof != Proof::Proved {
        plan.proof = solved.plan.proof;
    }
    plan.nodes += solved.plan.nodes;
    plan.parcels.extend(solved.parcels);
    plan.unserved.extend(solved.plan.unserved.iter().map(|unserved| Unserved {
        sku: unserved.sku,
        units: unserved.quantity.0,
        reason: reason(unserved.sku, met),
    }));
}

/// The most telling reason why a line is not served in full.
fn reason(sku: SkuId, met: &Candidates) -> UnservedReason {
    let Some(index) = met.lines.iter().position(|line| line.sku == sku) else { return UnservedReason::NoStock };
    let (mut reachable, mut stocked) = (0_u64, 0_u64);
    let mut told = UnservedReason::NoStock;
    for offer in met.offers.iter().filter(|offer| usize::try_from(offer.line) == Ok(index)) {
        let place = usize::try_from(offer.place).ok().and_then(|place| met.places.get(place));
        stocked += u64::from(offer.units);
        told = told.max(match offer.removed.or(place.and_then(|place| place.removed)) {
            None => {
                reachable += u64::from(offer.units);
                continue;
            }
            Some(Removal::OrderCapacity | Removal::UnitCapacity) => UnservedReason::NoCapacity,
            Some(Removal::NoCarrier) => UnservedReason::NoCarrier,
            Some(Removal::KeptBack) => UnservedReason::NoStock,
            Some(_) => UnservedReason::NoPlace,
        });
    }
    // Where enough could serve and does not, a price or a limit stands against it; where there is not enough anyway, that; else what keeps
    // the others out is what counts.
    let wanted = u64::from(met.lines[index].quantity);
    if reachable >= wanted {
        UnservedReason::NotWorthIt
    } else if stocked < wanted {
        UnservedReason::NoStock
    } else {
        told
    }
}

/// The order with what its lines get, and substitutes for what they do not; `None` when no substitute is of use.
fn with_substitutes<'a>(order: &Order<'a>, plan: &Plan) -> Option<Order<'a>> {
    let mut changed = order.clone();
    changed.substitutes.clear();
    let mut used = false;
    for unserved in &plan.unserved {
        let mut missing = unserved.units;
        for substitute in order.substitutes.iter().filter(|substitute| substitute.instead_of == unserved.sku) {
            let there: u64 = substitute.line.stock.iter().map(|stock| u64::from(stock.available)).sum();
            let units = u32::try_from(there).unwrap_or(u32::MAX).min(missing);
            if units == 0 || changed.lines.iter().any(|line| line.sku == substitute.line.sku) {
                continue;
            }
            changed.lines.push(OrderLine { quantity: units, ..substitute.line.clone() });
            missing -= units;
            used = true;
        }
        if let Some(line) = changed.lines.iter_mut().find(|line| line.sku == unserved.sku) {
            line.quantity -= unserved.units - missing;
        }
    }
    changed.lines.retain(|line| line.quantity > 0);
    changed.lines.sort_by_key(|line| line.sku);
    used.then_some(changed)
}

/// Which substitutes a plan serves, and for which line.
fn substitutions(order: &Order<'_>, plan: &Plan) -> Vec<Substitution> {
    let served = |sku: SkuId| -> u32 {
        let lines = plan.parcels.iter().flat_map(|parcel| &parcel.lines);
        lines.filter(|(served, _)| *served == sku).map(|(_, units)| units).sum()
    };
    let own = |sku: SkuId| order.lines.iter().any(|line| line.sku == sku);
    let mut found: Vec<Substitution> = Vec::new();
    for substitute in &order.substitutes {
        let units = served(substitute.line.sku);
        if units > 0 && !own(substitute.line.sku) && found.iter().all(|one| one.substitute != substitute.line.sku) {
            found.push(Substitution { sku: substitute.instead_of, substitute: substitute.line.sku, units });
        }
    }
    found
}
