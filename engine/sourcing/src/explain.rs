//! Why a plan is what it is: what each candidate would have cost, which plan comes next, and the smallest change that would have changed
//! the decision. Works on what a decision met, so it is the same for a quote and for a decision read from the log.

use std::collections::BTreeSet;

use quartermaster_routing::{Grams, LocationId, Money, ProblemError, Proof, SkuId, Value};

use crate::{
    candidate::{Candidate, Candidates, Offer, Way},
    fulfilment::Moment,
    plan::{Parcel, Plan, Terms, sum},
    removal::Removal,
    router::Met,
    solve::{Desk, Solved, place_index, solve, terms},
};

/// One place in an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which.
    pub location: LocationId,
    /// What removed it; its offers' removal when all of them share in it.
    pub removed: Option<Removal>,
    /// What it could serve, by SKU, removed offers apart unless it is removed.
    pub stock: Vec<(SkuId, u32)>,
    /// What a parcel with all of that would cost, by which service, arriving when; `None` when it is removed or too heavy.
    pub parcel: Option<(Terms, Option<u32>, Moment)>,
    /// It is part of the plan.
    pub chosen: bool,
}

/// The smallest changes by which a place would join the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterfactual {
    /// Which place.
    pub location: LocationId,
    /// It joins when its parcel costs less by more than this; `None`: not even for nothing.
    pub parcel_cost_fall: Option<Money>,
    /// It joins when it has so many more units of this SKU.
    pub more_units: Option<(SkuId, u32)>,
}

/// Other plans, the better first; each does without a place that a better one needs. At most `count`.
///
/// Lawler, "A procedure for computing the K best solutions to discrete optimization problems", Management Science 18, 1972: the next best
/// lacks something that the best has; what lacks the first, then what lacks the second and so on are solved apart.
///
/// # Errors
/// As the solve of the plan itself; then there would have been no plan.
pub fn alternatives(solver: &mut Desk, met: &[Met], plan: &Plan, count: usize) -> Result<Vec<Plan>, ProblemError> {
    let mut found: Vec<Plan> = Vec::new();
    for (class, problem) in met.iter().enumerate() {
        let mut open: Vec<(BTreeSet<LocationId>, Solved)> = Vec::new();
        let mut seen: BTreeSet<Vec<LocationId>> = BTreeSet::new();
        let best = solve(solver, &problem.candidates, &problem.aim)?;
        seen.insert(places(&best.parcels));
        let mut from = (BTreeSet::new(), best);
        let own = class_parts(solver, met, class)?;
        for _ in 0..count {
            for location in places(&from.1.parcels) {
                let mut without = from.0.clone();
                without.insert(location);
                let mut candidates = problem.candidates.clone();
                candidates.places.iter_mut().for_each(|place| {
                    if without.contains(&place.location) {
                        place.removed = Some(Removal::Line);
                    }
                });
                let next = solve(solver, &candidates, &problem.aim)?;
                if !next.parcels.is_empty() && seen.insert(places(&next.parcels)) {
                    open.push((without, next));
                }
            }
            let best = (0..open.len()).min_by_key(|place| (open[*place].1.plan.value, places(&open[*place].1.parcels)));
            let Some(best) = best else { break };
            from = open.swap_remove(best);
            found.push(own.with(plan, &from.1));
        }
    }
    found.sort_by_key(|plan| (plan.value, plan.parcels.iter().map(|parcel| parcel.location).collect::<Vec<_>>()));
    found.truncate(count);
    Ok(found)
}

/// What every place has to say, by location.
#[must_use]
pub fn notes(met: &[Met], plan: &Plan) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for problem in met {
        for (number, place) in (0..).zip(&problem.candidates.places) {
            notes.push(note(&problem.candidates, number, place, plan));
        }
    }
    notes.sort_by_key(|note| note.location);
    notes
}

