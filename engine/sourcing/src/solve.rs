//! One solve: candidates and an aim to the solver's problem, and its plan back to parcels.
//!
//! An order that must be complete is solved with a unit not served dearer than any plan, and looked at afterwards: the solver's quick ways
//! are for orders that may stay short.

use quartermaster_routing::{
    Budget, Grams, Line, Location, LocationId, Money, Objective, Problem, ProblemError, Proof, Service, ServiceId,
    SkuId, Solver, Units, Unserved, Value,
};
use smallvec::SmallVec;

use crate::{
    candidate::{Aim, Candidate, Candidates, Way},
    plan::{Parcel, Terms},
};

/// What the solver said, in its own words, with what its numbers stand for.
pub(crate) struct Solved {
    pub(crate) plan: quartermaster_routing::Plan,
    pub(crate) parcels: Vec<Parcel>,
}

/// The solver with the memory of its last problem.
#[derive(Default)]
pub struct Desk {
    pub(crate) solver: Solver,
    spare: Option<Problem>,
}

/// How the carriage of a candidate's parcel is told to the solver.
enum Carriage {
    /// The same whatever it carries: that much more for the parcel, by this way.
    Constant(Money, usize),
    /// By weight.
    ByWeight(SmallVec<[Service; 2]>),
}

/// Finds the best plan for the candidates that nothing removed.
pub(crate) fn solve(desk: &mut Desk, met: &Candidates, aim: &Aim) -> Result<Solved, ProblemError> {
    if aim.complete && !all_within_reach(met) {
        return Ok(nothing(met, aim, None));
    }
    let carriage = carriages(met)?;
    let complete = aim.complete.then(|| dearer_than_any_plan(met, &carriage));
    let aim_now = match complete {
        Some(Some(dear)) => Aim { complete: false, unserved_unit: dear, ..*aim },
        Some(None) | None => *aim,
    };
    let tie = tie_break(met, &aim_now, &carriage);
    let problem = state(desk.spare.take(), met, &aim_now, &carriage, tie)?;
    let plan = desk.solver.solve(&problem, Budget { nodes: aim.nodes_max });
    desk.spare = Some(problem);
    let plan = untied(plan?, tie);
    if aim.complete && (!plan.unserved.is_empty() || dearer_than_nothing(met, aim, &plan)) {
        return Ok(nothing(met, aim, Some(&plan)));
    }
    let parcels = parcels(met, &carriage, &plan);
    Ok(Solved { plan, parcels })
}

/// Fewer parcels win among plans of equal cost: a minor unit counts this much, and a parcel one. 1, and no such tie-break, where the sums
/// would leave the solver's range.
fn tie_break(met: &Candidates, aim: &Aim, carriage: &[Option<Carriage>]) -> i64 {
    let room = Money::MAX.0 / PARCELS_TOLD - 1;
    let fits = |money: i64| money.abs() <= room;
    let places = met.places.iter().zip(carriage).all(|(place, carriage)| {
        let dearest = match carriage {
            None => return true,
            Some(Carriage::Constant(price, _)) => price.0,
            Some(Carriage::ByWeight(services)) => {
                let first = services.iter().filter_map(|service| service.price(Grams(0)));
                first.map(|price| price.0).max().unwrap_or(0)
            }
        };
        fits(base(place).max(0).saturating_add(dearest))
            && fits(place.pick.0)
            && place.lanes.iter().all(|way| fits(way.step_price.0))
    });
    let offers = met.offers.iter().all(|offer| fits(offer.preference.0.saturating_add(offer.opportunity.0)));
    if places && offers && fits(aim.unserved_unit.0) { PARCELS_TOLD } else { 1 }
}

/// More parcels than this are not told apart.
const PARCELS_TOLD: i64 = 1024;

/// The plan in minor units again.
fn untied(mut plan: quartermaster_routing::Plan, tie: i64) -> quartermaster_routing::Plan {
    plan.value.cost.0 = plan.value.cost.0.div_euclid(tie);
    plan.lower_bound.cost.0 = plan.lower_bound.cost.0.div_euclid(tie);
    for unserved in &mut plan.unserved {
        unserved.penalty.0 /= tie;
    }
    plan
}

