//! Carrier tariffs in steps (首重/续重): a first weight at a price, then every started further step at another.

use crate::error::ProblemError;
use crate::units::{Grams, Money, ServiceId};

/// What one carrier service asks for a parcel, by the parcel's weight alone.
///
/// Up to `first_weight`: `first_price`. Above: `first_price` plus `step_price` for each `step_weight` begun.
/// Heavier than `weight_max`: not carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    id: ServiceId,
    first_weight: Grams,
    first_price: Money,
    step_weight: Grams,
    step_price: Money,
    weight_max: Option<Grams>,
}

impl Service {
    /// A service at `first_price` up to `first_weight`, and nothing heavier until [`Service::with_steps`] says so.
    ///
    /// # Errors
    /// A price below zero or above [`Money::MAX`], a weight of zero or above [`Grams::MAX`].
    pub fn new(id: ServiceId, first_weight: Grams, first_price: Money) -> Result<Self, ProblemError> {
        check_price(id, first_price)?;
        check_weight(id, first_weight)?;
        let weight_max = Some(first_weight);
        Ok(Self { id, first_weight, first_price, step_weight: Grams(1), step_price: Money(0), weight_max })
    }

    /// Adds the steps above the first weight, up to `weight_max`; `None` carries any weight.
    ///
    /// # Errors
    /// A price below zero or above [`Money::MAX`], a step of zero or above [`Grams::MAX`], a limit below the first weight.
    pub fn with_steps(
        mut self,
        step_weight: Grams,
        step_price: Money,
        weight_max: Option<Grams>,
    ) -> Result<Self, ProblemError> {
        check_price(self.id, step_price)?;
        check_weight(self.id, step_weight)?;
        if let Some(limit) = weight_max {
            check_weight(self.id, limit)?;
            if limit < self.first_weight {
                return Err(ProblemError::LimitBelowFirstWeight { service: self.id });
            }
        }
        (self.step_weight, self.step_price, self.weight_max) = (step_weight, step_price, weight_max);
        Ok(self)
    }

    /// The same service with every price so many times as high.
    ///
    /// # Errors
    /// A price above [`Money::MAX`].
    pub fn scaled(mut self, times: i64) -> Result<Self, ProblemError> {
        for price in [&mut self.first_price, &mut self.step_price] {
            price.0 = price.0.saturating_mul(times);
            check_price(self.id, *price)?;
        }
        Ok(self)
    }

    /// The caller's name of the service.
    pub fn id(&self) -> ServiceId {
        self.id
    }

    /// The heaviest parcel it carries; `None`: any.
    pub fn weight_max(&self) -> Option<Grams> {
        self.weight_max
    }

    /// The price of the lightest parcel.
    pub(crate) fn first_price(&self) -> Money {
        self.first_price
    }

    /// The price of a parcel of `weight`; `None` when it is too heavy for the service. Never falls as weight grows.
    pub fn price(&self, weight: Grams) -> Option<Money> {
        if self.weight_max.is_some_and(|limit| weight > limit) {
            return None;
        }
        let steps = weight.0.saturating_sub(self.first_weight.0).div_ceil(self.step_weight.0);
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        // Saturating: a price beyond 64 bits is refused by the size check of the problem before any search starts.
        Some(Money(self.first_price.0.saturating_add(self.step_price.0.saturating_mul(steps))))
    }

    /// The heaviest weight that costs no more than `weight` does, within the limit: the right end of its step.
    pub(crate) fn step_end(&self, weight: Grams) -> Grams {
        let limit = self.weight_max.unwrap_or(Grams(u64::MAX));
        if self.step_price.0 == 0 {
            return limit;
        }
        let steps = weight.0.saturating_sub(self.first_weight.0).div_ceil(self.step_weight.0);
        let end = self.first_weight.0.saturating_add(self.step_weight.0.saturating_mul(steps));
        limit.min(Grams(end))
    }
}

/// The cheapest service that carries `weight`, the lower id among equals; `None` when none does.
pub fn cheapest(services: &[Service], weight: Grams) -> Option<(ServiceId, Money)> {
    services.iter().filter_map(|s| Some((s.price(weight)?, s.id))).min().map(|(price, id)| (id, price))
}

/// Money per gram, as a fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slope {
    money: i64,
    grams: i64,
}

impl Slope {
    const NONE: Self = Self { money: 0, grams: 1 };

    /// No more than `weight` costs at this slope.
    pub(crate) fn of(self, weight: Grams) -> i64 {
        if self.money == 0 {
            return 0;
        }
        // Saturating below the truth keeps it a lower bound.
        self.money.saturating_mul(i64::try_from(weight.0).unwrap_or(i64::MAX)) / self.grams
    }