/// The smallest changes that would have brought other places into the plan, the smallest first, at most `count`. Empty when the plan is
/// not proved best: then more search might change it, too.
///
/// # Errors
/// As the solve of the plan itself.
pub fn counterfactuals(
    solver: &mut Desk,
    met: &[Met],
    plan: &Plan,
    count: usize,
) -> Result<Vec<Counterfactual>, ProblemError> {
    if plan.proof != Proof::Proved {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for problem in met {
        let best = solve(solver, &problem.candidates, &problem.aim)?;
        let mut others: Vec<(u32, &Candidate)> = (0..)
            .zip(&problem.candidates.places)
            .filter(|(_, place)| place.removed.is_none() && !sends(&best.parcels, place.location))
            .collect();
        // Those that have most come first: a look at every place of a large network would be long.
        let has =
            |number: u32| -> u64 { offers(&problem.candidates, number).map(|offer| u64::from(offer.units)).sum() };
        others.sort_by_key(|(number, place)| (std::cmp::Reverse(has(*number)), place.location));
        for (number, place) in others.into_iter().take(PLACES_MAX) {
            let parcel_cost_fall = fall(solver, problem, number, place, &best.plan.value)?;
            let more_units = more(solver, problem, number, place, &best.plan.value)?;
            if parcel_cost_fall.is_some() || more_units.is_some() {
                found.push(Counterfactual { location: place.location, parcel_cost_fall, more_units });
            }
        }
    }
    found.sort_by_key(|one: &Counterfactual| {
        let fall = one.parcel_cost_fall.map_or(i64::MAX, |fall| fall.0);
        (fall, one.more_units.map_or(u32::MAX, |(_, units)| units), one.location)
    });
    found.truncate(count);
    Ok(found)
}

/// Places looked at for counterfactuals in each class.
const PLACES_MAX: usize = 20;
/// Lines of each of them.
const LINES_MAX: usize = 5;

/// By how much a place's parcel must get cheaper before the best plan has it.
fn fall(
    solver: &mut Desk,
    problem: &Met,
    number: u32,
    place: &Candidate,
    best: &Value,
) -> Result<Option<Money>, ProblemError> {
    let base = place.handling.0 + place.preference.0 + place.pressure.0;
    let constant = |way: &Way| (way.first_price.0 + way.lateness.0 + base.min(0)).max(0);
    let cheapest = place.lanes.iter().map(constant).min().unwrap_or(0);
    let saved = base.max(0) + cheapest;
    let mut candidates = problem.candidates.clone();
    let free = &mut candidates.places[place_index(number)];
    (free.handling, free.preference, free.pressure) = (Money(0), Money(0), Money(0));
    for way in &mut free.lanes {
        way.first_price = Money(constant(way) - cheapest);
        way.lateness = Money(0);
    }
    let solved = solve(solver, &candidates, &problem.aim)?;
    let value = solved.plan.value;
    let comparable = (value.shortfall, value.parcels) == (best.shortfall, best.parcels);
    if solved.plan.proof != Proof::Proved || !sends(&solved.parcels, place.location) || !comparable {
        return Ok(None);
    }
    // The best plan that has it costs `value.cost + saved`, or it would not be the best when that much is saved.
    Ok(Some(Money((value.cost.0 + saved - best.cost.0).max(0))))
}

/// The fewest further units of one SKU with which the best plan has the place.
fn more(
    solver: &mut Desk,
    problem: &Met,
    number: u32,
    place: &Candidate,
    best: &Value,
) -> Result<Option<(SkuId, u32)>, ProblemError> {
    let mut least: Option<(u32, SkuId)> = None;
    for (line, wanted) in (0..).zip(&problem.candidates.lines).take(LINES_MAX) {
        let has = offers(&problem.candidates, number).find(|offer| offer.line == line).map_or(0, |offer| offer.units);
        let mut joins = |units: u32| -> Result<bool, ProblemError> {
            let mut candidates = problem.candidates.clone();
            match candidates.offers.iter_mut().find(|offer| offer.line == line && offer.place == number) {
                Some(offer) => (offer.units, offer.removed) = (has + units, None),
                None => candidates.offers.push(Offer {
                    line,
                    place: number,
                    units,
                    preference: Money(0),
                    opportunity: Money(0),
                    removed: None,
                }),
            }
            let solved = solve(solver, &candidates, &problem.aim)?;
            Ok(solved.plan.value < *best && sends(&solved.parcels, place.location))
        };
        let (mut low, mut high) = (1, wanted.quantity.saturating_sub(has));
        if high == 0 || !joins(high)? {
            continue;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if joins(middle)? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        least = least.into_iter().chain([(low, wanted.sku)]).min();
    }
    Ok(least.map(|(units, sku)| (sku, units)))
}

fn note(met: &Candidates, number: u32, place: &Candidate, plan: &Plan) -> Note {
    let all: Vec<&Offer> = met.offers.iter().filter(|offer| offer.place == number).collect();
    let shared = if all.iter().all(|offer| offer.removed.is_some()) {
        all.iter().filter_map(|offer| offer.removed).max()
    } else {
        None
    };
    let removed = place.removed.or(shared);
    let shown = all.iter().filter(|offer| removed.is_some() || offer.removed.is_none());
    let sku = |offer: &Offer| met.lines[place_index(offer.line)].sku;
    let stock: Vec<(SkuId, u32)> = shown.map(|offer| (sku(offer), offer.units)).collect();
    let parcel = if removed.is_none() { whole_parcel(met, number, place, &stock) } else { None };
    Note { location: place.location, removed, chosen: sends(&plan.parcels, place.location), stock, parcel }
}

/// A parcel with all that a place has.
fn whole_parcel(
    met: &Candidates,
    number: u32,
    place: &Candidate,
    stock: &[(SkuId, u32)],
) -> Option<(Terms, Option<u32>, Moment)> {
    let weight = |(sku, units): &(SkuId, u32)| {
        let line = met.lines.iter().find(|line| line.sku == *sku);
        line.map_or(0, |line| line.unit_weight.0.saturating_mul(u64::from(*units)))
    };
    let weight = Grams(stock.iter().map(weight).fold(0, u64::saturating_add));
    let priced = place.lanes.iter().filter_map(|way| Some((way.price(weight)?.0 + way.lateness.0, way)));
    let (_, way) = priced.min_by_key(|(price, way)| (*price, way.service))?;
    Some((terms(met, number, place, way, weight, stock), way.service, way.arrives_at))
}

fn offers(met: &Candidates, place: u32) -> impl Iterator<Item = &Offer> {
    met.offers.iter().filter(move |offer| offer.place == place && offer.removed.is_none())
}

fn sends(parcels: &[Parcel], location: LocationId) -> bool {
    parcels.iter().any(|parcel| parcel.location == location)
}

fn places(parcels: &[Parcel]) -> Vec<LocationId> {
    parcels.iter().map(|parcel| parcel.location).collect()
}

/// The classes of a decision besides one.
struct Others {
    skus: BTreeSet<SkuId>,
    value: Value,
    lower_bound: Value,
}

/// What the other classes come to, so that another plan of this class can stand beside them.
fn class_parts(solver: &mut Desk, met: &[Met], class: usize) -> Result<Others, ProblemError> {
    let mut others = Others { skus: BTreeSet::new(), value: Value::default(), lower_bound: Value::default() };
    for (number, problem) in met.iter().enumerate() {
        if number == class {
            others.skus.extend(problem.candidates.lines.iter().map(|line| line.sku));
        } else {
            let solved = solve(solver, &problem.candidates, &problem.aim)?;
            others.value = sum(others.value, solved.plan.value);
            others.lower_bound = sum(others.lower_bound, solved.plan.lower_bound);
        }
    }
    Ok(others)
}

impl Others {
    /// The decided plan with this class planned otherwise.
    fn with(&self, plan: &Plan, solved: &Solved) -> Plan {
        let own = |sku: SkuId| self.skus.contains(&sku);
        let mut other = plan.clone();
        other.parcels.retain(|parcel| parcel.lines.iter().any(|(sku, _)| !own(*sku)));
        other.parcels.extend(solved.parcels.iter().cloned());
        other.parcels.sort_by_key(|parcel| parcel.location);
        other.unserved.retain(|unserved| !own(unserved.sku));
        other.unserved.extend(solved.plan.unserved.iter().map(|unserved| crate::plan::Unserved {
            sku: unserved.sku,
            units: unserved.quantity.0,
            reason: crate::plan::UnservedReason::NotWorthIt,
        }));
        other.unserved.sort_by_key(|unserved| unserved.sku);
        other.value = sum(self.value, solved.plan.value);
        other.lower_bound = sum(self.lower_bound, solved.plan.lower_bound);
        other.proof = solved.plan.proof;
        other.nodes = solved.plan.nodes;
        other.substitutions.retain(|one| served(&other.parcels, one.substitute));
        other
    }
}

fn served(parcels: &[Parcel], sku: SkuId) -> bool {
    parcels.iter().flat_map(|parcel| &parcel.lines).any(|(served, _)| *served == sku)
}