/// Whether the places together have every line.
fn all_within_reach(met: &Candidates) -> bool {
    let mut reach = vec![0_u64; met.lines.len()];
    for offer in met.offers.iter().filter(|offer| offer.removed.is_none()) {
        if met.places[place_index(offer.place)].removed.is_none() {
            reach[place_index(offer.line)] += u64::from(offer.units);
        }
    }
    met.lines.iter().zip(reach).all(|(line, reach)| reach >= u64::from(line.quantity))
}

/// More than any plan that serves everything can cost; `None` when that cannot be told in the solver's range.
fn dearer_than_any_plan(met: &Candidates, carriage: &[Option<Carriage>]) -> Option<Money> {
    let mut most: i64 = 1;
    let weight = |line: &crate::candidate::Wanted| line.unit_weight.0.saturating_mul(u64::from(line.quantity));
    let all = Grams(met.lines.iter().map(weight).fold(0, u64::saturating_add));
    for (place, carriage) in met.places.iter().zip(carriage) {
        let dearest = match carriage {
            None => continue,
            Some(Carriage::Constant(price, _)) => price.0,
            Some(Carriage::ByWeight(services)) => {
                let price = |service: &Service| {
                    service.price(service.weight_max().map_or(all, |limit| limit.min(all))).map_or(0, |price| price.0)
                };
                services.iter().map(price).max().unwrap_or(0)
            }
        };
        most = most.checked_add(base(place).max(0))?.checked_add(dearest)?;
    }
    for (number, line) in (0_u32..).zip(&met.lines) {
        let offers = met.offers.iter().filter(|offer| offer.line == number && offer.removed.is_none());
        let unit = |offer: &crate::candidate::Offer| {
            met.places[place_index(offer.place)].pick.0 + offer.preference.0 + offer.opportunity.0
        };
        // A bonus makes others the dearer by comparison: what counts is how far unit costs lie apart.
        let dearest = offers.map(|offer| unit(offer).abs()).max().unwrap_or(0);
        most = most.checked_add(dearest.checked_mul(i64::from(line.quantity))?.checked_mul(2)?)?;
    }
    (most <= Money::MAX.0).then_some(Money(most))
}

/// Whether leaving everything at the policy's price for it is cheaper than a plan that serves everything.
fn dearer_than_nothing(met: &Candidates, aim: &Aim, plan: &quartermaster_routing::Plan) -> bool {
    aim.objective == Objective::Money && plan.value.cost.0 > penalty_of_all(met, aim)
}

fn penalty_of_all(met: &Candidates, aim: &Aim) -> i64 {
    let penalties = met.lines.iter().map(|line| aim.unserved_unit.0.saturating_mul(i64::from(line.quantity)));
    penalties.fold(0, i64::saturating_add)
}

/// The plan that serves nothing, as all was asked for and not all can be had; `tried` is what the solver had to say.
fn nothing(met: &Candidates, aim: &Aim, tried: Option<&quartermaster_routing::Plan>) -> Solved {
    let penalty = |line: &crate::candidate::Wanted| match aim.objective {
        Objective::Money => Money(aim.unserved_unit.0.saturating_mul(i64::from(line.quantity))),
        Objective::UnitsParcelsCost | Objective::UnitsCost | Objective::WholeLinesCost => Money(0),
    };
    let unserved: Vec<Unserved> = met
        .lines
        .iter()
        .map(|line| Unserved { sku: line.sku, quantity: Units(line.quantity), penalty: penalty(line) })
        .collect();
    let units = met.lines.iter().map(|line| u64::from(line.quantity)).sum();
    let value = match aim.objective {
        Objective::Money => Value { cost: Money(penalty_of_all(met, aim)), ..Value::default() },
        Objective::UnitsParcelsCost | Objective::UnitsCost => Value { shortfall: units, ..Value::default() },
        Objective::WholeLinesCost => {
            Value { shortfall: u64::try_from(met.lines.len()).unwrap_or(u64::MAX), ..Value::default() }
        }
    };
    let proof = tried.map_or(Proof::Proved, |tried| tried.proof);
    let lower_bound = match tried {
        Some(tried) if proof != Proof::Proved => tried.lower_bound.min(value),
        Some(_) | None => value,
    };
    let plan = quartermaster_routing::Plan {
        allocations: Vec::new(),
        parcels: Vec::new(),
        unserved,
        value,
        lower_bound,
        proof,
        nodes: tried.map_or(0, |tried| tried.nodes),
    };
    Solved { plan, parcels: Vec::new() }
}

