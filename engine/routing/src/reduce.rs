//! Candidates that cannot matter, found before a model is built: a few passes over the offers, nothing sorted.
//!
//! The best plan with one parcel is known exactly, so every other plan that ships has two parcels at least. Let `m` be the
//! least cost of opening any location. One round of dual ascent on opening costs less `m` gives a bound L and slacks
//! `s_i >= 0` with which a plan of the set S of locations costs at least `L + m |S| + sum of s_i over S` (reduced cost
//! fixing with the count of parcels priced apart). Where `L + 2 m + s_i` reaches the best plan known, location i is left out.

use crate::problem::{Offer, Problem, TariffIndex};
use crate::tariff::{Lightest, Slope, lightest};
use crate::units::Grams;

/// Scratch, and the locations that are left.
#[derive(Clone, Default, Debug)]
pub(crate) struct Reduction {
    /// Ascending positions of the locations that take part.
    pub(crate) places: Vec<u16>,
    /// Position of each location among `places`; `u16::MAX` for none.
    pub(crate) position: Vec<u16>,
    /// What opening each location costs; with a tariff, the least that it can cost, carriage included.
    pub(crate) opening: Vec<i64>,
    /// The least that a gram more costs at each location, as a fraction; empty without tariffs.
    pub(crate) slope: Vec<Slope>,
    lightest: Vec<(TariffIndex, Lightest)>,
    /// No parcel's carriage costs more.
    dearest: i64,
    /// Of a plan without a parcel; scaled like the slacks.
    pub(crate) bound: i64,
    /// What each parcel adds to the bound, whichever it is; scaled.
    pub(crate) parcel: i64,
    /// What the parcel of each location adds on top; scaled, never below zero.
    pub(crate) slack: Vec<i64>,
    total: Vec<i64>,
    lines_filled: Vec<usize>,
    /// Of a unit of each line; scaled.
    pub(crate) price: Vec<i64>,
    /// Sum of the least that each line can cost, without parcels.
    units_least: i64,
    added_up: bool,
}

/// Fractions of a minor unit in this file's prices.
pub(crate) const SCALE_BITS: u32 = 10;
/// Above this, products of the two passes might not fit, and nothing is left out.
const MAGNITUDE_MAX: i64 = 1 << 46;
/// So many different tariffs are looked at once each; more are looked at again.
const TARIFFS_KEPT: usize = 16;

/// A location that alone gives the best plan with one parcel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Single {
    pub(crate) cost: i64,
    pub(crate) place: usize,
}

impl Reduction {
    /// Takes the problem's parcel costs for what opening costs.
    pub(crate) fn open(&mut self, problem: &Problem) {
        self.opening.clear();
        self.opening.extend(problem.locations.iter().map(|location| location.parcel_cost.0));
        self.slope.clear();
    }

    /// As [`Reduction::open`] with tariffs: the price of the lightest parcel, or, where orders are heavy, a line below the
    /// tariff. `true`: no parcel of this order can cost anything else, and no limit is in its way.
    pub(crate) fn open_with_tariffs(&mut self, problem: &Problem) -> bool {
        self.open(problem);
        let units = problem.demand();
        let weights = problem.lines.iter().map(|line| line.unit_weight.0.saturating_mul(u64::from(line.demand.0)));
        let weight = Grams(weights.fold(0, u64::saturating_add));
        self.lightest.clear();
        let (mut flat, mut dearest) = (true, 0);
        for i in 0..problem.locations.len() {
            let rules = problem.rules_of(i);
            let found = match self.lightest.iter().find(|(tariff, _)| *tariff == rules.tariff) {
                Some(&(_, found)) => found,
                None => {
                    let found = lightest(problem.services_of(i), weight);
                    if self.lightest.len() < TARIFFS_KEPT {
                        self.lightest.push((rules.tariff, found));
                    }
                    found
                }
            };
            self.opening[i] += found.price;
            self.slope.push(found.slope);
            dearest = dearest.max(found.dearest);
            flat &= found.flat
                && rules.weight_max.is_none_or(|most| weight <= most)
                && rules.unit_capacity.is_none_or(|most| units <= u64::from(most.0));
        }
        self.dearest = dearest;
        if flat {
            self.slope.clear();
        }
        flat
    }

