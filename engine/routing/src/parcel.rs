//! One location's parcel under a tariff in steps and limits on units and weight: the most it can earn at given prices.
//!
//! This is the location's part of the Lagrangian bound when parcels cost more as they get heavier. On one step of the tariff
//! the price is constant, so the parcel is a bounded knapsack, relaxed to its linear form (Dantzig, Operations Research 5,
//! 1957): items by earnings per gram (or per unit) until the step ends. The best step wins. Rounded up, so never too little.

use crate::problem::Problem;
use crate::tariff::{Service, cheapest};
use crate::units::Grams;

/// One line at one location, as the prices of the moment see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Item {
    /// The line.
    pub(crate) line: usize,
    /// How many can be taken, at least one.
    pub(crate) avail: i64,
    /// What one earns: price less cost, above zero.
    pub(crate) gain: i64,
    /// Grams of one.
    pub(crate) weight: i64,
    /// Units in one.
    pub(crate) units: i64,
}

/// What a parcel is already known to hold, and what it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Load {
    pub(crate) weight: i64,
    pub(crate) units: i64,
}

/// The limits and prices of one location's parcel; carriage scaled like all money in a model.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    services: Vec<Service>,
    scale: i64,
    pub(crate) units_max: i64,
    pub(crate) weight_max: i64,
    /// Carriage is not counted in this phase; what cannot be carried still cannot.
    free_carriage: bool,
    pub(crate) plain: bool,
}

/// More steps than this are not told apart; the rest is bounded by the cheapest of them.
const STEPS_MAX: usize = 64;

impl Rules {
    pub(crate) fn new(problem: &Problem, place: usize, scale: i64, free_carriage: bool) -> Self {
        let (shipping, services) = (problem.rules_of(place), problem.services_of(place));
        let grams = |weight: Grams| i64::try_from(weight.0).unwrap_or(i64::MAX);
        let mut weight_max = shipping.weight_max.map_or(i64::MAX, grams);
        if !services.is_empty() {
            let limits = services.iter().map(|service| service.weight_max().map_or(i64::MAX, grams));
            weight_max = weight_max.min(limits.max().unwrap_or(i64::MAX));
        }
        let units_max = shipping.unit_capacity.map_or(i64::MAX, |units| i64::from(units.0));
        let free_carriage = free_carriage || services.is_empty();
        let plain = free_carriage && units_max == i64::MAX && weight_max == i64::MAX;
        Self { services: services.to_vec(), scale, units_max, weight_max, free_carriage, plain }
    }

    pub(crate) fn fits(&self, load: Load) -> bool {
        load.units <= self.units_max && load.weight <= self.weight_max
    }

    /// The carrier's price of a parcel of `weight` that fits.
    pub(crate) fn carriage(&self, weight: i64) -> i64 {
        if self.free_carriage {
            return 0;
        }
        let weight = Grams(u64::try_from(weight).unwrap_or(0));
        cheapest(&self.services, weight).map_or(0, |(_, price)| price.0 * self.scale)
    }

    /// The last weight on the step that `weight` is on.
    fn step_end(&self, weight: i64) -> i64 {
        if self.free_carriage {
            return self.weight_max;
        }
        let at = Grams(u64::try_from(weight).unwrap_or(0));
        let carrying = self.services.iter().filter(|service| service.price(at).is_some());
        let end = carrying.map(|service| service.step_end(at).0).min().unwrap_or(u64::MAX);
        i64::try_from(end).unwrap_or(i64::MAX).min(self.weight_max)
    }

    /// An upper bound on what adding `items` to a parcel of `load` can earn, carriage of the whole parcel taken off.
    ///
    /// What the relaxed parcel takes of each item is added to `taken`, for the direction of the next step. `items` is
    /// sorted in passing.
    pub(crate) fn earnings(&self, items: &mut [Item], load: Load, taken: &mut Vec<(usize, i64)>) -> i64 {
        taken.clear();
        let all: i64 = items.iter().map(|item| item.avail * item.gain).sum();
        if self.plain {
            taken.extend(items.iter().map(|item| (item.line, item.avail)));
            return all;
        }
        let total = load.weight + items.iter().map(|item| item.avail * item.weight).sum::<i64>();
        let by_units = self.by_units(items, load, all);
        sort_by_density(items, |item| item.weight);
        let most = total.min(self.weight_max);
        let mut best: Option<(i64, i64)> = None;
        let mut weight = load.weight;
        for step in 0..=STEPS_MAX {
            let end = if step == STEPS_MAX { most } else { self.step_end(weight).min(most) };
            let earned = fill(items, end - load.weight, |item| item.weight).min(by_units) - self.carriage(weight);
            if best.is_none_or(|(most, _)| earned > most) {
                best = Some((earned, end));
            }
            if end >= most {
                break;
            }
            weight = end + 1;
        }
        let (earned, end) = best.unwrap_or((0, load.weight));
        take(items, end - load.weight, self.units_max - load.units, taken);
        earned
    }

    fn by_units(&self, items: &mut [Item], load: Load, all: i64) -> i64 {
        let room = self.units_max.saturating_sub(load.units);
        if items.iter().map(|item| item.avail * item.units).sum::<i64>() <= room {
            return all;
        }
        sort_by_density(items, |item| item.units);
        fill(items, room, |item| item.units)
    }
}

/// Most earnings per size first; what has no size comes first of all. Ties by line, so that nothing depends on the order given.
fn sort_by_density(items: &mut [Item], size: impl Fn(&Item) -> i64) {
    items.sort_unstable_by(|a, b| {
        let (a_over_b, b_over_a) = (i128::from(a.gain) * i128::from(size(b)), i128::from(b.gain) * i128::from(size(a)));
        b_over_a.cmp(&a_over_b).then(a.line.cmp(&b.line))
    });
}

/// The value of the linear knapsack of `room`, rounded up.
fn fill(items: &[Item], mut room: i64, size: impl Fn(&Item) -> i64) -> i64 {
    let mut earned = 0;
    for item in items {
        let each = size(item);
        let fit = if each == 0 { item.avail } else { (room / each).min(item.avail) };
        earned += fit * item.gain;
        room -= fit * each;
        if fit < item.avail {
            let part = (i128::from(item.gain) * i128::from(room)).div_euclid(i128::from(each)) + 1;
            return earned + i64::try_from(part).unwrap_or(item.gain).min(item.gain);
        }
    }
    earned
}

/// What a parcel of whole items takes within both limits.
fn take(items: &[Item], mut weight: i64, mut units: i64, taken: &mut Vec<(usize, i64)>) {
    for item in items {
        let fit = [(weight, item.weight), (units, item.units)].into_iter().filter(|&(_, each)| each > 0);
        let fit = fit.map(|(room, each)| room / each).min().unwrap_or(i64::MAX).min(item.avail);
        if fit > 0 {
            weight -= fit * item.weight;
            units = units.saturating_sub(fit * item.units);
            taken.push((item.line, fit));
        }
    }
}