/// For each place how it carries; `None` for those that are removed or have no offer left.
fn carriages(met: &Candidates) -> Result<Vec<Option<Carriage>>, ProblemError> {
    let mut heaviest = vec![None; met.places.len()];
    for offer in met.offers.iter().filter(|offer| offer.removed.is_none()) {
        let weight = line(met, offer.line).unit_weight.0.saturating_mul(u64::from(offer.units));
        if let Some(sum) = heaviest.get_mut(place_index(offer.place)) {
            *sum = Some(sum.unwrap_or(0_u64).saturating_add(weight));
        }
    }
    let places = met.places.iter().zip(heaviest);
    places
        .map(|(place, heaviest)| match heaviest {
            Some(heaviest) if place.removed.is_none() => carriage(place, Grams(heaviest)).map(Some),
            _ => Ok(None),
        })
        .collect()
}

/// A parcel of at most `heaviest` costs the same by every way whose first price carries it; then the cheapest is taken beforehand.
fn carriage(place: &Candidate, heaviest: Grams) -> Result<Carriage, ProblemError> {
    let flat = |way: &Way| {
        heaviest <= way.first_weight || (way.step_price.0 == 0 && way.weight_max.is_none_or(|most| heaviest <= most))
    };
    if place.lanes.iter().all(flat) {
        let best = (0..).zip(&place.lanes).min_by_key(|(number, way)| (way_base(place, way), way.arrives_at, *number));
        return Ok(best.map_or(Carriage::Constant(Money(0), 0), |(number, way)| {
            Carriage::Constant(Money(way_base(place, way)), number)
        }));
    }
    let services = (0..).zip(&place.lanes).map(|(number, way)| {
        let service = Service::new(ServiceId(number), way.first_weight, Money(way_base(place, way)))?;
        service.with_steps(way.step_weight, way.step_price, way.weight_max)
    });
    services.collect::<Result<_, _>>().map(Carriage::ByWeight)
}

/// What a parcel costs before anything is in it, apart from the way.
fn base(place: &Candidate) -> i64 {
    place.handling.0 + place.preference.0 + place.pressure.0
}

/// What a way adds to that: its first price and lateness, less what preferences give beyond the base. Never below nothing.
fn way_base(place: &Candidate, way: &Way) -> i64 {
    (way.first_price.0 + way.lateness.0 + base(place).min(0)).clamp(0, Money::MAX.0)
}