    /// As [`Reduction::single`] with tariffs; `true`: no other plan of one parcel is cheaper. Else one may be that leaves
    /// out what the parcel had better not carry.
    pub(crate) fn single_with_tariffs(&mut self, problem: &Problem, penalties: bool) -> Option<(Single, bool)> {
        let lines = self.add_up(problem, penalties);
        self.added_up = lines.is_some() && self.dearest < MAGNITUDE_MAX >> 4;
        let lines = lines.filter(|_| self.added_up)?;
        let mut best: Option<Single> = None;
        let mut sure = true;
        for place in 0..self.total.len() {
            if (!penalties && self.lines_filled[place] != lines) || best.is_some_and(|b| b.cost <= self.total[place]) {
                continue;
            }
            let real = self.cost_alone(problem, place, penalties).filter(|cost| cost.0 < MAGNITUDE_MAX);
            if let Some((cost, _)) = real
                && best.is_none_or(|b| cost < b.cost)
            {
                best = Some(Single { cost, place });
            }
            // Settled by its own bound, or because leaving a unit out costs more than any carriage could save.
            sure &= !penalties || real.is_some_and(|(cost, pays)| pays || cost == self.total[place]);
        }
        best.map(|single| (single, sure))
    }

    /// What location `place` alone costs under its tariff, with all that is useful in the parcel; `None` when it may not
    /// carry that. And whether every unit pays for being in it.
    fn cost_alone(&self, problem: &Problem, place: usize, penalties: bool) -> Option<(i64, bool)> {
        let (mut cost, mut grams, mut units) = (problem.locations[place].parcel_cost.0, 0_u64, 0_u64);
        let mut margin = i64::MAX;
        for (j, line) in problem.lines.iter().enumerate() {
            let penalty = if penalties { line.unserved_penalty.0 } else { 0 };
            let offers = problem.offers_of(j);
            let offer =
                offers.binary_search_by_key(&place, |offer| usize::from(offer.location)).ok().map(|n| &offers[n]);
            let sent = match offer {
                Some(offer) if is_useful(problem, j, penalties, offer) => {
                    cost += problem.unit_cost(offer) * i64::from(offer.available);
                    margin = margin.min(penalty - problem.unit_cost(offer));
                    offer.available
                }
                _ => 0,
            };
            grams = grams.checked_add(line.unit_weight.0.checked_mul(u64::from(sent))?)?;
            units += u64::from(sent);
            cost += penalty * i64::from(line.demand.0 - sent);
        }
        let rules = problem.rules_of(place);
        let within = rules.weight_max.is_none_or(|most| grams <= most.0)
            && rules.unit_capacity.is_none_or(|most| units <= u64::from(most.0));
        if !within || units == 0 {
            return None;
        }
        let carriage = problem.carriage(place, Grams(grams))?;
        let least = problem.carriage(place, Grams(0)).unwrap_or(0);
        Some((cost.checked_add(carriage)?, margin >= carriage - least))
    }

    /// Everything takes part.
    pub(crate) fn keep_all(&mut self, problem: &Problem) {
        self.keep(problem, |_| true);
    }

    fn keep(&mut self, problem: &Problem, keep: impl Fn(usize) -> bool) {
        self.places.clear();
        self.position.clear();
        for i in 0..problem.locations.len() {
            if keep(i) {
                self.position.push(u16::try_from(self.places.len()).unwrap_or(u16::MAX));
                self.places.push(u16::try_from(i).unwrap_or(u16::MAX));
            } else {
                self.position.push(u16::MAX);
            }
        }
    }