    fn steeper_than(self, other: Self) -> bool {
        i128::from(self.money) * i128::from(other.grams) > i128::from(other.money) * i128::from(self.grams)
    }
}

/// A straight line at or below the price of any parcel of some services: `price` plus `slope` times its weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lightest {
    pub(crate) price: i64,
    pub(crate) slope: Slope,
    /// The price of every parcel up to the heaviest asked about is just `price`.
    pub(crate) flat: bool,
    /// No parcel up to that costs more.
    pub(crate) dearest: i64,
}

/// The line below the tariff of `services` that suits orders of `weight` best: level for light ones, along the steps for
/// others.
pub(crate) fn lightest(services: &[Service], weight: Grams) -> Lightest {
    let Some(price) = services.iter().map(|service| service.first_price.0).min() else {
        return Lightest { price: 0, slope: Slope::NONE, flat: true, dearest: 0 };
    };
    let flat = cheapest(services, weight).is_some_and(|(_, at_most)| at_most.0 == price);
    let most = |service: &Service| service.price(service.weight_max.map_or(weight, |most| most.min(weight)));
    let dearest = services.iter().filter_map(most).max().map_or(0, |price| price.0);
    let level = Lightest { price, slope: Slope::NONE, flat, dearest };
    let first = services.iter().map(|service| service.first_weight).min().unwrap_or_default();
    if flat || weight.0 <= first.0.saturating_mul(2) {
        return level;
    }
    let mut slope: Option<Slope> = None;
    for service in services.iter().filter(|service| service.weight_max.is_none_or(|most| most > service.first_weight)) {
        let grams = i64::try_from(service.step_weight.0).unwrap_or(i64::MAX);
        let steps = Slope { money: service.step_price.0, grams };
        if slope.is_none_or(|least| least.steeper_than(steps)) {
            slope = Some(steps);
        }
    }
    let Some(slope) = slope else { return level };
    // Below the line's first weight the price is level, so the line must not be above it at the end of that.
    let start = |service: &Service| {
        let drop = i128::from(slope.money) * i128::from(service.first_weight.min(weight).0);
        i128::from(service.first_price.0) - (drop + i128::from(slope.grams) - 1) / i128::from(slope.grams)
    };
    let price = services.iter().map(start).min().unwrap_or(0);
    match i64::try_from(price) {
        Ok(price) if price >= 0 => Lightest { price, slope, ..level },
        _ => level,
    }
}

fn check_price(service: ServiceId, price: Money) -> Result<(), ProblemError> {
    if price.0 < 0 || price > Money::MAX {
        return Err(ProblemError::ServicePrice { service, price });
    }
    Ok(())
}

fn check_weight(service: ServiceId, weight: Grams) -> Result<(), ProblemError> {
    if weight.0 == 0 || weight > Grams::MAX {
        return Err(ProblemError::ServiceWeight { service, weight });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(id: u32, first: (u64, i64), step: (u64, i64), max: Option<u64>) -> Service {
        let made = Service::new(ServiceId(id), Grams(first.0), Money(first.1)).unwrap();
        made.with_steps(Grams(step.0), Money(step.1), max.map(Grams)).unwrap()
    }

    #[test]
    fn a_started_step_is_paid_in_full() {
        let s = service(1, (1000, 600), (500, 150), Some(2100));
        let prices: Vec<_> = [0, 1000, 1001, 1500, 1501, 2100].map(|w| s.price(Grams(w)).unwrap().0).into();
        assert_eq!(prices, [600, 600, 750, 750, 900, 1050]);
        assert_eq!(s.price(Grams(2101)), None);
        assert_eq!([900, 1001, 2001].map(|w| s.step_end(Grams(w)).0), [1000, 1500, 2100]);
    }

    #[test]
    fn the_cheapest_that_fits_wins_and_the_lower_id_among_equals() {
        let services = [service(3, (1000, 500), (1000, 100), None), service(2, (1000, 500), (500, 100), Some(1500))];
        assert_eq!(cheapest(&services, Grams(900)), Some((ServiceId(2), Money(500))));
        assert_eq!(cheapest(&services, Grams(1600)), Some((ServiceId(3), Money(600))));
        assert_eq!(cheapest(&services[1..], Grams(1600)), None);
    }

    #[test]
    fn bad_figures_are_refused() {
        assert!(Service::new(ServiceId(1), Grams(0), Money(1)).is_err());
        assert!(Service::new(ServiceId(1), Grams(1), Money(-1)).is_err());
        let s = Service::new(ServiceId(1), Grams(10), Money(1)).unwrap();
        assert!(s.with_steps(Grams(0), Money(1), None).is_err());
        assert!(s.with_steps(Grams(1), Money(1), Some(Grams(9))).is_err());
    }
}