fn state(
    spare: Option<Problem>,
    met: &Candidates,
    aim: &Aim,
    carriage: &[Option<Carriage>],
    tie: i64,
) -> Result<Problem, ProblemError> {
    let tied = |money: i64| money.saturating_mul(tie);
    let a_parcel = i64::from(tie > 1);
    let mut builder = match spare {
        Some(problem) => problem.recycle(aim.objective),
        None => Problem::builder(aim.objective),
    };
    builder.reserve(met.offers.len());
    let mut lines = Vec::with_capacity(met.lines.len());
    for wanted in &met.lines {
        lines.push(builder.line(Line {
            sku: wanted.sku,
            demand: Units(wanted.quantity),
            unit_weight: wanted.unit_weight,
            unserved_penalty: Money(tied(aim.unserved_unit.0)),
            whole: wanted.whole,
        })?);
    }
    let mut places = Vec::with_capacity(met.places.len());
    for (number, (place, carriage)) in (0..).zip(met.places.iter().zip(carriage)) {
        let Some(carriage) = carriage else {
            places.push(None);
            continue;
        };
        let fixed = base(place).max(0);
        let (fixed, tariff) = match carriage {
            Carriage::Constant(price, _) => (fixed + price.0, None),
            Carriage::ByWeight(services) => {
                let scaled = services.iter().map(|service| service.scaled(tie));
                (fixed, Some(builder.tariff(&scaled.collect::<Result<SmallVec<[Service; 2]>, _>>()?)))
            }
        };
        let parcel_cost = Money((tied(fixed) + a_parcel).min(Money::MAX.0));
        let pick_unit_cost = Money(tied(place.pick.0));
        let location = Location { id: LocationId(number), parcel_cost, pick_unit_cost };
        let index = builder.location(location)?;
        if place.units_max.is_some() || tariff.is_some() {
            builder.parcel_rules(index, place.units_max.map(Units), None, tariff);
        }
        places.push(Some(index));
    }
    for offer in met.offers.iter().filter(|offer| offer.removed.is_none()) {
        let Some(Some(place)) = places.get(place_index(offer.place)) else { continue };
        let extra = Money(tied(offer.preference.0 + offer.opportunity.0));
        builder.offer(lines[place_index(offer.line)], *place, Units(offer.units), extra);
    }
    if let Some(most) = aim.parcels_max {
        builder.parcels_max(most);
    }
    if aim.complete {
        builder.ship_complete();
    }
    builder.build()
}

fn parcels(met: &Candidates, carriage: &[Option<Carriage>], plan: &quartermaster_routing::Plan) -> Vec<Parcel> {
    let mut allocations = plan.allocations.as_slice();
    let parcels = plan.parcels.iter().filter_map(|parcel| {
        let number = parcel.location.0;
        let count = allocations.iter().take_while(|taken| taken.location == parcel.location).count();
        let (own, rest) = allocations.split_at(count);
        allocations = rest;
        let place = met.places.get(place_index(number))?;
        let way = match carriage.get(place_index(number))?.as_ref()? {
            Carriage::Constant(_, way) => *way,
            Carriage::ByWeight(_) => place_index(parcel.service.map_or(0, |service| service.0)),
        };
        let way = place.lanes.get(way)?;
        let lines: SmallVec<[(SkuId, u32); 2]> = own.iter().map(|taken| (taken.sku, taken.quantity.0)).collect();
        Some(Parcel {
            location: place.location,
            service: way.service,
            weight: parcel.weight,
            ships_at: way.ships_at,
            arrives_at: way.arrives_at,
            terms: terms(met, number, place, way, parcel.weight, &lines),
            lines,
            slots: place.slots.clone(),
        })
    });
    let mut parcels: Vec<Parcel> = parcels.collect();
    parcels.sort_by_key(|parcel| parcel.location);
    parcels
}

/// What a parcel of these lines costs, term by term. The total is what the solver counted.
pub(crate) fn terms(
    met: &Candidates,
    number: u32,
    place: &Candidate,
    way: &Way,
    weight: Grams,
    lines: &[(SkuId, u32)],
) -> Terms {
    let mut terms = Terms {
        handling: place.handling,
        carriage: way.price(weight).unwrap_or(Money(0)),
        lateness: way.lateness,
        pressure: place.pressure,
        ..Terms::default()
    };
    let before = base(place) + way.first_price.0 + way.lateness.0;
    // A bonus is worth no more than what it is a bonus on.
    terms.preference = Money(place.preference.0 + (-before).max(0));
    for (sku, units) in lines {
        let Some(index) = met.lines.iter().position(|line| line.sku == *sku) else { continue };
        let offer = met.offers.iter().find(|offer| place_index(offer.line) == index && offer.place == number);
        let units = i64::from(*units);
        terms.picking.0 += place.pick.0 * units;
        if let Some(offer) = offer {
            terms.preference.0 += offer.preference.0 * units;
            terms.opportunity.0 += offer.opportunity.0 * units;
        }
    }
    terms
}

fn line(met: &Candidates, index: u32) -> &crate::candidate::Wanted {
    &met.lines[place_index(index)]
}

pub(crate) fn place_index(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