    /// The location that alone makes the cheapest plan, the lower id among equals: without `penalties` one that serves all
    /// that can be served. `None` when there is none, or when the numbers are too large for this file.
    pub(crate) fn single(&mut self, problem: &Problem, penalties: bool) -> Option<Single> {
        let lines = self.add_up(problem, penalties);
        self.added_up = lines.is_some();
        let lines = lines?;
        let complete = (0..self.total.len()).filter(|&i| penalties || self.lines_filled[i] == lines);
        let best = complete.map(|i| (self.total[i], i)).min();
        best.map(|(cost, place)| Single { cost, place })
    }

    /// Whether the last [`Reduction::single`] found the numbers small enough for the rest of this file.
    pub(crate) fn added_up(&self) -> bool {
        self.added_up
    }

    /// Less than any plan with two parcels or more, at a glance; after [`Reduction::single`].
    pub(crate) fn two_at_least(&self) -> i64 {
        let (mut first, mut second) = (i64::MAX >> 8, i64::MAX >> 8);
        for &cost in &self.opening {
            second = second.min(cost.max(first));
            first = first.min(cost);
        }
        self.units_least + first + second
    }

    /// Leaves the locations that may be in a plan of at least `parcels` parcels that costs less than `cost`, after
    /// [`Reduction::raise`]; and those that `always` says yes to.
    pub(crate) fn keep_below(&mut self, problem: &Problem, cost: i64, parcels: usize, always: impl Fn(usize) -> bool) {
        let parcels = i64::try_from(parcels).unwrap_or(i64::MAX >> SCALE_BITS);
        let room = (cost << SCALE_BITS) - self.bound - parcels.saturating_mul(self.parcel);
        let slack = std::mem::take(&mut self.slack);
        self.keep(problem, |i| slack[i] < room || always(i));
        self.slack = slack;
    }

    /// What each location would cost alone, and how many lines it would fill; returns how many there are to fill, `None` when
    /// the numbers are too large.
    fn add_up(&mut self, problem: &Problem, penalties: bool) -> Option<usize> {
        self.total.clear();
        self.total.extend_from_slice(&self.opening);
        self.lines_filled.clear();
        self.lines_filled.resize(problem.locations.len(), 0);
        let mut dearest: i64 = self.total.iter().copied().max().unwrap_or(0);
        let mut unserved: i64 = 0;
        let mut lines = 0;
        self.units_least = 0;
        for (j, line) in problem.lines.iter().enumerate() {
            let wanted = if penalties { i64::from(line.demand.0) } else { problem.servable(j) };
            let penalty = if penalties { line.unserved_penalty.0 } else { 0 };
            unserved = unserved.checked_add(penalty.checked_mul(wanted)?)?;
            lines += usize::from(wanted > 0);
            let (mut least, mut most) = (if penalties { penalty } else { i64::MAX }, 0);
            for (offer, units, cost) in useful(problem, &self.slope, j, penalties) {
                let i = usize::from(offer.location);
                least = least.min(cost);
                most = most.max(cost.saturating_abs());
                // Saturating: sums this large are refused below.
                self.total[i] = self.total[i].saturating_add((cost - penalty).saturating_mul(units));
                self.lines_filled[i] += usize::from(units == wanted);
            }
            dearest = dearest.saturating_add(most.saturating_mul(wanted));
            if wanted > 0 {
                self.units_least = self.units_least.saturating_add(least.saturating_mul(wanted));
            }
        }
        self.total.iter_mut().for_each(|total| *total = total.saturating_add(unserved));
        (dearest.saturating_add(unserved) < MAGNITUDE_MAX).then_some(lines)
    }

    /// Two rounds of dual ascent: at first each line may take its share of what slack the lines before have left, then all
    /// that is left over.
    pub(crate) fn raise(&mut self, problem: &Problem, penalties: bool) {
        let least = self.opening.iter().copied().min().unwrap_or(0);
        self.parcel = least << SCALE_BITS;
        self.slack.clear();
        self.slack.extend(self.opening.iter().map(|cost| (cost - least) << SCALE_BITS));
        self.price.clear();
        self.bound = 0;
        let mut sharers = i64::try_from(problem.lines.len()).unwrap_or(i64::MAX);
        for (j, line) in problem.lines.iter().enumerate() {
            let wanted = if penalties { i64::from(line.demand.0) } else { problem.servable(j) };
            let ceiling = if penalties { line.unserved_penalty.0 << SCALE_BITS } else { i64::MAX >> SCALE_BITS };
            let mut price = if wanted == 0 { 0 } else { ceiling };
            if wanted > 0 {
                for (offer, units, cost) in useful(problem, &self.slope, j, penalties) {
                    let (slack, cost) = (self.slack[usize::from(offer.location)], cost << SCALE_BITS);
                    // Dividing is dear: only where the quotient would lower the price.
                    if price > cost && (price - cost).saturating_mul(units).saturating_mul(sharers) > slack {
                        price = cost + slack / (units * sharers);
                    }
                }
                self.bound += price * wanted;
                for (offer, units, cost) in useful(problem, &self.slope, j, penalties) {
                    self.slack[usize::from(offer.location)] -= units * (price - (cost << SCALE_BITS)).max(0);
                }
            }
            self.price.push(price);
            sharers -= 1;
        }
        if problem.lines.len() > 1 {
            self.raise_rest(problem, penalties);
        }
    }

    fn raise_rest(&mut self, problem: &Problem, penalties: bool) {
        for (j, line) in problem.lines.iter().enumerate() {
            let wanted = if penalties { i64::from(line.demand.0) } else { problem.servable(j) };
            let from = self.price[j];
            let mut to = if penalties { line.unserved_penalty.0 << SCALE_BITS } else { i64::MAX >> SCALE_BITS };
            if wanted == 0 || from >= to {
                continue;
            }
            for (offer, units, cost) in useful(problem, &self.slope, j, penalties) {
                let (slack, start) = (self.slack[usize::from(offer.location)], from.max(cost << SCALE_BITS));
                if to > start && (to - start).saturating_mul(units) > slack {
                    to = start + slack / units;
                }
            }
            if to > from {
                self.bound += (to - from) * wanted;
                self.price[j] = to;
                for (offer, units, cost) in useful(problem, &self.slope, j, penalties) {
                    self.slack[usize::from(offer.location)] -= units * (to - from.max(cost << SCALE_BITS)).max(0);
                }
            }
        }
    }
}

/// The offers of a line that a plan may use: units and least unit cost of each.
pub(crate) fn useful<'a>(
    problem: &'a Problem,
    slope: &'a [Slope],
    j: usize,
    penalties: bool,
) -> impl Iterator<Item = (Offer, i64, i64)> + 'a {
    let line = problem.lines[j];
    let least = if problem.is_whole(j) { line.demand.0 } else { 1 };
    let dearest = if penalties { line.unserved_penalty.0 } else { i64::MAX };
    let offers = problem.offers_of(j).iter().filter(move |offer| offer.available >= least);
    // What a unit costs by weight is no reason to leave it out: it may fit in a step that is paid for anyway.
    let cheap = offers.filter(move |offer| problem.unit_cost(offer) <= dearest);
    cheap.map(move |offer| {
        let carriage = slope.get(usize::from(offer.location)).map_or(0, |slope| slope.of(line.unit_weight));
        (*offer, i64::from(offer.available), problem.unit_cost(offer).saturating_add(carriage).min(dearest))
    })
}

/// Whether the plan may use the offer; see [`useful`].
pub(crate) fn is_useful(problem: &Problem, j: usize, penalties: bool, offer: &Offer) -> bool {
    let line = problem.lines[j];
    let least = if problem.is_whole(j) { line.demand.0 } else { 1 };
    offer.available >= least && (!penalties || problem.unit_cost(offer) <= line.unserved_penalty.0)
}
